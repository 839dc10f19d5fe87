//! From when until when a certificate is valid (RFC 5280, 4.1.2.5).

use super::der::{SEQUENCE, take, take_any};

const VERSION: u8 = 0xA0;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Seconds since the epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not valid before.
    pub from: u64,
    /// Not valid after.
    pub until: u64,
}

impl Validity {
    /// That of a certificate in DER; `None` if it cannot be read.
    pub fn of(mut certificate: &[u8]) -> Option<Self> {
        let mut certificate = take(&mut certificate, SEQUENCE)?;
        let mut fields = take(&mut certificate, SEQUENCE)?;
        let mut serial = fields;
        if take(&mut serial, VERSION).is_none() {
            serial = fields;
        }
        fields = serial;
        take(&mut fields, INTEGER)?;
        // The signature's algorithm and the issuer.
        take(&mut fields, SEQUENCE)?;
        take(&mut fields, SEQUENCE)?;
        let mut times = take(&mut fields, SEQUENCE)?;
        Some(Self { from: time(&mut times)?, until: time(&mut times)? })
    }

    /// The time in which both are valid.
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// Is it valid at this time?
    pub fn holds(&self, second: u64) -> bool {
        (self.from..=self.until).contains(&second)
    }
}

fn time(bytes: &mut &[u8]) -> Option<u64> {
    let (tag, text) = take_any(bytes)?;
    let (year, rest) = match tag {
        // Two digits: 1950 to 2049.
        UTC_TIME => match number(text.get(..2)?)? {
            year @ 50.. => (1900 + year, text.get(2..)?),
            year => (2000 + year, text.get(2..)?),
        },
        GENERALIZED_TIME => (number(text.get(..4)?)?, text.get(4..)?),
        _ => return None,
    };
    let [digits @ .., b'Z'] = rest else { return None };
    if digits.len() != 10 {
        return None;
    }
    let field = |at: usize| number(&digits[at..at + 2]);
    let (month, day) = (field(0)?, field(2)?);
    let seconds = field(4)? * 3600 + field(6)? * 60 + field(8)?;
    (days(year, month, day)? * 86_400).checked_add(seconds)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin in March.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month < 3 { year.checked_sub(1)? } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (365 * year + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn dates_are_counted_as_the_calendar_has_them() {
        for (date, expected) in [
            ((1970, 1, 1), Some(0)),
            ((2000, 2, 29), Some(11_016)),
            ((2000, 3, 1), Some(11_017)),
            ((2026, 11, 25), Some(20_782)),
            ((1969, 12, 31), None),
            ((2026, 13, 1), None),
        ] {
            assert_eq!(days(date.0, date.1, date.2), expected, "{date:?}");
        }
    }

    #[test]
    fn a_certificate_tells_its_time_in_both_notations() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["x".into()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 11, 25), date_time_ymd(2051, 1, 1));
        let certificate = params.self_signed(&key).unwrap();
        let validity = Validity::of(certificate.der()).unwrap();
        assert_eq!(validity, Validity { from: 20_782 * 86_400, until: 29_585 * 86_400 });
        assert!(validity.holds(20_782 * 86_400) && !validity.holds(20_782 * 86_400 - 1));
        assert!(validity.holds(29_585 * 86_400) && !validity.holds(29_585 * 86_400 + 1));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Validity::of(&bytes);
            let _ = time(&mut bytes.as_slice());
        }
    }
}
