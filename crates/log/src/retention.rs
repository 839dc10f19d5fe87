//! Retention: what goes, and when. Never what a projection still needs, and never by a clock that is not trusted.
//!
//! Segments go as a whole, oldest first, when nothing in them is kept any longer. One in which only some classes are
//! kept is rewritten without the others once these are half of it. When the disk is full, segments that no projection
//! needs go before their time: what devices send now is worth more than what has been dealt with.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::class::{ClassBytes, DEFAULT_CLASS, MAX_CLASSES};
use crate::fs::BLOCK;
use crate::rewrite::{self, Input};
use crate::segment::Segment;
use crate::shared::Shared;

/// Rewritten segments smaller than this part of a whole one are joined when there are [`JOINED`] of them.
const SMALL_PART: u64 = 8;
const JOINED: usize = 8;
/// As many segments become one at most, so that a run of retention does not take for ever.
const MAX_INPUTS: usize = 16;

/// What a run of retention did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Segments that are gone, or of which others have taken the place.
    pub segments: usize,
    /// Their bytes on disk. Up to two files are kept, to become segments again.
    pub bytes: u64,
    /// The oldest offset that can be read now.
    pub oldest: u64,
    /// More should go, but this projection still needs it.
    pub held_by: Option<String>,
    /// Bytes that went before their time, because the disk is full.
    pub given_up: u64,
}

pub(crate) fn enforce(shared: &Arc<Shared>, now_us: i64, clock_trusted: bool) -> io::Result<Trimmed> {
    let mut leftover = shared.maintenance.lock();
    let mut run = Run { shared, leftover: &mut leftover, trimmed: Trimmed::default() };
    run.remove_leftover()?;
    let mut segments = shared.segments.read().clone();
    let mut due = Due::find(shared, &segments, now_us, clock_trusted)?;
    run.trim(&mut segments, &mut due)?;
    if shared.is_full() {
        run.give_up(&mut segments)?;
    } else if !shared.config.classes.is_empty() {
        run.rewrite(&segments, &due)?;
    }
    run.trimmed.oldest = segments.first().map_or(0, |segment| segment.header.base);
    Ok(run.trimmed)
}

/// What of each segment is beyond its age or bytes.
struct Due {
    segments: Vec<DueSegment>,
}

struct DueSegment {
    bytes: ClassBytes,
    /// The classes that may go, a bit each, whether or not there is anything of them.
    gone: u16,
    /// Bytes of the segment and all later ones.
    total: u64,
}

impl DueSegment {
    fn is_gone(&self) -> bool {
        (0..MAX_CLASSES).all(|class| self.bytes[class] == 0 || self.gone & (1 << class) != 0)
    }

    fn gone_bytes(&self) -> u64 {
        (0..MAX_CLASSES).filter(|class| self.gone & (1 << class) != 0).map(|class| self.bytes[class]).sum()
    }

    fn all_bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }
}

impl Due {
    fn find(
        shared: &Arc<Shared>,
        segments: &[Arc<Segment>],
        now_us: i64,
        clock_trusted: bool,
    ) -> io::Result<Due> {
        let config = &shared.config;
        let count = config.classes.count();
        let limits: Vec<(u64, u64)> = (0..count)
            .map(|class| {
                let class = config.classes.get(class as u8);
                class.map_or((config.retain_bytes, config.retain_age_us), |class| {
                    (class.retain_bytes, class.retain_age_us)
                })
            })
            .collect();
        let mut due = Vec::with_capacity(segments.len());
        let mut from_here = ClassBytes::default();
        // A segment without any time of a synchronised clock is as old as the next that has one: a gateway without a
        // battery-backed clock starts in the past, and nothing may expire by that.
        let mut newest_us = None;
        for segment in segments.iter().rev() {
            let bytes = bytes_of(shared, segment)?;
            from_here.iter_mut().zip(bytes).for_each(|(sum, bytes)| *sum += bytes);
            newest_us = segment.contents().times.synchronised_us.or(newest_us);
            let mut gone = 0;
            for (class, (retain_bytes, retain_age_us)) in limits.iter().enumerate() {
                let too_much = *retain_bytes > 0 && from_here[class] > *retain_bytes;
                let age_us = i64::try_from(*retain_age_us).unwrap_or(0);
                let too_old = clock_trusted
                    && age_us > 0
                    && newest_us.is_some_and(|newest: i64| newest < now_us.saturating_sub(age_us));
                gone |= u16::from(too_much || too_old) << class;
            }
            due.push(DueSegment { bytes, gone, total: from_here.iter().sum() });
        }
        due.reverse();
        Ok(Due { segments: due })
    }
}

/// Bytes by class. With the default class alone the file is what counts.
fn bytes_of(shared: &Arc<Shared>, segment: &Segment) -> io::Result<ClassBytes> {
    if shared.config.classes.is_empty() {
        let mut bytes = ClassBytes::default();
        bytes[usize::from(DEFAULT_CLASS)] = segment.disk_bytes(&*shared.fs)?;
        return Ok(bytes);
    }
    match segment.contents().class_bytes {
        Some(bytes) => Ok(bytes),
        None => rewrite::count(shared, segment),
    }
}

/// One run of retention.
struct Run<'a> {
    shared: &'a Arc<Shared>,
    leftover: &'a mut Vec<String>,
    trimmed: Trimmed,
}

