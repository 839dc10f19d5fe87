//! Comparisons of columns, and IN over constants.

use rustc_hash::FxHashSet;
use std::sync::Arc;

use super::Compiled;
use crate::vector::{Frame, TextVals, Valid, Vals, Vector, logic};

/// Which comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Two operands of one type.
#[derive(Debug, Clone)]
pub(super) struct Compare {
    pub(super) left: Compiled,
    pub(super) right: Compiled,
    pub(super) comparison: Comparison,
    /// TIMESTAMP(3): SQL sees milliseconds.
    pub(super) milliseconds: bool,
}

impl Compare {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        let (values, valid) = match (self.left.eval(frame), self.right.eval(frame)) {
            (Vector::F64(a, n), Vector::F64(b, m)) => (self.doubles(&a, &b), n.and(&m)),
            (Vector::I64(a, n), Vector::I64(b, m)) => {
                let valid = n.and(&m);
                if self.milliseconds {
                    let ms = |us: i64| us.div_euclid(1000);
                    (self.ordered(&a.map(ms), &b.map(ms)), valid)
                } else {
                    (self.ordered(&a, &b), valid)
                }
            }
            (Vector::Code(a, n), Vector::Code(b, m)) => (self.ordered(&a, &b), n.and(&m)),
            (Vector::Bool(a), Vector::Bool(b)) => {
                let known = a.zip(&b, |a, b| u8::from(a != logic::NULL && b != logic::NULL));
                let valid = match known {
                    Vals::Const(1) => Valid::All,
                    Vals::Const(_) => Valid::Nothing,
                    Vals::Slice(s) => Valid::Mask(s.to_vec().into()),
                    Vals::Owned(v) => Valid::Mask(v.into()),
                };
                (self.ordered(&a, &b), valid)
            }
            (Vector::Text(a, n), Vector::Text(b, m)) => {
                let valid = n.and(&m);
                (self.texts(&a, &b, frame.len()), valid)
            }
            _ => (Vals::Const(logic::NULL), Valid::Nothing),
        };
        Vector::Bool(with_nulls(values, &valid))
    }

    fn doubles(&self, a: &Vals<'_, f64>, b: &Vals<'_, f64>) -> Vals<'static, u8> {
        match self.comparison {
            Comparison::Equal => a.zip(b, |a, b| truth(a == b)),
            Comparison::NotEqual => a.zip(b, |a, b| truth(a != b)),
            Comparison::Less => a.zip(b, |a, b| truth(a < b)),
            Comparison::LessOrEqual => a.zip(b, |a, b| truth(a <= b)),
            Comparison::Greater => a.zip(b, |a, b| truth(a > b)),
            Comparison::GreaterOrEqual => a.zip(b, |a, b| truth(a >= b)),
        }
    }

    fn ordered<T: Copy + Ord>(&self, a: &Vals<'_, T>, b: &Vals<'_, T>) -> Vals<'static, u8> {
        match self.comparison {
            Comparison::Equal => a.zip(b, |a, b| truth(a == b)),
            Comparison::NotEqual => a.zip(b, |a, b| truth(a != b)),
            Comparison::Less => a.zip(b, |a, b| truth(a < b)),
            Comparison::LessOrEqual => a.zip(b, |a, b| truth(a <= b)),
            Comparison::Greater => a.zip(b, |a, b| truth(a > b)),
            Comparison::GreaterOrEqual => a.zip(b, |a, b| truth(a >= b)),
        }
    }

    fn texts(&self, a: &TextVals<'_>, b: &TextVals<'_>, rows: usize) -> Vals<'static, u8> {
        // The order of UTF-8 bytes is the order of code points.
        let holds = |a: &str, b: &str| {
            truth(match self.comparison {
                Comparison::Equal => a == b,
                Comparison::NotEqual => a != b,
                Comparison::Less => a < b,
                Comparison::LessOrEqual => a <= b,
                Comparison::Greater => a > b,
                Comparison::GreaterOrEqual => a >= b,
            })
        };
        match (a, b) {
            (TextVals::Const(a), TextVals::Const(b)) => Vals::Const(holds(a, b)),
            _ => Vals::Owned((0..rows).map(|row| holds(a.get(row), b.get(row))).collect()),
        }
    }
}

#[inline]
pub(super) fn truth(holds: bool) -> u8 {
    u8::from(holds) << 1
}

/// Truth values, NULL where an operand was.
pub(super) fn with_nulls<'a>(values: Vals<'a, u8>, valid: &Valid<'_>) -> Vals<'a, u8> {
    match valid {
        Valid::All => values,
        Valid::Nothing => Vals::Const(logic::NULL),
        Valid::Mask(mask) => {
            let pick = |value: u8, valid: u8| if valid == 0 { logic::NULL } else { value };
            values.zip(&Vals::Slice(mask), pick)
        }
    }
}

/// `x IN (constants)`.
#[derive(Debug, Clone)]
pub(super) struct InSet {
    pub(super) arg: Compiled,
    pub(super) members: Members,
    /// A NULL in the list makes "not found" NULL.
    pub(super) has_null: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Members {
    /// Bits, zero without its sign; nan is never found.
    F64(FxHashSet<u64>),
    I64(FxHashSet<i64>),
    Text(FxHashSet<Arc<str>>),
}

/// The bits by which a double is looked up.
pub(super) fn double_key(value: f64) -> u64 {
    if value == 0.0 { 0 } else { value.to_bits() }
}

impl InSet {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        let absent = if self.has_null { logic::NULL } else { logic::FALSE };
        let found = |found: bool| if found { logic::TRUE } else { absent };
        let (values, valid) = match (self.arg.eval(frame), &self.members) {
            (Vector::F64(v, n), Members::F64(set)) => (v.map(|v| found(set.contains(&double_key(v)))), n),
            (Vector::I64(v, n), Members::I64(set)) => (v.map(|v| found(set.contains(&v))), n),
            (Vector::Text(t, n), Members::Text(set)) => {
                let values = (0..frame.len()).map(|row| found(set.contains(t.get(row)))).collect();
                (Vals::Owned(values), n)
            }
            _ => (Vals::Const(logic::NULL), Valid::Nothing),
        };
        Vector::Bool(with_nulls(values, &valid))
    }
}
