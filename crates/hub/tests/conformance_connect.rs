//! What the standard says of CONNECT and CONNACK (3.1, 3.2, 4.12), byte by byte over a socket.

mod common;

use common::Rig;
use common::raw::{Raw, open_hub, packet};
use mohhos_hub::Limits;
use mohhos_mqtt::Property;
use mohhos_mqtt::Version::{self, V4, V5};

const BOTH: [Version; 2] = [V4, V5];

/// A CONNECT of MQTT 5 or 3.1.1: flags, and what follows the keep-alive (and the properties) in hexadecimal.
fn connect(version: Version, flags: &str, rest: &str) -> String {
    match version {
        V5 => format!("10 :MQTT 05 {flags} 0e10 () {rest}"),
        V4 => format!("10 :MQTT 04 {flags} 0e10 {rest}"),
    }
}

#[test]
fn the_first_packet_is_connect_and_a_second_one_ends_the_connection() {
    let (rig, _) = open_hub(Limits::default());
    for version in BOTH {
        for first in ["c0", "30 :a =x", "e0", "20 00 00", "82 0001 :a 00"] {
            let mut raw = Raw::new(&rig, version);
            raw.say(first);
            raw.ends();
        }
        let mut raw = Raw::open(&rig, version, "c");
        raw.say(&connect(version, "02", ":c"));
        raw.ends_with(0x82);
    }
}

#[test]
fn a_protocol_that_is_not_spoken_here_is_refused_and_the_connection_closed() {
    let (rig, _) = open_hub(Limits::default());
    for name in ["MQTX", "mqtt", "MQTTS"] {
        for level in ["04 02 003c", "05 02 003c ()"] {
            let mut raw = Raw::new(&rig, V5);
            raw.say(&format!("10 :{name} {level} :c"));
            raw.ends();
        }
    }
    for level in ["06", "7f", "ff"] {
        let mut raw = Raw::new(&rig, V5);
        raw.say(&format!("10 :MQTT {level} 02 003c () :c"));
        raw.refused(0x84);
    }
    for (name, level) in [("MQTT", "03"), ("MQTT", "00"), ("MQIsdp", "03")] {
        let mut raw = Raw::new(&rig, V4);
        raw.say(&format!("10 :{name} {level} 02 003c :c"));
        raw.hears("20 00 01");
        raw.ends();
    }
}

/// MQTT 5 answers a malformed CONNECT with 0x81; 3.1.1 closes the connection without a word.
fn is_malformed(rig: &Rig, version: Version, connect: &str) {
    let mut raw = Raw::new(rig, version);
    raw.say(connect);
    match version {
        V5 => raw.refused(0x81),
        V4 => raw.ends(),
    }
}

#[test]
fn flags_that_contradict_one_another_make_connect_malformed() {
    let (rig, _) = open_hub(Limits::default());
    for version in BOTH {
        // The reserved flag; will QoS 1, QoS 2 and retain without a will.
        for flags in ["03", "0a", "12", "22"] {
            is_malformed(&rig, version, &connect(version, flags, ":c"));
        }
        let properties = if version == V5 { "()" } else { "" };
        is_malformed(&rig, version, &connect(version, "1e", &format!(":c {properties} :w :x")));
    }
    // A password without a user name is permitted in MQTT 5 alone.
    is_malformed(&rig, V4, &connect(V4, "42", ":c :p"));
}

#[test]
fn each_field_that_a_flag_announces_is_there_and_no_other() {
    let (rig, _) = open_hub(Limits::default());
    for version in BOTH {
        let properties = if version == V5 { "()" } else { "" };
        // No client id at all; a will without payload, without topic; no user name; no password.
        for (flags, rest) in [("02", ""), ("06", ":c"), ("82", ":c"), ("c2", ":c :u")] {
            is_malformed(&rig, version, &connect(version, flags, rest));
        }
        is_malformed(&rig, version, &connect(version, "06", &format!(":c {properties} :w")));
        // More than was announced: a user name, a password, a will.
        for (flags, rest) in [("02", ":c :u"), ("82", ":c :u :p"), ("02", ":c :w :x")] {
            is_malformed(&rig, version, &connect(version, flags, rest));
        }
    }
    is_malformed(&rig, V5, &connect(V5, "06", ":c :w :x"));
}

