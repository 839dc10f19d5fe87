//! What the standard says of PUBLISH and its acknowledgements (3.3 to 3.7), byte by byte over a socket.

mod common;

use common::raw::{Raw, open_hub};
use mohhos_hub::Limits;
use mohhos_mqtt::Version::{self, V4, V5};

const BOTH: [Version; 2] = [V4, V5];

#[test]
fn dup_tells_a_repetition_to_this_client_whatever_the_publisher_said() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut kept = Raw::keep(&rig, version, "c", false);
        kept.subscribe("t", 2);
        let mut app = Raw::open(&rig, version, "app");
        let none = app.none();
        // The publisher repeats itself; for the subscriber they are new.
        for first in ["3a", "3c"] {
            app.say(&format!("{first} :t 0fa0 {none} =x"));
            app.acknowledged(u8::from_str_radix(first, 16).unwrap());
        }
        app.publish(0x30, "t", "zero");
        kept.hears_all(&[
            &format!("32 :t 0001 {none} =x"),
            &format!("34 :t 0002 {none} =x"),
            &format!("30 :t {none} =zero"),
        ]);
        drop(kept);
        let mut kept = Raw::keep(&rig, version, "c", true);
        kept.hears(&format!("3a :t 0001 {none} =x"));
        kept.hears(&format!("3c :t 0002 {none} =x"));
        kept.is_quiet();
    }
}

#[test]
fn a_retained_message_replaces_the_one_before_and_others_leave_it_alone() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        let none = app.none();
        let kept = |wanted: &[&str]| {
            let mut later = Raw::open(&rig, version, "later");
            later.subscribe("t/#", 2);
            for text in wanted {
                later.hears(text);
            }
            later.is_quiet();
        };
        app.publish(0x33, "t/1", "first");
        kept(&[&format!("33 :t/1 0001 {none} =first")]);
        app.publish(0x35, "t/1", "second");
        kept(&[&format!("35 :t/1 0001 {none} =second")]);
        // Not retained: neither stored, nor in place of what is.
        app.publish(0x32, "t/1", "passes");
        app.publish(0x32, "t/1", "");
        app.publish(0x32, "t/2", "passes");
        kept(&[&format!("35 :t/1 0001 {none} =second")]);
        // QoS 0 replaces, too.
        app.publish(0x31, "t/1", "third");
        app.is_quiet();
        kept(&[&format!("31 :t/1 {none} =third")]);
        // Nothing in it: it goes on as a message and removes what was retained, and is not retained itself.
        let mut there = Raw::open(&rig, version, "there");
        there.subscribe("t/1", 1);
        there.hears(&format!("31 :t/1 {none} =third"));
        app.publish(0x33, "t/1", "");
        there.hears(&format!("32 :t/1 0001 {none}"));
        kept(&[]);
        app.publish(0x33, "t/3", "");
        kept(&[]);
    }
}

#[test]
fn retain_handling_says_whether_a_subscription_brings_what_is_retained() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    app.publish(0x33, "t", "kept");
    // 0: each time; 1: when it is new; 2: never.
    for (handling, first, again) in [(0x00, true, true), (0x10, true, false), (0x20, false, false)] {
        let mut raw = Raw::open(&rig, V5, "c");
        for comes in [first, again] {
            raw.subscribe("t", handling);
            if comes {
                raw.hears("31 :t () =kept");
            }
            raw.is_quiet();
        }
        raw.unsubscribe("t");
        raw.subscribe("t", handling);
        if handling < 0x20 {
            raw.hears("31 :t () =kept");
        }
        raw.is_quiet();
    }
}

