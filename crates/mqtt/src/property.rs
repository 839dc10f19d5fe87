//! One property of MQTT 5 (2.2.2.2): its identifier, its type, where it may stand.

use crate::error::DecodeError;
use crate::reason::ReasonCode;
use crate::topic;
use crate::wire::{self, EncodeError, Reader};

mod list;

pub use list::{Properties, PropertyBuf, PropertyIter};

/// A property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property<'a> {
    /// The payload is UTF-8 text (`true`) or bytes of unknown kind.
    PayloadIsText(bool),
    /// Seconds until the message expires.
    MessageExpiry(u32),
    /// The payload's content type, a MIME type for example.
    ContentType(&'a str),
    /// Where to send the response.
    ResponseTopic(&'a str),
    /// What the requester recognises the response by.
    CorrelationData(&'a [u8]),
    /// The identifier of a subscription (1 to 268,435,455).
    SubscriptionIdentifier(u32),
    /// Seconds that the session outlives its connection.
    SessionExpiry(u32),
    /// The client id that the server chose.
    AssignedClientId(&'a str),
    /// The keep-alive that the server uses instead of the client's, in seconds.
    ServerKeepAlive(u16),
    /// The method of extended authentication.
    AuthenticationMethod(&'a str),
    /// The data of extended authentication.
    AuthenticationData(&'a [u8]),
    /// May reason strings and user properties be sent with other packets than PUBLISH, CONNACK, DISCONNECT?
    RequestProblemInformation(bool),
    /// Seconds to wait before the will is published.
    WillDelay(u32),
    /// Does the client ask for response information?
    RequestResponseInformation(bool),
    /// The basis for response topics.
    ResponseInformation(&'a str),
    /// Another server to use.
    ServerReference(&'a str),
    /// What happened, for people.
    ReasonString(&'a str),
    /// How many messages of QoS 1 and 2 may be unacknowledged.
    ReceiveMaximum(u16),
    /// The highest topic alias that is accepted.
    TopicAliasMaximum(u16),
    /// A number that stands for the topic.
    TopicAlias(u16),
    /// The highest QoS that the server supports, if not 2.
    MaximumQos(u8),
    /// Does the server support retained messages?
    RetainAvailable(bool),
    /// A name and a value of the user's; the only property that may be repeated at will.
    UserProperty(&'a str, &'a str),
    /// The largest packet that is accepted.
    MaximumPacketSize(u32),
    /// Does the server support wildcards in subscriptions?
    WildcardSubscriptionAvailable(bool),
    /// Does the server support subscription identifiers?
    SubscriptionIdentifierAvailable(bool),
    /// Does the server support shared subscriptions?
    SharedSubscriptionAvailable(bool),
}

/// The packets (and the will) in which properties stand, as bits.
pub(crate) mod place {
    pub(crate) const CONNECT: u16 = 1;
    pub(crate) const CONNACK: u16 = 1 << 1;
    pub(crate) const PUBLISH: u16 = 1 << 2;
    pub(crate) const WILL: u16 = 1 << 3;
    /// PUBACK, PUBREC, PUBREL, PUBCOMP.
    pub(crate) const ACK: u16 = 1 << 4;
    pub(crate) const SUBSCRIBE: u16 = 1 << 5;
    pub(crate) const SUBACK: u16 = 1 << 6;
    pub(crate) const UNSUBSCRIBE: u16 = 1 << 7;
    pub(crate) const UNSUBACK: u16 = 1 << 8;
    pub(crate) const DISCONNECT: u16 = 1 << 9;
    pub(crate) const AUTH: u16 = 1 << 10;
    pub(crate) const ANY: u16 = (1 << 11) - 1;
}

/// Where a property may stand; 0 for an unknown identifier.
pub(crate) const fn places(id: u8) -> u16 {
    use place::*;
    match id {
        0x01 | 0x02 | 0x03 | 0x08 | 0x09 => PUBLISH | WILL,
        0x0b => PUBLISH | SUBSCRIBE,
        0x11 => CONNECT | CONNACK | DISCONNECT,
        0x15 | 0x16 => CONNECT | CONNACK | AUTH,
        0x17 | 0x19 => CONNECT,
        0x18 => WILL,
        0x1c => CONNACK | DISCONNECT,
        0x1f => CONNACK | ACK | SUBACK | UNSUBACK | DISCONNECT | AUTH,
        0x21 | 0x22 | 0x27 => CONNECT | CONNACK,
        0x23 => PUBLISH,
        0x12 | 0x13 | 0x1a | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => CONNACK,
        0x26 => ANY,
        _ => 0,
    }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::protocol("a property that is 0 or 1 has another value")),
    }
}

fn not_zero<T: Default + PartialEq>(value: T, what: &'static str) -> Result<T, DecodeError> {
    if value == T::default() { Err(DecodeError::protocol(what)) } else { Ok(value) }
}

impl<'a> Property<'a> {
    /// Reads the value of the property with this identifier, and checks it.
    pub(crate) fn read(id: u8, r: &mut Reader<'a>) -> Result<Property<'a>, DecodeError> {
        Ok(match id {
            0x01 => Property::PayloadIsText(flag(r)?),
            0x02 => Property::MessageExpiry(r.u32()?),
            0x03 => Property::ContentType(r.text()?),
            0x08 => {
                let name = r.text()?;
                if !topic::is_name(name) {
                    return Err(DecodeError::malformed("the response topic is empty or has wildcards"));
                }
                Property::ResponseTopic(name)
            }
            0x09 => Property::CorrelationData(r.binary()?),
            0x0b => Property::SubscriptionIdentifier(not_zero(r.varint()?, "subscription identifier 0")?),
            0x11 => Property::SessionExpiry(r.u32()?),
            0x12 => Property::AssignedClientId(r.text()?),
            0x13 => Property::ServerKeepAlive(r.u16()?),
            0x15 => Property::AuthenticationMethod(r.text()?),
            0x16 => Property::AuthenticationData(r.binary()?),
            0x17 => Property::RequestProblemInformation(flag(r)?),
            0x18 => Property::WillDelay(r.u32()?),
            0x19 => Property::RequestResponseInformation(flag(r)?),
            0x1a => Property::ResponseInformation(r.text()?),
            0x1c => Property::ServerReference(r.text()?),
            0x1f => Property::ReasonString(r.text()?),
            0x21 => Property::ReceiveMaximum(not_zero(r.u16()?, "receive maximum 0")?),
            0x22 => Property::TopicAliasMaximum(r.u16()?),
            0x23 => match r.u16()? {
                0 => return Err(DecodeError::new(ReasonCode::TopicAliasInvalid, "topic alias 0")),
                alias => Property::TopicAlias(alias),
            },
            0x24 => Property::MaximumQos(u8::from(flag(r)?)),
            0x25 => Property::RetainAvailable(flag(r)?),
            0x26 => Property::UserProperty(r.text()?, r.text()?),
            0x27 => Property::MaximumPacketSize(not_zero(r.u32()?, "maximum packet size 0")?),
            0x28 => Property::WildcardSubscriptionAvailable(flag(r)?),
            0x29 => Property::SubscriptionIdentifierAvailable(flag(r)?),
            0x2a => Property::SharedSubscriptionAvailable(flag(r)?),
            _ => return Err(DecodeError::malformed("unknown property")),
        })
    }

    /// The property's identifier.
    pub const fn id(&self) -> u8 {
        match self {
            Property::PayloadIsText(_) => 0x01,
            Property::MessageExpiry(_) => 0x02,
            Property::ContentType(_) => 0x03,
            Property::ResponseTopic(_) => 0x08,
            Property::CorrelationData(_) => 0x09,
            Property::SubscriptionIdentifier(_) => 0x0b,
            Property::SessionExpiry(_) => 0x11,
            Property::AssignedClientId(_) => 0x12,
            Property::ServerKeepAlive(_) => 0x13,
            Property::AuthenticationMethod(_) => 0x15,
            Property::AuthenticationData(_) => 0x16,
            Property::RequestProblemInformation(_) => 0x17,
            Property::WillDelay(_) => 0x18,
            Property::RequestResponseInformation(_) => 0x19,
            Property::ResponseInformation(_) => 0x1a,
            Property::ServerReference(_) => 0x1c,
            Property::ReasonString(_) => 0x1f,
            Property::ReceiveMaximum(_) => 0x21,
            Property::TopicAliasMaximum(_) => 0x22,
            Property::TopicAlias(_) => 0x23,
            Property::MaximumQos(_) => 0x24,
            Property::RetainAvailable(_) => 0x25,
            Property::UserProperty(..) => 0x26,
            Property::MaximumPacketSize(_) => 0x27,
            Property::WildcardSubscriptionAvailable(_) => 0x28,
            Property::SubscriptionIdentifierAvailable(_) => 0x29,
            Property::SharedSubscriptionAvailable(_) => 0x2a,
        }
    }

    /// Appends identifier and value.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match *self {
            Property::UserProperty(name, value) => {
                wire::field_len(name.as_bytes())?;
                wire::field_len(value.as_bytes())?;
            }
            Property::ContentType(s)
            | Property::ResponseTopic(s)
            | Property::AssignedClientId(s)
            | Property::AuthenticationMethod(s)
            | Property::ResponseInformation(s)
            | Property::ServerReference(s)
            | Property::ReasonString(s) => {
                wire::field_len(s.as_bytes())?;
            }
            Property::CorrelationData(b) | Property::AuthenticationData(b) => {
                wire::field_len(b)?;
            }
            Property::SubscriptionIdentifier(v) if v > wire::MAX_VARINT => {
                return Err(EncodeError("a subscription identifier is beyond 268,435,455"));
            }
            _ => {}
        }
        out.push(self.id());
        match *self {
            Property::PayloadIsText(v)
            | Property::RequestProblemInformation(v)
            | Property::RequestResponseInformation(v)
            | Property::RetainAvailable(v)
            | Property::WildcardSubscriptionAvailable(v)
            | Property::SubscriptionIdentifierAvailable(v)
            | Property::SharedSubscriptionAvailable(v) => out.push(u8::from(v)),
            Property::MaximumQos(v) => out.push(v),
            Property::ServerKeepAlive(v)
            | Property::ReceiveMaximum(v)
            | Property::TopicAliasMaximum(v)
            | Property::TopicAlias(v) => wire::put_u16(out, v),
            Property::MessageExpiry(v)
            | Property::SessionExpiry(v)
            | Property::WillDelay(v)
            | Property::MaximumPacketSize(v) => wire::put_u32(out, v),
            Property::SubscriptionIdentifier(v) => wire::put_varint(out, v),
            Property::ContentType(s)
            | Property::ResponseTopic(s)
            | Property::AssignedClientId(s)
            | Property::AuthenticationMethod(s)
            | Property::ResponseInformation(s)
            | Property::ServerReference(s)
            | Property::ReasonString(s) => wire::put_binary(out, s.as_bytes()),
            Property::CorrelationData(b) | Property::AuthenticationData(b) => wire::put_binary(out, b),
            Property::UserProperty(name, value) => {
                wire::put_binary(out, name.as_bytes());
                wire::put_binary(out, value.as_bytes());
            }
        }
        Ok(())
    }
}
