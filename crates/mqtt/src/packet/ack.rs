//! PUBACK, PUBREC, PUBREL, PUBCOMP (3.4 to 3.7), which look alike.

use crate::error::DecodeError;
use crate::packet::{PacketType, Version};
use crate::property::{Properties, place};
use crate::reason::ReasonCode::{self, *};
use crate::wire::{self, EncodeError, Reader};

/// One of the four answers about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack<'a> {
    /// Which message.
    pub packet_id: u16,
    /// What became of it; success in 3.1.1.
    pub code: ReasonCode,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

const PUBLISH_CODES: &[ReasonCode] = &[
    Success,
    NoMatchingSubscribers,
    UnspecifiedError,
    ImplementationSpecificError,
    NotAuthorized,
    TopicNameInvalid,
    PacketIdentifierInUse,
    QuotaExceeded,
    PayloadFormatInvalid,
];
const RELEASE_CODES: &[ReasonCode] = &[Success, PacketIdentifierNotFound];

impl<'a> Ack<'a> {
    /// The code if PUBACK and PUBREC can carry it, else "unspecified error".
    pub(crate) fn permitted(code: ReasonCode) -> ReasonCode {
        super::permitted(code, PUBLISH_CODES)
    }

    /// A plain, successful answer.
    #[inline]
    pub const fn success(packet_id: u16) -> Ack<'static> {
        Ack { packet_id, code: Success, properties: Properties::EMPTY }
    }

    #[inline]
    pub(super) fn decode(kind: PacketType, body: &'a [u8], version: Version) -> Result<Ack<'a>, DecodeError> {
        let mut r = Reader::new(body);
        let packet_id = r.packet_id()?;
        if version == Version::V4 || r.is_empty() {
            r.end()?;
            return Ok(Ack::success(packet_id));
        }
        let permitted = match kind {
            PacketType::PubAck | PacketType::PubRec => PUBLISH_CODES,
            _ => RELEASE_CODES,
        };
        let code = super::read_code(&mut r, permitted)?;
        let properties = if r.is_empty() { Properties::EMPTY } else { Properties::read(&mut r, place::ACK)? };
        r.end()?;
        Ok(Ack { packet_id, code, properties })
    }

    /// Appends the packet; `kind` is one of the four types.
    #[inline]
    pub fn encode(&self, kind: PacketType, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let first = kind.first_byte();
        if version == Version::V4 || (self.code == Success && self.properties.is_empty()) {
            let id = self.packet_id.to_be_bytes();
            out.extend_from_slice(&[first, 2, id[0], id[1]]);
            return Ok(());
        }
        let properties = if self.properties.is_empty() { 0 } else { self.properties.encoded_len() };
        wire::put_header(out, first, wire::remaining_length(3 + properties)?);
        wire::put_u16(out, self.packet_id);
        out.push(self.code as u8);
        if properties > 0 {
            self.properties.write(out);
        }
        Ok(())
    }
}
