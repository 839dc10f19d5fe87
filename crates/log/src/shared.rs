//! What the handles, the readers and the log thread have in common.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mohhos_locks::{Condvar, Mutex, MutexGuard, Rank, RwLock};

use crate::aligned::AlignedBuffer;
use crate::class::ClassBytes;
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
    /// Held while `committed` changes.
    waiters: Mutex<Waiters>,
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

/// What those who wait for a commit have to know beside it.
#[derive(Default)]
struct Waiters {
    /// There will be no commit any more.
    ended: bool,
    /// The disk takes nothing at the moment.
    stalled: bool,
}

/// What was appended and not yet taken by the log thread.
pub(crate) struct Queue {
    pub(crate) group: Group,
    pub(crate) waits_for: WaitsFor,
    pub(crate) closing: bool,
    pub(crate) stalled: Option<Stall>,
}

/// What an append has to wake the log thread for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// Nothing: it is busy, or waits for a time that no append changes.
    Nothing,
    /// A first record.
    Records,
    /// A record that is due before this.
    Due(Instant),
}

/// Why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    pub(crate) reason: Arc<str>,
    /// The disk is full, and nothing else is wrong with it.
    pub(crate) full: bool,
}

/// One commit in the making: room for the head of its first block and the header, then records.
pub(crate) struct Group {
    pub(crate) buffer: AlignedBuffer,
    /// The offset of its header.
    pub(crate) start: u64,
    pub(crate) times: Times,
    pub(crate) records: u64,
    pub(crate) class_bytes: ClassBytes,
    /// When it is to be committed; none: as soon as may be.
    pub(crate) due: Option<Instant>,
}

impl Group {
    pub(crate) fn new(mut buffer: AlignedBuffer, start: u64) -> Group {
        buffer.reset(start as usize % BLOCK + GROUP_HEADER);
        Group {
            buffer,
            start,
            times: Times::default(),
            records: 0,
            class_bytes: ClassBytes::default(),
            due: None,
        }
    }

    fn extend(&mut self, records: &RecordBuffer, due: Option<Instant>) {
        let (wall_us, synchronised_us) = records.times();
        self.buffer.extend(records.as_bytes());
        self.times = self.times.join(Times { wall_us, synchronised_us });
        self.due = match (self.records, self.due, due) {
            (0, _, due) => due,
            (_, Some(known), Some(due)) => Some(known.min(due)),
            _ => None,
        };
        self.records += records.len() as u64;
        self.class_bytes.iter_mut().zip(records.class_bytes()).for_each(|(known, more)| *known += more);
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
            queue: Mutex::new(Queue { group, waits_for: WaitsFor::Nothing, closing: false, stalled: None }),
            work: Condvar::new(),
            end: AtomicU64::new(start),
            committed: AtomicU64::new(start),
            waiters: Mutex::new(Waiters::default()),
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
        let bound = self.config.buffer_bytes as u64;
        // What is larger than the whole buffer is taken when nothing else is waiting.
        if uncommitted > 0 && uncommitted + bytes.len() as u64 > bound {
            self.counters.full.fetch_add(1, Ordering::Relaxed);
            let refused = match &queue.stalled {
                Some(stall) => AppendError::Stalled(Arc::clone(&stall.reason)),
                None => AppendError::Full,
            };
            self.hasten(queue);
            return Err(refused);
        }
        // Nobody waits for the sync of a class when memory is short.
        let due = if uncommitted + bytes.len() as u64 > bound / 2 { None } else { self.due(records) };
        queue.group.extend(records, due);
        self.end.store(queue.group.end(), Ordering::Release);
        let wake = match (queue.waits_for, queue.group.due) {
            (WaitsFor::Nothing, _) => false,
            (WaitsFor::Due(at), Some(due)) => due < at,
            (WaitsFor::Records | WaitsFor::Due(_), _) => true,
        };
        if wake {
            queue.waits_for = WaitsFor::Nothing;
        }
        drop(queue);
        if wake {
            self.work.notify_one();
        }
        Ok(offset)
    }

    /// When these records are to be committed at the latest; none: as soon as may be.
    fn due(&self, records: &RecordBuffer) -> Option<Instant> {
        let classes = &self.config.classes;
        if classes.is_empty() {
            return None;
        }
        let bits = records.class_bytes().iter().enumerate();
        let present = bits.fold(0, |bits, (class, bytes)| bits | u16::from(*bytes > 0) << class);
        match classes.sync_interval_us(present) {
            0 => None,
            interval => Instant::now().checked_add(Duration::from_micros(interval)),
        }
    }

    /// Has what was appended committed now, whatever its classes.
    pub(crate) fn hasten(&self, mut queue: MutexGuard<'_, Queue>) {
        if queue.group.due.take().is_some() && queue.waits_for != WaitsFor::Nothing {
            queue.waits_for = WaitsFor::Nothing;
            drop(queue);
            self.work.notify_one();
        }
    }

    /// Does the log wait for space on the disk?
    pub(crate) fn is_full(&self) -> bool {
        self.queue.lock().stalled.as_ref().is_some_and(|stall| stall.full)
    }

    pub(crate) fn uncommitted_bytes(&self) -> u64 {
        self.end.load(Ordering::Acquire).saturating_sub(self.committed())
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
    pub(crate) fn set_stalled(&self, stall: Option<Stall>) {
        let mut queue = self.queue.lock();
        let before = std::mem::replace(&mut queue.stalled, stall.clone());
        drop(queue);
        if before != stall {
            self.waiters.lock().stalled = stall.is_some();
            self.waiters_wake.notify_all();
            for callback in self.stall_callbacks.read().iter() {
                callback(stall.as_ref().map(|stall| &*stall.reason));
            }
        }
    }

    pub(crate) fn stalled(&self) -> Option<Arc<str>> {
        self.queue.lock().stalled.as_ref().map(|stall| Arc::clone(&stall.reason))
    }

    /// The log thread has ended: nobody need wait any longer.
    pub(crate) fn end_waiting(&self) {
        self.waiters.lock().ended = true;
        self.waiters_wake.notify_all();
    }

    pub(crate) fn wait_committed(&self, offset: u64, timeout: Duration, or_stalled: bool) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut waiters = self.waiters.lock();
        while self.committed() <= offset {
            if waiters.ended || (or_stalled && waiters.stalled) {
                return false;
            }
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
