//! Traces: what one client and the gateway say to each other, decoded, for a while.
//!
//! A trace belongs to a principal. Its connections carry a [`Tracer`] while it runs; a connection without one pays for
//! it with a branch. It ends by itself: after its time, or when it holds as many bytes as it may; and it takes at most
//! so many packets per second, and counts the others. Passwords and authentication data are never in it, payloads only
//! if that is asked for.

mod describe;
mod tracer;

pub use tracer::Tracer;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mohhos_locks::{Condvar, Mutex};

use crate::clock::Clock;
use crate::error::HubError;

/// How many traces are kept at a time, those that have ended included.
const MAX_TRACES: usize = 16;

/// The bounds of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceOptions {
    /// How long it runs, in seconds.
    pub seconds: u32,
    /// How many bytes of descriptions it holds; it ends when it has so many.
    pub max_bytes: usize,
    /// How many packets per second it takes.
    pub max_per_second: u32,
    /// How much of each payload it shows; 0 for nothing.
    pub payload_bytes: usize,
}

/// One packet, as JSON text, with its number.
pub type Entry = (u64, Arc<str>);

/// A part of a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TracePart {
    /// Packets, in order.
    pub packets: Vec<Entry>,
    /// Packets that came faster than they may, and are not in it.
    pub left_out: u64,
    /// Why it has ended; `None` while it runs.
    pub ended: Option<&'static str>,
    /// When it ends at the latest, microseconds UTC.
    pub until_us: i64,
}

/// The record of one principal's packets.
pub struct Trace {
    /// Whose packets.
    pub principal: Arc<str>,
    options: TraceOptions,
    clock: Arc<dyn Clock>,
    until_us: i64,
    until_mono_us: u64,
    over: AtomicBool,
    record: Mutex<Record>,
    arrived: Condvar,
}

#[derive(Default)]
struct Record {
    packets: VecDeque<Entry>,
    bytes: usize,
    second: u64,
    in_second: u32,
    left_out: u64,
    ended: Option<&'static str>,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace").field("principal", &self.principal).finish_non_exhaustive()
    }
}

