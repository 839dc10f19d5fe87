//! Opening a log: what did the last run leave?

use std::io;
use std::sync::Arc;

use crate::class::Classes;
use crate::config::LogConfig;
use crate::error::OpenError;
use crate::format::{HeaderError, OFFSET_GAP, Seal, SegmentHeader, Times};
use crate::fs::{BLOCK, File, Fs};
use crate::index::Index;
use crate::scan::{Scan, scan};
use crate::segment::{self, Contents, Segment, TEMPORARY_SUFFIX};
use crate::spares::Spares;
use crate::writer::Current;

/// Offsets start here, so that 0 can mean none.
const FIRST_OFFSET: u64 = BLOCK as u64;
/// When there is no spare yet, the first segment is made this long only, so that a first start is quick.
const FIRST_ALLOCATION: u64 = 8 << 20;
const SET_ASIDE_SUFFIX: &str = ".damaged";

/// A part of the log that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    /// The first offset that is lost.
    pub from: u64,
    /// Where the log goes on.
    pub to: u64,
    /// The file and what is wrong with it.
    pub reason: String,
}

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The oldest offset that can be read.
    pub oldest: u64,
    /// The end of what earlier runs left.
    pub end: u64,
    /// The first offset that this run hands out, a gap behind all that was ever handed out.
    pub start: u64,
    /// How many segments hold records.
    pub segments: usize,
    /// The newest wall time of any record; the clock cannot be earlier.
    pub last_time_us: Option<i64>,
    /// Where an uncommitted group was found torn and cut off. This is what a crash leaves; nothing committed is lost.
    pub torn: Option<u64>,
    /// What is lost of what was committed: the medium is damaged, or files were removed.
    pub damaged: Vec<DamagedRange>,
    /// Files that were no segments any more and got another name.
    pub set_aside: Vec<String>,
}

pub(crate) struct Recovered {
    pub(crate) report: Recovery,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) current: Current,
    pub(crate) spares: Arc<Spares>,
}

struct Found {
    name: String,
    file: Arc<dyn File>,
    header: SegmentHeader,
    seal: Option<Seal>,
}

pub(crate) fn recover(fs: &dyn Fs, config: &LogConfig) -> Result<Recovered, OpenError> {
    let spares = Arc::new(Spares::default());
    let mut report = Recovery::default();
    // Beyond every byte of every file: even of those that cannot be read any more.
    let mut beyond = FIRST_OFFSET;
    let mut found = Vec::new();
    let mut headless = Vec::new();
    for name in fs.list().map_err(OpenError::io("listing its directory"))? {
        if let Some(base) = SegmentHeader::base_of(&name) {
            let (segment, file_len) = find(fs, &name, base)?;
            beyond = beyond.max(base.saturating_add(file_len));
            match segment {
                Some(segment) => found.push(segment),
                None => {
                    report.set_aside.push(set_aside(fs, &name)?);
                    headless.push((base, file_len));
                }
            }
        } else if name.ends_with(TEMPORARY_SUFFIX) || (Spares::is_spare(&name) && !spares.found(&name)) {
            fs.remove(&name).map_err(OpenError::io(format!("removing {name}")))?;
        }
    }
    found.sort_by_key(|segment| segment.header.base);

    let mut segments = Vec::new();
    // Files of no use any more: nothing is in them, or what is in them stands in a rewritten segment.
    let mut useless = replaced(&mut found);
    let mut known_end = None;
    let mut times = Times::default();
    for (index, segment) in found.iter().enumerate() {
        let limit = found.get(index + 1).map_or(u64::MAX, |next| next.header.base);
        let (end, contents) = close_off(fs, segment, limit, &config.classes, &mut report)?;
        let header = segment.header;
        if let Some(known_end) = known_end.filter(|end| *end < header.previous_end) {
            report.damaged.push(DamagedRange {
                from: known_end,
                to: header.base,
                reason: format!(
                    "{} follows on offset {}, which is missing",
                    segment.name, header.previous_end
                ),
            });
        }
        if end == header.base {
            known_end = known_end.max(Some(header.previous_end));
            useless.push(segment.name.clone());
            continue;
        }
        known_end = known_end.max(Some(end));
        times = times.join(contents.times);
        segments.push(Arc::new(Segment::settled(header, end, contents, Arc::clone(&segment.file))));
    }
    for (base, len) in headless {
        // The segment behind it may have told of the gap already.
        if !report.damaged.iter().any(|range| (range.from..range.to).contains(&base)) {
            let next = found.iter().map(|segment| segment.header.base).find(|next| *next > base);
            report.damaged.push(DamagedRange {
                from: base,
                to: next.unwrap_or(base.saturating_add(len)),
                reason: format!("the head of {} is damaged", SegmentHeader::file_name(base)),
            });
        }
    }
    report.end = known_end.unwrap_or(FIRST_OFFSET);
    report.segments = segments.len();
    report.last_time_us = times.wall_us;
    report.damaged.sort_by_key(|range| range.from);

    let base = if found.is_empty() && report.set_aside.is_empty() {
        FIRST_OFFSET
    } else {
        (beyond.max(report.end) + OFFSET_GAP).next_multiple_of(BLOCK as u64)
    };
    let header =
        SegmentHeader { base, previous_end: report.end, salt: segment::new_salt(), rewritten: false };
    let allocate = config.segment_bytes.min(FIRST_ALLOCATION).next_multiple_of(BLOCK as u64);
    let (file, allocated) = segment::create(fs, &spares, &header, allocate)
        .map_err(OpenError::io(format!("creating segment {}", SegmentHeader::file_name(base))))?;
    let current = Arc::new(Segment::new(header, Arc::clone(&file)));
    segments.push(Arc::clone(&current));
    // Only now: their bases are what kept offsets from being used again.
    for name in useless {
        fs.remove(&name).map_err(OpenError::io(format!("removing {name}")))?;
    }
    report.oldest = segments[0].header.base;
    report.start = base;
    Ok(Recovered { report, segments, current: Current { segment: current, file, allocated }, spares })
}

