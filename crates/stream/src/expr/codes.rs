//! Predicates over coded strings (device, metric, quality) without touching a string per row.

use std::cell::RefCell;
use std::sync::Arc;

use mohhos_decode::TextData;

use super::compare::{truth, with_nulls};
use super::{Compiled, truths};
use crate::dict::Dict;
use crate::vector::{Frame, TextVals, Valid, Vals, Vector, logic};

/// `column = 'literal'` and `<>`. The literal is looked up once per batch, so a name that becomes known counts from
/// then on, and until then nothing equals it.
#[derive(Debug, Clone)]
pub(super) struct CodeEquals {
    pub(super) arg: Compiled,
    pub(super) dict: Dict,
    pub(super) literal: Arc<str>,
    pub(super) negated: bool,
}

impl CodeEquals {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        let Vector::Code(codes, valid) = self.arg.eval(frame) else {
            return Vector::Bool(Vals::Const(logic::NULL));
        };
        let values = match (self.dict.code(&self.literal), self.negated) {
            (None, negated) => Vals::Const(truth(negated)),
            (Some(code), false) => codes.map(|c| truth(c == code)),
            (Some(code), true) => codes.map(|c| truth(c != code)),
        };
        Vector::Bool(with_nulls(values, &valid))
    }
}

/// Any BOOLEAN expression whose only column is a coded one: evaluated once per code, then remembered.
#[derive(Debug, Clone)]
pub(super) struct CodeMemo {
    pub(super) arg: Compiled,
    pub(super) dict: Dict,
    /// Over a frame with this column alone.
    pub(super) predicate: Compiled,
    /// By code: 0 not known yet, else the truth value plus one. Code 0 stands for NULL.
    pub(super) known: RefCell<Vec<u8>>,
}

impl CodeMemo {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        let Vector::Code(codes, valid) = self.arg.eval(frame) else {
            return Vector::Bool(Vals::Const(logic::NULL));
        };
        let mut known = self.known.borrow_mut();
        let mut lookup = |code: u32| match known.get(code as usize) {
            Some(&value) if value != 0 => value - 1,
            _ => self.learn(code, &mut known),
        };
        if let Valid::All = valid {
            return Vector::Bool(match codes {
                Vals::Const(code) => Vals::Const(lookup(code)),
                codes => Vals::Owned(codes.slice().iter().map(|&code| lookup(code)).collect()),
            });
        }
        let rows = 0..frame.len();
        let values = rows.map(|row| lookup(if valid.get(row) { codes.get(row) } else { 0 })).collect();
        Vector::Bool(Vals::Owned(values))
    }

    #[cold]
    fn learn(&self, code: u32, known: &mut Vec<u8>) -> u8 {
        let valid = if code == 0 { Valid::Nothing } else { Valid::All };
        let row = Frame {
            rows: 1,
            columns: vec![Vector::Code(Vals::Const(code), valid)],
            selection: None,
            before: None,
        };
        let value = truths(self.predicate.eval(&row)).get(0);
        // A code is persisted before its name reaches the dictionary here: do not remember what it is not yet.
        if code == 0 || self.dict.text(code).is_some() {
            if known.len() <= code as usize {
                known.resize(code as usize + 1, 0);
            }
            known[code as usize] = value + 1;
        }
        value
    }
}

/// A coded column as strings.
#[derive(Debug, Clone)]
pub(super) struct Decode {
    pub(super) arg: Compiled,
    pub(super) dict: Dict,
}

impl Decode {
    pub(super) fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        let Vector::Code(codes, valid) = self.arg.eval(frame) else {
            return Vector::Text(TextVals::Const(Arc::from("")), Valid::Nothing);
        };
        let (mut last, mut text) = (0, None);
        if let Vals::Const(code) = codes {
            return match self.dict.text(code) {
                Some(text) => Vector::Text(TextVals::Const(text), valid),
                None => Vector::Text(TextVals::Const(Arc::from("")), Valid::Nothing),
            };
        }
        let rows = frame.len();
        let mut out = TextData::default();
        let mut mask = Vec::with_capacity(rows);
        for row in 0..rows {
            let code = if valid.get(row) { codes.get(row) } else { 0 };
            if code != last {
                (last, text) = (code, self.dict.text(code));
            }
            out.push(text.as_deref().unwrap_or(""));
            mask.push(u8::from(text.is_some()));
        }
        Vector::Text(TextVals::Owned(out), Valid::Mask(mask.into()))
    }
}
