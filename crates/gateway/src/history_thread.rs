//! The history thread: takes batches from the stream thread, writes files, lets old ones go.
//!
//! The channel to it is bounded by rows. While the disk takes nothing, the tail grows to its bound, then the channel to
//! its own, then the stream thread waits, then the shards' rings fill and sockets are no longer read: nothing is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mohhos_decode::{Batch, BatchBuilder, OffsetRange};
use mohhos_history::{History, HistoryError, Position};
use mohhos_hub::Clock;
use mohhos_locks::{Condvar, Mutex};
use mohhos_log::Log;

use crate::alarms::Alarms;
use crate::log_watch::LogWatch;

/// Rows that may wait for the thread.
const MAX_WAITING_ROWS: usize = 4_000_000;
/// The tail may be larger than what is flushed at once by this factor, while the disk takes nothing.
const MAX_TAIL_FLUSHES: usize = 4;
const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// How long to wait when the disk takes nothing.
const TICK: Duration = Duration::from_secs(1);
/// How often the thread looks for batches by itself.
const LOOK: Duration = Duration::from_millis(50);
/// With as many rows waiting it is woken.
const WAKING_ROWS: usize = 262_144;
const HOLD: &str = "history";
const ALARM: &str = "history-stalled";

enum Job {
    Batch(Arc<Batch>),
    /// Everything of the shard below the offset was given.
    Drained(u16, u64),
    Flush(SyncSender<Result<(), String>>),
    /// Answer when everything before it is in the tail.
    Tell(SyncSender<()>),
    Stop,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    rows: usize,
}

/// The way to the thread.
#[derive(Default)]
pub struct HistoryFeed {
    queue: Mutex<Queue>,
    arrived: Condvar,
    room: Condvar,
}

impl HistoryFeed {
    fn send(&self, job: Job) {
        let rows = if let Job::Batch(batch) = &job { batch.rows } else { 0 };
        // The thread looks by itself often enough; only who waits for it wakes it.
        let urgent = !matches!(job, Job::Batch(_) | Job::Drained(..));
        let mut queue = self.queue.lock();
        while rows > 0 && queue.rows >= MAX_WAITING_ROWS {
            self.room.wait(&mut queue);
        }
        queue.rows += rows;
        queue.jobs.push_back(job);
        if urgent || queue.rows >= WAKING_ROWS {
            self.arrived.notify_one();
        }
    }

    /// Answers when everything that was given before is in the tail.
    pub fn tell(&self, reply: SyncSender<()>) {
        self.send(Job::Tell(reply));
    }

    /// Gives a batch of `telemetry`; waits while too much waits already.
    pub fn batch(&self, batch: Arc<Batch>) {
        self.send(Job::Batch(batch));
    }

    /// Says that everything of the shard below `end` was given.
    pub fn drained(&self, shard: u16, end: u64) {
        self.send(Job::Drained(shard, end));
    }

    /// Writes what there is to a file and waits for it.
    ///
    /// # Errors
    /// The disk does not take it, in words.
    pub fn flush(&self) -> Result<(), String> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.send(Job::Flush(reply));
        mohhos_locks::about_to_wait();
        answer.recv().map_err(|_| "the gateway is stopping".to_owned())?
    }

    /// Ends the thread after what was given before.
    pub fn stop(&self) {
        self.send(Job::Stop);
    }

    fn take(&self, timeout: Duration) -> VecDeque<Job> {
        let mut queue = self.queue.lock();
        if queue.jobs.is_empty() {
            self.arrived.wait_for(&mut queue, timeout);
        }
        queue.rows = 0;
        let jobs = std::mem::take(&mut queue.jobs);
        self.room.notify_all();
        jobs
    }
}

