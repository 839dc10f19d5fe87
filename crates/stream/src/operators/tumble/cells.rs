//! The open windows: one cell of 64-bit words each, in one vector.

/// Words of a cell: where its window starts; its key, and in the upper half the next cell of its group; its rows.
/// The accumulators follow.
const START: usize = 0;
const LINK: usize = 1;
pub(super) const ROWS: usize = 2;
/// The first word of the accumulators.
pub(super) const HEADER: usize = 3;

/// The cell that takes what is counted nowhere (late rows).
pub(super) const TRASH: u32 = 0;

#[derive(Debug)]
pub(super) struct Cells {
    pub(super) words: Vec<u64>,
    pub(super) stride: usize,
    /// A cell without rows; the accumulators' initial words.
    initial: Vec<u64>,
    free: Vec<u32>,
}

impl Cells {
    pub(super) fn new(accumulators: &[u64]) -> Self {
        let mut initial = vec![i64::MIN as u64, 0, 0];
        initial.extend_from_slice(accumulators);
        Self { words: initial.clone(), stride: initial.len(), initial, free: Vec::new() }
    }

    pub(super) fn open(&mut self, key: u32, start: i64, next: u32) -> u32 {
        let cell = match self.free.pop() {
            Some(cell) => {
                let at = cell as usize * self.stride;
                self.words[at..at + self.stride].copy_from_slice(&self.initial);
                cell
            }
            None => {
                self.words.extend_from_slice(&self.initial);
                (self.words.len() / self.stride - 1) as u32
            }
        };
        let at = cell as usize * self.stride;
        self.words[at + START] = start as u64;
        self.words[at + LINK] = u64::from(key) | u64::from(next) << 32;
        cell
    }

    pub(super) fn close(&mut self, cell: u32) {
        self.free.push(cell);
    }

    pub(super) fn word(&self, cell: u32, word: usize) -> u64 {
        self.words[cell as usize * self.stride + word]
    }

    pub(super) fn start(&self, cell: u32) -> i64 {
        self.word(cell, START) as i64
    }

    pub(super) fn key(&self, cell: u32) -> u32 {
        self.word(cell, LINK) as u32
    }

    pub(super) fn next(&self, cell: u32) -> u32 {
        (self.word(cell, LINK) >> 32) as u32
    }

    pub(super) fn set_next(&mut self, cell: u32, next: u32) {
        let word = &mut self.words[cell as usize * self.stride + LINK];
        *word = *word & u64::from(u32::MAX) | u64::from(next) << 32;
    }

    /// Rows and accumulators, as they are in a snapshot.
    pub(super) fn state(&self, cell: u32) -> &[u64] {
        let at = cell as usize * self.stride;
        &self.words[at + ROWS..at + self.stride]
    }

    pub(super) fn state_mut(&mut self, cell: u32) -> &mut [u64] {
        let at = cell as usize * self.stride;
        &mut self.words[at + ROWS..at + self.stride]
    }

    pub(super) fn open_cells(&self) -> usize {
        self.words.len() / self.stride - 1 - self.free.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.len() * 8 + self.free.len() * 4
    }
}
