//! The writing side: takes batches, writes files, commits the manifest. One thread owns it.

use std::path::Path;
use std::sync::Arc;

use mohhos_decode::batch::Batch;
use mohhos_locks::Mutex;
use mohhos_log::Fs;

use crate::config::HistoryConfig;
use crate::encode::encode;
use crate::error::HistoryError;
use crate::files::Files;
use crate::manifest::{FileEntry, Manifest};
use crate::order::by_device;
use crate::position::{Position, Positions};
use crate::reader::HistoryReader;
use crate::rows::Rows;
use crate::state::{Doomed, Shared, State};
use crate::tail::Part;
use crate::view::View;

/// `telemetry` is the table that the history keeps.
const TELEMETRY: u32 = 0;
/// The tail is written when it takes so much memory, however few rows it has (long texts).
const FLUSH_BYTES: usize = 128 << 20;
/// After a flush that failed the next one is due so much later.
const RETRY_US: i64 = 1_000_000;
/// A tail that grew while the disk was full is written in files of at most so many rows.
const MAX_FILE_ROWS: usize = 4_000_000;

/// The writing side, owned by the history thread.
///
/// Times given as `now_us` are from a monotonic clock; only [`History::retain`] looks at wall time.
#[derive(Debug)]
pub struct History {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: HistoryConfig,
    boot_id: u32,
    /// What was pushed, be it in a file or in the tail.
    pushed: Positions,
    /// The number of the next file. Never goes back: after a failed replacement of the manifest nobody knows
    /// which files it names.
    next_file: u64,
    /// Files of such a manifest, deleted when the next one is safe.
    orphans: Vec<Doomed>,
    /// When the oldest thing that no manifest has yet was pushed.
    oldest_us: Option<i64>,
    /// Not before this time after a failure.
    retry_at_us: Option<i64>,
}

