//! Laws of the codec, on generated packets and on arbitrary bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

use mohhos_mqtt::Version::{V4, V5};
use mohhos_mqtt::packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, Publish, RetainHandling, SubAck, Subscribe, SubscribeBuf,
    Subscription, UnsubAck, UnsubscribeBuf, WillView, decode, frame,
};
use mohhos_mqtt::{Packet, Properties, Property, PropertyBuf, QoS, ReasonCode, Version};
use proptest::prelude::*;

fn word() -> impl Strategy<Value = String> {
    "[a-zé漢 /]{0,12}"
}

fn name() -> impl Strategy<Value = String> {
    "[a-zé/$]{1,12}"
}

fn qos() -> impl Strategy<Value = QoS> {
    (0u8..3).prop_map(|q| QoS::from_u8(q).unwrap())
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(V4), Just(V5)]
}

/// User properties, and one more that the packet may have.
fn properties(own: &'static [fn(&mut PropertyBuf, u32, &str)]) -> impl Strategy<Value = PropertyBuf> {
    let user = prop::collection::vec((word(), word()), 0..3);
    (user, prop::collection::vec(any::<u32>(), own.len()), any::<u32>(), word()).prop_map(
        move |(user, numbers, which, text)| {
            let mut buf = PropertyBuf::new();
            for (at, add) in own.iter().enumerate() {
                if which >> at & 1 == 1 {
                    add(&mut buf, numbers[at], &text);
                }
            }
            for (name, value) in &user {
                buf.push(Property::UserProperty(name, value)).unwrap();
            }
            buf
        },
    )
}

type Add = fn(&mut PropertyBuf, u32, &str);

