//! Payload bytes to columns: the batch, the decoders, the dictionaries of codes.

#![warn(missing_docs)]

pub mod batch;
pub mod names;
pub mod schema;

pub use batch::{Batch, Column, Data, OffsetRange, TextData, Validity, telemetry};
pub use names::Names;
pub use schema::{ColumnSchema, ColumnType, TableId, TableSchema};
