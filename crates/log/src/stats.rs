//! What the log counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts commits whose latency is below 2^index microseconds and not below half of it; the last has no upper bound.
pub const LATENCY_BUCKETS: usize = 24;

/// Counters and gauges at one moment.
#[derive(Clone, Debug, Default)]
pub struct LogStats {
    /// Commits that were synced.
    pub commits: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of records in them.
    pub bytes: u64,
    /// Write and sync, by latency; see [`LATENCY_BUCKETS`].
    pub commit_latency: [u64; LATENCY_BUCKETS],
    /// The sum of these latencies in microseconds.
    pub commit_latency_sum_us: u64,
    /// The longest of them.
    pub commit_latency_max_us: u64,
    /// Appends refused because the buffer was full.
    pub full: u64,
    /// Writes or syncs that failed.
    pub failures: u64,
    /// Times that a reader met something that cannot be read.
    pub damaged: u64,
    /// Bytes of records that are of no use to any projection and that went before their time, for a full disk.
    pub given_up: u64,
    /// Segments on disk.
    pub segments: usize,
    /// Their bytes on disk.
    pub disk_bytes: u64,
    /// The oldest offset that can be read.
    pub oldest: u64,
    /// The end of what is committed.
    pub committed: u64,
    /// The end of what is appended.
    pub end: u64,
    /// Why the log cannot write at the moment.
    pub stalled: Option<Arc<str>>,
}

#[derive(Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    latency: [AtomicU64; LATENCY_BUCKETS],
    latency_sum: AtomicU64,
    latency_max: AtomicU64,
    pub(crate) full: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) given_up: AtomicU64,
}

impl Counters {
    pub(crate) fn committed(&self, records: u64, bytes: u64, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.latency[bucket.min(LATENCY_BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        self.latency_sum.fetch_add(us, Ordering::Relaxed);
        self.latency_max.fetch_max(us, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> LogStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogStats {
            commits: get(&self.commits),
            records: get(&self.records),
            bytes: get(&self.bytes),
            commit_latency: std::array::from_fn(|index| get(&self.latency[index])),
            commit_latency_sum_us: get(&self.latency_sum),
            commit_latency_max_us: get(&self.latency_max),
            full: get(&self.full),
            failures: get(&self.failures),
            damaged: get(&self.damaged),
            given_up: get(&self.given_up),
            ..LogStats::default()
        }
    }
}
