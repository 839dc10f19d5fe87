//! One record of a pack, as it is written (RFC 8428, sections 4.3 and 5).

use std::borrow::Cow;

use crate::error::{DecodeError, Reason};
use crate::json::Scan;

/// The fields of a record.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) base_name: Option<Cow<'a, str>>,
    pub(super) base_time: Option<f64>,
    pub(super) base_unit: Option<Cow<'a, str>>,
    pub(super) base_value: Option<f64>,
    pub(super) base_sum: Option<f64>,
    pub(super) base_version: Option<f64>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) unit: Option<Cow<'a, str>>,
    pub(super) value: Option<Measured<'a>>,
    pub(super) sum: Option<f64>,
    pub(super) time: Option<f64>,
    update_time: Option<f64>,
}

/// The value of a record: `v`, `vb`, or `vs` and `vd`.
#[derive(Debug)]
pub(super) enum Measured<'a> {
    Number(f64),
    Bool(bool),
    Text(Cow<'a, str>),
}

impl<'a> Record<'a> {
    /// Takes one record.
    pub(super) fn read(scan: &mut Scan<'a>) -> Result<Self, DecodeError> {
        let mut record = Self::default();
        scan.expect(b'{', Reason::ExpectedObject)?;
        if scan.take(b'}') {
            return Ok(record);
        }
        loop {
            scan.next_token();
            let at = scan.at();
            let label = scan.name()?;
            scan.expect(b':', Reason::ExpectedColon)?;
            scan.next_token();
            record.field(&label, scan, at)?;
            if !scan.another(b'}')? {
                return Ok(record);
            }
        }
    }

    fn field(&mut self, label: &str, scan: &mut Scan<'a>, at: usize) -> Result<(), DecodeError> {
        let twice = match label {
            "bn" => self.base_name.replace(text(scan)?).is_some(),
            "bt" => self.base_time.replace(number(scan)?).is_some(),
            "bu" => self.base_unit.replace(text(scan)?).is_some(),
            "bv" => self.base_value.replace(number(scan)?).is_some(),
            "bs" => self.base_sum.replace(number(scan)?).is_some(),
            "bver" => self.base_version.replace(number(scan)?).is_some(),
            "n" => self.name.replace(text(scan)?).is_some(),
            "u" => self.unit.replace(text(scan)?).is_some(),
            "s" => self.sum.replace(number(scan)?).is_some(),
            "t" => self.time.replace(number(scan)?).is_some(),
            "ut" => self.update_time.replace(number(scan)?).is_some(),
            "v" | "vs" | "vb" | "vd" => {
                let value = match label {
                    "v" => Measured::Number(number(scan)?),
                    "vb" => Measured::Bool(truth(scan)?),
                    "vs" => Measured::Text(text(scan)?),
                    _ => Measured::Text(base64url(scan)?),
                };
                if self.value.replace(value).is_some() {
                    return Err(DecodeError::new(Reason::SenmlTwoValues, at));
                }
                false
            }
            _ if label.ends_with('_') => return Err(DecodeError::new(Reason::SenmlMustUnderstand, at)),
            _ => return scan.skip_value(),
        };
        if twice { Err(DecodeError::new(Reason::SenmlTwice, at)) } else { Ok(()) }
    }
}

fn number(scan: &mut Scan<'_>) -> Result<f64, DecodeError> {
    match scan.peek() {
        Some(b'-' | b'0'..=b'9') => Ok(scan.number()?.0),
        _ => Err(scan.error(Reason::SenmlType)),
    }
}

fn text<'a>(scan: &mut Scan<'a>) -> Result<Cow<'a, str>, DecodeError> {
    match scan.peek() {
        Some(b'"') => scan.string(),
        _ => Err(scan.error(Reason::SenmlType)),
    }
}

fn truth(scan: &mut Scan<'_>) -> Result<bool, DecodeError> {
    match scan.peek() {
        Some(b't') => scan.literal(b"true").map(|()| true),
        Some(b'f') => scan.literal(b"false").map(|()| false),
        _ => Err(scan.error(Reason::SenmlType)),
    }
}

/// RFC 4648, section 5, without padding. A last group of one character would hold less than a byte. Bits left over
/// are not checked: RFC 8428's own example has some.
fn base64url<'a>(scan: &mut Scan<'a>) -> Result<Cow<'a, str>, DecodeError> {
    let at = scan.at();
    let data = text(scan)?;
    let alphabet = data.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if alphabet && data.len() % 4 != 1 { Ok(data) } else { Err(DecodeError::new(Reason::SenmlData, at)) }
}
