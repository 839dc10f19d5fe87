//! Types: how they are written and which goes with which.

use super::super::Compiled;
use crate::plan::Type;

/// How a type is written.
pub fn name(kind: Type) -> &'static str {
    match kind {
        Type::Double => "DOUBLE",
        Type::Int => "INT",
        Type::BigInt => "BIGINT",
        Type::Boolean => "BOOLEAN",
        Type::Text => "STRING",
        Type::Timestamp => "TIMESTAMP(3)",
        Type::Device => "DEVICE",
        Type::Metric => "METRIC",
        Type::Quality => "QUALITY",
    }
}

pub(super) fn types(args: &[Compiled]) -> String {
    args.iter().map(|a| name(a.kind)).collect::<Vec<_>>().join(", ")
}

pub(super) fn is_number(kind: Type) -> bool {
    matches!(kind, Type::Double | Type::Int | Type::BigInt)
}

pub(super) fn is_coded(kind: Type) -> bool {
    matches!(kind, Type::Device | Type::Metric | Type::Quality)
}

pub(super) fn is_text(kind: Type) -> bool {
    kind == Type::Text || is_coded(kind)
}

pub(super) fn widest(a: Type, b: Type) -> Type {
    let rank = |kind| match kind {
        Type::Double => 2,
        Type::BigInt => 1,
        _ => 0,
    };
    if rank(a) >= rank(b) { a } else { b }
}
