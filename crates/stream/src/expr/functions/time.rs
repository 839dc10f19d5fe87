//! Functions over TIMESTAMP(3): microseconds inside, of which SQL sees milliseconds. UTC.

use super::{Returned, i64_at, text_at};
use crate::calendar::{Civil, DAY_US, civil, days_of, iso_week};
use crate::vector::Scalar;

pub(super) const EXTRACT_UNITS: [&str; 12] = [
    "MILLISECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "DOW",
    "DOY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
    "EPOCH",
];
pub(super) const FLOOR_UNITS: [&str; 8] =
    ["SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"];

/// Times beyond this are not looked at: their parts have no meaning and their arithmetic would overflow.
const LIMIT_US: i64 = i64::MAX / 4;

fn sane(us: i64) -> Option<Civil> {
    (-LIMIT_US..=LIMIT_US).contains(&us).then(|| civil(us))
}

pub(super) fn extract(args: &[Scalar<'_>], _: &mut String) -> Returned {
    let us = i64_at(args, 1);
    let Some(c) = sane(us) else { return Returned::Null };
    Returned::I64(match text_at(args, 0) {
        "MILLISECOND" => c.second * 1000 + c.millisecond,
        "SECOND" => c.second,
        "MINUTE" => c.minute,
        "HOUR" => c.hour,
        "DAY" => c.day,
        "DOW" => (c.days + 4).rem_euclid(7) + 1,
        "DOY" => c.days - days_of(c.year, 1, 1) + 1,
        "WEEK" => iso_week(c.days),
        "MONTH" => c.month,
        "QUARTER" => (c.month + 2) / 3,
        "YEAR" => c.year,
        "EPOCH" => us.div_euclid(1_000_000),
        _ => return Returned::Null,
    })
}

fn floor(us: i64, unit: &str) -> Option<i64> {
    let c = sane(us)?;
    Some(match unit {
        "SECOND" => us.div_euclid(1_000_000) * 1_000_000,
        "MINUTE" => us.div_euclid(60_000_000) * 60_000_000,
        "HOUR" => us.div_euclid(3_600_000_000) * 3_600_000_000,
        "DAY" => c.days * DAY_US,
        "WEEK" => (c.days - (c.days + 4).rem_euclid(7)) * DAY_US,
        "MONTH" => days_of(c.year, c.month, 1) * DAY_US,
        "QUARTER" => days_of(c.year, (c.month - 1) / 3 * 3 + 1, 1) * DAY_US,
        "YEAR" => days_of(c.year, 1, 1) * DAY_US,
        _ => return None,
    })
}

fn next(floor: i64, unit: &str) -> Option<i64> {
    let c = sane(floor)?;
    let months = |n: i64| days_of(c.year + (c.month - 1 + n) / 12, (c.month - 1 + n) % 12 + 1, 1) * DAY_US;
    Some(match unit {
        "SECOND" => floor + 1_000_000,
        "MINUTE" => floor + 60_000_000,
        "HOUR" => floor + 3_600_000_000,
        "DAY" => floor + DAY_US,
        "WEEK" => floor + 7 * DAY_US,
        "MONTH" => months(1),
        "QUARTER" => months(3),
        "YEAR" => months(12),
        _ => return None,
    })
}

pub(super) fn floor_to(args: &[Scalar<'_>], _: &mut String) -> Returned {
    floor(i64_at(args, 0), text_at(args, 1)).map_or(Returned::Null, Returned::I64)
}

pub(super) fn ceil_to(args: &[Scalar<'_>], _: &mut String) -> Returned {
    let (us, unit) = (i64_at(args, 0), text_at(args, 1));
    let ms = us.div_euclid(1000) * 1000;
    match floor(us, unit) {
        Some(floor) if floor == ms => Returned::I64(floor),
        Some(floor) => next(floor, unit).map_or(Returned::Null, Returned::I64),
        None => Returned::Null,
    }
}

pub(super) fn add_ms(args: &[Scalar<'_>], _: &mut String) -> Returned {
    let us = i64_at(args, 1).checked_mul(1000).and_then(|d| i64_at(args, 0).checked_add(d));
    us.map_or(Returned::Null, Returned::I64)
}

pub(super) fn diff_ms(args: &[Scalar<'_>], _: &mut String) -> Returned {
    Returned::I64(i64_at(args, 1).div_euclid(1000) - i64_at(args, 0).div_euclid(1000))
}

pub(super) fn from_epoch(args: &[Scalar<'_>], _: &mut String) -> Returned {
    let unit = match i64_at(args, 1) {
        0 => 1_000_000,
        3 => 1000,
        _ => return Returned::Null,
    };
    i64_at(args, 0).checked_mul(unit).map_or(Returned::Null, Returned::I64)
}

pub(super) fn epoch_ms(args: &[Scalar<'_>], _: &mut String) -> Returned {
    Returned::I64(i64_at(args, 0).div_euclid(1000))
}
