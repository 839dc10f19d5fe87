//! Flat JSON objects: `{"temperature":21.5,"pump":"on","ts":1772353800}`.
//!
//! - Each member is one reading: numbers, truth values, text. `null` says nothing and is skipped.
//! - The members `ts`, `timestamp` and `time` of the outermost object are not readings but the time of all of them,
//!   read by the rules of [`crate::time`]. More than one of them is refused, for they might contradict each other;
//!   `null` counts as absent.
//! - Members of nested objects are named `{outer}.{inner}`, at most [`MAX_DEPTH`] objects deep. Arrays are refused
//!   for telemetry; a declared table takes both as JSON text into a STRING column of that name, and skips what it
//!   has no column for.
//! - A name that occurs twice is refused (RFC 8259 leaves it open, RFC 7493 forbids it): neither value can be
//!   preferred without losing the other silently. Names of `null` and skipped values are not compared.
//! - The text must be RFC 8259 to the letter, in UTF-8 without byte order mark; numbers must fit a double.

use std::borrow::Cow;

use crate::error::{DecodeError, Reason};
use crate::format::Decoder;
use crate::json::Scan;
use crate::message::Message;
use crate::sink::{Composite, Name, Reading, Sink, Time, Value};
use crate::time;

/// How many objects may lie within one another.
pub(crate) const MAX_DEPTH: usize = 4;

/// The decoder of flat JSON objects.
#[derive(Debug, Default)]
pub(crate) struct FlatJson {
    /// The name of the nested member that is being read.
    path: String,
}

impl Decoder for FlatJson {
    const CONTENT_TYPES: &'static [&'static str] = &["application/json"];

    fn recognises(first: u8) -> bool {
        first == b'{'
    }

    #[inline]
    fn decode<S: Sink>(&mut self, message: &Message<'_>, sink: &mut S) -> Result<(), DecodeError> {
        sink.begin(message.payload.len(), true)?;
        self.path.clear();
        let mut object = Object { scan: Scan::new(message.payload), sink, path: &mut self.path, time: None };
        object.scan.expect(b'{', Reason::ExpectedObject)?;
        object.outer_members()?;
        object.scan.end()?;
        let time = object.time;
        sink.finish(Some(time.map_or(Time::Arrival(0), Time::At)));
        Ok(())
    }
}

/// One message being read.
struct Object<'a, 's, S> {
    scan: Scan<'a>,
    sink: &'s mut S,
    path: &'s mut String,
    time: Option<i64>,
}

