//! One value of the row being read, converted to its column's type.

use crate::schema::ColumnType;
use crate::sink::Value;
use crate::time;

/// A value on its way into a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// The message has said nothing yet.
    Unset,
    Null,
    F64(f64),
    I64(i64),
    Bool(bool),
    Code(u32),
    Byte(u8),
    /// Start and end in the builder's text.
    Text(usize, usize),
}

/// Converts; `None` if the value does not fit. Text goes to the end of `texts`.
pub(super) fn convert(value: Value<'_>, kind: ColumnType, texts: &mut String) -> Option<Cell> {
    if value == Value::Null {
        return Some(Cell::Null);
    }
    match kind {
        ColumnType::Double => double(value).map(Cell::F64),
        ColumnType::BigInt => integer(value).map(Cell::I64),
        ColumnType::Int => integer(value).filter(|&whole| i32::try_from(whole).is_ok()).map(Cell::I64),
        ColumnType::Boolean => boolean(value).map(Cell::Bool),
        ColumnType::Timestamp => timestamp(value, true).map(Cell::I64),
        ColumnType::Text => {
            let start = texts.len();
            text(value, texts);
            Some(Cell::Text(start, texts.len()))
        }
        ColumnType::Device | ColumnType::Metric | ColumnType::Quality => None,
    }
}

/// A time by the rules for times.
pub(super) fn timestamp(value: Value<'_>, zone_optional: bool) -> Option<i64> {
    match value {
        Value::Number(number, written) => time::from_number(number, written),
        Value::Text(text) => time::from_text(text, zone_optional),
        _ => None,
    }
}

fn double(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Number(number, _) => Some(number),
        // What Java's Double.parseDouble takes, without its type suffixes and hexadecimal form.
        Value::Text(text) => match text.trim() {
            "NaN" => Some(f64::NAN),
            "Infinity" | "+Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text if text.bytes().any(|b| b.is_ascii_digit()) => fast_float2::parse(text).ok(),
            _ => None,
        },
        _ => None,
    }
}

fn integer(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Number(number, written) => match time::whole(written) {
            Some(whole) => Some(whole),
            // −2⁶³ is a double and in range, 2⁶³ is not.
            None => (i64::MIN as f64..-(i64::MIN as f64)).contains(&number).then_some(number as i64),
        },
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn boolean(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(truth),
        Value::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn text(value: Value<'_>, texts: &mut String) {
    match value {
        Value::Text(text) | Value::Json(text) => texts.push_str(text),
        Value::Bool(truth) => texts.push_str(if truth { "true" } else { "false" }),
        // A number that was computed (SenML's base value) is not written anywhere.
        Value::Number(number, b"") => texts.push_str(&number.to_string()),
        Value::Number(_, written) => texts.push_str(std::str::from_utf8(written).unwrap_or_default()),
        Value::Null => {}
    }
}
