//! CAST and TRY_CAST. Numbers as in Java; text as Flink reads and writes it. What cannot be cast is NULL.

use super::numeric::wrap32;
use super::rows::{Returned, RowFunction};
use crate::java;
use crate::plan::Type;
use crate::vector::Scalar;

/// The function that casts between two different types; `None` if there is no such cast.
pub(super) fn cast(from: Type, to: Type) -> Option<RowFunction> {
    use Type::{BigInt, Boolean, Double, Int, Text, Timestamp};
    Some(match (from, to) {
        (Double, Int) => |args, _| f64_arg(args, |x| Returned::I64(i64::from(x as i32))),
        (Double, BigInt) => |args, _| f64_arg(args, |x| Returned::I64(x as i64)),
        (BigInt, Int) => |args, _| i64_arg(args, |x| Returned::I64(wrap32(x))),
        (Int, BigInt) => |args, _| i64_arg(args, Returned::I64),
        (Int | BigInt, Double) => |args, _| i64_arg(args, |x| Returned::F64(x as f64)),
        (Double, Boolean) => |args, _| f64_arg(args, |x| Returned::Bool(x != 0.0)),
        (Int | BigInt, Boolean) => |args, _| i64_arg(args, |x| Returned::Bool(x != 0)),
        (Boolean, Double) => |args, _| bool_arg(args, |b| Returned::F64(f64::from(u8::from(b)))),
        (Boolean, Int | BigInt) => |args, _| bool_arg(args, |b| Returned::I64(i64::from(b))),
        (Double, Text) => text_of,
        (Int | BigInt, Text) => text_of,
        (Boolean, Text) => text_of,
        (Timestamp, Text) => |args, out| {
            i64_arg(args, |us| {
                java::push_timestamp(out, us);
                Returned::Text
            })
        },
        (Text, Double) => |args, _| text_arg(args, |t| java::parse_double(t).map(Returned::F64)),
        (Text, Int) => |args, _| {
            text_arg(args, |t| {
                i32::try_from(java::parse_integer(t)?).ok().map(|v| Returned::I64(i64::from(v)))
            })
        },
        (Text, BigInt) => |args, _| text_arg(args, |t| java::parse_integer(t).map(Returned::I64)),
        (Text, Boolean) => |args, _| text_arg(args, |t| java::parse_boolean(t).map(Returned::Bool)),
        (Text, Timestamp) => |args, _| text_arg(args, |t| java::parse_timestamp(t).map(Returned::I64)),
        _ => return None,
    })
}

fn text_of(args: &[Scalar<'_>], out: &mut String) -> Returned {
    match args.first() {
        Some(Scalar::F64(v)) => java::push_double(out, *v),
        Some(Scalar::I64(v)) => out.push_str(&v.to_string()),
        Some(Scalar::Bool(b)) => out.push_str(if *b { "TRUE" } else { "FALSE" }),
        Some(Scalar::Text(t)) => out.push_str(t),
        _ => return Returned::Null,
    }
    Returned::Text
}

fn f64_arg(args: &[Scalar<'_>], f: impl FnOnce(f64) -> Returned) -> Returned {
    if let Some(Scalar::F64(x)) = args.first() { f(*x) } else { Returned::Null }
}

fn i64_arg(args: &[Scalar<'_>], f: impl FnOnce(i64) -> Returned) -> Returned {
    if let Some(Scalar::I64(x)) = args.first() { f(*x) } else { Returned::Null }
}

fn bool_arg(args: &[Scalar<'_>], f: impl FnOnce(bool) -> Returned) -> Returned {
    if let Some(Scalar::Bool(x)) = args.first() { f(*x) } else { Returned::Null }
}

fn text_arg(args: &[Scalar<'_>], f: impl FnOnce(&str) -> Option<Returned>) -> Returned {
    if let Some(Scalar::Text(t)) = args.first() { f(t).unwrap_or(Returned::Null) } else { Returned::Null }
}
