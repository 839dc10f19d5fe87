//! What a window remembers of an argument, and how rows are added to it.

use super::cells::{Cells, HEADER, ROWS};
use crate::expr::Compiled;
use crate::plan::Aggregate;
use crate::vector::{Frame, Valid, Vector, logic};

/// The state of all aggregates over one argument under one FILTER.
#[derive(Debug)]
pub(super) struct Accumulator {
    pub(super) argument: Option<Compiled>,
    pub(super) filter: Option<Compiled>,
    pub(super) shape: Shape,
    /// Its first word in a cell, where the number of values is.
    pub(super) at: usize,
}

/// Which words follow the number of values: the sum; least and greatest; then for doubles the first value and the
/// sums of differences to it and of their squares (exact for equal values, and good for small variances of large
/// values), for integers the sum of squares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    pub(super) doubles: bool,
    pub(super) sum: bool,
    pub(super) extremes: bool,
    pub(super) variance: bool,
}

impl Shape {
    /// The shape with what an aggregate needs.
    pub(super) fn with(mut self, function: Aggregate) -> Self {
        match function {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Avg => self.sum = true,
            Aggregate::Min | Aggregate::Max => self.extremes = true,
            Aggregate::StddevPop | Aggregate::StddevSamp | Aggregate::VarPop | Aggregate::VarSamp => {
                self.variance = true;
                self.sum |= !self.doubles;
            }
        }
        self
    }

    pub(super) fn sum_at(self) -> usize {
        1
    }

    pub(super) fn extremes_at(self) -> usize {
        1 + usize::from(self.sum)
    }

    pub(super) fn variance_at(self) -> usize {
        self.extremes_at() + 2 * usize::from(self.extremes)
    }

    /// The words before any value.
    pub(super) fn initial(self) -> Vec<u64> {
        let mut words = vec![0];
        if self.sum {
            words.push(0);
        }
        if self.extremes {
            // nan is the greatest double, so any value replaces it as the least.
            words.push(if self.doubles { f64::NAN.to_bits() } else { i64::MAX as u64 });
            words.push(if self.doubles { f64::NEG_INFINITY.to_bits() } else { i64::MIN as u64 });
        }
        if self.variance {
            words.extend(if self.doubles { &[0, 0, 0][..] } else { &[0] });
        }
        words
    }
}

impl Accumulator {
    /// Adds the frame's rows, each to its cell. Where it costs little, it counts the cells' rows too, if asked to, and
    /// says so.
    pub(super) fn add(
        &self,
        frame: &Frame<'_>,
        targets: &[u32],
        cells: &mut Cells,
        count_rows: bool,
    ) -> bool {
        let kept = self.filter.as_ref().map(|filter| match filter.eval(frame) {
            Vector::Bool(truths) => {
                let kept = truths.dense(targets.len()).iter().map(|&t| u8::from(t == logic::TRUE)).collect();
                Valid::Mask(kept)
            }
            _ => Valid::Nothing,
        });
        let Some(argument) = &self.argument else {
            count(&kept.unwrap_or(Valid::All), self.at, targets, cells);
            return false;
        };
        let vector = argument.eval(frame);
        let and_kept = |valid: &Valid<'_>| match &kept {
            Some(kept) => valid.and(kept),
            None => valid.to_static(),
        };
        let rows = targets.len();
        match &vector {
            Vector::F64(values, valid) if self.shape.doubles => {
                let valid = and_kept(valid);
                let count_rows = count_rows && matches!(valid, Valid::All);
                doubles(self.shape, count_rows, &values.dense(rows), &valid, self.at, targets, cells);
                return count_rows;
            }
            Vector::I64(values, valid) if self.shape != Shape::default() => {
                integers(self.shape, &values.dense(rows), &and_kept(valid), self.at, targets, cells);
            }
            other => {
                let valid = (0..rows).map(|row| u8::from(other.is_valid(row))).collect();
                count(&and_kept(&Valid::Mask(valid)), self.at, targets, cells);
            }
        }
        false
    }
}

/// Counts the rows of the cells.
pub(super) fn count_rows(targets: &[u32], cells: &mut Cells) {
    count(&Valid::All, ROWS, targets, cells);
}

fn count(valid: &Valid<'_>, at: usize, targets: &[u32], cells: &mut Cells) {
    let stride = cells.stride;
    for (row, &cell) in targets.iter().enumerate() {
        cells.words[cell as usize * stride + at] += u64::from(valid.get(row));
    }
}