impl History {
    /// Opens or creates the history in the directory `dir`, which is what `fs` shows; deletes what no manifest names.
    /// Returns it and up to where the log is in it: whoever replays the log gives it everything beyond.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        config: HistoryConfig,
    ) -> Result<(History, Vec<Position>), HistoryError> {
        let files = Files::new(fs, dir);
        let manifest = files.read_manifest()?;
        files.delete_unknown(&manifest)?;
        let positions = manifest.positions.clone();
        let pushed = Positions::new(&positions);
        let next_file = manifest.next_file;
        let state = Mutex::new(State::new(manifest));
        let shared = Arc::new(Shared { files, state });
        let history = History {
            shared,
            config,
            boot_id: 0,
            pushed,
            next_file,
            orphans: Vec::new(),
            oldest_us: None,
            retry_at_us: None,
        };
        Ok((history, positions))
    }

    /// Says which boot the batches given to [`History::push`] belong to.
    pub fn set_boot(&mut self, boot_id: u32) {
        self.boot_id = boot_id;
    }

    /// The reading side.
    pub fn reader(&self) -> HistoryReader {
        HistoryReader::new(self.shared.clone())
    }

    /// Takes a live batch of table `telemetry` into the tail; returns the number of rows taken.
    ///
    /// A batch wholly at or below what was pushed of its shard is ignored, and so is one of another table. A batch
    /// without rows moves the position all the same: so a shard says that the log up to there has nothing more.
    pub fn push(&mut self, batch: &Arc<Batch>, now_us: i64) -> Result<usize, HistoryError> {
        self.push_replayed(self.boot_id, batch, now_us)
    }

    /// As [`History::push`], for a batch replayed from the log, which belongs to the boot that wrote it.
    ///
    /// Cut replayed batches at the positions that [`History::open`] returned: one that lies on both sides is
    /// taken as a whole, and only the rule for duplicates (same device, table, metric and time) then keeps its
    /// rows from counting twice.
    pub fn push_replayed(
        &mut self,
        boot_id: u32,
        batch: &Arc<Batch>,
        now_us: i64,
    ) -> Result<usize, HistoryError> {
        if batch.table != TELEMETRY {
            return Ok(0);
        }
        let view = View::of(batch)?;
        let logged = !batch.offsets.is_empty();
        if logged && !self.pushed.advance(boot_id, batch.shard, batch.offsets.end) {
            return Ok(0);
        }
        if logged || batch.rows > 0 {
            self.oldest_us.get_or_insert(now_us);
        }
        if batch.rows > 0 {
            self.shared.state.lock().tail.push(batch, &view);
        }
        Ok(batch.rows)
    }

    /// True if the tail is large or old enough to be written, and the last failure is long enough ago.
    pub fn is_due(&self, now_us: i64) -> bool {
        let Some(oldest_us) = self.oldest_us else { return false };
        if self.retry_at_us.is_some_and(|retry_at_us| now_us < retry_at_us) {
            return false;
        }
        now_us.saturating_sub(oldest_us) >= self.config.flush_interval_us
            || self.tail_rows() >= self.config.flush_rows
            || self.tail_bytes() >= FLUSH_BYTES
    }

    /// Writes the tail to a file, syncs it and commits the manifest; false if there was nothing to write.
    ///
    /// On an error (disk full, for one) all rows stay in the tail, the manifest is as before, and
    /// [`History::is_due`] waits for a second before it asks again.
    pub fn flush(&mut self, now_us: i64) -> Result<bool, HistoryError> {
        if self.oldest_us.is_none() {
            return Ok(false);
        }
        match self.write_tail() {
            Ok(()) => {
                self.oldest_us = None;
                self.retry_at_us = None;
                Ok(true)
            }
            Err(error) => {
                self.retry_at_us = Some(now_us.saturating_add(RETRY_US));
                Err(error)
            }
        }
    }

    fn write_tail(&mut self) -> Result<(), HistoryError> {
        let (parts, mut manifest) = {
            let mut state = self.shared.state.lock();
            (state.tail.seal(), state.manifest.clone())
        };
        manifest.positions = self.pushed.to_vec();
        let mut new = Vec::new();
        let written = split(&parts).try_for_each(|parts| {
            new.extend(self.write_file(&by_device(parts, |_| true)?)?);
            Ok(())
        });
        manifest.files.extend(new.iter().cloned());
        self.commit(written, manifest, &new, parts.len())
    }

    /// Writes and syncs one file of rows that are together by device; `None` if there are none.
    pub(crate) fn write_file(&mut self, rows: &Rows) -> Result<Option<FileEntry>, HistoryError> {
        let Some(encoded) = encode(rows)? else { return Ok(None) };
        let entry = FileEntry::new(self.next_file, &encoded);
        self.next_file += 1;
        self.shared.files.write_data(&entry.name(), &encoded.bytes)?;
        Ok(Some(entry))
    }

    /// Makes the manifest the valid one, on disk and then for readers, in one step with dropping the parts of the
    /// tail that its `new` files hold. If `written` or the commit failed everything is as before.
    pub(crate) fn commit(
        &mut self,
        written: Result<(), HistoryError>,
        mut manifest: Manifest,
        new: &[FileEntry],
        parts: usize,
    ) -> Result<(), HistoryError> {
        manifest.next_file = self.next_file;
        let files = &self.shared.files;
        if let Err(error) = written.and_then(|()| files.write_manifest(&manifest)) {
            let unused = new.iter().map(|file| Doomed(file.name()));
            // Only while the old manifest is known to count nobody misses the new files.
            if files.read_manifest().is_ok_and(|on_disk| on_disk == self.shared.state.lock().manifest) {
                files.discard_all(unused.collect());
            } else {
                self.orphans.extend(unused);
            }
            return Err(error);
        }
        let (mut doomed, dropped) = {
            let mut state = self.shared.state.lock();
            (state.replace_manifest(manifest), state.tail.drop_first(parts))
        };
        drop(dropped);
        doomed.append(&mut self.orphans);
        files.discard_all(doomed);
        Ok(())
    }

    /// Forgets the positions of boots before this one, when their log is in files and is not replayed again.
    /// Takes effect on disk with the next flush.
    pub fn forget_boots_before(&mut self, boot_id: u32) {
        self.pushed.forget_before(boot_id);
    }

    /// Up to where the log is in files that survive power loss.
    pub fn positions(&self) -> Vec<Position> {
        self.shared.state.lock().manifest.positions.clone()
    }

    /// Rows that are in no file yet: whoever feeds the history stops while they are beyond a bound.
    pub fn tail_rows(&self) -> usize {
        self.shared.state.lock().tail.rows()
    }

    /// About how much memory the tail takes.
    pub fn tail_bytes(&self) -> usize {
        self.shared.state.lock().tail.bytes()
    }
}

/// Runs of parts of at most [`MAX_FILE_ROWS`] rows, at least one part each.
fn split(parts: &[Part]) -> impl Iterator<Item = &[Part]> {
    let mut rest = parts;
    std::iter::from_fn(move || {
        let mut rows = 0;
        let fit = rest
            .iter()
            .take_while(|part| {
                rows += part.rows();
                rows <= MAX_FILE_ROWS
            })
            .count();
        let (run, after) = rest.split_at(fit.max(1).min(rest.len()));
        rest = after;
        (!run.is_empty()).then_some(run)
    })
}
