//! UTF-8 strings as MQTT defines them (1.5.4): valid UTF-8 without U+0000.
//!
//! Short ASCII is the usual case, so it is checked eight bytes at a time; the last eight may overlap those
//! before.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The bytes as a string, or `None` if they are not valid UTF-8 or hold U+0000.
#[inline]
pub fn text(bytes: &[u8]) -> Option<&str> {
    if scan(bytes, not_plain) {
        // SAFETY: every byte is below 0x80, and ASCII is UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    slow(bytes)
}

/// The bytes as a topic name, if that shows at a glance: not empty, ASCII without U+0000 and wildcards.
/// `None` says that a closer look is needed.
#[inline]
pub(crate) fn plain_name(bytes: &[u8]) -> Option<&str> {
    if !bytes.is_empty() && scan(bytes, |word| not_plain(word) | wildcards(word)) {
        // SAFETY: every byte is below 0x80, and ASCII is UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    None
}

/// Has a byte outside 0x01..=0x7f its high bit in the result? A high bit stands for itself, and a zero byte
/// borrows when 1 is taken from it. Without such a byte the result has no high bit.
#[inline]
fn not_plain(word: u64) -> u64 {
    word | word.wrapping_sub(LOW)
}

/// Does a high bit in the result tell of `#` (0x23) or `+` (0x2b), which differ in one bit? Exact for ASCII.
#[inline]
fn wildcards(word: u64) -> u64 {
    let zero_if_found = (word | LOW << 3) ^ (LOW * 0x2b);
    zero_if_found.wrapping_sub(LOW) & !zero_if_found
}

/// True if `odd` sets no high bit for any of the bytes.
#[inline]
fn scan(bytes: &[u8], odd: impl Fn(u64) -> u64) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        // 1 is neither NUL nor beyond ASCII nor a wildcard, so that it pads without an effect.
        let word = bytes.iter().fold(LOW, |word, &byte| word << 8 | u64::from(byte));
        return odd(word) & HIGH == 0;
    };
    let mut found = odd(u64::from_le_bytes(*last));
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        found |= odd(u64::from_le_bytes(*chunk));
        rest = tail;
    }
    found & HIGH == 0
}

#[cold]
fn slow(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|s| !s.as_bytes().contains(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_told_from_all_others_at_every_position() {
        assert_eq!(plain_name(b""), None);
        for len in 1..40 {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'/'; len];
                    bytes[at] = byte;
                    let plain = (1..0x80).contains(&byte) && byte != b'+' && byte != b'#';
                    assert_eq!(plain_name(&bytes).is_some(), plain, "byte {byte:#x} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn nul_and_broken_utf8_are_refused_at_every_position() {
        for len in 0..40 {
            let good = vec![b'a'; len];
            assert_eq!(text(&good).map(str::len), Some(len));
            for at in 0..len {
                for bad in [0u8, 0x80, 0xff, 0xc0] {
                    let mut bytes = good.clone();
                    bytes[at] = bad;
                    assert_eq!(text(&bytes), None, "byte {bad:#x} at {at} of {len}");
                }
                for fine in [1u8, 0x7f] {
                    let mut bytes = good.clone();
                    bytes[at] = fine;
                    assert!(text(&bytes).is_some());
                }
            }
        }
    }

    #[test]
    fn surrogates_are_refused_and_the_byte_order_mark_is_kept() {
        assert_eq!(text(&[0xed, 0xa0, 0x80]), None);
        assert_eq!(text("\u{feff}é漢".as_bytes()), Some("\u{feff}é漢"));
    }
}
