//! CASE, COALESCE and NULLIF: which of several columns a row's value comes from.

use std::sync::Arc;

use mohhos_decode::TextData;

use super::compare::Compare;
use super::{Compiled, truths};
use crate::vector::{Frame, TextVals, Valid, Vals, Vector, logic};

/// The first branch whose condition is TRUE; the last result is that of ELSE.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) conditions: Vec<Compiled>,
    /// One more than conditions, all of one type.
    pub(super) results: Vec<Compiled>,
}

impl Case {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        let conditions: Vec<Vals<'_, u8>> = self.conditions.iter().map(|c| truths(c.eval(frame))).collect();
        let results: Vec<Vector<'_>> = self.results.iter().map(|r| r.eval(frame)).collect();
        let choose = |row: usize| {
            conditions.iter().position(|c| c.get(row) == logic::TRUE).unwrap_or(conditions.len())
        };
        merge(&results, frame.len(), choose)
    }
}

/// The first value that is not NULL.
#[derive(Debug, Clone)]
pub(super) struct Coalesce {
    /// At least one, all of one type.
    pub(super) args: Vec<Compiled>,
}

impl Coalesce {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        let mut args: Vec<Vector<'_>> = self.args.iter().map(|a| a.eval(frame)).collect();
        if let Some(Vector::F64(_, Valid::All) | Vector::I64(_, Valid::All) | Vector::Text(_, Valid::All)) =
            args.first()
        {
            return args.swap_remove(0);
        }
        let choose = |row: usize| args.iter().position(|a| a.is_valid(row)).unwrap_or(0);
        merge(&args, frame.len(), choose)
    }
}

/// NULL where both are equal, else the first.
#[derive(Debug, Clone)]
pub(super) struct NullIf {
    pub(super) value: Compiled,
    pub(super) equal: Compare,
}

impl NullIf {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        let equal = truths(self.equal.eval(frame));
        let value = self.value.eval(frame);
        if let Vector::Bool(v) = &value {
            return Vector::Bool(v.zip(&equal, |v, e| if e == logic::TRUE { logic::NULL } else { v }));
        }
        let keep = match equal {
            Vals::Const(logic::TRUE) => Valid::Nothing,
            Vals::Const(_) => return value,
            per_row => Valid::Mask(per_row.slice().iter().map(|&e| u8::from(e != logic::TRUE)).collect()),
        };
        match value {
            Vector::F64(v, n) => Vector::F64(v, n.and(&keep)),
            Vector::I64(v, n) => Vector::I64(v, n.and(&keep)),
            Vector::Code(v, n) => Vector::Code(v, n.and(&keep)),
            Vector::Text(v, n) => Vector::Text(v, n.and(&keep)),
            Vector::Bool(v) => Vector::Bool(v),
        }
    }
}

/// Row by row the value of the chosen source. The sources have one type, which compilation has seen to.
fn merge<'a>(sources: &[Vector<'_>], rows: usize, choose: impl Fn(usize) -> usize) -> Vector<'a> {
    let choices: Vec<usize> = (0..rows).map(choose).collect();
    let mask = || -> Vec<u8> {
        choices.iter().enumerate().map(|(row, &c)| u8::from(sources[c].is_valid(row))).collect()
    };
    let picked = || choices.iter().enumerate();
    match sources.first() {
        Some(Vector::F64(..)) => {
            let pick = |(row, &c): (usize, &usize)| match &sources[c] {
                Vector::F64(v, _) => v.get(row),
                _ => f64::NAN,
            };
            Vector::F64(Vals::Owned(picked().map(pick).collect()), Valid::Mask(mask().into()))
        }
        Some(Vector::I64(..)) => {
            let pick = |(row, &c): (usize, &usize)| match &sources[c] {
                Vector::I64(v, _) => v.get(row),
                _ => 0,
            };
            Vector::I64(Vals::Owned(picked().map(pick).collect()), Valid::Mask(mask().into()))
        }
        Some(Vector::Code(..)) => {
            let pick = |(row, &c): (usize, &usize)| match &sources[c] {
                Vector::Code(v, n) if n.get(row) => v.get(row),
                _ => 0,
            };
            Vector::Code(Vals::Owned(picked().map(pick).collect()), Valid::Mask(mask().into()))
        }
        Some(Vector::Bool(_)) => {
            let pick = |(row, &c): (usize, &usize)| match &sources[c] {
                Vector::Bool(v) => v.get(row),
                _ => logic::NULL,
            };
            Vector::Bool(Vals::Owned(picked().map(pick).collect()))
        }
        Some(Vector::Text(..)) => {
            let mut out = TextData::default();
            for (row, &c) in picked() {
                match &sources[c] {
                    Vector::Text(t, n) if n.get(row) => out.push(t.get(row)),
                    _ => out.push(""),
                }
            }
            Vector::Text(TextVals::Owned(out), Valid::Mask(mask().into()))
        }
        None => Vector::Text(TextVals::Const(Arc::from("")), Valid::Nothing),
    }
}
