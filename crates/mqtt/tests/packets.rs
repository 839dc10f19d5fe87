//! Each packet: the bytes that the standard says, and back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

use mohhos_mqtt::Version::{V4, V5};
use mohhos_mqtt::packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, Publish, RetainHandling, SubAck, Subscribe, SubscribeBuf,
    Subscription, UnsubAck, UnsubscribeBuf, WillView, decode,
};
use mohhos_mqtt::{Packet, Properties, Property, PropertyBuf, QoS, ReasonCode, Version};

fn properties(list: &[Property<'_>]) -> PropertyBuf {
    let mut buf = PropertyBuf::new();
    for &property in list {
        buf.push(property).unwrap();
    }
    buf
}

fn bytes(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = vec![0xaa];
    packet.encode(version, &mut out).unwrap();
    assert_eq!(out.remove(0), 0xaa, "what stood before is untouched");
    let (back, len) = decode(&out, version, u32::MAX).unwrap().unwrap();
    assert_eq!((&back, len), (packet, out.len()));
    out
}

const NONE: Properties<'static> = Properties::EMPTY;

#[test]
fn connect_in_both_versions() {
    let mut connect = Connect {
        version: V4,
        bridge: false,
        clean_start: true,
        keep_alive: 60,
        client_id: "dev",
        properties: NONE,
        will: None,
        user_name: Some("u"),
        password: Some(b"p"),
    };
    assert_eq!(
        bytes(&Packet::Connect(connect), V4),
        b"\x10\x15\x00\x04MQTT\x04\xc2\x00\x3c\x00\x03dev\x00\x01u\x00\x01p"
    );
    connect.bridge = true;
    assert_eq!(
        bytes(&Packet::Connect(connect), V4),
        b"\x10\x15\x00\x04MQTT\x84\xc2\x00\x3c\x00\x03dev\x00\x01u\x00\x01p"
    );
    connect.bridge = false;
    let own = properties(&[Property::SessionExpiry(10), Property::ReceiveMaximum(2)]);
    let will = properties(&[Property::WillDelay(5)]);
    connect = Connect {
        version: V5,
        clean_start: false,
        properties: own.view(),
        will: Some(WillView {
            topic: "w",
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: will.view(),
        }),
        user_name: None,
        ..connect
    };
    assert_eq!(
        bytes(&Packet::Connect(connect), V4),
        b"\x10\x2a\x00\x04MQTT\x05\x6c\x00\x3c\x08\x11\0\0\0\x0a\x21\0\x02\x00\x03dev\x05\x18\0\0\0\x05\x00\x01w\x00\x04gone\x00\x01p"
    );
}

#[test]
fn connack_in_both_versions() {
    let ack = ConnAck { session_present: true, code: ReasonCode::Success, properties: NONE };
    assert_eq!(bytes(&Packet::ConnAck(ack), V4), b"\x20\x02\x01\x00");
    let list = properties(&[Property::AssignedClientId("x")]);
    let ack = ConnAck { properties: list.view(), ..ack };
    assert_eq!(bytes(&Packet::ConnAck(ack), V5), b"\x20\x07\x01\x00\x04\x12\0\x01x");
    let refused = ConnAck { session_present: false, code: ReasonCode::NotAuthorized, properties: NONE };
    assert_eq!(bytes(&Packet::ConnAck(refused), V4), b"\x20\x02\x00\x05");
    assert_eq!(bytes(&Packet::ConnAck(refused), V5), b"\x20\x03\x00\x87\x00");
}

#[test]
fn what_3_1_1_cannot_say_is_not_encoded_and_leaves_nothing_behind() {
    let refused = ConnAck { session_present: false, code: ReasonCode::MalformedPacket, properties: NONE };
    let auth = Auth { code: ReasonCode::Success, properties: NONE };
    let long = "x".repeat(65_536);
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: &long,
        packet_id: 0,
        properties: NONE,
        payload: b"",
    };
    for packet in [Packet::ConnAck(refused), Packet::Auth(auth), Packet::Publish(publish)] {
        let mut out = vec![1, 2];
        assert!(packet.encode(V4, &mut out).is_err(), "{packet:?}");
        assert_eq!(out, [1, 2]);
    }
}

