//! Where the groups of a rewritten segment are: in one, offsets do not tell the position in the file.

use std::io;

use crate::format::{GROUP_HEADER, GROUP_MARK, GroupHeader, SegmentHeader, Times};
use crate::fs::{BLOCK, File};

const CHUNK: usize = 64 << 10;

/// A run of offsets that follow on each other in the file, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Where `from` is in the file.
    pub(crate) position: u64,
    /// What is before it, from this offset on, could not be read.
    pub(crate) damaged_from: Option<u64>,
}

/// The groups of a rewritten segment, in order.
#[derive(Debug, Default)]
pub(crate) struct Index {
    spans: Vec<Span>,
    /// The newest times of the groups.
    pub(crate) times: Times,
    /// The file ends with something that is no group, from this offset on.
    pub(crate) damaged_end: Option<u64>,
}

impl Index {
    /// An index of groups that were just written.
    pub(crate) fn of(spans: Vec<Span>, times: Times) -> Index {
        Index { spans, times, damaged_end: None }
    }

    /// The span that an offset is in, or else the next.
    pub(crate) fn at(&self, offset: u64) -> Option<Span> {
        self.spans.get(self.spans.partition_point(|span| span.to <= offset)).copied()
    }

    /// The end of the last group.
    pub(crate) fn end(&self) -> Option<u64> {
        self.spans.last().map(|span| span.to)
    }

    /// Reads the heads of all groups.
    pub(crate) fn read(file: &dyn File, header: &SegmentHeader) -> io::Result<Index> {
        let len = file.len()?;
        let mut index = Index::default();
        let mut position = BLOCK as u64;
        let mut damaged_from = None;
        while position + GROUP_HEADER as u64 <= len {
            let known = index.end().unwrap_or(header.base);
            let mut head = [0; GROUP_HEADER];
            file.read_at(&mut head, position)?;
            match whole_head(&head, header, known, len - position) {
                Some(group) => {
                    let bytes = GROUP_HEADER as u64 + u64::from(group.body_len);
                    let (from, to) = (group.offset, group.offset + bytes);
                    index.spans.push(Span { from, to, position, damaged_from: damaged_from.take() });
                    index.times = index.times.join(group.times);
                    position += bytes;
                }
                None => {
                    damaged_from = Some(known);
                    match next_head(file, header, known, position + 8, len)? {
                        Some(next) => position = next,
                        None => break,
                    }
                }
            }
        }
        index.damaged_end = damaged_from;
        Ok(index)
    }
}

fn whole_head(head: &[u8], header: &SegmentHeader, known: u64, left: u64) -> Option<GroupHeader> {
    GroupHeader::decode_any(head, header.salt)
        .filter(|group| group.offset >= known && GROUP_HEADER as u64 + u64::from(group.body_len) <= left)
}

/// The position of the next head of a group, at or behind `from`.
fn next_head(
    file: &dyn File,
    header: &SegmentHeader,
    known: u64,
    from: u64,
    len: u64,
) -> io::Result<Option<u64>> {
    let mut chunk = vec![0; CHUNK + GROUP_HEADER];
    let mut start = from;
    while start + GROUP_HEADER as u64 <= len {
        let read = file.read_at(&mut chunk, start)?;
        for at in (0..read.saturating_sub(GROUP_HEADER - 1).min(CHUNK)).step_by(8) {
            let position = start + at as u64;
            if chunk[at..at + 4] == GROUP_MARK.to_le_bytes()
                && whole_head(&chunk[at..read], header, known, len - position).is_some()
            {
                return Ok(Some(position));
            }
        }
        start += CHUNK as u64;
    }
    Ok(None)
}
