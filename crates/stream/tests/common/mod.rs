//! What the tests of the engine share: batches of telemetry, plans, and outputs that remember.

#![allow(dead_code)] // Each test file uses a part of it.

use std::sync::Arc;

use mohhos_decode::{Batch, Column, Data, Names, OffsetRange, TextData, Validity, telemetry};
use mohhos_stream::{
    AlertOut, AlertState, CommandOut, Engine, EngineConfig, EngineNames, MessageOut, OutputId, Outputs,
};
use serde_json::{Value as Json, json};

pub const SECOND: i64 = 1_000_000;
pub const IDLE: i64 = 60 * SECOND;

/// Devices `d1` … `d9` and metrics `m1` … `m9`.
pub fn names() -> EngineNames {
    let (devices, metrics) = (Names::new(), Names::new());
    for code in 1..10 {
        devices.insert(code, &format!("d{code}"));
        metrics.insert(code, &format!("m{code}"));
    }
    EngineNames { devices: Arc::new(devices), metrics: Arc::new(metrics) }
}

pub fn engine() -> Engine {
    Engine::new(names(), EngineConfig { idle_timeout_us: IDLE, max_state_bytes: 1 << 22 })
}

/// One reading: device, metric, time, number.
pub type Row = (u32, u32, i64, Option<f64>);

pub fn batch(rows: &[Row]) -> Batch {
    let column = |data| Column { data, validity: Validity::All };
    let mut bits = vec![0u64; rows.len().div_ceil(64)];
    for (row, reading) in rows.iter().enumerate() {
        bits[row / 64] |= u64::from(reading.3.is_some()) << (row % 64);
    }
    let validity = if rows.iter().all(|r| r.3.is_some()) { Validity::All } else { Validity::Bits(bits) };
    let mut columns = vec![column(Data::Bool(Vec::new())); telemetry::WIDTH];
    columns[telemetry::DEVICE] = column(Data::Code(rows.iter().map(|r| r.0).collect()));
    columns[telemetry::METRIC] = column(Data::Code(rows.iter().map(|r| r.1).collect()));
    columns[telemetry::TS] = column(Data::I64(rows.iter().map(|r| r.2).collect()));
    columns[telemetry::NUM] =
        Column { data: Data::F64(rows.iter().map(|r| r.3.unwrap_or(0.0)).collect()), validity };
    columns[telemetry::TEXT] = Column { data: Data::Text(TextData::default()), validity: Validity::None };
    columns[telemetry::QUALITY] = column(Data::Byte(vec![0; rows.len()]));
    columns[telemetry::TABLE] = column(Data::Code(vec![0; rows.len()]));
    Batch { table: 0, shard: 0, offsets: OffsetRange::default(), arrival_us: 0, rows: rows.len(), columns }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub id: OutputId,
    pub device: String,
    pub severity: String,
    pub state: AlertState,
    pub message: String,
    pub num: Option<f64>,
    pub ts: i64,
    pub json: Json,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Seen {
    pub alerts: Vec<Alert>,
    /// Device, JSON.
    pub commands: Vec<(String, Json)>,
    /// Topic, JSON, id.
    pub messages: Vec<(String, Json, OutputId)>,
    pub failed: Vec<String>,
    pub rows_failed: Vec<(u64, String)>,
}

impl Outputs for Seen {
    fn alert(&mut self, alert: &AlertOut<'_>) {
        self.alerts.push(Alert {
            id: alert.id,
            device: alert.device_name.into(),
            severity: alert.severity.into(),
            state: alert.state,
            message: alert.message.into(),
            num: alert.num,
            ts: alert.ts,
            json: serde_json::from_slice(&alert.to_json()).unwrap(),
        });
    }

    fn command(&mut self, command: &CommandOut<'_>) {
        let json = serde_json::from_slice(&command.to_json()).unwrap();
        self.commands.push((command.device_name.into(), json));
    }

    fn message(&mut self, message: &MessageOut<'_>) {
        let json = serde_json::from_slice(message.payload).unwrap();
        self.messages.push((message.topic.into(), json, message.id));
    }

    fn failed(&mut self, rule: &str, message: &str) {
        self.failed.push(format!("{rule}: {message}"));
    }

    fn rows_failed(&mut self, _: &str, count: u64, message: &str) {
        self.rows_failed.push((count, message.into()));
    }
}

impl Seen {
    /// The JSON objects of the messages, one per line, and none of them any more.
    pub fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages).into_iter().map(|(_, json, _)| json.to_string()).collect()
    }
}

pub fn col(name: &str) -> Json {
    json!({"e": "column", "name": name})
}

pub fn lit(kind: &str, value: impl Into<Json>) -> Json {
    json!({"e": "literal", "type": kind, "value": value.into()})
}

pub fn call(function: &str, args: Vec<Json>) -> Json {
    json!({"e": "call", "function": function, "args": args})
}

pub fn source(watermark: Json) -> Json {
    json!({"op": "source", "id": "source", "table": 0, "rowtime": "ts", "watermark": watermark, "columns": [
        {"name": "device", "type": "DEVICE"}, {"name": "metric", "type": "METRIC"},
        {"name": "ts", "type": "TIMESTAMP(3)"}, {"name": "num", "type": "DOUBLE"},
        {"name": "text", "type": "STRING"}, {"name": "quality", "type": "QUALITY"},
        {"name": "table", "type": "METRIC"}]})
}

pub fn plan(rule: &str, version: u32, operators: Vec<Json>, sink: Json) -> String {
    json!({"version": 1, "rule": rule, "rule_version": version, "operators": operators, "sink": sink})
        .to_string()
}

/// A topic sink of these columns.
pub fn topic(input: &str, time: &str, columns: &[&str]) -> Json {
    let columns: Vec<Json> = columns.iter().map(|c| json!({"column": c, "as": c})).collect();
    json!({"kind": "topic", "id": "sink", "input": input, "time": time, "topic": "out", "columns": columns})
}

/// Ten-second windows with a count and a sum per key.
pub fn windows(watermark: Json, keys: &[&str]) -> String {
    let tumble = json!({"op": "tumble", "id": "tumble", "input": "source", "time": "ts", "size_us": 10 * SECOND,
        "keys": keys, "aggregates": [
            {"name": "n", "type": "BIGINT", "function": "COUNT"},
            {"name": "total", "type": "DOUBLE", "function": "SUM", "argument": col("num")}]});
    let mut columns = keys.to_vec();
    columns.extend(["n", "total", "window_start"]);
    plan("r", 1, vec![source(watermark), tumble], topic("tumble", "window_time", &columns))
}

pub fn by_device() -> String {
    windows(json!({"delay_us": 2 * SECOND}), &["device"])
}
