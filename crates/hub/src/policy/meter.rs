//! What is left of a principal's limits, shared by its sessions on all shards.

use std::sync::{Arc, Weak};

use mohhos_locks::Mutex;
use rustc_hash::FxHashMap;

use super::rate::Bucket;
use super::role::RoleLimits;

/// The limits of one principal, and what is left of them.
#[derive(Debug)]
pub struct Meter {
    limits: RoleLimits,
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Meter {
    /// Nothing was used yet.
    pub fn new(limits: RoleLimits) -> Self {
        let bucket = |rate: Option<f64>| rate.map(Bucket::new);
        Self { limits, messages: bucket(limits.messages_per_s), bytes: bucket(limits.bytes_per_s) }
    }

    /// Is a payload larger than it may be?
    pub fn is_too_large(&self, payload: usize) -> bool {
        self.limits.payload_bytes.is_some_and(|most| payload as u64 > most)
    }

    /// Counts a message; how many microseconds to wait before the next.
    pub fn draw(&self, payload: usize, now_us: u64) -> u64 {
        let messages = self.messages.as_ref().map_or(0, |bucket| bucket.draw(1, now_us));
        let bytes = self.bytes.as_ref().map_or(0, |bucket| bucket.draw(payload as u64, now_us));
        messages.max(bytes)
    }
}

/// The meters that are in use. Its lock is held for a look-up alone.
#[derive(Debug, Default)]
pub struct Meters {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_principal: FxHashMap<Arc<str>, Weak<Meter>>,
    /// With so many entries those that nobody uses any more are looked for.
    sweep_at: usize,
}

const FIRST_SWEEP: usize = 1024;

impl Meters {
    /// The meter of a principal: that of its other sessions, unless the limits have changed.
    pub fn of(&self, principal: &Arc<str>, limits: RoleLimits) -> Arc<Meter> {
        let mut inner = self.inner.lock();
        let known = inner.by_principal.get(principal).and_then(Weak::upgrade);
        if let Some(meter) = known.filter(|meter| meter.limits == limits) {
            return meter;
        }
        if inner.by_principal.len() >= inner.sweep_at {
            inner.by_principal.retain(|_, meter| meter.strong_count() > 0);
            inner.sweep_at = (inner.by_principal.len() * 2).max(FIRST_SWEEP);
        }
        let meter = Arc::new(Meter::new(limits));
        inner.by_principal.insert(principal.clone(), Arc::downgrade(&meter));
        meter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_two_limits_says_how_long_to_wait() {
        let limits =
            RoleLimits { messages_per_s: Some(1.0), bytes_per_s: Some(10.0), ..RoleLimits::default() };
        assert_eq!(Meter::new(limits).draw(1, 0), 1_000_000);
        assert_eq!(Meter::new(limits).draw(100, 0), 9_100_000);
    }

    #[test]
    fn a_payload_is_too_large_only_beyond_its_limit() {
        let meter = Meter::new(RoleLimits { payload_bytes: Some(3), ..RoleLimits::default() });
        assert!(!meter.is_too_large(3) && meter.is_too_large(4));
        assert_eq!(meter.draw(3, 0), 0);
    }

    #[test]
    fn meters_that_nobody_uses_are_forgotten() {
        let meters = Meters::default();
        let limits = RoleLimits { messages_per_s: Some(1.0), ..RoleLimits::default() };
        let kept = meters.of(&"kept".into(), limits);
        for n in 0..10 * FIRST_SWEEP {
            meters.of(&format!("{n}").into(), limits);
        }
        assert!(meters.inner.lock().by_principal.len() <= FIRST_SWEEP);
        assert!(Arc::ptr_eq(&kept, &meters.of(&"kept".into(), limits)));
    }
}
