//! The stream thread: takes batches from the shards, runs the rules, publishes their results, hands the batch on.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mohhos_decode::{Batch, Names};
use mohhos_hub::{BatchReceiver, Clock, Publisher, Signal};
use mohhos_stream::{Engine, Outputs};

use crate::error::GatewayError;
use crate::history_thread::HistoryFeed;
use crate::positions::Positions;
use crate::results::Results;
use crate::saver::{Saver, Saving};
use crate::telemetry_tap::TelemetryTaps;

/// Batches of one shard before the next one's turn.
const TURN: usize = 16;
/// The longest wait without anything to do.
const IDLE: Duration = Duration::from_millis(500);
/// The wait while the hub does not take results.
const HUB_FULL: Duration = Duration::from_micros(500);

/// After a turn with few rows more may gather: a wake-up per message costs more than the message.
const NAP: Duration = Duration::from_micros(200);
/// As many rows in a turn are no few.
const NAP_ROWS: usize = 4096;
/// At `FAST` rows per millisecond and more, a wake-up for each round of each shard is a third of the thread's work.
const LONG_NAP: Duration = Duration::from_millis(1);
const FAST: u128 = 100;
/// Over this time rows are counted.
const PACE_OVER: Duration = Duration::from_millis(10);

type Work = Box<dyn FnOnce(&mut Engine, &mut dyn Outputs) + Send>;

/// What others ask of the thread.
pub enum Request {
    /// Work on the engine, between two batches.
    Engine(Work),
    /// Tell when everything of the log below the offset has gone through the rules and into the history's tail.
    Caught(u64, SyncSender<()>),
}

/// Lets others work on the engine between two batches.
#[derive(Clone)]
pub struct EngineAccess {
    requests: Sender<Request>,
    signal: Arc<Signal>,
}

impl EngineAccess {
    /// The access, and where the requests come out.
    pub fn new(signal: Arc<Signal>) -> (Self, Receiver<Request>) {
        let (requests, receiver) = channel();
        (Self { requests, signal }, receiver)
    }

    /// Runs the work on the stream thread and gives its answer.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine, &mut dyn Outputs) -> R + Send + 'static,
    ) -> Result<R, GatewayError> {
        let (reply, answer) = sync_channel(1);
        let request = Request::Engine(Box::new(move |engine, outputs| {
            let _ = reply.send(work(engine, outputs));
        }));
        self.requests.send(request).map_err(|_| GatewayError::not_running())?;
        self.signal.raise();
        mohhos_locks::about_to_wait();
        answer.recv().map_err(|_| GatewayError::not_running())
    }

    /// Waits until everything of the log below the offset has gone through the rules and is in the history's tail;
    /// false if that takes longer.
    pub fn wait_caught(&self, offset: u64, timeout: Duration) -> bool {
        let (reply, answer) = sync_channel(1);
        if self.requests.send(Request::Caught(offset, reply)).is_err() {
            return false;
        }
        self.signal.raise();
        mohhos_locks::about_to_wait();
        answer.recv_timeout(timeout).is_ok()
    }
}

/// A promise of a shard: once so many of its batches were taken, everything of it below `end` was.
struct Mark {
    batches: u64,
    end: u64,
}

struct Source {
    receiver: BatchReceiver,
    taken: u64,
    mark: Option<Mark>,
}

/// How quickly rows come.
struct Pace {
    since: Instant,
    rows: u128,
    fast: bool,
}

impl Pace {
    fn new() -> Self {
        Self { since: Instant::now(), rows: 0, fast: false }
    }

    /// How long to let more rows gather after a turn with so many.
    fn nap(&mut self, rows: usize) -> Duration {
        self.rows += rows as u128;
        let over = self.since.elapsed();
        if over >= PACE_OVER {
            *self = Self { since: Instant::now(), rows: 0, fast: self.rows >= FAST * over.as_millis() };
        }
        if self.fast { LONG_NAP } else { NAP }
    }
}

/// What the thread works with.
pub struct StreamThread {
    /// The rules, with the state that a replay gave them.
    pub engine: Engine,
    /// Results, those of the replay in it.
    pub results: Results,
    /// The rings of the shards.
    pub receivers: Vec<BatchReceiver>,
    /// What others ask.
    pub requests: Receiver<Request>,
    /// Wakes the thread.
    pub signal: Arc<Signal>,
    /// Where results go.
    pub publisher: Publisher,
    /// Where batches of telemetry go.
    pub history: Arc<HistoryFeed>,
    /// Who watches.
    pub taps: Arc<TelemetryTaps>,
    /// Codes of devices.
    pub devices: Arc<Names>,
    /// Codes of metrics.
    pub metrics: Arc<Names>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is in the engine's state.
    pub positions: Positions,
    /// Where the state is written.
    pub saver: Saver,
    /// How often the state is saved.
    pub snapshot_interval: Duration,
}