macro_rules! adds {
    ($($(#[$doc:meta])* $name:ident: [$($add:expr),* $(,)?];)*) => {
        $(const $name: &[Add] = &[$(|buf, n, s| {
            let make: fn(u32, &str) -> Property<'_> = $add;
            buf.push(make(n, s)).unwrap();
        }),*];)*
    };
}

adds! {
    CONNECT: [
        |n, _| Property::SessionExpiry(n),
        |n, _| Property::ReceiveMaximum(n as u16 | 1),
        |n, _| Property::MaximumPacketSize(n | 1),
        |n, _| Property::TopicAliasMaximum(n as u16),
        |n, _| Property::RequestProblemInformation(n & 1 == 1),
        |n, _| Property::RequestResponseInformation(n & 1 == 1),
        |_, s| Property::AuthenticationMethod(s),
    ];
    WILL: [
        |n, _| Property::WillDelay(n),
        |n, _| Property::MessageExpiry(n),
        |n, _| Property::PayloadIsText(n & 1 == 1),
        |_, s| Property::ContentType(s),
    ];
    CONNACK: [
        |n, _| Property::MaximumQos((n & 1) as u8),
        |n, _| Property::RetainAvailable(n & 1 == 1),
        |n, _| Property::WildcardSubscriptionAvailable(n & 1 == 1),
        |n, _| Property::SubscriptionIdentifierAvailable(n & 1 == 1),
        |n, _| Property::SharedSubscriptionAvailable(n & 1 == 1),
        |n, _| Property::ServerKeepAlive(n as u16),
        |_, s| Property::AssignedClientId(s),
        |_, s| Property::ResponseInformation(s),
        |_, s| Property::ServerReference(s),
        |_, s| Property::ReasonString(s),
    ];
    PUBLISH: [
        |n, _| Property::MessageExpiry(n),
        |n, _| Property::TopicAlias(n as u16 | 1),
        |_, s| Property::ContentType(s),
        |_, s| Property::CorrelationData(s.as_bytes()),
        |n, _| Property::SubscriptionIdentifier(n >> 4 | 1),
        |n, _| Property::SubscriptionIdentifier(n >> 9 | 1),
    ];
    ACK: [|_, s| Property::ReasonString(s)];
    SUBSCRIBE: [|n, _| Property::SubscriptionIdentifier(n >> 4 | 1)];
    PLAIN: [];
    DISCONNECT: [|n, _| Property::SessionExpiry(n), |_, s| Property::ServerReference(s)];
    AUTH: [|_, s| Property::AuthenticationMethod(s), |_, s| Property::AuthenticationData(s.as_bytes())];
}

/// What MQTT 5 alone has is left out in 3.1.1.
fn only_v5(version: Version, buf: &PropertyBuf) -> Properties<'_> {
    if version == V5 { buf.view() } else { Properties::EMPTY }
}

fn bytes(packet: Packet<'_>, version: Version) -> (Version, Vec<u8>) {
    let mut out = Vec::new();
    packet.encode(version, &mut out).unwrap();
    let (back, len) = decode(&out, version, u32::MAX).unwrap().unwrap();
    assert_eq!((back, len), (packet, out.len()));
    (version, out)
}

fn connects() -> impl Strategy<Value = (Version, Vec<u8>)> {
    let will = prop::option::of((name(), any::<Vec<u8>>(), qos(), any::<bool>(), properties(WILL)));
    let login = (prop::option::of(word()), prop::option::of(any::<Vec<u8>>()));
    (version(), any::<(bool, bool, u16)>(), word(), properties(CONNECT), will, login).prop_map(
        |(version, (clean_start, bridge, keep_alive), client_id, own, will, (user_name, password))| {
            let will = will.as_ref().map(|(topic, payload, qos, retain, list)| WillView {
                topic,
                payload,
                qos: *qos,
                retain: *retain,
                properties: only_v5(version, list),
            });
            let password = password.as_deref().filter(|_| version == V5 || user_name.is_some());
            let connect = Connect {
                version,
                bridge,
                clean_start,
                keep_alive,
                client_id: &client_id,
                properties: only_v5(version, &own),
                will,
                user_name: user_name.as_deref(),
                password,
            };
            bytes(Packet::Connect(connect), version)
        },
    )
}

fn publishes() -> impl Strategy<Value = (Version, Vec<u8>)> {
    (version(), any::<(bool, bool)>(), qos(), name(), 1u16.., properties(PUBLISH), any::<Vec<u8>>()).prop_map(
        |(version, (dup, retain), qos, topic, id, list, payload)| {
            let zero = qos == QoS::AtMostOnce;
            let publish = Publish {
                dup: dup && !zero,
                qos,
                retain,
                topic: &topic,
                packet_id: if zero { 0 } else { id },
                properties: only_v5(version, &list),
                payload: &payload,
            };
            bytes(Packet::Publish(publish), version)
        },
    )
}

fn subscribes() -> impl Strategy<Value = (Version, Vec<u8>)> {
    let filters = prop::collection::vec((name(), qos(), any::<(bool, bool)>(), 0u8..3), 1..4);
    (version(), 1u16.., properties(SUBSCRIBE), filters).prop_map(|(version, packet_id, list, filters)| {
        let mut buf = SubscribeBuf::new();
        for (filter, qos, (no_local, retain_as_published), handling) in &filters {
            let plain = Subscription::new(filter, *qos);
            let full = Subscription {
                no_local: *no_local && !filter.starts_with('$'),
                retain_as_published: *retain_as_published,
                retain_handling: [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend]
                    [usize::from(*handling)],
                ..plain
            };
            buf.push(if version == V5 { &full } else { &plain }).unwrap();
        }
        let subscribe = Subscribe { packet_id, properties: only_v5(version, &list), filters: buf.view() };
        bytes(Packet::Subscribe(subscribe), version)
    })
}

fn others() -> impl Strategy<Value = (Version, Vec<u8>)> {
    let codes = prop::collection::vec(prop::sample::select(vec![0u8, 0x80, 0x87, 0x8f]), 1..4);
    let lists =
        (properties(ACK), properties(PLAIN), properties(DISCONNECT), properties(CONNACK), properties(AUTH));
    (version(), 0u8..12, 1u16.., codes, lists, prop::collection::vec(name(), 1..4)).prop_map(
        |(version, kind, packet_id, codes, (ack, plain, disconnect, connack, auth), filters)| {
            let v5 = version == V5;
            let code = if v5 && codes[0] == 0x87 { ReasonCode::NotAuthorized } else { ReasonCode::Success };
            let about = Ack { packet_id, code, properties: only_v5(version, &ack) };
            let release = Ack { code: ReasonCode::Success, ..about };
            let mut unsubscribe = UnsubscribeBuf::new();
            for filter in &filters {
                unsubscribe.push(filter).unwrap();
            }
            let sub_codes: Vec<u8> = codes.iter().map(|&c| if v5 { c } else { c.min(0x80) }).collect();
            let packet = match kind {
                0 => Packet::PubAck(about),
                1 => Packet::PubRec(about),
                2 => Packet::PubRel(release),
                3 => Packet::PubComp(release),
                4 => Packet::Unsubscribe(unsubscribe.packet(packet_id, only_v5(version, &plain))),
                5 => Packet::SubAck(SubAck {
                    packet_id,
                    properties: only_v5(version, &ack),
                    codes: &sub_codes,
                }),
                6 => Packet::UnsubAck(UnsubAck {
                    packet_id,
                    properties: only_v5(version, &ack),
                    codes: if v5 { &codes } else { &[] },
                }),
                7 => Packet::PingReq,
                8 => Packet::PingResp,
                9 => Packet::Disconnect(Disconnect { code, properties: only_v5(version, &disconnect) }),
                10 => Packet::ConnAck(ConnAck {
                    session_present: packet_id & 1 == 1,
                    code,
                    properties: only_v5(version, &connack),
                }),
                _ => {
                    let auth = Auth { code: ReasonCode::ContinueAuthentication, properties: auth.view() };
                    return bytes(Packet::Auth(auth), V5);
                }
            };
            bytes(packet, version)
        },
    )
}

/// Encoded packets; that each decodes to itself is asserted where it is made.
fn packets() -> impl Strategy<Value = (Version, Vec<u8>)> {
    prop_oneof![connects(), publishes(), publishes(), subscribes(), others(), others()]
}

/// Decoding may end in anything but a panic, and depends on the packet's own bytes alone.
fn decode_anything(bytes: &[u8], version: Version) {
    let Ok(Some((packet, len))) = decode(bytes, version, 1 << 20) else { return };
    assert!(len <= bytes.len());
    assert_eq!(decode(&bytes[..len], version, 1 << 20), Ok(Some((packet, len))));
    // What was accepted can be sent, and is accepted again.
    let mut out = Vec::new();
    let again = if let Packet::Connect(connect) = &packet { connect.version } else { version };
    packet.encode(again, &mut out).unwrap();
    assert_eq!(decode(&out, again, 1 << 20), Ok(Some((packet, out.len()))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_packet_decodes_to_itself_and_stays_incomplete_until_its_last_byte((version, bytes) in packets()) {
        for end in 0..bytes.len() {
            prop_assert_eq!(decode(&bytes[..end], version, u32::MAX), Ok(None), "cut at {}", end);
        }
        let mut longer = bytes.clone();
        longer.extend_from_slice(&[0xff; 7]);
        let (packet, len) = decode(&longer, version, u32::MAX).unwrap().unwrap();
        prop_assert_eq!(len, bytes.len());
        prop_assert_eq!(Some((packet, len)), decode(&bytes, version, u32::MAX).unwrap());
    }

    #[test]
    fn the_size_limit_is_exact_and_needs_only_the_fixed_header((version, bytes) in packets()) {
        let size = bytes.len() as u32;
        prop_assert!(decode(&bytes, version, size).is_ok());
        let header = frame(&bytes, u32::MAX).unwrap().unwrap().header_len;
        let refused = decode(&bytes[..header], version, size - 1).unwrap_err();
        prop_assert_eq!(refused.code, ReasonCode::PacketTooLarge);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, version in version()) {
        decode_anything(&bytes, version);
    }

    #[test]
    fn arbitrary_bodies_behind_a_true_header_never_panic(first: u8, body in prop::collection::vec(any::<u8>(), 0..120),
                                                         version in version()) {
        let mut bytes = vec![first, body.len() as u8];
        bytes.extend_from_slice(&body);
        decode_anything(&bytes, version);
    }

    #[test]
    fn a_packet_with_a_few_bytes_changed_never_panics((version, bytes) in packets(),
                                                      changes in prop::collection::vec(any::<(usize, u8)>(), 1..4)) {
        let mut bytes = bytes;
        for (at, value) in changes {
            let len = bytes.len();
            bytes[at % len] = value;
        }
        decode_anything(&bytes, version);
        for property in Properties::from_raw(&bytes).iter() {
            let _ = property.id();
        }
    }

    #[test]
    fn matching_agrees_with_the_definition_by_levels(filter in "[ab+$#]{0,2}(/[ab+#]{0,2}){0,3}", topic in "[ab$]{0,2}(/[ab]{0,2}){0,3}") {
        use mohhos_mqtt::topic;
        prop_assume!(topic::is_filter(&filter) && topic::is_name(&topic));
        let filters: Vec<&str> = filter.split('/').collect();
        let names: Vec<&str> = topic.split('/').collect();
        let hidden = topic.starts_with('$') && (filters[0] == "+" || filters[0] == "#");
        let rest = filters.last() == Some(&"#");
        let fixed = if rest { filters.len() - 1 } else { filters.len() };
        let length_fits = if rest { names.len() >= fixed } else { names.len() == fixed };
        let levels_fit = filters[..fixed].iter().zip(&names).all(|(f, n)| *f == "+" || f == n);
        prop_assert_eq!(topic::matches(&filter, &topic), !hidden && length_fits && levels_fit);
    }
}
