//! Times of readings.
//!
//! A number is a time since 1970-01-01T00:00:00Z whose unit follows from its magnitude:
//!
//! | magnitude | unit | covers |
//! | --- | --- | --- |
//! | below 10¹¹ | seconds | to the year 5138 |
//! | below 10¹⁴ | milliseconds | from 1973-03-03 |
//! | below 10¹⁷ | microseconds | from 1973-03-03 |
//! | below 9.2·10¹⁸ | nanoseconds | from 1973-03-03 |
//!
//! Negative numbers are before 1970 by the same magnitudes; fractions are kept to the microsecond. Text is
//! RFC 3339 with its zone (`2026-03-01T08:30:00.5+01:00`; `t`, `z` and a blank for `T` are accepted, digits beyond
//! the microsecond are cut, a leap second counts as the second after it).

use crate::batch::quality;
use crate::message::{Arrivals, Message};
use crate::sink::Time;

const MICROS: i64 = 1_000_000;
/// 2⁵³: up to here all integers are doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// 0001-01-01T00:00:00Z, in microseconds.
const FIRST_US: i64 = -62_135_596_800 * MICROS;
/// 9999-12-31T23:59:59.999999Z.
const LAST_US: i64 = 253_402_300_800 * MICROS - 1;

/// Decides about the times of one message.
pub(crate) struct EventTime<'a> {
    arrivals: &'a mut Arrivals,
    arrival_us: i64,
    latest_us: i64,
    /// The arrival time given out for this message, if one was needed.
    arrived: Option<i64>,
}

impl<'a> EventTime<'a> {
    #[inline]
    pub(crate) fn new(message: &Message<'_>, arrivals: &'a mut Arrivals) -> Self {
        let latest_us = message.arrival_us.saturating_add(message.max_future_us);
        Self { arrivals, arrival_us: message.arrival_us, latest_us, arrived: None }
    }

    /// The time to store, and its quality.
    #[inline]
    pub(crate) fn resolve(&mut self, time: Time) -> (i64, u8) {
        let ts = match time {
            Time::At(ts) => ts,
            Time::Arrival(offset) => self.arrived().saturating_add(offset),
        };
        if ts > self.latest_us && time != Time::Arrival(0) {
            return (self.arrived(), quality::CLOCK);
        }
        (ts, quality::GOOD)
    }

    #[inline]
    fn arrived(&mut self) -> i64 {
        match self.arrived {
            Some(arrived) => arrived,
            None => *self.arrived.insert(self.arrivals.next(self.arrival_us)),
        }
    }
}

/// A number as a time, by the table above; `None` if it is outside the years 1 to 9999.
pub(crate) fn from_number(number: f64, written: &[u8]) -> Option<i64> {
    let magnitude = number.abs();
    // A factor to microseconds, or a divisor.
    let (factor, divisor) = match magnitude {
        m if m < 1e11 => (MICROS, 1),
        m if m < 1e14 => (1000, 1),
        m if m < 1e17 => (1, 1),
        m if m < 9.2e18 => (1, 1000),
        _ => return None,
    };
    // Below 2⁵³ the double says exactly whether it is whole; above, what is written does.
    let exact = number as i64;
    let exact = (magnitude < EXACT && exact as f64 == number).then_some(exact);
    let us = match exact.or_else(|| whole(written)) {
        Some(whole) => whole.checked_mul(factor)?.div_euclid(divisor),
        None => (number * factor as f64 / divisor as f64).round() as i64,
    };
    in_range(us)
}

/// A number written without point and exponent, if it fits.
pub(crate) fn whole(written: &[u8]) -> Option<i64> {
    let (negative, digits) = match written.split_first()? {
        (b'-', digits) => (true, digits),
        _ => (false, written),
    };
    if digits.is_empty() {
        return None;
    }
    // Downwards, for there is one more negative number.
    let value = digits.iter().try_fold(0_i64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { value.checked_mul(10)?.checked_sub(i64::from(digit)) }
    })?;
    if negative { Some(value) } else { value.checked_neg() }
}

/// Seconds (RFC 8428) as microseconds; `None` outside the years 1 to 9999.
pub(crate) fn from_seconds(seconds: f64) -> Option<i64> {
    in_range((seconds * MICROS as f64).round() as i64)
}

fn in_range(us: i64) -> Option<i64> {
    (FIRST_US..=LAST_US).contains(&us).then_some(us)
}

/// Text as a time: RFC 3339; without a zone it is UTC if `zone_optional`, else refused.
pub(crate) fn from_text(text: &str, zone_optional: bool) -> Option<i64> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    let month = after(&mut rest, b"-")?.digits(2)?;
    let day = after(&mut rest, b"-")?.digits(2)?;
    let hour = after(&mut rest, b"Tt ")?.digits(2)?;
    let minute = after(&mut rest, b":")?.digits(2)?;
    let second = after(&mut rest, b":")?.digits(2)?;
    let micros = fraction(&mut rest)?;
    let offset = zone(rest, zone_optional)?;
    let valid = year >= 1
        && (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    in_range(seconds * MICROS + micros)
}

/// The input after one of the separators.
struct After<'s, 'a>(&'s mut &'a [u8]);

