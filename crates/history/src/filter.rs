//! Which rows a cut is about.

use rustc_hash::FxHashSet;

use crate::error::HistoryError;
use crate::manifest::FileEntry;
use crate::order::by_device;
use crate::rows::Rows;
use crate::tail::Part;

/// Which rows a cut is about. The default is all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Device codes; empty for all.
    pub devices: Vec<u32>,
    /// Metric codes; empty for all.
    pub metrics: Vec<u32>,
    /// Event time, inclusive.
    pub from_us: i64,
    /// Event time, exclusive; `i64::MAX` for no end.
    pub to_us: i64,
}

impl Default for Filter {
    fn default() -> Self {
        Filter { devices: Vec::new(), metrics: Vec::new(), from_us: i64::MIN, to_us: i64::MAX }
    }
}

impl Filter {
    /// May the file hold a matching row?
    pub(crate) fn may_match(&self, file: &FileEntry) -> bool {
        let span = file.min_device..=file.max_device;
        self.from_us <= file.max_ts
            && (file.min_ts < self.to_us || self.to_us == i64::MAX)
            && (self.devices.is_empty() || self.devices.iter().any(|device| span.contains(device)))
    }

    /// The matching rows of some parts, together by device.
    pub(crate) fn gather(&self, parts: &[Part]) -> Result<Rows, HistoryError> {
        let devices: FxHashSet<u32> = self.devices.iter().copied().collect();
        let metrics: FxHashSet<u32> = self.metrics.iter().copied().collect();
        by_device(parts, |reading| {
            self.holds_time(reading.ts)
                && (devices.is_empty() || devices.contains(&reading.device))
                && (metrics.is_empty() || metrics.contains(&reading.metric))
        })
    }

    fn holds_time(&self, ts: i64) -> bool {
        self.from_us <= ts && (ts < self.to_us || self.to_us == i64::MAX)
    }
}
