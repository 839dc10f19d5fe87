//! To the client: deliveries of each QoS, the window, sizes, resumption, checkpoints.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

mod support;

use mohhos_mqtt::Version::{V4, V5};
use mohhos_mqtt::packet::{Ack, Connect, decode};
use mohhos_mqtt::session::{Accept, Delivered, Delivery, Limits, Ready, SessionState};
use mohhos_mqtt::{Packet, Property, QoS, ReasonCode, Version};
use support::{Line, connect, delivery, properties};

fn limited(version: Version, max_inflight: u16) -> Line {
    Line::open_with(Limits { max_inflight, ..Limits::default() }, &connect(version), None)
}

fn resume(version: Version, state: SessionState, max_inflight: u16) -> Line {
    let again = Connect { clean_start: false, ..connect(version) };
    let mut line = Line::new(Limits { max_inflight, ..Limits::default() });
    line.commit(1000);
    line.connect(&again);
    line.accept(&Accept::default(), Some(state));
    line.events();
    line
}

/// The connection breaks; the state goes on.
fn broken(mut line: Line) -> SessionState {
    line.session.transport_closed(&mut line.host);
    line.session.into_state()
}

#[test]
fn each_qos_runs_its_course() {
    for version in [V4, V5] {
        let mut line = Line::open(version);
        assert_eq!(line.deliver(0, 0), Delivered::Sent);
        assert_eq!(line.deliver(11, 1), Delivered::Sent);
        assert_eq!(line.deliver(12, 2), Delivered::Sent);
        assert_eq!(line.sent(), ["PUBLISH t p q0 id0", "PUBLISH t p q1 id1", "PUBLISH t p q2 id2"]);
        line.puback(1);
        line.pubrec(2);
        assert_eq!(line.sent(), ["PUBREL 2 success"]);
        line.pubcomp(2);
        assert!(line.sent().is_empty());
        assert_eq!(line.events(), ["settled 11 success", "received 12", "settled 12 success"]);
        assert!(line.session.into_state().is_empty());
    }
}

#[test]
fn the_window_is_the_smaller_of_both_limits_and_reopens() {
    let list = properties(&[Property::ReceiveMaximum(2)]);
    let mut line =
        Line::open_with(Limits::default(), &Connect { properties: list.view(), ..connect(V5) }, None);
    assert_eq!(line.session.window(), 2);
    line.deliver(1, 1);
    line.deliver(2, 2);
    assert_eq!(line.deliver(3, 1), Delivered::Wait);
    assert_eq!(line.deliver(0, 0), Delivered::Sent, "QoS 0 never waits");
    line.pubrec(2);
    assert_eq!(line.deliver(3, 1), Delivered::Wait, "PUBREC leaves the place taken");
    line.pubcomp(2);
    assert_eq!(line.deliver(3, 1), Delivered::Sent);
    assert_eq!(limited(V4, 3).session.window(), 3);
}

#[test]
fn a_refusal_by_the_client_ends_the_delivery() {
    let mut line = Line::open(V5);
    line.deliver(1, 1);
    line.deliver(2, 2);
    line.sent();
    let refused = Ack { code: ReasonCode::QuotaExceeded, ..Ack::success(1) };
    line.packet(&Packet::PubAck(refused));
    line.packet(&Packet::PubRec(Ack { packet_id: 2, ..refused }));
    assert!(line.sent().is_empty(), "no PUBREL after a refusal");
    assert_eq!(line.events(), ["settled 1 quota exceeded", "settled 2 quota exceeded"]);
}

#[test]
fn unknown_packet_ids_are_answered_as_the_version_can() {
    for (version, text) in [(V5, "packet identifier not found"), (V4, "success")] {
        let mut line = Line::open(version);
        line.puback(5);
        line.pubcomp(6);
        assert!(line.sent().is_empty());
        line.pubrec(7);
        assert_eq!(line.sent(), [format!("PUBREL 7 {text}")]);
        assert!(line.events().is_empty() && line.session.is_open());
    }
}

