//! What the standard says of the delivery protocols, sessions, order and flow control (4.1 to 4.9), byte by byte over a
//! socket.

mod common;

use common::raw::{Raw, open_hub};
use mohhos_hub::Limits;
use mohhos_mqtt::Version::{self, V4, V5};

const BOTH: [Version; 2] = [V4, V5];

#[test]
fn what_was_not_acknowledged_is_sent_again_on_reconnecting_with_its_packet_id_and_then_only() {
    for version in BOTH {
        let (rig, clock) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        let none = app.none();
        let mut kept = Raw::keep(&rig, version, "c", false);
        kept.subscribe("t", 2);
        for (n, first) in [(1, 0x32), (2, 0x34), (3, 0x34), (4, 0x32)] {
            app.publish(first, "t", &n.to_string());
            kept.hears(&format!("{first:02x} :t {n:04x} {none} ={n}"));
        }
        kept.say("50 0002");
        kept.hears("62 0002");
        // As long as the connection is there, nothing is repeated.
        clock.advance(3_000_000_000);
        kept.is_quiet();
        app.is_quiet();
        clock.advance(3_000_000_000);
        kept.is_quiet();
        drop(kept);
        // The second was released and is not published again; the others keep their ids and their order.
        let mut kept = Raw::keep(&rig, version, "c", true);
        kept.hears("62 0002");
        kept.hears(&format!("3a :t 0001 {none} =1"));
        kept.hears(&format!("3c :t 0003 {none} =3"));
        kept.hears(&format!("3a :t 0004 {none} =4"));
        kept.is_quiet();
        kept.say("70 0002");
        kept.say("40 0001");
        kept.say("50 0003");
        kept.hears("62 0003");
        drop(kept);
        let mut kept = Raw::keep(&rig, version, "c", true);
        kept.hears("62 0003");
        kept.hears(&format!("3a :t 0004 {none} =4"));
        kept.say("70 0003");
        kept.say("40 0004");
        kept.is_quiet();
        drop(kept);
        Raw::keep(&rig, version, "c", true).is_quiet();
        // A clean start repeats nothing.
        app.publish(0x32, "t", "5");
        Raw::open(&rig, version, "c").is_quiet();
    }
}

#[test]
fn a_packet_id_is_not_zero_and_not_given_twice_while_it_is_in_use() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits { max_inflight: 100, ..Limits::default() });
        let mut app = Raw::open(&rig, version, "app");
        let mut raw = Raw::open(&rig, version, "c");
        raw.subscribe("t", 2);
        let mut used = std::collections::BTreeSet::new();
        for n in 0..300 {
            app.publish(if n % 2 == 0 { 0x32 } else { 0x34 }, "t", "x");
            let got = raw.hear();
            let id = u16::from_be_bytes([got[5], got[6]]);
            assert!(id != 0 && used.insert(id), "{id} is in use");
            // Every third stays unacknowledged.
            if n % 3 > 0 || used.len() > 90 {
                used.remove(&id);
                if got[0] & 6 == 2 {
                    raw.say(&format!("40 {id:04x}"));
                } else {
                    raw.say(&format!("50 {id:04x}"));
                    raw.hears(&format!("62 {id:04x}"));
                    raw.say(&format!("70 {id:04x}"));
                }
            }
        }
    }
}

#[test]
fn a_packet_id_names_a_new_message_after_its_acknowledgement_and_the_same_one_before() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut watcher = Raw::open(&rig, version, "watcher");
        watcher.subscribe("#", 0);
        let mut raw = Raw::open(&rig, version, "c");
        let none = raw.none();
        let mut came = |payload: &str| watcher.hears(&format!("30 :t {none} ={payload}"));
        // QoS 1: after PUBACK, with and without DUP.
        for (first, payload) in [("32", "1"), ("32", "2"), ("3a", "3")] {
            raw.say(&format!("{first} :t 0001 {none} ={payload}"));
            raw.hears("40 0001");
            came(payload);
        }
        // QoS 2: until PUBREL it is the same message, whatever it says; it is acknowledged and delivered once.
        for first in ["34", "3c", "34"] {
            raw.say(&format!("{first} :t 0001 {none} =4"));
            raw.hears("50 0001");
        }
        came("4");
        for _ in 0..2 {
            raw.say("62 0001");
            let found = if version == V5 { ["", "92"] } else { ["", ""] };
            let again = raw.hear();
            assert!(found.iter().any(|code| again == common::raw::packet(&format!("70 0001 {code}"))));
        }
        raw.say(&format!("3c :t 0001 {none} =5"));
        raw.hears("50 0001");
        came("5");
        raw.say("62 0001");
        raw.hears("70 0001");
        watcher.is_quiet();
    }
}

