//! A packet in words: type, ids, topics, codes, properties. Secrets are left out whoever asks.

use std::fmt::Write;

use mohhos_mqtt::packet::{Ack, Connect, Packet, PacketType, Publish, RetainHandling, Subscribe};
use mohhos_mqtt::{Properties, Property, ReasonCode};
use serde_json::{Map, Value, json};

type Fields = Map<String, Value>;

/// A packet; at most `payload_bytes` of a payload are shown.
pub fn describe(packet: &Packet<'_>, payload_bytes: usize) -> Fields {
    let mut fields = Fields::new();
    let name = match packet {
        Packet::Connect(connect) => {
            connect_fields(connect, payload_bytes, &mut fields);
            "CONNECT"
        }
        Packet::ConnAck(connack) => {
            set(&mut fields, "session_present", connack.session_present);
            code(&mut fields, connack.code);
            properties(&mut fields, connack.properties, payload_bytes);
            "CONNACK"
        }
        Packet::Publish(publish) => {
            publish_fields(publish, payload_bytes, &mut fields);
            "PUBLISH"
        }
        Packet::PubAck(ack) => ack_fields(PacketType::PubAck, ack, payload_bytes, &mut fields),
        Packet::PubRec(ack) => ack_fields(PacketType::PubRec, ack, payload_bytes, &mut fields),
        Packet::PubRel(ack) => ack_fields(PacketType::PubRel, ack, payload_bytes, &mut fields),
        Packet::PubComp(ack) => ack_fields(PacketType::PubComp, ack, payload_bytes, &mut fields),
        Packet::Subscribe(subscribe) => {
            subscribe_fields(subscribe, payload_bytes, &mut fields);
            "SUBSCRIBE"
        }
        Packet::SubAck(ack) => {
            codes_fields(ack.packet_id, ack.codes, ack.properties, payload_bytes, &mut fields);
            "SUBACK"
        }
        Packet::Unsubscribe(unsubscribe) => {
            set(&mut fields, "packet_id", unsubscribe.packet_id);
            set(&mut fields, "filters", unsubscribe.filters().collect::<Vec<_>>());
            properties(&mut fields, unsubscribe.properties, payload_bytes);
            "UNSUBSCRIBE"
        }
        Packet::UnsubAck(ack) => {
            codes_fields(ack.packet_id, ack.codes, ack.properties, payload_bytes, &mut fields);
            "UNSUBACK"
        }
        Packet::PingReq => "PINGREQ",
        Packet::PingResp => "PINGRESP",
        Packet::Disconnect(disconnect) => {
            code(&mut fields, disconnect.code);
            properties(&mut fields, disconnect.properties, payload_bytes);
            "DISCONNECT"
        }
        Packet::Auth(auth) => {
            code(&mut fields, auth.code);
            properties(&mut fields, auth.properties, payload_bytes);
            "AUTH"
        }
    };
    set(&mut fields, "packet", name);
    fields
}

fn set(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    fields.insert(name.to_owned(), value.into());
}

fn code(fields: &mut Fields, code: ReasonCode) {
    set(fields, "reason_code", code as u8);
    set(fields, "reason", code.text());
}

fn connect_fields(connect: &Connect<'_>, payload_bytes: usize, fields: &mut Fields) {
    set(fields, "protocol", connect.version as u8);
    set(fields, "client_id", connect.client_id);
    set(fields, "clean_start", connect.clean_start);
    set(fields, "keep_alive", connect.keep_alive);
    set(fields, "user_name", connect.user_name);
    // That there is one is worth knowing; what it is, is nobody's business.
    set(fields, "has_password", connect.password.is_some());
    if let Some(will) = &connect.will {
        let mut inner = Fields::new();
        set(&mut inner, "topic", will.topic);
        set(&mut inner, "qos", will.qos as u8);
        set(&mut inner, "retain", will.retain);
        payload(&mut inner, will.payload, payload_bytes);
        properties(&mut inner, will.properties, payload_bytes);
        set(fields, "will", inner);
    }
    properties(fields, connect.properties, payload_bytes);
}

