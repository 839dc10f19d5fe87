//! Why a payload was refused.

use std::fmt;

/// A payload that cannot be decoded: what is wrong, and where.
///
/// It holds no text of the payload and allocates nothing, so refusing is as cheap as accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {reason}")]
pub struct DecodeError {
    /// What is wrong.
    pub reason: Reason,
    /// The byte of the payload where it was noticed, from 0.
    pub at: u32,
}

impl DecodeError {
    /// A refusal noticed at a byte of the payload.
    #[cold]
    pub fn new(reason: Reason, at: usize) -> Self {
        Self { reason, at: u32::try_from(at).unwrap_or(u32::MAX) }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal,)+) => {
        /// What is wrong with a payload. The text says what was found and what would be accepted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Reason::$name => $text,)+ })
            }
        }
    };
}

reasons! {
    /// No format recognises the payload.
    UnknownFormat => "the payload is in no format known here; send a JSON object or a SenML JSON array",
    /// Nothing but white space.
    Empty => "the payload is empty; send at least one reading",
    /// The text ends too early.
    Truncated => "the JSON text ends before it is complete",
    /// Something follows the value.
    Trailing => "there is more text after the end of the JSON value; send one value per message",
    /// Not an object.
    ExpectedObject => "a JSON object must begin here with `{`",
    /// Not an array.
    ExpectedArray => "a SenML pack must begin with `[`",
    /// Not a member's name.
    ExpectedName => "a member's name in double quotes must stand here",
    /// No colon.
    ExpectedColon => "a colon must follow a member's name",
    /// Neither a comma nor the end.
    ExpectedComma => "a comma or the closing bracket must follow a value",
    /// No JSON value.
    ExpectedValue => "a JSON value must stand here (number, string, true, false or null)",
    /// A malformed number.
    BadNumber => "this is not a JSON number (digits, at most one point, no leading zeros or plus sign)",
    /// A number that no double can hold.
    NumberRange => "the number is too large for a double",
    /// A control character in a string.
    ControlCharacter => "control characters in strings must be escaped as \\u00XX",
    /// A malformed escape.
    BadEscape => "unknown or incomplete escape in a string",
    /// A surrogate without its partner.
    LoneSurrogate => "an escaped surrogate without its partner is no character",
    /// Bytes that are not UTF-8.
    NotUtf8 => "the string is not valid UTF-8",
    /// Too deep.
    TooDeep => "objects are nested too deeply; flatten the message",
    /// An array where there can be none.
    Array => "arrays are not accepted in telemetry; send one member per value, or SenML for several readings",
    /// A member without a name.
    EmptyName => "a reading needs a name; this one is empty",
    /// A name beyond the bound.
    LongName => "the name is longer than 255 bytes",
    /// A name with control characters.
    BadName => "the name holds a control character",
    /// The same name twice.
    DuplicateName => "a member of this name occurred before in the message; names must be unique",
    /// More than one member says when.
    TwoTimes => "the message has more than one time; send one of ts, timestamp and time",
    /// A time that cannot be read.
    BadTime => "this is not a time; send seconds or milliseconds since 1970 or RFC 3339 text with its zone, \
                as in 2026-03-01T08:30:00Z",
    /// A time outside the years 1 to 9999.
    TimeRange => "the time lies outside the years 1 to 9999",
    /// The value of a SenML field has the wrong type.
    SenmlType => "the field's value has the wrong type (RFC 8428, section 5, table 4)",
    /// A field occurs twice in a SenML record.
    SenmlTwice => "the field occurs twice in one record (RFC 8428, section 4)",
    /// A field that must be understood and is not.
    SenmlMustUnderstand => "a field whose name ends in _ must be understood, and this one is not known here",
    /// A version that is not known.
    SenmlVersion => "bver must be a whole number from 1 to 10 and the same in all records",
    /// A name that breaks the rule.
    SenmlName => "a SenML name begins with a letter or digit and has only letters, digits and - : . / _",
    /// Neither value nor sum.
    SenmlNoValue => "the record has neither a value (v, vs, vb, vd) nor a sum (s)",
    /// Several values.
    SenmlTwoValues => "the record has more than one value; only one of v, vs, vb and vd may be present",
    /// Bytes that are not base64url.
    SenmlData => "vd must be base64url without padding (RFC 4648, section 5)",
    /// Too much for one batch.
    BatchFull => "the batch cannot take more text; it must be handed on before",
}
