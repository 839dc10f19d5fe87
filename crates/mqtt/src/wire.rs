//! The data types of the wire (1.5): reading with bounds checked, writing with lengths checked.

use crate::error::DecodeError;
use crate::text::text;

/// The largest value of a variable byte integer (1.5.5).
pub(crate) const MAX_VARINT: u32 = 268_435_455;

const SHORT: DecodeError = DecodeError::malformed("the packet ends in the middle of a field");

/// Takes fields from the front of a packet's body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(SHORT)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = tail;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A packet identifier, which is never 0 (2.2.1).
    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<u16, DecodeError> {
        match self.u16()? {
            0 => Err(DecodeError::protocol("packet identifier 0")),
            id => Ok(id),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for index in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if byte == 0 && index > 0 {
                    return Err(DecodeError::malformed("a variable byte integer is longer than needed"));
                }
                return Ok(value);
            }
        }
        Err(DecodeError::malformed("a variable byte integer is longer than four bytes"))
    }

    /// Binary data (1.5.6).
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A UTF-8 string (1.5.4).
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        text(self.binary()?).ok_or(DecodeError::malformed("a string is not valid UTF-8 or holds U+0000"))
    }

    #[inline]
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::malformed("bytes after the packet's last field"))
        }
    }
}

/// The packet cannot be encoded: a string or binary field is longer than 65,535 bytes, the packet longer than
/// 268,435,460, or a field has no form in the version that was asked for. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeError(pub &'static str);

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for EncodeError {}

/// How many bytes a variable byte integer takes.
#[inline]
pub(crate) const fn varint_len(value: u32) -> usize {
    match value {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    debug_assert!(value <= MAX_VARINT);
    while value > 127 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[inline]
pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Writes binary data or a string. The caller has checked its length with [`field_len`].
#[inline]
pub(crate) fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX));
    put_u16(out, bytes.len() as u16);
    out.extend_from_slice(bytes);
}

/// The encoded length of binary data or a string.
#[inline]
pub(crate) fn field_len(bytes: &[u8]) -> Result<usize, EncodeError> {
    if bytes.len() > usize::from(u16::MAX) {
        return Err(EncodeError("a string or binary field is longer than 65,535 bytes"));
    }
    Ok(2 + bytes.len())
}

/// Checks a remaining length.
#[inline]
pub(crate) fn remaining_length(len: usize) -> Result<u32, EncodeError> {
    if len > MAX_VARINT as usize {
        return Err(EncodeError("the packet is longer than MQTT allows"));
    }
    Ok(len as u32)
}

/// Writes a fixed header.
#[inline]
pub(crate) fn put_header(out: &mut Vec<u8>, first: u8, remaining_length: u32) {
    out.push(first);
    put_varint(out, remaining_length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_byte_integers_round_trip_at_their_borders() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, MAX_VARINT] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value));
            assert_eq!(Reader::new(&out).varint(), Ok(value));
        }
    }

    #[test]
    fn overlong_variable_byte_integers_are_malformed() {
        for bytes in [&[0x80, 0x00][..], &[0xff, 0xff, 0xff, 0x80, 0x01], &[0x81, 0x80, 0x00]] {
            assert!(Reader::new(bytes).varint().is_err(), "{bytes:x?}");
        }
    }
}