#[test]
fn retain_goes_on_as_published_only_if_the_subscription_asks_for_it() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let mut plain = Raw::open(&rig, V5, "plain");
    plain.subscribe("t", 0x01);
    let mut asks = Raw::open(&rig, V5, "asks");
    asks.subscribe("t", 0x09);
    let mut old = Raw::open(&rig, V4, "old");
    old.subscribe("t", 1);
    for (id, first, as_published) in
        [("0001", 0x33, "33"), ("0002", 0x32, "32"), ("", 0x31, "31"), ("", 0x30, "30")]
    {
        app.publish(first, "t", "x");
        let not_retained = if first & 2 == 0 { "30" } else { "32" };
        plain.hears(&format!("{not_retained} :t {id} () =x"));
        asks.hears(&format!("{as_published} :t {id} () =x"));
        old.hears(&format!("{not_retained} :t {id} =x"));
    }
}

#[test]
fn the_publishers_properties_reach_every_subscriber_unaltered_and_in_their_order() {
    let (rig, _) = open_hub(Limits::default());
    let properties =
        "( 26 :b :2 08 :reply/here 26 :a :1 09 0003 00ff7f 01 01 26 :b :2 03 :text/csv 26 : :é )";
    let mut app = Raw::open(&rig, V5, "app");
    let mut there: Vec<Raw> = (0..4).map(|n| Raw::open(&rig, V5, &format!("s{n}"))).collect();
    there.iter_mut().for_each(|raw| raw.subscribe("t", 2));
    let mut kept = Raw::keep(&rig, V5, "kept", false);
    kept.subscribe("t", 2);
    kept.goodbye();
    for first in [0x30_u8, 0x32, 0x34] {
        let id = if first == 0x30 { "" } else { "0fa0" };
        app.say(&format!("{first:02x} :t {id} {properties} =x"));
        app.acknowledged(first);
        for raw in &mut there {
            let id = ["", "0001", "0002"][usize::from(first >> 1 & 3)];
            raw.hears(&format!("{first:02x} :t {id} {properties} =x"));
        }
    }
    // From the log, for one who was away; and retained.
    let mut kept = Raw::keep(&rig, V5, "kept", true);
    kept.hears(&format!("32 :t 0001 {properties} =x"));
    kept.hears(&format!("34 :t 0002 {properties} =x"));
    app.say(&format!("33 :r 0fa0 {properties} =x"));
    app.acknowledged(0x33);
    let mut later = Raw::open(&rig, V5, "later");
    later.subscribe("r", 1);
    later.hears(&format!("33 :r 0001 {properties} =x"));
}

#[test]
fn a_message_that_has_expired_is_not_delivered_and_others_say_what_is_left() {
    let (rig, clock) = open_hub(Limits::default());
    let mut kept = Raw::keep(&rig, V5, "kept", false);
    kept.subscribe("t", 2);
    kept.goodbye();
    let mut app = Raw::open(&rig, V5, "app");
    for (topic, seconds) in [("t", "0000000a"), ("t", "00000064"), ("r/1", "0000000a"), ("r/2", "00000064")] {
        let first = if topic == "t" { 0x32 } else { 0x33 };
        app.say(&format!("{first:02x} :{topic} 0fa0 ( 02 {seconds} ) =x"));
        app.acknowledged(first);
    }
    clock.advance(40_000_000);
    app.is_quiet();
    let mut kept = Raw::keep(&rig, V5, "kept", true);
    kept.hears("32 :t 0001 ( 02 0000003c ) =x");
    kept.is_quiet();
    let mut later = Raw::open(&rig, V5, "later");
    later.subscribe("r/+", 0);
    later.hears("31 :r/2 ( 02 0000003c ) =x");
    later.is_quiet();
}