fn publish_fields(publish: &Publish<'_>, payload_bytes: usize, fields: &mut Fields) {
    set(fields, "topic", publish.topic);
    set(fields, "qos", publish.qos as u8);
    set(fields, "retain", publish.retain);
    set(fields, "dup", publish.dup);
    if publish.packet_id != 0 {
        set(fields, "packet_id", publish.packet_id);
    }
    payload(fields, publish.payload, payload_bytes);
    properties(fields, publish.properties, payload_bytes);
}

fn ack_fields(kind: PacketType, ack: &Ack<'_>, payload_bytes: usize, fields: &mut Fields) -> &'static str {
    set(fields, "packet_id", ack.packet_id);
    code(fields, ack.code);
    properties(fields, ack.properties, payload_bytes);
    match kind {
        PacketType::PubAck => "PUBACK",
        PacketType::PubRec => "PUBREC",
        PacketType::PubRel => "PUBREL",
        _ => "PUBCOMP",
    }
}

fn subscribe_fields(subscribe: &Subscribe<'_>, payload_bytes: usize, fields: &mut Fields) {
    set(fields, "packet_id", subscribe.packet_id);
    let filters = subscribe.filters.iter().map(|wanted| {
        let handling = match wanted.retain_handling {
            RetainHandling::Send => "send",
            RetainHandling::SendIfNew => "send if new",
            RetainHandling::DoNotSend => "do not send",
        };
        json!({
            "filter": wanted.filter, "qos": wanted.qos as u8, "no_local": wanted.no_local,
            "retain_as_published": wanted.retain_as_published, "retain_handling": handling,
        })
    });
    set(fields, "filters", filters.collect::<Vec<_>>());
    properties(fields, subscribe.properties, payload_bytes);
}

fn codes_fields(id: u16, codes: &[u8], found: Properties<'_>, payload_bytes: usize, fields: &mut Fields) {
    set(fields, "packet_id", id);
    set(fields, "reason_codes", codes.to_vec());
    properties(fields, found, payload_bytes);
}

fn payload(fields: &mut Fields, bytes: &[u8], shown: usize) {
    set(fields, "payload_bytes", bytes.len());
    if shown > 0 {
        let head = &bytes[..bytes.len().min(shown)];
        set(fields, "payload", text_or_hex(head));
    }
}

/// Text as it is, anything else in hexadecimal digits. A cut in the middle of a character does not make text of it
/// something else.
fn text_or_hex(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned()
        }
        Err(_) => {
            let mut hex = String::with_capacity(2 + 2 * bytes.len());
            hex.push_str("0x");
            for byte in bytes {
                // Writing into a string cannot fail.
                let _ = write!(hex, "{byte:02x}");
            }
            hex
        }
    }
}

fn properties(fields: &mut Fields, found: Properties<'_>, payload_bytes: usize) {
    if found.is_empty() {
        return;
    }
    let mut named = Fields::new();
    let mut user = Vec::new();
    let mut ids = Vec::new();
    for property in found.iter() {
        match property {
            Property::UserProperty(name, value) => user.push(json!([name, value])),
            Property::SubscriptionIdentifier(id) => ids.push(id),
            other => {
                let (name, value) = named_value(&other, payload_bytes);
                set(&mut named, name, value);
            }
        }
    }
    if !user.is_empty() {
        set(&mut named, "user_properties", user);
    }
    if !ids.is_empty() {
        set(&mut named, "subscription_identifiers", ids);
    }
    set(fields, "properties", named);
}