#[test]
fn an_acknowledgement_of_the_wrong_kind_is_a_protocol_error() {
    for ack in
        [Packet::PubRec(Ack::success(1)), Packet::PubAck(Ack::success(2)), Packet::PubComp(Ack::success(2))]
    {
        let mut line = Line::open(V5);
        line.deliver(1, 1);
        line.deliver(2, 2);
        line.sent();
        line.packet(&ack);
        assert!(line.sent()[0].starts_with("DISCONNECT protocol error"), "{ack:?}");
    }
}

#[test]
fn pubrel_waits_until_the_log_knows_that_the_client_has_the_message() {
    let mut line = Line::open(V5);
    line.deliver(1, 2);
    line.sent();
    line.host.ready = Ready::After(50);
    line.pubrec(1);
    line.pubrec(1);
    assert!(line.sent().is_empty());
    line.commit(50);
    assert_eq!(line.sent(), ["PUBREL 1 success"]);
    line.pubrec(1);
    assert_eq!(line.sent(), ["PUBREL 1 success"]);
    assert_eq!(line.events(), ["received 1"]);
}

#[test]
fn what_is_too_large_for_the_client_is_dropped_and_takes_no_place() {
    let list = properties(&[Property::MaximumPacketSize(20), Property::ReceiveMaximum(1)]);
    let mut line =
        Line::open_with(Limits::default(), &Connect { properties: list.view(), ..connect(V5) }, None);
    for qos in 0..3 {
        let large = Delivery { payload: b"0123456789abcdef", ..delivery(1, qos) };
        assert_eq!(line.session.deliver(&large, &mut line.host), Delivered::TooLarge);
    }
    assert!(line.sent().is_empty());
    let exact = Delivery { payload: b"0123456789ab", ..delivery(2, 1) };
    assert_eq!(line.session.deliver(&exact, &mut line.host), Delivered::Sent, "exactly twenty bytes");
}

#[test]
fn an_expired_message_is_not_sent() {
    let mut line = Line::open(V4);
    for qos in 0..3 {
        let old = Delivery { expiry_s: Some(0), ..delivery(1, qos) };
        assert_eq!(line.session.deliver(&old, &mut line.host), Delivered::Expired);
    }
    assert!(line.sent().is_empty());
}

#[test]
fn properties_are_passed_on_unaltered_but_for_those_of_the_connection() {
    let list = properties(&[
        Property::TopicAlias(4),
        Property::UserProperty("a", "1"),
        Property::MessageExpiry(1000),
        Property::PayloadIsText(true),
        Property::SubscriptionIdentifier(99),
        Property::ContentType("text/csv"),
        Property::UserProperty("a", "2"),
        Property::ResponseTopic("r"),
        Property::CorrelationData(b"\0"),
    ]);
    let message = Delivery {
        properties: list.view(),
        expiry_s: Some(7),
        subscription_ids: &[3, 300],
        retain: true,
        ..delivery(1, 1)
    };
    let mut line = Line::open(V5);
    assert_eq!(line.session.deliver(&message, &mut line.host), Delivered::Sent);
    let Some((Packet::Publish(publish), _)) = decode(&line.host.out, V5, 1000).unwrap() else { panic!() };
    assert!(publish.retain);
    assert_eq!(
        publish.properties.iter().collect::<Vec<_>>(),
        [
            Property::UserProperty("a", "1"),
            Property::PayloadIsText(true),
            Property::ContentType("text/csv"),
            Property::UserProperty("a", "2"),
            Property::ResponseTopic("r"),
            Property::CorrelationData(b"\0"),
            Property::MessageExpiry(7),
            Property::SubscriptionIdentifier(3),
            Property::SubscriptionIdentifier(300),
        ]
    );
    let mut line = Line::open(V4);
    line.session.deliver(&message, &mut line.host);
    assert_eq!(line.sent(), ["PUBLISH t p q1 id1"]);
}

