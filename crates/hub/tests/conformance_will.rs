//! What the standard says of the will (3.1.2.5 to 3.1.2.7, 3.1.3.2, 3.14.4).

mod common;

use common::raw::{Raw, open_hub};
use mohhos_hub::Limits;
use mohhos_mqtt::Version::{self, V4, V5};

const BOTH: [Version; 2] = [V4, V5];

/// A client with a will on `w`: flags of CONNECT, and the properties of the will.
fn client(rig: &common::Rig, version: Version, flags: &str, will: &str) -> Raw {
    let mut raw = Raw::new(rig, version);
    let expiry = if version == V5 { "( 11 0000003c )" } else { "" };
    let will = if version == V5 { will } else { "" };
    raw.say(&format!("10 :MQTT {} {flags} 0e10 {expiry} :c {will} :w :gone", raw.level()));
    raw.accepted(false);
    raw
}

#[test]
fn a_will_is_published_when_the_connection_ends_unless_it_was_taken_back() {
    for version in BOTH {
        let (rig, clock) = open_hub(Limits::default());
        let mut watcher = Raw::open(&rig, version, "watcher");
        watcher.subscribe("w", 2);
        let none = watcher.none();
        // Lost, broken by the client itself, silent: 006 is a will of QoS 0.
        for end in ["lost", "broken"] {
            let mut raw = client(&rig, version, "06", "()");
            if end == "broken" {
                raw.bytes(&[0, 0]);
                raw.ends_with(0x81);
            }
            drop(raw);
            watcher.hears(&format!("30 :w {none} =gone"));
            rig.eventually("it has left", |hub| hub.stats().connections == 1);
            Raw::open(&rig, version, "c").is_quiet();
        }
        // Taken back with DISCONNECT, and gone for good.
        let mut raw = client(&rig, version, "06", "()");
        raw.say("e0");
        raw.ends();
        clock.advance(120_000_000);
        watcher.is_quiet();
        // Published once: the next connection has no will.
        drop(client(&rig, version, "06", "()"));
        watcher.hears(&format!("30 :w {none} =gone"));
        rig.eventually("it has left", |hub| hub.stats().connections == 1);
        drop(Raw::open(&rig, version, "c"));
        rig.eventually("it has left", |hub| hub.stats().connections == 1);
        watcher.is_quiet();
    }
}

#[test]
fn a_connection_without_a_will_leaves_none() {
    for version in BOTH {
        let (rig, _) = open_hub(Limits::default());
        let mut watcher = Raw::open(&rig, version, "watcher");
        watcher.subscribe("#", 0);
        drop(Raw::open(&rig, version, "c"));
        rig.eventually("it has left", |hub| hub.stats().connections == 1);
        watcher.is_quiet();
    }
}

#[test]
fn a_will_has_its_quality_and_is_retained_or_not() {
    for version in BOTH {
        for (flags, qos, retained) in [
            ("06", 0, false),
            ("0e", 1, false),
            ("16", 2, false),
            ("26", 0, true),
            ("2e", 1, true),
            ("36", 2, true),
        ] {
            let (rig, _) = open_hub(Limits::default());
            let mut watcher = Raw::open(&rig, version, "watcher");
            // With MQTT 5, RETAIN as it was published.
            watcher.subscribe("w", if version == V5 { 0x0a } else { 2 });
            drop(client(&rig, version, flags, "()"));
            let first = 0x30 | qos << 1 | u8::from(retained && version == V5);
            let id = if qos == 0 { "" } else { "0001" };
            watcher.hears(&format!("{first:02x} :w {id} {} =gone", watcher.none()));
            let mut later = Raw::open(&rig, version, "later");
            later.subscribe("w", 0);
            if retained {
                later.hears(&format!("31 :w {} =gone", later.none()));
            }
            later.is_quiet();
        }
    }
}

#[test]
fn disconnect_with_will_publishes_it() {
    let (rig, _) = open_hub(Limits::default());
    let mut watcher = Raw::open(&rig, V5, "watcher");
    watcher.subscribe("w", 0);
    let mut raw = client(&rig, V5, "06", "()");
    raw.say("e0 04");
    raw.ends();
    watcher.hears("30 :w () =gone");
}

#[test]
fn a_will_waits_for_its_delay_or_the_end_of_the_session_and_a_new_connection_stops_it() {
    let (rig, clock) = open_hub(Limits::default());
    let mut watcher = Raw::open(&rig, V5, "watcher");
    watcher.subscribe("w", 0);
    let away = || rig.eventually("it has left", |hub| hub.stats().connections == 1);
    // Ten seconds, and the client is back after nine.
    drop(client(&rig, V5, "04", "( 18 0000000a )"));
    away();
    clock.advance(9_000_000);
    watcher.is_quiet();
    let (back, answer) = Raw::with(&rig, "10 :MQTT 05 00 0e10 ( 11 0000003c ) :c");
    assert_eq!(answer[2], 1);
    clock.advance(20_000_000);
    watcher.is_quiet();
    drop(back);
    away();
    watcher.is_quiet();
    // Ten seconds, and nobody comes.
    drop(client(&rig, V5, "06", "( 18 0000000a )"));
    away();
    clock.advance(9_000_000);
    watcher.is_quiet();
    clock.advance(1_500_000);
    watcher.hears("30 :w () =gone");
    // A day, but the session ends after a minute; or at once, with a clean start.
    drop(client(&rig, V5, "06", "( 18 00015180 )"));
    away();
    clock.advance(59_000_000);
    watcher.is_quiet();
    clock.advance(2_000_000);
    watcher.hears("30 :w () =gone");
    drop(client(&rig, V5, "06", "( 18 00015180 )"));
    away();
    let _new = Raw::open(&rig, V5, "c");
    watcher.hears("30 :w () =gone");
    watcher.is_quiet();
}

#[test]
fn the_properties_of_a_will_go_on_with_it_in_their_order() {
    let (rig, _) = open_hub(Limits::default());
    let mut watcher = Raw::open(&rig, V5, "watcher");
    watcher.subscribe("w", 0);
    let properties = "( 26 :b :1 01 01 26 :a :2 03 :text/plain 08 :r/t 09 0002 00ff 26 :b :0 )";
    drop(client(&rig, V5, "06", properties));
    watcher.hears(&format!("30 :w {properties} =gone"));
}
