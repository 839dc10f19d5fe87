//! From the client: messages of each QoS, acknowledgement after the log, refusals, aliases, subscriptions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

mod support;

use mohhos_mqtt::Version::{V4, V5};
use mohhos_mqtt::packet::{Publish, UnsubscribeBuf};
use mohhos_mqtt::session::{Accept, Limits, Ready, SessionState, Verdict};
use mohhos_mqtt::{Packet, Properties, Property, ReasonCode, Version};
use support::{Line, connect, properties, publish};

fn limited(version: Version, receive_maximum: u16) -> Line {
    Line::open_with(Limits { receive_maximum, ..Limits::default() }, &connect(version), None)
}

#[test]
fn messages_are_passed_on_and_acknowledged_by_their_qos() {
    for version in [V4, V5] {
        let mut line = Line::open(version);
        line.publish("t", 0, 0);
        assert!(line.sent().is_empty());
        line.publish("t", 1, 4);
        assert_eq!(line.sent(), ["PUBACK 4 success"]);
        line.publish("t", 2, 5);
        assert_eq!(line.sent(), ["PUBREC 5 success"]);
        line.pubrel(5);
        assert_eq!(line.sent(), ["PUBCOMP 5 success"]);
        assert_eq!(
            line.events(),
            ["publish t x q0 id0", "publish t x q1 id4", "publish t x q2 id5", "released 5"]
        );
        assert!(line.session.into_state().is_empty());
    }
}

#[test]
fn acknowledgements_wait_for_the_log_and_keep_the_order_of_the_packets() {
    let mut line = Line::open(V5);
    line.host.verdict = Verdict::After(100);
    line.publish("t", 1, 1);
    line.host.verdict = Verdict::After(200);
    line.publish("t", 2, 2);
    line.host.verdict = Verdict::AcceptWith(ReasonCode::NoMatchingSubscribers);
    line.publish("t", 1, 3);
    line.host.verdict = Verdict::Refuse(ReasonCode::NotAuthorized, "not yours");
    line.publish("t", 1, 4);
    line.packet(&Packet::PingReq);
    assert_eq!(line.sent(), ["PingResp"]);
    line.commit(99);
    assert!(line.sent().is_empty());
    line.commit(100);
    assert_eq!(line.sent(), ["PUBACK 1 success"]);
    line.commit(250);
    assert_eq!(
        line.sent(),
        ["PUBREC 2 success", "PUBACK 3 no matching subscribers", "PUBACK 4 not authorized (not yours)"]
    );
    assert!(!line.session.awaits_commit());
    line.host.verdict = Verdict::After(240);
    line.publish("t", 1, 5);
    assert_eq!(line.sent(), ["PUBACK 5 success"], "it is durable already");
}

#[test]
fn a_repeated_qos_2_message_is_answered_and_not_passed_on() {
    let mut line = Line::open(V5);
    line.host.verdict = Verdict::After(10);
    line.publish("t", 2, 7);
    line.publish("t", 2, 7);
    assert_eq!(line.events().len(), 1);
    line.commit(10);
    assert_eq!(line.sent(), ["PUBREC 7 success"], "the repetition shares the answer");
    line.publish("t", 2, 7);
    assert_eq!(line.sent(), ["PUBREC 7 success"]);
    line.host.ready = Ready::After(20);
    line.pubrel(7);
    line.pubrel(7);
    assert_eq!(line.events(), ["released 7"]);
    assert!(line.sent().is_empty());
    line.commit(20);
    assert_eq!(line.sent(), ["PUBCOMP 7 success"]);
    line.publish("t", 2, 7);
    assert_eq!(line.events(), ["publish t x q2 id7"], "after the release the id names a new message");
}

#[test]
fn a_release_that_comes_before_its_pubrec_is_answered_once() {
    let mut line = Line::open(V5);
    line.host.verdict = Verdict::After(10);
    line.publish("t", 2, 7);
    line.host.ready = Ready::After(20);
    line.pubrel(7);
    line.commit(10);
    line.pubrel(7);
    line.commit(20);
    assert_eq!(line.sent(), ["PUBREC 7 success", "PUBCOMP 7 success"]);
}

