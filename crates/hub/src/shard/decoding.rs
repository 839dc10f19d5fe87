//! Payloads to batches for the stream thread, on the shard.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mohhos_decode::{
    Arrivals, Batch, BatchBuilder, DecodeError, Decoded, Decoders, DeviceState, Message, MetricResolver,
    OffsetRange, TableBuilder,
};
use rtrb::Producer;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::session::ways::Way;
use crate::shared::Shared;

/// A batch with this many rows is handed on without waiting for the end of the round.
pub const FULL_ROWS: usize = 8192;

/// The decoders of one shard, what they have built, and the ring to the stream thread.
pub struct Decoding {
    shard: u16,
    decoders: Decoders,
    telemetry: BatchBuilder,
    telemetry_range: Range,
    tables: Vec<(TableBuilder, Range)>,
    tables_epoch: u64,
    states: Vec<DeviceState>,
    resolver: Resolver,
    ring: Producer<Batch>,
    pending: VecDeque<Batch>,
    arrival_us: i64,
}

/// Positions of the records that rows were made from, within the current batch of records.
#[derive(Debug, Clone, Copy, Default)]
struct Range {
    first: Option<u32>,
    end: u32,
}

impl Range {
    fn add(&mut self, position: u32, end: u32) {
        self.first.get_or_insert(position);
        self.end = end;
    }

    fn take(&mut self, base: u64) -> OffsetRange {
        let Range { first, end } = std::mem::take(self);
        first.map_or(OffsetRange::default(), |first| OffsetRange {
            first: base + u64::from(first),
            end: base + u64::from(end),
        })
    }
}

/// What became of a message.
pub struct Outcome {
    /// When it arrived, distinct for each message of the device.
    pub arrival_us: i64,
    /// What was decoded, or why not.
    pub result: Result<Decoded, DecodeError>,
}

impl Decoding {
    /// Decoders that have built nothing yet.
    pub fn new(shard: u16, shared: Arc<Shared>, ring: Producer<Batch>) -> Self {
        Self {
            shard,
            decoders: Decoders::new(),
            telemetry: BatchBuilder::with_capacity(256),
            telemetry_range: Range::default(),
            tables: Vec::new(),
            tables_epoch: 0,
            states: Vec::new(),
            resolver: Resolver { shared, pairs: FxHashSet::default(), counts: FxHashMap::default() },
            ring,
            pending: VecDeque::new(),
            arrival_us: 0,
        }
    }

    /// The epoch of the tables in use.
    #[inline]
    pub fn tables_epoch(&self) -> u64 {
        self.tables_epoch
    }

    /// Takes new declared tables over. Called between rounds, when nothing is half built.
    pub fn refresh_tables(&mut self) {
        let epoch = self.resolver.shared.tables_epoch.load(Ordering::Acquire);
        if epoch != self.tables_epoch {
            let tables = self.resolver.shared.tables.load();
            self.tables = tables.iter().map(|t| (TableBuilder::new(t.clone()), Range::default())).collect();
            self.tables_epoch = epoch;
        }
    }

    /// The declared tables that take a topic's messages.
    pub fn tables_of(&self, topic: &str) -> Box<[u16]> {
        let tables = self.resolver.shared.tables.load();
        let matching =
            tables.iter().enumerate().filter(|(_, t)| mohhos_mqtt::topic::matches(&t.filter, topic));
        matching.map(|(index, _)| index as u16).filter(|&i| usize::from(i) < self.tables.len()).collect()
    }

    /// The code of a table level of a topic.
    pub fn table_code(&self, name: &str) -> u32 {
        self.resolver.name_code(name).unwrap_or(0)
    }

