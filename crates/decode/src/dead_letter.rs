//! Dead letters: payloads that could not be decoded, kept for whoever repairs the device. In memory, bounded.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::error::DecodeError;

/// How much of a payload is kept.
pub const HEAD_BYTES: usize = 256;

/// One payload that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadLetter {
    /// The device's id.
    pub device: String,
    /// The topic it was published to.
    pub topic: String,
    /// Why, in words.
    pub reason: String,
    /// The first [`HEAD_BYTES`] of the payload.
    pub head: Vec<u8>,
    /// When it arrived, microseconds UTC.
    pub at_us: i64,
}

/// The newest dead letters, and how many each device sent.
#[derive(Debug)]
pub struct DeadLetters {
    ring: VecDeque<DeadLetter>,
    capacity: usize,
    counts: FxHashMap<String, u64>,
    max_devices: usize,
    uncounted: u64,
}

impl DeadLetters {
    /// Keeps so many letters, and counts for so many devices.
    pub fn new(capacity: usize, max_devices: usize) -> Self {
        Self { ring: VecDeque::new(), capacity, counts: FxHashMap::default(), max_devices, uncounted: 0 }
    }

    /// Keeps a payload; the oldest makes room. A full list allocates nothing for a device that is counted already.
    pub fn add(&mut self, device: &str, topic: &str, error: &DecodeError, payload: &[u8], at_us: i64) {
        if let Some(count) = self.counts.get_mut(device) {
            *count += 1;
        } else if self.counts.len() < self.max_devices {
            self.counts.insert(device.to_owned(), 1);
        } else {
            self.uncounted += 1;
        }
        if self.capacity == 0 {
            return;
        }
        let mut letter = match self.ring.len() < self.capacity {
            true => DeadLetter::default(),
            false => self.ring.pop_front().unwrap_or_default(),
        };
        replace(&mut letter.device, device);
        replace(&mut letter.topic, topic);
        letter.reason.clear();
        // Writing to a String cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut letter.reason, format_args!("{error}"));
        letter.head.clear();
        letter.head.extend_from_slice(&payload[..payload.len().min(HEAD_BYTES)]);
        letter.at_us = at_us;
        self.ring.push_back(letter);
    }

    /// The letters kept, oldest first.
    pub fn letters(&self) -> impl DoubleEndedIterator<Item = &DeadLetter> {
        self.ring.iter()
    }

    /// How many a device sent since the start.
    pub fn count(&self, device: &str) -> u64 {
        self.counts.get(device).copied().unwrap_or(0)
    }

    /// How many came from devices beyond those that are counted one by one.
    pub fn uncounted(&self) -> u64 {
        self.uncounted
    }

    /// How many there were in all.
    pub fn total(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.uncounted
    }

    /// Forgets a device's count (it was removed).
    pub fn forget(&mut self, device: &str) {
        self.counts.remove(device);
    }
}

fn replace(target: &mut String, text: &str) {
    target.clear();
    target.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    fn error() -> DecodeError {
        DecodeError::new(Reason::ExpectedColon, 4)
    }

    #[test]
    fn the_newest_letters_are_kept_with_the_head_of_their_payload() {
        let mut letters = DeadLetters::new(2, 10);
        for n in 0..5_u8 {
            letters.add("pump-1", "devices/pump-1/telemetry", &error(), &[n; 1000], i64::from(n));
        }
        let kept: Vec<_> = letters.letters().map(|l| (l.at_us, l.head.clone())).collect();
        assert_eq!(kept, [(3, vec![3; HEAD_BYTES]), (4, vec![4; HEAD_BYTES])]);
        let newest = letters.letters().next_back().unwrap();
        assert_eq!(newest.reason, "byte 4: a colon must follow a member's name");
        assert_eq!((letters.count("pump-1"), letters.total()), (5, 5));
    }

    #[test]
    fn counts_are_bounded_too() {
        let mut letters = DeadLetters::new(0, 1);
        letters.add("a", "t", &error(), b"", 0);
        letters.add("b", "t", &error(), b"", 0);
        letters.add("a", "t", &error(), b"", 0);
        assert_eq!((letters.count("a"), letters.count("b"), letters.uncounted()), (2, 0, 1));
        assert_eq!(letters.total(), 3);
        assert_eq!(letters.letters().count(), 0);
        letters.forget("a");
        letters.add("b", "t", &error(), b"", 0);
        assert_eq!(letters.count("b"), 1);
    }
}