#[test]
fn qos_2_goes_on_over_a_new_connection_wherever_the_old_one_broke() {
    let mut line = Line::open(V5);
    line.host.verdict = Verdict::After(10);
    line.publish("t", 2, 7);
    line.session.transport_closed(&mut line.host);
    let state = line.session.into_state();

    let again = mohhos_mqtt::packet::Connect { clean_start: false, ..connect(V5) };
    let mut line = Line::open_with(Limits::default(), &again, Some(state));
    line.publish("t", 2, 7);
    assert!(line.sent().is_empty() && line.events().is_empty(), "the log does not have it yet");
    line.commit(10);
    assert_eq!(line.sent(), ["PUBREC 7 success"]);
    line.host.ready = Ready::After(20);
    line.pubrel(7);
    line.session.transport_closed(&mut line.host);
    let state = line.session.into_state();

    let mut line = Line::new(Limits::default());
    line.commit(15);
    line.connect(&again);
    line.accept(&Accept::default(), Some(state.clone()));
    line.sent();
    line.events();
    line.pubrel(7);
    assert!(line.sent().is_empty());
    line.commit(20);
    assert_eq!(line.sent(), ["PUBCOMP 7 success"]);
    assert!(line.events().is_empty());

    let mut line = Line::new(Limits::default());
    line.commit(20);
    line.connect(&again);
    line.accept(&Accept::default(), Some(state));
    line.sent();
    line.pubrel(7);
    assert_eq!(line.sent(), ["PUBCOMP 7 packet identifier not found"], "released, and durable");
}

#[test]
fn an_unknown_pubrel_is_answered_as_the_version_can() {
    for (version, text) in [(V5, "packet identifier not found"), (V4, "success")] {
        let mut line = Line::open(version);
        line.pubrel(9);
        assert_eq!(line.sent(), [format!("PUBCOMP 9 {text}")]);
        assert!(line.events().is_empty());
    }
}

#[test]
fn refused_messages_are_told_to_mqtt_5_and_hidden_from_3_1_1() {
    let refuse = Verdict::Refuse(ReasonCode::NotAuthorized, "no");
    let mut line = Line::open(V5);
    line.host.verdict = refuse;
    line.publish("t", 0, 0);
    line.publish("t", 1, 1);
    line.publish("t", 2, 2);
    assert_eq!(line.sent(), ["PUBACK 1 not authorized (no)", "PUBREC 2 not authorized (no)"]);
    line.publish("t", 2, 2);
    assert_eq!(line.events().len(), 4, "a refused QoS 2 message does not hold its id");

    let mut line = Line::open(V4);
    line.host.verdict = refuse;
    line.publish("t", 0, 0);
    line.publish("t", 1, 1);
    line.publish("t", 2, 2);
    line.pubrel(2);
    assert_eq!(line.sent(), ["PUBACK 1 success", "PUBREC 2 success", "PUBCOMP 2 success"]);

    let mut line = Line::open(V4);
    line.host.verdict = refuse;
    line.host.closes_refused = true;
    line.publish("t", 0, 0);
    line.publish("t", 1, 1);
    assert!(line.sent().is_empty());
    assert_eq!(line.events()[2], "close Kicked(NotAuthorized)");
}

#[test]
fn no_reason_string_goes_to_a_client_that_does_not_want_any() {
    let list = properties(&[Property::RequestProblemInformation(false)]);
    let request = mohhos_mqtt::packet::Connect { properties: list.view(), ..connect(V5) };
    let mut line = Line::open_with(Limits::default(), &request, None);
    line.host.verdict = Verdict::Refuse(ReasonCode::QuotaExceeded, "too much");
    line.publish("t", 1, 1);
    assert_eq!(line.sent(), ["PUBACK 1 quota exceeded"]);
}

