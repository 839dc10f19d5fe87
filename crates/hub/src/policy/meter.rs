//! What is left of a principal's limits, shared by its sessions on all shards.

use std::sync::Arc;

use mohhos_locks::Mutex;

use super::rate::Bucket;
use super::role::RoleLimits;
use crate::in_use::InUse;

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
    in_use: Mutex<InUse<Meter>>,
}

impl Meters {
    /// The meter of a principal: that of its other sessions, unless the limits have changed.
    pub fn of(&self, principal: &Arc<str>, limits: RoleLimits) -> Arc<Meter> {
        let mut in_use = self.in_use.lock();
        let known = in_use.of(principal).filter(|meter| meter.limits == limits);
        known.unwrap_or_else(|| in_use.begin(principal, Meter::new(limits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_use::FIRST_SWEEP;

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
        assert!(meters.in_use.lock().len() <= FIRST_SWEEP);
        assert!(Arc::ptr_eq(&kept, &meters.of(&"kept".into(), limits)));
    }
}
