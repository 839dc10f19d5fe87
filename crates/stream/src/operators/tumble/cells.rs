//! The open windows. What every row touches is apart from what is touched once per window, so that as much as can be
//! of the former is in the cache.

/// The first word of a cell: its rows. The accumulators follow.
pub(super) const ROWS: usize = 0;
/// The first word of the accumulators.
pub(super) const HEADER: usize = 1;

/// The cell that takes what is counted nowhere (late rows).
pub(super) const TRASH: u32 = 0;

/// Which window a cell is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) start: i64,
    pub(super) key: u32,
    /// The next cell of its group.
    pub(super) next: u32,
}

#[derive(Debug)]
pub(super) struct Cells {
    /// `stride` words per cell.
    pub(super) words: Vec<u64>,
    pub(super) stride: usize,
    windows: Vec<Window>,
    /// The words of a cell without rows.
    initial: Vec<u64>,
    free: Vec<u32>,
}

impl Cells {
    pub(super) fn new(accumulators: &[u64]) -> Self {
        let mut initial = vec![0];
        initial.extend_from_slice(accumulators);
        let trash = Window { start: i64::MIN, key: 0, next: TRASH };
        Self {
            words: initial.clone(),
            stride: initial.len(),
            windows: vec![trash],
            initial,
            free: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, window: Window) -> u32 {
        match self.free.pop() {
            Some(cell) => {
                let at = cell as usize * self.stride;
                self.words[at..at + self.stride].copy_from_slice(&self.initial);
                self.windows[cell as usize] = window;
                cell
            }
            None => {
                self.words.extend_from_slice(&self.initial);
                self.windows.push(window);
                (self.windows.len() - 1) as u32
            }
        }
    }

    pub(super) fn close(&mut self, cell: u32) {
        self.free.push(cell);
    }

    pub(super) fn word(&self, cell: u32, word: usize) -> u64 {
        self.words[cell as usize * self.stride + word]
    }

    pub(super) fn start(&self, cell: u32) -> i64 {
        self.windows[cell as usize].start
    }

    pub(super) fn key(&self, cell: u32) -> u32 {
        self.windows[cell as usize].key
    }

    pub(super) fn next(&self, cell: u32) -> u32 {
        self.windows[cell as usize].next
    }

    pub(super) fn set_next(&mut self, cell: u32, next: u32) {
        self.windows[cell as usize].next = next;
    }

    /// The words of a cell, as they are in a snapshot.
    pub(super) fn state(&self, cell: u32) -> &[u64] {
        let at = cell as usize * self.stride;
        &self.words[at..at + self.stride]
    }

    pub(super) fn state_mut(&mut self, cell: u32) -> &mut [u64] {
        let at = cell as usize * self.stride;
        &mut self.words[at..at + self.stride]
    }

    pub(super) fn open_cells(&self) -> usize {
        self.windows.len() - 1 - self.free.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.len() * 8 + self.windows.len() * size_of::<Window>() + self.free.len() * 4
    }
}
