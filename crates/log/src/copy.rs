//! A copy of what is committed, for a backup.

use std::io;

use crate::aligned::AlignedBuffer;
use crate::format::{Seal, SegmentHeader};
use crate::fs::{BLOCK, Fs};
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
    let mut block = AlignedBuffer::zeroed(BLOCK);
    header.encode(Some(&Seal { end, times: segment.times() }), block.bytes_mut());
    file.write_at(block.bytes(), 0)?;
    let mut buffer = vec![0; CHUNK];
    let mut offset = header.base;
    while offset < end {
        let wanted = buffer.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
        let read = segment.read(&*shared.fs, offset, &mut buffer[..wanted])?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} is too short", segment.name),
            ));
        }
        file.write_at(&buffer[..read], header.position(offset))?;
        offset += read as u64;
    }
    file.sync()
}