#[test]
fn the_fields_come_in_their_order() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut watcher = Raw::open(&rig, version, "watcher");
        watcher.subscribe("devices/pump-0/w", 0);
        let properties = if version == V5 { "()" } else { "" };
        let mut raw = Raw::new(&rig, version);
        raw.say(&connect(version, "c6", &format!(":c {properties} :devices/pump-0/w :will :pump-0 :secret")));
        raw.accepted(false);
        assert_eq!(rig.hub.connection("pump-0").unwrap().clients.len(), 1, "the user name is the principal");
        drop(raw);
        watcher.hears(&format!("30 :devices/pump-0/w {properties} =will"));
    }
}

#[test]
fn client_id_will_topic_and_user_name_are_utf8_without_nul() {
    let (rig, _) = open_hub(Limits::default());
    for version in BOTH {
        let properties = if version == V5 { "()" } else { "" };
        for bad in ["0001 ff", "0003 eda080", "0003 edbfbf", "0001 00", "0002 c080", "0002 c3"] {
            is_malformed(&rig, version, &connect(version, "02", bad));
            is_malformed(&rig, version, &connect(version, "06", &format!(":c {properties} {bad} :x")));
            is_malformed(&rig, version, &connect(version, "82", &format!(":c {bad}")));
        }
    }
}

#[test]
fn every_client_id_of_letters_and_digits_up_to_23_is_taken() {
    let (rig, _) = open_hub(Limits::default());
    let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for version in BOTH {
        for start in 0..all.len() {
            let id: String = all.chars().cycle().skip(start).take(1 + start % 23).collect();
            Raw::open(&rig, version, &id).is_quiet();
        }
    }
}

#[test]
fn a_client_id_that_is_too_long_is_rejected_with_the_code_for_it() {
    let (rig, _) = open_hub(Limits::default());
    for (version, code) in [(V5, 0x85), (V4, 2)] {
        Raw::open(&rig, version, &"x".repeat(512)).is_quiet();
        let mut raw = Raw::new(&rig, version);
        raw.say(&connect(version, "02", &format!(":{}", "x".repeat(513))));
        raw.refused(code);
    }
}

#[test]
fn an_empty_client_id_is_replaced_by_one_that_no_session_has() {
    let (rig, _) = open_hub(Limits::default());
    let mut ids = Vec::new();
    for _ in 0..8 {
        let (raw, answer) = Raw::with(&rig, "10 :MQTT 05 00 0e10 ( 11 00000e10 ) 0000");
        assert_eq!(answer[2], 0, "no session of others");
        let (found, _) = mohhos_mqtt::packet::decode(&answer, V5, 1000).unwrap().unwrap();
        let mohhos_mqtt::Packet::ConnAck(ack) = found else { panic!("{answer:02x?}") };
        ids.push(ack.properties.assigned_client_id().expect("it is told its id").to_owned());
        drop(raw);
    }
    assert!(ids.iter().all(|id| !id.is_empty()));
    // The session is that of the id that was told.
    for id in &ids {
        Raw::keep(&rig, V5, id, true);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8);
    let mut old: Vec<Raw> = (0..4).map(|_| Raw::open(&rig, V4, "")).collect();
    old.iter_mut().for_each(Raw::is_quiet);
    let mut refused = Raw::new(&rig, V4);
    refused.say("10 :MQTT 04 00 0e10 0000");
    refused.hears("20 00 02");
    refused.ends();
}

