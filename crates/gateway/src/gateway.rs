//! The gateway: made, told what it must know, started, stopped.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mohhos_decode::{DeadLetter, Names, TableSchema};
use mohhos_history::{Cut, Filter, History, HistoryReader, Position};
use mohhos_hub::{Clock, Connection, Event, HubParts, Prepared, Principal, Publication, SystemClock, Tap};
use mohhos_log::{DataDir, Dictionary, Fs, Log, ReadError, Recovery, read_atomic};
use mohhos_stream::{Engine, EngineNames, RuleStats};
use parking_lot::{Mutex, RwLock};

use crate::alarms::Alarms;
use crate::backup;
use crate::boot;
use crate::config::Config;
use crate::error::GatewayError;
use crate::history_thread::{HistoryFeed, HistoryThread};
use crate::log_view::{self, LogMessage};
use crate::positions::Positions;
use crate::replay::{Replay, Replayed};
use crate::results::{Failures, Results, RuleFailure};
use crate::running::Running;
use crate::stats::{self, Stats};
use crate::stream_thread::{EngineAccess, SNAPSHOT, SNAPSHOT_VERSION, StreamThread};
use crate::tables;
use crate::telemetry_tap::{TelemetryTap, TelemetryTaps};

/// The folder of the log in the data directory.
pub(crate) const LOG: &str = "log";
/// The folder of the history.
pub(crate) const HISTORY: &str = "history";
/// The file of metrics' codes.
pub(crate) const METRICS: &str = "metrics";
/// Names of metrics and tables altogether.
const MAX_METRICS: u32 = 1 << 20;

/// The native gateway. All methods may be called from any thread.
pub struct Gateway {
    config: Config,
    /// Locked for this process until the gateway is dropped.
    data_dir: DataDir,
    boot: u32,
    clock: Arc<dyn Clock>,
    log: Log,
    fs: Arc<dyn Fs>,
    dictionary: Arc<Dictionary>,
    devices: Arc<Names>,
    metrics: Arc<Names>,
    history: HistoryReader,
    alarms: Arc<Alarms>,
    failures: Arc<Failures>,
    taps: Arc<TelemetryTaps>,
    recovery: Recovery,
    stage: RwLock<Stage>,
}

enum Stage {
    Prepared(Box<Mutex<Setup>>),
    Running(Box<Running>),
    Stopped,
}

/// What is put together before the start.
struct Setup {
    hub: Prepared,
    engine: Engine,
    results: Results,
    history: History,
    history_positions: Vec<Position>,
    tables: Vec<TableSchema>,
}

