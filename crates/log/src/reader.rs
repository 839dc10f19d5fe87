//! Reading what is committed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::ReadError;
use crate::format::{GROUP_HEADER, GROUP_MARK, GroupHeader};
use crate::index::Span;
use crate::record::{HEADER, RecordError, RecordView, checked, record_len};
use crate::scan::next_group;
use crate::segment::Segment;
use crate::shared::Shared;

const CHUNK: usize = 256 << 10;
const FIRST_READ: usize = 512;

/// Reads committed records in order, across segments. It sees what is committed at the time of each call, so it can
/// follow the log for ever: wait with `Log::wait_committed(reader.position(), …)`.
pub struct Reader {
    shared: Arc<Shared>,
    position: u64,
    segment: Option<(Arc<Segment>, Span)>,
    /// Bytes of the log from `buffered_at` on.
    buffer: Vec<u8>,
    buffered_at: u64,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, from: u64) -> Reader {
        Reader { shared, position: from, segment: None, buffer: Vec::new(), buffered_at: 0 }
    }

    /// Where it stands: behind the last record that it gave.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next committed record; none if there is no more at the moment.
    ///
    /// # Errors
    /// After [`ReadError::Trimmed`] and [`ReadError::Damaged`] it stands behind the range that they name, and can go
    /// on. Others leave it where it is.
    #[allow(clippy::should_implement_trait)] // The record borrows from the reader, which an iterator cannot say.
    pub fn next(&mut self) -> Result<Option<RecordView<'_>>, ReadError> {
        let Some((offset, len)) = self.advance()? else { return Ok(None) };
        let start = (offset - self.buffered_at) as usize;
        let file = self.segment.as_ref().map_or("", |(segment, _)| &segment.name);
        match RecordView::of_checked(&self.buffer[start..start + len], offset) {
            Ok(record) => Ok(Some(record)),
            Err(error) => Err(damaged(&self.shared, offset, offset + len as u64, file, error.to_string())),
        }
    }

    /// Steps over the next record that has the right checksum, and tells where it is in the log and how long.
    fn advance(&mut self) -> Result<Option<(u64, usize)>, ReadError> {
        loop {
            let Some((segment, span)) = self.segment_here()? else { return Ok(None) };
            let position = self.position;
            let bytes = self.fill(&segment, &span, HEADER.max(GROUP_HEADER))?;
            if bytes.len() >= 4 && bytes[..4] == GROUP_MARK.to_le_bytes() {
                if GroupHeader::decode(bytes, position, segment.header.salt).is_some() {
                    self.position += GROUP_HEADER as u64;
                    continue;
                }
                if segment.is_removed() {
                    self.segment = None;
                    continue;
                }
                return Err(self.skip_damage(&segment, &span, "the head of a group is broken".into()));
            }
            let checked = match record_len(bytes) {
                Ok(len) => checked(self.fill(&segment, &span, len)?).map(<[u8]>::len),
                Err(error) => Err(error),
            };
            match checked {
                Ok(len) => {
                    let offset = self.position;
                    self.position += len as u64;
                    return Ok(Some((offset, len)));
                }
                // What was read is of another life of the file.
                Err(_) if segment.is_removed() => self.segment = None,
                Err(error) => return Err(self.skip_damage(&segment, &span, error.to_string())),
            }
        }
    }

    /// The committed bytes at the position, which moves over what is no part of any segment.
    fn segment_here(&mut self) -> Result<Option<(Arc<Segment>, Span)>, ReadError> {
        loop {
            if let Some((segment, span)) = &mut self.segment
                && !segment.is_removed()
            {
                if !segment.header.rewritten {
                    span.to = segment.end();
                }
                if self.position < span.to {
                    return Ok(Some((Arc::clone(segment), *span)));
                }
            }
            self.segment = None;
            let Some(segment) = self.next_segment()? else { return Ok(None) };
            let span = segment.span(&*self.shared.fs, self.position);
            if segment.is_removed() {
                continue;
            }
            let from = self.position;
            let io = |source| ReadError::Io { offset: from, file: segment.name.clone(), source };
            match span.map_err(io)? {
                Some(span) => {
                    // What was dropped from a rewritten segment is passed over: nobody needs it any more.
                    self.position = from.max(span.from);
                    let lost = span.damaged_from.filter(|_| from < span.from);
                    let (name, to) = (segment.name.clone(), span.from);
                    self.segment = Some((segment, span));
                    if let Some(lost) = lost {
                        let reason = "groups are broken".into();
                        return Err(damaged(&self.shared, from.max(lost), to, &name, reason));
                    }
                }
                None if segment.header.rewritten => {
                    self.position = segment.end();
                    if let Some(lost) = segment.index(&*self.shared.fs).map_err(io)?.damaged_end {
                        let reason = "groups are broken".into();
                        return Err(damaged(
                            &self.shared,
                            from.max(lost),
                            self.position,
                            &segment.name,
                            reason,
                        ));
                    }
                }
                // The newest segment may have nothing committed yet.
                None => return Ok(None),
            }
        }
    }

    /// The segment that has the position; or the next, to whose base the position moves.
    fn next_segment(&mut self) -> Result<Option<Arc<Segment>>, ReadError> {
        if self.position >= self.shared.committed() {
            let end = self.shared.end.load(Ordering::Acquire);
            if self.position > end {
                return Err(ReadError::Beyond { offset: self.position, end });
            }
            return Ok(None);
        }
        let (segment, is_oldest) = {
            let segments = self.shared.segments.read();
            let index = segments.partition_point(|segment| segment.end() <= self.position);
            (segments.get(index).map(Arc::clone), index == 0)
        };
        let Some(segment) = segment else { return Ok(None) };
        let from = self.position;
        let base = segment.header.base;
        if from < base {
            self.position = base;
            // Between the end of the one before and the base, nothing ever was.
            if from != 0 && from < segment.header.previous_end {
                return Err(if is_oldest {
                    ReadError::Trimmed { from, to: base }
                } else {
                    damaged(
                        &self.shared,
                        from,
                        base,
                        &segment.name,
                        "the segment before it is missing".into(),
                    )
                });
            }
        }
        Ok(Some(segment))
    }

    /// The buffered bytes at the position: at least `wanted`, if the span has as many.
    fn fill(&mut self, segment: &Segment, span: &Span, wanted: usize) -> Result<&[u8], ReadError> {
        let start = self.position.checked_sub(self.buffered_at).map_or(usize::MAX, |start| start as usize);
        if start >= self.buffer.len() || self.buffer.len() - start < wanted {
            let available = usize::try_from(span.to - self.position).unwrap_or(usize::MAX);
            if start < self.buffer.len() && self.buffer.len() - start >= available {
                return Ok(&self.buffer[start..]);
            }
            self.buffer.resize(wanted.max(CHUNK).min(available), 0);
            self.buffered_at = self.position;
            let read = segment.read(&*self.shared.fs, span, self.position, &mut self.buffer);
            // A removed segment's file may be in use again: what came from it is not what was asked for.
            let read = if segment.is_removed() { Ok(0) } else { read };
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            if let Err(source) = read {
                return Err(ReadError::Io { offset: self.position, file: segment.name.clone(), source });
            }
            return Ok(&self.buffer);
        }
        Ok(&self.buffer[start..])
    }

    /// Moves behind the record that cannot be read if it is clear where it ends, else to the next group.
    fn skip_damage(&mut self, segment: &Segment, span: &Span, reason: String) -> ReadError {
        let from = self.position;
        match self.behind_damage(segment, span) {
            Ok(to) => {
                self.position = to;
                damaged(&self.shared, from, to, &segment.name, reason)
            }
            Err(error) => {
                self.position = from;
                error
            }
        }
    }

    fn behind_damage(&mut self, segment: &Segment, span: &Span) -> Result<u64, ReadError> {
        let from = self.position;
        let end = span.to;
        if let Ok(len) = record_len(self.fill(segment, span, HEADER)?)
            && from + len as u64 <= end
        {
            let to = from + len as u64;
            self.position = to;
            let sound = to == end
                || GroupHeader::decode(self.fill(segment, span, GROUP_HEADER)?, to, segment.header.salt)
                    .is_some()
                || match record_len(self.fill(segment, span, HEADER)?) {
                    Ok(next) => checked(self.fill(segment, span, next)?).is_ok(),
                    Err(_) => false,
                };
            if sound {
                return Ok(to);
            }
        }
        if segment.header.rewritten {
            return Ok(end);
        }
        let io = |source| ReadError::Io { offset: from, file: segment.name.clone(), source };
        let file = segment.file(&*self.shared.fs).map_err(io)?;
        Ok(next_group(&*file, &segment.header, from + 8, end, false).map_err(io)?.unwrap_or(end))
    }
}

