//! Numbers: the nearest double, exactly.

use crate::error::{DecodeError, Reason};

use super::Scan;

/// Powers of ten that doubles hold exactly (10²² is the last).
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Up to here all integers are doubles.
const EXACT: u64 = 1 << 53;

impl<'a> Scan<'a> {
    /// Takes a number: its nearest double, and how it is written.
    ///
    /// Digits that fit 53 bits, divided by a power of ten that is a double, give the nearest double, as both are
    /// exact and division rounds once (Clinger, How to Read Floating Point Numbers Accurately, 1990). Others take
    /// the long way.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<(f64, &'a [u8]), DecodeError> {
        let (bytes, start) = (self.bytes, self.at);
        let next = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let negative = next(start) == b'-';
        let first_digit = start + usize::from(negative);
        let (mut digits, mut end) = digits_at(bytes, first_digit, 0);
        let mut count = end - first_digit;
        if count == 0 || (count > 1 && next(first_digit) == b'0') {
            return Err(self.bad_number(first_digit));
        }
        let mut places = 0;
        if next(end) == b'.' {
            let point = end + 1;
            (digits, end) = digits_at(bytes, point, digits);
            places = end - point;
            count += places;
            if places == 0 {
                return Err(self.bad_number(point));
            }
        }
        self.at = end;
        let short = count <= 19 && digits <= EXACT && places < POWERS.len();
        if !short || matches!(next(end), b'e' | b'E') {
            return self.long_number(start);
        }
        let magnitude = digits as f64 / POWERS[places];
        Ok((if negative { -magnitude } else { magnitude }, self.since(start)))
    }

    #[inline(never)]
    fn long_number(&mut self, start: usize) -> Result<(f64, &'a [u8]), DecodeError> {
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            let (_, end) = digits_at(self.bytes, self.at, 0);
            if end == self.at {
                return Err(self.bad_number(end));
            }
            self.at = end;
        }
        let written = self.since(start);
        let number = fast_float2::parse(written).map_err(|_| DecodeError::new(Reason::BadNumber, start))?;
        if !f64::is_finite(number) {
            return Err(DecodeError::new(Reason::NumberRange, start));
        }
        Ok((number, written))
    }

    #[cold]
    fn bad_number(&mut self, at: usize) -> DecodeError {
        self.at = at;
        self.error(Reason::BadNumber)
    }
}

/// Appends the digits at a position to a number (which wraps around if there are many): the number and where the
/// digits end.
#[inline]
fn digits_at(bytes: &[u8], at: usize, mut value: u64) -> (u64, usize) {
    let mut end = at;
    for byte in bytes.get(at..).unwrap_or_default() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    (value, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<f64, Reason> {
        let mut scan = Scan::new(text.as_bytes());
        let (number, written) = scan.number().map_err(|error| error.reason)?;
        assert_eq!(written, &text.as_bytes()[..scan.at()]);
        scan.end().map_err(|error| error.reason)?;
        Ok(number)
    }

    #[test]
    fn numbers_are_the_nearest_doubles() {
        for text in [
            "0",
            "-0",
            "21.53",
            "3.207",
            "-1.5e-7",
            "9007199254740993",
            "9007199254740992",
            "18446744073709551615",
            "18446744073709551616",
            "123456789012345678901234567890",
            "0.1",
            "0.30000000000000004",
            "2.2250738585072011e-308",
            "5e-324",
            "1e-400",
            "1.7976931348623157e308",
            "0.0000000000000000000000000000000001",
            "1E+2",
            "100000000000000000000000.5",
        ] {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(parse(text).map(f64::to_bits), Ok(expected.to_bits()), "{text}");
        }
    }

    #[test]
    fn what_json_does_not_call_a_number_is_refused() {
        for text in ["01", "-01", "00", "1.e5", "-.5", "1e+x", "+1", "--1", ".5", "-a"] {
            assert_eq!(parse(text), Err(Reason::BadNumber), "{text}");
        }
        for text in ["-", "1e", "1e+", "1."] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["0x10", "1_000", "1a", "1.5.5"] {
            assert_eq!(parse(text), Err(Reason::Trailing), "{text}");
        }
        assert_eq!(parse("1e400"), Err(Reason::NumberRange));
        assert_eq!(parse("-1e309"), Err(Reason::NumberRange));
    }
}