#[test]
fn topics_are_sent_once_and_then_by_their_alias_within_the_clients_maximum() {
    let list = properties(&[Property::TopicAliasMaximum(2)]);
    let packet = Connect { properties: list.view(), ..connect(Version::V5) };
    let mut line = Line::open_with(Limits::default(), &packet, None);
    let mut seen: std::collections::HashMap<u16, String> = Default::default();
    for round in 0..50u64 {
        for topic in ["devices/a/commands/1", "devices/b/commands/1", "devices/c/commands/1", "t"] {
            let d = Delivery { topic, ..delivery(round, 0) };
            assert_eq!(line.session.deliver(&d, &mut line.host), Delivered::Sent);
            let out = std::mem::take(&mut line.host.out);
            let Ok(Some((Packet::Publish(p), _))) = decode(&out, Version::V5, u32::MAX) else {
                panic!("{out:?}")
            };
            match p.properties.topic_alias() {
                None => assert_eq!(p.topic, topic),
                Some(alias) => {
                    assert!((1..=2).contains(&alias));
                    if !p.topic.is_empty() {
                        seen.insert(alias, p.topic.to_owned());
                    }
                    assert_eq!(seen[&alias], topic, "the client takes it for the topic that it is");
                }
            }
        }
    }
    assert!(!seen.is_empty() && !seen.values().any(|topic| topic == "t"), "a short topic is not worth it");
}

#[test]
fn without_a_topic_alias_maximum_there_are_no_aliases_and_a_dropped_packet_sets_none() {
    let mut line = Line::open(Version::V5);
    let long = Delivery { topic: "devices/a/commands/1", ..delivery(1, 0) };
    for _ in 0..3 {
        line.session.deliver(&long, &mut line.host);
    }
    assert!(!line.host.out.contains(&0x23));
    let list = properties(&[Property::TopicAliasMaximum(8), Property::MaximumPacketSize(40)]);
    let packet = Connect { properties: list.view(), ..connect(Version::V5) };
    let mut line = Line::open_with(Limits::default(), &packet, None);
    let large = Delivery { payload: &[0; 40], ..long };
    assert_eq!(line.session.deliver(&large, &mut line.host), Delivered::TooLarge);
    // 40 bytes without an alias.
    let full = Delivery { payload: &[0; 15], ..long };
    assert_eq!(line.session.deliver(&full, &mut line.host), Delivered::Sent);
    assert_eq!(std::mem::take(&mut line.host.out).len(), 40, "an alias is left out where it has no room");
    assert_eq!(line.session.deliver(&long, &mut line.host), Delivered::Sent);
    let Ok(Some((Packet::Publish(p), _))) = decode(&line.host.out, Version::V5, u32::MAX) else { panic!() };
    assert_eq!((p.topic, p.properties.topic_alias().is_some()), ("devices/a/commands/1", true));
}

#[test]
fn nothing_is_delivered_without_an_open_connection() {
    let mut line = Line::new(Limits::default());
    assert_eq!(line.deliver(1, 0), Delivered::Closed);
    assert_eq!(line.deliver(1, 1), Delivered::Closed);
    line.connect(&connect(V5));
    assert_eq!(line.deliver(1, 1), Delivered::Closed);
    assert_eq!(line.session.reserve(1, QoS::AtLeastOnce), None);
}

#[test]
fn unacknowledged_deliveries_are_sent_again_in_order_before_new_ones() {
    for version in [V4, V5] {
        let mut line = Line::open(version);
        for (id, qos) in [(21, 1), (22, 2), (23, 2), (24, 1)] {
            line.deliver(id, qos);
        }
        line.pubrec(2);
        let mut line = resume(version, broken(line), 256);
        let sent = line.sent();
        assert!(sent[0].starts_with("CONNACK success present=true"));
        assert_eq!(sent[1..], ["PUBREL 2 success"]);
        assert_eq!(line.deliver(25, 1), Delivered::Wait);
        let mut resent = Vec::new();
        while let Some(id) = line.session.next_resend() {
            resent.push(id);
            assert_eq!(line.deliver(id, 1), Delivered::Sent);
        }
        assert_eq!(resent, [21, 23, 24]);
        assert_eq!(line.deliver(25, 1), Delivered::Sent);
        assert_eq!(
            line.sent(),
            [
                "PUBLISH t p q1 id1 dup",
                "PUBLISH t p q2 id3 dup",
                "PUBLISH t p q1 id4 dup",
                "PUBLISH t p q1 id5"
            ]
        );
    }
}

