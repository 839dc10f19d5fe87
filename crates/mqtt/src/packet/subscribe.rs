//! SUBSCRIBE (3.8).

use crate::error::DecodeError;
use crate::packet::{PacketType, QoS, Version, write_packet};
use crate::property::{Properties, place};
use crate::topic;
use crate::wire::{self, EncodeError, Reader};

/// A request for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// What SUBACK refers to.
    pub packet_id: u16,
    /// The properties, the subscription identifier among them; none in 3.1.1.
    pub properties: Properties<'a>,
    /// What to subscribe to; at least one.
    pub filters: Filters<'a>,
}

/// The filters of a SUBSCRIBE, encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filters<'a> {
    raw: &'a [u8],
    /// They are a bridge's: see [`Filters::of_bridge`].
    bridge: bool,
}

/// One filter with its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// The topic filter, with `$share/{group}/` if it is shared.
    pub filter: &'a str,
    /// The highest QoS to deliver with.
    pub qos: QoS,
    /// Do not send the client its own messages.
    pub no_local: bool,
    /// Keep the RETAIN flag of the publisher.
    pub retain_as_published: bool,
    /// Which retained messages to send now.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent upon a subscription (3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// At each subscription.
    #[default]
    Send = 0,
    /// Only if the subscription is new.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

impl<'a> Subscription<'a> {
    /// A subscription with no options but the QoS, as in 3.1.1.
    pub const fn new(filter: &'a str, qos: QoS) -> Subscription<'a> {
        Subscription {
            filter,
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    fn read(r: &mut Reader<'a>) -> Result<Subscription<'a>, DecodeError> {
        let filter = r.text()?;
        let options = r.u8()?;
        if options & 0xc0 != 0 {
            return Err(DecodeError::malformed("reserved bits of the subscription options are set"));
        }
        Ok(Subscription {
            filter,
            qos: QoS::from_u8(options & 3).ok_or(DecodeError::protocol("a subscription with QoS 3"))?,
            no_local: options & 4 != 0,
            retain_as_published: options & 8 != 0,
            retain_handling: match options >> 4 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return Err(DecodeError::protocol("a subscription with retain handling 3")),
            },
        })
    }

    fn check(&self, version: Version) -> Result<(), DecodeError> {
        if !topic::is_filter(self.filter) {
            return Err(DecodeError::malformed("a topic filter is empty or has misplaced wildcards"));
        }
        if version == Version::V4 {
            let plain = Subscription::new(self.filter, self.qos);
            return if *self == plain {
                Ok(())
            } else {
                Err(DecodeError::malformed("reserved bits of the requested QoS are set"))
            };
        }
        match topic::shared(self.filter) {
            Some(Err(_)) => {
                Err(DecodeError::malformed("a shared subscription without a group name or a filter"))
            }
            Some(Ok(_)) if self.no_local => Err(DecodeError::protocol("a shared subscription with no local")),
            _ => Ok(()),
        }
    }

    fn options(&self) -> u8 {
        self.qos as u8
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling as u8) << 4
    }
}

impl<'a> Filters<'a> {
    /// The filters, in order.
    pub fn iter(&self) -> impl Iterator<Item = Subscription<'a>> + use<'a> {
        let mut r = Reader::new(self.raw);
        let bridge = self.bridge;
        std::iter::from_fn(move || if r.is_empty() { None } else { Subscription::read(&mut r).ok() }).map(
            move |wanted| Subscription {
                // A group may give a message to whoever published it.
                no_local: wanted.no_local || bridge && topic::shared(wanted.filter).is_none(),
                retain_as_published: wanted.retain_as_published || bridge,
                ..wanted
            },
        )
    }

    /// The filters with the options that a bridge wants and cannot write in 3.1.1: no message comes back that the
    /// bridge published itself, and the RETAIN flag stays as it was published.
    pub(crate) fn of_bridge(self) -> Filters<'a> {
        Filters { bridge: true, ..self }
    }
}

impl<'a> Subscribe<'a> {
    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Subscribe<'a>, DecodeError> {
        let mut r = Reader::new(body);
        let packet_id = r.packet_id()?;
        let properties = match version {
            Version::V5 => Properties::read(&mut r, place::SUBSCRIBE)?,
            Version::V4 => Properties::EMPTY,
        };
        if properties.subscription_identifiers().nth(1).is_some() {
            return Err(DecodeError::protocol("more than one subscription identifier"));
        }
        let raw = r.rest();
        if raw.is_empty() {
            return Err(DecodeError::protocol("SUBSCRIBE without a topic filter"));
        }
        while !r.is_empty() {
            Subscription::read(&mut r)?.check(version)?;
        }
        Ok(Subscribe { packet_id, properties, filters: Filters { raw, bridge: false } })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_packet(out, PacketType::Subscribe, |out| {
            wire::put_u16(out, self.packet_id);
            if version == Version::V5 {
                self.properties.write(out);
            }
            out.extend_from_slice(self.filters.raw);
            Ok(())
        })
    }
}

/// Filters to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubscribeBuf {
    raw: Vec<u8>,
}

impl SubscribeBuf {
    /// No filters yet.
    pub const fn new() -> SubscribeBuf {
        SubscribeBuf { raw: Vec::new() }
    }

    /// Appends a filter.
    pub fn push(&mut self, subscription: &Subscription<'_>) -> Result<&mut SubscribeBuf, EncodeError> {
        wire::field_len(subscription.filter.as_bytes())?;
        wire::put_binary(&mut self.raw, subscription.filter.as_bytes());
        self.raw.push(subscription.options());
        Ok(self)
    }

    /// The filters as the packet takes them.
    pub fn view(&self) -> Filters<'_> {
        Filters { raw: &self.raw, bridge: false }
    }
}
