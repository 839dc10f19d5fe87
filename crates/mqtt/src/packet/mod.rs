//! Control packets: views over the bytes that were read, and their encoding.
//!
//! [`decode`] never copies and never looks beyond the packet's end. Lists inside a packet (properties,
//! filters, reason codes) stay encoded bytes behind an iterator; they are checked once, while decoding.

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod frame;
mod publish;
mod suback;
mod subscribe;
mod unsubscribe;

pub use ack::Ack;
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, WillView};
pub use disconnect::Disconnect;
pub use frame::{Frame, MAX_REMAINING_LENGTH, PacketType, frame};
pub use publish::Publish;
pub(crate) use publish::first_byte as publish_first_byte;
pub use suback::{SubAck, UnsubAck};
pub use subscribe::{Filters, RetainHandling, Subscribe, SubscribeBuf, Subscription};
pub use unsubscribe::{Unsubscribe, UnsubscribeBuf};

use crate::error::DecodeError;
use crate::reason::ReasonCode;
use crate::wire::{self, Reader};

pub use crate::wire::EncodeError;

/// The protocol version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V4 = 4,
    /// MQTT 5, protocol level 5.
    V5 = 5,
}

/// Quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum QoS {
    /// At most once.
    #[default]
    AtMostOnce = 0,
    /// At least once.
    AtLeastOnce = 1,
    /// Exactly once.
    ExactlyOnce = 2,
}

impl QoS {
    /// The level with this number.
    #[inline]
    pub const fn from_u8(value: u8) -> Option<QoS> {
        match value {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            _ => None,
        }
    }
}

