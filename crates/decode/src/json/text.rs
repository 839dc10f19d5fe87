//! Strings: borrowed as they are, copied only to undo escapes.

use std::borrow::Cow;

use crate::error::{DecodeError, Reason};

use super::Scan;

impl<'a> Scan<'a> {
    /// Takes the name of a member.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        if self.next_token() != Some(b'"') {
            return Err(self.error(Reason::ExpectedName));
        }
        self.string()
    }

    /// Takes a string; its opening quote is the next byte.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        self.at += 1;
        let start = self.at;
        self.plain()?;
        if self.bytes[self.at] != b'"' {
            return self.escaped(start).map(Cow::Owned);
        }
        let text = self.utf8(start)?;
        self.at += 1;
        Ok(Cow::Borrowed(text))
    }

    /// Goes to the next quote or backslash.
    #[inline]
    fn plain(&mut self) -> Result<(), DecodeError> {
        while let Some(chunk) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            match first_special(u64::from_le_bytes(*chunk)) {
                None => self.at += 8,
                Some(place) => {
                    self.at += place;
                    break;
                }
            }
        }
        loop {
            match self.peek() {
                Some(b'"' | b'\\') => return Ok(()),
                None | Some(..0x20) => return Err(self.error(Reason::ControlCharacter)),
                Some(_) => self.at += 1,
            }
        }
    }

    fn utf8(&self, start: usize) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.since(start))
            .map_err(|error| DecodeError::new(Reason::NotUtf8, start + error.valid_up_to()))
    }

    /// The rest of a string whose first backslash is the next byte.
    #[cold]
    #[inline(never)]
    fn escaped(&mut self, start: usize) -> Result<String, DecodeError> {
        let mut text = self.utf8(start)?.to_owned();
        loop {
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return Ok(text);
            }
            self.at += 1;
            text.push(self.escape()?);
            let start = self.at;
            self.plain()?;
            text.push_str(self.utf8(start)?);
        }
    }

    /// The character of an escape whose backslash is taken.
    fn escape(&mut self) -> Result<char, DecodeError> {
        let Some(byte) = self.peek() else { return Err(self.error(Reason::BadEscape)) };
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.error(Reason::BadEscape)),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char, DecodeError> {
        let start = self.at - 1;
        let mut code = self.unit()?;
        if (0xd800..0xdc00).contains(&code) && self.peek() == Some(b'\\') {
            self.at += 1;
            if self.peek() == Some(b'u') {
                let low = self.unit()?;
                if (0xdc00..0xe000).contains(&low) {
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                }
            }
        }
        char::from_u32(code).ok_or_else(|| DecodeError::new(Reason::LoneSurrogate, start))
    }

    /// `u` and four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, DecodeError> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.error(Reason::BadEscape))?;
            self.at += 1;
        }
        Ok(code)
    }
}

/// The place of the first quote, backslash or control character among eight bytes.
///
/// `(x - n·0x01…) & !x & 0x80…` marks bytes below `n`; a borrow can mark wrongly only above a true mark.
#[inline]
fn first_special(bytes: u64) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let below = |x: u64, n: u64| x.wrapping_sub(n * ONES) & !x & HIGH;
    let found = below(bytes, 0x20)
        | below(bytes ^ (ONES * u64::from(b'"')), 1)
        | below(bytes ^ (ONES * u64::from(b'\\')), 1);
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<String, Reason> {
        let mut scan = Scan::new(text);
        let found = scan.string().map_err(|error| error.reason)?.into_owned();
        scan.end().map_err(|error| error.reason)?;
        Ok(found)
    }

    #[test]
    fn strings_are_read_as_rfc_8259_says() {
        let cases: &[(&str, &str)] = &[
            (r#""""#, ""),
            (r#""plain""#, "plain"),
            (r#""längere Zeichenkette — 温度""#, "längere Zeichenkette — 温度"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00e9\u6e29\u0000""#, "Aé温\0"),
            (r#""\ud83d\ude00 and \uD83D\uDE00""#, "😀 and 😀"),
            (r#""eight by\nte chunks and more""#, "eight by\nte chunks and more"),
            ("\"\u{7f}\u{80}\"", "\u{7f}\u{80}"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()).as_deref(), Ok(*expected), "{text}");
        }
    }

    #[test]
    fn malformed_strings_are_refused_with_the_reason() {
        let cases: &[(&[u8], Reason)] = &[
            (b"\"", Reason::Truncated),
            (b"\"abc", Reason::Truncated),
            (b"\"abc\\", Reason::Truncated),
            (b"\"abc\\\"", Reason::Truncated),
            (b"\"a\nb\"", Reason::ControlCharacter),
            (b"\"0123456\x1fb\"", Reason::ControlCharacter),
            (b"\"a\\x\"", Reason::BadEscape),
            (b"\"a\\u12g4\"", Reason::BadEscape),
            (b"\"a\\u+123\"", Reason::BadEscape),
            (b"\"\\ud800\"", Reason::LoneSurrogate),
            (b"\"\\ud800\\n\"", Reason::LoneSurrogate),
            (b"\"\\ud800\\u0041\"", Reason::LoneSurrogate),
            (b"\"\\udc00\"", Reason::LoneSurrogate),
            (b"\"a\xff\"", Reason::NotUtf8),
            (b"\"\\n\xc3\"", Reason::NotUtf8),
            (b"\"\xed\xa0\x80\"", Reason::NotUtf8),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Err(*expected), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn special_bytes_are_found_at_each_place() {
        for place in 0..8 {
            for special in [b'"', b'\\', 0x00, 0x1f] {
                let mut bytes = [0xff; 8];
                bytes[place] = special;
                assert_eq!(first_special(u64::from_le_bytes(bytes)), Some(place));
            }
        }
        assert_eq!(first_special(u64::from_le_bytes(*b" !#[]~\x7f\x80")), None);
    }
}
