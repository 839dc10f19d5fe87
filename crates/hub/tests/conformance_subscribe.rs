//! What the standard says of SUBSCRIBE, UNSUBSCRIBE and of topics (3.8 to 3.11, 4.7, 4.8), byte by byte over a socket.

mod common;

use common::raw::{Raw, open_hub};
use mohhos_hub::{Limits, Publication};
use mohhos_mqtt::Version::{self, V4, V5};

const BOTH: [Version; 2] = [V4, V5];

#[test]
fn one_suback_answers_all_filters_in_their_order_with_the_packet_id_that_asked() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut raw = Raw::open(&rig, version, "c");
        let none = raw.none();
        raw.say(&format!("82 abcd {none} :a 02 :$other/x 01 :b 00 :c/# 01 :$share/g/d 02"));
        // 3.1.1 has one code for all that can go wrong.
        let denied = if version == V5 { "87" } else { "80" };
        raw.hears(&format!("90 abcd {none} 02 {denied} 00 01 02"));
        raw.is_quiet();
        let mut app = Raw::open(&rig, version, "app");
        app.publish(0x34, "c/d", "x");
        raw.hears(&format!("32 :c/d 0001 {none} =x"));
        app.publish(0x34, "a", "x");
        raw.hears(&format!("34 :a 0002 {none} =x"));
        app.publish(0x30, "$other/x", "x");
        raw.is_quiet();
        raw.say(&format!("a2 fffe {none} :b :nothing :a"));
        let codes = raw.only_5("001100");
        raw.hears(&format!("b0 fffe {none} {codes}"));
        app.publish(0x34, "a", "x");
        app.publish(0x34, "b", "x");
        app.publish(0x34, "c/d", "y");
        raw.hears(&format!("32 :c/d 0003 {none} =y"));
        raw.is_quiet();
    }
}

#[test]
fn a_message_is_delivered_with_the_lower_of_its_quality_and_the_one_granted() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        for granted in 0..3_u8 {
            let mut raw = Raw::open(&rig, version, "c");
            raw.subscribe("t", granted);
            let mut next = 1;
            for qos in 0..3_u8 {
                app.publish(0x30 | qos << 1, "t", "x");
                let lower = qos.min(granted);
                let mut id = String::new();
                if lower > 0 {
                    id = format!("{next:04x}");
                    next += 1;
                }
                raw.hears(&format!("{:02x} :t {id} {} =x", 0x30 | lower << 1, app.none()));
            }
        }
    }
}

#[test]
fn a_filter_that_is_there_is_replaced_and_no_message_is_lost() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        let none = app.none();
        app.publish(0x33, "t", "kept");
        let mut raw = Raw::open(&rig, version, "c");
        raw.subscribe("+", 0);
        raw.hears(&format!("31 :t {none} =kept"));
        app.publish(0x32, "t", "1");
        raw.hears(&format!("30 :t {none} =1"));
        raw.subscribe("+", 1);
        raw.hears(&format!("33 :t 0001 {none} =kept"));
        app.publish(0x34, "t", "2");
        raw.hears(&format!("32 :t 0002 {none} =2"));
        assert_eq!(rig.hub.stats().total("subscriptions"), 1);
        raw.unsubscribe("+");
        app.publish(0x34, "t", "3");
        raw.is_quiet();
        // While messages come, the subscription is replaced again and again.
        raw.subscribe("n/+", 1);
        let sender = std::thread::spawn(move || {
            for n in 0..200 {
                app.publish(0x32, &format!("n/{n}"), "x");
            }
            app
        });
        let mut next = 0;
        let mut replaced = 0;
        while next < 200 {
            if replaced == next {
                raw.say(&format!("82 0bb8 {none} :n/+ 01"));
                replaced += 10;
            }
            let got = raw.hear();
            if got[0] != 0x90 {
                let length = usize::from(got[3]);
                assert_eq!(&got[4..4 + length], format!("n/{next}").as_bytes());
                let id = format!("{:02x}{:02x}", got[4 + length], got[5 + length]);
                raw.say(&format!("40 {id}"));
                next += 1;
            }
        }
        sender.join().unwrap();
    }
}

#[test]
fn no_local_keeps_a_clients_own_messages_from_it() {
    let (rig, _) = open_hub(Limits::default());
    let mut own = Raw::open(&rig, V5, "own");
    own.subscribe("t", 0x05);
    let mut other = Raw::open(&rig, V5, "other");
    other.subscribe("t", 0x05);
    for first in [0x30, 0x32, 0x34] {
        own.publish(first, "t", "own");
        let got = other.hear();
        assert!(got.ends_with(b"own"));
    }
    own.is_quiet();
    // Not even over another connection of the same client id.
    let mut kept = Raw::keep(&rig, V5, "kept", false);
    kept.subscribe("k", 0x05);
    drop(kept);
    let mut kept = Raw::keep(&rig, V5, "kept", true);
    kept.publish(0x32, "k", "own");
    kept.is_quiet();
}

#[test]
fn unsubscribing_compares_filters_character_by_character_and_is_always_answered() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        let mut raw = Raw::open(&rig, version, "c");
        let none = raw.none();
        for filter in ["a/+", "a/#", "é"] {
            raw.subscribe(filter, 0);
        }
        // None of these is one of those.
        for filter in ["a/b", "A/+", "a/+/", "/a/+", "#", "+/+", "a", "e\u{301}"] {
            raw.say(&format!("a2 0001 {none} :{filter}"));
            let code = raw.only_5("11");
            raw.hears(&format!("b0 0001 {none} {code}"));
        }
        app.publish(0x30, "a/b", "1");
        raw.hears(&format!("30 :a/b {none} =1"));
        raw.unsubscribe("a/+");
        app.publish(0x30, "a/b", "2");
        raw.hears(&format!("30 :a/b {none} =2"));
        raw.unsubscribe("a/#");
        app.publish(0x30, "a/b", "3");
        raw.is_quiet();
        raw.say(&format!("a2 0001 {none} :a/#"));
        let code = raw.only_5("11");
        raw.hears(&format!("b0 0001 {none} {code}"));
    }
}