impl StreamThread {
    /// Starts it. It ends when all shards have ended and their rings are empty.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("stream".into()).spawn(move || self.run())
    }

    fn run(mut self) {
        mohhos_log::prefer_latency();
        let receivers = std::mem::take(&mut self.receivers);
        let mut sources: Vec<Source> =
            receivers.into_iter().map(|receiver| Source { receiver, taken: 0, mark: None }).collect();
        let mut saved = Instant::now();
        let mut waiting = Vec::new();
        let mut pace = Pace::new();
        loop {
            let mut busy = false;
            while let Ok(request) = self.requests.try_recv() {
                match request {
                    Request::Engine(work) => work(&mut self.engine, &mut self.results),
                    Request::Caught(offset, reply) => waiting.push((offset, reply)),
                }
                busy = true;
            }
            let mut rows = 0;
            for source in &mut sources {
                let (batches, taken) = self.turn(source);
                busy |= batches > 0;
                rows += taken;
            }
            let nap = pace.nap(rows);
            self.tell_caught(&mut waiting);
            let timer = self.time_left();
            if timer.is_zero() {
                self.engine.on_timer(self.clock.wall_us(), &mut self.results);
            }
            self.publish();
            if saved.elapsed() >= self.snapshot_interval && self.saver.save(|| self.state()) {
                saved = Instant::now();
            }
            if !busy {
                if sources.iter().all(|source| source.receiver.is_finished()) {
                    break;
                }
                let idle = if waiting.is_empty() { IDLE } else { Duration::from_millis(1) };
                self.signal.wait(timer.clamp(Duration::from_millis(1), idle));
            } else if rows < NAP_ROWS {
                std::thread::sleep(nap);
            }
        }
        let last = (!self.results.lost()).then(|| self.state());
        self.saver.finish(last);
    }

    /// Answers those who wait for what is in the history's tail now.
    fn tell_caught(&self, waiting: &mut Vec<(u64, SyncSender<()>)>) {
        let caught = self.positions.replay_from();
        for (_, reply) in waiting.extract_if(.., |(offset, _)| *offset <= caught) {
            self.history.tell(reply);
        }
    }

    /// Takes some batches of one shard; how many, and their rows.
    fn turn(&mut self, source: &mut Source) -> (usize, usize) {
        let (mut taken, mut rows) = (0, 0);
        while taken < TURN
            && let Some(batch) = source.receiver.pop()
        {
            rows += batch.rows;
            self.take(batch);
            taken += 1;
        }
        source.taken += taken as u64;
        let shard = source.receiver.shard();
        if let Some(mark) = source.mark.take_if(|mark| source.taken >= mark.batches) {
            self.positions.drained(shard, mark.end);
            self.history.drained(shard, mark.end);
        }
        if source.mark.is_none()
            && let Some((batches, end)) = source.receiver.promise()
            && !self.positions.covers_shard(shard, end)
        {
            source.mark = Some(Mark { batches, end });
        }
        (taken, rows)
    }

    fn take(&mut self, batch: Batch) {
        self.engine.on_batch(&batch, self.clock.wall_us(), &mut self.results);
        self.positions.consumed(&batch);
        // What the rules want done goes out before anything else is done with the batch.
        self.publish();
        if batch.table == 0 {
            self.taps.show(&batch, &self.devices, &self.metrics);
            self.history.batch(Arc::new(batch));
        }
    }

    /// Gives the results to the hub. While it does not take them nothing more is read: the shards, which do not wait
    /// for this thread, make room.
    fn publish(&mut self) {
        while !self.results.publish(&self.publisher) {
            std::thread::sleep(HUB_FULL);
        }
    }

    /// How long until the engine wants to be called; nothing while a rule waits for no time.
    fn time_left(&self) -> Duration {
        let Some(at_us) = self.engine.next_timer() else { return IDLE };
        Duration::from_micros(u64::try_from(at_us - self.clock.wall_us()).unwrap_or(0))
    }

    fn state(&self) -> Saving {
        let mut content = Vec::new();
        self.positions.encode(&mut content);
        content.extend_from_slice(&self.engine.snapshot());
        Saving { content, replay_from: self.positions.replay_from() }
    }
}