#[test]
fn a_refused_message_of_qos_2_does_not_hold_its_packet_id() {
    let (rig, _) = open_hub(Limits::default());
    let mut watcher = Raw::open(&rig, V5, "watcher");
    watcher.subscribe("#", 0);
    let mut raw = Raw::open(&rig, V5, "c");
    raw.say("34 :denied/x 0001 () =x");
    let refused = raw.hear();
    assert_eq!((refused[0], refused[4]), (0x50, 0x87));
    raw.say("34 :t 0001 () =new");
    raw.hears("50 0001");
    watcher.hears("30 :t () =new");
    raw.say("62 0001");
    raw.hears("70 0001");
}

#[test]
fn a_message_that_the_client_refuses_is_settled_and_not_sent_again() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let (mut kept, _) = Raw::with(&rig, "10 :MQTT 05 00 0e10 ( 11 00000e10 21 0001 ) :c");
    kept.subscribe("t", 2);
    for (first, refusal) in [(0x32, "40"), (0x34, "50")] {
        app.publish(first, "t", "x");
        let got = kept.hear();
        assert_eq!(got[0], first);
        kept.say(&format!("{refusal} {:02x}{:02x} 83", got[5], got[6]));
        kept.is_quiet();
    }
    drop(kept);
    Raw::keep(&rig, V5, "c", true).is_quiet();
}

#[test]
fn expiry_stops_no_message_that_was_sent_and_no_acknowledgement() {
    let (rig, clock) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let mut kept = Raw::keep(&rig, V5, "c", false);
    kept.subscribe("t", 2);
    for first in ["32", "34"] {
        app.say(&format!("{first} :t 0fa0 ( 02 0000000a ) =x"));
        app.acknowledged(u8::from_str_radix(first, 16).unwrap());
    }
    kept.hears("32 :t 0001 ( 02 0000000a ) =x");
    kept.hears("34 :t 0002 ( 02 0000000a ) =x");
    kept.goodbye();
    // One that waits beside them, and may expire.
    app.say("32 :t 0fa0 ( 02 0000000a ) =waits");
    app.acknowledged(0x32);
    clock.advance(20_000_000);
    app.is_quiet();
    let mut kept = Raw::keep(&rig, V5, "c", true);
    kept.hears("3a :t 0001 ( 02 00000000 ) =x");
    kept.hears("3c :t 0002 ( 02 00000000 ) =x");
    kept.is_quiet();
    kept.say("50 0002");
    kept.hears("62 0002");
    clock.advance(20_000_000);
    kept.say("70 0002");
    // As a receiver: the exchange about a message that has expired meanwhile goes on.
    app.say("34 :nobody 0001 ( 02 00000001 ) =x");
    app.hears("50 0001");
    clock.advance(20_000_000);
    app.say("62 0001");
    app.hears("70 0001");
}

#[test]
fn no_more_is_under_way_than_the_client_takes_and_everything_else_goes_on() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let (mut raw, _) = Raw::with(&rig, "10 :MQTT 05 02 0e10 ( 21 0002 ) :c");
    raw.subscribe("t", 2);
    for first in [0x32, 0x34, 0x32, 0x34] {
        app.publish(first, "t", "x");
    }
    raw.hears("32 :t 0001 () =x");
    raw.hears("34 :t 0002 () =x");
    // QoS 0, answers to everything, and what the client publishes.
    raw.is_quiet();
    app.publish(0x30, "t", "zero");
    raw.hears("30 :t () =zero");
    raw.say("82 0005 () :u 01");
    raw.hears("90 0005 () 01");
    raw.say("a2 0006 () :u");
    raw.hears("b0 0006 () 00");
    raw.publish(0x32, "u", "x");
    raw.publish(0x34, "u", "x");
    // PUBREC frees no place, PUBCOMP does, and so does a PUBREC that refuses.
    raw.say("50 0002");
    raw.hears("62 0002");
    raw.is_quiet();
    raw.say("70 0002");
    raw.hears("32 :t 0003 () =x");
    raw.is_quiet();
    raw.say("40 0001");
    raw.hears("34 :t 0004 () =x");
    app.publish(0x32, "t", "last");
    raw.is_quiet();
    raw.say("50 0004 80");
    raw.hears("32 :t 0005 () =last");
}

