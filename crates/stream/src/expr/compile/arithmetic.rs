//! Calls over numbers.

use super::super::numeric::{
    Arithmetic, Binary, BinaryOp, Unary, UnaryOp, round, signum, sqrt, truncate, wrap32,
};
use super::super::rows::{Returned, RowFunction};
use super::super::{Compiled, Node};
use super::types::{is_number, name, widest};
use super::{row_call, widen};
use crate::plan::Type;
use crate::vector::Scalar;

pub(super) fn operator(function: &str) -> Option<Arithmetic> {
    Some(match function {
        "+" => Arithmetic::Add,
        "-" => Arithmetic::Subtract,
        "*" => Arithmetic::Multiply,
        "/" => Arithmetic::Divide,
        "%" | "MOD" => Arithmetic::Remainder,
        _ => return None,
    })
}

pub(super) fn binary(function: &str, op: Arithmetic, a: Compiled, b: Compiled) -> Result<Compiled, String> {
    if !is_number(a.kind) || !is_number(b.kind) {
        return Err(format!("{function} takes numbers, not ({}, {})", name(a.kind), name(b.kind)));
    }
    let kind = widest(a.kind, b.kind);
    let op = match kind {
        Type::Double => BinaryOp::F64(op),
        Type::Int => BinaryOp::I32(op),
        _ => BinaryOp::I64(op),
    };
    let node = Node::Binary(Box::new(Binary { left: widen(a, kind), right: widen(b, kind), op }));
    Ok(Compiled { kind, node })
}

pub(super) fn double_pair(
    function: &str,
    a: Compiled,
    b: Compiled,
    f: fn(f64, f64) -> f64,
) -> Result<Compiled, String> {
    let (left, right) = (to_double(a, function)?, to_double(b, function)?);
    let node = Node::Binary(Box::new(Binary { left, right, op: BinaryOp::Function(f) }));
    Ok(Compiled { kind: Type::Double, node })
}

pub(super) fn double_function(function: &str) -> Option<fn(f64) -> f64> {
    Some(match function {
        "SQRT" => sqrt,
        "EXP" => f64::exp,
        "LN" => f64::ln,
        "LOG10" => f64::log10,
        "LOG2" => f64::log2,
        "SIN" => f64::sin,
        "COS" => f64::cos,
        "TAN" => f64::tan,
        "ASIN" => f64::asin,
        "ACOS" => f64::acos,
        "ATAN" => f64::atan,
        "DEGREES" => f64::to_degrees,
        "RADIANS" => f64::to_radians,
        _ => return None,
    })
}

/// A function whose result has the type of its argument.
pub(super) fn same_type(function: &str, arg: Compiled) -> Result<Compiled, String> {
    let kind = arg.kind;
    let op = match (function, kind) {
        ("NEGATE", Type::Double) => UnaryOp::F64(|x| -x),
        ("NEGATE", Type::Int) => UnaryOp::I64(|x| wrap32(-x)),
        ("NEGATE", Type::BigInt) => UnaryOp::I64(i64::wrapping_neg),
        ("ABS", Type::Double) => UnaryOp::F64(f64::abs),
        ("ABS", Type::Int) => UnaryOp::I64(|x| wrap32(x.abs())),
        ("ABS", Type::BigInt) => UnaryOp::I64(i64::wrapping_abs),
        ("SIGN", Type::Double) => UnaryOp::F64(signum),
        ("SIGN", Type::Int | Type::BigInt) => UnaryOp::I64(i64::signum),
        ("CEIL", Type::Double) => UnaryOp::F64(f64::ceil),
        ("FLOOR", Type::Double) => UnaryOp::F64(f64::floor),
        ("CEIL" | "FLOOR", Type::Int | Type::BigInt) => return Ok(arg),
        _ => return Err(format!("{function} takes a number, not {}", name(kind))),
    };
    Ok(Compiled { kind, node: Node::Unary(Box::new(Unary { arg, op })) })
}

/// ROUND and TRUNCATE, of checked arguments.
pub(super) fn rounding(function: &str, args: Vec<Compiled>) -> Compiled {
    let kind = args.first().map_or(Type::Double, |a| a.kind);
    let function: RowFunction = if function == "ROUND" { round_row } else { truncate_row };
    let arg = row_call(function, args, kind);
    if kind != Type::Int {
        return arg;
    }
    Compiled { kind, node: Node::Unary(Box::new(Unary { arg, op: UnaryOp::I64(wrap32) })) }
}

fn places(args: &[Scalar<'_>]) -> i32 {
    if let Some(Scalar::I64(p)) = args.get(1) { *p as i32 } else { 0 }
}

fn round_row(args: &[Scalar<'_>], _: &mut String) -> Returned {
    rounded(args, round)
}

fn truncate_row(args: &[Scalar<'_>], _: &mut String) -> Returned {
    rounded(args, truncate)
}

fn rounded(args: &[Scalar<'_>], f: fn(f64, i32) -> f64) -> Returned {
    match args.first() {
        Some(Scalar::F64(x)) => Returned::F64(f(*x, places(args))),
        Some(Scalar::I64(x)) if places(args) >= 0 => Returned::I64(*x),
        Some(Scalar::I64(x)) => {
            let Some(unit) = 10i64.checked_pow(places(args).unsigned_abs()) else { return Returned::I64(0) };
            let cut = x - x % unit;
            // `f(0.5, 0)` tells rounding from cutting.
            let up = f(0.5, 0) > 0.0 && (x % unit).unsigned_abs() >= unit.unsigned_abs() / 2;
            Returned::I64(if up { cut.wrapping_add(unit * x.signum()) } else { cut })
        }
        _ => Returned::Null,
    }
}

pub(super) fn to_double(arg: Compiled, function: &str) -> Result<Compiled, String> {
    if is_number(arg.kind) {
        Ok(widen(arg, Type::Double))
    } else {
        Err(format!("{function} takes a number, not {}", name(arg.kind)))
    }
}
