//! From the values of GROUP BY to small integers, by which windows are found.

use std::sync::Arc;

use mohhos_decode::TextData;
use rustc_hash::FxHashMap;

use super::pairs::Pairs;
use crate::error::SnapshotError;
use crate::plan::Type;
use crate::snapshot::{Reader, Writer, damaged};
use crate::vector::{Frame, Scalar, TextVals, Valid, Vals, Vector, logic};

/// Key ids. One coded column is its own id; two are looked up among [`Pairs`]; all else is encoded.
#[derive(Debug)]
pub(super) enum Keys {
    /// No key: one window at a time.
    Single,
    /// The id is the code; 0 is NULL.
    Code { column: usize },
    /// Two codes.
    Pair { columns: [usize; 2], pairs: Pairs },
    /// Any columns, encoded by [`encode`].
    Rows { columns: Vec<usize>, kinds: Vec<Type>, ids: Ids },
}

/// Ids given to encoded keys as they come, and taken back when no window is open for them.
#[derive(Debug, Default)]
pub(super) struct Ids {
    map: FxHashMap<Arc<[u8]>, u32>,
    values: Vec<Option<Arc<[u8]>>>,
    /// Open windows per id.
    open: Vec<u32>,
    free: Vec<u32>,
    /// The keys' lengths, all together.
    heap: usize,
}

impl Ids {
    fn id(&mut self, key: &[u8]) -> u32 {
        if let Some(&id) = self.map.get(key) {
            return id;
        }
        let key: Arc<[u8]> = Arc::from(key);
        let id = self.free.pop().unwrap_or(self.values.len() as u32);
        if id as usize == self.values.len() {
            self.values.push(None);
            self.open.push(0);
        }
        self.heap += key.len();
        self.values[id as usize] = Some(key.clone());
        self.map.insert(key, id);
        id
    }

    fn release(&mut self, id: u32) {
        if self.open[id as usize] > 0 {
            return;
        }
        if let Some(key) = self.values[id as usize].take() {
            self.map.remove(&key);
            self.heap -= key.len();
            self.free.push(id);
        }
    }

    fn bytes(&self) -> usize {
        self.map.capacity() * 21 + self.values.len() * 24 + self.heap
    }
}

impl Keys {
    pub(super) fn new(columns: Vec<usize>, kinds: Vec<Type>) -> Self {
        let coded = |kind: &Type| matches!(kind, Type::Device | Type::Metric | Type::Quality);
        match columns.as_slice() {
            [] => Keys::Single,
            &[column] if coded(&kinds[0]) => Keys::Code { column },
            &[a, b] if kinds.iter().all(coded) => Keys::Pair { columns: [a, b], pairs: Pairs::default() },
            _ => Keys::Rows { columns, kinds, ids: Ids::default() },
        }
    }

    /// The key ids of the rows that are still in the frame; `None` if looking them up would exceed the bound.
    pub(super) fn ids<'f>(&mut self, frame: &'f Frame<'_>, max_bytes: usize) -> Option<Vals<'f, u32>> {
        Some(match self {
            Keys::Single => Vals::Const(0),
            Keys::Code { column } => codes(frame.column(*column)),
            Keys::Pair { columns: [a, b], pairs } => {
                let (a, b) = (codes(frame.column(*a)), codes(frame.column(*b)));
                let (a, b) = (a.dense(frame.len()), b.dense(frame.len()));
                if Pairs::bytes_with(a.iter().copied().max().unwrap_or(0)) > max_bytes {
                    return None;
                }
                Vals::Owned(a.iter().zip(b.iter()).map(|(&a, &b)| pairs.id(a, b)).collect())
            }
            Keys::Rows { columns, kinds, ids } => {
                let vectors: Vec<Vector<'_>> = columns.iter().map(|&c| frame.column(c)).collect();
                let mut scratch = Vec::new();
                let rows = 0..frame.len();
                let id = |row| {
                    scratch.clear();
                    for (vector, &kind) in vectors.iter().zip(kinds.iter()) {
                        encode(vector.scalar(row), kind, &mut scratch);
                    }
                    ids.id(&scratch)
                };
                Vals::Owned(rows.map(id).collect())
            }
        })
    }

