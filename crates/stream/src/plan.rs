//! The plan of a rule: versioned JSON, made in Python from SQL, executed here. Described in `docs/plan.md`.
//!
//! This module holds the shape alone. Whether columns exist and types fit is checked once, at deployment,
//! before the rule runs.

use serde::{Deserialize, Serialize};

/// The version of the format that this build writes and reads.
pub const PLAN_VERSION: u32 = 1;

/// The type of a column or an expression, spelled as in SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// 64-bit floating point.
    #[serde(rename = "DOUBLE")]
    Double,
    /// 32-bit integer that wraps.
    #[serde(rename = "INT")]
    Int,
    /// 64-bit integer that wraps.
    #[serde(rename = "BIGINT")]
    BigInt,
    /// TRUE, FALSE or NULL.
    #[serde(rename = "BOOLEAN")]
    Boolean,
    /// UTF-8 text.
    #[serde(rename = "STRING")]
    Text,
    /// Microseconds since the epoch inside, milliseconds wherever SQL sees it.
    #[serde(rename = "TIMESTAMP(3)")]
    Timestamp,
    /// A STRING held as the code of a device.
    #[serde(rename = "DEVICE")]
    Device,
    /// A STRING held as the code of a metric.
    #[serde(rename = "METRIC")]
    Metric,
    /// A STRING held as the code of a quality.
    #[serde(rename = "QUALITY")]
    Quality,
}

/// A rule, ready to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// The rule's name.
    pub rule: String,
    /// The rule's version.
    pub rule_version: u32,
    /// The operators; each stands after those it reads.
    pub operators: Vec<OperatorSpec>,
    /// Where the rows go.
    pub sink: SinkSpec,
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum OperatorSpec {
    /// Rows of a table.
    Source(SourceSpec),
    /// Keeps the rows for which the condition is TRUE.
    Filter(FilterSpec),
    /// Computes columns.
    Project(ProjectSpec),
    /// Aggregates over windows `[start, start + size)` of event time.
    Tumble(TumbleSpec),
}

impl OperatorSpec {
    /// The id: unique in the plan and stable, for the state in a snapshot is found by it.
    pub fn id(&self) -> &str {
        match self {
            OperatorSpec::Source(s) => &s.id,
            OperatorSpec::Filter(s) => &s.id,
            OperatorSpec::Project(s) => &s.id,
            OperatorSpec::Tumble(s) => &s.id,
        }
    }
}

/// Rows of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// The operator's id.
    pub id: String,
    /// The table's id; 0 is `telemetry`.
    pub table: u32,
    /// The columns the rule uses, by name, with the types the planner saw; any subset in any order.
    pub columns: Vec<ColumnSpec>,
    /// The column that carries event time; it must be among `columns`.
    pub rowtime: String,
    /// How event time proceeds.
    pub watermark: WatermarkSpec,
}

/// A column and its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// The name, case-sensitive.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: Type,
}

/// How event time proceeds: `WATERMARK FOR ts AS ts - delay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatermarkSpec {
    /// How far rows may be out of order.
    pub delay_us: i64,
    /// One watermark per device, or one for the table as in Flink.
    #[serde(default)]
    pub scope: Scope,
    /// After how long without rows the watermark follows the gateway's clock. Absent or null: the engine's setting
    /// for scope `device`, never for scope `table`.
    #[serde(default)]
    pub idle_timeout_us: Option<i64>,
}

/// Whose rows move a watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Each device has its own. A window without the device among its keys uses the table's.
    #[default]
    Device,
    /// One for all.
    Table,
}

/// Keeps the rows for which the condition is TRUE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterSpec {
    /// The operator's id.
    pub id: String,
    /// The operator it reads.
    pub input: String,
    /// BOOLEAN.
    pub condition: Expr,
}

/// Computes columns; only these exist afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectSpec {
    /// The operator's id.
    pub id: String,
    /// The operator it reads.
    pub input: String,
    /// The columns in order.
    pub columns: Vec<ProjectColumn>,
}

/// A computed column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectColumn {
    /// The name.
    pub name: String,
    /// The type the planner derived; deployment fails if it is another one here.
    #[serde(rename = "type")]
    pub kind: Type,
    /// How it is computed.
    pub expr: Expr,
}

