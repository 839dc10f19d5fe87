//! What the standard says of malformed packets and protocol errors, of PINGREQ and DISCONNECT (1.5, 2, 3.12, 3.14, 4.13;
//! 4.8 in 3.1.1), byte by byte over a socket.

mod common;

use common::raw::{Raw, open_hub, packet};
use mohhos_hub::Limits;
use mohhos_mqtt::Version::{self, V4, V5};

const BOTH: [Version; 2] = [V4, V5];

/// What is wrong; the packet in MQTT 5 and in 3.1.1, empty where there is no such thing; the reason that is told.
type Case = (&'static str, &'static str, &'static str, u8);

/// Each is said by a client that is connected, then to a fresh hub's others nothing may have happened.
fn each_ends_the_connection(cases: &[Case]) {
    let (rig, _) = open_hub(Limits::default());
    let mut bystander = Raw::open(&rig, V5, "bystander");
    bystander.subscribe("#", 0);
    for &(what, new, old, code) in cases {
        for (version, text) in [(V5, new), (V4, old)] {
            if text.is_empty() {
                continue;
            }
            let mut raw = Raw::open(&rig, version, "c");
            println!("{what} in {version:?}");
            // What follows it in the same segment is not looked at any more.
            let after = packet(if version == V5 { "32 :after 0001 () =x" } else { "32 :after 0001 =x" });
            raw.bytes(&[packet(text), after, packet("c0")].concat());
            raw.ends_with(code);
        }
    }
    bystander.is_quiet();
}

#[test]
fn reserved_flags_of_the_fixed_header_are_malformed() {
    for kind in [2_u8, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14] {
        let right = if matches!(kind, 6 | 8 | 10) { 2 } else { 0 };
        let (rig, _) = open_hub(Limits::default());
        for version in BOTH {
            for flags in (0..16).filter(|&flags| flags != right) {
                let mut raw = Raw::open(&rig, version, "c");
                let rest = match (kind, version) {
                    (8, V5) => "0001 () :a 00",
                    (8, V4) => "0001 :a 00",
                    (10, V5) => "0001 () :a",
                    (10, V4) => "0001 :a",
                    (12..=14, _) => "",
                    _ => "0001",
                };
                raw.say(&format!("{:02x} {rest}", kind << 4 | flags));
                raw.ends_with(0x81);
            }
        }
        // AUTH is of MQTT 5 alone.
        for flags in 1..16 {
            let mut raw = Raw::open(&rig, V5, "c");
            raw.say(&format!("{:02x} 00 ()", 0xf0 | flags));
            raw.ends_with(0x81);
        }
    }
    each_ends_the_connection(&[
        ("a packet of type 0", "00", "00", 0x81),
        ("AUTH in 3.1.1", "", "f0", 0x81),
        ("QoS 3", "36 :a 0001 () =x", "36 :a 0001 =x", 0x81),
        ("DUP with QoS 0", "38 :a () =x", "38 :a =x", 0x81),
    ]);
}

#[test]
fn strings_that_are_not_utf8_or_have_a_nul_are_malformed() {
    let mut cases: Vec<(String, String, String, u8)> = Vec::new();
    for bad in ["0001 ff", "0003 eda080", "0003 edbfbf", "0001 00", "0002 c080", "0002 61c3", "0004 f4908080"]
    {
        for (new, old) in [
            (format!("30 {bad} () =x"), format!("30 {bad} =x")),
            (format!("82 0001 () {bad} 00"), format!("82 0001 {bad} 00")),
            (format!("a2 0001 () {bad}"), format!("a2 0001 {bad}")),
            (format!("30 :a ( 08 {bad} ) =x"), String::new()),
            (format!("30 :a ( 03 {bad} ) =x"), String::new()),
            (format!("30 :a ( 26 {bad} :v ) =x"), String::new()),
            (format!("30 :a ( 26 :k {bad} ) =x"), String::new()),
            (format!("e0 00 ( 1f {bad} )"), String::new()),
        ] {
            cases.push((bad.to_owned(), new, old, 0x81));
        }
    }
    let cases: Vec<Case> = cases
        .into_iter()
        .map(|(what, new, old, code)| {
            let leak = |text: String| &*Box::leak(text.into_boxed_str());
            (leak(what), leak(new), leak(old), code)
        })
        .collect();
    each_ends_the_connection(&cases);
}

#[test]
fn a_byte_order_mark_is_part_of_the_string_that_it_stands_in() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut raw = Raw::open(&rig, version, "c");
        raw.subscribe("+", 0);
        raw.publish(0x30, "\u{feff}a", "x");
        raw.hears(&format!("30 0004 efbbbf61 {} =x", raw.none()));
        if version == V5 {
            raw.say("30 :a ( 26 :\u{feff}k :v\u{feff} ) =x");
            raw.hears("30 :a ( 26 0004 efbbbf6b 0004 76efbbbf ) =x");
        }
    }
}

