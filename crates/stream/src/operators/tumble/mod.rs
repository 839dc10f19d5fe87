//! Tumbling windows over event time.
//!
//! Each open window of a key is a cell. `newest` leads from a key to the cell of its newest window, which nearly all
//! rows fall into; older windows that are still open are in `older`. The cells of a group (what has one watermark)
//! form a list, which is walked when the group is due. Whether a row is late is decided by the watermark that held
//! before it, so that it does not matter where batches begin.
//!
//! Snapshot: rows that were late (u64), words per cell (u32), number of cells (u32), then for each cell its group
//! (u32), key (see `keys`), start (i64) and words.

mod accumulate;
mod cells;
mod keys;
mod pairs;
mod result;

use rustc_hash::FxHashMap;

use self::accumulate::{Accumulator, Shape};
use self::cells::{Cells, TRASH, Window};
use self::keys::Keys;
use self::result::Output;
use super::{Context, Downstream, Operator};
use crate::error::{RuleFailure, SnapshotError};
use crate::expr::Compiled;
use crate::plan::{Aggregate, Expr, Type};
use crate::snapshot::{Reader, Writer, damaged};
use crate::vector::{Frame, Valid, Vals, Vector};
use crate::watermark::TIME_LIMIT;

/// SQL's times have milliseconds: the last instant of a window is one before its end.
const INSTANT_US: i64 = 1000;

/// What the operator is made from.
pub(crate) struct TumbleParts {
    pub(crate) id: String,
    /// The column with event time.
    pub(crate) time: usize,
    pub(crate) size_us: i64,
    pub(crate) offset_us: i64,
    /// Columns and their types.
    pub(crate) keys: Vec<(usize, Type)>,
    /// Which of the keys is the source's device, if windows go by the device's watermark.
    pub(crate) device_key: Option<usize>,
    pub(crate) aggregates: Vec<AggregateParts>,
}

/// One aggregate, as planned (to find what can be shared) and compiled.
pub(crate) struct AggregateParts {
    pub(crate) function: Aggregate,
    pub(crate) planned: (Option<Expr>, Option<Expr>),
    pub(crate) argument: Option<Compiled>,
    pub(crate) filter: Option<Compiled>,
}

/// Where most rows of a key go.
#[derive(Debug, Clone, Copy)]
struct Newest {
    start: i64,
    cell: u32,
}

/// No window: it begins before all time, so that no row falls into it.
const NONE: Newest = Newest { start: i64::MIN, cell: TRASH };

pub(crate) struct Tumble {
    id: String,
    time: usize,
    size: i64,
    offset: i64,
    device_key: Option<usize>,
    keys: Keys,
    /// By key id: its newest open window.
    newest: Vec<Newest>,
    /// The other open windows, by key id and start.
    older: FxHashMap<(u32, i64), u32>,
    /// By group: the first of its cells.
    heads: Vec<u32>,
    cells: Cells,
    accumulators: Vec<Accumulator>,
    outputs: Vec<Output>,
    /// There is a COUNT(*): the cells count rows.
    counts_rows: bool,
    late: u64,
    /// Per row of the frame at hand, the cell it is added to.
    targets: Vec<u32>,
    /// Rows of the frame at hand that are not in the newest window of their key.
    others: Vec<u32>,
}

impl Tumble {
    pub(crate) fn new(parts: TumbleParts) -> Self {
        let mut planned: Vec<(Option<Expr>, Option<Expr>)> = Vec::new();
        let mut accumulators: Vec<Accumulator> = Vec::new();
        let mut places = Vec::with_capacity(parts.aggregates.len());
        for aggregate in parts.aggregates {
            let kind = aggregate.argument.as_ref().map_or(Type::BigInt, |a| a.kind);
            if aggregate.argument.is_none() && aggregate.filter.is_none() {
                places.push((aggregate.function, kind, None));
                continue;
            }
            let index = planned.iter().position(|p| *p == aggregate.planned).unwrap_or(planned.len());
            if index == planned.len() {
                planned.push(aggregate.planned);
                let shape = Shape { doubles: kind == Type::Double, ..Shape::default() };
                let (argument, filter) = (aggregate.argument, aggregate.filter);
                accumulators.push(Accumulator { argument, filter, shape, at: 0 });
            }
            accumulators[index].shape = accumulators[index].shape.with(aggregate.function);
            places.push((aggregate.function, kind, Some(index)));
        }
        let counts_rows = places.iter().any(|(_, _, index)| index.is_none());
        let initial = accumulate::lay_out(&mut accumulators);
        let output = |(function, kind, index): (Aggregate, Type, Option<usize>)| {
            let accumulator = index.map(|i| &accumulators[i]);
            let (at, shape) = (accumulator.map(|a| a.at), accumulator.map(|a| a.shape).unwrap_or_default());
            Output { function, kind, at, shape }
        };
        let (columns, kinds) = parts.keys.into_iter().unzip();
        Self {
            id: parts.id,
            time: parts.time,
            size: parts.size_us,
            offset: parts.offset_us,
            device_key: parts.device_key,
            keys: Keys::new(columns, kinds),
            newest: Vec::new(),
            older: FxHashMap::default(),
            heads: Vec::new(),
            cells: Cells::new(&initial),
            outputs: places.into_iter().map(output).collect(),
            accumulators,
            counts_rows,
            late: 0,
            targets: Vec::new(),
            others: Vec::new(),
        }
    }