#[test]
fn sending_again_keeps_to_the_new_window() {
    let mut line = Line::open(V5);
    for id in 1..=3 {
        line.deliver(id, 1);
    }
    let mut line = resume(V5, broken(line), 2);
    line.sent();
    line.deliver(1, 1);
    line.deliver(2, 1);
    assert_eq!((line.session.next_resend(), line.deliver(3, 1)), (None, Delivered::Wait));
    line.puback(1);
    assert_eq!((line.session.next_resend(), line.deliver(3, 1)), (Some(3), Delivered::Sent));
}

#[test]
fn a_delivery_whose_body_is_gone_is_forgotten_without_confusing_the_client() {
    let mut line = Line::open(V5);
    line.deliver(1, 1);
    line.deliver(2, 2);
    line.deliver(3, 2);
    assert!(!line.session.forget(1, &mut line.host), "it is on its way");
    let mut line = resume(V5, broken(line), 256);
    line.sent();
    assert!(line.session.forget(1, &mut line.host));
    assert!(line.sent().is_empty());
    assert!(line.session.forget(2, &mut line.host));
    assert_eq!(line.sent(), ["PUBREL 2 success"], "the client may hold the id");
    let old = Delivery { expiry_s: Some(0), ..delivery(3, 2) };
    assert_eq!(line.session.deliver(&old, &mut line.host), Delivered::Sent, "it was sent before it expired");
    assert_eq!(line.sent(), ["PUBLISH t p q2 id3 dup"]);
    assert_eq!(line.session.next_resend(), None);
    line.packet(&Packet::PubComp(Ack { code: ReasonCode::PacketIdentifierNotFound, ..Ack::success(2) }));
    assert_eq!(line.events(), ["settled 2 success"]);
    assert_eq!(line.session.state().deliveries().collect::<Vec<_>>(), [3]);
}

#[test]
fn a_reserved_packet_id_is_used_by_the_delivery_and_kept_over_a_crash() {
    let mut line = limited(V5, 2);
    assert_eq!(line.session.reserve(5, QoS::ExactlyOnce), Some(1));
    assert_eq!(line.session.reserve(6, QoS::ExactlyOnce), Some(2));
    assert_eq!(line.session.reserve(7, QoS::ExactlyOnce), None, "reserved ids take places");
    line.puback(1);
    assert!(line.session.is_open(), "nothing with this id was sent");
    assert_eq!(line.deliver(6, 2), Delivered::Sent);
    assert_eq!(line.deliver(5, 2), Delivered::Sent);
    assert_eq!(line.sent(), ["PUBLISH t p q2 id2", "PUBLISH t p q2 id1"]);

    // The crash: what is known is the log.
    let mut state = SessionState::default();
    state.replay_reserved(5, QoS::ExactlyOnce, 1);
    state.replay_reserved(6, QoS::ExactlyOnce, 2);
    state.replay_received(5);
    state.replay_received(77);
    state.replay_settled(78);
    let mut line = resume(V5, state, 10);
    assert_eq!(line.sent()[1..], ["PUBREL 1 success"]);
    assert_eq!(line.session.next_resend(), Some(6));
    line.deliver(6, 2);
    line.deliver(8, 2);
    assert_eq!(line.sent(), ["PUBLISH t p q2 id2 dup", "PUBLISH t p q2 id3"]);
}

#[test]
fn a_reserved_delivery_that_was_never_sent_goes_out_without_dup() {
    let mut line = Line::open(V5);
    line.session.reserve(5, QoS::AtLeastOnce);
    let mut line = resume(V5, broken(line), 10);
    line.sent();
    assert_eq!(line.session.next_resend(), Some(5));
    line.deliver(5, 1);
    assert_eq!(line.sent(), ["PUBLISH t p q1 id1"]);
}

