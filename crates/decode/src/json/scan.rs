//! Structure: white space, brackets, literals, and skipping what nobody asked for.

use crate::error::{DecodeError, Reason};

/// How deep a value that is only checked and skipped may be nested.
const MAX_SKIP_DEPTH: usize = 32;

/// A position in JSON text.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Scan<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The number of bytes before the next.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text from an earlier position to this one.
    #[inline]
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// The next byte.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte after white space.
    #[inline]
    pub(crate) fn next_token(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            // No token begins with a byte up to the blank: one comparison in the usual case of no white space.
            if byte > b' ' || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes the next byte after white space if it is this one.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.next_token() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes the next byte after white space, which must be this one.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8, otherwise: Reason) -> Result<(), DecodeError> {
        if self.take(byte) { Ok(()) } else { Err(self.error(otherwise)) }
    }

    /// Takes `"name"` if that is what follows, without looking for the end of the string.
    #[inline]
    pub(crate) fn take_known_name(&mut self, name: &[u8]) -> bool {
        let start = self.at + 1;
        let end = start + name.len();
        let found = self.bytes.get(end) == Some(&b'"')
            && !name.is_empty()
            && self.bytes.get(start..end).is_some_and(|next| same(next, name));
        if found {
            self.at = end + 1;
        }
        found
    }

    /// After a value: `true` if another follows after a comma, `false` if the bracket closed.
    #[inline]
    pub(crate) fn another(&mut self, close: u8) -> Result<bool, DecodeError> {
        match self.next_token() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.error(Reason::ExpectedComma)),
        }
    }

    /// Takes `true`, `false` or `null`.
    #[inline]
    pub(crate) fn literal(&mut self, word: &[u8]) -> Result<(), DecodeError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.error(Reason::ExpectedValue));
        }
        self.at += word.len();
        Ok(())
    }

    /// Nothing but white space may follow.
    #[inline]
    pub(crate) fn end(&mut self) -> Result<(), DecodeError> {
        if self.next_token().is_some() { Err(self.error(Reason::Trailing)) } else { Ok(()) }
    }

    /// An error here; at the end of the text it is that the text is too short.
    #[cold]
    pub(crate) fn error(&self, reason: Reason) -> DecodeError {
        let ended = self.at >= self.bytes.len();
        DecodeError::new(if ended { Reason::Truncated } else { reason }, self.at.min(self.bytes.len()))
    }

    /// Checks any value and goes behind it.
    pub(crate) fn skip_value(&mut self) -> Result<(), DecodeError> {
        self.skip(0)
    }

    fn skip(&mut self, depth: usize) -> Result<(), DecodeError> {
        if depth > MAX_SKIP_DEPTH {
            return Err(self.error(Reason::TooDeep));
        }
        match self.next_token() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(open @ (b'{' | b'[')) => {
                self.at += 1;
                let close = if open == b'{' { b'}' } else { b']' };
                if self.take(close) {
                    return Ok(());
                }
                loop {
                    if open == b'{' {
                        self.name()?;
                        self.expect(b':', Reason::ExpectedColon)?;
                    }
                    self.skip(depth + 1)?;
                    if !self.another(close)? {
                        return Ok(());
                    }
                }
            }
            _ => Err(self.error(Reason::ExpectedValue)),
        }
    }
}

/// Compares names, which are short, without a call of `memcmp`: by words, of which the last two may overlap.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a == b;
    };
    let mut at = 0;
    while let (Some(a), Some(b)) = (a.get(at..at + 8), b.get(at..at + 8)) {
        if a != b {
            return false;
        }
        at += 8;
    }
    a_last == b_last
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepted as one whole JSON value?
    fn reason(text: &[u8]) -> Option<Reason> {
        let mut scan = Scan::new(text);
        scan.skip_value().and_then(|()| scan.end()).err().map(|error| error.reason)
    }

    #[test]
    fn values_are_accepted_as_rfc_8259_says() {
        for good in ["{}", "[]", " [ ] ", "[1,2]", "{\"a\":{\"b\":[null,true,false]}}", "\"\"", "\t1\n", "0"]
        {
            assert_eq!(reason(good.as_bytes()), None, "{good}");
        }
        let bad: &[(&str, Reason)] = &[
            ("", Reason::Truncated),
            ("[", Reason::Truncated),
            ("[1", Reason::Truncated),
            ("[1,", Reason::Truncated),
            ("[1,]", Reason::ExpectedValue),
            ("[,]", Reason::ExpectedValue),
            ("[1 2]", Reason::ExpectedComma),
            ("[1}", Reason::ExpectedComma),
            ("{,}", Reason::ExpectedName),
            ("{\"a\"}", Reason::ExpectedColon),
            ("{\"a\":1,}", Reason::ExpectedName),
            ("{a:1}", Reason::ExpectedName),
            ("{'a':1}", Reason::ExpectedName),
            ("nul", Reason::ExpectedValue),
            ("nulll", Reason::Trailing),
            ("True", Reason::ExpectedValue),
            ("1 2", Reason::Trailing),
            ("\u{feff}1", Reason::ExpectedValue),
            ("\u{b}1", Reason::ExpectedValue),
            ("// 1", Reason::ExpectedValue),
        ];
        for (text, expected) in bad {
            assert_eq!(reason(text.as_bytes()), Some(*expected), "{text}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused_and_does_not_overflow_the_stack() {
        assert_eq!(reason("[".repeat(100_000).as_bytes()), Some(Reason::TooDeep));
        assert_eq!(reason(format!("{}{}", "[".repeat(32), "]".repeat(32)).as_bytes()), None);
    }
}
