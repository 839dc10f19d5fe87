//! What a format gives to whoever collects rows: the seam between formats and tables.

use crate::error::DecodeError;

/// Collects the readings of one message. Formats are generic over it, so that the same scan fills `telemetry` or
/// a declared table without a virtual call per reading.
///
/// The order is [`begin`](Sink::begin), any number of [`reading`](Sink::reading), and [`finish`](Sink::finish). If
/// anything fails, [`abort`](Sink::abort) takes back all of the message.
pub trait Sink {
    /// A message begins. `unique`: a name that occurs twice is an error of the message; otherwise several readings
    /// of one name (at different times) are usual.
    fn begin(&mut self, payload_len: usize, unique: bool) -> Result<(), DecodeError>;

    /// The name that probably comes next, for a comparison of bytes instead of a scan; empty if there is no guess.
    /// It never holds a quote, a backslash or a control character.
    fn expected(&self) -> &[u8];

    /// True if a member of this name is a reading even where the format would take it for the message's time.
    fn claims(&self, name: &str) -> bool;

    /// What to do with an array or object as the value of `name`.
    fn composite(&mut self, name: Name<'_>, array: bool) -> Composite;

    /// One reading; `at` is where it stands in the payload, for errors.
    fn reading(&mut self, reading: Reading<'_>, at: usize) -> Result<(), DecodeError>;

    /// The message is complete and is kept. `time` is that of all its readings, `None` if each had its own.
    fn finish(&mut self, time: Option<Time>);

    /// Takes back all since [`begin`](Sink::begin).
    fn abort(&mut self);
}

/// One measured value, as it stands in the payload.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// What was measured.
    pub name: Name<'a>,
    /// The value.
    pub value: Value<'a>,
    /// When, or `None` if [`Sink::finish`] says so for all readings of the message.
    pub time: Option<Time>,
    /// The unit, empty if not said.
    pub unit: &'a str,
}

/// The name of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// The one that [`Sink::expected`] gave.
    Expected,
    /// Any.
    Text(&'a str),
}

/// A value, borrowed from the payload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A number: its nearest double and how it was written.
    Number(f64, &'a [u8]),
    /// A truth value.
    Bool(bool),
    /// Text.
    Text(&'a str),
    /// An array or object as valid JSON text; only after [`Composite::Text`].
    Json(&'a str),
    /// Nothing, said explicitly.
    Null,
}

/// When a reading was taken, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// So long after (before, if negative) the arrival of the message. 0: the sender did not say.
    Arrival(i64),
    /// At this time UTC since 1970.
    At(i64),
}

/// How a sink takes an array or object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Composite {
    /// Its members are readings named `{name}.{member}`.
    Flatten,
    /// As a reading with [`Value::Json`].
    Text,
    /// Checked and skipped.
    Skip,
    /// The message is refused.
    Refuse,
}