    /// The code at a position of a key, for keys that have codes.
    pub(super) fn code_at(&self, id: u32, position: usize) -> u32 {
        match self {
            Keys::Single => 0,
            Keys::Code { .. } => id,
            Keys::Pair { pairs, .. } => {
                let (first, second) = pairs.pair(id);
                if position == 0 { first } else { second }
            }
            Keys::Rows { ids, kinds, .. } => match &ids.values[id as usize] {
                Some(key) => decode(key, kinds).nth(position).map_or(0, |part| match part {
                    Part::Bits(code) => code as u32,
                    Part::Null | Part::Text(_) => 0,
                }),
                None => 0,
            },
        }
    }

    /// A window of the key was opened.
    pub(super) fn opened(&mut self, id: u32) {
        match self {
            Keys::Single | Keys::Code { .. } => {}
            Keys::Pair { pairs, .. } => pairs.opened(id),
            Keys::Rows { ids, .. } => ids.open[id as usize] += 1,
        }
    }

    /// A window of the key was closed.
    pub(super) fn closed(&mut self, id: u32) {
        match self {
            Keys::Single | Keys::Code { .. } => {}
            Keys::Pair { pairs, .. } => pairs.closed(id),
            Keys::Rows { ids, .. } => ids.open[id as usize] -= 1,
        }
        self.release(id);
    }

    /// Forgets a key for which no window is open.
    pub(super) fn release(&mut self, id: u32) {
        match self {
            Keys::Single | Keys::Code { .. } => {}
            Keys::Pair { pairs, .. } => pairs.release(id),
            Keys::Rows { ids, .. } => ids.release(id),
        }
    }

    /// The order of keys in the output, the same whatever the ids are.
    pub(super) fn order(&self, a: u32, b: u32) -> std::cmp::Ordering {
        match self {
            Keys::Single | Keys::Code { .. } => a.cmp(&b),
            Keys::Pair { pairs, .. } => pairs.pair(a).cmp(&pairs.pair(b)),
            Keys::Rows { ids, .. } => ids.values[a as usize].cmp(&ids.values[b as usize]),
        }
    }

    /// The key's columns, for these ids.
    pub(super) fn columns(&self, ids_out: &[u32]) -> Vec<Vector<'static>> {
        let coded = |codes: Vec<u32>| {
            let valid = if codes.contains(&0) {
                Valid::Mask(codes.iter().map(|&c| u8::from(c != 0)).collect())
            } else {
                Valid::All
            };
            Vector::Code(Vals::Owned(codes), valid)
        };
        match self {
            Keys::Single => Vec::new(),
            Keys::Code { .. } => vec![coded(ids_out.to_vec())],
            Keys::Pair { .. } => {
                (0..2).map(|p| coded(ids_out.iter().map(|&id| self.code_at(id, p)).collect())).collect()
            }
            Keys::Rows { kinds, ids, .. } => {
                let mut columns: Vec<Collected> = kinds.iter().map(|_| Collected::default()).collect();
                for &id in ids_out {
                    let Some(key) = &ids.values[id as usize] else { continue };
                    columns.iter_mut().zip(decode(key, kinds)).for_each(|(column, part)| column.push(part));
                }
                columns.into_iter().zip(kinds).map(|(column, &kind)| column.finish(kind)).collect()
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Keys::Single | Keys::Code { .. } => 0,
            Keys::Pair { pairs, .. } => pairs.bytes(),
            Keys::Rows { ids, .. } => ids.bytes(),
        }
    }

    pub(super) fn write(&self, id: u32, out: &mut Writer) {
        match self {
            Keys::Single => {}
            Keys::Code { .. } => out.u32(id),
            Keys::Pair { pairs, .. } => {
                let (first, second) = pairs.pair(id);
                out.u32(first);
                out.u32(second);
            }
            Keys::Rows { ids, .. } => out.string(ids.values[id as usize].as_deref().unwrap_or(&[])),
        }
    }

