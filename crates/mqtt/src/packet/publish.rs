//! PUBLISH (3.3).

use crate::error::DecodeError;
use crate::packet::{PacketType, QoS, Version};
use crate::property::{Properties, place};
use crate::text::{plain_name, text};
use crate::topic;
use crate::wire::{self, EncodeError, Reader};

/// A message on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// It may have been sent before.
    pub dup: bool,
    /// The quality of service.
    pub qos: QoS,
    /// To be retained; towards a subscriber: was retained.
    pub retain: bool,
    /// The topic name; empty if a topic alias alone names it.
    pub topic: &'a str,
    /// The packet identifier; 0 with QoS 0.
    pub packet_id: u16,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    /// The payload.
    pub payload: &'a [u8],
}

const NOT_TEXT: DecodeError = DecodeError::malformed("the topic name is not valid UTF-8 or holds U+0000");

impl<'a> Publish<'a> {
    #[inline]
    pub(crate) fn decode(flags: u8, body: &'a [u8], version: Version) -> Result<Publish<'a>, DecodeError> {
        // The fixed header was checked: QoS 3 is out.
        let qos = QoS::from_u8(flags >> 1 & 3).unwrap_or_default();
        let mut r = Reader::new(body);
        let name = r.binary()?;
        let plain = plain_name(name);
        let topic = match plain {
            Some(topic) => topic,
            None => text(name).ok_or(NOT_TEXT)?,
        };
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { r.packet_id()? };
        let properties = match version {
            Version::V5 => Properties::read(&mut r, place::PUBLISH)?,
            Version::V4 => Properties::EMPTY,
        };
        if plain.is_none() && !topic::is_name(topic) {
            check_odd_name(topic, properties, version)?;
        }
        Ok(Publish {
            dup: flags & 0b1000 != 0,
            qos,
            retain: flags & 1 != 0,
            topic,
            packet_id,
            properties,
            payload: r.rest(),
        })
    }

    /// Appends the packet.
    #[inline]
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let v5 = version == Version::V5;
        let with_id = self.qos != QoS::AtMostOnce;
        let mut len = wire::field_len(self.topic.as_bytes())? + self.payload.len();
        if with_id {
            len += 2;
        }
        if v5 {
            len += self.properties.encoded_len();
        }
        let remaining = wire::remaining_length(len)?;
        out.reserve(5 + len);
        wire::put_header(out, first_byte(self.dup, self.qos, self.retain), remaining);
        wire::put_binary(out, self.topic.as_bytes());
        if with_id {
            wire::put_u16(out, self.packet_id);
        }
        if v5 {
            self.properties.write(out);
        }
        out.extend_from_slice(self.payload);
        Ok(())
    }
}

#[inline]
pub(crate) fn first_byte(dup: bool, qos: QoS, retain: bool) -> u8 {
    PacketType::Publish.first_byte() | u8::from(dup) << 3 | (qos as u8) << 1 | u8::from(retain)
}

/// The only name that is no topic and yet permitted is the empty one beside a topic alias (3.3.2.1).
#[cold]
fn check_odd_name(topic: &str, properties: Properties<'_>, version: Version) -> Result<(), DecodeError> {
    if !topic.is_empty() {
        return Err(DecodeError::malformed("the topic name has wildcards"));
    }
    match version {
        Version::V5 if properties.topic_alias().is_some() => Ok(()),
        Version::V5 => Err(DecodeError::protocol("the topic name is empty and there is no topic alias")),
        Version::V4 => Err(DecodeError::malformed("the topic name is empty")),
    }
}