#[test]
fn pubrel_for_a_resumed_delivery_waits_for_the_log_too() {
    let mut line = Line::open(V5);
    line.deliver(1, 2);
    line.host.ready = Ready::After(2000);
    line.pubrec(1);
    let mut line = resume(V5, broken(line), 10);
    assert_eq!(line.sent().len(), 1, "CONNACK alone");
    line.pubrec(1);
    assert!(line.sent().is_empty());
    line.commit(2000);
    assert_eq!(line.sent(), ["PUBREL 1 success"]);
}

#[test]
fn an_exported_state_goes_on_as_the_original_would() {
    let mut line = Line::open(V5);
    line.deliver(21, 1);
    line.deliver(1 << 40, 2);
    line.deliver(23, 2);
    line.pubrec(3);
    line.publish("t", 2, 500);
    let state = broken(line);
    let mut bytes = Vec::new();
    state.export(u64::MAX, &mut bytes);
    let imported = SessionState::import(&bytes).unwrap();
    let mut again = Vec::new();
    imported.export(u64::MAX, &mut again);
    assert_eq!(bytes, again);
    assert_eq!(imported.inbound_ids().collect::<Vec<_>>(), [500]);
    let mut line = resume(V5, imported, 10);
    assert_eq!(line.sent()[1..], ["PUBREL 3 success"]);
    assert_eq!(line.session.next_resend(), Some(21));
    line.deliver(21, 1);
    assert_eq!(line.session.next_resend(), Some(1 << 40));
    line.deliver(1 << 40, 2);
    line.deliver(30, 1);
    assert_eq!(line.sent()[2], "PUBLISH t p q1 id4", "packet ids go on where they were");
    assert!(SessionState::import(&[1, 0, 0, 0, 0, 0, 0]).unwrap().is_empty());
}

#[test]
fn an_export_leaves_out_what_the_log_does_not_have_yet() {
    use mohhos_mqtt::session::Verdict;
    let mut line = Line::open(V5);
    line.deliver(1, 2);
    line.host.verdict = Verdict::After(10);
    line.publish("t", 2, 100);
    line.commit(10);
    line.host.verdict = Verdict::After(20);
    line.publish("t", 2, 101);
    line.host.ready = Ready::After(30);
    line.pubrel(100);
    line.pubrec(1);
    let at = |cut: u64| {
        let mut bytes = Vec::new();
        line.session.state().export(cut, &mut bytes);
        let state = SessionState::import(&bytes).unwrap();
        let ids: Vec<u16> = state.inbound_ids().collect();
        (ids, bytes[15])
    };
    assert_eq!(at(10), (vec![100], 2));
    assert_eq!(at(20), (vec![100, 101], 2));
    assert_eq!(at(30), (vec![101], 3));
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    let delivery = [0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1];
    let whole = [&[1, 0, 1, 0, 1][..], &delivery, &[0, 1, 0, 9]].concat();
    assert!(SessionState::import(&whole).is_ok());
    for end in 0..whole.len() {
        assert!(SessionState::import(&whole[..end]).is_err(), "cut at {end}");
    }
    let with = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        bytes
    };
    assert!(SessionState::import(&with(0, 2)).is_err(), "version");
    assert!(SessionState::import(&with(14, 0)).is_err(), "packet id 0");
    assert!(SessionState::import(&with(15, 4)).is_err(), "phase");
    assert!(SessionState::import(&[&whole[..], &[0]].concat()).is_err(), "bytes after the end");
    let twice = [&[1, 0, 1, 0, 2][..], &delivery, &delivery, &[0, 0]].concat();
    assert!(SessionState::import(&twice).is_err(), "a delivery twice");
    assert!(SessionState::import(&[1, 0, 0, 0, 0, 0, 2, 0, 9, 0, 9]).is_err(), "an inbound id twice");
}
