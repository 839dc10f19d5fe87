//! The log: segments, group commit, recovery, over an injectable file layer.
//!
//! - [`Log`] is the durable record of what was accepted; [`RecordBuffer`] is what is appended, [`Reader`] reads it.
//! - [`Dictionary`] maps names to codes, durably.
//! - [`write_atomic`] and [`read_atomic`] keep small checkpoints.
//! - [`DataDir`] is the directory that one gateway owns.
//!
//! No clock is read here for what gets written: times come with the records.

mod aligned;
mod atomic_file;
mod class;
mod config;
mod copy;
mod data_dir;
mod dictionary;
mod error;
mod format;
pub mod fs;
mod index;
mod log;
mod reader;
pub mod record;
mod recovery;
mod retention;
mod rewrite;
mod scan;
mod scheduling;
mod segment;
mod shared;
mod spares;
mod stats;
pub mod testing;
mod writer;

pub use atomic_file::{AtomicFileError, read_atomic, write_atomic};
pub use class::{Class, ClassError, Classes, DEFAULT_CLASS, MAX_CLASSES};
pub use config::LogConfig;
pub use data_dir::{DATA_FORMAT, DataDir, DataDirError};
pub use dictionary::{Dictionary, DictionaryError};
pub use error::{AppendError, CloseError, OpenError, ReadError};
pub use format::LOG_VERSION;
pub use fs::{File, Fs, OsFs};
pub use log::Log;
pub use reader::Reader;
pub use record::{Fields, Flags, Kind, RecordBuffer, RecordError, RecordView};
pub use recovery::{DamagedRange, Recovery};
pub use retention::Trimmed;
pub use scheduling::prefer_latency;
pub use shared::StallCallback;
pub use stats::{LATENCY_BUCKETS, LogStats};
