//! The handle of the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mohhos_locks::Mutex;

use crate::config::LogConfig;
use crate::error::{AppendError, CloseError, OpenError, ReadError};
use crate::fs::Fs;
use crate::reader::{self, Reader};
use crate::record::RecordBuffer;
use crate::recovery::{self, Recovery};
use crate::retention::{self, Trimmed};
use crate::shared::{Shared, StallCallback};
use crate::stats::LogStats;
use crate::writer::Writer;

/// The durable record of what was accepted.
///
/// An offset is a byte position that never repeats; 0 is no record's. A record is durable once [`Log::committed`] is
/// beyond its offset. Cloning gives another handle to the same log; the last one dropped closes it.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writer: JoinHandle<Result<(), CloseError>>,
    spares: JoinHandle<()>,
}

impl Log {
    /// Opens the log in its directory: checks what the last run left, cuts a torn end off, starts a new segment and
    /// the log thread.
    ///
    /// # Errors
    /// The disk fails or is full, or the files are of a newer format. Damage is not an error: see [`Recovery`].
    pub fn open(fs: Arc<dyn Fs>, config: LogConfig) -> Result<(Log, Recovery), OpenError> {
        let recovered = recovery::recover(&*fs, &config)?;
        let shared = Arc::new(Shared::new(
            Arc::clone(&fs),
            config,
            Arc::clone(&recovered.spares),
            recovered.segments,
            recovered.report.start,
        ));
        let starting = OpenError::io("starting its threads");
        let spares = match recovered.spares.start(fs, shared.config.segment_bytes) {
            Ok(thread) => thread,
            Err(error) => return Err(starting(error)),
        };
        let writer = Writer::new(Arc::clone(&shared), recovered.current);
        let writer = match thread::Builder::new().name("log".into()).spawn(move || writer.run()) {
            Ok(thread) => thread,
            Err(error) => {
                shared.spares.stop();
                return Err(starting(error));
            }
        };
        let threads = Mutex::new(Some(Threads { writer, spares }));
        Ok((Log { inner: Arc::new(Inner { shared, threads }) }, recovered.report))
    }

    /// Appends the records and returns the offset that their positions in the buffer are to be added to. They are
    /// copied; the disk is not waited for.
    ///
    /// # Errors
    /// None of the records was taken; see [`AppendError`].
    pub fn append(&self, records: &RecordBuffer) -> Result<u64, AppendError> {
        self.inner.shared.append(records)
    }

    /// The end of what is appended.
    pub fn end(&self) -> u64 {
        self.inner.shared.end.load(Ordering::Acquire)
    }

    /// The end of what is committed: every record at a smaller offset is on disk.
    pub fn committed(&self) -> u64 {
        self.inner.shared.committed()
    }

    /// Waits until the record at `offset` is committed; equally: until something beyond `offset` is. False if that
    /// did not happen in time, or cannot happen any more because the log was closed.
    pub fn wait_committed(&self, offset: u64, timeout: Duration) -> bool {
        self.inner.shared.wait_committed(offset, timeout, false)
    }

    /// Like [`Log::wait_committed`], but gives up when the disk takes nothing.
    pub fn wait_committed_or_stalled(&self, offset: u64, timeout: Duration) -> bool {
        self.inner.shared.wait_committed(offset, timeout, true)
    }

    /// Has everything that was appended committed as soon as may be, also what may wait by its class. Who waits for a
    /// commit with [`Log::wait_committed`] and not for its class calls this before.
    pub fn hasten(&self) {
        let shared = &self.inner.shared;
        shared.hasten(shared.queue.lock());
    }

    /// The class of messages on a topic, for [`Fields`](crate::Fields).
    pub fn class_of(&self, topic: &str) -> u8 {
        self.inner.shared.config.classes.of(topic)
    }

    /// Has the log thread call this with the new end after each commit. It must be short, and not wait for the log.
    pub fn on_commit(&self, callback: Box<dyn Fn(u64) + Send + Sync>) {
        self.inner.shared.on_commit(callback);
    }

    /// Has the log thread call this with the reason when the disk takes nothing, and with `None` when it does again. It
    /// must be short, and not wait for the log.
    pub fn on_stall(&self, callback: StallCallback) {
        self.inner.shared.on_stall(callback);
    }

    /// Why the disk takes nothing at the moment. What is appended meanwhile waits, as far as there is room for it.
    pub fn stalled(&self) -> Option<Arc<str>> {
        self.inner.shared.stalled()
    }

