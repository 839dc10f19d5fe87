//! Values as text and text as values, as Flink does it on the Java machine.

use std::fmt::Write;

use crate::calendar::{DAY_US, civil, days_of, month_length};

/// Appends a DOUBLE as `Double.toString` does: `100.0`, `1.0E10`, `NaN`, `Infinity`.
pub fn push_double(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let magnitude = value.abs();
    // Writing to a String cannot fail.
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let start = out.len();
        let _ = write!(out, "{value}");
        if !out[start..].contains('.') {
            out.push_str(".0");
        }
        return;
    }
    let start = out.len();
    let _ = write!(out, "{value:E}");
    if !out[start..].contains('.')
        && let Some(e) = out[start..].find('E')
    {
        out.insert_str(start + e, ".0");
    }
}

/// Appends a TIMESTAMP(3): `2026-01-31 12:00:00.000`.
pub fn push_timestamp(out: &mut String, us: i64) {
    push_time(out, us, ' ');
}

/// Appends a time as ISO 8601 with milliseconds and `Z`.
pub fn push_iso(out: &mut String, us: i64) {
    push_time(out, us, 'T');
    out.push('Z');
}

fn push_time(out: &mut String, us: i64, separator: char) {
    let c = civil(us);
    let _ = write!(
        out,
        "{:04}-{:02}-{:02}{separator}{:02}:{:02}:{:02}.{:03}",
        c.year, c.month, c.day, c.hour, c.minute, c.second, c.millisecond
    );
}

/// `Double.parseDouble` of the trimmed text; `None` where Java throws.
pub fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    match digits {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        _ => {}
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().ok()
}

/// An integer, as Flink casts: trimmed, a sign, digits; a fraction is checked and cut off.
pub fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if whole.strip_prefix(['+', '-']).unwrap_or(whole).is_empty() {
        return None;
    }
    whole.parse().ok()
}

/// A BOOLEAN: t, true, y, yes, 1 and f, false, n, no, 0 in any case.
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A TIMESTAMP(3): a date, then a blank or `T` and a time with optional seconds and fraction.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
    let mut parts = date.split('-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=month_length(year, month)).contains(&day)
    {
        return None;
    }
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.split(':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || fraction.len() > 9 {
        return None;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ms = fraction.bytes().chain([b'0'; 3]).take(3).fold(0, |ms, b| ms * 10 + i64::from(b - b'0'));
    let seconds = hour * 3600 + minute * 60 + second;
    Some(days_of(year, month, day) * DAY_US + (seconds * 1000 + ms) * 1000)
}

fn number(digits: &str) -> Option<i64> {
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(value: f64) -> String {
        let mut out = String::new();
        push_double(&mut out, value);
        out
    }

    #[test]
    fn doubles_read_as_in_java() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-12.5, "-12.5"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.5e300, "1.5E300"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn text_becomes_a_number_only_where_java_takes_it() {
        assert_eq!(parse_double(" 1e3 "), Some(1000.0));
        assert_eq!(parse_double("-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_double("2.5d"), Some(2.5));
        for bad in ["", "inf", "nan", "1,5", "abc", "--1", "d"] {
            assert_eq!(parse_double(bad), None, "{bad}");
        }
        assert_eq!(parse_integer(" -12.9 "), Some(-12));
        assert_eq!(parse_integer("9223372036854775807"), Some(i64::MAX));
        for bad in ["", "9223372036854775808", "1e3", "1.x", "+", "."] {
            assert_eq!(parse_integer(bad), None, "{bad}");
        }
        assert_eq!(parse_boolean("Yes"), Some(true));
        assert_eq!(parse_boolean("2"), None);
    }

    #[test]
    fn timestamps_go_forth_and_back_with_milliseconds() {
        for text in ["2026-11-25 03:04:05.678", "1969-12-31 23:59:59.999", "2000-02-29 00:00:00.000"] {
            let mut out = String::new();
            push_timestamp(&mut out, parse_timestamp(text).unwrap());
            assert_eq!(out, text);
        }
        assert_eq!(parse_timestamp("1970-01-02"), Some(DAY_US));
        assert_eq!(parse_timestamp("1970-01-01T00:00:01.5"), Some(1_500_000));
        for bad in
            ["", "2026-13-01", "2025-02-29", "2026-01-01 24:00", "2026-01-01 1", "2026-01-01 00:00:00.0x"]
        {
            assert_eq!(parse_timestamp(bad), None, "{bad}");
        }
    }
}