impl<'a, S: Sink> Object<'a, '_, S> {
    #[inline]
    fn outer_members(&mut self) -> Result<(), DecodeError> {
        if self.scan.take(b'}') {
            return Ok(());
        }
        loop {
            let at = self.scan.at();
            if self.scan.next_token() == Some(b'"') && self.take_expected() {
                self.scan.expect(b':', Reason::ExpectedColon)?;
                self.value(Name::Expected, 1, at)?;
            } else {
                self.other_member(at)?;
            }
            if !self.scan.another(b'}')? {
                return Ok(());
            }
        }
    }

    /// A member that was not expected.
    #[inline(never)]
    fn other_member(&mut self, at: usize) -> Result<(), DecodeError> {
        // Most often it is the time, which need not be read like any name.
        let time = TIMES
            .iter()
            .find(|time| self.scan.peek() == Some(b'"') && self.scan.take_known_name(time.as_bytes()));
        let name = match time {
            Some(time) => Cow::Borrowed(*time),
            None => self.scan.name()?,
        };
        self.scan.expect(b':', Reason::ExpectedColon)?;
        if is_time(name.as_bytes()) && !self.sink.claims(&name) {
            self.time_member()
        } else {
            self.value(Name::Text(&name), 1, at)
        }
    }

    /// Takes the name that the sink expects, if it comes. (SenML may have taught the sink to expect a metric `time`.)
    #[inline]
    fn take_expected(&mut self) -> bool {
        let expected = self.sink.expected();
        !is_time(expected) && self.scan.take_known_name(expected)
    }

    #[inline(always)]
    fn value(&mut self, name: Name<'_>, depth: usize, at: usize) -> Result<(), DecodeError> {
        match self.scan.next_token() {
            Some(b'-' | b'0'..=b'9') => {
                let (number, written) = self.scan.number()?;
                self.sink.reading(reading(name, Value::Number(number, written)), at)
            }
            Some(b'{') => self.composite(name, false, depth, at),
            Some(b'[') => self.composite(name, true, depth, at),
            _ => self.other_value(name, at),
        }
    }

    /// A value that is neither a number, which is the usual case, nor composite.
    #[inline(never)]
    fn other_value(&mut self, name: Name<'_>, at: usize) -> Result<(), DecodeError> {
        let text: Cow<'a, str>;
        let value = match self.scan.peek() {
            Some(b'"') => {
                text = self.scan.string()?;
                Value::Text(&text)
            }
            Some(b't') => {
                self.scan.literal(b"true")?;
                Value::Bool(true)
            }
            Some(b'f') => {
                self.scan.literal(b"false")?;
                Value::Bool(false)
            }
            Some(b'n') => {
                self.scan.literal(b"null")?;
                Value::Null
            }
            _ => return Err(self.scan.error(Reason::ExpectedValue)),
        };
        self.sink.reading(reading(name, value), at)
    }

    #[inline(never)]
    fn composite(&mut self, name: Name<'_>, array: bool, depth: usize, at: usize) -> Result<(), DecodeError> {
        let start = self.scan.at();
        match self.sink.composite(name, array) {
            Composite::Refuse => Err(self.scan.error(Reason::Array)),
            Composite::Skip => self.scan.skip_value(),
            Composite::Text => {
                self.scan.skip_value()?;
                // A checked value is UTF-8.
                let json = std::str::from_utf8(self.scan.since(start)).unwrap_or_default();
                self.sink.reading(reading(name, Value::Json(json)), at)
            }
            Composite::Flatten if array => Err(self.scan.error(Reason::Array)),
            Composite::Flatten => {
                let outer = match name {
                    Name::Expected => String::from_utf8_lossy(self.sink.expected()).into_owned(),
                    Name::Text(text) => text.to_owned(),
                };
                self.inner_members(&outer, depth + 1)
            }
        }
    }

    fn inner_members(&mut self, outer: &str, depth: usize) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(self.scan.error(Reason::TooDeep));
        }
        self.scan.expect(b'{', Reason::ExpectedObject)?;
        if self.scan.take(b'}') {
            return Ok(());
        }
        loop {
            let at = self.scan.at();
            let name = self.scan.name()?;
            self.scan.expect(b':', Reason::ExpectedColon)?;
            let mut path = std::mem::take(self.path);
            path.clear();
            path.extend([outer, ".", &name]);
            let result = self.value(Name::Text(&path), depth, at);
            *self.path = path;
            result?;
            if !self.scan.another(b'}')? {
                return Ok(());
            }
        }
    }

    fn time_member(&mut self) -> Result<(), DecodeError> {
        let first = self.scan.next_token();
        let start = self.scan.at();
        let (found, bad) = match first {
            Some(b'-' | b'0'..=b'9') => {
                let (number, written) = self.scan.number()?;
                (time::from_number(number, written), Reason::TimeRange)
            }
            Some(b'"') => (time::from_text(&self.scan.string()?, false), Reason::BadTime),
            Some(b'n') => return self.scan.literal(b"null"),
            _ => {
                self.scan.skip_value()?;
                (None, Reason::BadTime)
            }
        };
        let found = found.ok_or_else(|| DecodeError::new(bad, start))?;
        if self.time.replace(found).is_some() {
            return Err(DecodeError::new(Reason::TwoTimes, start));
        }
        Ok(())
    }
}

/// A reading whose time is that of the message.
#[inline]
fn reading<'r>(name: Name<'r>, value: Value<'r>) -> Reading<'r> {
    Reading { name, value, time: None, unit: "" }
}

/// The members that give the time.
const TIMES: [&str; 3] = ["ts", "timestamp", "time"];

#[inline]
fn is_time(name: &[u8]) -> bool {
    matches!(name, b"ts" | b"time" | b"timestamp")
}

#[cfg(test)]
mod tests;