impl Gateway {
    /// Opens the data directory, recovers the log, and makes everything ready to be told what it must know.
    ///
    /// # Errors
    /// The data directory is in use, of a newer format or unusable; the log, the dictionary or the history is damaged.
    pub fn new(config: Config) -> Result<Self, GatewayError> {
        let data_dir = DataDir::open(&config.data_dir)?;
        let fs: Arc<dyn Fs> = Arc::new(mohhos_log::OsFs::open(data_dir.path())?);
        let boot = boot::next(&*fs)?;
        let (log, recovery) = Log::open(Arc::new(data_dir.directory(LOG)?), config.log())?;
        // Without a battery-backed clock the system may be in 1970: time goes on from the last that is known.
        let floor_us = config.time.build_time_us.max(recovery.last_time_us.unwrap_or(0));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(floor_us));
        let dictionary = Arc::new(Dictionary::open(&*fs, METRICS, MAX_METRICS)?);
        let (devices, metrics) = (Arc::new(Names::new()), Arc::new(Names::new()));
        for (name, code) in dictionary.entries() {
            metrics.insert(code, &name);
        }
        let history_dir = data_dir.directory(HISTORY)?;
        let history_path = data_dir.path().join(HISTORY);
        let (mut history, history_positions) =
            History::open(Arc::new(history_dir), &history_path, config.history())?;
        history.set_boot(boot);
        let failures = Arc::new(Failures::default());
        let names = EngineNames { devices: devices.clone(), metrics: metrics.clone() };
        let (assigned, known) = (dictionary.clone(), metrics.clone());
        let parts = HubParts {
            log: log.clone(),
            fs: fs.clone(),
            assign: Box::new(move |name| {
                let code = assigned.intern(name).ok()?;
                known.insert(code, name);
                Some(code)
            }),
            devices: devices.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
        };
        let reader = history.reader();
        let setup = Setup {
            hub: Prepared::new(config.hub(boot)?, parts)?,
            engine: Engine::new(names, config.engine()),
            results: Results::new(failures.clone(), clock.clone()),
            history,
            history_positions,
            tables: Vec::new(),
        };
        Ok(Self {
            alarms: Arc::new(Alarms::new(clock.clone())),
            stage: RwLock::new(Stage::Prepared(Box::new(Mutex::new(setup)))),
            taps: Arc::default(),
            history: reader,
            config,
            data_dir,
            boot,
            clock,
            log,
            fs,
            dictionary,
            devices,
            metrics,
            failures,
            recovery,
        })
    }

    /// Replays what snapshot and history miss, then opens the listeners.
    ///
    /// # Errors
    /// A listener's port is taken, the disk fails, or it was started before.
    pub fn start(&self) -> Result<Replayed, GatewayError> {
        let mut stage = self.stage.write();
        let Stage::Prepared(setup) = std::mem::replace(&mut *stage, Stage::Stopped) else {
            return Err(GatewayError::new("native-failed", "the gateway was started before: make a new one"));
        };
        let (running, replayed) = self.run(setup.into_inner())?;
        *stage = Stage::Running(Box::new(running));
        Ok(replayed)
    }

    fn run(&self, setup: Setup) -> Result<(Running, Replayed), GatewayError> {
        let Setup { hub, mut engine, mut results, mut history, history_positions, tables } = setup;
        let (saved, state) = self.snapshot()?;
        if let Some(state) = state {
            if let Err(error) = engine.restore(&state) {
                self.alarms.raise("rules-not-restored", format!("the rules' state was lost, they start without: {error}"));
            }
        }
        let from_rules = saved.replay_from(u16::MAX);
        let from_history = history_positions.iter().map(|p| p.end).min().unwrap_or(0);
        let mut replay = Replay {
            engine: &mut engine,
            results: &mut results,
            positions: &saved,
            history: &mut history,
            history_positions: &history_positions,
            devices: &self.devices,
            dictionary: &self.dictionary,
            tables: &tables,
            max_future_us: self.config.time.max_future_s.saturating_mul(1_000_000),
        };
        let replayed = replay.run(&self.log, from_rules.min(from_history))?;
        for (name, code) in self.dictionary.entries() {
            self.metrics.insert(code, &name);
        }
        history.forget_boots_before(self.boot);
        self.log.hold("stream", from_rules);
        self.log.hold("history", from_history);

        let floor = self.log.end();
        let (hub, receivers) = hub.open()?;
        let shards = receivers.len() as u16;
        let feed = Arc::new(HistoryFeed::default());
        let signal = receivers.first().map_or_else(Arc::default, mohhos_hub::BatchReceiver::signal);
        let (access, jobs) = EngineAccess::new(signal.clone());
        let history_thread = HistoryThread {
            history,
            feed: feed.clone(),
            log: self.log.clone(),
            clock: self.clock.clone(),
            alarms: self.alarms.clone(),
            boot: self.boot,
            shards,
            floor: from_history,
            flush_rows: self.config.history.flush_rows,
        };
        for shard in 0..shards {
            feed.drained(shard, floor);
        }
        let stream_thread = StreamThread {
            engine,
            results,
            receivers,
            jobs,
            signal,
            publisher: hub.publisher(),
            history: feed.clone(),
            taps: self.taps.clone(),
            devices: self.devices.clone(),
            metrics: self.metrics.clone(),
            log: self.log.clone(),
            fs: self.fs.clone(),
            clock: self.clock.clone(),
            alarms: self.alarms.clone(),
            positions: Positions::new(self.boot, floor),
            snapshot_interval: Duration::from_secs(self.config.stream.snapshot_interval_s),
        };
        let threads = (stream_thread.start()?, history_thread.start()?);
        Ok((Running { hub, engine: access, history: feed, threads }, replayed))
    }

    /// The saved state of the rules, and what it covers. One that cannot be read is told, and everything is replayed.
    fn snapshot(&self) -> Result<(Positions, Option<Vec<u8>>), GatewayError> {
        let none = (Positions::default(), None);
        let (version, content) = match read_atomic(&*self.fs, SNAPSHOT) {
            Ok(None) => return Ok(none),
            Ok(Some(found)) => found,
            Err(error) => {
                self.alarms.raise("rules-not-restored", format!("the rules' state was lost, they start without: {error}"));
                return Ok(none);
            }
        };
        if version > SNAPSHOT_VERSION {
            return Err(GatewayError::new(
                "data-dir-newer",
                format!("{SNAPSHOT} has version {version}, this program knows {SNAPSHOT_VERSION}: start the newer program"),
            ));
        }
        Ok(Positions::decode(&content).map_or(none, |(positions, state)| (positions, Some(state.to_vec()))))
    }

    /// Ends everything; what was accepted is on disk when it returns. A second call does nothing.
    ///
    /// # Errors
    /// Something did not end well; everything is ended all the same.
    pub fn stop(&self) -> Result<(), GatewayError> {
        let stage = std::mem::replace(&mut *self.stage.write(), Stage::Stopped);
        match stage {
            Stage::Running(running) => running.stop(&self.log),
            Stage::Prepared(_) | Stage::Stopped => {
                self.log.close().map_err(|e| GatewayError::new("log-unwritable", e.to_string()))
            }
        }
    }

    /// What recovering the log found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.path().to_owned()
    }

    fn with_hub<R>(
        &self,
        before: impl FnOnce(&mut Setup) -> R,
        running: impl FnOnce(&Running) -> R,
    ) -> Result<R, GatewayError> {
        match &*self.stage.read() {
            Stage::Prepared(setup) => Ok(before(&mut setup.lock())),
            Stage::Running(parts) => Ok(running(parts)),
            Stage::Stopped => Err(GatewayError::not_running()),
        }
    }

    fn running<R>(&self, work: impl FnOnce(&Running) -> R) -> Result<R, GatewayError> {
        match &*self.stage.read() {
            Stage::Running(parts) => Ok(work(parts)),
            Stage::Prepared(_) | Stage::Stopped => Err(GatewayError::not_running()),
        }
    }

    /// The port of each listener by name.
    ///
    /// # Errors
    /// It does not run.
    pub fn ports(&self) -> Result<Vec<(String, u16)>, GatewayError> {
        self.running(|parts| parts.hub.ports().to_vec())
    }

    /// Makes registered devices and their persisted codes known.
    ///
    /// # Errors
    /// It is stopped.
    pub fn put_devices(&self, codes: &[(String, u32)]) -> Result<(), GatewayError> {
        self.with_hub(|setup| setup.hub.put_devices(codes), |parts| parts.hub.put_devices(codes))
    }

    /// Forgets devices.
    ///
    /// # Errors
    /// It does not run.
    pub fn remove_devices(&self, ids: &[String]) -> Result<(), GatewayError> {
        self.running(|parts| parts.hub.remove_devices(ids))
    }

    /// Adds or replaces principals.
    ///
    /// # Errors
    /// It is stopped.
    pub fn put_principals(&self, principals: Vec<Principal>) -> Result<(), GatewayError> {
        match &*self.stage.read() {
            Stage::Prepared(setup) => setup.lock().hub.put_principals(principals),
            Stage::Running(parts) => parts.hub.put_principals(principals),
            Stage::Stopped => return Err(GatewayError::not_running()),
        }
        Ok(())
    }

    /// Removes principals and disconnects them.
    ///
    /// # Errors
    /// It does not run.
    pub fn remove_principals(&self, names: &[String]) -> Result<(), GatewayError> {
        self.running(|parts| parts.hub.remove_principals(names))
    }

    /// Replaces the roles (JSON).
    ///
    /// # Errors
    /// A role is not usable, or it is stopped.
    pub fn put_roles(&self, json: &str) -> Result<(), GatewayError> {
        Ok(self.with_hub(|setup| setup.hub.put_roles(json), |parts| parts.hub.put_roles(json))??)
    }

    /// Disconnects a principal's sessions; how many.
    ///
    /// # Errors
    /// It does not run.
    pub fn kick(&self, principal: &str) -> Result<usize, GatewayError> {
        self.running(|parts| parts.hub.kick(principal))
    }

    /// Publishes as the gateway; the offset to wait for.
    ///
    /// # Errors
    /// The topic is not valid, the log does not take it, or it does not run.
    pub fn publish(&self, publication: Publication) -> Result<u64, GatewayError> {
        Ok(self.running(|parts| parts.hub.publish(publication))??)
    }

    /// A live view on messages.
    ///
    /// # Errors
    /// It is not a topic filter, or it does not run.
    pub fn tap_messages(&self, filter: &str, capacity: usize) -> Result<Tap, GatewayError> {
        Ok(self.running(|parts| parts.hub.tap(filter, capacity))??)
    }

    /// A live view on a device's readings (of all: "").
    ///
    /// # Errors
    /// The device is not known.
    pub fn tap_telemetry(&self, device: &str, capacity: usize) -> Result<Arc<TelemetryTap>, GatewayError> {
        let unknown = || GatewayError::new("device-unknown", format!("\"{device}\" is not registered"));
        let code = if device.is_empty() { 0 } else { self.devices.code(device).ok_or_else(unknown)? };
        Ok(self.taps.open(code, capacity))
    }

    /// Replaces the declared tables (JSON).
    ///
    /// # Errors
    /// A table is not usable, or it is stopped.
    pub fn put_tables(&self, json: &str) -> Result<(), GatewayError> {
        let tables = tables::parse(json)?;
        match &*self.stage.read() {
            Stage::Prepared(setup) => {
                let setup = &mut *setup.lock();
                setup.hub.put_tables(tables.clone());
                setup.engine.put_tables(tables.clone(), &mut setup.results);
                setup.tables = tables;
                Ok(())
            }
            Stage::Running(parts) => {
                // The rules know a table before the first batch of it comes.
                let known = tables.clone();
                parts.engine.call(move |engine, outputs| engine.put_tables(known, outputs))?;
                parts.hub.put_tables(tables);
                Ok(())
            }
            Stage::Stopped => Err(GatewayError::not_running()),
        }
    }

    fn with_engine<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> R + Send + 'static,
    ) -> Result<R, GatewayError> {
        match &*self.stage.read() {
            Stage::Prepared(setup) => Ok(work(&mut setup.lock().engine)),
            Stage::Running(parts) => parts.engine.call(move |engine, _| work(engine)),
            Stage::Stopped => Err(GatewayError::not_running()),
        }
    }

    /// Starts or replaces a rule.
    ///
    /// # Errors
    /// The plan cannot be run (code `rule-engine`); the version before goes on.
    pub fn deploy_rule(&self, name: &str, version: u32, plan: &str) -> Result<(), GatewayError> {
        let (name, plan) = (name.to_owned(), plan.to_owned());
        Ok(self.with_engine(move |engine| engine.deploy(&name, version, &plan))??)
    }

    /// Stops a rule; false if there is none of that name.
    ///
    /// # Errors
    /// It is stopped.
    pub fn remove_rule(&self, name: &str) -> Result<bool, GatewayError> {
        let name = name.to_owned();
        self.with_engine(move |engine| engine.remove(&name))
    }

    /// How each rule runs.
    ///
    /// # Errors
    /// It is stopped.
    pub fn rules(&self) -> Result<Vec<RuleStats>, GatewayError> {
        self.with_engine(|engine| engine.stats())
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Committed messages of some topics; see [`log_view::read`].
    ///
    /// # Errors
    /// The disk fails.
    pub fn read_log(&self, offset: u64, prefixes: &[String], max: usize) -> Result<(Vec<LogMessage>, u64), ReadError> {
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
        // Code 0 is nobody's: a list of unknown names must not mean all.
        let codes = |names: &[String], known: &Names| names.iter().map(|n| known.code(n).unwrap_or(0)).collect();
        let filter =
            Filter { devices: codes(devices, &self.devices), metrics: codes(metrics, &self.metrics), from_us, to_us };
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
    pub fn codes(&self) -> (Vec<(u32, Arc<str>)>, Vec<(u32, Arc<str>)>) {
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
        events.extend(self.running(|parts| parts.hub.events().next(max, timeout))?);
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
        backup::copy(self.data_dir.path(), &self.log, &self.history, target)
    }
}
