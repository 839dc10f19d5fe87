//! The fixed header (2.1).

use crate::error::DecodeError;
use crate::reason::ReasonCode;
use crate::wire::{MAX_VARINT, varint_len};

/// The largest remaining length that the fixed header can say.
pub const MAX_REMAINING_LENGTH: u32 = MAX_VARINT;

/// The type of a control packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    const fn from_u4(value: u8) -> Option<PacketType> {
        Some(match value {
            1 => PacketType::Connect,
            2 => PacketType::ConnAck,
            3 => PacketType::Publish,
            4 => PacketType::PubAck,
            5 => PacketType::PubRec,
            6 => PacketType::PubRel,
            7 => PacketType::PubComp,
            8 => PacketType::Subscribe,
            9 => PacketType::SubAck,
            10 => PacketType::Unsubscribe,
            11 => PacketType::UnsubAck,
            12 => PacketType::PingReq,
            13 => PacketType::PingResp,
            14 => PacketType::Disconnect,
            15 => PacketType::Auth,
            _ => return None,
        })
    }

    /// The first byte of a packet of this type without flags of its own: the type, and the bits that the
    /// standard fixes (2.1.3).
    pub(crate) const fn first_byte(self) -> u8 {
        let fixed = match self {
            PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 0b0010,
            _ => 0,
        };
        (self as u8) << 4 | fixed
    }
}

/// What the fixed header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The packet's type.
    pub packet_type: PacketType,
    /// The low four bits of the first byte.
    pub flags: u8,
    /// How many bytes the fixed header takes.
    pub header_len: usize,
    /// How many bytes the whole packet takes.
    pub total_len: usize,
}

impl Frame {
    /// MQTT 5 demands the shortest form of the remaining length (1.5.5). A CONNECT is spared, for it may come
    /// from a 3.1.1 client.
    pub(super) fn check_shortest(&self) -> Result<(), DecodeError> {
        let shortest = varint_len((self.total_len - self.header_len) as u32);
        if self.header_len > 1 + shortest && self.packet_type != PacketType::Connect {
            return Err(DecodeError::malformed("the remaining length is longer than needed"));
        }
        Ok(())
    }
}

/// Reads the fixed header at the start of `buf`, or `None` while it is incomplete. Type, flags and size are
/// checked here, before any more of the packet has to be there.
#[inline]
pub fn frame(buf: &[u8], max_size: u32) -> Result<Option<Frame>, DecodeError> {
    let Some(&first) = buf.first() else { return Ok(None) };
    let flags = first & 0x0f;
    let packet_type = if first >> 4 == PacketType::Publish as u8 {
        check_publish_flags(flags)?;
        PacketType::Publish
    } else {
        type_of(first)?
    };
    let Some((header_len, remaining)) = remaining_length(buf)? else { return Ok(None) };
    let total_len = header_len + remaining as usize;
    if total_len as u64 > u64::from(max_size) {
        return Err(DecodeError::new(ReasonCode::PacketTooLarge, "the packet is larger than permitted"));
    }
    Ok(Some(Frame { packet_type, flags, header_len, total_len }))
}

#[inline]
fn check_publish_flags(flags: u8) -> Result<(), DecodeError> {
    if flags & 0b0110 == 0b0110 {
        return Err(DecodeError::malformed("PUBLISH with QoS 3"));
    }
    if flags & 0b1110 == 0b1000 {
        return Err(DecodeError::malformed("PUBLISH with QoS 0 and DUP"));
    }
    Ok(())
}

fn type_of(first: u8) -> Result<PacketType, DecodeError> {
    let packet_type = PacketType::from_u4(first >> 4).ok_or(DecodeError::malformed("packet type 0"))?;
    if first != packet_type.first_byte() {
        return Err(DecodeError::malformed("reserved flags in the fixed header"));
    }
    Ok(packet_type)
}

/// Where the body begins, and its length. Most packets are short, and one byte says it.
#[inline]
fn remaining_length(buf: &[u8]) -> Result<Option<(usize, u32)>, DecodeError> {
    match buf.get(1) {
        None => Ok(None),
        Some(&byte) if byte & 0x80 == 0 => Ok(Some((2, u32::from(byte)))),
        Some(_) => long_remaining_length(buf),
    }
}

fn long_remaining_length(buf: &[u8]) -> Result<Option<(usize, u32)>, DecodeError> {
    let mut remaining = 0;
    for index in 0..4 {
        let Some(&byte) = buf.get(1 + index) else { return Ok(None) };
        remaining |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((2 + index, remaining)));
        }
    }
    Err(DecodeError::malformed("the remaining length is longer than four bytes"))
}
