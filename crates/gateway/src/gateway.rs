//! The gateway: made, told what it must know, started, stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mohhos_decode::{Names, TableSchema};
use mohhos_history::{History, HistoryReader, Position};
use mohhos_hub::{Clock, HubParts, Prepared, SystemClock};
use mohhos_locks::{Mutex, Rank, RwLock};
use mohhos_log::{DataDir, Dictionary, Fs, Log, Recovery, read_atomic};
use mohhos_stream::{Engine, EngineNames};

use crate::alarms::Alarms;
use crate::boot;
use crate::config::Config;
use crate::error::GatewayError;
use crate::history_thread::{HistoryFeed, HistoryThread};
use crate::log_watch::{self, LogWatch};
use crate::positions::Positions;
use crate::replay::{Replay, Replayed};
use crate::results::{Failures, Results};
use crate::running::Running;
use crate::saver::{SNAPSHOT, SNAPSHOT_VERSION, Saver};
use crate::stream_thread::{EngineAccess, StreamThread};
use crate::telemetry_tap::TelemetryTaps;

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
    pub(crate) config: Config,
    /// The data directory.
    pub(crate) path: PathBuf,
    /// Keeps other gateways off it until this one is stopped.
    lock: Mutex<Option<DataDir>>,
    boot: u32,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Log,
    fs: Arc<dyn Fs>,
    dictionary: Arc<Dictionary>,
    pub(crate) devices: Arc<Names>,
    pub(crate) metrics: Arc<Names>,
    pub(crate) history: HistoryReader,
    pub(crate) alarms: Arc<Alarms>,
    pub(crate) failures: Arc<Failures>,
    pub(crate) taps: Arc<TelemetryTaps>,
    recovery: Recovery,
    pub(crate) stage: RwLock<Stage>,
}

pub(crate) enum Stage {
    Prepared(Box<Mutex<Setup>>),
    Running(Box<Running>),
    Stopped,
}

/// What is put together before the start.
pub(crate) struct Setup {
    pub(crate) hub: Prepared,
    pub(crate) engine: Engine,
    pub(crate) results: Results,
    history: History,
    history_positions: Vec<Position>,
    pub(crate) tables: Vec<TableSchema>,
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
        let (log, recovery) = Log::open(Arc::new(data_dir.directory(LOG)?), config.log()?)?;
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
        let alarms = Arc::new(Alarms::new(clock.clone()));
        log_watch::tell_recovered(&alarms, &recovery);
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
            alarms,
            stage: RwLock::ranked(Rank::LIFE, Stage::Prepared(Box::new(Mutex::ranked(Rank::WORK, setup)))),
            taps: Arc::default(),
            history: reader,
            config,
            path: data_dir.path().to_owned(),
            lock: Mutex::new(Some(data_dir)),
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
        if let Some(state) = state
            && let Err(error) = engine.restore(&state)
        {
            self.alarms.raise(
                "rules-not-restored",
                format!("the rules' state was lost, they start without: {error}"),
            );
        }
        let from_rules = saved.replay_from();
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
        let (access, requests) = EngineAccess::new(signal.clone());
        let history_thread = HistoryThread {
            history,
            feed: feed.clone(),
            log: self.log.clone(),
            log_watch: LogWatch::new(self.log.clone(), self.alarms.clone()),
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
            requests,
            signal,
            publisher: hub.publisher(),
            history: feed.clone(),
            taps: self.taps.clone(),
            devices: self.devices.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            positions: Positions::new(self.boot, floor, shards),
            saver: Saver::start(self.fs.clone(), self.log.clone(), self.alarms.clone())?,
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
                self.alarms.raise(
                    "rules-not-restored",
                    format!("the rules' state was lost, they start without: {error}"),
                );
                return Ok(none);
            }
        };
        if version > SNAPSHOT_VERSION {
            return Err(GatewayError::new(
                "data-dir-newer",
                format!(
                    "{SNAPSHOT} has version {version}, this program knows {SNAPSHOT_VERSION}: start the newer program"
                ),
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
        let ended = match stage {
            Stage::Running(running) => running.stop(&self.log),
            Stage::Prepared(_) | Stage::Stopped => {
                self.log.close().map_err(|e| GatewayError::new("log-unwritable", e.to_string()))
            }
        };
        *self.lock.lock() = None;
        ended
    }

    /// What recovering the log found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.path
    }

    pub(crate) fn with_hub<R>(
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

    pub(crate) fn running<R>(&self, work: impl FnOnce(&Running) -> R) -> Result<R, GatewayError> {
        match &*self.stage.read() {
            Stage::Running(parts) => Ok(work(parts)),
            Stage::Prepared(_) | Stage::Stopped => Err(GatewayError::not_running()),
        }
    }
}