    /// Finds the cell of every row.
    fn assign(&mut self, keys: &[u32], times: &[i64], before: &[i64], context: &mut Context<'_>) {
        let (size, last) = (self.size as u64, self.size - INSTANT_US);
        self.targets.clear();
        self.others.clear();
        let (newest, others) = (self.newest.as_slice(), &mut self.others);
        let rows = keys.iter().zip(times).zip(before).enumerate();
        self.targets.extend(rows.map(|(row, ((&key, &time), &before))| {
            let Newest { start, cell } = newest[key as usize];
            if (time.wrapping_sub(start) as u64) < size && before < start.wrapping_add(last) {
                cell
            } else {
                others.push(row as u32);
                TRASH
            }
        }));
        // Which window a row is in does not depend on the rows before it, so these can follow.
        for index in 0..self.others.len() {
            let row = self.others[index] as usize;
            self.targets[row] = self.find(keys[row], times[row], before[row], context);
        }
        // Only now: until here, ids have to stay whose they were when the frame's rows got them.
        for &row in &self.others {
            self.keys.release(keys[row as usize]);
        }
    }

    /// Makes room for a key; false if its code is so large that this would exceed the bound on state.
    fn make_room(&mut self, key: u32, context: &Context<'_>) -> bool {
        if self.newest.len() <= key as usize {
            if key as usize * size_of::<Newest>() > context.max_state_bytes {
                return false;
            }
            self.newest.resize(key as usize + 1, NONE);
        }
        true
    }

    /// The cell of a row that is not in the newest window of its key, or is late for it.
    fn find(&mut self, key: u32, time: i64, before: i64, context: &mut Context<'_>) -> u32 {
        let time = time.clamp(-TIME_LIMIT, TIME_LIMIT);
        let start = time - (time - self.offset).rem_euclid(self.size);
        if before >= start + self.size - INSTANT_US {
            self.late += 1;
            return TRASH;
        }
        let newest = self.newest[key as usize];
        if newest.start == start {
            return newest.cell;
        }
        match self.older.get(&(key, start)) {
            Some(&cell) => cell,
            None => self.open(key, start, context),
        }
    }

    fn too_many_keys(&self) -> RuleFailure {
        RuleFailure::new(&self.id, "its keys would exceed the bound on state; raise stream.max_state")
    }

    fn group_of(&self, key: u32) -> u32 {
        self.device_key.map_or(0, |position| self.keys.code_at(key, position))
    }

    fn open(&mut self, key: u32, start: i64, context: &mut Context<'_>) -> u32 {
        let group = self.group_of(key);
        if self.heads.len() <= group as usize {
            self.heads.resize(group as usize + 1, TRASH);
        }
        let cell = self.cells.open(Window { start, key, next: self.heads[group as usize] });
        self.heads[group as usize] = cell;
        self.keys.opened(key);
        let newest = &mut self.newest[key as usize];
        if newest.start < start {
            let former = std::mem::replace(newest, Newest { start, cell });
            if former.cell != TRASH {
                self.older.insert((key, former.start), former.cell);
            }
        } else {
            self.older.insert((key, start), cell);
        }
        context.watermarks.register(group, start + self.size - INSTANT_US);
        cell
    }

    /// Takes the cells of a group out that its watermark closes.
    fn take_closed(&mut self, group: u32, context: &mut Context<'_>, closed: &mut Vec<u32>) {
        let watermark = context.watermarks.get(group);
        let Some(&head) = self.heads.get(group as usize) else { return };
        let (mut cell, mut kept_head, mut first_open) = (head, TRASH, i64::MAX);
        while cell != TRASH {
            let next = self.cells.next(cell);
            let closes = self.cells.start(cell) + self.size - INSTANT_US;
            if closes <= watermark {
                closed.push(cell);
            } else {
                self.cells.set_next(cell, kept_head);
                kept_head = cell;
                first_open = first_open.min(closes);
            }
            cell = next;
        }
        self.heads[group as usize] = kept_head;
        if first_open != i64::MAX {
            context.watermarks.register(group, first_open);
        }
    }

