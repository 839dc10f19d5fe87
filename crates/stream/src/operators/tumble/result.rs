//! What comes of a closed window: the value of each aggregate.

use super::accumulate::Shape;
use super::cells::{Cells, ROWS};
use crate::plan::{Aggregate, Type};
use crate::vector::{Valid, Vals, Vector};

/// One aggregate of the output.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) function: Aggregate,
    /// The type of the argument; of the result too, but for COUNT.
    pub(super) kind: Type,
    /// Where its accumulator is; `None` for COUNT(*) without FILTER, which the cell's rows are.
    pub(super) at: Option<usize>,
    pub(super) shape: Shape,
}

impl Output {
    /// The aggregate's values for closed windows.
    pub(super) fn column(&self, cells: &Cells, closed: &[u32]) -> Vector<'static> {
        if self.function == Aggregate::Count {
            let at = self.at.unwrap_or(ROWS);
            return Vector::I64(
                Vals::Owned(closed.iter().map(|&c| cells.word(c, at) as i64).collect()),
                Valid::All,
            );
        }
        if self.kind == Type::Double {
            let (values, mask) = self.collect(cells, closed, 0.0, |s| s.double());
            Vector::F64(values, mask)
        } else {
            let (values, mask) = self.collect(cells, closed, 0, |s| s.integer());
            Vector::I64(values, mask)
        }
    }

    fn collect<T: Copy>(
        &self,
        cells: &Cells,
        closed: &[u32],
        null: T,
        value: impl Fn(State<'_>) -> Option<T>,
    ) -> (Vals<'static, T>, Valid<'static>) {
        let at = self.at.unwrap_or(ROWS);
        let values = closed.iter().map(|&cell| value(State { output: self, cells, cell, at }));
        let values: Vec<Option<T>> = values.collect();
        let valid = if values.iter().all(Option::is_some) {
            Valid::All
        } else {
            Valid::Mask(values.iter().map(|v| u8::from(v.is_some())).collect())
        };
        (Vals::Owned(values.into_iter().map(|v| v.unwrap_or(null)).collect()), valid)
    }
}

#[derive(Clone, Copy)]
struct State<'s> {
    output: &'s Output,
    cells: &'s Cells,
    cell: u32,
    at: usize,
}

impl State<'_> {
    fn word(self, word: usize) -> u64 {
        self.cells.word(self.cell, self.at + word)
    }

    /// What a variance is divided by; `None` if there are too few values.
    fn divisor(self, count: u64) -> Option<u64> {
        match self.output.function {
            Aggregate::StddevPop | Aggregate::VarPop => Some(count),
            _ => count.checked_sub(1).filter(|&d| d > 0),
        }
    }

    fn is_stddev(self) -> bool {
        matches!(self.output.function, Aggregate::StddevPop | Aggregate::StddevSamp)
    }

    fn double(self) -> Option<f64> {
        let (shape, count) = (self.output.shape, self.word(0));
        if count == 0 {
            return None;
        }
        let f64_at = |word| f64::from_bits(self.word(word));
        Some(match self.output.function {
            Aggregate::Count => count as f64,
            Aggregate::Sum => f64_at(shape.sum_at()),
            Aggregate::Avg => f64_at(shape.sum_at()) / count as f64,
            Aggregate::Min => f64_at(shape.extremes_at()),
            Aggregate::Max => f64_at(shape.extremes_at() + 1),
            _ => {
                let divisor = self.divisor(count)? as f64;
                let at = shape.variance_at();
                let (sum, squares) = (f64_at(at + 1), f64_at(at + 2));
                let spread = squares - sum * sum / count as f64;
                // Rounding can leave a little less than nothing; nan stays.
                let variance = if spread < 0.0 { 0.0 } else { spread } / divisor;
                if self.is_stddev() { variance.sqrt() } else { variance }
            }
        })
    }

    /// Integers, as Flink computes them: AVG sums in 64 bits, the rest in the argument's type, divisions truncate.
    fn integer(self) -> Option<i64> {
        let (shape, count) = (self.output.shape, self.word(0));
        if count == 0 {
            return None;
        }
        let i64_at = |word| self.word(word) as i64;
        let wrap = |value: i64| if self.output.kind == Type::Int { i64::from(value as i32) } else { value };
        Some(match self.output.function {
            Aggregate::Count => count as i64,
            Aggregate::Sum => wrap(i64_at(shape.sum_at())),
            Aggregate::Avg => wrap(i64_at(shape.sum_at()).wrapping_div(count as i64)),
            Aggregate::Min => i64_at(shape.extremes_at()),
            Aggregate::Max => i64_at(shape.extremes_at() + 1),
            _ => {
                let divisor = self.divisor(count)? as i64;
                let (sum, squares) = (wrap(i64_at(shape.sum_at())), wrap(i64_at(shape.variance_at())));
                let spread = squares.wrapping_sub(wrap(sum.wrapping_mul(sum)).wrapping_div(count as i64));
                let variance = spread / divisor;
                wrap(if self.is_stddev() { (variance as f64).powf(0.5) as i64 } else { variance })
            }
        })
    }
}
