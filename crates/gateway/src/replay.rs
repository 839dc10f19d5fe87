//! After a restart: what is in the log and not yet in the rules' state or in the history's files goes through both again.

use std::sync::Arc;

use mohhos_decode::{
    Arrivals, BatchBuilder, Decoders, DeviceState, Message, MetricResolver, Names, OffsetRange, TableBuilder,
    TableSchema,
};
use mohhos_history::{History, Position};
use mohhos_log::{Dictionary, Kind, Log, ReadError, RecordView};
use mohhos_stream::Engine;

use crate::error::GatewayError;
use crate::positions::Positions;
use crate::results::Results;

/// A batch with this many rows is handed on.
const FULL_ROWS: usize = 8192;

/// What a replay feeds, and by what it knows what they have.
pub struct Replay<'a> {
    /// The rules.
    pub engine: &'a mut Engine,
    /// What they produce.
    pub results: &'a mut Results,
    /// What their state covers.
    pub positions: &'a Positions,
    /// The history.
    pub history: &'a mut History,
    /// What its files cover.
    pub history_positions: &'a [Position],
    /// Codes of devices.
    pub devices: &'a Names,
    /// Codes of metrics.
    pub dictionary: &'a Dictionary,
    /// The declared tables.
    pub tables: &'a [TableSchema],
    /// A reading further ahead of its arrival has a wrong clock.
    pub max_future_us: i64,
}

/// What a replay did, for the log of the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records read.
    pub records: u64,
    /// Rows given to the rules or the history.
    pub rows: u64,
}

struct Resolver<'a>(&'a Dictionary);

impl MetricResolver for Resolver<'_> {
    fn code(&mut self, _device: u32, name: &str) -> Option<u32> {
        self.0.intern(name).ok()
    }
}

/// Rows of consecutive records of one shard and boot that go to the same places.
struct Run {
    key: (u32, u16, bool, bool),
    offsets: OffsetRange,
    arrival_us: i64,
    builder: BatchBuilder,
}

