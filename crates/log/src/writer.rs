//! The log thread: takes what was appended meanwhile, writes it as one group, syncs once, tells everybody.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::aligned::AlignedBuffer;
use crate::error::CloseError;
use crate::format::{GROUP_HEADER, GroupHeader, SegmentHeader};
use crate::fs::{BLOCK, File};
use crate::scheduling::prefer_latency;
use crate::segment::{self, Segment};
use crate::shared::{Group, Shared, Stall, WaitsFor};

/// A buffer that grew beyond this in a stall is given back.
const BUFFER_KEPT: usize = 4 << 20;

/// The segment that is written.
pub(crate) struct Current {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn File>,
    /// Bytes of the file whose blocks are allocated.
    pub(crate) allocated: u64,
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// None when its file can no longer be trusted.
    current: Option<Current>,
    /// The committed bytes of the last block, as they are in the file.
    tail: AlignedBuffer,
    /// The segment before, until its seal is written.
    unsealed: Option<Arc<Segment>>,
    spare_buffer: AlignedBuffer,
    last_commit: Option<Instant>,
}

/// A log thread that ends, however it ends, takes nothing any more.
struct CloseOnExit(Arc<Shared>);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        self.0.queue.lock().closing = true;
        self.0.end_waiting();
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, current: Current) -> Writer {
        Writer {
            shared,
            current: Some(current),
            tail: AlignedBuffer::zeroed(BLOCK),
            unsealed: None,
            spare_buffer: AlignedBuffer::default(),
            last_commit: None,
        }
    }

    pub(crate) fn run(mut self) -> Result<(), CloseError> {
        let _closed = CloseOnExit(Arc::clone(&self.shared));
        prefer_latency();
        while let Some(group) = self.next_group() {
            self.commit(group)?;
        }
        self.seal_current();
        Ok(())
    }

    /// Waits for records, and until they are due. None when the log closes and all is written.
    fn next_group(&mut self) -> Option<Group> {
        let shared = Arc::clone(&self.shared);
        let interval = Duration::from_micros(shared.config.commit_interval_us);
        let mut queue = shared.queue.lock();
        loop {
            queue.waits_for = WaitsFor::Nothing;
            if queue.group.records == 0 {
                if queue.closing {
                    return None;
                }
                queue.waits_for = WaitsFor::Records;
                shared.work.wait(&mut queue);
                continue;
            }
            // Not sooner than the interval after the commit before, and not before one of the records is due.
            let earliest = self.last_commit.and_then(|last| last.checked_add(interval));
            let Some(due) = earliest.max(queue.group.due) else { break };
            if queue.closing || Instant::now() >= due {
                break;
            }
            if queue.group.due.is_some() {
                queue.waits_for = WaitsFor::Due(due);
            }
            shared.work.wait_until(&mut queue, due);
        }
        queue.waits_for = WaitsFor::Nothing;
        self.last_commit = Some(Instant::now());
        let end = queue.group.end();
        let next = Group::new(std::mem::take(&mut self.spare_buffer), end);
        Some(std::mem::replace(&mut queue.group, next))
    }

    /// Writes the group, however long it takes; gives up only when the log is being closed.
    fn commit(&mut self, mut group: Group) -> Result<(), CloseError> {
        let started = Instant::now();
        let end = group.end();
        let mut failed = 0;
        let segment = loop {
            match self.write(&mut group) {
                Ok(segment) => break segment,
                Err(error) => {
                    self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
                    failed += 1;
                    self.stall(&error, failed, end - group.start)?;
                }
            }
        };
        segment.committed(end, group.times, &group.class_bytes);
        if failed > 0 {
            self.shared.set_stalled(None);
        }
        self.shared.counters.committed(
            group.records,
            end - group.start - GROUP_HEADER as u64,
            started.elapsed(),
        );
        self.shared.publish(end);
        self.seal_previous();
        if group.buffer.capacity() <= BUFFER_KEPT || group.buffer.len() * 4 > group.buffer.capacity() {
            self.spare_buffer = group.buffer;
        }
        Ok(())
    }

    /// Writes and syncs the group, and returns the segment that it is in now.
    fn write(&mut self, group: &mut Group) -> io::Result<Arc<Segment>> {
        let (segment, file) = self.segment_for(group)?;
        let header = &segment.header;
        let phase = group.phase();
        let (head, body) = group.buffer.bytes_mut().split_at_mut(phase + GROUP_HEADER);
        head[..phase].copy_from_slice(&self.tail.bytes()[..phase]);
        let group_header = GroupHeader {
            body_len: body.len() as u32,
            offset: group.start,
            salt: header.salt,
            times: group.times,
            body_checksum: crc32c::crc32c(body),
        };
        head[phase..].copy_from_slice(&group_header.encode());
        let position = header.position(group.start) - phase as u64;
        let blocks = group.buffer.padded();
        if let Err(error) = file.write_durable(blocks, position) {
            // Nothing is known about the file now, and a later sync that succeeds would prove nothing.
            self.current = None;
            return Err(error);
        }
        self.tail.bytes_mut().copy_from_slice(&blocks[blocks.len() - BLOCK..]);
        Ok(segment)
    }

    /// The current segment, or the next, put in place when the current one is full or not to be trusted.
    fn segment_for(&mut self, group: &Group) -> io::Result<(Arc<Segment>, Arc<dyn File>)> {
        if let Some(Current { segment, file, allocated }) = &self.current {
            let position = segment.header.position(group.start);
            let outgrown = position >= *allocated && self.shared.spares.is_ready();
            let empty = segment.header.base == group.start;
            if empty || (position < self.shared.config.segment_bytes && !outgrown) {
                return Ok((Arc::clone(segment), Arc::clone(file)));
            }
        }
        self.seal_previous();
        // From here on nothing more may go into the segment before: if putting the next in place fails, its name may
        // be there all the same, and whatever follows it in the segment before would be cut off at the next opening.
        self.unsealed = self.current.take().map(|current| current.segment);
        let previous_end = self.previous_end(group.start);
        let header =
            SegmentHeader { base: group.start, previous_end, salt: segment::new_salt(), rewritten: false };
        let shared = &self.shared;
        let (file, allocated) = segment::create(&*shared.fs, &shared.spares, &header, 0)?;
        let segment = Arc::new(Segment::new(header, Arc::clone(&file)));
        {
            let mut segments = shared.segments.write();
            // A segment that failed at its first group had this name; its file was replaced.
            if segments.last().is_some_and(|last| last.header.base == header.base) {
                segments.pop();
            }
            segments.push(Arc::clone(&segment));
        }
        self.tail.bytes_mut().fill(0);
        self.current = Some(Current { segment: Arc::clone(&segment), file: Arc::clone(&file), allocated });
        Ok((segment, file))
    }

    /// Where the log ended before a segment at `base`: a segment that failed before its first group may have been
    /// the one behind the gap that an opening leaves.
    fn previous_end(&self, base: u64) -> u64 {
        let segments = self.shared.segments.read();
        segments.last().filter(|last| last.header.base == base).map_or(base, |last| last.header.previous_end)
    }

    /// Tells why nothing is written, and waits until it is worth trying again.
    fn stall(&self, error: &io::Error, failed: u32, bytes: u64) -> Result<(), CloseError> {
        let full = error.kind() == io::ErrorKind::StorageFull || error.kind() == io::ErrorKind::QuotaExceeded;
        let reason: Arc<str> = if full {
            "the disk is full; free some space, or let retention keep less".into()
        } else {
            format!("the disk failed: {error}").into()
        };
        // A spare needs no space. If it does not help either, the disk has said so twice.
        if full && failed == 1 && self.shared.spares.is_ready() {
            return Ok(());
        }
        let retry = Duration::from_micros(self.shared.config.retry_interval_us);
        self.shared.set_stalled(Some(Stall { reason: Arc::clone(&reason), full }));
        let mut queue = self.shared.queue.lock();
        loop {
            // One more try, for a segment of its own, is due to what was appended before the close.
            if queue.closing && failed < 2 {
                return Ok(());
            }
            if queue.closing {
                return Err(CloseError { bytes: bytes + queue.group.end() - queue.group.start, reason });
            }
            self.shared.work.wait_for(&mut queue, retry);
            if queue.closing || !full {
                return Ok(());
            }
            // The disk is asked without the lock: whoever appends must not wait for it.
            drop(queue);
            if self.has_room(bytes) {
                return Ok(());
            }
            queue = self.shared.queue.lock();
        }
    }

    /// Is it worth trying again on a disk that was full? Not while it says that it still is.
    fn has_room(&self, bytes: u64) -> bool {
        let needed = bytes + 2 * BLOCK as u64;
        let still_full = self.shared.fs.free_space().is_ok_and(|free| free < needed);
        !still_full || self.shared.spares.is_ready()
    }

    /// A seal that fails is no harm: the segment is read at the next opening.
    fn seal_previous(&mut self) {
        if let Some(segment) = self.unsealed.take() {
            let sealed = segment.seal(&*self.shared.fs, &self.shared.config.classes);
            if sealed.is_err() && !segment.is_removed() {
                self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
            }
            segment.settle();
        }
    }

    fn seal_current(&mut self) {
        self.seal_previous();
        self.unsealed = self.current.take().map(|current| current.segment);
        self.seal_previous();
    }
}
