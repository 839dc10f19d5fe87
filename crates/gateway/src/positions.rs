//! How far the rules' state is in the log: per shard and table, for one boot.
//!
//! A shard's batches of one table come in the order of the log, but those of different tables interleave; so there is a
//! position per table. A shard that has nothing more to hand on (a *mark*, see [`Positions::drained`]) moves all of its
//! tables at once.
//!
//! Encoded, little-endian: boot (u32), floor (u64), shards (u16), number of entries (u32), then shard (u16), table (u32; all tables:
//! `u32::MAX`), offset (u64) each.

use mohhos_decode::{Batch, TableId};
use rustc_hash::FxHashMap;

const ALL_TABLES: u32 = u32::MAX;

/// Everything of shard and table below the position is in the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions {
    boot: u32,
    floor: u64,
    shards: u16,
    ends: FxHashMap<(u16, TableId), u64>,
}

impl Positions {
    /// At the start of a boot with so many shards everything before `floor` is in: replayed, or in a snapshot.
    pub fn new(boot: u32, floor: u64, shards: u16) -> Self {
        Self { boot, floor, shards, ends: FxHashMap::default() }
    }

    /// A batch is in the state now.
    pub fn consumed(&mut self, batch: &Batch) {
        if !batch.offsets.is_empty() {
            self.raise((batch.shard, batch.table), batch.offsets.end);
        }
    }

    /// Everything of the shard below `end` is in the state, or has no rows.
    pub fn drained(&mut self, shard: u16, end: u64) {
        self.raise((shard, ALL_TABLES), end);
    }

    fn raise(&mut self, key: (u16, TableId), end: u64) {
        let known = self.ends.entry(key).or_default();
        *known = end.max(*known);
    }

    /// Is the record of that boot, shard and table at that offset in the state?
    pub fn covers(&self, boot: u32, shard: u16, table: TableId, offset: u64) -> bool {
        if offset < self.floor {
            return true;
        }
        let below = |key| self.ends.get(&key).is_some_and(|&end| offset < end);
        boot == self.boot && (below((shard, table)) || below((shard, ALL_TABLES)))
    }

    /// Is everything of the shard below `end` known to be in the state?
    pub fn covers_shard(&self, shard: u16, end: u64) -> bool {
        end <= self.ends.get(&(shard, ALL_TABLES)).copied().unwrap_or(0).max(self.floor)
    }

    /// The offset from which on a replay has to read: below it everything of all shards is in.
    pub fn replay_from(&self) -> u64 {
        let of = |shard| self.ends.get(&(shard, ALL_TABLES)).copied().unwrap_or(0);
        (0..self.shards).map(of).min().unwrap_or(0).max(self.floor)
    }

    /// As bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.boot.to_le_bytes());
        out.extend_from_slice(&self.floor.to_le_bytes());
        out.extend_from_slice(&self.shards.to_le_bytes());
        out.extend_from_slice(&(self.ends.len() as u32).to_le_bytes());
        for (&(shard, table), &end) in &self.ends {
            out.extend_from_slice(&shard.to_le_bytes());
            out.extend_from_slice(&table.to_le_bytes());
            out.extend_from_slice(&end.to_le_bytes());
        }
    }

    /// From bytes; what follows them is given back. `None` if they are too short.
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (boot, rest) = take::<4>(bytes)?;
        let (floor, rest) = take::<8>(rest)?;
        let (shards, rest) = take::<2>(rest)?;
        let (count, mut rest) = take::<4>(rest)?;
        let mut positions =
            Self::new(u32::from_le_bytes(boot), u64::from_le_bytes(floor), u16::from_le_bytes(shards));
        for _ in 0..u32::from_le_bytes(count) {
            let (shard, after) = take::<2>(rest)?;
            let (table, after) = take::<4>(after)?;
            let (end, after) = take::<8>(after)?;
            let key = (u16::from_le_bytes(shard), u32::from_le_bytes(table));
            positions.ends.insert(key, u64::from_le_bytes(end));
            rest = after;
        }
        Some((positions, rest))
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    Some((*head, rest))
}

#[cfg(test)]
mod tests {
    use mohhos_decode::OffsetRange;

    use super::*;

    fn batch(shard: u16, table: TableId, end: u64) -> Batch {
        let offsets = OffsetRange { first: end - 1, end };
        Batch { table, shard, offsets, arrival_us: 0, rows: 0, columns: Vec::new() }
    }

    #[test]
    fn a_table_that_is_behind_another_is_replayed() {
        let mut positions = Positions::new(7, 100, 1);
        positions.consumed(&batch(0, 0, 300));
        positions.consumed(&batch(0, 5, 200));
        assert!(positions.covers(7, 0, 0, 250) && !positions.covers(7, 0, 5, 250));
        assert!(!positions.covers(8, 0, 0, 250), "another boot");
        assert!(positions.covers(8, 3, 9, 99), "below the floor everything is in");
        assert_eq!(positions.replay_from(), 100);
        positions.drained(0, 280);
        assert!(positions.covers(7, 0, 5, 250));
        assert_eq!(positions.replay_from(), 280);
        positions.shards = 2;
        assert_eq!(positions.replay_from(), 100, "of the other shard nothing is known");
    }

    #[test]
    fn bytes_give_the_same_positions_and_short_ones_none() {
        let mut positions = Positions::new(3, 9, 2);
        positions.consumed(&batch(1, 2, 44));
        positions.drained(0, 40);
        let mut bytes = Vec::new();
        positions.encode(&mut bytes);
        bytes.extend_from_slice(b"rest");
        assert_eq!(Positions::decode(&bytes), Some((positions, &b"rest"[..])));
        for length in 0..bytes.len() - 4 {
            assert_eq!(Positions::decode(&bytes[..length]), None);
        }
    }
}
