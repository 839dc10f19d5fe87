//! SenML JSON (RFC 8428): an array of records, each a reading, with base fields for what repeats.
//!
//! Where the RFC leaves the choice:
//! - A resolved name that begins with the device's id and `/`, `:` or `.` loses that prefix. If nothing is left (the
//!   name is the device), the metric is named by the unit, or `value` if there is none.
//! - A message may give one name with several units (RFC 8428, section 5.1.3: humidity, longitude and latitude of
//!   one device). The first unit has the plain name, readings in others are named `{name}.{unit}`.
//! - A sum (`s`, `bs`) is a reading of its own, named `{metric}.sum`.
//! - Data (`vd`) is kept as text, in the base64url in which it came. `ut` is checked and not kept.
//! - Without any time, a record has the arrival time of its message.

mod record;

use std::borrow::Cow;
use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::error::{DecodeError, Reason};
use crate::format::Decoder;
use crate::json::Scan;
use crate::message::Message;
use crate::sink::{Name, Reading, Sink, Time, Value};
use crate::time;

use record::{Measured, Record};

/// The version of SenML that RFC 8428 defines.
const VERSION: f64 = 10.0;
/// Times below are relative to now (RFC 8428, section 4.5.3).
const RELATIVE_BELOW: f64 = 268_435_456.0;

/// The decoder of SenML JSON.
#[derive(Debug, Default)]
pub(crate) struct SenmlJson {
    /// The resolved name, then the metric's.
    name: String,
    /// Per hashed name of the message the hash of its first unit. Should two names collide, one is suffixed
    /// needlessly.
    units: FxHashMap<u64, u64>,
}

/// What the base fields have said so far.
#[derive(Debug, Default)]
struct Base<'a> {
    name: Cow<'a, str>,
    unit: Cow<'a, str>,
    time: f64,
    value: f64,
    sum: Option<f64>,
    version: Option<f64>,
}

impl Decoder for SenmlJson {
    const CONTENT_TYPES: &'static [&'static str] = &["application/senml+json", "application/json"];

    fn recognises(first: u8) -> bool {
        first == b'['
    }

    fn decode<S: Sink>(&mut self, message: &Message<'_>, sink: &mut S) -> Result<(), DecodeError> {
        sink.begin(message.payload.len(), false)?;
        self.units.clear();
        let mut scan = Scan::new(message.payload);
        let mut base = Base::default();
        scan.expect(b'[', Reason::ExpectedArray)?;
        if !scan.take(b']') {
            loop {
                scan.next_token();
                let at = scan.at();
                let record = Record::read(&mut scan)?;
                self.resolve(&mut base, record, message.device_id, sink, at)?;
                if !scan.another(b']')? {
                    break;
                }
            }
        }
        scan.end()?;
        sink.finish(None);
        Ok(())
    }
}

impl SenmlJson {
    /// Applies the base fields (RFC 8428, section 4.6) and gives what was measured.
    fn resolve<'a, S: Sink>(
        &mut self,
        base: &mut Base<'a>,
        record: Record<'a>,
        device_id: &str,
        sink: &mut S,
        at: usize,
    ) -> Result<(), DecodeError> {
        let fail = |reason| DecodeError::new(reason, at);
        base.update(&record).map_err(fail)?;
        let unit = record.unit.as_ref().unwrap_or(&base.unit);
        let time = event_time(base.time + record.time.unwrap_or(0.0)).map_err(fail)?;
        self.name_metric(&base.name, record.name.as_deref().unwrap_or(""), device_id, unit).map_err(fail)?;
        let sum = match (base.sum, record.sum) {
            (None, None) => None,
            (base, own) => Some(base.unwrap_or(0.0) + own.unwrap_or(0.0)),
        };
        let value = match &record.value {
            None if sum.is_none() => return Err(fail(Reason::SenmlNoValue)),
            None => None,
            Some(Measured::Number(number)) => Some(finite(base.value + number).map_err(fail)?),
            Some(Measured::Bool(truth)) => Some(Value::Bool(*truth)),
            Some(Measured::Text(text)) => Some(Value::Text(text)),
        };
        if let Some(value) = value {
            sink.reading(Reading { name: Name::Text(&self.name), value, time: Some(time), unit }, at)?;
        }
        if let Some(sum) = sum {
            let value = finite(sum).map_err(fail)?;
            self.name.push_str(".sum");
            sink.reading(Reading { name: Name::Text(&self.name), value, time: Some(time), unit }, at)?;
        }
        Ok(())
    }

    /// Leaves the metric's name in `self.name`.
    fn name_metric(&mut self, base: &str, own: &str, device_id: &str, unit: &str) -> Result<(), Reason> {
        self.name.clear();
        self.name.extend([base, own]);
        if !is_name(self.name.as_bytes()) {
            return Err(Reason::SenmlName);
        }
        let rest = self.name.strip_prefix(device_id);
        let metric = match rest {
            Some("") => "",
            Some(rest) => rest.strip_prefix(['/', ':', '.']).unwrap_or(&self.name),
            None => &self.name,
        };
        if metric.is_empty() {
            self.name.clear();
            self.name.push_str(if unit.is_empty() { "value" } else { unit });
            return Ok(());
        }
        let cut = self.name.len() - metric.len();
        self.name.drain(..cut);
        let unit_hash = FxBuildHasher.hash_one(unit);
        let first = *self.units.entry(FxBuildHasher.hash_one(self.name.as_str())).or_insert(unit_hash);
        if first != unit_hash && !unit.is_empty() {
            self.name.extend([".", unit]);
        }
        Ok(())
    }
}

impl<'a> Base<'a> {
    fn update(&mut self, record: &Record<'a>) -> Result<(), Reason> {
        let version = record.base_version.unwrap_or(self.version.unwrap_or(VERSION));
        let known = (1.0..=VERSION).contains(&version) && version.fract() == 0.0;
        if !known || self.version.is_some_and(|before| before != version) {
            return Err(Reason::SenmlVersion);
        }
        self.version = Some(version);
        if let Some(name) = &record.base_name {
            self.name.clone_from(name);
        }
        if let Some(unit) = &record.base_unit {
            self.unit.clone_from(unit);
        }
        self.time = record.base_time.unwrap_or(self.time);
        self.value = record.base_value.unwrap_or(self.value);
        self.sum = record.base_sum.or(self.sum);
        Ok(())
    }
}

/// Seconds since 1970, or relative to now.
fn event_time(seconds: f64) -> Result<Time, Reason> {
    let us = time::from_seconds(seconds).ok_or(Reason::TimeRange)?;
    Ok(if seconds < RELATIVE_BELOW { Time::Arrival(us) } else { Time::At(us) })
}

fn finite(number: f64) -> Result<Value<'static>, Reason> {
    if number.is_finite() { Ok(Value::Number(number, b"")) } else { Err(Reason::NumberRange) }
}

/// RFC 8428, section 4.5.1.
fn is_name(name: &[u8]) -> bool {
    let inner = |b: &u8| b.is_ascii_alphanumeric() || b"-:./_".contains(b);
    name.first().is_some_and(u8::is_ascii_alphanumeric) && name.iter().all(inner)
}

#[cfg(test)]
mod tests;
