//! Finding the groups in a segment that has no seal, and the way on behind damage.

use std::io;

use crate::format::{GROUP_HEADER, GROUP_MARK, GroupHeader, SegmentHeader, Times};
use crate::fs::File;

const CHUNK: usize = 256 << 10;

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The end of the last whole group.
    pub(crate) end: u64,
    pub(crate) times: Times,
    /// Ranges with a broken group that whole ones follow: damage, see invariant 3.
    pub(crate) damaged: Vec<(u64, u64)>,
    /// A group begins at the end and is not whole.
    pub(crate) torn: bool,
}

/// Reads all groups below `limit` (where the next segment begins) and checks them.
pub(crate) fn scan(file: &dyn File, header: &SegmentHeader, limit: u64) -> io::Result<Scan> {
    let mut found = Scan { end: header.base, ..Scan::default() };
    let file_end = header.base + file.len()?.saturating_sub(header.position(header.base));
    let limit = limit.min(file_end);
    let mut body = Vec::new();
    loop {
        let at = found.end;
        let group = whole_group(file, header, at, limit, &mut body)?;
        let group = match group {
            Whole::Yes(group) => group,
            Whole::No { begun } => match next_group(file, header, at + 8, limit, true)? {
                Some(next) => {
                    found.damaged.push((at, next));
                    found.end = next;
                    continue;
                }
                None => {
                    found.torn = begun;
                    return Ok(found);
                }
            },
        };
        found.times = found.times.join(group.times);
        found.end = at + (GROUP_HEADER + group.body_len as usize) as u64;
    }
}

enum Whole {
    Yes(GroupHeader),
    No { begun: bool },
}

fn whole_group(
    file: &dyn File,
    header: &SegmentHeader,
    at: u64,
    limit: u64,
    body: &mut Vec<u8>,
) -> io::Result<Whole> {
    let mut head = [0; GROUP_HEADER];
    if at + GROUP_HEADER as u64 > limit {
        return Ok(Whole::No { begun: false });
    }
    file.read_at(&mut head, header.position(at))?;
    let Some(group) = GroupHeader::decode(&head, at, header.salt) else {
        return Ok(Whole::No { begun: head[..4] == GROUP_MARK.to_le_bytes() });
    };
    let body_at = at + GROUP_HEADER as u64;
    if body_at + u64::from(group.body_len) > limit {
        return Ok(Whole::No { begun: true });
    }
    body.resize(group.body_len as usize, 0);
    let read = file.read_at(body, header.position(body_at))?;
    if read < body.len() || crc32c::crc32c(body) != group.body_checksum {
        return Ok(Whole::No { begun: true });
    }
    Ok(Whole::Yes(group))
}

/// The first group at or behind `from` and below `limit`. With `whole`, its records are checked too.
pub(crate) fn next_group(
    file: &dyn File,
    header: &SegmentHeader,
    from: u64,
    limit: u64,
    whole: bool,
) -> io::Result<Option<u64>> {
    let mut chunk = vec![0; CHUNK + GROUP_HEADER];
    let mut body = Vec::new();
    let mut start = from.next_multiple_of(8);
    while start + GROUP_HEADER as u64 <= limit {
        let wanted = chunk.len().min(usize::try_from(limit - start).unwrap_or(usize::MAX));
        let read = file.read_at(&mut chunk[..wanted], header.position(start))?;
        for at in (0..read.saturating_sub(GROUP_HEADER - 1).min(CHUNK)).step_by(8) {
            let offset = start + at as u64;
            if chunk[at..at + 4] == GROUP_MARK.to_le_bytes()
                && GroupHeader::decode(&chunk[at..read], offset, header.salt).is_some()
                && (!whole || matches!(whole_group(file, header, offset, limit, &mut body)?, Whole::Yes(_)))
            {
                return Ok(Some(offset));
            }
        }
        if read < wanted {
            break;
        }
        start += CHUNK as u64;
    }
    Ok(None)
}