/// What the thread works with.
pub struct HistoryThread {
    /// The history, with all replayed batches in it.
    pub history: History,
    /// Where batches come from.
    pub feed: Arc<HistoryFeed>,
    /// The log, which is held while rows are in no file.
    pub log: Log,
    /// Its retention.
    pub log_watch: LogWatch,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Conditions for operators.
    pub alarms: Arc<Alarms>,
    /// This boot.
    pub boot: u32,
    /// How many shards there are.
    pub shards: u16,
    /// Everything of the log below is in files.
    pub floor: u64,
    /// How many rows are flushed at once.
    pub flush_rows: usize,
}

impl HistoryThread {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(self) -> std::io::Result<JoinHandle<Result<(), HistoryError>>> {
        std::thread::Builder::new().name("history".into()).spawn(move || self.run())
    }

    fn now_us(&self) -> i64 {
        self.clock.mono_us() as i64
    }

    fn run(mut self) -> Result<(), HistoryError> {
        let mut retention = Instant::now();
        loop {
            for job in self.feed.take(LOOK) {
                match job {
                    Job::Batch(batch) => {
                        self.history.push(&batch, self.now_us())?;
                        self.flush_if_due();
                        self.wait_for_room();
                    }
                    Job::Drained(shard, end) => self.drained(shard, end)?,
                    Job::Flush(reply) => {
                        let _ = reply.send(self.flush().map_err(|e| e.to_string()));
                    }
                    Job::Tell(reply) => {
                        let _ = reply.send(());
                    }
                    Job::Stop => return self.flush(),
                }
            }
            self.flush_if_due();
            if retention.elapsed() >= RETENTION_EVERY {
                retention = Instant::now();
                self.tidy();
            } else if self.log.is_full() && retention.elapsed() >= TICK {
                retention = Instant::now();
                self.tidy_log();
            }
        }
    }

    fn drained(&mut self, shard: u16, end: u64) -> Result<(), HistoryError> {
        let range = OffsetRange { first: end.saturating_sub(1), end };
        let nothing = BatchBuilder::with_capacity(0).finish(shard, range, self.clock.wall_us());
        self.history.push(&Arc::new(nothing), self.now_us()).map(drop)
    }

    fn flush_if_due(&mut self) {
        if self.history.is_due(self.now_us()) {
            // The failure is an alarm already, and it is tried again.
            let _ = self.flush();
        }
    }

    fn flush(&mut self) -> Result<(), HistoryError> {
        match self.history.flush(self.now_us()) {
            Ok(_) => {
                self.alarms.clear(ALARM);
                self.log.hold(HOLD, self.covered());
                Ok(())
            }
            Err(error) => {
                let message = format!(
                    "the history cannot be written: {error}. Readings wait in memory and in the log; free some disk space"
                );
                self.alarms.raise(ALARM, message);
                Err(error)
            }
        }
    }

    /// Up to where everything of the log is in files.
    fn covered(&self) -> u64 {
        let ends: Vec<u64> = self
            .history
            .positions()
            .iter()
            .filter(|p| p.boot_id == self.boot)
            .map(|p: &Position| p.end)
            .collect();
        let all = ends.len() >= usize::from(self.shards);
        if all { ends.into_iter().min().unwrap_or(self.floor).max(self.floor) } else { self.floor }
    }

    /// While the tail is beyond its bound nothing more is taken.
    fn wait_for_room(&mut self) {
        while self.history.tail_rows() > self.flush_rows.saturating_mul(MAX_TAIL_FLUSHES) {
            if self.flush().is_err() {
                if self.log.is_full() {
                    self.tidy_log();
                }
                std::thread::sleep(TICK);
            }
        }
    }

    fn tidy(&mut self) {
        let trusted = self.clock.synchronised();
        let tidied = self.history.retain(self.clock.wall_us(), trusted).and_then(|_| self.history.compact());
        match tidied {
            Ok(_) => self.alarms.clear("history-untidy"),
            Err(error) => self
                .alarms
                .raise("history-untidy", format!("old history files were not removed or merged: {error}")),
        }
        self.tidy_log();
    }

    fn tidy_log(&mut self) {
        self.log_watch.tidy(self.clock.wall_us(), self.clock.synchronised());
    }
}
