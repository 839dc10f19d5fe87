//! Latencies as histograms: the recent ones of each device, and all since the start of each shard.

use std::sync::atomic::{AtomicU16, Ordering};

use crate::counters::Counter;

/// Upper bounds of the buckets, in microseconds; the last bucket has none.
pub const BOUNDS_US: [u64; BUCKETS - 1] = [1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000, 10_000_000];
/// How many buckets there are.
pub const BUCKETS: usize = 8;
/// When a bucket of a device has so many, all its buckets are halved.
const FULL: u16 = 60_000;

fn bucket(us: u64) -> usize {
    BOUNDS_US.iter().position(|&bound| us <= bound).unwrap_or(BUCKETS - 1)
}

/// The recent latencies of one device, in 16 bytes. What was long ago counts less and less: when a bucket is full, all
/// are halved.
#[derive(Debug, Default)]
pub struct Recent([AtomicU16; BUCKETS]);

impl Recent {
    /// Counts one.
    #[inline]
    pub fn note(&self, us: u64) {
        let before = self.0[bucket(us)].fetch_add(1, Ordering::Relaxed);
        if before >= FULL {
            self.halve();
        }
    }

    #[cold]
    fn halve(&self) {
        for bucket in &self.0 {
            bucket.store(bucket.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
        }
    }

    /// The buckets, in order.
    pub fn read(&self) -> [u16; BUCKETS] {
        self.0.each_ref().map(|bucket| bucket.load(Ordering::Relaxed))
    }
}

/// All latencies of one shard since the start. The shard alone writes.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BUCKETS],
    sum_us: Counter,
}

impl Histogram {
    /// Counts some that took equally long.
    #[inline]
    pub fn note(&self, us: u64, count: u64) {
        self.buckets[bucket(us)].add(count);
        self.sum_us.add(us.saturating_mul(count));
    }

    /// Adds the values to a total.
    pub fn add_to(&self, total: &mut Latencies) {
        for (sum, bucket) in total.counts.iter_mut().zip(&self.buckets) {
            *sum += bucket.get();
        }
        total.sum_us += self.sum_us.get();
    }
}

/// A histogram at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    /// By bucket, in the order of [`BOUNDS_US`].
    pub counts: [u64; BUCKETS],
    /// Of all, in microseconds.
    pub sum_us: u64,
}

/// The histograms of one shard, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardLatencies {
    /// From the moment in which a message of QoS 1 or 2 was read to the moment in which it was on disk, once for each
    /// connection and commit: what a publisher waits for its acknowledgement.
    pub commit: Histogram,
    /// From sending a message of QoS 1 or 2 to its last acknowledgement by the subscriber.
    pub delivery: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_counted_in_the_first_bucket_that_it_does_not_exceed() {
        let recent = Recent::default();
        for us in [0, 1_000, 1_001, 10_000_000, 10_000_001, u64::MAX] {
            recent.note(us);
        }
        assert_eq!(recent.read(), [2, 1, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn a_full_bucket_halves_all_and_none_overflows() {
        let recent = Recent::default();
        for _ in 0..1000 {
            recent.note(5_000);
        }
        for _ in 0..200_000 {
            recent.note(10);
        }
        let [short, _, long, ..] = recent.read();
        assert!((FULL / 2..=FULL).contains(&short), "{short}");
        assert!(long < 1000, "what was long ago counts less: {long}");
    }

    #[test]
    fn shards_add_up() {
        let histogram = Histogram::default();
        histogram.note(2_000, 3);
        let mut total = Latencies::default();
        histogram.add_to(&mut total);
        histogram.add_to(&mut total);
        assert_eq!(total, Latencies { counts: [0, 6, 0, 0, 0, 0, 0, 0], sum_us: 12_000 });
    }
}
