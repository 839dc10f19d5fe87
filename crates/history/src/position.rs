//! Up to where the log has been taken in.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Up to where the log is in files, for one shard of one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The boot whose shard it was.
    pub boot_id: u32,
    /// The shard.
    pub shard: u16,
    /// Every row of this shard and boot below this log offset is in a file of the manifest.
    pub end: u64,
}

/// Positions by boot and shard; they only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Positions(FxHashMap<(u32, u16), u64>);

impl Positions {
    /// As a map.
    pub fn new(positions: &[Position]) -> Self {
        Positions(positions.iter().map(|at| ((at.boot_id, at.shard), at.end)).collect())
    }

    /// Moves a position up to `end`; false if it was there already.
    pub fn advance(&mut self, boot_id: u32, shard: u16, end: u64) -> bool {
        let known = self.0.entry((boot_id, shard)).or_default();
        let news = *known < end;
        *known = end.max(*known);
        news
    }

    /// Forgets the boots before this one.
    pub fn forget_before(&mut self, boot_id: u32) {
        self.0.retain(|(boot, _), _| *boot >= boot_id);
    }

    /// In the order of boot and shard.
    pub fn to_vec(&self) -> Vec<Position> {
        let mut all: Vec<Position> =
            self.0.iter().map(|(&(boot_id, shard), &end)| Position { boot_id, shard, end }).collect();
        all.sort_unstable();
        all
    }
}
