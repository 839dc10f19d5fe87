//! The batch: rows of one table as columns (Arrow layout), the unit in which data moves after decoding.

use crate::schema::TableId;

/// Which records of the log a batch was made from, as `[first, end)` in log offsets.
///
/// Rows of messages that are not logged (QoS 0) leave it as it is; a batch without any logged row has
/// `first == end == 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OffsetRange {
    /// The offset of the first logged record.
    pub first: u64,
    /// One past the offset of the last logged record.
    pub end: u64,
}

impl OffsetRange {
    /// True if no row of the batch is in the log.
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }
}

/// Rows of one table, column by column. All columns have the same number of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The table; the layout of `telemetry` (id 0) is in [`telemetry`].
    pub table: TableId,
    /// The shard that decoded it. Batches of one shard are in the order of its log offsets.
    pub shard: u16,
    /// The log records it covers.
    pub offsets: OffsetRange,
    /// When its last row arrived, in microseconds of wall time.
    pub arrival_us: i64,
    /// The number of rows.
    pub rows: usize,
    /// The columns, in the order of the table's schema.
    pub columns: Vec<Column>,
}

/// The built-in table `telemetry(device, metric, ts, num, text, quality)`: positions of its columns, plus the
/// one that SQL does not see, `TABLE`: the code of the table name in `devices/{device}/telemetry/{table}`.
pub mod telemetry {
    /// `Data::Code`: the device's code.
    pub const DEVICE: usize = 0;
    /// `Data::Code`: the metric's code.
    pub const METRIC: usize = 1;
    /// `Data::I64`: event time, microseconds UTC.
    pub const TS: usize = 2;
    /// `Data::F64`, NULL where the reading is text. Booleans are 1 and 0.
    pub const NUM: usize = 3;
    /// `Data::Text`, NULL where the reading is a number.
    pub const TEXT: usize = 4;
    /// `Data::Byte`: see [`super::quality`].
    pub const QUALITY: usize = 5;
    /// `Data::Code`: code (in the metrics' dictionary) of the topic's last level; 0 for none.
    pub const TABLE: usize = 6;
    /// The number of columns.
    pub const WIDTH: usize = 7;
}

/// Codes of the column `quality`.
pub mod quality {
    /// The reading's own time and value stand.
    pub const GOOD: u8 = 0;
    /// The reading's time was too far in the future and was replaced by its arrival time.
    pub const CLOCK: u8 = 1;
    /// The names by code, as SQL and the API show them.
    pub const NAMES: [&str; 2] = ["good", "clock"];
}

/// One column: values and which of them are NULL.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The values; a NULL row has some value here, without meaning.
    pub data: Data,
    /// Which rows are not NULL.
    pub validity: Validity,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// DOUBLE.
    F64(Vec<f64>),
    /// BIGINT, INT (within its range) and TIMESTAMP (microseconds UTC).
    I64(Vec<i64>),
    /// BOOLEAN.
    Bool(Vec<bool>),
    /// A code of a dictionary (device, metric).
    Code(Vec<u32>),
    /// A small enumeration (quality).
    Byte(Vec<u8>),
    /// STRING.
    Text(TextData),
}

/// Strings, one after the other, UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextData {
    /// Where each row's string ends in `bytes`; it starts where the row before it ends. Shorter than the
    /// column only if the column is all NULL ([`Validity::None`]).
    pub ends: Vec<u32>,
    /// The bytes of all rows.
    pub bytes: Vec<u8>,
}

impl TextData {
    /// Appends a row.
    pub fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len() as u32);
    }

    /// The string of a row; empty beyond the end.
    pub fn get(&self, row: usize) -> &str {
        let Some(&end) = self.ends.get(row) else { return "" };
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        std::str::from_utf8(&self.bytes[start as usize..end as usize]).unwrap_or("")
    }
}

/// Which rows of a column are not NULL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Validity {
    /// No row is NULL.
    #[default]
    All,
    /// Every row is NULL; the data may be empty.
    None,
    /// One bit per row, least significant first, 1 where the row is not NULL.
    Bits(Vec<u64>),
}

impl Validity {
    /// Is the row not NULL?
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        match self {
            Validity::All => true,
            Validity::None => false,
            Validity::Bits(words) => words.get(row / 64).is_some_and(|w| w >> (row % 64) & 1 == 1),
        }
    }
}

impl Batch {
    /// The column as doubles, or `None` if it holds something else.
    pub fn f64s(&self, column: usize) -> Option<&[f64]> {
        match &self.columns.get(column)?.data {
            Data::F64(v) => Some(v),
            _ => None,
        }
    }

    /// The column as 64-bit integers, or `None` if it holds something else.
    pub fn i64s(&self, column: usize) -> Option<&[i64]> {
        match &self.columns.get(column)?.data {
            Data::I64(v) => Some(v),
            _ => None,
        }
    }

    /// The column as codes, or `None` if it holds something else.
    pub fn codes(&self, column: usize) -> Option<&[u32]> {
        match &self.columns.get(column)?.data {
            Data::Code(v) => Some(v),
            _ => None,
        }
    }

    /// The column as bytes, or `None` if it holds something else.
    pub fn bytes(&self, column: usize) -> Option<&[u8]> {
        match &self.columns.get(column)?.data {
            Data::Byte(v) => Some(v),
            _ => None,
        }
    }
}
