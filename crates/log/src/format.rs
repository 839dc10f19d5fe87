//! The format of the log on disk, version 2, little endian, and its invariants.
//!
//! A segment is a file `{base as 16 hexadecimal digits}.log`:
//!
//! | at | bytes | what |
//! | --- | --- | --- |
//! | 0 | 512 | header: magic `MOHHSEG\n`, u32 version, u32 flags (1: rewritten), u64 base, u64 previous end, u64 salt, u32 CRC-32C of these |
//! | 512 | 512 | seal, zeros while the segment is written: magic `MOHHSEAL`, u64 end, i64 newest wall time, i64 newest wall time of a synchronised clock, u32 CRC-32C of these and the salt |
//! | 1024 | 512 | bytes of records by topic class, written with the seal: magic `MOHHCLAS`, u32 fingerprint of the classes, u32 zero, 16 × u64 bytes, u32 CRC-32C of these and the salt |
//! | 1536 | 2560 | zeros |
//! | 4096 + base mod 4096 | … | groups, one behind the other (in a rewritten segment: from 4096 on) |
//!
//! A group is what one commit made durable: a header of 48 bytes, then records (see [`crate::record`]):
//!
//! | at | bytes | what |
//! | --- | --- | --- |
//! | 0 | 4 | mark, an odd number, so that it cannot be the length of a record |
//! | 4 | 4 | length of the records, a multiple of 8 |
//! | 8 | 8 | offset of this header |
//! | 16 | 8 | salt of the segment |
//! | 24 | 16 | newest wall time, newest wall time of a synchronised clock (the smallest i64: none) |
//! | 40 | 4 | CRC-32C of the records |
//! | 44 | 4 | CRC-32C of the 44 bytes before |
//!
//! Invariants
//! 1. An offset is `base + (position in the file - first position of a group)`; offsets grow and are never used twice,
//!    not even those of records that a crash took before their commit: each opening of the log starts a segment at
//!    least [`OFFSET_GAP`] behind everything that was ever handed out. `previous end` tells this gap, where nothing was
//!    ever committed, from a range that is missing.
//! 2. A committed byte is never written with another value. A commit begins in the middle of a block and writes the
//!    head of that block again with the same bytes; a write torn at any sector leaves what was committed.
//! 3. One group is written at a time, and the next only after it was synced. So a group that is not whole can only be
//!    the last of a segment, unless the medium is damaged; a whole group behind a broken one means damage.
//! 4. After a failed write or sync, nothing is believed of the file any more: the group is written again to a new
//!    segment, whose base is the offset of the group. A segment therefore ends at the latest where the next begins.
//! 5. A segment's file is in place under its name, header included, before its first group is written. A file is used
//!    again for a new segment (the salt tells old groups in it from new ones) only after its name was given up.
//! 6. The seal is written after the last group, when the next segment is in place; it only saves reading the segment
//!    at the next opening. Without one, the segment is read and checked. The same holds for the bytes by class: who
//!    finds none, or those of other classes, reads the segment when it needs them.
//! 7. A rewritten segment stands for a run of older ones, from the base of the first to the end of the last, of which
//!    it has only the records of classes that are kept longer, at the offsets that they always had. Its groups need not
//!    follow on each other: one begins 48 bytes before its first record, in what was dropped, and where it is in the
//!    file only the groups before it tell. It gets its name (that of the first segment) when all of it is synced; those
//!    of the other segments are removed afterwards, and a segment whose base lies in a rewritten one is left over from
//!    a crash in between.
//!
//! Version 1 had neither flags nor bytes by class; its segments are read, and written on from a segment of version 2.

use crate::class::{ClassBytes, MAX_CLASSES};
use crate::fs::BLOCK;
use crate::record::{u32_at, u64_at};

/// The version of the format.
pub const LOG_VERSION: u32 = 2;
/// The oldest version that is read.
const OLDEST_VERSION: u32 = 1;
const FLAG_REWRITTEN: u32 = 1;
/// Offsets left out at each opening: more than can be appended and not committed.
pub(crate) const OFFSET_GAP: u64 = 1 << 31;
/// What may be appended and not committed at most, whatever the configuration says.
pub(crate) const MAX_UNCOMMITTED: usize = 1 << 30;
pub(crate) const GROUP_HEADER: usize = 48;
pub(crate) const GROUP_MARK: u32 = 0x4752_504D;
pub(crate) const SEGMENT_SUFFIX: &str = ".log";
const SEAL_AT: usize = 512;
const CLASSES_AT: usize = 1024;
const CLASSES_LEN: usize = 16 + 8 * MAX_CLASSES;
const SEGMENT_MAGIC: &[u8; 8] = b"MOHHSEG\n";
const SEAL_MAGIC: &[u8; 8] = b"MOHHSEAL";
const CLASSES_MAGIC: &[u8; 8] = b"MOHHCLAS";
const NO_TIME: i64 = i64::MIN;