#[test]
fn every_alias_up_to_the_maximum_is_taken_and_none_outlives_its_connection() {
    let (rig, _) = open_hub(Limits::default());
    let mut watcher = Raw::open(&rig, V5, "watcher");
    watcher.subscribe("t/+", 0);
    let (mut raw, answer) = Raw::with(&rig, "10 :MQTT 05 00 0e10 ( 11 00000e10 ) :c");
    let (found, _) = mohhos_mqtt::packet::decode(&answer, V5, 1000).unwrap().unwrap();
    let mohhos_mqtt::Packet::ConnAck(ack) = found else { panic!("{answer:02x?}") };
    let most = ack.properties.topic_alias_maximum().expect("aliases are accepted");
    for alias in 1..=most {
        raw.say(&format!("30 :t/{alias} ( 23 {alias:04x} ) =set"));
    }
    for alias in 1..=most {
        raw.say(&format!("30 0000 ( 23 {alias:04x} ) =used"));
    }
    for payload in ["set", "used"] {
        for alias in 1..=most {
            watcher.hears(&format!("30 :t/{alias} () ={payload}"));
        }
    }
    drop(raw);
    for (alias, code) in [("0001", 0x82), ("0000", 0x94)] {
        let mut again = Raw::keep(&rig, V5, "c", true);
        again.say(&format!("30 0000 ( 23 {alias} ) =x"));
        again.ends_with(code);
    }
    let mut beyond = Raw::keep(&rig, V5, "c", true);
    beyond.say(&format!("30 :t/x ( 23 {:04x} ) =x", most + 1));
    beyond.ends_with(0x94);
    watcher.is_quiet();
}

#[test]
fn a_client_without_a_maximum_gets_no_alias() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    for properties in ["()", "( 22 0000 )"] {
        let (mut raw, _) = Raw::with(&rig, &format!("10 :MQTT 05 02 0e10 {properties} :c"));
        raw.subscribe("a/long/topic/that/would/be/worth/it", 0);
        for _ in 0..5 {
            app.say("30 :a/long/topic/that/would/be/worth/it ( 23 0001 ) =x");
            raw.hears("30 :a/long/topic/that/would/be/worth/it () =x");
        }
    }
}

#[test]
fn no_alias_to_a_client_is_0_or_beyond_its_maximum_and_each_stands_for_the_topic_that_came_with_it() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let (mut raw, _) = Raw::with(&rig, "10 :MQTT 05 02 0e10 ( 22 0002 ) :c");
    raw.subscribe("rooms/#", 0);
    let mut known: [Option<String>; 2] = [None, None];
    for n in 0..60 {
        let topic = format!("rooms/{}/temperature/now", ["a", "b", "a", "c", "d"][n % 5]);
        app.publish(0x30, &topic, "x");
        let got = raw.hear();
        let (found, _) = mohhos_mqtt::packet::decode(&got, V5, 1000).unwrap().unwrap();
        let mohhos_mqtt::Packet::Publish(publish) = found else { panic!("{got:02x?}") };
        let Some(alias) = publish.properties.topic_alias() else {
            assert_eq!(publish.topic, topic);
            continue;
        };
        assert!((1..=2).contains(&alias), "{alias}");
        let place = &mut known[usize::from(alias) - 1];
        if !publish.topic.is_empty() {
            *place = Some(publish.topic.to_owned());
        }
        assert_eq!(place.as_deref(), Some(&*topic));
    }
}

#[test]
fn each_quality_has_its_acknowledgements_with_the_packet_id_of_the_message() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut raw = Raw::open(&rig, version, "c");
        let none = raw.none();
        raw.say(&format!("30 :t {none} =x"));
        raw.is_quiet();
        for id in ["0001", "00ff", "ffff", "1234"] {
            raw.say(&format!("32 :t {id} {none} =x"));
            raw.hears(&format!("40 {id}"));
            raw.say(&format!("34 :t {id} {none} =x"));
            raw.hears(&format!("50 {id}"));
            raw.say(&format!("62 {id}"));
            raw.hears(&format!("70 {id}"));
            // And the other way.
            raw.subscribe("back", 2);
        }
        let mut app = Raw::open(&rig, version, "app");
        app.publish(0x34, "back", "y");
        let got = raw.hear();
        assert_eq!(got[0], 0x34);
        let id = format!("{:02x}{:02x}", got[8], got[9]);
        assert_ne!(id, "0000");
        raw.say(&format!("50 {id}"));
        raw.hears(&format!("62 {id}"));
        raw.say(&format!("70 {id}"));
        raw.is_quiet();
    }
}

