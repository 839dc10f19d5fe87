//! What the gateway tells: log, history, events, counters, and a copy of everything.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mohhos_decode::{DeadLetter, Names};
use mohhos_history::{Cut, Filter, HistoryReader};
use mohhos_hub::latency::Latencies;
use mohhos_hub::{Connection, DeviceTable, Event, SessionView, Trace, TraceOptions, Visit};
use mohhos_log::{Log, ReadError};

use crate::backup;
use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::log_view::{self, LogMessage};
use crate::results::RuleFailure;
use crate::stats::{self, Stats};

/// How long a cut waits for what is on its way; a stalled history then answers with what it has.
const CAUGHT_WITHIN: Duration = Duration::from_secs(2);

/// Codes and the names they stand for.
pub type Codes = Vec<(u32, Arc<str>)>;

impl Gateway {
    /// The time that records get: wall time, microseconds UTC, never before the last record there was at the start.
    pub fn now_us(&self) -> i64 {
        self.clock.wall_us()
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Committed messages of some topics; see [`log_view::read`].
    ///
    /// # Errors
    /// The disk fails.
    pub fn read_log(
        &self,
        offset: u64,
        prefixes: &[String],
        max: usize,
    ) -> Result<(Vec<LogMessage>, u64), ReadError> {
        log_view::read(&self.log, offset, prefixes, max)
    }

    /// One consistent cut of the history. Unknown devices and metrics have no rows.
    ///
    /// # Errors
    /// The disk fails.
    pub fn history_cut(
        &self,
        devices: &[String],
        metrics: &[String],
        from_us: i64,
        to_us: i64,
    ) -> Result<Cut, GatewayError> {
        // Who was acknowledged sees it: what is committed may still be on its way into the tail.
        let committed = self.log.committed();
        if let Ok(engine) = self.running(|parts| parts.engine.clone()) {
            engine.wait_caught(committed, CAUGHT_WITHIN);
        }
        // Code 0 is nobody's: a list of unknown names must not mean all.
        let codes =
            |names: &[String], known: &Names| names.iter().map(|n| known.code(n).unwrap_or(0)).collect();
        let filter = Filter {
            devices: codes(devices, &self.devices),
            metrics: codes(metrics, &self.metrics),
            from_us,
            to_us,
        };
        Ok(self.history.cut(&filter)?)
    }

    /// The reading side of the history.
    pub fn history(&self) -> &HistoryReader {
        &self.history
    }

    /// Writes what is in memory to a file.
    ///
    /// # Errors
    /// The disk does not take it, or it does not run.
    pub fn history_flush(&self) -> Result<(), GatewayError> {
        let feed = self.running(|parts| parts.history.clone())?;
        feed.flush().map_err(|e| GatewayError::new("history-unusable", e))
    }

    /// Names and codes of devices, and of metrics and tables.
    pub fn codes(&self) -> (Codes, Codes) {
        (self.devices.entries(), self.metrics.entries())
    }

    /// What happened since the last call, at most about `max`; waits up to `timeout` for the first.
    ///
    /// # Errors
    /// It does not run.
    pub fn next_events(
        &self,
        max: usize,
        timeout: Duration,
    ) -> Result<(VecDeque<Event>, Vec<RuleFailure>), GatewayError> {
        let failures = self.failures.take();
        let mut events: VecDeque<Event> = self.alarms.take().into();
        let timeout = if failures.is_empty() && events.is_empty() { timeout } else { Duration::ZERO };
        events.extend(self.running(|parts| parts.hub.next_events(max, timeout))?);
        Ok((events, failures))
    }

    /// Counters and gauges of all parts.
    ///
    /// # Errors
    /// It does not run.
    pub fn stats(&self) -> Result<Stats, GatewayError> {
        let rules = self.rules()?;
        self.running(|parts| {
            stats::gather(&parts.hub, &self.log, &self.history, &rules, self.clock.synchronised())
        })
    }

    /// What is known of a device's connection; `None` if it is not registered.
    ///
    /// # Errors
    /// It does not run.
    pub fn connection(&self, device: &str) -> Result<Option<Connection>, GatewayError> {
        self.running(|parts| parts.hub.connection(device))
    }

    /// The sessions of a principal: those that are connected, or if none is, those that are kept.
    ///
    /// # Errors
    /// It does not run.
    pub fn sessions(&self, principal: &str) -> Result<Vec<SessionView>, GatewayError> {
        self.running(|parts| parts.hub.sessions(principal))
    }

    /// The last connections of a principal that have ended.
    ///
    /// # Errors
    /// It does not run.
    pub fn visits(&self, principal: &str) -> Result<Vec<Visit>, GatewayError> {
        self.running(|parts| parts.hub.visits(principal))
    }

    /// How long publishers waited for the disk, and subscribers took to acknowledge.
    ///
    /// # Errors
    /// It does not run.
    pub fn latencies(&self) -> Result<(Latencies, Latencies), GatewayError> {
        let stats = self.running(|parts| parts.hub.stats())?;
        Ok((stats.commit_latency, stats.delivery_latency))
    }

    /// What is counted for all devices, as columns.
    ///
    /// # Errors
    /// It does not run.
    pub fn device_table(&self) -> Result<DeviceTable, GatewayError> {
        self.running(|parts| parts.hub.device_table())
    }

    /// Begins to trace a principal, in place of the trace that it may have.
    ///
    /// # Errors
    /// Too many traces run, or it does not run.
    pub fn begin_trace(&self, principal: &str, options: TraceOptions) -> Result<Arc<Trace>, GatewayError> {
        Ok(self.running(|parts| parts.hub.begin_trace(principal, options))??)
    }

    /// The trace of a principal, running or ended.
    ///
    /// # Errors
    /// It does not run.
    pub fn trace(&self, principal: &str) -> Result<Option<Arc<Trace>>, GatewayError> {
        self.running(|parts| parts.hub.trace(principal))
    }

    /// Ends and forgets the trace of a principal; false if there is none.
    ///
    /// # Errors
    /// It does not run.
    pub fn end_trace(&self, principal: &str) -> Result<bool, GatewayError> {
        self.running(|parts| parts.hub.end_trace(principal))
    }

    /// The newest payloads that could not be decoded.
    ///
    /// # Errors
    /// It does not run.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, GatewayError> {
        self.running(|parts| parts.hub.dead_letters())
    }

    /// Copies everything native into an empty directory, as of one committed offset.
    ///
    /// # Errors
    /// One of the disks fails, or it does not run.
    pub fn backup(&self, target: &std::path::Path) -> Result<(), GatewayError> {
        self.history_flush()?;
        self.running(|parts| parts.hub.checkpoint())??;
        backup::copy(self.data_dir(), &self.log, &self.history, target)
    }
}
