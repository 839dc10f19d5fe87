//! What can go wrong with the log, in words for people.

use std::io;
use std::sync::Arc;

use thiserror::Error;

use crate::format::LOG_VERSION;

/// Why the log cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The files are those of a later program.
    #[error(
        "log segment {file} has format version {version}, this program reads version {LOG_VERSION}: \
         start the newer program, or restore a backup made by this one"
    )]
    NewerFormat {
        /// The segment.
        file: String,
        /// Its version.
        version: u32,
    },
    /// The disk failed.
    #[error(
        "the log could not be opened while {doing}: {source}; check the disk, its free space and permissions"
    )]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> OpenError {
        let doing = doing.into();
        move |source| OpenError::Io { doing, source }
    }
}

/// Why records were not taken. None of them was appended.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AppendError {
    /// More than the configured bytes wait for their commit; try again after the next one.
    #[error("the log has its buffer full of records that wait for the disk; try again after the next commit")]
    Full,
    /// The disk takes nothing, and no more than waits for it already can wait. The log tries again by itself.
    #[error("the log cannot write: {0}; it goes on by itself when the disk does")]
    Stalled(Arc<str>),
    /// These records alone are more than a log can take at once.
    #[error("{0} bytes of records at once are more than the log takes (1 GiB): append them in parts")]
    TooLarge(usize),
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

/// Why a record cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Retention removed these records. A reader stands behind them.
    #[error("the log from {from} to {to} was trimmed by retention")]
    Trimmed {
        /// The first offset that is gone.
        from: u64,
        /// Where the log goes on.
        to: u64,
    },
    /// These bytes are not what was written. A reader stands behind them.
    #[error("the log is damaged from {from} to {to} ({file}): {reason}; check the disk")]
    Damaged {
        /// The first offset that cannot be read.
        from: u64,
        /// Where the log goes on.
        to: u64,
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The offset was never handed out by this log.
    #[error(
        "offset {offset} is beyond the end of the log at {end}: it belongs to another log, \
         perhaps one that was there before a backup was restored"
    )]
    Beyond {
        /// What was asked for.
        offset: u64,
        /// Where the log ends.
        end: u64,
    },
    /// The record is not committed yet.
    #[error("the record at {0} is not committed yet")]
    NotCommitted(u64),
    /// The disk failed.
    #[error("the log could not be read at {offset} ({file}): {source}")]
    Io {
        /// Where.
        offset: u64,
        /// The file.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Records that were appended and never got on disk.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the log was closed with {bytes} bytes that could not be written: {reason}")]
pub struct CloseError {
    /// How many bytes.
    pub bytes: u64,
    /// What the disk said.
    pub reason: Arc<str>,
}