/// Tumbling windows. The output has the keys, the aggregates, and `window_start`, `window_end`, `window_time`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TumbleSpec {
    /// The operator's id.
    pub id: String,
    /// The operator it reads.
    pub input: String,
    /// The event time, a column of the input that is the source's rowtime.
    pub time: String,
    /// The length; a multiple of one millisecond.
    pub size_us: i64,
    /// Windows begin at `offset + n * size`; smaller than the size.
    #[serde(default)]
    pub offset_us: i64,
    /// Columns of the input.
    pub keys: Vec<String>,
    /// What is computed per key and window.
    pub aggregates: Vec<AggregateSpec>,
}

/// One aggregate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateSpec {
    /// The name of the column.
    pub name: String,
    /// The type the planner derived.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Which.
    pub function: Aggregate,
    /// What is aggregated; absent or null for COUNT(*) alone.
    #[serde(default)]
    pub argument: Option<Expr>,
    /// FILTER (WHERE …); BOOLEAN.
    #[serde(default)]
    pub filter: Option<Expr>,
}

/// The aggregates. NULL arguments are skipped; without any value all but COUNT are NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Aggregate {
    /// BIGINT.
    Count,
    /// The argument's type; INT and BIGINT wrap.
    Sum,
    /// The argument's type; integers truncate.
    Avg,
    /// The argument's type.
    Min,
    /// The argument's type.
    Max,
    /// The argument's type; integers truncate.
    StddevPop,
    /// As `STDDEV_POP`, NULL for a single value.
    StddevSamp,
    /// The argument's type; integers truncate.
    VarPop,
    /// As `VAR_POP`, NULL for a single value.
    VarSamp,
}

/// An expression. Its type follows from its parts, see `docs/plan.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "e", rename_all = "lowercase", deny_unknown_fields)]
pub enum Expr {
    /// A column of the input.
    Column {
        /// Its name.
        name: String,
    },
    /// A constant: null, true, 1, 1.5, "text"; DOUBLE also "NaN", "Infinity", "-Infinity"; TIMESTAMP(3) an
    /// integer in microseconds.
    Literal {
        /// DOUBLE, INT, BIGINT, BOOLEAN, STRING or TIMESTAMP(3).
        #[serde(rename = "type")]
        kind: Type,
        /// The value.
        value: serde_json::Value,
    },
    /// A function or operator.
    Call {
        /// Its name, as listed in `docs/plan.md`.
        function: String,
        /// The arguments.
        args: Vec<Expr>,
        /// The target of CAST and TRY_CAST.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        kind: Option<Type>,
    },
}

/// Where the rows go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SinkSpec {
    /// The columns device, severity, dedup_key, state, message and num of the input.
    Alerts(TableSinkSpec),
    /// The columns device, name, parameters and deadline of the input.
    Commands(TableSinkSpec),
    /// A JSON object per row.
    Topic(TopicSpec),
}

/// A built-in table that rows are inserted into, columns found by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSinkSpec {
    /// Unique among the operators' ids.
    pub id: String,
    /// The operator it reads.
    pub input: String,
    /// The TIMESTAMP(3) column with the row's time (`ts`, `window_time`); part of the row's id.
    pub time: String,
}

/// A JSON object per row to a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSpec {
    /// Unique among the operators' ids.
    pub id: String,
    /// The operator it reads.
    pub input: String,
    /// The TIMESTAMP(3) column with the row's time; part of the row's id.
    pub time: String,
    /// The topic, if it is the same for all rows; else `topic_column`.
    #[serde(default)]
    pub topic: Option<String>,
    /// The STRING column with the topic.
    #[serde(default)]
    pub topic_column: Option<String>,
    /// The DEVICE or STRING column with the device that the message concerns.
    #[serde(default)]
    pub device_column: Option<String>,
    /// The members of the object, in order.
    pub columns: Vec<PayloadColumn>,
    /// 0, 1 or 2.
    #[serde(default = "one")]
    pub qos: u8,
    /// Whether the hub keeps the last one.
    #[serde(default)]
    pub retain: bool,
}

/// A member of the JSON object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadColumn {
    /// The column of the input.
    pub column: String,
    /// The member's name.
    #[serde(rename = "as")]
    pub member: String,
}

fn one() -> u8 {
    1
}