impl Replay<'_> {
    /// Reads the log from `from` to its committed end.
    ///
    /// # Errors
    /// The disk fails, or a batch does not fit the history.
    pub fn run(&mut self, log: &Log, from: u64) -> Result<Replayed, GatewayError> {
        let mut reader = log.reader(from);
        let mut decoders = Decoders::new();
        let mut replayed = Replayed::default();
        let mut run: Option<Run> = None;
        let mut builders: Vec<TableBuilder> =
            self.tables.iter().map(|schema| TableBuilder::new(Arc::new(schema.clone()))).collect();
        loop {
            let record = match reader.next() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                // Gone for everybody; the recovery has told it.
                Err(ReadError::Trimmed { .. } | ReadError::Damaged { .. }) => continue,
                Err(error) => return Err(GatewayError::new("log-unreadable", error.to_string())),
            };
            replayed.records += 1;
            if record.kind() != Kind::MESSAGE {
                continue;
            }
            replayed.rows += self.telemetry(&record, &mut decoders, &mut run)?;
            replayed.rows += self.rows(&record, &mut decoders, &mut builders, &mut run)?;
        }
        self.hand_on(&mut run)?;
        Ok(replayed)
    }

    fn in_history(&self, record: &RecordView<'_>) -> bool {
        let (boot, shard, offset) = (record.boot_id(), record.shard(), record.offset());
        self.history_positions.iter().any(|p| p.boot_id == boot && p.shard == shard && offset < p.end)
    }

    fn message<'r>(
        &self,
        record: &RecordView<'r>,
        device: u32,
        device_id: &'r str,
        table: u32,
    ) -> Message<'r> {
        Message {
            payload: record.payload(),
            content_type: record.content_type(),
            device,
            device_id,
            table,
            arrival_us: record.wall_us(),
            max_future_us: self.max_future_us,
        }
    }

    fn telemetry(
        &mut self,
        record: &RecordView<'_>,
        decoders: &mut Decoders,
        run: &mut Option<Run>,
    ) -> Result<u64, GatewayError> {
        let Some((id, table)) = telemetry_topic(record.topic()) else { return Ok(0) };
        let Some(device) = self.devices.code(id) else { return Ok(0) };
        let to_history = !self.in_history(record);
        let to_rules = !self.positions.covers(record.boot_id(), record.shard(), 0, record.offset());
        if !to_history && !to_rules {
            return Ok(0);
        }
        let key = (record.boot_id(), record.shard(), to_history, to_rules);
        if run.as_ref().is_some_and(|r| r.key != key || r.builder.rows() >= FULL_ROWS) {
            self.hand_on(run)?;
        }
        let run = run.get_or_insert_with(|| Run {
            key,
            offsets: OffsetRange { first: record.offset(), end: record.offset() },
            arrival_us: 0,
            builder: BatchBuilder::with_capacity(FULL_ROWS),
        });
        let table = if table.is_empty() { 0 } else { self.dictionary.intern(table).unwrap_or(0) };
        let message = self.message(record, device, id, table);
        let mut state =
            DeviceState { arrivals: Arrivals::after(record.wall_us() - 1), ..DeviceState::default() };
        let decoded =
            decoders.telemetry(&message, &mut state, &mut Resolver(self.dictionary), &mut run.builder);
        run.offsets.end = record.next_offset();
        run.arrival_us = record.wall_us();
        // What cannot be decoded was reported as a dead letter when it came.
        Ok(decoded.map_or(0, |decoded| decoded.rows as u64))
    }

    /// Rows of declared tables: each record a batch of its own, in the order of the log.
    fn rows(
        &mut self,
        record: &RecordView<'_>,
        decoders: &mut Decoders,
        builders: &mut [TableBuilder],
        run: &mut Option<Run>,
    ) -> Result<u64, GatewayError> {
        let mut rows = 0;
        for builder in builders {
            let schema = Arc::clone(builder.schema());
            let covered = self.positions.covers(record.boot_id(), record.shard(), schema.id, record.offset());
            if covered || !mohhos_mqtt::topic::matches(&schema.filter, record.topic()) {
                continue;
            }
            let id = device_of(record.topic());
            let message = self.message(record, self.devices.code(id).unwrap_or(0), id, 0);
            let mut state =
                DeviceState { arrivals: Arrivals::after(record.wall_us() - 1), ..DeviceState::default() };
            if decoders.row(&message, &mut state, builder).is_err() || builder.rows() == 0 {
                continue;
            }
            self.hand_on(run)?;
            let offsets = OffsetRange { first: record.offset(), end: record.next_offset() };
            let batch = builder.finish(record.shard(), offsets, record.wall_us());
            self.engine.on_batch(&batch, record.wall_us(), self.results);
            rows += batch.rows as u64;
        }
        Ok(rows)
    }

    fn hand_on(&mut self, run: &mut Option<Run>) -> Result<(), GatewayError> {
        let Some(mut run) = run.take() else { return Ok(()) };
        let (boot, shard, to_history, to_rules) = run.key;
        let batch = Arc::new(run.builder.finish(shard, run.offsets, run.arrival_us));
        if to_rules {
            self.engine.on_batch(&batch, run.arrival_us, self.results);
        }
        if to_history {
            self.history.push_replayed(boot, &batch, 0)?;
        }
        Ok(())
    }
}

/// Device and table of `devices/{device}/telemetry[/{table}]`.
fn telemetry_topic(topic: &str) -> Option<(&str, &str)> {
    let (device, rest) = topic.strip_prefix("devices/")?.split_once('/')?;
    match rest.strip_prefix("telemetry")? {
        "" => Some((device, "")),
        table => {
            table.strip_prefix('/').filter(|t| !t.is_empty() && !t.contains('/')).map(|table| (device, table))
        }
    }
}

fn device_of(topic: &str) -> &str {
    topic.strip_prefix("devices/").and_then(|rest| rest.split('/').next()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_topics_name_device_and_table() {
        assert_eq!(telemetry_topic("devices/pump/telemetry"), Some(("pump", "")));
        assert_eq!(telemetry_topic("devices/pump/telemetry/raw"), Some(("pump", "raw")));
        assert_eq!(telemetry_topic("devices/pump/telemetry/raw/more"), None);
        assert_eq!(telemetry_topic("devices/pump/telemetryx"), None);
        assert_eq!(telemetry_topic("devices/pump/events/x"), None);
        assert_eq!(device_of("devices/pump/events/x"), "pump");
    }
}
