//! What the handles, the readers and the log thread have in common.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mohhos_locks::{Condvar, Mutex, Rank, RwLock};

use crate::aligned::AlignedBuffer;
use crate::config::LogConfig;
use crate::error::AppendError;
use crate::format::{GROUP_HEADER, MAX_UNCOMMITTED, Times};
use crate::fs::{BLOCK, Fs};
use crate::record::RecordBuffer;
use crate::segment::Segment;
use crate::spares::Spares;
use crate::stats::Counters;

pub(crate) type CommitCallback = Box<dyn Fn(u64) + Send + Sync>;
/// Hears why the disk takes nothing, and `None` when it does again.
pub type StallCallback = Box<dyn Fn(Option<&str>) + Send + Sync>;

pub(crate) struct Shared {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) config: LogConfig,
    pub(crate) queue: Mutex<Queue>,
    /// Wakes the log thread.
    pub(crate) work: Condvar,
    /// The end of what is appended. Written under the queue's lock.
    pub(crate) end: AtomicU64,
    /// The end of what is committed. Written by the log thread alone, after the sync returned.
    committed: AtomicU64,
    waiters: Mutex<()>,
    waiters_wake: Condvar,
    callbacks: RwLock<Vec<CommitCallback>>,
    stall_callbacks: RwLock<Vec<StallCallback>>,
    /// By base; never empty, and the last is the one that is written.
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    pub(crate) holds: Mutex<BTreeMap<String, u64>>,
    /// Held while segments are trimmed or copied: files of trimmed segments that could not be removed yet.
    pub(crate) maintenance: Mutex<Vec<String>>,
    pub(crate) spares: Arc<Spares>,
    pub(crate) counters: Counters,
}

/// What was appended and not yet taken by the log thread.
pub(crate) struct Queue {
    pub(crate) group: Group,
    /// The log thread waits for a first append.
    pub(crate) idle: bool,
    pub(crate) closing: bool,
    pub(crate) stalled: Option<Arc<str>>,
}

/// One commit in the making: room for the head of its first block and the header, then records.
pub(crate) struct Group {
    pub(crate) buffer: AlignedBuffer,
    /// The offset of its header.
    pub(crate) start: u64,
    pub(crate) times: Times,
    pub(crate) records: u64,
}

impl Group {
    pub(crate) fn new(mut buffer: AlignedBuffer, start: u64) -> Group {
        buffer.reset(start as usize % BLOCK + GROUP_HEADER);
        Group { buffer, start, times: Times::default(), records: 0 }
    }

    /// How many bytes of the buffer belong to the block's committed head: positions in the buffer have the same place
    /// in their block as in the file.
    pub(crate) fn phase(&self) -> usize {
        self.start as usize % BLOCK
    }

    /// The offset of the next record.
    fn next(&self) -> u64 {
        self.start + (self.buffer.len() - self.phase()) as u64
    }

    /// The offset behind the group.
    pub(crate) fn end(&self) -> u64 {
        if self.records == 0 { self.start } else { self.next() }
    }
}

impl Shared {
    pub(crate) fn new(
        fs: Arc<dyn Fs>,
        mut config: LogConfig,
        spares: Arc<Spares>,
        segments: Vec<Arc<Segment>>,
        start: u64,
    ) -> Shared {
        config.buffer_bytes = config.buffer_bytes.clamp(BLOCK, MAX_UNCOMMITTED);
        let group = Group::new(AlignedBuffer::default(), start);
        Shared {
            fs,
            config,
            queue: Mutex::new(Queue { group, idle: false, closing: false, stalled: None }),
            work: Condvar::new(),
            end: AtomicU64::new(start),
            committed: AtomicU64::new(start),
            waiters: Mutex::new(()),
            waiters_wake: Condvar::new(),
            callbacks: RwLock::ranked(Rank::TABLE, Vec::new()),
            stall_callbacks: RwLock::ranked(Rank::TABLE, Vec::new()),
            segments: RwLock::new(segments),
            holds: Mutex::new(BTreeMap::new()),
            maintenance: Mutex::ranked(Rank::WORK, Vec::new()),
            spares,
            counters: Counters::default(),
        }
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    pub(crate) fn append(&self, records: &RecordBuffer) -> Result<u64, AppendError> {
        let bytes = records.as_bytes();
        if bytes.len() > MAX_UNCOMMITTED {
            return Err(AppendError::TooLarge(bytes.len()));
        }
        let mut queue = self.queue.lock();
        if queue.closing {
            return Err(AppendError::Closed);
        }
        let offset = queue.group.next();
        if bytes.is_empty() {
            return Ok(offset);
        }
        let uncommitted = queue.group.end() - self.committed();
        // What is larger than the whole buffer is taken when nothing else is waiting.
        if uncommitted > 0 && uncommitted + bytes.len() as u64 > self.config.buffer_bytes as u64 {
            self.counters.full.fetch_add(1, Ordering::Relaxed);
            return Err(match &queue.stalled {
                Some(reason) => AppendError::Stalled(Arc::clone(reason)),
                None => AppendError::Full,
            });
        }
        let (wall_us, synchronised_us) = records.times();
        queue.group.buffer.extend(bytes);
        queue.group.times = queue.group.times.join(Times { wall_us, synchronised_us });
        queue.group.records += records.len() as u64;
        self.end.store(queue.group.end(), Ordering::Release);
        let wake = std::mem::take(&mut queue.idle);
        drop(queue);
        if wake {
            self.work.notify_one();
        }
        Ok(offset)
    }

    /// Everything below `end` is on disk. Only the log thread says so.
    pub(crate) fn publish(&self, end: u64) {
        let waiters = self.waiters.lock();
        self.committed.store(end, Ordering::Release);
        drop(waiters);
        self.waiters_wake.notify_all();
        for callback in self.callbacks.read().iter() {
            callback(end);
        }
    }

    pub(crate) fn on_commit(&self, callback: CommitCallback) {
        self.callbacks.write().push(callback);
    }

    pub(crate) fn on_stall(&self, callback: StallCallback) {
        self.stall_callbacks.write().push(callback);
    }

    /// Nothing can be written, and why, or it can again: only the log thread says so.
    pub(crate) fn set_stalled(&self, reason: Option<Arc<str>>) {
        let mut queue = self.queue.lock();
        let before = std::mem::replace(&mut queue.stalled, reason.clone());
        drop(queue);
        if before != reason {
            for callback in self.stall_callbacks.read().iter() {
                callback(reason.as_deref());
            }
        }
    }

    pub(crate) fn stalled(&self) -> Option<Arc<str>> {
        self.queue.lock().stalled.clone()
    }

    pub(crate) fn wait_committed(&self, offset: u64, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut waiters = self.waiters.lock();
        while self.committed() <= offset {
            let expired = match deadline {
                Some(deadline) => self.waiters_wake.wait_until(&mut waiters, deadline).timed_out(),
                None => {
                    self.waiters_wake.wait(&mut waiters);
                    false
                }
            };
            if expired {
                return self.committed() > offset;
            }
        }
        true
    }

    pub(crate) fn smallest_hold(&self) -> Option<(String, u64)> {
        let holds = self.holds.lock();
        holds.iter().min_by_key(|(_, offset)| **offset).map(|(name, offset)| (name.clone(), *offset))
    }
}
