//! Shapes: the names of a message in their order. Devices send the same names in the same order for ever, so a
//! name is recognised by comparing bytes with the one at the same place of the message before, without hashing.

use rustc_hash::FxHashMap;
use std::hash::{BuildHasher, Hash};

/// How many shapes are kept; the oldest makes room.
const MAX_SHAPES: usize = 4096;
/// How many names of a message are remembered; those after are resolved one by one.
const MAX_KEYS: usize = 64;
/// How many bytes these names may have together.
const MAX_BYTES: usize = 4096;

/// Refers to a shape; outlives it harmlessly. The default refers to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShapeRef {
    index: u32,
    generation: u32,
}

/// The distinct names of a message and their codes, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Names, one after the other.
    bytes: Vec<u8>,
    /// Start and end of each name in `bytes`, and its code.
    keys: Vec<(u32, u32, u32)>,
}

impl Shape {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), keys: Vec::new() }
    }

    /// Name and code at a place.
    #[inline]
    pub(crate) fn key(&self, place: usize) -> Option<(&[u8], u32)> {
        let &(start, end, code) = self.keys.get(place)?;
        Some((self.bytes.get(start as usize..end as usize)?, code))
    }

    /// The code at a place.
    #[inline]
    pub(crate) fn code(&self, place: usize) -> Option<u32> {
        self.keys.get(place).map(|&(_, _, code)| code)
    }

    /// Adds a name; `false` if the shape is as long as it may be or has the code already, or if the name would need
    /// escapes in JSON, so that its bytes could not be compared with those of a payload.
    pub(crate) fn push(&mut self, name: &[u8], code: u32) -> bool {
        let start = self.bytes.len();
        let full = self.keys.len() >= MAX_KEYS || start + name.len() > MAX_BYTES;
        let escaped = name.iter().any(|&b| b == b'"' || b == b'\\' || b < 0x20);
        if full || escaped || self.keys.iter().any(|&(_, _, c)| c == code) {
            return false;
        }
        self.bytes.extend_from_slice(name);
        self.keys.push((start as u32, self.bytes.len() as u32, code));
        true
    }

    /// Becomes the first `places` names of another.
    pub(crate) fn copy_prefix(&mut self, other: &Shape, places: usize) {
        self.clear();
        let keys = other.keys.get(..places).unwrap_or(&other.keys);
        let end = keys.last().map_or(0, |&(_, end, _)| end as usize);
        self.keys.extend_from_slice(keys);
        self.bytes.extend_from_slice(other.bytes.get(..end).unwrap_or_default());
    }

    /// The last name and its code.
    pub(crate) fn last(&self) -> Option<(&[u8], u32)> {
        self.key(self.keys.len().checked_sub(1)?)
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.keys.clear();
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Hash for Shape {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
        for &(_, end, code) in &self.keys {
            (end, code).hash(state);
        }
    }
}

/// The shapes that one shard has seen, shared by its devices.
///
/// That a device refers to a shape means that each of its names was resolved for this device once, so that limits
/// per device hold although the shape is shared.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    slots: Vec<(u32, u64, Shape)>,
    by_hash: FxHashMap<u64, u32>,
    oldest: usize,
    generation: u32,
}

impl Shapes {
    /// The shape, if it is still there.
    #[inline]
    pub(crate) fn get(&self, shape: ShapeRef) -> Option<&Shape> {
        let (generation, _, found) = self.slots.get(shape.index as usize)?;
        (*generation == shape.generation).then_some(found)
    }

    /// Refers to a shape equal to this one, which is added if there is none.
    pub(crate) fn intern(&mut self, shape: &Shape) -> ShapeRef {
        let hash = rustc_hash::FxBuildHasher.hash_one(shape);
        if let Some(&index) = self.by_hash.get(&hash)
            && let Some((generation, _, found)) = self.slots.get(index as usize)
            && found == shape
        {
            return ShapeRef { index, generation: *generation };
        }
        // Generation 0 is never given, so that the default reference refers to nothing.
        self.generation = self.generation.wrapping_add(1).max(1);
        let entry = (self.generation, hash, shape.clone());
        let index = if self.slots.len() < MAX_SHAPES {
            self.slots.push(entry);
            self.slots.len() - 1
        } else {
            let index = self.oldest;
            self.oldest = (index + 1) % MAX_SHAPES;
            let replaced = std::mem::replace(&mut self.slots[index], entry);
            if self.by_hash.get(&replaced.1) == Some(&(index as u32)) {
                self.by_hash.remove(&replaced.1);
            }
            index
        };
        self.by_hash.insert(hash, index as u32);
        ShapeRef { index: index as u32, generation: self.generation }
    }
}