#[test]
fn publish_in_both_versions() {
    let publish = Publish {
        dup: true,
        qos: QoS::ExactlyOnce,
        retain: true,
        topic: "a/b",
        packet_id: 10,
        properties: NONE,
        payload: b"xy",
    };
    assert_eq!(bytes(&Packet::Publish(publish), V4), b"\x3d\x09\0\x03a/b\0\x0axy");
    assert_eq!(bytes(&Packet::Publish(publish), V5), b"\x3d\x0a\0\x03a/b\0\x0a\0xy");
    let list = properties(&[Property::TopicAlias(3), Property::UserProperty("k", "v")]);
    let aliased = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "",
        packet_id: 0,
        properties: list.view(),
        payload: b"",
    };
    assert_eq!(bytes(&Packet::Publish(aliased), V5), b"\x30\x0d\0\0\x0a\x23\0\x03\x26\0\x01k\0\x01v");
}

#[test]
fn acknowledgements_are_as_short_as_may_be() {
    let plain = Ack::success(0x1234);
    for version in [V4, V5] {
        assert_eq!(bytes(&Packet::PubAck(plain), version), b"\x40\x02\x12\x34");
        assert_eq!(bytes(&Packet::PubRec(plain), version), b"\x50\x02\x12\x34");
        assert_eq!(bytes(&Packet::PubRel(plain), version), b"\x62\x02\x12\x34");
        assert_eq!(bytes(&Packet::PubComp(plain), version), b"\x70\x02\x12\x34");
    }
    let refused = Ack { code: ReasonCode::NotAuthorized, ..plain };
    assert_eq!(bytes(&Packet::PubAck(refused), V5), b"\x40\x03\x12\x34\x87");
    let list = properties(&[Property::ReasonString("no")]);
    let told = Ack { properties: list.view(), ..refused };
    assert_eq!(bytes(&Packet::PubRec(told), V5), b"\x50\x09\x12\x34\x87\x05\x1f\0\x02no");
    let empty_list = decode(b"\x40\x04\x12\x34\x00\x00", V5, 99).unwrap().unwrap().0;
    assert_eq!(empty_list, Packet::PubAck(plain));
}

