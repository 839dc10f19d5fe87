//! Expressions: compiled and typed once, then evaluated over whole columns.

mod cast;
mod codes;
mod compare;
mod compile;
mod functions;
mod numeric;
mod rows;
mod select;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use compile::{Columns, compile, name};

use crate::plan::Type;
use crate::vector::{Frame, TextVals, Valid, Vals, Vector, logic};
use codes::{CodeEquals, CodeMemo, Decode};
use compare::{Compare, InSet};
use numeric::{Binary, Unary};
use rows::RowCall;
use select::{Case, Coalesce, NullIf};

/// An expression with its type, ready to be evaluated.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The type of its values.
    pub kind: Type,
    node: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Column(usize),
    Constant(Value),
    Unary(Box<Unary>),
    Binary(Box<Binary>),
    Compare(Box<Compare>),
    InSet(Box<InSet>),
    And(Vec<Compiled>),
    Or(Vec<Compiled>),
    /// BOOLEAN to BOOLEAN; what becomes of FALSE, NULL and TRUE.
    Logic(Box<Compiled>, [u8; 3]),
    IsNull(Box<Compiled>, bool),
    /// INT or BIGINT to DOUBLE.
    ToDouble(Box<Compiled>),
    CodeEquals(Box<CodeEquals>),
    CodeMemo(Box<CodeMemo>),
    Decode(Box<Decode>),
    Case(Box<Case>),
    Coalesce(Box<Coalesce>),
    NullIf(Box<NullIf>),
    Rows(Box<RowCall>),
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    F64(f64),
    I64(i64),
    Bool(bool),
    Text(Arc<str>),
}

impl Compiled {
    /// The values of the rows that are still in the frame, one after the other.
    pub fn eval<'f>(&'f self, frame: &'f Frame<'_>) -> Vector<'f> {
        match &self.node {
            Node::Column(index) => frame.column(*index),
            Node::Constant(value) => value.vector(self.kind),
            Node::Unary(unary) => unary.eval(frame),
            Node::Binary(binary) => binary.eval(frame),
            Node::Compare(compare) => compare.eval(frame),
            Node::InSet(set) => set.eval(frame),
            Node::And(parts) => fold(parts, frame, |a, b| a.min(b)),
            Node::Or(parts) => fold(parts, frame, |a, b| a.max(b)),
            Node::Logic(part, table) => {
                Vector::Bool(truths(part.eval(frame)).map(|t| table[usize::from(t.min(2))]))
            }
            Node::IsNull(part, expected) => is_null(&part.eval(frame), *expected, frame.len()),
            Node::ToDouble(part) => match part.eval(frame) {
                Vector::I64(v, n) => Vector::F64(v.map(|v| v as f64), n),
                other => other,
            },
            Node::CodeEquals(equals) => equals.eval(frame),
            Node::CodeMemo(memo) => memo.eval(frame),
            Node::Decode(decode) => decode.eval(frame),
            Node::Case(case) => case.eval(frame),
            Node::Coalesce(coalesce) => coalesce.eval(frame),
            Node::NullIf(null_if) => null_if.eval(frame),
            Node::Rows(call) => call.eval(frame),
        }
    }

    /// The index of the input's column that this only passes on.
    pub fn as_column(&self) -> Option<usize> {
        match self.node {
            Node::Column(index) => Some(index),
            _ => None,
        }
    }
}

impl Value {
    fn vector(&self, kind: Type) -> Vector<'static> {
        let valid = if *self == Value::Null { Valid::Nothing } else { Valid::All };
        match (self, kind) {
            (Value::Bool(b), _) => Vector::Bool(Vals::Const(if *b { logic::TRUE } else { logic::FALSE })),
            (Value::F64(v), _) => Vector::F64(Vals::Const(*v), valid),
            (Value::I64(v), _) => Vector::I64(Vals::Const(*v), valid),
            (Value::Text(t), _) => Vector::Text(TextVals::Const(t.clone()), valid),
            (Value::Null, Type::Boolean) => Vector::Bool(Vals::Const(logic::NULL)),
            (Value::Null, Type::Double) => Vector::F64(Vals::Const(0.0), valid),
            (Value::Null, Type::Int | Type::BigInt | Type::Timestamp) => Vector::I64(Vals::Const(0), valid),
            (Value::Null, Type::Text) => Vector::Text(TextVals::Const(Arc::from("")), valid),
            (Value::Null, Type::Device | Type::Metric | Type::Quality) => Vector::Code(Vals::Const(0), valid),
        }
    }
}

/// The truth values of a BOOLEAN; compilation has seen to its type.
fn truths(vector: Vector<'_>) -> Vals<'_, u8> {
    match vector {
        Vector::Bool(v) => v,
        _ => Vals::Const(logic::NULL),
    }
}

fn fold<'f>(parts: &'f [Compiled], frame: &'f Frame<'_>, f: impl Fn(u8, u8) -> u8 + Copy) -> Vector<'f> {
    let mut parts = parts.iter().map(|part| truths(part.eval(frame)));
    let first = parts.next().unwrap_or(Vals::Const(logic::NULL));
    let folded = parts.fold(first, |all, part| match (all, part) {
        (Vals::Owned(mut all), Vals::Const(c)) => {
            all.iter_mut().for_each(|a| *a = f(*a, c));
            Vals::Owned(all)
        }
        (Vals::Owned(mut all), part) => {
            all.iter_mut().zip(part.slice()).for_each(|(a, &b)| *a = f(*a, b));
            Vals::Owned(all)
        }
        (all, part) => all.zip(&part, f),
    });
    Vector::Bool(folded)
}

fn is_null(vector: &Vector<'_>, expected: bool, rows: usize) -> Vector<'static> {
    let truth = |null: bool| if null == expected { logic::TRUE } else { logic::FALSE };
    match vector {
        Vector::Bool(v) => Vector::Bool(v.map(|t| truth(t == logic::NULL))),
        Vector::F64(_, n) | Vector::I64(_, n) | Vector::Code(_, n) | Vector::Text(_, n) => {
            Vector::Bool(match n {
                Valid::All => Vals::Const(truth(false)),
                Valid::Nothing => Vals::Const(truth(true)),
                Valid::Mask(m) => Vals::Owned(m[..rows].iter().map(|&valid| truth(valid == 0)).collect()),
            })
        }
    }
}