    fn forget(&mut self, cell: u32) {
        let key = self.cells.key(cell);
        if self.newest[key as usize].cell == cell {
            self.newest[key as usize] = NONE;
        } else {
            self.older.remove(&(key, self.cells.start(cell)));
        }
        self.keys.closed(key);
        self.cells.close(cell);
    }

    /// Keys, aggregates and the window's times.
    fn frame_of(&self, closed: &[u32]) -> Frame<'static> {
        let ids: Vec<u32> = closed.iter().map(|&c| self.cells.key(c)).collect();
        let mut columns = self.keys.columns(&ids);
        columns.extend(self.outputs.iter().map(|o| o.column(&self.cells, closed)));
        for shift in [0, self.size, self.size - INSTANT_US] {
            let times = closed.iter().map(|&c| self.cells.start(c) + shift).collect();
            columns.push(Vector::I64(Vals::Owned(times), Valid::All));
        }
        Frame { rows: closed.len(), columns, selection: None, before: None }
    }
}

impl Operator for Tumble {
    fn id(&self) -> &str {
        &self.id
    }

    fn on_batch(
        &mut self,
        frame: Frame<'_>,
        context: &mut Context<'_>,
        _next: &mut Downstream<'_, '_>,
    ) -> Result<(), RuleFailure> {
        let rows = frame.len();
        let (Vector::I64(times, _), Some(before)) = (frame.column(self.time), frame.before()) else {
            return Err(RuleFailure::new(&self.id, "its rows have no event time"));
        };
        let Some(keys) = self.keys.ids(&frame, context.max_state_bytes) else {
            return Err(self.too_many_keys());
        };
        let keys = keys.dense(rows);
        if !self.make_room(keys.iter().copied().max().unwrap_or(0), context) {
            return Err(self.too_many_keys());
        }
        self.assign(&keys, &times.dense(rows), &before.dense(rows), context);
        let mut counted = !self.counts_rows;
        for accumulator in &self.accumulators {
            counted |= accumulator.add(&frame, &self.targets, &mut self.cells, !counted);
        }
        if !counted {
            accumulate::count_rows(&self.targets, &mut self.cells);
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        groups: &[u32],
        context: &mut Context<'_>,
        next: &mut Downstream<'_, '_>,
    ) -> Result<(), RuleFailure> {
        let mut closed = Vec::new();
        for &group in groups {
            self.take_closed(group, context, &mut closed);
        }
        if !closed.is_empty() {
            closed.sort_unstable_by(|&a, &b| {
                let by_key = || self.keys.order(self.cells.key(a), self.cells.key(b));
                self.cells.start(a).cmp(&self.cells.start(b)).then_with(by_key)
            });
            let frame = self.frame_of(&closed);
            closed.iter().for_each(|&cell| self.forget(cell));
            next.on_batch(frame, context)?;
        }
        next.on_watermark(groups, context)
    }

    fn snapshot(&self, out: &mut Writer) {
        out.u64(self.late);
        out.u32(self.cells.stride as u32);
        out.u32(self.cells.open_cells() as u32);
        for (group, &head) in self.heads.iter().enumerate() {
            let mut cell = head;
            while cell != TRASH {
                out.u32(group as u32);
                self.keys.write(self.cells.key(cell), out);
                out.i64(self.cells.start(cell));
                self.cells.state(cell).iter().for_each(|&word| out.u64(word));
                cell = self.cells.next(cell);
            }
        }
    }

    fn restore(&mut self, input: &mut Reader<'_>, context: &mut Context<'_>) -> Result<(), SnapshotError> {
        self.late = input.u64()?;
        if input.u32()? as usize != self.cells.stride {
            return Err(damaged("a window has other aggregates than the rule"));
        }
        for _ in 0..input.u32()? {
            let group = input.u32()?;
            let key = self.keys.read(input, context.max_state_bytes)?;
            let start = input.i64()?;
            if context.watermarks.bytes_with(group) > context.max_state_bytes {
                return Err(damaged("a device exceeds the bound on state"));
            }
            if self.group_of(key) != group || !(-TIME_LIMIT * 2..TIME_LIMIT * 2).contains(&start) {
                return Err(damaged("a window contradicts its key"));
            }
            if !self.make_room(key, context) {
                return Err(damaged("a key exceeds the bound on state"));
            }
            let cell = self.open(key, start, context);
            for word in self.cells.state_mut(cell) {
                *word = input.u64()?;
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let tables = self.newest.len() * size_of::<Newest>() + self.heads.len() * 4 + self.older.len() * 24;
        self.cells.bytes() + self.keys.bytes() + tables
    }

    fn late(&self) -> u64 {
        self.late
    }
}
