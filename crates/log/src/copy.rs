//! A copy of what is committed, for a backup.

use std::io;

use crate::aligned::AlignedBuffer;
use crate::format::SegmentHeader;
use crate::fs::{BLOCK, File, Fs};
use crate::segment::Segment;
use crate::shared::Shared;

const CHUNK: usize = 1 << 20;

pub(crate) fn copy(shared: &Shared, target: &dyn Fs) -> io::Result<u64> {
    let _no_trim = shared.maintenance.lock();
    let end = shared.committed();
    let segments = shared.segments.read().clone();
    for segment in segments.iter().filter(|segment| segment.header.base < end) {
        copy_segment(shared, segment, segment.end().min(end), target)?;
    }
    target.sync_dir()?;
    Ok(end)
}

fn copy_segment(shared: &Shared, segment: &Segment, end: u64, target: &dyn Fs) -> io::Result<()> {
    let header = &segment.header;
    let file = target.create(&SegmentHeader::file_name(header.base))?;
    let mut seal = segment.as_sealed(&shared.config.classes);
    if seal.end != end {
        seal.end = end;
        seal.classes = None;
    }
    let mut block = AlignedBuffer::zeroed(BLOCK);
    header.encode(Some(&seal), block.bytes_mut());
    file.write_at(block.bytes(), 0)?;
    let (from, to) = if header.rewritten {
        (BLOCK as u64, segment.disk_bytes(&*shared.fs)?)
    } else {
        (header.position(header.base), header.position(end))
    };
    copy_bytes(&*segment.file(&*shared.fs)?, &*file, from, to, &segment.name)?;
    file.sync()
}

fn copy_bytes(source: &dyn File, target: &dyn File, from: u64, to: u64, name: &str) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut position = from;
    while position < to {
        let wanted = buffer.len().min(usize::try_from(to - position).unwrap_or(usize::MAX));
        let read = source.read_at(&mut buffer[..wanted], position)?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} is too short")));
        }
        target.write_at(&buffer[..read], position)?;
        position += read as u64;
    }
    Ok(())
}
