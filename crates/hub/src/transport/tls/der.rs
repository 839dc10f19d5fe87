//! Elements of DER (X.690): what little the gateway reads of certificates whose signatures were verified.

/// The tag of a sequence.
pub const SEQUENCE: u8 = 0x30;
/// The tag of a set.
pub const SET: u8 = 0x31;

/// The content of the next element, if it has this tag.
pub fn take<'a>(bytes: &mut &'a [u8], wanted: u8) -> Option<&'a [u8]> {
    let (tag, value) = take_any(bytes)?;
    (tag == wanted).then_some(value)
}

/// The next element: its tag and content. Lengths as DER has them, of at most two bytes.
pub fn take_any<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match (first, rest) {
        (0..=127, rest) => (usize::from(first), rest),
        (0x81, [length, rest @ ..]) => (usize::from(*length), rest),
        (0x82, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some((tag, value))
}