#[test]
fn a_verdict_can_close_the_connection() {
    for (version, told) in [(V5, 1), (V4, 0)] {
        let mut line = Line::open(version);
        line.host.verdict = Verdict::Close(ReasonCode::MessageRateTooHigh, "slow down");
        line.publish("t", 1, 1);
        let words = ["DISCONNECT message rate too high [ReasonString(\"slow down\")]"];
        assert_eq!(line.sent(), words[..told]);
        assert_eq!(line.events()[1], "close Kicked(MessageRateTooHigh)");
    }
}

#[test]
fn mqtt_5_clients_keep_to_the_receive_maximum() {
    let mut line = limited(V5, 2);
    line.host.verdict = Verdict::After(1);
    line.publish("t", 1, 1);
    line.publish("t", 2, 2);
    line.publish("t", 2, 2);
    line.publish("t", 0, 0);
    assert!(line.session.is_open(), "repetitions and QoS 0 do not count");
    line.commit(1);
    line.publish("t", 1, 3);
    assert!(line.session.is_open(), "PUBACK made room, PUBREC did not");
    line.pubrel(2);
    line.publish("t", 2, 4);
    line.publish("t", 2, 5);
    assert!(line.session.is_open());
    line.sent();
    line.publish("t", 1, 6);
    assert!(line.sent()[0].starts_with("DISCONNECT receive maximum exceeded"));
}

#[test]
fn messages_held_from_an_earlier_connection_count_only_when_repeated() {
    let mut state = SessionState::default();
    state.replay_publish(1);
    state.replay_publish(2);
    let limits = Limits { receive_maximum: 2, ..Limits::default() };
    let again = mohhos_mqtt::packet::Connect { clean_start: false, ..connect(V5) };
    let mut line = Line::open_with(limits, &again, Some(state));
    line.publish("t", 2, 8);
    line.publish("t", 2, 1);
    line.publish("t", 2, 1);
    assert!(line.session.is_open());
    line.publish("t", 2, 2);
    assert!(!line.session.is_open());
}

#[test]
fn clients_of_3_1_1_are_not_read_while_too_much_waits_for_the_log() {
    let mut line = limited(V4, 2);
    line.host.verdict = Verdict::After(1);
    let mut bytes = Vec::new();
    for id in 1..=3 {
        publish("t", 1, id).encode(V4, &mut bytes).unwrap();
    }
    let used = line.bytes(&bytes);
    assert_eq!(used, bytes.len() / 3 * 2);
    assert_eq!(line.bytes(&bytes[used..]), 0);
    line.commit(1);
    assert_eq!(line.bytes(&bytes[used..]), bytes.len() / 3);
    assert_eq!(line.sent(), ["PUBACK 1 success", "PUBACK 2 success", "PUBACK 3 success"]);
}

#[test]
fn answers_beyond_the_receive_maximum_stop_the_reading_of_mqtt_5_too() {
    let mut line = limited(V5, 1);
    line.host.ready = Ready::After(1);
    let mut buf = mohhos_mqtt::packet::SubscribeBuf::new();
    buf.push(&mohhos_mqtt::packet::Subscription::new("a", Default::default())).unwrap();
    let packet =
        mohhos_mqtt::packet::Subscribe { packet_id: 1, properties: Properties::EMPTY, filters: buf.view() };
    let mut bytes = Vec::new();
    packet.encode(V5, &mut bytes).unwrap();
    let mut count = 0;
    while line.bytes(&bytes) > 0 {
        count += 1;
        assert!(count < 1000, "the queue of answers has no bound");
    }
    line.commit(1);
    assert_eq!(line.sent().len(), count);
}

fn aliased<'a>(topic: &'a str, list: &'a mohhos_mqtt::PropertyBuf) -> Packet<'a> {
    Packet::Publish(Publish { properties: list.view(), ..publish(topic, 0, 0) })
}