    /// A reader of committed records, which starts at an offset that the log gave: of a record, behind a record,
    /// [`Log::committed`], or 0 for the oldest record there is.
    pub fn reader(&self, from: u64) -> Reader {
        Reader::new(Arc::clone(&self.inner.shared), from)
    }

    /// Reads the bytes of one committed record into `bytes`, to be seen with `RecordView::parse`.
    ///
    /// # Errors
    /// The record is trimmed, damaged or not committed, or the disk fails.
    pub fn read_at(&self, offset: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
        reader::read_at(&self.inner.shared, offset, bytes)
    }

    /// The projection has everything below `offset`, and still needs what is from there on: nothing of it is
    /// trimmed. A hold lives as long as the log is open, so it is set anew after opening, before retention runs.
    pub fn hold(&self, name: &str, offset: u64) {
        self.inner.shared.holds.lock().insert(name.to_owned(), offset);
    }

    /// The projection is no more.
    pub fn release(&self, name: &str) {
        self.inner.shared.holds.lock().remove(name);
    }

    /// Takes away what is beyond the age or bytes of its class and what no hold needs, oldest first; and on a full disk
    /// also what is not. Without a trusted clock nothing goes by age. Waits for the disk.
    ///
    /// # Errors
    /// The disk fails. What was trimmed before stays trimmed.
    pub fn enforce_retention(&self, now_us: i64, clock_trusted: bool) -> std::io::Result<Trimmed> {
        retention::enforce(&self.inner.shared, now_us, clock_trusted)
    }

    /// Whether the log waits for space: [`Log::enforce_retention`] may give it some.
    pub fn is_full(&self) -> bool {
        self.inner.shared.is_full()
    }

    /// Bytes of committed records between two offsets, without the gaps that openings leave: how far a projection
    /// is behind.
    pub fn bytes_between(&self, from: u64, to: u64) -> u64 {
        let segments = self.inner.shared.segments.read().clone();
        // What retention left of a rewritten segment is counted as a whole or not at all: projections are beyond it.
        segments
            .iter()
            .map(|segment| {
                let bytes = segment.end().min(to).saturating_sub(segment.header.base.max(from));
                if segment.header.rewritten { bytes.min(segment.kept_bytes()) } else { bytes }
            })
            .sum()
    }

    /// Copies what is committed into an empty directory, durably, while the log goes on; returns the end of the copy.
    ///
    /// # Errors
    /// One of the disks fails.
    pub fn copy_to(&self, target: &dyn Fs) -> std::io::Result<u64> {
        crate::copy::copy(&self.inner.shared, target)
    }

    /// Counters and gauges.
    pub fn stats(&self) -> LogStats {
        let shared = &self.inner.shared;
        let segments = shared.segments.read().clone();
        LogStats {
            segments: segments.len(),
            // A segment whose length cannot be read is counted as empty: statistics do not fail.
            disk_bytes: segments.iter().map(|segment| segment.disk_bytes(&*shared.fs).unwrap_or(0)).sum(),
            oldest: segments.first().map_or(0, |segment| segment.header.base),
            committed: self.committed(),
            end: self.end(),
            stalled: shared.stalled(),
            ..shared.counters.snapshot()
        }
    }

    /// Commits what was appended and ends the log thread. Later calls do nothing.
    ///
    /// # Errors
    /// The disk did not take everything: what is beyond [`Log::committed`] is lost.
    pub fn close(&self) -> Result<(), CloseError> {
        self.inner.close()
    }
}

impl Inner {
    fn close(&self) -> Result<(), CloseError> {
        let shared = &self.shared;
        shared.queue.lock().closing = true;
        shared.work.notify_all();
        shared.spares.stop();
        let Some(threads) = self.threads.lock().take() else { return Ok(()) };
        // A callback may have held the last handle: the log thread cannot wait for itself.
        if threads.writer.thread().id() == thread::current().id() {
            return Ok(());
        }
        mohhos_locks::about_to_wait();
        let written = threads.writer.join();
        let prepared = threads.spares.join();
        match (written, prepared) {
            (Ok(result), Ok(())) => result,
            _ => Err(CloseError {
                bytes: shared.end.load(Ordering::Acquire) - shared.committed(),
                reason: "a thread of the log panicked".into(),
            }),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Who wants to know calls `close`.
        let _ = self.close();
    }
}
