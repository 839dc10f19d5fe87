//! What the tests of several files share.

use std::collections::HashMap;

use crate::{
    Batch, BatchBuilder, Data, DecodeError, Decoded, Decoders, DeviceState, MAX_FUTURE_US, Message,
    MetricResolver, OffsetRange, Reason, telemetry,
};

/// When all messages of the tests arrive: 2026-03-01T08:30:00Z.
pub(crate) const NOW: i64 = 1_772_353_800_000_000;

/// Names in the order of their codes, from 1; knows how often it was asked.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) codes: HashMap<String, u32>,
    pub(crate) limit: usize,
    pub(crate) asked: usize,
}

impl MetricResolver for Metrics {
    fn code(&mut self, _device: u32, name: &str) -> Option<u32> {
        self.asked += 1;
        let next = self.codes.len() as u32 + 1;
        match self.codes.get(name) {
            Some(code) => Some(*code),
            None if self.codes.len() >= self.limit => None,
            None => Some(*self.codes.entry(name.to_owned()).or_insert(next)),
        }
    }
}

/// One row as a test wants to see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) metric: String,
    pub(crate) num: Option<f64>,
    pub(crate) text: Option<String>,
    pub(crate) ts: i64,
    pub(crate) quality: u8,
}

pub(crate) fn num(metric: &str, value: f64, ts: i64) -> Row {
    Row { metric: metric.to_owned(), num: Some(value), text: None, ts, quality: 0 }
}

pub(crate) fn text(metric: &str, value: &str, ts: i64) -> Row {
    Row { metric: metric.to_owned(), num: None, text: Some(value.to_owned()), ts, quality: 0 }
}

/// A device `pump-1` that sends telemetry.
pub(crate) struct Bench {
    pub(crate) decoders: Decoders,
    pub(crate) builder: BatchBuilder,
    pub(crate) device: DeviceState,
    pub(crate) metrics: Metrics,
    pub(crate) device_id: &'static str,
    pub(crate) content_type: &'static str,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            decoders: Decoders::new(),
            builder: BatchBuilder::default(),
            device: DeviceState::default(),
            metrics: Metrics { codes: HashMap::new(), limit: 1000, asked: 0 },
            device_id: "pump-1",
            content_type: "",
        }
    }
}

pub(crate) fn message(payload: &[u8]) -> Message<'_> {
    Message {
        payload,
        content_type: "",
        device: 7,
        device_id: "pump-1",
        table: 0,
        arrival_us: NOW,
        max_future_us: MAX_FUTURE_US,
    }
}

impl Bench {
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Result<Decoded, DecodeError> {
        let message =
            Message { device_id: self.device_id, content_type: self.content_type, ..message(payload) };
        self.decoders.telemetry(&message, &mut self.device, &mut self.metrics, &mut self.builder)
    }

    pub(crate) fn reason(&mut self, payload: &str) -> Option<Reason> {
        self.decode(payload.as_bytes()).err().map(|error| error.reason)
    }

    /// The rows of one message.
    pub(crate) fn rows(&mut self, payload: &str) -> Vec<Row> {
        let decoded = self.decode(payload.as_bytes()).unwrap();
        let rows = self.take();
        assert_eq!(rows.len(), decoded.rows);
        rows
    }

    /// All rows since the last time.
    pub(crate) fn take(&mut self) -> Vec<Row> {
        let batch = self.builder.finish(0, OffsetRange::default(), NOW);
        let names: HashMap<u32, &str> =
            self.metrics.codes.iter().map(|(name, code)| (*code, name.as_str())).collect();
        (0..batch.rows).map(|row| row_of(&batch, &names, row)).collect()
    }
}

fn row_of(batch: &Batch, names: &HashMap<u32, &str>, row: usize) -> Row {
    assert_eq!(batch.codes(telemetry::DEVICE).unwrap()[row], 7);
    let num = &batch.columns[telemetry::NUM];
    let text = &batch.columns[telemetry::TEXT];
    let Data::Text(texts) = &text.data else { panic!("text expected") };
    Row {
        metric: names[&batch.codes(telemetry::METRIC).unwrap()[row]].to_owned(),
        num: num.validity.is_valid(row).then(|| batch.f64s(telemetry::NUM).unwrap()[row]),
        text: text.validity.is_valid(row).then(|| texts.get(row).to_owned()),
        ts: batch.i64s(telemetry::TS).unwrap()[row],
        quality: batch.bytes(telemetry::QUALITY).unwrap()[row],
    }
}