/// The newest times in a group or segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) wall_us: Option<i64>,
    pub(crate) synchronised_us: Option<i64>,
}

impl Times {
    pub(crate) fn join(self, other: Times) -> Times {
        Times {
            wall_us: self.wall_us.max(other.wall_us),
            synchronised_us: self.synchronised_us.max(other.synchronised_us),
        }
    }

    fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.wall_us.unwrap_or(NO_TIME).to_le_bytes());
        bytes[8..].copy_from_slice(&self.synchronised_us.unwrap_or(NO_TIME).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8], at: usize) -> Times {
        let time = |at| Some(u64_at(bytes, at) as i64).filter(|time| *time != NO_TIME);
        Times { wall_us: time(at), synchronised_us: time(at + 8) }
    }
}

/// The head of a segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) base: u64,
    pub(crate) previous_end: u64,
    pub(crate) salt: u64,
    /// Invariant 7.
    pub(crate) rewritten: bool,
}

/// Written behind the header when the segment gets no more groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) end: u64,
    pub(crate) times: Times,
    /// Bytes of records by class, and the fingerprint of these classes.
    pub(crate) classes: Option<(u32, ClassBytes)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    /// The file name of a segment with this base.
    pub(crate) fn file_name(base: u64) -> String {
        format!("{base:016x}{SEGMENT_SUFFIX}")
    }

    /// The base in a file name.
    pub(crate) fn base_of(name: &str) -> Option<u64> {
        let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
        let base = u64::from_str_radix(digits, 16).ok()?;
        (SegmentHeader::file_name(base) == name).then_some(base)
    }

    /// Where in the file an offset is, unless the segment is rewritten.
    pub(crate) fn position(&self, offset: u64) -> u64 {
        BLOCK as u64 + self.base % BLOCK as u64 + (offset - self.base)
    }

    /// The block at the head of the file.
    pub(crate) fn encode(&self, seal: Option<&Seal>, block: &mut [u8]) {
        block.fill(0);
        block[..8].copy_from_slice(SEGMENT_MAGIC);
        block[8..12].copy_from_slice(&LOG_VERSION.to_le_bytes());
        let flags = if self.rewritten { FLAG_REWRITTEN } else { 0 };
        block[12..16].copy_from_slice(&flags.to_le_bytes());
        block[16..24].copy_from_slice(&self.base.to_le_bytes());
        block[24..32].copy_from_slice(&self.previous_end.to_le_bytes());
        block[32..40].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = crc32c::crc32c(&block[..40]);
        block[40..44].copy_from_slice(&checksum.to_le_bytes());
        if let Some(seal) = seal {
            let sector = &mut block[SEAL_AT..];
            sector[..8].copy_from_slice(SEAL_MAGIC);
            sector[8..16].copy_from_slice(&seal.end.to_le_bytes());
            sector[16..32].copy_from_slice(&seal.times.encode());
            let checksum = crc32c::crc32c_append(self.salt as u32, &sector[..32]);
            sector[32..36].copy_from_slice(&checksum.to_le_bytes());
            if let Some((fingerprint, bytes)) = &seal.classes {
                encode_classes(*fingerprint, bytes, self.salt, &mut block[CLASSES_AT..]);
            }
        }
    }

    pub(crate) fn decode(block: &[u8]) -> Result<(SegmentHeader, Option<Seal>), HeaderError> {
        if block.len() < BLOCK
            || &block[..8] != SEGMENT_MAGIC
            || crc32c::crc32c(&block[..40]) != u32_at(block, 40)
        {
            return Err(HeaderError::Damaged);
        }
        let version = u32_at(block, 8);
        if !(OLDEST_VERSION..=LOG_VERSION).contains(&version) {
            return Err(HeaderError::Version(version));
        }
        let header = SegmentHeader {
            base: u64_at(block, 16),
            previous_end: u64_at(block, 24),
            salt: u64_at(block, 32),
            rewritten: u32_at(block, 12) & FLAG_REWRITTEN != 0,
        };
        let sector = &block[SEAL_AT..];
        let sealed = &sector[..8] == SEAL_MAGIC
            && crc32c::crc32c_append(header.salt as u32, &sector[..32]) == u32_at(sector, 32)
            && u64_at(sector, 8) >= header.base;
        let seal = sealed.then(|| Seal {
            end: u64_at(sector, 8),
            times: Times::decode(sector, 16),
            classes: decode_classes(header.salt, &block[CLASSES_AT..]),
        });
        Ok((header, seal))
    }
}

fn encode_classes(fingerprint: u32, bytes: &ClassBytes, salt: u64, sector: &mut [u8]) {
    sector[..8].copy_from_slice(CLASSES_MAGIC);
    sector[8..12].copy_from_slice(&fingerprint.to_le_bytes());
    for (slot, bytes) in sector[16..CLASSES_LEN].chunks_exact_mut(8).zip(bytes) {
        slot.copy_from_slice(&bytes.to_le_bytes());
    }
    let checksum = crc32c::crc32c_append(salt as u32, &sector[..CLASSES_LEN]);
    sector[CLASSES_LEN..CLASSES_LEN + 4].copy_from_slice(&checksum.to_le_bytes());
}