    /// Decodes a message into the tables of its way.
    pub fn decode(&mut self, way: &Way, payload: &[u8], content_type: &str, now_us: i64) -> Outcome {
        let (code, id) = way.device.as_ref().map_or((0, ""), |device| (device.code, &*device.id));
        let index = code as usize;
        if self.states.len() <= index {
            self.states.resize(index + 1, DeviceState::default());
        }
        let state = &mut self.states[index];
        let before = state.arrivals;
        // The arrival is the same in all tables and in the log, so that a replay gives the same rows.
        let arrival_us = { before }.next(now_us);
        let mut message = Message {
            payload,
            content_type,
            device: code,
            device_id: id,
            table: 0,
            arrival_us,
            max_future_us: self.resolver.shared.config.limits.max_future_us,
        };
        let mut result = Ok(Decoded::default());
        if let Some(table) = way.telemetry {
            message.table = table;
            result = self.decoders.telemetry(&message, state, &mut self.resolver, &mut self.telemetry);
        }
        for &table in &way.tables {
            let Some((builder, _)) = self.tables.get_mut(usize::from(table)) else { continue };
            state.arrivals = before;
            let row = self.decoders.row(&message, state, builder);
            if result.is_ok() && (row.is_err() || way.telemetry.is_none()) {
                result = row;
            }
        }
        state.arrivals = Arrivals::after(arrival_us);
        self.arrival_us = arrival_us;
        Outcome { arrival_us, result }
    }

    /// The message that was decoded last is the record at this position.
    pub fn logged(&mut self, way: &Way, position: u32, end: u32) {
        if way.telemetry.is_some() {
            self.telemetry_range.add(position, end);
        }
        for &table in &way.tables {
            if let Some((_, range)) = self.tables.get_mut(usize::from(table)) {
                range.add(position, end);
            }
        }
    }

    /// Is there as much as should be handed on?
    #[inline]
    pub fn is_full(&self) -> bool {
        self.telemetry.rows() >= FULL_ROWS || self.tables.iter().any(|(table, _)| table.rows() >= FULL_ROWS)
    }

    /// Hands what was built to the stream thread; `base` is the offset of the batch of records. How many batches.
    pub fn hand_on(&mut self, base: u64) -> usize {
        let (shard, arrival_us) = (self.shard, self.arrival_us);
        let before = self.pending.len();
        if !self.telemetry.is_empty() {
            let range = self.telemetry_range.take(base);
            self.pending.push_back(self.telemetry.finish(shard, range, arrival_us));
        }
        self.telemetry_range = Range::default();
        for (table, range) in &mut self.tables {
            if table.rows() > 0 {
                let range = range.take(base);
                self.pending.push_back(table.finish(shard, range, arrival_us));
            }
            *range = Range::default();
        }
        let built = self.pending.len() - before;
        self.push_pending();
        built
    }

    /// Puts what waits into the ring. False while something is left: no socket is read until then.
    pub fn push_pending(&mut self) -> bool {
        if self.pending.is_empty() {
            return true;
        }
        let shared = &self.resolver.shared;
        // Before trying: the stream thread looks at it after it has made room.
        shared.shards[usize::from(self.shard)].batches_blocked.store(true, Ordering::SeqCst);
        let mut pushed = false;
        while let Some(batch) = self.pending.pop_front() {
            if let Err(rtrb::PushError::Full(batch)) = self.ring.push(batch) {
                self.pending.push_front(batch);
                break;
            }
            pushed = true;
        }
        if self.pending.is_empty() {
            shared.shards[usize::from(self.shard)].batches_blocked.store(false, Ordering::SeqCst);
        }
        if pushed {
            shared.batch_signal.raise();
        }
        self.pending.is_empty()
    }

    /// Does something wait for room in the ring?
    pub fn is_blocked(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// Gives metrics their codes, and each device no more than it may have. Which metrics a device has is counted by each
/// shard since its start.
struct Resolver {
    shared: Arc<Shared>,
    pairs: FxHashSet<(u32, u32)>,
    counts: FxHashMap<u32, u32>,
}

impl Resolver {
    fn name_code(&self, name: &str) -> Option<u32> {
        self.shared.metrics.code(name).or_else(|| self.shared.clerk.assign(name))
    }
}

impl MetricResolver for Resolver {
    fn code(&mut self, device: u32, name: &str) -> Option<u32> {
        let known = self.shared.metrics.code(name);
        if let Some(code) = known
            && self.pairs.contains(&(device, code))
        {
            return Some(code);
        }
        if self.counts.get(&device).copied().unwrap_or(0) >= self.shared.config.limits.metrics_per_device {
            return None;
        }
        let code = known.or_else(|| self.shared.clerk.assign(name))?;
        if self.pairs.insert((device, code)) {
            *self.counts.entry(device).or_insert(0) += 1;
        }
        Some(code)
    }
}
