//! Functions evaluated row by row: those over strings and times, which gain nothing from whole columns.

use mohhos_decode::TextData;

use super::Compiled;
use crate::plan::Type;
use crate::vector::{Frame, Scalar, TextVals, Valid, Vals, Vector, logic};

/// What a row function returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Returned {
    Null,
    F64(f64),
    I64(i64),
    Bool(bool),
    /// The text was appended to the buffer, which is empty at the call.
    Text,
}

/// A function of one row. Where it appends to the buffer and returns something else, the buffer is ignored.
pub(super) type RowFunction = fn(&[Scalar<'_>], &mut String) -> Returned;

/// A call of a row function.
#[derive(Debug, Clone)]
pub(super) struct RowCall {
    pub(super) args: Vec<Compiled>,
    pub(super) function: RowFunction,
    /// The type of what it returns.
    pub(super) kind: Type,
    /// NULL if any argument is, without a call.
    pub(super) strict: bool,
}

impl RowCall {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        let rows = frame.len();
        let columns: Vec<Vector<'_>> = self.args.iter().map(|a| a.eval(frame)).collect();
        let mut args: Vec<Scalar<'_>> = Vec::with_capacity(columns.len());
        let mut buffer = String::new();
        let mut out = Builder::new(self.kind, rows);
        for row in 0..rows {
            args.clear();
            args.extend(columns.iter().map(|c| c.scalar(row)));
            buffer.clear();
            let returned = if self.strict && args.contains(&Scalar::Null) {
                Returned::Null
            } else {
                (self.function)(&args, &mut buffer)
            };
            out.push(returned, &buffer);
        }
        out.finish()
    }
}

enum Values {
    F64(Vec<f64>),
    I64(Vec<i64>),
    Bool(Vec<u8>),
    Text(TextData),
}

struct Builder {
    values: Values,
    mask: Vec<u8>,
}

impl Builder {
    fn new(kind: Type, rows: usize) -> Self {
        let values = match kind {
            Type::Double => Values::F64(Vec::with_capacity(rows)),
            Type::Int | Type::BigInt | Type::Timestamp => Values::I64(Vec::with_capacity(rows)),
            Type::Boolean => Values::Bool(Vec::with_capacity(rows)),
            Type::Text | Type::Device | Type::Metric | Type::Quality => Values::Text(TextData::default()),
        };
        Self { values, mask: Vec::with_capacity(rows) }
    }

    fn push(&mut self, returned: Returned, text: &str) {
        let valid = match (&mut self.values, returned) {
            (Values::F64(v), Returned::F64(x)) => {
                v.push(x);
                true
            }
            (Values::I64(v), Returned::I64(x)) => {
                v.push(x);
                true
            }
            (Values::Bool(v), Returned::Bool(b)) => {
                v.push(if b { logic::TRUE } else { logic::FALSE });
                true
            }
            (Values::Text(t), Returned::Text) => {
                t.push(text);
                true
            }
            (Values::F64(v), _) => {
                v.push(0.0);
                false
            }
            (Values::I64(v), _) => {
                v.push(0);
                false
            }
            (Values::Bool(v), _) => {
                v.push(logic::NULL);
                false
            }
            (Values::Text(t), _) => {
                t.push("");
                false
            }
        };
        self.mask.push(u8::from(valid));
    }

    fn finish(self) -> Vector<'static> {
        let valid =
            if self.mask.iter().all(|&m| m == 1) { Valid::All } else { Valid::Mask(self.mask.into()) };
        match self.values {
            Values::F64(v) => Vector::F64(Vals::Owned(v), valid),
            Values::I64(v) => Vector::I64(Vals::Owned(v), valid),
            Values::Bool(v) => Vector::Bool(Vals::Owned(v)),
            Values::Text(t) => Vector::Text(TextVals::Owned(t), valid),
        }
    }
}