impl Trace {
    fn new(principal: &str, options: TraceOptions, clock: Arc<dyn Clock>) -> Self {
        let us = u64::from(options.seconds) * 1_000_000;
        Self {
            principal: principal.into(),
            options,
            until_us: clock.wall_us() + us as i64,
            until_mono_us: clock.mono_us() + us,
            clock,
            over: AtomicBool::new(false),
            record: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    /// Has it ended?
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.clock.mono_us() >= self.until_mono_us
    }

    fn end(&self, why: &'static str) {
        let mut record = self.record.lock();
        record.ended.get_or_insert(why);
        self.over.store(true, Ordering::Relaxed);
        self.arrived.notify_all();
    }

    /// Adds a packet, unless the second or the trace is full; `describe` is asked for its JSON only if it is taken.
    fn add(&self, describe: impl FnOnce(i64, usize) -> serde_json::Map<String, serde_json::Value>) {
        if self.is_over() {
            return;
        }
        let mut record = self.record.lock();
        let second = self.clock.mono_us() / 1_000_000;
        if record.second != second {
            record.second = second;
            record.in_second = 0;
        }
        if record.in_second >= self.options.max_per_second {
            record.left_out += 1;
            return;
        }
        record.in_second += 1;
        let number = record.packets.back().map_or(1, |(last, _)| last + 1);
        let mut packet = describe(self.clock.wall_us(), self.options.payload_bytes);
        packet.insert("number".into(), number.into());
        let text: Arc<str> = serde_json::Value::Object(packet).to_string().into();
        if record.bytes + text.len() > self.options.max_bytes {
            drop(record);
            return self.end("it holds as many bytes as it may");
        }
        record.bytes += text.len();
        record.packets.push_back((number, text));
        self.arrived.notify_all();
    }

    /// The packets after a number, at most `max`; waits up to `timeout` for the first.
    pub fn read(&self, after: u64, max: usize, timeout: Duration) -> TracePart {
        let mut record = self.record.lock();
        let is_new = |record: &Record| record.packets.back().is_some_and(|(last, _)| *last > after);
        if !is_new(&record) && record.ended.is_none() && !timeout.is_zero() {
            self.arrived.wait_for(&mut record, timeout);
        }
        if self.clock.mono_us() >= self.until_mono_us {
            record.ended.get_or_insert("its time is over");
        }
        // Numbers begin with 1 and have no gaps.
        let from = usize::try_from(after).unwrap_or(usize::MAX);
        TracePart {
            packets: record.packets.iter().skip(from).take(max).cloned().collect(),
            left_out: record.left_out,
            ended: record.ended,
            until_us: self.until_us,
        }
    }
}

/// All traces, bounded.
#[derive(Default)]
pub struct Traces {
    running: AtomicUsize,
    traces: Mutex<Vec<Arc<Trace>>>,
}

impl Traces {
    /// Begins a trace, in place of one of the same principal.
    ///
    /// # Errors
    /// Too many run already.
    pub fn begin(
        &self,
        principal: &str,
        options: TraceOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Trace>, HubError> {
        self.remove(principal);
        let mut traces = self.traces.lock();
        if traces.len() >= MAX_TRACES {
            let Some(over) = traces.iter().position(|trace| trace.is_over()) else {
                return Err(HubError::TooManyTraces(MAX_TRACES));
            };
            traces.remove(over);
        }
        let trace = Arc::new(Trace::new(principal, options, clock));
        traces.push(trace.clone());
        self.running.store(traces.len(), Ordering::Relaxed);
        Ok(trace)
    }

    /// The trace of a principal, running or ended.
    pub fn get(&self, principal: &str) -> Option<Arc<Trace>> {
        self.traces.lock().iter().find(|trace| *trace.principal == *principal).cloned()
    }

    /// The trace for a client that has just said who it is, if one runs.
    pub fn of_newcomer(&self, principal: &str) -> Option<Arc<Trace>> {
        if self.running.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.get(principal).filter(|trace| !trace.is_over())
    }

    /// Ends and forgets the trace of a principal; false if there is none.
    pub fn remove(&self, principal: &str) -> bool {
        let mut traces = self.traces.lock();
        let Some(at) = traces.iter().position(|trace| *trace.principal == *principal) else { return false };
        let removed = traces.swap_remove(at);
        self.running.store(traces.len(), Ordering::Relaxed);
        drop(traces);
        removed.end("it was stopped");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn options() -> TraceOptions {
        TraceOptions { seconds: 10, max_bytes: 10_000, max_per_second: 5, payload_bytes: 0 }
    }

    fn begin(traces: &Traces, clock: &Arc<ManualClock>, name: &str) -> Result<Arc<Trace>, HubError> {
        traces.begin(name, options(), clock.clone())
    }

    #[test]
    fn a_trace_takes_so_many_packets_a_second_and_ends_after_its_time() {
        let (traces, clock) = (Traces::default(), Arc::new(ManualClock::new(1_000_000)));
        let trace = begin(&traces, &clock, "pump").unwrap();
        for _ in 0..8 {
            trace.add(|_, _| serde_json::Map::new());
        }
        let part = trace.read(3, 100, Duration::ZERO);
        assert_eq!(part.packets.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [4, 5]);
        assert_eq!((part.left_out, part.ended), (3, None));
        clock.advance(1_000_000);
        trace.add(|_, _| serde_json::Map::new());
        assert_eq!(trace.read(5, 100, Duration::ZERO).packets.len(), 1);
        clock.advance(9_000_000);
        trace.add(|_, _| serde_json::Map::new());
        let part = trace.read(0, 2, Duration::from_secs(3600));
        assert_eq!((part.packets.len(), part.ended), (2, Some("its time is over")));
        assert!(traces.of_newcomer("pump").is_none() && traces.get("pump").is_some());
    }

    #[test]
    fn a_trace_ends_when_it_is_full_and_others_are_not_begun_beyond_the_bound() {
        let (traces, clock) = (Traces::default(), Arc::new(ManualClock::new(1_000_000)));
        let first = begin(&traces, &clock, "pump-0").unwrap();
        let long = |_: i64, _: usize| [("topic".to_owned(), "x".repeat(6_000).into())].into_iter().collect();
        first.add(long);
        first.add(long);
        let part = first.read(0, 10, Duration::from_secs(3600));
        assert_eq!((part.packets.len(), part.ended), (1, Some("it holds as many bytes as it may")));
        for n in 1..MAX_TRACES {
            begin(&traces, &clock, &format!("pump-{n}")).unwrap();
        }
        begin(&traces, &clock, "in place of the one that is over").unwrap();
        assert!(begin(&traces, &clock, "one more").is_err());
        assert!(begin(&traces, &clock, "pump-1").is_ok(), "in its own place");
        assert!(traces.remove("pump-2") && !traces.remove("pump-2"));
    }
}
