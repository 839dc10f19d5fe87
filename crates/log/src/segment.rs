//! One segment of the log, as readers, retention and the log thread share it; and how its file comes to be.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mohhos_locks::{Mutex, Rank};

use crate::aligned::AlignedBuffer;
use crate::class::{ClassBytes, Classes};
use crate::format::{Seal, SegmentHeader, Times};
use crate::fs::{BLOCK, File, Fs};
use crate::index::{Index, Span};
use crate::spares::Spares;

pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";
/// Zeros are written in such pieces, so that commits get their turn at the disk in between.
const FILL_BYTES: usize = 256 << 10;

pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) name: String,
    /// The end of what is committed in it. Stored before `Shared::committed`.
    end: AtomicU64,
    contents: Mutex<Contents>,
    file: Mutex<Option<Arc<dyn File>>>,
    /// Of a rewritten segment, read when first needed.
    index: Mutex<Option<Arc<Index>>>,
    /// Set before the file is removed or used again: what was read from it is worth nothing if this is set afterwards.
    removed: AtomicBool,
    /// The log thread writes nothing to the file any more, and no seal either.
    settled: AtomicBool,
    /// Something in it cannot be read: it is not rewritten.
    damaged: AtomicBool,
}

/// What is in a segment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) times: Times,
    /// Bytes of records by class; none if nobody has counted them.
    pub(crate) class_bytes: Option<ClassBytes>,
}

impl Contents {
    /// Of a segment that has nothing yet.
    pub(crate) fn empty() -> Contents {
        Contents { times: Times::default(), class_bytes: Some(ClassBytes::default()) }
    }

    /// As the seal tells it, if these are the classes that it knew.
    pub(crate) fn of(seal: &Seal, classes: &Classes) -> Contents {
        let known = seal.classes.filter(|(fingerprint, _)| *fingerprint == classes.fingerprint());
        Contents { times: seal.times, class_bytes: known.map(|(_, bytes)| bytes) }
    }
}

impl Segment {
    /// The segment that is written.
    pub(crate) fn new(header: SegmentHeader, file: Arc<dyn File>) -> Segment {
        Segment {
            header,
            name: SegmentHeader::file_name(header.base),
            end: AtomicU64::new(header.base),
            contents: Mutex::new(Contents::empty()),
            file: Mutex::ranked(Rank::TABLE, Some(file)),
            index: Mutex::new(None),
            removed: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
        }
    }

    /// A segment that gets no more groups.
    pub(crate) fn settled(
        header: SegmentHeader,
        end: u64,
        contents: Contents,
        file: Arc<dyn File>,
    ) -> Segment {
        let segment = Segment::new(header, file);
        segment.end.store(end, Ordering::Release);
        *segment.contents.lock() = contents;
        segment.settle();
        segment
    }

    /// With the index of what was just written to it.
    pub(crate) fn with_index(self, index: Index) -> Segment {
        *self.index.lock() = Some(Arc::new(index));
        self
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn contents(&self) -> Contents {
        *self.contents.lock()
    }

    /// Bytes of records, as far as somebody has counted them.
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.contents().class_bytes.map_or(0, |bytes| bytes.iter().sum())
    }

    pub(crate) fn set_class_bytes(&self, bytes: ClassBytes) {
        self.contents.lock().class_bytes = Some(bytes);
    }

    pub(crate) fn committed(&self, end: u64, times: Times, class_bytes: &ClassBytes) {
        let mut contents = self.contents.lock();
        contents.times = contents.times.join(times);
        if let Some(known) = &mut contents.class_bytes {
            known.iter_mut().zip(class_bytes).for_each(|(known, more)| *known += more);
        }
        self.end.store(end, Ordering::Release);
    }

    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    pub(crate) fn mark_damaged(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
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

    /// What is committed at an offset or behind it, and follows on itself in the file; none if there is no more.
    pub(crate) fn span(&self, fs: &dyn Fs, offset: u64) -> io::Result<Option<Span>> {
        if self.header.rewritten {
            return Ok(self.index(fs)?.at(offset).filter(|span| span.from < self.end()));
        }
        let (from, to) = (self.header.base, self.end());
        let position = self.header.position(from);
        Ok((offset < to).then_some(Span { from, to, position, damaged_from: None }))
    }

    /// The groups of a rewritten segment.
    pub(crate) fn index(&self, fs: &dyn Fs) -> io::Result<Arc<Index>> {
        let known = self.index.lock().clone();
        if let Some(index) = known {
            return Ok(index);
        }
        // Without the lock, for it is read from the disk. Who comes meanwhile reads it, too.
        let read = Arc::new(Index::read(&*self.file(fs)?, &self.header)?);
        // An index of a file that is another one by now is of no use to anybody.
        if !self.is_removed() {
            *self.index.lock() = Some(Arc::clone(&read));
        }
        Ok(read)
    }

    /// Reads bytes of a span at an offset; fewer than asked at its end, or that of the file.
    pub(crate) fn read(&self, fs: &dyn Fs, span: &Span, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(span.to.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        self.file(fs)?.read_at(&mut buffer[..wanted], span.position + (offset - span.from))
    }

    /// What its seal has to say.
    pub(crate) fn as_sealed(&self, classes: &Classes) -> Seal {
        let Contents { times, class_bytes } = self.contents();
        let classes = class_bytes.map(|bytes| (classes.fingerprint(), bytes));
        Seal { end: self.end(), times, classes }
    }

    /// Says in the file where the segment ends.
    pub(crate) fn seal(&self, fs: &dyn Fs, classes: &Classes) -> io::Result<()> {
        let mut block = AlignedBuffer::zeroed(BLOCK);
        self.header.encode(Some(&self.as_sealed(classes)), block.bytes_mut());
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
