//! What rules produce, and how it is written as JSON. Described in `docs/plan.md`, "Payloads".

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt::Write;

use crate::java;

/// Takes what rules produce. Everything is borrowed for the call.
pub trait Outputs {
    /// A rule raised or cleared an alert.
    fn alert(&mut self, alert: &AlertOut<'_>);
    /// A rule commands a device.
    fn command(&mut self, command: &CommandOut<'_>);
    /// A rule publishes a message.
    fn message(&mut self, message: &MessageOut<'_>);
    /// A rule cannot go on and was stopped.
    fn failed(&mut self, rule: &str, message: &str);
    /// `count` rows of a rule could not be taken by its sink; the first for this reason. The rule goes on.
    fn rows_failed(&mut self, rule: &str, count: u64, message: &str);
}

/// Identifies an output for ever: replaying the same rows through the same version of a rule gives the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutputId(pub [u8; 16]);

impl std::fmt::Display for OutputId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl OutputId {
    /// The first 16 bytes of SHA-256 over all parts, each behind its length.
    pub(crate) fn of(rule: &str, version: u32, ts: i64, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(rule.as_bytes());
        part(&version.to_le_bytes());
        part(&ts.to_le_bytes());
        parts.iter().for_each(|bytes| part(bytes));
        let digest = hash.finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

/// Whether an alert begins or is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// It begins, or is still there.
    Raise,
    /// It is over.
    Clear,
}

impl AlertState {
    /// As in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Raise => "raise",
            AlertState::Clear => "clear",
        }
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertOut<'a> {
    /// Its id.
    pub id: OutputId,
    /// The rule.
    pub rule: &'a str,
    /// The rule's version.
    pub rule_version: u32,
    /// The device's code; 0 if it concerns none.
    pub device: u32,
    /// The device's name; "" if it concerns none.
    pub device_name: &'a str,
    /// `info`, `warning` or `critical`.
    pub severity: &'a str,
    /// Alerts of one rule, device and key are one alert.
    pub dedup_key: &'a str,
    /// Whether it begins or is over.
    pub state: AlertState,
    /// Words for people.
    pub message: &'a str,
    /// The value that raised it.
    pub num: Option<f64>,
    /// The row's time, microseconds.
    pub ts: i64,
}

impl AlertOut<'_> {
    /// The payload on `gateway/alerts/{rule}/{device}`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = JsonObject::new();
        json.string("id", &self.id.to_string());
        json.string("rule", self.rule);
        json.integer("version", i64::from(self.rule_version));
        json.string_or_null("device", self.device_name);
        json.integer("ts", self.ts);
        json.string("severity", self.severity);
        json.string("dedup_key", self.dedup_key);
        json.string("state", self.state.as_str());
        json.string("message", self.message);
        match self.num {
            Some(num) if num.is_finite() => json.double("num", num),
            _ => json.null("num"),
        }
        json.finish()
    }
}

/// A command to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandOut<'a> {
    /// Its id, which is the command id in the topic.
    pub id: OutputId,
    /// The rule.
    pub rule: &'a str,
    /// The rule's version.
    pub rule_version: u32,
    /// The device's code.
    pub device: u32,
    /// The device's name.
    pub device_name: &'a str,
    /// What to do.
    pub name: &'a str,
    /// A JSON value.
    pub parameters: &'a str,
    /// After which it is no longer to be done, microseconds.
    pub deadline: Option<i64>,
    /// The row's time, microseconds.
    pub ts: i64,
}

impl CommandOut<'_> {
    /// The payload on `devices/{device}/commands/{id}`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = JsonObject::new();
        json.string("id", &self.id.to_string());
        json.string("name", self.name);
        json.raw("parameters", self.parameters);
        match self.deadline {
            Some(deadline) => json.integer("deadline", deadline),
            None => json.null("deadline"),
        }
        json.string("rule", self.rule);
        json.integer("version", i64::from(self.rule_version));
        json.integer("ts", self.ts);
        json.finish()
    }
}

/// A message to a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageOut<'a> {
    /// Its id.
    pub id: OutputId,
    /// The rule.
    pub rule: &'a str,
    /// The topic, valid for publishing.
    pub topic: &'a str,
    /// The code of the device it concerns; 0 for none.
    pub device: u32,
    /// The device's name; "" for none.
    pub device_name: &'a str,
    /// A JSON object.
    pub payload: &'a [u8],
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether the hub keeps the last one.
    pub retain: bool,
    /// The row's time, microseconds.
    pub ts: i64,
}

/// Is it JSON?
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Writes a JSON object, member by member.
#[derive(Debug)]
pub(crate) struct JsonObject {
    text: String,
}

impl JsonObject {
    pub(crate) fn new() -> Self {
        Self { text: String::from("{") }
    }

    fn member(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        push_json_string(&mut self.text, name);
        self.text.push(':');
    }

    pub(crate) fn string(&mut self, name: &str, value: &str) {
        self.member(name);
        push_json_string(&mut self.text, value);
    }

    fn string_or_null(&mut self, name: &str, value: &str) {
        if value.is_empty() { self.null(name) } else { self.string(name, value) }
    }

    pub(crate) fn integer(&mut self, name: &str, value: i64) {
        self.member(name);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{value}");
    }

    /// A finite number as it is; others, which JSON does not have, as strings, as Flink writes them.
    pub(crate) fn double(&mut self, name: &str, value: f64) {
        self.member(name);
        let quote = if value.is_finite() { "" } else { "\"" };
        self.text.push_str(quote);
        java::push_double(&mut self.text, value);
        self.text.push_str(quote);
    }

    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.member(name);
        self.text.push_str(if value { "true" } else { "false" });
    }

    pub(crate) fn time(&mut self, name: &str, us: i64) {
        self.member(name);
        self.text.push('"');
        java::push_iso(&mut self.text, us);
        self.text.push('"');
    }

    pub(crate) fn null(&mut self, name: &str) {
        self.member(name);
        self.text.push_str("null");
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.member(name);
        self.text.push_str(json);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.text.push('}');
        self.text.into_bytes()
    }
}

fn push_json_string(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