#[test]
fn who_sends_more_than_the_receive_maximum_is_told_so() {
    let (rig, _) = open_hub(Limits { max_inflight: 3, ..Limits::default() });
    let (mut raw, answer) = Raw::with(&rig, "10 :MQTT 05 02 0e10 () :c");
    let (found, _) = mohhos_mqtt::packet::decode(&answer, V5, 1000).unwrap().unwrap();
    let mohhos_mqtt::Packet::ConnAck(ack) = found else { panic!("{answer:02x?}") };
    assert_eq!(ack.properties.receive_maximum(), Some(3));
    for id in 1..=3 {
        raw.say(&format!("34 :t {id:04x} () =x"));
        raw.hears(&format!("50 {id:04x}"));
    }
    // Other packets are taken with no quota left.
    raw.is_quiet();
    raw.publish(0x30, "t", "x");
    raw.say("82 0005 () :u 00");
    raw.hears("90 0005 () 00");
    raw.say("34 :t 0004 () =x");
    raw.ends_with(0x93);
}

#[test]
fn messages_of_one_client_arrive_in_their_order_for_topic_and_quality() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        let none = app.none();
        let mut subscribers: Vec<Raw> = (0..4).map(|n| Raw::open(&rig, version, &format!("s{n}"))).collect();
        subscribers.iter_mut().for_each(|raw| raw.subscribe("t", 2));
        // All are under way before any is acknowledged.
        for n in 1..=100 {
            let qos = n % 3;
            let id = if qos == 0 { String::new() } else { format!("{n:04x}") };
            app.say(&format!("{:02x} :t {id} {none} ={n}", 0x30 | qos << 1));
        }
        // Acknowledgements come in the order of the messages.
        let mut released = Vec::new();
        for n in (1..=100).filter(|n| n % 3 > 0) {
            let got = app.hear();
            assert_eq!(u16::from_be_bytes([got[2], got[3]]), n);
            if n % 3 == 2 {
                released.push(n);
            }
        }
        for n in &released {
            app.say(&format!("62 {n:04x}"));
        }
        for n in &released {
            app.hears(&format!("70 {n:04x}"));
        }
        for raw in &mut subscribers {
            let mut last = [0; 3];
            let mut received = Vec::new();
            for _ in 0..100 {
                let got = raw.hear();
                let qos = usize::from(got[0] >> 1 & 3);
                let start = 5 + if qos > 0 { 2 } else { 0 } + none.len() / 2;
                let n: u32 = std::str::from_utf8(&got[start..]).unwrap().parse().unwrap();
                assert!(n > last[qos], "{n} after {} with QoS {qos}", last[qos]);
                assert_eq!(n as usize % 3, qos);
                last[qos] = n;
                if qos == 2 {
                    received.push(format!("{:02x}{:02x}", got[5], got[6]));
                }
            }
            // PUBREL follows in the order of PUBREC.
            for id in &received {
                raw.say(&format!("50 {id}"));
            }
            for id in &received {
                raw.hears(&format!("62 {id}"));
            }
        }
    }
}

#[test]
fn a_message_that_came_while_a_subscriber_was_away_waits_in_its_session() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        let mut kept = Raw::keep(&rig, version, "c", false);
        kept.subscribe("t/#", 1);
        kept.goodbye();
        for n in 1..=20 {
            app.publish(0x32, &format!("t/{n}"), "x");
        }
        app.publish(0x32, "elsewhere", "x");
        let mut kept = Raw::keep(&rig, version, "c", true);
        for n in 1..=20 {
            kept.hears(&format!("32 :t/{n} {n:04x} {} =x", app.none()));
        }
        kept.is_quiet();
    }
}