#[test]
fn lengths_that_are_longer_than_needed_or_do_not_fit_are_malformed() {
    let (rig, _) = open_hub(Limits::default());
    for (version, bytes) in [
        (V5, &b"\xc0\x80\x00"[..]),
        (V4, b"\xc0\xff\xff\xff\xff\x01"),
        (V5, b"\xc0\xff\xff\xff\xff\x01"),
        (V5, b"\x30\x06\x00\x01a\x80\x00x"),
        (V5, b"\x82\x0a\x00\x01\x03\x0b\x81\x00\x00\x01a\x00"),
    ] {
        let mut raw = Raw::open(&rig, version, "c");
        raw.bytes(bytes);
        raw.ends_with(0x81);
    }
    each_ends_the_connection(&[
        ("a topic longer than the packet", "30 00ff 61 ()", "30 00ff 61", 0x81),
        ("no property length", "30 :a", "", 0x81),
        ("properties longer than the packet", "30 :a 05 0101", "", 0x81),
        ("a packet id cut short", "40 01", "40 01", 0x81),
        ("bytes after the end", "40 0001 00 () 00", "40 0001 00", 0x81),
        ("PINGREQ with a body", "c0 00", "c0 00", 0x81),
        ("an option byte is missing", "82 0001 () :a", "82 0001 :a", 0x81),
    ]);
}

#[test]
fn packet_ids_and_topics_that_are_not_there_or_not_permitted_end_the_connection() {
    each_ends_the_connection(&[
        ("packet id 0 in PUBLISH QoS 1", "32 :a 0000 () =x", "32 :a 0000 =x", 0x82),
        ("packet id 0 in PUBLISH QoS 2", "34 :a 0000 () =x", "34 :a 0000 =x", 0x82),
        ("packet id 0 in SUBSCRIBE", "82 0000 () :a 00", "82 0000 :a 00", 0x82),
        ("packet id 0 in UNSUBSCRIBE", "a2 0000 () :a", "a2 0000 :a", 0x82),
        ("no filter in SUBSCRIBE", "82 0001 ()", "82 0001", 0x82),
        ("no filter in UNSUBSCRIBE", "a2 0001 ()", "a2 0001", 0x82),
        ("+ in a topic", "30 :a/+ () =x", "30 :a/+ =x", 0x81),
        ("# in a topic", "30 :# () =x", "30 :# =x", 0x81),
        ("+ in a response topic", "30 :a ( 08 :r/+ ) =x", "", 0x81),
        ("an empty topic in 3.1.1", "", "30 0000 =x", 0x81),
        ("an empty topic without alias", "30 0000 () =x", "", 0x82),
        ("an empty filter", "82 0001 () 0000 00", "82 0001 0000 00", 0x81),
        ("an empty filter in UNSUBSCRIBE", "a2 0001 () 0000", "a2 0001 0000", 0x81),
        ("# before the end", "82 0001 () :a/#/b 00", "82 0001 :a/#/b 00", 0x81),
        ("# within a level", "82 0001 () :a# 00", "82 0001 :a# 00", 0x81),
        ("+ within a level", "82 0001 () :a+/b 00", "82 0001 :a+/b 00", 0x81),
        ("+ after another", "82 0001 () :++ 00", "82 0001 :++ 00", 0x81),
        ("alias 0", "30 :a ( 23 0000 ) =x", "", 0x94),
        ("a subscription identifier in PUBLISH", "30 :a ( 0b 01 ) =x", "", 0x82),
    ]);
}

#[test]
fn subscription_options_that_are_reserved_are_malformed() {
    each_ends_the_connection(&[
        ("bit 6", "82 0001 () :a 40", "82 0001 :a 40", 0x81),
        ("bit 7", "82 0001 () :a 80", "82 0001 :a 80", 0x81),
        ("bit 2 in 3.1.1", "", "82 0001 :a 04", 0x81),
        ("bit 3 in 3.1.1", "", "82 0001 :a 08", 0x81),
        ("bit 4 in 3.1.1", "", "82 0001 :a 10", 0x81),
        ("bit 5 in 3.1.1", "", "82 0001 :a 20", 0x81),
        ("QoS 3", "82 0001 () :a 03", "82 0001 :a 03", 0x82),
        ("QoS 3 of the second filter", "82 0001 () :a 00 :b 03", "82 0001 :a 00 :b 03", 0x82),
        ("retain handling 3", "82 0001 () :a 30", "", 0x82),
    ]);
}

#[test]
fn codes_that_a_packet_does_not_have_are_malformed() {
    each_ends_the_connection(&[
        ("in PUBACK", "40 0001 01", "", 0x81),
        ("in PUBREC", "50 0001 92", "", 0x81),
        ("in PUBREL", "62 0001 10", "", 0x81),
        ("in PUBCOMP", "70 0001 87", "", 0x81),
        ("in DISCONNECT", "e0 01", "", 0x81),
        ("in AUTH", "f0 01 ()", "", 0x81),
        ("AUTH without a method in CONNECT", "f0 18 ( 15 :m )", "", 0x82),
        ("what only servers send: CONNACK", "20 00 00 ()", "20 00 00", 0x82),
        ("what only servers send: SUBACK", "90 0001 () 00", "90 0001 00", 0x82),
        ("what only servers send: UNSUBACK", "b0 0001 () 00", "b0 0001", 0x82),
        ("what only servers send: PINGRESP", "d0", "d0", 0x82),
    ]);
}