/// Any control packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// CONNECT, from the client.
    Connect(Connect<'a>),
    /// CONNACK, from the server.
    ConnAck(ConnAck<'a>),
    /// PUBLISH.
    Publish(Publish<'a>),
    /// PUBACK: answers PUBLISH of QoS 1.
    PubAck(Ack<'a>),
    /// PUBREC: first answer to PUBLISH of QoS 2.
    PubRec(Ack<'a>),
    /// PUBREL: answers PUBREC.
    PubRel(Ack<'a>),
    /// PUBCOMP: answers PUBREL.
    PubComp(Ack<'a>),
    /// SUBSCRIBE, from the client.
    Subscribe(Subscribe<'a>),
    /// SUBACK, from the server.
    SubAck(SubAck<'a>),
    /// UNSUBSCRIBE, from the client.
    Unsubscribe(Unsubscribe<'a>),
    /// UNSUBACK, from the server.
    UnsubAck(UnsubAck<'a>),
    /// PINGREQ, from the client.
    PingReq,
    /// PINGRESP, from the server.
    PingResp,
    /// DISCONNECT.
    Disconnect(Disconnect<'a>),
    /// AUTH (MQTT 5 only).
    Auth(Auth<'a>),
}

/// Decodes the packet at the start of `buf`: the packet and how many bytes it took, or `None` while it is
/// incomplete. `version` is that of the connection; a CONNECT says its own. `max_size` limits the whole
/// packet, fixed header included (3.1.2.11.4); a longer one is refused as soon as its fixed header is there.
#[inline]
pub fn decode(
    buf: &[u8],
    version: Version,
    max_size: u32,
) -> Result<Option<(Packet<'_>, usize)>, DecodeError> {
    let Some((frame, body)) = split(buf, version, max_size)? else { return Ok(None) };
    let packet = if frame.packet_type == PacketType::Publish {
        Packet::Publish(Publish::decode(frame.flags, body, version)?)
    } else {
        decode_other(&frame, body, version)?
    };
    Ok(Some((packet, frame.total_len)))
}

/// The first half of [`decode`]: fixed header and body of the packet at the start of `buf`, `None` while it
/// is incomplete.
#[inline]
pub(crate) fn split(
    buf: &[u8],
    version: Version,
    max_size: u32,
) -> Result<Option<(Frame, &[u8])>, DecodeError> {
    let Some(frame) = frame(buf, max_size)? else { return Ok(None) };
    let Some(body) = buf.get(frame.header_len..frame.total_len) else { return Ok(None) };
    if frame.header_len > 2 && version == Version::V5 {
        frame.check_shortest()?;
    }
    Ok(Some((frame, body)))
}

/// The second half for any packet. Out of line, so that it does not burden the way of PUBLISH.
#[inline(never)]
pub(crate) fn decode_other<'a>(
    frame: &Frame,
    body: &'a [u8],
    version: Version,
) -> Result<Packet<'a>, DecodeError> {
    let kind = frame.packet_type;
    Ok(match kind {
        PacketType::Connect => Packet::Connect(Connect::decode(body)?),
        PacketType::ConnAck => Packet::ConnAck(ConnAck::decode(body, version)?),
        PacketType::Publish => Packet::Publish(Publish::decode(frame.flags, body, version)?),
        PacketType::PubAck => Packet::PubAck(Ack::decode(kind, body, version)?),
        PacketType::PubRec => Packet::PubRec(Ack::decode(kind, body, version)?),
        PacketType::PubRel => Packet::PubRel(Ack::decode(kind, body, version)?),
        PacketType::PubComp => Packet::PubComp(Ack::decode(kind, body, version)?),
        PacketType::Subscribe => Packet::Subscribe(Subscribe::decode(body, version)?),
        PacketType::SubAck => Packet::SubAck(SubAck::decode(body, version)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe::decode(body, version)?),
        PacketType::UnsubAck => Packet::UnsubAck(UnsubAck::decode(body, version)?),
        PacketType::PingReq => {
            Reader::new(body).end()?;
            Packet::PingReq
        }
        PacketType::PingResp => {
            Reader::new(body).end()?;
            Packet::PingResp
        }
        PacketType::Disconnect => Packet::Disconnect(Disconnect::decode(body, version)?),
        PacketType::Auth => Packet::Auth(Auth::decode(body, version)?),
    })
}

impl Packet<'_> {
    /// Appends the packet in this version. On an error nothing is appended.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Packet::Connect(packet) => packet.encode(out),
            Packet::ConnAck(packet) => packet.encode(version, out),
            Packet::Publish(packet) => packet.encode(version, out),
            Packet::PubAck(ack) => ack.encode(PacketType::PubAck, version, out),
            Packet::PubRec(ack) => ack.encode(PacketType::PubRec, version, out),
            Packet::PubRel(ack) => ack.encode(PacketType::PubRel, version, out),
            Packet::PubComp(ack) => ack.encode(PacketType::PubComp, version, out),
            Packet::Subscribe(packet) => packet.encode(version, out),
            Packet::SubAck(packet) => packet.encode(version, out),
            Packet::Unsubscribe(packet) => packet.encode(version, out),
            Packet::UnsubAck(packet) => packet.encode(version, out),
            Packet::PingReq => write_packet(out, PacketType::PingReq, |_| Ok(())),
            Packet::PingResp => write_packet(out, PacketType::PingResp, |_| Ok(())),
            Packet::Disconnect(packet) => packet.encode(version, out),
            Packet::Auth(packet) => packet.encode(version, out),
        }
    }
}

/// Reads a reason code that must be one of those which the standard lists for the packet.
fn read_code(r: &mut Reader<'_>, permitted: &[ReasonCode]) -> Result<ReasonCode, DecodeError> {
    ReasonCode::from_u8(r.u8()?)
        .filter(|code| permitted.contains(code))
        .ok_or(DecodeError::malformed("a reason code that this packet does not have"))
}

/// The code, if it is one of those which the standard lists for the packet.
fn permitted(code: ReasonCode, list: &[ReasonCode]) -> ReasonCode {
    if list.contains(&code) { code } else { ReasonCode::UnspecifiedError }
}

/// Writes a packet whose length is known only afterwards: the body first, then the fixed header, moved before
/// it. For the packets that are rare or small.
fn write_packet(
    out: &mut Vec<u8>,
    kind: PacketType,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    let done = body(out).and_then(|()| {
        let len = wire::remaining_length(out.len() - start)?;
        wire::put_header(out, kind.first_byte(), len);
        out[start..].rotate_right(1 + wire::varint_len(len));
        Ok(())
    });
    if done.is_err() {
        out.truncate(start);
    }
    done
}
