//! UNSUBSCRIBE (3.10).

use crate::error::DecodeError;
use crate::packet::{PacketType, Version, write_packet};
use crate::property::{Properties, place};
use crate::topic;
use crate::wire::{self, EncodeError, Reader};

/// A request to end subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// What UNSUBACK refers to.
    pub packet_id: u16,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    raw: &'a [u8],
}

impl<'a> Unsubscribe<'a> {
    /// The filters, in order; at least one.
    pub fn filters(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut r = Reader::new(self.raw);
        std::iter::from_fn(move || if r.is_empty() { None } else { r.text().ok() })
    }

    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Unsubscribe<'a>, DecodeError> {
        let mut r = Reader::new(body);
        let packet_id = r.packet_id()?;
        let properties = match version {
            Version::V5 => Properties::read(&mut r, place::UNSUBSCRIBE)?,
            Version::V4 => Properties::EMPTY,
        };
        let raw = r.rest();
        if raw.is_empty() {
            return Err(DecodeError::protocol("UNSUBSCRIBE without a topic filter"));
        }
        while !r.is_empty() {
            if !topic::is_filter(r.text()?) {
                return Err(DecodeError::malformed("a topic filter is empty or has misplaced wildcards"));
            }
        }
        Ok(Unsubscribe { packet_id, properties, raw })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_packet(out, PacketType::Unsubscribe, |out| {
            wire::put_u16(out, self.packet_id);
            if version == Version::V5 {
                self.properties.write(out);
            }
            out.extend_from_slice(self.raw);
            Ok(())
        })
    }
}

/// Filters to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnsubscribeBuf {
    raw: Vec<u8>,
}

impl UnsubscribeBuf {
    /// No filters yet.
    pub const fn new() -> UnsubscribeBuf {
        UnsubscribeBuf { raw: Vec::new() }
    }

    /// Appends a filter.
    pub fn push(&mut self, filter: &str) -> Result<&mut UnsubscribeBuf, EncodeError> {
        wire::field_len(filter.as_bytes())?;
        wire::put_binary(&mut self.raw, filter.as_bytes());
        Ok(self)
    }

    /// The packet with these filters.
    pub fn packet<'a>(&'a self, packet_id: u16, properties: Properties<'a>) -> Unsubscribe<'a> {
        Unsubscribe { packet_id, properties, raw: &self.raw }
    }
}
