//! What can go wrong, in words for the person who has to act.

use std::path::PathBuf;

/// Why the history could not do something. Rows that were pushed stay in the tail until a file has them.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file system refused; with a full disk the rows stay in the tail and the next flush tries again.
    #[error("history could not {action} {path}: {source}; free space or check the data directory")]
    Io {
        /// What was tried: "write", "read", ...
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A batch does not look like table `telemetry`.
    #[error("a batch for history has an unusable column {0:?}: wrong type or length; it was not stored")]
    Layout(&'static str),
    /// The manifest is there and cannot be used.
    #[error("the history's manifest {path} is unusable: {reason}; restore it from a backup")]
    Manifest {
        /// The manifest's path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A data file is not what was written.
    #[error("history file {name} is damaged: {reason}; restore it from a backup")]
    Damaged {
        /// The file's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Rows could not be turned into a Parquet file.
    #[error("history could not encode rows as Parquet: {0}")]
    Encode(#[from] parquet::errors::ParquetError),
}

impl HistoryError {
    /// True if the disk (or a quota) is full.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, HistoryError::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}