/// Chooses the loop for a shape: what is not asked for costs nothing.
fn doubles(
    shape: Shape,
    count_rows: bool,
    values: &[f64],
    valid: &Valid<'_>,
    at: usize,
    targets: &[u32],
    cells: &mut Cells,
) {
    macro_rules! choose {
        ($($sum:literal $extremes:literal $variance:literal),*) => {
            match (shape.sum, shape.extremes, shape.variance, count_rows) {
                $(($sum, $extremes, $variance, false) => add_doubles::<$sum, $extremes, $variance, false>,
                ($sum, $extremes, $variance, true) => add_doubles::<$sum, $extremes, $variance, true>,)*
            }
        };
    }
    let add = choose!(
        false false false, false false true, false true false, false true true,
        true false false, true false true, true true false, true true true
    );
    add(values, valid, at, targets, cells);
}

fn add_doubles<const SUM: bool, const EXTREMES: bool, const VARIANCE: bool, const COUNT_ROWS: bool>(
    values: &[f64],
    valid: &Valid<'_>,
    at: usize,
    targets: &[u32],
    cells: &mut Cells,
) {
    let (stride, words) = (cells.stride, cells.words.as_mut_slice());
    match valid {
        Valid::All => {
            for (&cell, &x) in targets.iter().zip(values) {
                let cell = &mut words[cell as usize * stride..][..stride];
                if COUNT_ROWS {
                    cell[ROWS] += 1;
                }
                add_double::<SUM, EXTREMES, VARIANCE>(&mut cell[at..], x);
            }
        }
        Valid::Nothing => {}
        Valid::Mask(mask) => {
            for ((&cell, &x), &valid) in targets.iter().zip(values).zip(mask.iter()) {
                if valid != 0 {
                    add_double::<SUM, EXTREMES, VARIANCE>(&mut words[cell as usize * stride + at..], x);
                }
            }
        }
    }
}

// Inlined by force: as a call per row it costs as much again as what it does.
#[inline(always)]
fn add_double<const SUM: bool, const EXTREMES: bool, const VARIANCE: bool>(words: &mut [u64], x: f64) {
    let words = &mut words[..1 + usize::from(SUM) + 2 * usize::from(EXTREMES) + 3 * usize::from(VARIANCE)];
    let first = words[0] == 0;
    words[0] += 1;
    let mut word = 1;
    if SUM {
        words[word] = (f64::from_bits(words[word]) + x).to_bits();
        word += 1;
    }
    if EXTREMES {
        let (least, greatest) = (f64::from_bits(words[word]), f64::from_bits(words[word + 1]));
        words[word] = if x < least || least.is_nan() { x } else { least }.to_bits();
        words[word + 1] = if x > greatest || x.is_nan() { x } else { greatest }.to_bits();
        word += 2;
    }
    if VARIANCE {
        let origin = if first { x } else { f64::from_bits(words[word]) };
        let difference = x - origin;
        words[word] = origin.to_bits();
        words[word + 1] = (f64::from_bits(words[word + 1]) + difference).to_bits();
        words[word + 2] = (f64::from_bits(words[word + 2]) + difference * difference).to_bits();
    }
}

fn integers(shape: Shape, values: &[i64], valid: &Valid<'_>, at: usize, targets: &[u32], cells: &mut Cells) {
    let (stride, words) = (cells.stride, cells.words.as_mut_slice());
    let (extremes, variance) = (shape.extremes_at(), shape.variance_at());
    let mut add = |cell: u32, x: i64| {
        let cell = &mut words[cell as usize * stride + at..];
        cell[0] += 1;
        if shape.sum {
            cell[shape.sum_at()] = cell[shape.sum_at()].wrapping_add(x as u64);
        }
        if shape.extremes {
            cell[extremes] = (cell[extremes] as i64).min(x) as u64;
            cell[extremes + 1] = (cell[extremes + 1] as i64).max(x) as u64;
        }
        if shape.variance {
            cell[variance] = cell[variance].wrapping_add(x.wrapping_mul(x) as u64);
        }
    };
    for (row, (&cell, &x)) in targets.iter().zip(values).enumerate() {
        if valid.get(row) {
            add(cell, x);
        }
    }
}

/// The words of accumulators, one behind the other, and the places they get.
pub(super) fn lay_out(accumulators: &mut [Accumulator]) -> Vec<u64> {
    let mut initial = Vec::new();
    for accumulator in accumulators {
        accumulator.at = HEADER + initial.len();
        initial.extend(accumulator.shape.initial());
    }
    initial
}
