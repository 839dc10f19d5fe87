//! Columns to Parquet: writer, manifest, tail, retention.

mod config;
mod encode;
mod error;
mod history;
mod mask;
mod order;
mod rows;

pub use config::HistoryConfig;
pub use error::HistoryError;
pub use history::{Cut, Filter, History, HistoryReader, Position};