#[test]
fn a_session_goes_on_with_its_state_and_a_clean_start_discards_it() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let none = if version == V5 { "()" } else { "" };
        let mut app = Raw::open(&rig, version, "app");
        let mut kept = Raw::keep(&rig, version, "c", false);
        kept.subscribe("t", 2);
        kept.goodbye();
        for (first, payload) in [(0x32, "1"), (0x34, "2")] {
            app.publish(first, "t", payload);
        }
        let mut kept = Raw::keep(&rig, version, "c", true);
        kept.hears(&format!("32 :t 0001 {none} =1"));
        kept.say("40 0001");
        kept.hears(&format!("34 :t 0002 {none} =2"));
        kept.say("50 0002");
        kept.hears("62 0002");
        kept.say("70 0002");
        kept.is_quiet();
        app.publish(0x32, "t", "3");
        kept.hears(&format!("32 :t 0003 {none} =3"));
        drop(kept);
        // A clean start: neither the subscription nor what waits is left, then and later.
        Raw::open(&rig, version, "c").is_quiet();
        app.publish(0x32, "t", "4");
        let mut again = Raw::keep(&rig, version, "c", false);
        app.publish(0x32, "t", "5");
        again.is_quiet();
    }
}

#[test]
fn a_session_ends_when_its_time_has_passed_and_not_before() {
    let (rig, clock) = open_hub(Limits::default());
    let open = "10 :MQTT 05 00 0e10 ( 11 0000000a ) :c";
    let (mut kept, _) = Raw::with(&rig, open);
    kept.subscribe("t", 1);
    clock.advance(60_000_000);
    kept.is_quiet();
    let mut app = Raw::open(&rig, V5, "app");
    app.publish(0x32, "t", "open");
    kept.hears("32 :t 0001 () =open");
    kept.say("40 0001");
    kept.is_quiet();
    drop(kept);
    rig.eventually("it is away", |hub| hub.stats().connections == 1);
    clock.advance(9_000_000);
    app.is_quiet();
    let (kept, answer) = Raw::with(&rig, open);
    assert_eq!(answer[2], 1, "it is there still");
    drop(kept);
    rig.eventually("it is away", |hub| hub.stats().connections == 1);
    clock.advance(11_000_000);
    rig.eventually("the session has ended", |hub| hub.stats().total("sessions") == 1);
    let (_, answer) = Raw::with(&rig, open);
    assert_eq!(answer[2], 0);
}

#[test]
fn retained_messages_outlive_the_session_of_their_publisher() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut app = Raw::open(&rig, version, "app");
        app.publish(0x33, "t", "kept");
        app.goodbye();
        rig.eventually("the session has ended", |hub| hub.stats().total("sessions") == 0);
        let mut later = Raw::open(&rig, version, "later");
        later.subscribe("t", 0);
        later.hears(&format!("31 :t {} =kept", later.none()));
    }
}

#[test]
fn a_second_client_with_the_same_id_ends_the_connection_of_the_first() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut first = Raw::keep(&rig, version, "c", false);
        let mut second = Raw::keep(&rig, version, "c", true);
        first.ends_with(0x8e);
        second.is_quiet();
    }
}

#[test]
fn what_follows_a_refused_connect_is_not_looked_at() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut watcher = Raw::open(&rig, version, "watcher");
        watcher.subscribe("t", 0);
        let none = watcher.none();
        let refused = connect(version, "c2", ":c :app :wrong");
        let publish = format!("32 :t 0001 {none} =x");
        let mut raw = Raw::new(&rig, version);
        raw.bytes(&[packet(&refused), packet(&publish), packet("c0")].concat());
        raw.refused(if version == V5 { 0x86 } else { 4 });
        watcher.is_quiet();
        assert_eq!(rig.hub.stats().total("messages_in"), 0);
    }
}

#[test]
fn connack_comes_before_all_else_once_and_without_reserved_flags() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut kept = Raw::keep(&rig, version, "c", false);
        kept.subscribe("t", 1);
        kept.goodbye();
        let mut app = Raw::open(&rig, version, "app");
        app.publish(0x32, "t", "x");
        let mut again = Raw::new(&rig, version);
        let expiry = if version == V5 { "( 11 00000e10 )" } else { "" };
        let resume = packet(&format!("10 :MQTT {} 00 0e10 {expiry} :c", again.level()));
        again.bytes(&[resume, packet("c0")].concat());
        let first = again.hear();
        assert_eq!((first[0], first[2], first[3]), (0x20, 1, 0), "{first:02x?}");
        again.hears_all(&["d0", &format!("32 :t 0001 {} =x", app.none())]);
        again.is_quiet();
    }
}

