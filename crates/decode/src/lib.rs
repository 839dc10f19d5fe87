//! Payload bytes to columns: the batch, the decoders, the dictionaries of codes.
//!
//! A shard owns one [`Decoders`] and one builder per table. Per message it calls [`Decoders::telemetry`] or
//! [`Decoders::row`]; from time to time it takes the batch with `finish`. What cannot be decoded goes to
//! [`DeadLetters`].

#![warn(missing_docs)]

pub mod batch;
mod builder;
mod dead_letter;
mod decoders;
mod error;
mod flat;
mod format;
mod json;
mod message;
pub mod names;
pub mod schema;
mod senml;
mod shape;
mod sink;
mod table;
mod telemetry_sink;
#[cfg(test)]
mod testing;
mod time;

pub use batch::{Batch, Column, Data, OffsetRange, TextData, Validity, telemetry};
pub use builder::{BatchBuilder, TelemetryRow, TelemetryValue};
pub use dead_letter::{DeadLetter, DeadLetters, HEAD_BYTES};
pub use decoders::Decoders;
pub use error::{DecodeError, Reason};
pub use format::Decoder;
pub use message::{Arrivals, Decoded, DeviceState, MAX_FUTURE_US, Message, MetricResolver};
pub use names::Names;
pub use schema::{ColumnSchema, ColumnType, TableId, TableSchema};
pub use shape::ShapeRef;
pub use sink::{Composite, Name, Reading, Sink, Time, Value};
pub use table::TableBuilder;
pub use telemetry_sink::MAX_NAME;
