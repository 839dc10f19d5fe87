//! Trimming: whole segments, oldest first, never what a projection still needs.

use std::io;
use std::sync::Arc;

use crate::segment::Segment;
use crate::shared::Shared;

/// What a run of retention did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Segments that are gone.
    pub segments: usize,
    /// Their bytes on disk. Up to two files are kept, to become segments again.
    pub bytes: u64,
    /// The oldest offset that can be read now.
    pub oldest: u64,
    /// More should go, but this projection still needs it.
    pub held_by: Option<String>,
}

pub(crate) fn enforce(shared: &Shared, now_us: i64, clock_trusted: bool) -> io::Result<Trimmed> {
    let mut leftover = shared.maintenance.lock();
    remove_leftover(shared, &mut leftover)?;
    let mut segments = shared.segments.read().clone();
    let mut total = 0;
    for segment in &segments {
        total += segment.disk_bytes(&*shared.fs)?;
    }
    let mut trimmed = Trimmed::default();
    while segments.len() > 1 {
        let too_much = shared.config.retain_bytes > 0 && total > shared.config.retain_bytes;
        let due = too_much || (clock_trusted && too_old(shared, &segments, now_us));
        if !due {
            break;
        }
        let oldest = segments.remove(0);
        if let Some((name, _)) = shared.smallest_hold().filter(|(_, offset)| *offset < oldest.end()) {
            segments.insert(0, oldest);
            trimmed.held_by = Some(name);
            break;
        }
        let bytes = oldest.disk_bytes(&*shared.fs)?;
        {
            let mut listed = shared.segments.write();
            listed.retain(|segment| !Arc::ptr_eq(segment, &oldest));
        }
        oldest.mark_removed();
        total -= bytes;
        trimmed.segments += 1;
        trimmed.bytes += bytes;
        let recycled = bytes >= shared.config.segment_bytes
            && (shared.config.retain_bytes == 0 || total <= shared.config.retain_bytes)
            && shared.spares.keep(&*shared.fs, &oldest.name).unwrap_or(false);
        if !recycled {
            leftover.push(oldest.name.clone());
            remove_leftover(shared, &mut leftover)?;
        }
    }
    trimmed.oldest = segments.first().map_or(0, |segment| segment.header.base);
    Ok(trimmed)
}

/// By the newest time that a synchronised clock gave it. A segment without any is as old as the next that has one: a
/// gateway without a battery-backed clock starts in the past, and nothing may expire by that.
fn too_old(shared: &Shared, segments: &[Arc<Segment>], now_us: i64) -> bool {
    let Ok(age) = i64::try_from(shared.config.retain_age_us) else { return false };
    let newest = segments.iter().find_map(|segment| segment.times().synchronised_us);
    age > 0 && newest.is_some_and(|newest| newest < now_us.saturating_sub(age))
}

/// One after the other, each durable before the next: a crash must not leave a hole.
fn remove_leftover(shared: &Shared, leftover: &mut Vec<String>) -> io::Result<()> {
    while let Some(name) = leftover.first() {
        match shared.fs.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => shared.fs.sync_dir()?,
        }
        leftover.remove(0);
    }
    Ok(())
}
