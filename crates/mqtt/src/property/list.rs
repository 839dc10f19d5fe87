//! A packet's properties: a checked run of bytes behind an iterator, and a buffer to build one.

use crate::error::DecodeError;
use crate::property::{Property, places};
use crate::wire::{self, EncodeError, Reader};

/// Subscription identifier and user property, the two that may be repeated (3.3.2.3.8, 2.2.2.2).
const REPEATABLE: u64 = 1 << 0x0b | 1 << 0x26;

/// The properties of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Properties<'a> {
    raw: &'a [u8],
}

impl std::fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

macro_rules! first {
    ($($(#[$doc:meta])* $name:ident, $variant:ident, $type:ty;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> Option<$type> {
            self.iter().find_map(|p| match p { Property::$variant(v) => Some(v), _ => None })
        })*
    };
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Properties<'static> = Properties { raw: &[] };

    /// Properties kept as the bytes that [`Properties::raw`] gave. Reading ends at the first byte that makes
    /// no sense, so that foreign bytes do no harm.
    #[inline]
    pub const fn from_raw(raw: &'a [u8]) -> Properties<'a> {
        Properties { raw }
    }

    /// The encoded properties without their length, to be logged or forwarded.
    #[inline]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Are there none?
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// All of them, in order.
    #[inline]
    pub fn iter(&self) -> PropertyIter<'a> {
        PropertyIter { reader: Reader::new(self.raw) }
    }

    /// All of them, in order, as identifier and encoded bytes (identifier included).
    pub(crate) fn encoded(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.raw;
        std::iter::from_fn(move || {
            let mut reader = Reader::new(rest);
            let id = reader.u8().ok()?;
            Property::read(id, &mut reader).ok()?;
            let (raw, tail) = rest.split_at(rest.len() - reader.rest().len());
            rest = tail;
            Some((id, raw))
        })
    }

    /// The user properties, in order.
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|p| match p {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// The subscription identifiers, in order.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.iter().filter_map(|p| match p {
            Property::SubscriptionIdentifier(id) => Some(id),
            _ => None,
        })
    }

    first! {
        /// Is the payload declared to be UTF-8 text?
        payload_is_text, PayloadIsText, bool;
        /// Seconds until the message expires.
        message_expiry, MessageExpiry, u32;
        /// The payload's content type.
        content_type, ContentType, &'a str;
        /// Where to send the response.
        response_topic, ResponseTopic, &'a str;
        /// What the requester recognises the response by.
        correlation_data, CorrelationData, &'a [u8];
        /// The first subscription identifier.
        subscription_identifier, SubscriptionIdentifier, u32;
        /// The topic alias.
        topic_alias, TopicAlias, u16;
        /// Seconds that the session outlives its connection.
        session_expiry, SessionExpiry, u32;
        /// The client id that the server chose.
        assigned_client_id, AssignedClientId, &'a str;
        /// The server's keep-alive in seconds.
        server_keep_alive, ServerKeepAlive, u16;
        /// The method of extended authentication.
        authentication_method, AuthenticationMethod, &'a str;
        /// The data of extended authentication.
        authentication_data, AuthenticationData, &'a [u8];
        /// Are reason strings welcome?
        request_problem_information, RequestProblemInformation, bool;
        /// Does the client ask for response information?
        request_response_information, RequestResponseInformation, bool;
        /// Seconds to wait before the will is published.
        will_delay, WillDelay, u32;
        /// What happened, for people.
        reason_string, ReasonString, &'a str;
        /// How many messages of QoS 1 and 2 may be unacknowledged.
        receive_maximum, ReceiveMaximum, u16;
        /// The highest topic alias that is accepted.
        topic_alias_maximum, TopicAliasMaximum, u16;
        /// The largest packet that is accepted.
        maximum_packet_size, MaximumPacketSize, u32;
    }

    /// Reads length and properties of a packet, each checked: known, permitted at `place`, not repeated, with
    /// a value in its range.
    #[inline]
    pub(crate) fn read(r: &mut Reader<'a>, place: u16) -> Result<Properties<'a>, DecodeError> {
        let len = r.varint()?;
        let raw = r.take(len as usize)?;
        if !raw.is_empty() {
            check(raw, place)?;
        }
        Ok(Properties { raw })
    }

    /// The encoded length, with the length field.
    #[inline]
    pub(crate) fn encoded_len(&self) -> usize {
        wire::varint_len(self.raw.len() as u32) + self.raw.len()
    }

    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        wire::put_varint(out, self.raw.len() as u32);
        out.extend_from_slice(self.raw);
    }
}

fn check(raw: &[u8], place: u16) -> Result<(), DecodeError> {
    let mut reader = Reader::new(raw);
    let mut seen = 0u64;
    while !reader.is_empty() {
        let id = reader.u8()?;
        if places(id) & place == 0 {
            return Err(DecodeError::malformed("a property is unknown or not permitted in this packet"));
        }
        let bit = 1u64 << id;
        if seen & bit & !REPEATABLE != 0 {
            return Err(DecodeError::protocol("a property is there twice"));
        }
        seen |= bit;
        Property::read(id, &mut reader)?;
    }
    Ok(())
}

/// Iterates over properties.
#[derive(Debug, Clone)]
pub struct PropertyIter<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for PropertyIter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        let property = self.reader.u8().and_then(|id| Property::read(id, &mut self.reader)).ok();
        if property.is_none() {
            self.reader = Reader::new(&[]);
        }
        property
    }
}

/// Properties to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyBuf {
    raw: Vec<u8>,
}

impl PropertyBuf {
    /// No properties yet.
    pub const fn new() -> PropertyBuf {
        PropertyBuf { raw: Vec::new() }
    }

    /// Appends a property. Whether it may stand in the packet, and may be repeated, is the caller's concern.
    pub fn push(&mut self, property: Property<'_>) -> Result<&mut PropertyBuf, EncodeError> {
        property.write(&mut self.raw)?;
        Ok(self)
    }

    /// The properties as a packet takes them.
    pub fn view(&self) -> Properties<'_> {
        Properties { raw: &self.raw }
    }
}
