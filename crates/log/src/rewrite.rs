//! Rewriting: a run of segments becomes one, of which only what is kept longer is left, at its old offsets.

use std::io;
use std::sync::Arc;

use crate::aligned::AlignedBuffer;
use crate::class::ClassBytes;
use crate::error::ReadError;
use crate::format::{GROUP_HEADER, GroupHeader, Seal, SegmentHeader, Times};
use crate::fs::{BLOCK, File};
use crate::index::{Index, Span};
use crate::reader::Reader;
use crate::record::{Flags, RecordView};
use crate::segment::{self, Contents, Segment, TEMPORARY_SUFFIX};
use crate::shared::Shared;

/// Pieces in which the new file is written.
const CHUNK: usize = 256 << 10;

/// A segment, and the classes whose records in it may go, a bit each.
pub(crate) type Input = (Arc<Segment>, u16);

/// Goes through the records of a segment with their classes. False if something in it cannot be read, which the
/// segment remembers: it is left as it is then, until all of it may go.
pub(crate) fn each_record(
    shared: &Arc<Shared>,
    segment: &Segment,
    mut action: impl FnMut(&RecordView<'_>, u8) -> io::Result<()>,
) -> io::Result<bool> {
    let mut reader = Reader::new(Arc::clone(shared), segment.header.base);
    while reader.position() < segment.end() {
        match reader.next() {
            Ok(Some(record)) if record.offset() < segment.end() => {
                action(&record, shared.config.classes.of_record(&record))?;
            }
            Err(ReadError::Io { source, .. }) => return Err(source),
            Err(ReadError::Damaged { from, .. }) if from < segment.end() => {
                segment.mark_damaged();
                return Ok(false);
            }
            // What is behind the segment is none of its records.
            Ok(_) | Err(_) => break,
        }
    }
    Ok(true)
}

/// Bytes by class of a segment that nobody has counted yet.
pub(crate) fn count(shared: &Arc<Shared>, segment: &Segment) -> io::Result<ClassBytes> {
    let mut bytes = ClassBytes::default();
    each_record(shared, segment, |record, class| {
        bytes[usize::from(class)] += record.as_bytes().len() as u64;
        Ok(())
    })?;
    segment.set_class_bytes(bytes);
    Ok(bytes)
}

/// Makes one segment of the inputs, which follow on each other, and puts it in their place. Returns the files that are
/// of no use any more and not removed yet; none if an input cannot be read.
pub(crate) fn rewrite(shared: &Arc<Shared>, inputs: &[Input]) -> io::Result<Option<Vec<String>>> {
    let (Some((first, _)), Some((last, _))) = (inputs.first(), inputs.last()) else { return Ok(None) };
    let name = first.name.clone();
    let temporary = format!("{name}{TEMPORARY_SUFFIX}");
    let fs = &*shared.fs;
    // A reader of the first segment must not find the new file under its name.
    first.file(fs)?;
    let result = write(shared, inputs, &temporary, last.end());
    let written = match result {
        Ok(Some(written)) => written,
        other => {
            // Best effort: what matters is the first failure.
            let _ = fs.remove(&temporary);
            return other.map(|_| None);
        }
    };
    fs.rename(&temporary, &name)?;
    fs.sync_dir()?;
    {
        let mut listed = shared.segments.write();
        let at = listed.iter().position(|segment| Arc::ptr_eq(segment, first));
        // Nothing but retention takes segments away, and it does one thing at a time.
        let Some(at) = at else { return Ok(None) };
        listed.splice(at..at + inputs.len(), [Arc::new(written)]);
    }
    for (segment, _) in inputs {
        segment.mark_removed();
    }
    Ok(Some(inputs[1..].iter().map(|(segment, _)| segment.name.clone()).collect()))
}

fn write(shared: &Arc<Shared>, inputs: &[Input], temporary: &str, end: u64) -> io::Result<Option<Segment>> {
    let oldest = &inputs[0].0.header;
    let header = SegmentHeader { salt: segment::new_salt(), rewritten: true, ..*oldest };
    let mut output = Output::new(shared.fs.create(temporary)?, header);
    let mut times = Times::default();
    for (segment, gone) in inputs {
        times = times.join(segment.contents().times);
        let readable = each_record(shared, segment, |record, class| {
            if gone & (1 << class) == 0 { output.push(record, class) } else { Ok(()) }
        })?;
        if !readable {
            return Ok(None);
        }
    }
    output.end_group()?;
    output.flush()?;
    let Output { file, spans, class_bytes, .. } = output;
    let contents = Contents { times, class_bytes: Some(class_bytes) };
    let classes = Some((shared.config.classes.fingerprint(), class_bytes));
    let mut block = AlignedBuffer::zeroed(BLOCK);
    header.encode(Some(&Seal { end, times, classes }), block.bytes_mut());
    file.write_at(block.bytes(), 0)?;
    file.sync()?;
    let index = Index::of(spans, times);
    Ok(Some(Segment::settled(header, end, contents, file).with_index(index)))
}

/// The new file while it is written.
struct Output {
    file: Arc<dyn File>,
    header: SegmentHeader,
    /// What was not written yet, and where it goes.
    pending: Vec<u8>,
    position: u64,
    /// The records of the group, which follow on each other, and the offset of its head.
    body: Vec<u8>,
    group_offset: u64,
    group_times: Times,
    spans: Vec<Span>,
    class_bytes: ClassBytes,
}

impl Output {
    fn new(file: Arc<dyn File>, header: SegmentHeader) -> Output {
        Output {
            file,
            header,
            pending: Vec::new(),
            position: BLOCK as u64,
            body: Vec::new(),
            group_offset: 0,
            group_times: Times::default(),
            spans: Vec::new(),
            class_bytes: ClassBytes::default(),
        }
    }

    fn push(&mut self, record: &RecordView<'_>, class: u8) -> io::Result<()> {
        let next = self.group_offset + (GROUP_HEADER + self.body.len()) as u64;
        if self.body.is_empty() || record.offset() != next {
            self.end_group()?;
            // A record is longer than a head: before one that follows on a dropped one, there is room.
            self.group_offset = record.offset() - GROUP_HEADER as u64;
        }
        let synchronised = record.flags().has(Flags::CLOCK_SYNCHRONISED);
        let wall_us = Some(record.wall_us());
        self.group_times =
            self.group_times.join(Times { wall_us, synchronised_us: wall_us.filter(|_| synchronised) });
        self.body.extend_from_slice(record.as_bytes());
        self.class_bytes[usize::from(class)] += record.as_bytes().len() as u64;
        Ok(())
    }

    fn end_group(&mut self) -> io::Result<()> {
        if self.body.is_empty() {
            return Ok(());
        }
        let head = GroupHeader {
            body_len: self.body.len() as u32,
            offset: self.group_offset,
            salt: self.header.salt,
            times: std::mem::take(&mut self.group_times),
            body_checksum: crc32c::crc32c(&self.body),
        };
        let position = self.position + self.pending.len() as u64;
        self.pending.extend_from_slice(&head.encode());
        self.pending.append(&mut self.body);
        let len = self.position + self.pending.len() as u64 - position;
        let (from, to) = (self.group_offset, self.group_offset + len);
        self.spans.push(Span { from, to, position, damaged_from: None });
        if self.pending.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.pending, self.position)?;
        self.position += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}