fn decode_classes(salt: u64, sector: &[u8]) -> Option<(u32, ClassBytes)> {
    let sound = &sector[..8] == CLASSES_MAGIC
        && crc32c::crc32c_append(salt as u32, &sector[..CLASSES_LEN]) == u32_at(sector, CLASSES_LEN);
    sound.then(|| (u32_at(sector, 8), std::array::from_fn(|class| u64_at(sector, 16 + 8 * class))))
}

/// The head of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    pub(crate) body_len: u32,
    pub(crate) offset: u64,
    pub(crate) salt: u64,
    pub(crate) times: Times,
    pub(crate) body_checksum: u32,
}

impl GroupHeader {
    pub(crate) fn encode(&self) -> [u8; GROUP_HEADER] {
        let mut bytes = [0; GROUP_HEADER];
        bytes[..4].copy_from_slice(&GROUP_MARK.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.times.encode());
        bytes[40..44].copy_from_slice(&self.body_checksum.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..44]);
        bytes[44..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The group header at the head of `bytes`, if one is there that belongs at `offset` in a segment of this salt.
    pub(crate) fn decode(bytes: &[u8], offset: u64, salt: u64) -> Option<GroupHeader> {
        GroupHeader::decode_any(bytes, salt).filter(|group| group.offset == offset)
    }

    /// The group header at the head of `bytes`, if one is there of a segment of this salt.
    pub(crate) fn decode_any(bytes: &[u8], salt: u64) -> Option<GroupHeader> {
        if bytes.len() < GROUP_HEADER
            || u32_at(bytes, 0) != GROUP_MARK
            || u64_at(bytes, 16) != salt
            || crc32c::crc32c(&bytes[..44]) != u32_at(bytes, 44)
        {
            return None;
        }
        let body_len = u32_at(bytes, 4);
        let plausible = body_len.is_multiple_of(8) && body_len as usize <= MAX_UNCOMMITTED;
        plausible.then(|| GroupHeader {
            body_len,
            offset: u64_at(bytes, 8),
            salt,
            times: Times::decode(bytes, 24),
            body_checksum: u32_at(bytes, 40),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_seal_come_back_as_written() {
        let header = SegmentHeader { base: 12_345_000, previous_end: 12_000, salt: 99, rewritten: true };
        let classes = Some((7, std::array::from_fn(|class| class as u64)));
        let seal =
            Seal { end: 13_000_000, times: Times { wall_us: Some(-5), synchronised_us: None }, classes };
        let mut block = vec![7; BLOCK];
        header.encode(Some(&seal), &mut block);
        assert_eq!(SegmentHeader::decode(&block), Ok((header, Some(seal))));
        header.encode(None, &mut block);
        assert_eq!(SegmentHeader::decode(&block), Ok((header, None)));
    }

    #[test]
    fn a_flipped_bit_in_header_or_seal_is_noticed() {
        let header = SegmentHeader { base: 4096, previous_end: 4096, salt: 99, rewritten: false };
        let seal = Seal { end: 8192, times: Times::default(), classes: Some((1, [9; MAX_CLASSES])) };
        let mut block = vec![0; BLOCK];
        let sectors = [(0, 44), (SEAL_AT, 36), (CLASSES_AT, CLASSES_LEN + 4)];
        for bit in sectors.into_iter().flat_map(|(at, len)| at * 8..(at + len) * 8) {
            header.encode(Some(&seal), &mut block);
            block[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(SegmentHeader::decode(&block), Ok((header, Some(seal))), "bit {bit}");
        }
    }

    #[test]
    fn a_group_is_known_only_at_its_own_offset_and_salt() {
        let group =
            GroupHeader { body_len: 64, offset: 4096, salt: 5, times: Times::default(), body_checksum: 1 };
        let bytes = group.encode();
        assert_eq!(GroupHeader::decode(&bytes, 4096, 5), Some(group));
        assert_eq!(GroupHeader::decode(&bytes, 4104, 5), None);
        assert_eq!(GroupHeader::decode(&bytes, 4096, 6), None);
    }

    #[test]
    fn names_of_segments_sort_like_their_bases_and_strangers_are_left_alone() {
        assert_eq!(SegmentHeader::base_of(&SegmentHeader::file_name(1 << 40)), Some(1 << 40));
        assert!(SegmentHeader::file_name(15) < SegmentHeader::file_name(16));
        for stranger in ["notes.log", "+00000000000000f.log", "10.log", "000000000000000F.log", "spare-1"] {
            assert_eq!(SegmentHeader::base_of(stranger), None, "{stranger}");
        }
    }
}