#[test]
fn subscribe_and_its_options() {
    let mut buf = SubscribeBuf::new();
    let all = Subscription {
        filter: "a/+",
        qos: QoS::AtLeastOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let plain = Subscription::new("$share/g/#", QoS::ExactlyOnce);
    buf.push(&all).unwrap().push(&plain).unwrap();
    let list = properties(&[Property::SubscriptionIdentifier(200)]);
    let packet = Subscribe { packet_id: 7, properties: list.view(), filters: buf.view() };
    assert_eq!(
        bytes(&Packet::Subscribe(packet), V5),
        b"\x82\x19\0\x07\x03\x0b\xc8\x01\0\x03a/+\x2d\0\x0a$share/g/#\x02"
    );
    assert_eq!(packet.filters.iter().collect::<Vec<_>>(), [all, plain]);
    assert_eq!(packet.properties.subscription_identifier(), Some(200));

    let mut buf = SubscribeBuf::new();
    buf.push(&Subscription::new("a", QoS::AtMostOnce)).unwrap();
    let packet = Subscribe { packet_id: 7, properties: NONE, filters: buf.view() };
    assert_eq!(bytes(&Packet::Subscribe(packet), V4), b"\x82\x06\0\x07\0\x01a\x00");
}

#[test]
fn suback_and_unsuback() {
    let ack = SubAck { packet_id: 7, properties: NONE, codes: &[0, 1, 2, 0x80] };
    assert_eq!(bytes(&Packet::SubAck(ack), V4), b"\x90\x06\0\x07\0\x01\x02\x80");
    assert_eq!(bytes(&Packet::SubAck(ack), V5), b"\x90\x07\0\x07\0\0\x01\x02\x80");
    let mut out = Vec::new();
    SubAck { codes: &[0x87], ..ack }.encode(V4, &mut out).unwrap();
    assert_eq!(out, b"\x90\x03\0\x07\x80", "3.1.1 has but one error");
    let ack = UnsubAck { packet_id: 7, properties: NONE, codes: &[0x11, 0] };
    assert_eq!(bytes(&Packet::UnsubAck(ack), V5), b"\xb0\x05\0\x07\0\x11\0");
    let ack = UnsubAck { codes: &[], ..ack };
    assert_eq!(bytes(&Packet::UnsubAck(ack), V4), b"\xb0\x02\0\x07");
}

#[test]
fn unsubscribe_lists_its_filters() {
    let mut buf = UnsubscribeBuf::new();
    buf.push("a").unwrap().push("b/#").unwrap();
    let packet = buf.packet(7, NONE);
    assert_eq!(bytes(&Packet::Unsubscribe(packet), V4), b"\xa2\x0a\0\x07\0\x01a\0\x03b/#");
    assert_eq!(bytes(&Packet::Unsubscribe(packet), V5), b"\xa2\x0b\0\x07\0\0\x01a\0\x03b/#");
    assert_eq!(packet.filters().collect::<Vec<_>>(), ["a", "b/#"]);
}

#[test]
fn ping_disconnect_and_auth() {
    for version in [V4, V5] {
        assert_eq!(bytes(&Packet::PingReq, version), b"\xc0\x00");
        assert_eq!(bytes(&Packet::PingResp, version), b"\xd0\x00");
    }
    let plain = Disconnect { code: ReasonCode::Success, properties: NONE };
    assert_eq!(bytes(&Packet::Disconnect(plain), V4), b"\xe0\x00");
    assert_eq!(bytes(&Packet::Disconnect(plain), V5), b"\xe0\x00");
    let will = Disconnect { code: ReasonCode::DisconnectWithWill, ..plain };
    assert_eq!(bytes(&Packet::Disconnect(will), V5), b"\xe0\x01\x04");
    let list = properties(&[Property::SessionExpiry(1)]);
    let expiry = Disconnect { properties: list.view(), ..plain };
    assert_eq!(bytes(&Packet::Disconnect(expiry), V5), b"\xe0\x07\x00\x05\x11\0\0\0\x01");
    let auth = Auth { code: ReasonCode::Success, properties: NONE };
    assert_eq!(bytes(&Packet::Auth(auth), V5), b"\xf0\x00");
    let list = properties(&[Property::AuthenticationMethod("m")]);
    let auth = Auth { code: ReasonCode::ContinueAuthentication, properties: list.view() };
    assert_eq!(bytes(&Packet::Auth(auth), V5), b"\xf0\x06\x18\x04\x15\0\x01m");
}

#[test]
fn every_reason_code_has_one_value_and_a_text() {
    for &code in ReasonCode::ALL {
        assert_eq!(ReasonCode::from_u8(code as u8), Some(code));
        assert!(!code.text().is_empty());
    }
    assert_eq!(ReasonCode::ALL.len(), 43);
    assert_eq!(ReasonCode::from_u8(3), None);
}

#[test]
fn raw_properties_can_be_kept_and_read_again() {
    let list = properties(&[
        Property::UserProperty("a", "1"),
        Property::ContentType("text/plain"),
        Property::UserProperty("a", "2"),
        Property::CorrelationData(b"\0\xff"),
    ]);
    let kept = list.view().raw().to_vec();
    let read = Properties::from_raw(&kept);
    assert_eq!(read.user_properties().collect::<Vec<_>>(), [("a", "1"), ("a", "2")]);
    assert_eq!(read.content_type(), Some("text/plain"));
    assert_eq!(read.correlation_data(), Some(&b"\0\xff"[..]));
    assert_eq!(read.message_expiry(), None);
    assert_eq!(Properties::from_raw(&kept[..9]).iter().count(), 1, "reading ends where bytes make no sense");
}
