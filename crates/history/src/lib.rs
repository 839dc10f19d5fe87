//! Columns to Parquet: writer, manifest, tail, retention.
//!
//! [`History`] is owned by one thread, which pushes batches of table `telemetry` into the tail and writes the tail to
//! a Parquet file now and then; [`HistoryReader`] gives any thread a consistent cut of files and tail. A row is in the
//! tail or in exactly one file of the manifest, at every moment and after every crash; the log positions that the
//! files cover are committed together with them.

mod config;
mod decode;
mod encode;
mod error;
mod files;
mod filter;
mod history;
#[cfg(test)]
mod history_test;
mod manifest;
mod merge;
#[cfg(test)]
mod model_test;
mod order;
mod position;
mod reader;
mod retention;
mod rows;
mod state;
mod tail;
mod view;

pub use config::HistoryConfig;
pub use error::HistoryError;
pub use filter::Filter;
pub use history::History;
pub use position::Position;
pub use reader::{Cut, HistoryReader, Snapshot, Stats};
