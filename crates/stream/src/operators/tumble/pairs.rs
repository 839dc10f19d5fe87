//! Ids of pairs of codes (device and metric).
//!
//! The pairs of one first code form a ring, and the search begins behind the pair found last: a device sends its
//! metrics in the same order again and again, so that the next one is nearly always the one looked for.

#[derive(Debug, Clone, Copy)]
struct Entry {
    first: u32,
    second: u32,
    /// The next of the ring.
    next: u32,
    /// Open windows.
    open: u32,
}

/// No entry.
const NONE: u32 = u32::MAX;

/// Ids given to pairs as they come, and taken back when no window is open for them.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// By first code: the entry of its ring that was found last.
    found: Vec<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
}

impl Pairs {
    /// The bytes it takes to look a first code up.
    pub(super) fn bytes_with(first: u32) -> usize {
        (first as usize + 1) * size_of::<u32>()
    }

    /// The id of a pair.
    pub(super) fn id(&mut self, first: u32, second: u32) -> u32 {
        if self.found.len() <= first as usize {
            self.found.resize(first as usize + 1, NONE);
        }
        let begin = self.found[first as usize];
        if begin == NONE {
            let id = self.insert(Entry { first, second, next: NONE, open: 0 });
            self.entries[id as usize].next = id;
            self.found[first as usize] = id;
            return id;
        }
        let mut id = begin;
        loop {
            id = self.entries[id as usize].next;
            if self.entries[id as usize].second == second {
                break;
            }
            if id == begin {
                id = self.insert(Entry { first, second, next: self.entries[begin as usize].next, open: 0 });
                self.entries[begin as usize].next = id;
                break;
            }
        }
        self.found[first as usize] = id;
        id
    }

    fn insert(&mut self, entry: Entry) -> u32 {
        match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        }
    }

    pub(super) fn pair(&self, id: u32) -> (u32, u32) {
        let entry = &self.entries[id as usize];
        (entry.first, entry.second)
    }

    pub(super) fn opened(&mut self, id: u32) {
        self.entries[id as usize].open += 1;
    }

    pub(super) fn closed(&mut self, id: u32) {
        self.entries[id as usize].open -= 1;
    }

    /// Forgets a pair for which no window is open.
    pub(super) fn release(&mut self, id: u32) {
        let Entry { first, next, open, .. } = self.entries[id as usize];
        // One that is free already is in no ring.
        if open > 0 || next == NONE {
            return;
        }
        let mut before = id;
        while self.entries[before as usize].next != id {
            before = self.entries[before as usize].next;
        }
        self.entries[before as usize].next = next;
        self.found[first as usize] = if before == id { NONE } else { before };
        self.entries[id as usize].next = NONE;
        self.free.push(id);
    }

    pub(super) fn bytes(&self) -> usize {
        self.found.len() * 4 + self.entries.len() * size_of::<Entry>() + self.free.len() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn pairs_keep_their_ids_until_they_are_released(steps in prop::collection::vec((0u32..3, 0u32..6, any::<bool>()), 0..200)) {
            let mut pairs = Pairs::default();
            let mut model: BTreeMap<(u32, u32), u32> = BTreeMap::new();
            for (first, second, release) in steps {
                let id = pairs.id(first, second);
                let known = *model.entry((first, second)).or_insert(id);
                prop_assert_eq!(known, id);
                prop_assert_eq!(pairs.pair(id), (first, second));
                if release {
                    pairs.release(id);
                    pairs.release(id);
                    model.remove(&(first, second));
                }
                let ids: std::collections::BTreeSet<u32> = model.values().copied().collect();
                prop_assert_eq!(ids.len(), model.len());
            }
        }

        #[test]
        fn a_pair_with_an_open_window_stays(second in 0u32..5) {
            let mut pairs = Pairs::default();
            let ids: Vec<u32> = (0..5).map(|s| pairs.id(1, s)).collect();
            let id = ids[second as usize];
            pairs.opened(id);
            ids.iter().for_each(|&id| pairs.release(id));
            prop_assert_eq!(pairs.id(1, second), id);
            pairs.closed(id);
            pairs.release(id);
            prop_assert!(pairs.found[1] == NONE);
        }
    }
}