fn named_value(property: &Property<'_>, payload_bytes: usize) -> (&'static str, Value) {
    match *property {
        Property::PayloadIsText(v) => ("payload_is_text", v.into()),
        Property::MessageExpiry(v) => ("message_expiry", v.into()),
        Property::ContentType(v) => ("content_type", v.into()),
        Property::ResponseTopic(v) => ("response_topic", v.into()),
        // It belongs to the payload, and may be as secret.
        Property::CorrelationData(v) if payload_bytes > 0 => {
            ("correlation_data", text_or_hex(&v[..v.len().min(payload_bytes)]).into())
        }
        Property::CorrelationData(v) => ("correlation_data_bytes", v.len().into()),
        Property::SubscriptionIdentifier(v) => ("subscription_identifier", v.into()),
        Property::SessionExpiry(v) => ("session_expiry", v.into()),
        Property::AssignedClientId(v) => ("assigned_client_id", v.into()),
        Property::ServerKeepAlive(v) => ("server_keep_alive", v.into()),
        Property::AuthenticationMethod(v) => ("authentication_method", v.into()),
        // A secret: its length alone.
        Property::AuthenticationData(v) => ("authentication_data_bytes", v.len().into()),
        Property::RequestProblemInformation(v) => ("request_problem_information", v.into()),
        Property::WillDelay(v) => ("will_delay", v.into()),
        Property::RequestResponseInformation(v) => ("request_response_information", v.into()),
        Property::ResponseInformation(v) => ("response_information", v.into()),
        Property::ServerReference(v) => ("server_reference", v.into()),
        Property::ReasonString(v) => ("reason_string", v.into()),
        Property::ReceiveMaximum(v) => ("receive_maximum", v.into()),
        Property::TopicAliasMaximum(v) => ("topic_alias_maximum", v.into()),
        Property::TopicAlias(v) => ("topic_alias", v.into()),
        Property::MaximumQos(v) => ("maximum_qos", v.into()),
        Property::RetainAvailable(v) => ("retain_available", v.into()),
        Property::UserProperty(name, _) => ("user_property", name.into()),
        Property::MaximumPacketSize(v) => ("maximum_packet_size", v.into()),
        Property::WildcardSubscriptionAvailable(v) => ("wildcard_subscription_available", v.into()),
        Property::SubscriptionIdentifierAvailable(v) => ("subscription_identifier_available", v.into()),
        Property::SharedSubscriptionAvailable(v) => ("shared_subscription_available", v.into()),
    }
}

#[cfg(test)]
mod tests {
    use mohhos_mqtt::{PropertyBuf, QoS, Version};

    use super::*;

    #[test]
    fn secrets_are_left_out_even_when_payloads_are_shown() {
        let mut properties = PropertyBuf::new();
        properties.push(Property::AuthenticationMethod("SCRAM")).unwrap();
        properties.push(Property::AuthenticationData(b"hunter2")).unwrap();
        let connect = Connect {
            version: Version::V5,
            bridge: false,
            clean_start: true,
            keep_alive: 30,
            client_id: "c",
            properties: properties.view(),
            will: None,
            user_name: Some("pump"),
            password: Some(b"hunter2"),
        };
        let told = Value::Object(describe(&Packet::Connect(connect), 1000));
        assert!(!told.to_string().contains("hunter2"), "{told}");
        assert_eq!((&told["has_password"], &told["user_name"]), (&json!(true), &json!("pump")));
        assert_eq!(told["properties"]["authentication_data_bytes"], 7);
    }

    #[test]
    fn a_payload_is_shown_only_if_asked_for_and_only_its_head() {
        let publish = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: "t",
            packet_id: 7,
            properties: Properties::EMPTY,
            payload: "grün".as_bytes(),
        };
        let hidden = describe(&Packet::Publish(publish), 0);
        assert_eq!((hidden.get("payload"), &hidden["payload_bytes"]), (None, &json!(5)));
        assert_eq!(describe(&Packet::Publish(publish), 3)["payload"], "gr");
        let binary = Publish { payload: &[0xff, 0, 1], ..publish };
        assert_eq!(describe(&Packet::Publish(binary), 2)["payload"], "0xff00");
    }

    #[test]
    fn topics_ids_codes_and_properties_are_there() {
        let mut properties = PropertyBuf::new();
        properties.push(Property::UserProperty("a", "b")).unwrap();
        properties.push(Property::ReasonString("no")).unwrap();
        let ack = Ack { packet_id: 9, code: ReasonCode::NotAuthorized, properties: properties.view() };
        let told = Value::Object(describe(&Packet::PubAck(ack), 0));
        let expected = json!({
            "packet": "PUBACK", "packet_id": 9, "reason_code": 0x87, "reason": ReasonCode::NotAuthorized.text(),
            "properties": {"reason_string": "no", "user_properties": [["a", "b"]]},
        });
        assert_eq!(told, expected);
    }
}