impl After<'_, '_> {
    fn digits(self, count: usize) -> Option<i64> {
        digits(self.0, count)
    }
}

fn after<'s, 'a>(rest: &'s mut &'a [u8], separators: &[u8]) -> Option<After<'s, 'a>> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    separators.contains(first).then_some(After(rest))
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    head.iter().try_fold(0, |value, b| b.is_ascii_digit().then(|| value * 10 + i64::from(b - b'0')))
}

/// `.` and digits as microseconds, if there are any.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let Some(tail) = rest.strip_prefix(b".") else { return Some(0) };
    let count = tail.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    *rest = &tail[count..];
    Some(
        (0..6).fold(0, |value, place| {
            value * 10 + if place < count { i64::from(tail[place] - b'0') } else { 0 }
        }),
    )
}

/// The zone's offset in seconds.
fn zone(mut rest: &[u8], optional: bool) -> Option<i64> {
    match rest {
        [] if optional => return Some(0),
        b"Z" | b"z" => return Some(0),
        _ => {}
    }
    let sign = if rest.first()? == &b'-' { -1 } else { 1 };
    let hours = after(&mut rest, b"+-")?.digits(2)?;
    let minutes = after(&mut rest, b":")?.digits(2)?;
    (rest.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar from 1970-01-01, counted in years that begin in March, so that the leap day is
/// the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_magnitude_of_a_number_gives_its_unit() {
        let cases: &[(&str, Option<i64>)] = &[
            ("0", Some(0)),
            ("1700000000", Some(1_700_000_000_000_000)),
            ("1700000000.123456", Some(1_700_000_000_123_456)),
            ("1.7e9", Some(1_700_000_000_000_000)),
            ("1700000000123", Some(1_700_000_000_123_000)),
            ("1700000000123.5", Some(1_700_000_000_123_500)),
            ("1700000000123456", Some(1_700_000_000_123_456)),
            ("1700000000123456789", Some(1_700_000_000_123_456)),
            ("-86400", Some(-86_400_000_000)),
            ("99999999999", Some(99_999_999_999_000_000)),
            ("100000000000", Some(100_000_000_000_000)),
            ("9223372036854775807", None),
            ("1e300", None),
        ];
        for (written, expected) in cases {
            assert_eq!(from_number(written.parse().unwrap(), written.as_bytes()), *expected, "{written}");
        }
    }

    #[test]
    fn text_is_read_as_rfc_3339_says() {
        let cases: &[(&str, Option<i64>)] = &[
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1985-04-12T23:20:50.52Z", Some(482_196_050_520_000)),
            ("1996-12-19T16:39:57-08:00", Some(851_042_397_000_000)),
            ("1990-12-31T23:59:60Z", Some(662_688_000_000_000)),
            ("1937-01-01T12:00:27.87+00:20", Some(-1_041_337_172_130_000)),
            ("2000-02-29t00:00:00.1234567z", Some(951_782_400_123_456)),
            ("2026-03-01 08:30:00+00:00", Some(1_772_353_800_000_000)),
            ("0001-01-01T00:00:00Z", Some(FIRST_US)),
            ("9999-12-31T23:59:59.999999Z", Some(LAST_US)),
            ("0001-01-01T00:00:00+00:01", None),
            ("1900-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-01-00T00:00:00Z", None),
            ("2026-04-31T00:00:00Z", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:60:00Z", None),
            ("2026-01-01T00:00:61Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01T00:00:00.Z", None),
            ("2026-01-01T00:00:00+0100", None),
            ("2026-01-01T00:00:00Z ", None),
            ("2026-1-01T00:00:00Z", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(from_text(text, false), *expected, "{text}");
        }
        assert_eq!(from_text("1970-01-01 00:00:01.5", true), Some(1_500_000));
    }

    fn message(arrival_us: i64) -> Message<'static> {
        Message {
            payload: b"",
            content_type: "",
            device: 1,
            device_id: "",
            table: 0,
            arrival_us,
            max_future_us: 300_000_000,
        }
    }

    #[test]
    fn a_time_beyond_the_limit_becomes_the_arrival_time() {
        let message = message(1_000_000_000);
        let mut arrivals = Arrivals::default();
        let mut time = EventTime::new(&message, &mut arrivals);
        assert_eq!(time.resolve(Time::At(1_300_000_000)), (1_300_000_000, quality::GOOD));
        assert_eq!(time.resolve(Time::At(1_300_000_001)), (1_000_000_000, quality::CLOCK));
        assert_eq!(time.resolve(Time::Arrival(-5)), (999_999_995, quality::GOOD));
        assert_eq!(time.resolve(Time::Arrival(400_000_000)), (1_000_000_000, quality::CLOCK));
    }

    #[test]
    fn arrival_times_increase_when_the_clock_does_not() {
        let mut arrivals = Arrivals::default();
        for (now, expected) in [(10, 10), (10, 11), (5, 12), (20, 20)] {
            let message = message(now);
            let mut time = EventTime::new(&message, &mut arrivals);
            assert_eq!(time.resolve(Time::Arrival(0)), (expected, quality::GOOD));
            assert_eq!(time.resolve(Time::Arrival(0)), (expected, quality::GOOD), "one per message");
        }
    }
}
