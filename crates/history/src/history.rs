//! The history: takes batches, writes files, commits the manifest. One thread owns it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mohhos_decode::batch::Batch;

use crate::config::HistoryConfig;
use crate::error::HistoryError;

/// Up to where the log is in files, for one shard of one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The boot whose shard it was.
    pub boot_id: u32,
    /// The shard.
    pub shard: u16,
    /// Every row of this shard and boot below this log offset is in a file of the manifest.
    pub end: u64,
}

/// The writing side, owned by the history thread. Batches go in, files come out.
#[derive(Debug)]
pub struct History {}

/// The reading side: cheap to clone, used from any thread.
#[derive(Debug, Clone)]
pub struct HistoryReader {}

/// Which rows a cut is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Device codes; empty for all.
    pub devices: Vec<u32>,
    /// Metric codes; empty for all.
    pub metrics: Vec<u32>,
    /// Event time, inclusive.
    pub from_us: i64,
    /// Event time, exclusive.
    pub to_us: i64,
}

/// All the rows that match a filter at one moment are in these files, and none of the tail is in `files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Files that may hold matching rows (and hold others).
    pub files: Vec<PathBuf>,
    /// The matching rows that are in no file yet, as a file of its own in `tmp/`.
    pub tail_file: Option<PathBuf>,
    /// How many rows the tail file has.
    pub rows_in_tail: usize,
    /// Until [`HistoryReader::release`] none of these files is deleted.
    pub lease: u64,
}

impl History {
    /// Opens or creates the history in a directory. Returns it and up to where the log is in it already: whoever
    /// replays the log gives it everything beyond.
    pub fn open(dir: &Path, config: HistoryConfig) -> Result<(History, Vec<Position>), HistoryError> {
        let _ = (dir, config);
        todo!()
    }

    /// Says which boot the batches of [`History::push`] belong to.
    pub fn set_boot(&mut self, _boot_id: u32) {
        todo!()
    }

    /// The reading side.
    pub fn reader(&self) -> HistoryReader {
        todo!()
    }

    /// Takes a live batch of table `telemetry` into the tail; returns the number of rows taken. A batch at or below
    /// the position of its shard, or of another table, is ignored. A batch without rows only moves the position.
    pub fn push(&mut self, _batch: Arc<Batch>, _now_us: i64) -> Result<usize, HistoryError> {
        todo!()
    }

    /// As [`History::push`], for a batch replayed from the log, which belongs to an earlier boot.
    pub fn push_replayed(
        &mut self,
        _boot_id: u32,
        _batch: Arc<Batch>,
        _now_us: i64,
    ) -> Result<usize, HistoryError> {
        todo!()
    }

    /// True if the tail is large or old enough to be written. `now_us` is from the clock given to `push`, which
    /// must not jump (monotonic).
    pub fn is_due(&self, _now_us: i64) -> bool {
        todo!()
    }

    /// Writes the tail to a file and commits the manifest; false if there was nothing to write. On an error the rows
    /// stay in the tail.
    pub fn flush(&mut self) -> Result<bool, HistoryError> {
        todo!()
    }

    /// Merges one run of small files if there is one; true if it did (call again).
    pub fn compact(&mut self) -> Result<bool, HistoryError> {
        todo!()
    }

    /// Deletes files by age (of arrival) and by size, never leased ones; returns how many. Nothing is deleted while
    /// the clock is not trusted, except for size.
    pub fn retain(&mut self, _wall_us: i64, _clock_trusted: bool) -> Result<usize, HistoryError> {
        todo!()
    }

    /// Forgets the positions of boots before this one: their log is in files and will not be replayed again.
    pub fn forget_boots_before(&mut self, _boot_id: u32) -> Result<(), HistoryError> {
        todo!()
    }

    /// Up to where the log is in files: it may be trimmed up to the smallest.
    pub fn positions(&self) -> Vec<Position> {
        todo!()
    }

    /// Rows not yet in a file: whoever feeds the history stops while this is beyond a bound.
    pub fn tail_rows(&self) -> usize {
        todo!()
    }
}

impl HistoryReader {
    /// A consistent cut: every row pushed so far is in it, none twice. Writes the tail file on this thread.
    pub fn cut(&self, _filter: &Filter) -> Result<Cut, HistoryError> {
        todo!()
    }

    /// Ends a lease: deletes the tail file, and the other files may go.
    pub fn release(&self, _lease: u64) {
        todo!()
    }

    /// Rows not yet in a file.
    pub fn tail_rows(&self) -> usize {
        todo!()
    }
}
