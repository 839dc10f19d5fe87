//! UTF-8 strings as MQTT defines them (1.5.4): valid UTF-8 without U+0000.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The bytes as a string, or `None` if they are not valid UTF-8 or hold U+0000. Short ASCII, the usual case, is
/// checked eight bytes at a time.
#[inline]
pub fn text(bytes: &[u8]) -> Option<&str> {
    let mut chunks = bytes.chunks_exact(8);
    let mut ok = true;
    for chunk in &mut chunks {
        ok &= plain(word(chunk));
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        // 1 is neither NUL nor beyond ASCII, so that it pads without an effect.
        let mut last = [1u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        ok &= plain(u64::from_le_bytes(last));
    }
    if ok {
        // SAFETY: every byte is below 0x80, and ASCII is UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    slow(bytes)
}

/// All eight bytes are in 0x01..=0x7f: no high bit is set, and none borrows when 1 is taken from it.
#[inline]
fn plain(word: u64) -> bool {
    (word | word.wrapping_sub(LOW)) & HIGH == 0
}

#[inline]
fn word(chunk: &[u8]) -> u64 {
    let mut bytes = [0u8; 8];
    bytes.copy_from_slice(chunk);
    u64::from_le_bytes(bytes)
}

#[cold]
fn slow(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|s| !s.as_bytes().contains(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

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
