//! What can be set about the log.

use crate::class::Classes;

/// Settings of a log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A segment of this many bytes is followed by a new one. One commit more may be in it.
    pub segment_bytes: u64,
    /// Retention of what is of no class: the oldest goes beyond this many bytes. 0: without bound.
    pub retain_bytes: u64,
    /// Retention of what is of no class: it goes when it is older. 0: without bound.
    pub retain_age_us: u64,
    /// While records keep coming, a commit begins this long after the one before, at the earliest.
    pub commit_interval_us: u64,
    /// How many bytes may be appended and not yet committed; at most 1 GiB is used.
    pub buffer_bytes: usize,
    /// How long to wait before writing is tried again after it failed.
    pub retry_interval_us: u64,
    /// On a full disk, old segments that no projection needs go before their time; else the log waits for space.
    pub trim_when_full: bool,
    /// Topics with a retention and a sync interval of their own.
    pub classes: Classes,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            segment_bytes: 64 << 20,
            retain_bytes: 4 << 30,
            retain_age_us: 7 * 86_400 * 1_000_000,
            commit_interval_us: 1_000,
            buffer_bytes: 16 << 20,
            retry_interval_us: 200_000,
            trim_when_full: true,
            classes: Classes::default(),
        }
    }
}