/// Takes out the segments that a rewritten one stands for, and returns their names: a crash came before they could be
/// removed.
fn replaced(found: &mut Vec<Found>) -> Vec<String> {
    let mut names = Vec::new();
    let mut covered = 0;
    found.retain(|segment| {
        if segment.header.base < covered {
            names.push(segment.name.clone());
            return false;
        }
        if let Some(seal) = segment.seal.filter(|_| segment.header.rewritten) {
            covered = seal.end;
        }
        true
    });
    names
}

/// Reads the head of a segment; none if it is damaged.
fn find(fs: &dyn Fs, name: &str, base: u64) -> Result<(Option<Found>, u64), OpenError> {
    let reading = |source: io::Error| OpenError::io(format!("reading {name}"))(source);
    let file = fs.open(name).map_err(reading)?;
    let len = file.len().map_err(reading)?;
    let mut block = vec![0; BLOCK];
    let read = file.read_at(&mut block, 0).map_err(reading)?;
    match SegmentHeader::decode(&block[..read]) {
        Ok((header, seal)) if header.base == base => {
            Ok((Some(Found { name: name.to_owned(), file, header, seal }), len))
        }
        Err(HeaderError::Version(version)) => Err(OpenError::NewerFormat { file: name.to_owned(), version }),
        Ok(_) | Err(HeaderError::Damaged) => Ok((None, len)),
    }
}

fn set_aside(fs: &dyn Fs, name: &str) -> Result<String, OpenError> {
    let aside = format!("{name}{SET_ASIDE_SUFFIX}");
    fs.rename(name, &aside).map_err(OpenError::io(format!("setting {name} aside")))?;
    Ok(aside)
}

/// The end of a segment and what is in it. One without a seal is read, cut and sealed.
fn close_off(
    fs: &dyn Fs,
    segment: &Found,
    limit: u64,
    classes: &Classes,
    report: &mut Recovery,
) -> Result<(u64, Contents), OpenError> {
    if let Some(seal) = segment.seal.filter(|seal| seal.end <= limit) {
        return Ok((seal.end, Contents::of(&seal, classes)));
    }
    let doing = || format!("checking {}", segment.name);
    let file = &*segment.file;
    // The last run may have been killed between a write and its sync: what is read below must be on disk.
    file.sync().map_err(OpenError::io(doing()))?;
    let scan = look_through(segment, limit).map_err(OpenError::io(doing()))?;
    for (from, to) in scan.damaged {
        report.damaged.push(DamagedRange {
            from,
            to,
            reason: format!("groups in {} are damaged", segment.name),
        });
    }
    if scan.torn {
        report.torn = Some(scan.end);
    }
    let contents = Contents { times: scan.times, class_bytes: None };
    if scan.end > segment.header.base {
        if !segment.header.rewritten {
            let used = segment.header.position(scan.end).next_multiple_of(BLOCK as u64);
            if file.len().map_err(OpenError::io(doing()))? > used {
                file.set_len(used).map_err(OpenError::io(doing()))?;
            }
        }
        let sealed = Segment::settled(segment.header, scan.end, contents, Arc::clone(&segment.file));
        sealed.seal(fs, classes).map_err(OpenError::io(doing()))?;
    }
    Ok((scan.end, contents))
}

/// Finds the groups. A rewritten segment was whole before it had its name, so one without a seal is damaged.
fn look_through(segment: &Found, limit: u64) -> io::Result<Scan> {
    let header = &segment.header;
    if !header.rewritten {
        return scan(&*segment.file, header, limit);
    }
    let index = Index::read(&*segment.file, header)?;
    let end = index.end().unwrap_or(header.base).min(limit);
    let to = if limit == u64::MAX { end } else { limit };
    Ok(Scan { end, times: index.times, damaged: vec![(end, to)], torn: false })
}
