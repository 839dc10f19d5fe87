//! The reading side: consistent cuts of files and tail, for whoever queries.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use mohhos_log::Fs;

use crate::encode::encode;
use crate::error::HistoryError;
use crate::filter::Filter;
use crate::manifest::{FileEntry, Manifest};
use crate::position::Position;
use crate::state::Shared;
use crate::tail::Part;

/// The reading side: cheap to clone, used from any thread.
#[derive(Debug, Clone)]
pub struct HistoryReader {
    shared: Arc<Shared>,
}

/// All rows that match a filter at one moment: those in `files` and those in `tail_file`, no pushed row in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Files that may hold matching rows, among others.
    pub files: Vec<PathBuf>,
    /// The matching rows that were in no file yet, as a file of the same layout.
    pub tail_file: Option<PathBuf>,
    /// How many rows the tail file has.
    pub rows_in_tail: usize,
    /// None of these files is deleted before [`HistoryReader::release`].
    pub lease: u64,
}

/// What a backup copies: the files, and the manifest that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// All the files of the manifest; they never change.
    pub files: Vec<PathBuf>,
    /// None of the files is deleted before [`HistoryReader::release`].
    pub lease: u64,
    manifest: Manifest,
}

impl Snapshot {
    /// Writes the manifest into a directory to which the files have been copied and synced.
    pub fn write_manifest(&self, fs: &dyn Fs) -> io::Result<()> {
        fs.sync_dir()?;
        self.manifest.write(fs)
    }

    /// Up to where the files cover the log.
    pub fn positions(&self) -> &[Position] {
        &self.manifest.positions
    }
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Files in the manifest.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows.
    pub rows: u64,
    /// Rows in no file yet.
    pub tail_rows: usize,
    /// About how much memory those take.
    pub tail_bytes: usize,
    /// Cuts that are not released yet.
    pub leases: usize,
}

impl HistoryReader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        HistoryReader { shared }
    }

    /// A consistent cut: every row pushed before this call is in it. The tail file is written on this thread, without
    /// holding up the history thread.
    pub fn cut(&self, filter: &Filter) -> Result<Cut, HistoryError> {
        let (files, parts, lease) = {
            let mut state = self.shared.state.lock();
            let files: Vec<FileEntry> =
                state.manifest.files.iter().filter(|file| filter.may_match(file)).cloned().collect();
            let lease = state.lease(&files);
            (files, state.tail.snapshot(), lease)
        };
        let files = files.iter().map(|file| self.shared.files.path(&file.name())).collect();
        match self.write_tail_file(filter, &parts, lease) {
            Ok((tail_file, rows_in_tail)) => Ok(Cut { files, tail_file, rows_in_tail, lease }),
            Err(error) => {
                self.release(lease);
                Err(error)
            }
        }
    }

    fn write_tail_file(
        &self,
        filter: &Filter,
        parts: &[Part],
        lease: u64,
    ) -> Result<(Option<PathBuf>, usize), HistoryError> {
        let Some(encoded) = encode(&filter.gather(parts)?)? else { return Ok((None, 0)) };
        let name = format!("cut-{lease}.parquet");
        let path = self.shared.files.write_temporary(&name, &encoded.bytes)?;
        self.shared.state.lock().add_tail_file(lease, name);
        Ok((Some(path), encoded.extent.rows as usize))
    }

    /// Ends a lease: the tail file is deleted, and the other files may be. Unknown leases are ignored.
    pub fn release(&self, lease: u64) {
        let doomed = self.shared.state.lock().end_lease(lease);
        self.shared.files.discard_all(doomed);
    }

    /// What a backup has to copy to hold everything that is in files now; flush before it to have the tail too.
    pub fn snapshot(&self) -> Snapshot {
        let mut state = self.shared.state.lock();
        let manifest = state.manifest.clone();
        let lease = state.lease(&manifest.files);
        drop(state);
        let files = manifest.files.iter().map(|file| self.shared.files.path(&file.name())).collect();
        Snapshot { files, lease, manifest }
    }

    /// Rows that are in no file yet.
    pub fn tail_rows(&self) -> usize {
        self.shared.state.lock().tail.rows()
    }

    /// How much there is.
    pub fn stats(&self) -> Stats {
        let state = self.shared.state.lock();
        Stats {
            files: state.manifest.files.len(),
            bytes: state.manifest.files.iter().map(|file| file.bytes).sum(),
            rows: state.manifest.files.iter().map(|file| file.rows).sum(),
            tail_rows: state.tail.rows(),
            tail_bytes: state.tail.bytes(),
            leases: state.leases(),
        }
    }
}