impl Run<'_> {
    /// Takes the oldest segments away while nothing in them is kept.
    fn trim(&mut self, segments: &mut Vec<Arc<Segment>>, due: &mut Due) -> io::Result<()> {
        while segments.len() > 1 && due.segments[0].is_gone() {
            if self.is_held(&segments[0]) {
                return Ok(());
            }
            let oldest = segments.remove(0);
            due.segments.remove(0);
            let left = due.segments[0].total;
            let retain = self.shared.config.retain_bytes;
            let may_keep = retain == 0 || left <= retain || !self.shared.config.classes.is_empty();
            self.remove(&oldest, may_keep)?;
        }
        Ok(())
    }

    /// Takes the oldest segments that nobody needs away until the log thread has room for what waits.
    fn give_up(&mut self, segments: &mut Vec<Arc<Segment>>) -> io::Result<()> {
        if !self.shared.config.trim_when_full {
            return Ok(());
        }
        let wanted = self.shared.config.segment_bytes + self.shared.uncommitted_bytes();
        while segments.len() > 1 && self.shared.fs.free_space()? < wanted && !self.is_held(&segments[0]) {
            let oldest = segments.remove(0);
            let bytes = oldest.end() - oldest.header.base;
            self.remove(&oldest, false)?;
            self.trimmed.given_up += bytes;
            self.shared.counters.given_up.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_held(&mut self, segment: &Segment) -> bool {
        let hold = self.shared.smallest_hold().filter(|(_, offset)| *offset < segment.end());
        let held = hold.is_some();
        if let Some((name, _)) = hold {
            self.trimmed.held_by = Some(name);
        }
        held
    }

    /// Takes a segment, the oldest, out of the log; its file may become another segment.
    fn remove(&mut self, segment: &Arc<Segment>, may_keep: bool) -> io::Result<()> {
        let shared = self.shared;
        let bytes = segment.disk_bytes(&*shared.fs)?;
        shared.segments.write().retain(|listed| !Arc::ptr_eq(listed, segment));
        segment.mark_removed();
        self.trimmed.segments += 1;
        self.trimmed.bytes += bytes;
        let recycled = may_keep
            && bytes >= shared.config.segment_bytes
            && shared.spares.keep(&*shared.fs, &segment.name).unwrap_or(false);
        if !recycled {
            self.leftover.push(segment.name.clone());
            self.remove_leftover()?;
        }
        Ok(())
    }

    /// Rewrites the first run of segments of which it is worth it.
    fn rewrite(&mut self, segments: &[Arc<Segment>], due: &Due) -> io::Result<()> {
        let whole = &segments[..segments.len().saturating_sub(1)];
        let Some(range) = self.worth_rewriting(whole, due)? else { return Ok(()) };
        let inputs: Vec<Input> = range.map(|at| (Arc::clone(&whole[at]), due.segments[at].gone)).collect();
        let before = disk_bytes(self.shared, inputs.iter().map(|(segment, _)| segment))?;
        let Some(useless) = rewrite::rewrite(self.shared, &inputs)? else { return Ok(()) };
        self.leftover.extend(useless);
        self.remove_leftover()?;
        let after = {
            let base = inputs[0].0.header.base;
            let listed = self.shared.segments.read().clone();
            disk_bytes(self.shared, listed.iter().filter(|segment| segment.header.base == base))?
        };
        self.trimmed.segments += inputs.len() - 1;
        self.trimmed.bytes += before.saturating_sub(after);
        Ok(())
    }

    /// A run of segments that are half useless, or small; what is left of it fits into one.
    fn worth_rewriting(&self, segments: &[Arc<Segment>], due: &Due) -> io::Result<Option<Range<usize>>> {
        let held_from = self.shared.smallest_hold().map_or(u64::MAX, |(_, offset)| offset);
        let small = self.shared.config.segment_bytes / SMALL_PART;
        let mut run = 0..0;
        let (mut left, mut worth) = (0, false);
        for (at, segment) in segments.iter().enumerate() {
            let of = &due.segments[at];
            let gone = of.gone_bytes();
            let usable = segment.is_settled() && !segment.is_damaged() && segment.end() <= held_from;
            let half_gone = gone > 0 && gone * 2 >= of.all_bytes();
            let is_small = segment.header.rewritten
                && segment.disk_bytes(&*self.shared.fs)? < small.saturating_add(BLOCK as u64);
            let stays = of.all_bytes() - gone;
            let joins = usable && (half_gone || is_small);
            if joins && run.len() < MAX_INPUTS && left + stays <= self.shared.config.segment_bytes {
                run.end = at + 1;
                left += stays;
                worth |= half_gone;
                continue;
            }
            if worth || run.len() >= JOINED {
                break;
            }
            run = if joins { at..at + 1 } else { at + 1..at + 1 };
            (left, worth) = if joins { (stays, half_gone) } else { (0, false) };
        }
        Ok((worth || run.len() >= JOINED).then_some(run))
    }

    /// One after the other, each durable before the next: a crash must not leave a hole.
    fn remove_leftover(&mut self) -> io::Result<()> {
        while let Some(name) = self.leftover.first() {
            match self.shared.fs.remove(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.shared.fs.sync_dir()?,
            }
            self.leftover.remove(0);
        }
        Ok(())
    }
}

fn disk_bytes<'a>(shared: &Shared, segments: impl Iterator<Item = &'a Arc<Segment>>) -> io::Result<u64> {
    segments.map(|segment| segment.disk_bytes(&*shared.fs)).sum()
}