#[test]
fn what_is_under_way_is_completed_after_unsubscribing() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        let mut raw = Raw::keep(&rig, version, "c", false);
        let none = raw.none();
        raw.subscribe("t", 2);
        app.publish(0x32, "t", "1");
        app.publish(0x34, "t", "2");
        app.publish(0x34, "t", "3");
        raw.hears(&format!("32 :t 0001 {none} =1"));
        raw.hears(&format!("34 :t 0002 {none} =2"));
        raw.hears(&format!("34 :t 0003 {none} =3"));
        raw.say("50 0003");
        raw.hears("62 0003");
        raw.unsubscribe("t");
        raw.say("40 0001");
        raw.say("50 0002");
        raw.hears("62 0002");
        raw.say("70 0002");
        raw.is_quiet();
        drop(raw);
        // PUBCOMP of the third has not come.
        let mut raw = Raw::keep(&rig, version, "c", true);
        raw.hears("62 0003");
        raw.say("70 0003");
        app.publish(0x34, "t", "4");
        raw.is_quiet();
    }
}

#[test]
fn a_wildcard_at_the_beginning_does_not_match_a_topic_that_begins_with_a_dollar() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut witness = Raw::open(&rig, V5, "witness");
        witness.subscribe("$own/kept", 0);
        // Clients may not publish there; the gateway may.
        let mut publish = |payload: &str| {
            let kept = Publication { retain: true, ..Publication::new("$own/kept", payload) };
            rig.hub.publish(kept).unwrap();
            witness.hears(&format!("30 :$own/kept () ={payload}"));
        };
        publish("x");
        let mut raw = Raw::open(&rig, version, "c");
        for filter in ["#", "+/kept", "+/#", "+/+"] {
            raw.subscribe(filter, 0);
        }
        publish("y");
        raw.is_quiet();
        raw.subscribe("$own/#", 0);
        raw.hears(&format!("31 :$own/kept {} =y", raw.none()));
        publish("z");
        raw.hears(&format!("30 :$own/kept {} =z", raw.none()));
        raw.is_quiet();
    }
}

#[test]
fn topics_are_compared_as_they_are() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        let none = app.none();
        // The same to the eye: composed, decomposed, with a byte order mark, in another case, with empty levels.
        let topics = ["é", "e\u{301}", "\u{feff}é", "É", "é/", "/é", "é//", "%C3%A9"];
        for topic in topics {
            let mut raw = Raw::open(&rig, version, "c");
            raw.subscribe(topic, 0);
            for other in topics {
                app.publish(0x30, other, "x");
            }
            raw.hears(&format!("30 :{topic} {none} =x"));
            app.is_quiet();
            raw.is_quiet();
        }
    }
}

#[test]
fn the_longest_topic_and_filter_pass() {
    let limits = Limits { max_packet_bytes: 1 << 20, ..Limits::default() };
    let (rig, _) = open_hub(limits);
    for version in BOTH {
        let topic = format!("{}/{}", "é".repeat(16_383), "x".repeat(65_535 - 32_767));
        assert_eq!(topic.len(), 65_535);
        let mut raw = Raw::open(&rig, version, "c");
        raw.subscribe(&topic, 0);
        raw.publish(0x30, &topic, "x");
        raw.hears(&format!("30 :{topic} {} =x", raw.none()));
    }
}

#[test]
fn a_shared_subscription_needs_a_name_and_a_filter() {
    for filter in ["$share/", "$share/g", "$share/g/", "$share//t", "$share/+/t", "$share/#/t", "$share/g+/t"]
    {
        let (rig, _) = open_hub(Limits::default());
        let mut raw = Raw::open(&rig, V5, "c");
        raw.say(&format!("82 0001 () :{filter} 00"));
        raw.ends_with(0x81);
    }
    let (rig, _) = open_hub(Limits::default());
    let mut raw = Raw::open(&rig, V5, "c");
    raw.subscribe("$share/g/t", 1);
    raw.publish(0x30, "t", "x");
    raw.hears("30 :t () =x");
    raw.say("82 0001 () :$share/g/t 04");
    raw.ends_with(0x82);
}

#[test]
fn each_member_of_a_group_gets_the_quality_that_it_was_granted() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let mut members: Vec<Raw> = (0..3_u8)
        .map(|qos| {
            let mut raw = Raw::open(&rig, V5, &format!("m{qos}"));
            raw.subscribe("$share/g/t", qos);
            raw
        })
        .collect();
    for _ in 0..3 {
        app.publish(0x34, "t", "x");
    }
    for (raw, wanted) in members.iter_mut().zip(["30 :t () =x", "32 :t 0001 () =x", "34 :t 0001 () =x"]) {
        raw.hears(wanted);
        raw.is_quiet();
    }
}

#[test]
fn what_a_member_has_of_qos_2_goes_to_nobody_else_when_its_session_ends() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let mut first = Raw::open(&rig, V5, "first");
    first.subscribe("$share/g/t", 2);
    app.publish(0x34, "t", "x");
    first.hears("34 :t 0001 () =x");
    let mut second = Raw::open(&rig, V5, "second");
    second.subscribe("$share/g/t", 2);
    drop(first);
    rig.eventually("its session has ended", |hub| hub.stats().total("sessions") == 2);
    second.is_quiet();
    app.publish(0x34, "t", "y");
    second.hears("34 :t 0001 () =y");
    second.is_quiet();
}
