//! What a table looks like: the built-in `telemetry` and what CREATE TABLE declares.

/// Identifies a table while the gateway runs. `0` is the built-in `telemetry`.
pub type TableId = u32;

/// The type of one column, named as in Flink SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// DOUBLE.
    Double,
    /// BIGINT, and INT widened to 64 bits; `Int` keeps the declared width for wrap-around.
    BigInt,
    /// INT: held in 64 bits, within the range of 32.
    Int,
    /// BOOLEAN.
    Boolean,
    /// STRING.
    Text,
    /// TIMESTAMP(3): microseconds since the epoch, UTC.
    Timestamp,
    /// STRING held as the code of a device.
    Device,
    /// STRING held as the code of a metric.
    Metric,
    /// STRING held as a quality code, see `batch::Quality`.
    Quality,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSchema {
    /// The name, case-sensitive.
    pub name: String,
    /// The type.
    pub kind: ColumnType,
}

/// A typed view of a topic filter: one row per message, columns picked by name.
///
/// A column of kind `Device` is filled from the topic, and the column at `rowtime` from the reading's time
/// (by the rules for times), unless the payload has a member of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// The table's id; never 0, which is `telemetry`.
    pub id: TableId,
    /// The table's name.
    pub name: String,
    /// The MQTT topic filter whose messages are the table's rows.
    pub filter: String,
    /// The columns, in the order of their declaration.
    pub columns: Vec<ColumnSchema>,
    /// The index of the rowtime column, of kind `Timestamp`.
    pub rowtime: usize,
}
