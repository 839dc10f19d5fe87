//! What can be set.

/// Settings of the history. Times in microseconds, 0 for "no limit" where it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryConfig {
    /// The tail is written to a file when it has so many rows.
    pub flush_rows: usize,
    /// The tail is written to a file when its oldest row has been there for so long.
    pub flush_interval_us: i64,
    /// Files are deleted, oldest arrival first, while all of them together are larger; 0: no limit.
    pub retain_bytes: u64,
    /// Files whose newest row arrived longer ago are deleted; 0: no limit.
    pub retain_age_us: i64,
    /// Files are merged up to so many rows.
    pub merge_rows: u64,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        HistoryConfig {
            flush_rows: 1_000_000,
            flush_interval_us: 60_000_000,
            retain_bytes: 0,
            retain_age_us: 0,
            merge_rows: 2_000_000,
        }
    }
}
