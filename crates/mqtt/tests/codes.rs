//! What the host decides, as codes that the packet has to say it with, and what the host does not offer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

mod support;

use mohhos_mqtt::Version::{V4, V5};
use mohhos_mqtt::packet::{Connect, Publish, UnsubscribeBuf, decode};
use mohhos_mqtt::session::{Limits, Verdict};
use mohhos_mqtt::{Packet, Properties, Property, ReasonCode, Version};
use support::{Line, connect, properties, publish};

/// The packets in the output. Decoding refuses a code that its packet does not have.
fn count(line: &mut Line, version: Version) -> usize {
    let out = std::mem::take(&mut line.host.out);
    let (mut at, mut packets) = (0, 0);
    while at < out.len() {
        let (_, len) = decode(&out[at..], version, u32::MAX).unwrap().expect("whole packets");
        at += len;
        packets += 1;
    }
    packets
}

#[test]
fn whatever_the_host_says_each_packet_has_a_code_of_its_own() {
    for &code in ReasonCode::ALL {
        for version in [V4, V5] {
            // SUBACK, UNSUBACK, PUBACK, PUBREC; then DISCONNECT, which 3.1.1 has not.
            let mut line = Line::open(version);
            line.host.codes = vec![code];
            line.subscribe(&["a"]);
            let mut buf = UnsubscribeBuf::new();
            buf.push("a").unwrap();
            line.packet(&Packet::Unsubscribe(buf.packet(3, Properties::EMPTY)));
            assert_eq!(count(&mut line, version), 2, "{code:?}");
            for verdict in [Verdict::AcceptWith(code), Verdict::Refuse(code, "why")] {
                let mut line = Line::open(version);
                line.host.verdict = verdict;
                line.publish("t", 1, 1);
                line.publish("t", 2, 2);
                assert_eq!(count(&mut line, version), 2, "{verdict:?}");
            }
            line.session.kick(code, "why", &mut line.host);
            assert_eq!(count(&mut line, version), usize::from(version == V5), "{code:?}");
            // CONNACK; where 3.1.1 has no return code, nothing.
            let mut line = Line::new(Limits::default());
            line.connect(&connect(version));
            if code.is_error() {
                line.session.refuse(code, "why", &mut line.host);
                let answers = count(&mut line, version);
                assert!(answers == 1 || version == V4 && answers == 0, "{code:?}");
                assert!(!line.session.is_open());
            }
        }
    }
}

#[test]
fn no_alias_is_taken_where_none_is_offered() {
    let mut line = Line::new(Limits { topic_alias_maximum: 0, ..Limits::default() });
    line.connect(&Connect { client_id: "c", ..connect(V5) });
    line.accept(&Default::default(), None);
    let connack = std::mem::take(&mut line.host.out);
    let (Packet::ConnAck(ack), _) = decode(&connack, V5, u32::MAX).unwrap().unwrap() else { panic!() };
    assert_eq!(ack.properties.topic_alias_maximum(), None);
    let list = properties(&[Property::TopicAlias(1)]);
    line.packet(&Packet::Publish(Publish { properties: list.view(), ..publish("a", 0, 0) }));
    assert!(line.sent()[0].starts_with("DISCONNECT topic alias invalid"));
    assert!(!line.events().iter().any(|event| event.starts_with("publish")));
}