#[test]
fn topic_aliases_are_set_used_and_replaced() {
    let one = properties(&[Property::TopicAlias(1)]);
    let two = properties(&[Property::UserProperty("k", "v"), Property::TopicAlias(2)]);
    let mut line = Line::open(V5);
    line.packet(&aliased("a", &one));
    line.packet(&aliased("b", &two));
    line.packet(&aliased("", &one));
    line.packet(&aliased("c", &one));
    line.packet(&aliased("", &one));
    line.packet(&aliased("", &two));
    let topics: Vec<String> = line.events().iter().map(|e| e[8..9].to_string()).collect();
    assert_eq!(topics, ["a", "b", "a", "c", "c", "b"]);
}

#[test]
fn aliases_beyond_the_maximum_or_never_set_end_the_connection() {
    for (alias, topic, code) in [(65, "a", "topic alias invalid"), (64, "", "protocol error")] {
        let list = properties(&[Property::TopicAlias(alias)]);
        let mut line = Line::open(V5);
        line.packet(&aliased(topic, &list));
        assert!(line.sent()[0].starts_with(&format!("DISCONNECT {code}")));
    }
}

#[test]
fn a_subscription_identifier_from_a_client_is_a_protocol_error() {
    let list = properties(&[Property::SubscriptionIdentifier(1)]);
    let mut line = Line::open(V5);
    line.packet(&aliased("a", &list));
    assert!(line.sent()[0].starts_with("DISCONNECT protocol error"));
    assert!(!line.events().iter().any(|e| e.starts_with("publish")));
}

#[test]
fn subscriptions_are_answered_code_by_code() {
    let mut line = Line::open(V5);
    line.host.codes = vec![ReasonCode::GrantedQos1, ReasonCode::NotAuthorized];
    line.subscribe(&["a", "b"]);
    assert_eq!(line.sent(), ["SUBACK 9 [1, 87]"]);
    line.subscribe(&["a", "b", "c"]);
    assert_eq!(line.sent(), ["SUBACK 9 [1, 87, 80]"], "a filter that the host forgot has failed");
    line.subscribe(&["a"]);
    assert_eq!(line.sent(), ["SUBACK 9 [1]"]);
    assert_eq!(line.events(), ["subscribe a b", "subscribe a b c", "subscribe a"]);

    let mut line = Line::open(V4);
    line.host.codes = vec![ReasonCode::GrantedQos2, ReasonCode::NotAuthorized];
    line.subscribe(&["a", "b"]);
    assert_eq!(line.sent(), ["SUBACK 9 [2, 80]"]);
}

#[test]
fn subscriptions_can_wait_for_the_log_and_unsubscriptions_too() {
    for (version, codes) in [(V5, "[11]"), (V4, "[]")] {
        let mut line = Line::open(version);
        line.host.ready = Ready::After(5);
        line.subscribe(&["a"]);
        line.host.codes = vec![ReasonCode::NoSubscriptionExisted];
        let mut buf = UnsubscribeBuf::new();
        buf.push("a").unwrap();
        line.packet(&Packet::Unsubscribe(buf.packet(3, Properties::EMPTY)));
        assert!(line.sent().is_empty());
        line.commit(5);
        assert_eq!(line.sent(), ["SUBACK 9 [0]".to_string(), format!("UNSUBACK 3 {codes}")]);
    }
}

#[test]
fn a_bridge_subscribes_to_what_others_publish_with_the_flag_as_published() {
    for version in [V4, V5] {
        let bridge = mohhos_mqtt::packet::Connect { bridge: true, ..connect(version) };
        let mut line = Line::open_with(Limits::default(), &bridge, None);
        line.subscribe(&["a/#", "b"]);
        assert_eq!(line.events(), ["subscribe a/#(true, true) b(true, true)"]);
    }
    let mut line = Line::open_with(
        Limits::default(),
        &mohhos_mqtt::packet::Connect { bridge: true, ..connect(V5) },
        None,
    );
    line.subscribe(&["$share/g/a"]);
    assert_eq!(line.events(), ["subscribe $share/g/a(false, true)"], "no group can leave its publisher out");
    let mut line = Line::open(V4);
    line.subscribe(&["a/#"]);
    assert_eq!(line.events(), ["subscribe a/#"]);
}
