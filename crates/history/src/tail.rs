//! The rows that are in no file yet.

use std::sync::Arc;

use mohhos_decode::batch::Batch;

use crate::error::HistoryError;
use crate::rows::{Reading, Rows};
use crate::view::View;

/// Batches with fewer rows are copied together: a batch of one row would cost as much memory as 20 rows.
const SMALL_BATCH: usize = 256;
/// So many rows copied together are closed; a cut copies the open ones while it holds the lock.
const OPEN_ROWS: usize = 4096;
/// The bytes of one row without text, for the bound on memory.
const ROW_BYTES: usize = 40;

/// Some rows of the tail, shared between the history thread and cuts.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// A batch as it came.
    Batch(Arc<Batch>),
    /// Small batches, copied together.
    Rows(Arc<Rows>),
}

impl Part {
    /// Every row, in order.
    #[inline]
    pub fn for_each<'a>(&'a self, each: impl FnMut(Reading<'a>)) -> Result<(), HistoryError> {
        match self {
            Part::Batch(batch) => View::of(batch)?.for_each(each),
            Part::Rows(rows) => rows.iter().for_each(each),
        }
        Ok(())
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Part::Batch(batch) => batch.rows,
            Part::Rows(rows) => rows.len(),
        }
    }
}

/// Parts in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    closed: Vec<Closed>,
    open: Rows,
    open_bytes: usize,
    rows: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Closed {
    part: Part,
    bytes: usize,
}

impl Tail {
    /// Appends a batch, of which `view` shows the columns.
    pub fn push(&mut self, batch: &Arc<Batch>, view: &View<'_>) {
        let bytes = batch.rows * ROW_BYTES + view.text_bytes();
        self.rows += batch.rows;
        self.bytes += bytes;
        if batch.rows < SMALL_BATCH {
            view.for_each(|reading| self.open.push(&reading));
            self.open_bytes += bytes;
            if self.open.len() >= OPEN_ROWS {
                self.close_open();
            }
        } else {
            self.close_open();
            self.closed.push(Closed { part: Part::Batch(batch.clone()), bytes });
        }
    }

    fn close_open(&mut self) {
        if !self.open.is_empty() {
            let part = Part::Rows(Arc::new(std::mem::take(&mut self.open)));
            self.closed.push(Closed { part, bytes: std::mem::take(&mut self.open_bytes) });
        }
    }

    /// All the parts, which stay.
    pub fn snapshot(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = self.closed.iter().map(|closed| closed.part.clone()).collect();
        if !self.open.is_empty() {
            parts.push(Part::Rows(Arc::new(self.open.clone())));
        }
        parts
    }

    /// Closes what is open and returns all the parts, which stay until [`Tail::drop_first`].
    pub fn seal(&mut self) -> Vec<Part> {
        self.close_open();
        self.snapshot()
    }

    /// Drops the first `count` parts: a file has them. Returns them, so that freeing them needs no lock.
    pub fn drop_first(&mut self, count: usize) -> Vec<Part> {
        let dropped: Vec<Closed> = self.closed.drain(..count).collect();
        for closed in &dropped {
            self.rows -= closed.part.rows();
            self.bytes -= closed.bytes;
        }
        dropped.into_iter().map(|closed| closed.part).collect()
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how much memory the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
