//! A delivery as a PUBLISH packet: which of the publisher's properties go on, and what is added (3.3.2.3).

use crate::packet::{QoS, Version, publish_first_byte};
use crate::session::Delivery;
use crate::session::alias::OwnAlias;
use crate::wire;

/// What a PUBLISH to this client has beyond the delivery itself.
pub(super) struct Form {
    pub(super) version: Version,
    pub(super) qos: QoS,
    /// 0 with QoS 0.
    pub(super) packet_id: u16,
    pub(super) dup: bool,
    /// The alias of the topic, if it has one.
    pub(super) alias: Option<OwnAlias>,
    /// The client's maximum packet size.
    pub(super) max_size: u32,
}

/// Appends the packet. `false`, and nothing appended, if it is too long for the client or for MQTT.
#[inline]
pub(super) fn encode(delivery: &Delivery<'_>, form: &Form, out: &mut Vec<u8>) -> bool {
    let known = form.alias.is_some_and(|alias| alias.known);
    let topic = if known { &[] } else { delivery.topic.as_bytes() };
    let Ok(mut len) = wire::field_len(topic) else { return false };
    len += delivery.payload.len();
    if form.qos != QoS::AtMostOnce {
        len += 2;
    }
    let properties_len = match form.version {
        Version::V4 => 0,
        Version::V5 => properties_len(delivery) + if form.alias.is_some() { 3 } else { 0 },
    };
    let Ok(properties) = wire::remaining_length(properties_len) else { return false };
    if form.version == Version::V5 {
        len += wire::varint_len(properties) + properties_len;
    }
    let Ok(remaining) = wire::remaining_length(len) else { return false };
    let total = 1 + wire::varint_len(remaining) + len;
    if total > form.max_size as usize {
        return false;
    }
    out.reserve(total);
    wire::put_header(out, publish_first_byte(form.dup, form.qos, delivery.retain), remaining);
    wire::put_binary(out, topic);
    if form.qos != QoS::AtMostOnce {
        wire::put_u16(out, form.packet_id);
    }
    if form.version == Version::V5 {
        wire::put_varint(out, properties);
        if let Some(alias) = form.alias {
            out.push(0x23);
            wire::put_u16(out, alias.alias);
        }
        if properties > 0 {
            put_properties(delivery, out);
        }
    }
    out.extend_from_slice(delivery.payload);
    true
}

/// Payload format, content type, response topic, correlation data, user property: what the server must pass
/// on unaltered. Alias, expiry and subscription identifiers are this connection's own.
fn goes_on(id: u8) -> bool {
    matches!(id, 0x01 | 0x03 | 0x08 | 0x09 | 0x26)
}

#[inline]
fn properties_len(delivery: &Delivery<'_>) -> usize {
    let mut len = 0;
    if !delivery.properties.is_empty() {
        len += delivery
            .properties
            .encoded()
            .filter(|&(id, _)| goes_on(id))
            .map(|(_, raw)| raw.len())
            .sum::<usize>();
    }
    if delivery.expiry_s.is_some() {
        len += 5;
    }
    len + delivery.subscription_ids.iter().map(|&id| 1 + wire::varint_len(id)).sum::<usize>()
}

fn put_properties(delivery: &Delivery<'_>, out: &mut Vec<u8>) {
    for (_, raw) in delivery.properties.encoded().filter(|&(id, _)| goes_on(id)) {
        out.extend_from_slice(raw);
    }
    if let Some(seconds) = delivery.expiry_s {
        out.push(0x02);
        wire::put_u32(out, seconds);
    }
    for &id in delivery.subscription_ids {
        out.push(0x0b);
        wire::put_varint(out, id);
    }
}