#[test]
fn subscriptions_that_overlap_bring_one_copy_with_the_highest_quality_and_all_identifiers() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let mut raw = Raw::open(&rig, V5, "c");
    for (properties, filter, qos) in [("( 0b 03 )", "a/+", 0), ("( 0b c801 )", "a/#", 2), ("()", "#", 1)] {
        raw.say(&format!("82 0001 {properties} :{filter} {qos:02x}"));
        raw.hears(&format!("90 0001 () {qos:02x}"));
    }
    app.publish(0x34, "a/b", "x");
    let got = raw.hear();
    let either = [
        common::raw::packet("34 :a/b 0001 ( 0b 03 0b c801 ) =x"),
        common::raw::packet("34 :a/b 0001 ( 0b c801 0b 03 ) =x"),
    ];
    assert!(either.contains(&got), "{got:02x?}");
    raw.is_quiet();
    app.publish(0x34, "b", "x");
    raw.hears("32 :b 0002 () =x");
    let mut old = Raw::open(&rig, V4, "old");
    for (filter, qos) in [("a/+", 0), ("a/#", 2), ("#", 1)] {
        old.subscribe(filter, qos);
    }
    app.publish(0x34, "a/b", "x");
    old.hears("34 :a/b 0001 =x");
    old.is_quiet();
}

#[test]
fn each_copy_has_the_identifier_of_its_own_subscription() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let mut raw = Raw::open(&rig, V5, "c");
    // A shared subscription brings a copy of its own.
    for (id, filter) in [("01", "t"), ("02", "$share/g/t"), ("03", "$share/h/+")] {
        raw.say(&format!("82 0001 ( 0b {id} ) :{filter} 00"));
        raw.hears("90 0001 () 00");
    }
    app.publish(0x30, "t", "x");
    raw.hears_all(&["30 :t ( 0b 01 ) =x", "30 :t ( 0b 02 ) =x", "30 :t ( 0b 03 ) =x"]);
    raw.is_quiet();
    // Retained messages have it, too.
    app.publish(0x33, "r/r", "kept");
    raw.say("82 0001 ( 0b 04 ) :r/r 00");
    raw.hears("90 0001 () 00");
    raw.hears("31 :r/r ( 0b 04 ) =kept");
}

#[test]
fn a_message_that_is_not_permitted_is_refused_or_hidden_as_the_version_can() {
    let (rig, _) = open_hub(Limits::default());
    let mut watcher = Raw::open(&rig, V5, "watcher");
    watcher.subscribe("denied/#", 0);
    let mut raw = Raw::open(&rig, V5, "c");
    raw.say("32 :denied/x 0001 () =x");
    let refused = raw.hear();
    assert_eq!(refused[..5], [0x40, refused[1], 0, 1, 0x87]);
    raw.say("34 :denied/x 0002 () =x");
    let refused = raw.hear();
    assert_eq!(refused[..5], [0x50, refused[1], 0, 2, 0x87]);
    let mut old = Raw::open(&rig, V4, "old");
    for first in [0x30, 0x32, 0x34] {
        old.publish(first, "denied/x", "x");
    }
    old.is_quiet();
    watcher.is_quiet();
    let (strict, _) = open_hub(Limits { disconnect_refused: true, ..Limits::default() });
    let mut old = Raw::open(&strict, V4, "old");
    old.say("32 :denied/x 0001 =x");
    old.ends();
}

#[test]
fn what_a_topic_is_not_is_never_delivered() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut raw = Raw::open(&rig, version, "c");
        raw.subscribe("a/+/c", 0);
        raw.subscribe("b/#", 0);
        let mut app = Raw::open(&rig, version, "app");
        for topic in ["a/b", "a/b/c/d", "A/b/c", "a/b/C", "a//b/c", "ab/c", "a/c", "bb", "/b", "c/b"] {
            app.publish(0x30, topic, "no");
        }
        for topic in ["a/b/c", "a//c", "b", "b/", "b/c/d"] {
            app.publish(0x30, topic, "yes");
            raw.hears(&format!("30 :{topic} {} =yes", app.none()));
        }
        raw.is_quiet();
    }
}
