//! One segment of the log, as readers, retention and the log thread share it; and how its file comes to be.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mohhos_locks::{Mutex, Rank};

use crate::aligned::AlignedBuffer;
use crate::format::{Seal, SegmentHeader, Times};
use crate::fs::{BLOCK, File, Fs};
use crate::spares::Spares;

pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";
/// Zeros are written in such pieces, so that commits get their turn at the disk in between.
const FILL_BYTES: usize = 256 << 10;

pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) name: String,
    /// The end of what is committed in it. Stored before `Shared::committed`.
    end: AtomicU64,
    times: Mutex<Times>,
    file: Mutex<Option<Arc<dyn File>>>,
    /// Set before the file is removed or used again: what was read from it is worth nothing if this is set afterwards.
    removed: AtomicBool,
}

impl Segment {
    pub(crate) fn new(header: SegmentHeader, end: u64, times: Times, file: Option<Arc<dyn File>>) -> Segment {
        Segment {
            header,
            name: SegmentHeader::file_name(header.base),
            end: AtomicU64::new(end),
            times: Mutex::new(times),
            file: Mutex::ranked(Rank::TABLE, file),
            removed: AtomicBool::new(false),
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn times(&self) -> Times {
        *self.times.lock()
    }

    pub(crate) fn committed(&self, end: u64, times: Times) {
        let mut known = self.times.lock();
        *known = known.join(times);
        self.end.store(end, Ordering::Release);
    }

    /// The file, opened once and shared by all readers.
    pub(crate) fn file(&self, fs: &dyn Fs) -> io::Result<Arc<dyn File>> {
        let mut file = self.file.lock();
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        let opened = fs.open(&self.name)?;
        *file = Some(Arc::clone(&opened));
        Ok(opened)
    }

    pub(crate) fn disk_bytes(&self, fs: &dyn Fs) -> io::Result<u64> {
        self.file(fs)?.len()
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    pub(crate) fn mark_removed(&self) {
        self.removed.store(true, Ordering::Release);
        *self.file.lock() = None;
    }

    /// Reads committed bytes at an offset; fewer than asked at the end of what is committed, or of the file.
    pub(crate) fn read(&self, fs: &dyn Fs, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted =
            usize::try_from(self.end().saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        self.file(fs)?.read_at(&mut buffer[..wanted], self.header.position(offset))
    }

    /// Says in the file where the segment ends.
    pub(crate) fn seal(&self, fs: &dyn Fs) -> io::Result<()> {
        let mut block = AlignedBuffer::zeroed(BLOCK);
        self.header.encode(Some(&Seal { end: self.end(), times: self.times() }), block.bytes_mut());
        self.file(fs)?.write_durable(block.bytes(), 0)
    }
}

/// Puts an empty segment in place: header durable first, then the name. Returns its file and how many bytes of it
/// need no more allocation.
pub(crate) fn create(
    fs: &dyn Fs,
    spares: &Spares,
    header: &SegmentHeader,
    allocate: u64,
) -> io::Result<(Arc<dyn File>, u64)> {
    let mut block = AlignedBuffer::zeroed(BLOCK);
    header.encode(None, block.bytes_mut());
    let name = SegmentHeader::file_name(header.base);
    let (file, source) = match spares.take() {
        Some(spare) => (fs.open(&spare)?, spare),
        None => {
            let temporary = format!("{name}{TEMPORARY_SUFFIX}");
            let file = fs.create(&temporary)?;
            fill_with_zeros(&*file, allocate, || false)?;
            (file, temporary)
        }
    };
    file.write_durable(block.bytes(), 0)?;
    let allocated = file.len()?;
    fs.rename(&source, &name)?;
    fs.sync_dir()?;
    Ok((file, allocated))
}

/// Writes zeros, for a file whose blocks are only reserved costs twice as much at each sync. False if stopped.
pub(crate) fn fill_with_zeros(file: &dyn File, bytes: u64, stop: impl Fn() -> bool) -> io::Result<bool> {
    let zeros = AlignedBuffer::zeroed(FILL_BYTES.min(bytes as usize));
    let mut position = 0;
    while position < bytes {
        if stop() {
            return Ok(false);
        }
        let piece = (bytes - position).min(FILL_BYTES as u64);
        file.write_durable(&zeros.bytes()[..piece as usize], position)?;
        position += piece;
    }
    Ok(true)
}

/// A number that no segment had before and nobody outside can guess, so that no payload can pretend to be a group.
pub(crate) fn new_salt() -> u64 {
    RandomState::new().build_hasher().finish()
}