#[test]
fn what_only_the_client_may_say_in_disconnect_is_not_said_by_the_server() {
    let (rig, _) = open_hub(Limits::default());
    // A session that outlives its connection, so that there would be an expiry to tell.
    for end in ["c0 00", "30 :# () =x"] {
        let (mut raw, _) = Raw::with(&rig, "10 :MQTT 05 02 0e10 ( 11 00000e10 ) :c");
        raw.say(end);
        let told = raw.hear();
        let (found, _) = mohhos_mqtt::packet::decode(&told, V5, 1000).unwrap().unwrap();
        let mohhos_mqtt::Packet::Disconnect(disconnect) = found else { panic!("{told:02x?}") };
        assert!(disconnect.properties.reason_string().is_some(), "it is told why");
        assert_eq!(disconnect.properties.session_expiry(), None);
        raw.ends();
    }
    let mut raw = Raw::open(&rig, V5, "d");
    raw.say("e0 00 ( 11 0000000a )");
    raw.ends_with(0x82);
}

#[test]
fn a_ping_is_answered() {
    let (rig, _) = open_hub(Limits::default());
    for version in BOTH {
        let mut raw = Raw::open(&rig, version, "c");
        raw.bytes(&packet("c0").repeat(3));
        for _ in 0..3 {
            raw.hears("d0");
        }
    }
}

#[test]
fn after_disconnect_nothing_is_taken_and_nothing_comes() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut watcher = Raw::open(&rig, version, "watcher");
        watcher.subscribe("t", 0);
        let mut raw = Raw::open(&rig, version, "c");
        raw.subscribe("t", 0);
        let none = raw.none();
        raw.bytes(&[packet("e0"), packet(&format!("30 :t {none} =x")), packet("c0")].concat());
        raw.ends();
        watcher.is_quiet();
    }
}

#[test]
fn no_answer_is_larger_than_the_client_takes_nor_has_properties_that_make_it_so() {
    let (rig, _) = open_hub(Limits::default());
    // 24 bytes: enough for CONNACK, too few for any reason in words.
    for (properties, most) in
        [("( 27 00000018 )", 24), ("( 27 00000018 17 00 )", 24), ("( 17 00 )", usize::MAX)]
    {
        let (mut raw, connack) = Raw::with(&rig, &format!("10 :MQTT 05 02 0e10 {properties} :c"));
        assert!(connack.len() <= most);
        for (said, heard) in [
            ("32 :denied/x 0001 () =x", "40 0001 87"),
            ("34 :denied/x 0002 () =x", "50 0002 87"),
            ("62 0003", "70 0003 92"),
            ("50 0004", "62 0004 92"),
            ("82 0005 () :$other/x 00", "90 0005 () 87"),
            ("a2 0006 () :nothing", "b0 0006 () 11"),
        ] {
            raw.say(said);
            raw.hears(heard);
        }
        raw.say("00");
        let told = raw.hear();
        assert!(told.len() <= most && told[..1] == [0xe0] && told[2] == 0x81, "{told:02x?}");
        raw.ends();
        // CONNACK, when it refuses.
        let mut refused = Raw::new(&rig, V5);
        refused.say(&format!("10 :MQTT 05 c2 0e10 {properties} :c :pump-0 :wrong"));
        let told = refused.hear();
        assert!(told.len() <= most && told[3] == 0x86, "{told:02x?}");
        refused.ends();
    }
}

#[test]
fn a_message_that_is_too_large_for_a_client_is_left_out_as_if_it_had_been_sent() {
    let (rig, _) = open_hub(Limits::default());
    let mut app = Raw::open(&rig, V5, "app");
    let (mut raw, _) = Raw::with(&rig, "10 :MQTT 05 02 0e10 ( 21 0001 27 00000020 ) :c");
    raw.subscribe("t", 2);
    // 32 bytes are taken, 33 are not. There is room for one unacknowledged message, and it is not taken up.
    let payload = |first: u8, size: usize| "x".repeat(size - if first == 0x30 { 6 } else { 8 });
    for first in [0x34, 0x32, 0x30] {
        app.publish(first, "t", &payload(first, 33));
        app.publish(first, "t", "y");
        let got = raw.hear();
        assert_eq!((got[0], got.last()), (first, Some(&b'y')));
        let id = format!("{:02x}{:02x}", got[5], got[6]);
        match first {
            0x34 => {
                raw.say(&format!("50 {id}"));
                raw.hears(&format!("62 {id}"));
                raw.say(&format!("70 {id}"));
            }
            0x32 => raw.say(&format!("40 {id}")),
            _ => {}
        }
    }
    app.publish(0x32, "t", &payload(0x32, 32));
    assert_eq!(raw.hear().len(), 32);
}