    pub(super) fn read(&mut self, input: &mut Reader<'_>, max_bytes: usize) -> Result<u32, SnapshotError> {
        Ok(match self {
            Keys::Single => 0,
            Keys::Code { .. } => input.u32()?,
            Keys::Pair { pairs, .. } => {
                let (first, second) = (input.u32()?, input.u32()?);
                if Pairs::bytes_with(first) > max_bytes {
                    return Err(damaged("a key exceeds the bound on state"));
                }
                pairs.id(first, second)
            }
            Keys::Rows { ids, kinds, .. } => {
                let key = input.string()?;
                if decode(key, kinds).count() != kinds.len() {
                    return Err(damaged("a key has other columns than the rule"));
                }
                ids.id(key)
            }
        })
    }
}

/// The codes of a column, 0 where it is NULL.
fn codes(vector: Vector<'_>) -> Vals<'_, u32> {
    match vector {
        Vector::Code(codes, Valid::All) => codes,
        Vector::Code(codes, Valid::Mask(mask)) => {
            codes.zip(&Vals::Slice(&mask), |c, m| if m == 0 { 0 } else { c })
        }
        _ => Vals::Const(0),
    }
}

/// One value of a key: a 0 for NULL; else a 1, then 8 bytes, or 4 bytes of length and a string.
fn encode(value: Scalar<'_>, kind: Type, out: &mut Vec<u8>) {
    let bits = match value {
        Scalar::Null => return out.push(0),
        Scalar::Text(text) => {
            out.push(1);
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            return out.extend_from_slice(text.as_bytes());
        }
        Scalar::F64(v) if v.is_nan() => f64::NAN.to_bits(),
        Scalar::F64(v) => v.to_bits(),
        // SQL sees milliseconds.
        Scalar::I64(v) if kind == Type::Timestamp => (v.div_euclid(1000) * 1000) as u64,
        Scalar::I64(v) => v as u64,
        Scalar::Bool(v) => u64::from(v),
    };
    out.push(1);
    out.extend_from_slice(&bits.to_le_bytes());
}

enum Part<'k> {
    Null,
    Bits(u64),
    Text(&'k str),
}

/// The values of an encoded key; ends early where it is damaged.
fn decode<'k>(mut key: &'k [u8], kinds: &'k [Type]) -> impl Iterator<Item = Part<'k>> {
    kinds.iter().map_while(move |&kind| {
        let (&tag, rest) = key.split_first()?;
        key = rest;
        if tag == 0 {
            return Some(Part::Null);
        }
        if kind == Type::Text {
            let (length, rest) = key.split_first_chunk::<4>()?;
            let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            key = rest;
            return Some(Part::Text(std::str::from_utf8(text).ok()?));
        }
        let (bits, rest) = key.split_first_chunk::<8>()?;
        key = rest;
        Some(Part::Bits(u64::from_le_bytes(*bits)))
    })
}

#[derive(Default)]
struct Collected {
    bits: Vec<u64>,
    text: TextData,
    mask: Vec<u8>,
}

impl Collected {
    fn push(&mut self, part: Part<'_>) {
        let (bits, text, valid) = match part {
            Part::Null => (0, "", 0),
            Part::Bits(bits) => (bits, "", 1),
            Part::Text(text) => (0, text, 1),
        };
        self.bits.push(bits);
        self.text.push(text);
        self.mask.push(valid);
    }

    fn finish(self, kind: Type) -> Vector<'static> {
        let (bits, valid) = (self.bits, Valid::Mask(self.mask.into()));
        match kind {
            Type::Double => Vector::F64(Vals::Owned(bits.into_iter().map(f64::from_bits).collect()), valid),
            Type::Int | Type::BigInt | Type::Timestamp => {
                Vector::I64(Vals::Owned(bits.into_iter().map(|b| b as i64).collect()), valid)
            }
            Type::Device | Type::Metric | Type::Quality => {
                Vector::Code(Vals::Owned(bits.into_iter().map(|b| b as u32).collect()), valid)
            }
            Type::Text => Vector::Text(TextVals::Owned(self.text), valid),
            Type::Boolean => {
                let truth = |(bits, row)| match (valid.get(row), bits) {
                    (false, _) => logic::NULL,
                    (true, 0) => logic::FALSE,
                    (true, _) => logic::TRUE,
                };
                let rows = 0..bits.len();
                Vector::Bool(Vals::Owned(bits.into_iter().zip(rows).map(truth).collect()))
            }
        }
    }
}
