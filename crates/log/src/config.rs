//! What can be set about the log.

/// Settings of a log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A segment of this many bytes is followed by a new one. One commit more may be in it.
    pub segment_bytes: u64,
    /// Retention: the oldest segments are trimmed beyond this many bytes on disk. 0: without bound.
    pub retain_bytes: u64,
    /// Retention: segments are trimmed when their newest record is older. 0: without bound.
    pub retain_age_us: u64,
    /// While records keep coming, a commit begins this long after the one before, at the earliest.
    pub commit_interval_us: u64,
    /// How many bytes may be appended and not yet committed; at most 1 GiB is used.
    pub buffer_bytes: usize,
    /// How long to wait before writing is tried again after it failed.
    pub retry_interval_us: u64,
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
        }
    }
}