#[test]
fn no_code_but_those_of_connack_refuses_and_no_session_is_told_with_it() {
    let (rig, _) = open_hub(Limits::default());
    for (version, user, code) in [(V5, "stranger", 0x86), (V4, "stranger", 4)] {
        Raw::keep(&rig, version, "c", rig.hub.stats().total("sessions") > 0);
        let mut raw = Raw::new(&rig, version);
        raw.say(&connect(version, "80", &format!(":c :{user}")));
        raw.refused(code);
    }
}

#[test]
fn an_authentication_method_that_is_not_there_is_refused_and_none_is_ever_told() {
    let (rig, _) = open_hub(Limits::default());
    for properties in ["( 15 :SCRAM )", "( 15 :SCRAM 16 :data )"] {
        let mut raw = Raw::new(&rig, V5);
        raw.say(&format!("10 :MQTT 05 02 0e10 {properties} :c"));
        raw.refused(0x8c);
    }
    // Without a method: no AUTH comes, no method stands in CONNACK, and AUTH is not taken.
    let (mut raw, answer) = Raw::with(&rig, "10 :MQTT 05 02 0e10 () :c");
    let (found, _) = mohhos_mqtt::packet::decode(&answer, V5, 1000).unwrap().unwrap();
    let mohhos_mqtt::Packet::ConnAck(ack) = found else { panic!("{answer:02x?}") };
    assert_eq!(ack.properties.authentication_method(), None);
    raw.is_quiet();
    raw.say("f0 18 ( 15 :SCRAM )");
    raw.ends_with(0x82);
}

#[test]
fn response_information_is_not_told_to_who_does_not_ask() {
    let (rig, _) = open_hub(Limits::default());
    for properties in ["()", "( 19 00 )"] {
        let (_, answer) = Raw::with(&rig, &format!("10 :MQTT 05 c2 0e10 {properties} :c :pump-0 :secret"));
        let (found, _) = mohhos_mqtt::packet::decode(&answer, V5, 1000).unwrap().unwrap();
        let mohhos_mqtt::Packet::ConnAck(ack) = found else { panic!("{answer:02x?}") };
        assert!(!ack.properties.iter().any(|p| matches!(p, Property::ResponseInformation(_))));
    }
}

#[test]
fn who_has_no_room_for_connack_gets_no_other_packet_and_no_session_is_lost() {
    let (rig, _) = open_hub(Limits::default());
    let mut kept = Raw::keep(&rig, V5, "c", false);
    kept.subscribe("t", 1);
    kept.goodbye();
    Raw::open(&rig, V5, "app").publish(0x32, "t", "x");
    let mut raw = Raw::new(&rig, V5);
    let small = packet("10 :MQTT 05 00 0e10 ( 11 00000e10 27 00000006 ) :c");
    raw.bytes(&[small, packet("c0")].concat());
    raw.refused(0x83);
    let mut kept = Raw::keep(&rig, V5, "c", true);
    kept.hears("32 :t 0001 () =x");
}

#[test]
fn a_keep_alive_counts_as_the_client_or_else_the_server_set_it() {
    for (limit_s, told, ends_s) in [(3600, None, 30), (10, Some(10), 15)] {
        let (rig, clock) = open_hub(Limits { keep_alive_max_s: limit_s, ..Limits::default() });
        let (mut raw, answer) = Raw::with(&rig, "10 :MQTT 05 02 0014 () :c");
        let (found, _) = mohhos_mqtt::packet::decode(&answer, V5, 1000).unwrap().unwrap();
        let mohhos_mqtt::Packet::ConnAck(ack) = found else { panic!("{answer:02x?}") };
        assert_eq!(ack.properties.server_keep_alive(), told);
        clock.advance((ends_s - 1) * 1_000_000);
        raw.is_quiet();
        clock.advance((ends_s - 1) * 1_000_000);
        raw.is_quiet();
        clock.advance(ends_s * 1_000_000);
        raw.ends_with(0x8d);
    }
}
