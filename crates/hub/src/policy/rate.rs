//! How much per second: a bucket that fills evenly, without a lock, shared by whoever draws from it.
//!
//! It is the generic cell rate algorithm: one number says when the bucket will be full again. What is drawn beyond
//! what is there is a debt, and the answer says how long to wait until it is paid.

use std::sync::atomic::{AtomicU64, Ordering};

const SECOND_NS: f64 = 1e9;
/// The bucket holds what comes in this time, but at least one.
const BURST_NS: u64 = 1_000_000_000;
/// The smallest rate, one in a day: a debt stays far from the end of the clock.
const SLOWEST_PER_S: f64 = 1.0 / 86_400.0;

/// A rate, and what is left of it.
#[derive(Debug)]
pub struct Bucket {
    /// How long one unit takes to come, in nanoseconds.
    unit_ns: f64,
    /// When the bucket is full, in nanoseconds of the monotonic clock.
    full_at_ns: AtomicU64,
}

impl Bucket {
    /// A full bucket for a rate above 0.
    pub fn new(per_second: f64) -> Self {
        Self { unit_ns: SECOND_NS / per_second.max(SLOWEST_PER_S), full_at_ns: AtomicU64::new(0) }
    }

    /// Units per second.
    pub fn per_second(&self) -> f64 {
        SECOND_NS / self.unit_ns
    }

    /// Draws `units`, whether they are there or not; how many microseconds to wait before anything more is drawn.
    pub fn draw(&self, units: u64, now_us: u64) -> u64 {
        let cost = (self.unit_ns * units as f64) as u64;
        let now = now_us.saturating_mul(1000);
        let before = self.full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(full_at.max(now).saturating_add(cost))
        });
        let full_at = before.unwrap_or_else(|full_at| full_at).max(now).saturating_add(cost);
        self.missing_ns(full_at, now).div_ceil(1000)
    }

    /// Draws one unit if it is there.
    pub fn try_draw(&self, now_us: u64) -> bool {
        let now = now_us.saturating_mul(1000);
        let drawn = self.full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let full_at = full_at.max(now);
            (self.missing_ns(full_at, now) == 0).then(|| full_at.saturating_add(self.unit_ns as u64))
        });
        drawn.is_ok()
    }

    /// How long until there is one unit in the bucket.
    fn missing_ns(&self, full_at: u64, now: u64) -> u64 {
        let unit = self.unit_ns as u64;
        full_at.saturating_add(unit).saturating_sub(BURST_NS.max(unit)).saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_per_second_means_a_second_between_two() {
        let bucket = Bucket::new(1.0);
        assert_eq!(bucket.draw(1, 0), 1_000_000);
        assert!(!bucket.try_draw(999_999));
        assert!(bucket.try_draw(1_000_000));
        assert!(!bucket.try_draw(1_999_999));
    }

    #[test]
    fn a_second_without_use_is_kept_and_no_more() {
        let bucket = Bucket::new(10.0);
        let at_once = (0..100).take_while(|_| bucket.try_draw(3_600_000_000)).count();
        assert_eq!(at_once, 10);
        assert!(bucket.try_draw(3_600_100_000));
        assert!(!bucket.try_draw(3_600_100_000));
    }

    #[test]
    fn a_large_draw_is_a_debt_that_time_pays() {
        let bucket = Bucket::new(1000.0);
        let wait = bucket.draw(5000, 0);
        assert_eq!(wait, 4_001_000);
        assert!(!bucket.try_draw(wait - 1) && bucket.try_draw(wait));
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_held_to_the_rate(
            per_second in 0.5f64..50_000.0, draws in prop::collection::vec(1u64..50, 1..200)
        ) {
            let bucket = Bucket::new(per_second);
            let (mut now_us, mut drawn) = (0, 0);
            for units in &draws {
                drawn += units;
                now_us += bucket.draw(*units, now_us);
            }
            let permitted = per_second * (now_us as f64 / 1e6) + per_second.max(1.0) + 1.0;
            prop_assert!(drawn as f64 <= permitted, "{} in {} us", drawn, now_us);
            // And nobody waits for more than was drawn.
            let needed_us = (drawn as f64 + 1.0) / per_second * 1e6 + draws.len() as f64;
            prop_assert!(now_us as f64 <= needed_us.max(1e6));
        }
    }
}
