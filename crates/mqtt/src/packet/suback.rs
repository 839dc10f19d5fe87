//! SUBACK (3.9) and UNSUBACK (3.11).

use crate::error::DecodeError;
use crate::packet::{PacketType, Version, write_packet};
use crate::property::{Properties, place};
use crate::reason::ReasonCode::{self, *};
use crate::wire::{self, EncodeError, Reader};

/// The answer to SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// Which SUBSCRIBE.
    pub packet_id: u16,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    /// One code for each filter: the granted QoS or an error. In 3.1.1 every error is 0x80.
    pub codes: &'a [u8],
}

/// The answer to UNSUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// Which UNSUBSCRIBE.
    pub packet_id: u16,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    /// One code for each filter; none in 3.1.1.
    pub codes: &'a [u8],
}

const SUB_CODES: &[ReasonCode] = &[
    Success,
    GrantedQos1,
    GrantedQos2,
    UnspecifiedError,
    ImplementationSpecificError,
    NotAuthorized,
    TopicFilterInvalid,
    PacketIdentifierInUse,
    QuotaExceeded,
    SharedSubscriptionsNotSupported,
    SubscriptionIdentifiersNotSupported,
    WildcardSubscriptionsNotSupported,
];
const SUB_CODES_V4: &[ReasonCode] = &[Success, GrantedQos1, GrantedQos2, UnspecifiedError];
const UNSUB_CODES: &[ReasonCode] = &[
    Success,
    NoSubscriptionExisted,
    UnspecifiedError,
    ImplementationSpecificError,
    NotAuthorized,
    TopicFilterInvalid,
    PacketIdentifierInUse,
];

fn read_codes<'a>(r: &mut Reader<'a>, permitted: &[ReasonCode]) -> Result<&'a [u8], DecodeError> {
    let codes = r.rest();
    if codes.is_empty() {
        return Err(DecodeError::protocol("an acknowledgement without a reason code"));
    }
    while !r.is_empty() {
        super::read_code(r, permitted)?;
    }
    Ok(codes)
}

impl<'a> SubAck<'a> {
    /// The code if SUBACK can carry it, else "unspecified error".
    pub(crate) fn permitted(code: ReasonCode) -> ReasonCode {
        super::permitted(code, SUB_CODES)
    }

    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<SubAck<'a>, DecodeError> {
        let mut r = Reader::new(body);
        let packet_id = r.packet_id()?;
        let (properties, permitted) = match version {
            Version::V5 => (Properties::read(&mut r, place::SUBACK)?, SUB_CODES),
            Version::V4 => (Properties::EMPTY, SUB_CODES_V4),
        };
        Ok(SubAck { packet_id, properties, codes: read_codes(&mut r, permitted)? })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_packet(out, PacketType::SubAck, |out| {
            wire::put_u16(out, self.packet_id);
            match version {
                Version::V5 => {
                    self.properties.write(out);
                    out.extend_from_slice(self.codes);
                }
                Version::V4 => out.extend(self.codes.iter().map(|&code| code.min(0x80))),
            }
            Ok(())
        })
    }
}

impl<'a> UnsubAck<'a> {
    /// The code if UNSUBACK can carry it, else "unspecified error".
    pub(crate) fn permitted(code: ReasonCode) -> ReasonCode {
        super::permitted(code, UNSUB_CODES)
    }

    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<UnsubAck<'a>, DecodeError> {
        let mut r = Reader::new(body);
        let packet_id = r.packet_id()?;
        if version == Version::V4 {
            r.end()?;
            return Ok(UnsubAck { packet_id, properties: Properties::EMPTY, codes: &[] });
        }
        let properties = Properties::read(&mut r, place::UNSUBACK)?;
        Ok(UnsubAck { packet_id, properties, codes: read_codes(&mut r, UNSUB_CODES)? })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_packet(out, PacketType::UnsubAck, |out| {
            wire::put_u16(out, self.packet_id);
            if version == Version::V5 {
                self.properties.write(out);
                out.extend_from_slice(self.codes);
            }
            Ok(())
        })
    }
}
