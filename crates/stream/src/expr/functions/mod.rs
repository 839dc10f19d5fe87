//! The row functions by name: what they take and what they return.

pub(super) mod extreme;
mod text;
mod time;

use super::rows::{Returned, RowFunction};
use crate::plan::Type;
use crate::vector::Scalar;

/// A row function and its signature.
pub(super) struct Signature {
    pub(super) name: &'static str,
    /// The types of the arguments; all of them, or the first `required`.
    pub(super) args: &'static [Type],
    pub(super) required: usize,
    /// Further arguments of the last type are taken.
    pub(super) variadic: bool,
    pub(super) returns: Type,
    pub(super) strict: bool,
    pub(super) function: RowFunction,
}

const fn row(name: &'static str, args: &'static [Type], returns: Type, function: RowFunction) -> Signature {
    Signature { name, args, required: args.len(), variadic: false, returns, strict: true, function }
}

const fn optional(required: usize, signature: Signature) -> Signature {
    Signature { required, ..signature }
}

/// The signature of a row function.
pub(super) fn find(name: &str) -> Option<&'static Signature> {
    TABLE.iter().find(|s| s.name == name)
}

const S: Type = Type::Text;
const I: Type = Type::Int;
const L: Type = Type::BigInt;
const B: Type = Type::Boolean;
const T: Type = Type::Timestamp;

static TABLE: &[Signature] = &[
    row("UPPER", &[S], S, text::upper),
    row("LOWER", &[S], S, text::lower),
    row("TRIM", &[S], S, text::trim),
    row("LTRIM", &[S], S, text::ltrim),
    row("RTRIM", &[S], S, text::rtrim),
    row("TRIM BOTH", &[S, S], S, text::trim_both),
    row("TRIM LEADING", &[S, S], S, text::trim_leading),
    row("TRIM TRAILING", &[S, S], S, text::trim_trailing),
    Signature { variadic: true, ..row("CONCAT", &[S, S], S, text::concat) },
    Signature { variadic: true, ..row("||", &[S, S], S, text::concat) },
    Signature { variadic: true, strict: false, ..row("CONCAT_WS", &[S, S], S, text::concat_ws) },
    optional(2, row("SUBSTRING", &[S, I, I], S, text::substring)),
    row("LEFT", &[S, I], S, text::left),
    row("RIGHT", &[S, I], S, text::right),
    row("CHAR_LENGTH", &[S], I, text::char_length),
    row("POSITION", &[S, S], I, text::position),
    row("REPLACE", &[S, S, S], S, text::replace),
    row("REVERSE", &[S], S, text::reverse),
    row("REPEAT", &[S, I], S, text::repeat),
    row("LPAD", &[S, I, S], S, text::lpad),
    row("RPAD", &[S, I, S], S, text::rpad),
    row("STARTSWITH", &[S, S], B, text::starts_with),
    row("ENDSWITH", &[S, S], B, text::ends_with),
    optional(2, row("LIKE", &[S, S, S], B, text::like)),
    row("JSON_VALUE", &[S, S], S, text::json_value),
    row("EXTRACT", &[S, T], L, time::extract),
    row("FLOOR_TO", &[T, S], T, time::floor_to),
    row("CEIL_TO", &[T, S], T, time::ceil_to),
    row("TIMESTAMPADD_MS", &[T, L], T, time::add_ms),
    row("TIMESTAMPDIFF_MS", &[T, T], L, time::diff_ms),
    row("TO_TIMESTAMP_LTZ", &[L, I], T, time::from_epoch),
    row("EPOCH_MS", &[T], L, time::epoch_ms),
];

/// The units that EXTRACT, FLOOR_TO and CEIL_TO know; checked at deployment where the unit is a literal.
pub(super) fn knows_unit(function: &str, unit: &str) -> bool {
    match function {
        "EXTRACT" => time::EXTRACT_UNITS.contains(&unit),
        _ => time::FLOOR_UNITS.contains(&unit),
    }
}

fn text_at<'a>(args: &[Scalar<'a>], index: usize) -> &'a str {
    if let Some(Scalar::Text(t)) = args.get(index) { t } else { "" }
}

fn i64_at(args: &[Scalar<'_>], index: usize) -> i64 {
    if let Some(Scalar::I64(v)) = args.get(index) { *v } else { 0 }
}

fn push(out: &mut String, text: &str) -> Returned {
    out.push_str(text);
    Returned::Text
}