/// Tries again when the file that was read was taken away meanwhile.
pub(crate) fn read_at(shared: &Shared, offset: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    loop {
        if let Some(result) = try_read_at(shared, offset, bytes) {
            return result;
        }
    }
}

fn try_read_at(shared: &Shared, offset: u64, bytes: &mut Vec<u8>) -> Option<Result<(), ReadError>> {
    if offset >= shared.committed() {
        let end = shared.end.load(Ordering::Acquire);
        return Some(Err(if offset < end {
            ReadError::NotCommitted(offset)
        } else {
            ReadError::Beyond { offset, end }
        }));
    }
    let (segment, oldest) = {
        let segments = shared.segments.read();
        let index = segments.partition_point(|segment| segment.end() <= offset);
        (segments.get(index).map(Arc::clone), segments.first().map_or(0, |oldest| oldest.header.base))
    };
    let Some(segment) = segment.filter(|_| offset >= oldest) else {
        return Some(Err(ReadError::Trimmed { from: offset, to: oldest.max(offset) }));
    };
    let result = read_in(shared, &segment, offset, bytes);
    (!segment.is_removed()).then_some(result)
}

fn read_in(shared: &Shared, segment: &Segment, offset: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    let fs = &*shared.fs;
    let io = |source| ReadError::Io { offset, file: segment.name.clone(), source };
    let nothing = |reason: String| damaged(shared, offset, offset, &segment.name, reason);
    let span = match segment.span(fs, offset).map_err(io)? {
        Some(span) if offset >= span.from => span,
        // Its class is not kept for so long.
        span if segment.header.rewritten => {
            let to = span.map_or(segment.end(), |span| span.from);
            return Err(ReadError::Trimmed { from: offset, to });
        }
        _ => return Err(nothing("no record is there".into())),
    };
    bytes.resize(FIRST_READ, 0);
    let mut got = segment.read(fs, &span, offset, bytes).map_err(io)?;
    let mut record = checked(&bytes[..got]).map(<[u8]>::len);
    if let Err(RecordError::Truncated { needed, .. }) = record
        && needed > FIRST_READ
        && needed as u64 <= span.to - offset
    {
        bytes.resize(needed, 0);
        got = segment.read(fs, &span, offset, bytes).map_err(io)?;
        record = checked(&bytes[..got]).map(<[u8]>::len);
    }
    match record {
        Ok(len) => {
            bytes.truncate(len);
            Ok(())
        }
        Err(error) if segment.is_removed() => Err(io(io::Error::other(error))),
        Err(error) => Err(nothing(format!("no record can be read there: {error}"))),
    }
}

/// Counted for operators, whoever it is that reads.
fn damaged(shared: &Shared, from: u64, to: u64, file: &str, reason: String) -> ReadError {
    shared.counters.damaged.fetch_add(1, Ordering::Relaxed);
    ReadError::Damaged { from, to, file: file.to_owned(), reason }
}
