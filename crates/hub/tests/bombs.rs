//! What a client with credentials could pile up, each with the limit that stops it: sessions, subscriptions, deep wildcards,
//! topics, packets that never end, retained messages that grow.

mod common;

use std::io::Write;
use std::sync::Arc;

use common::{Got, PATIENCE, Rig, Setup};
use mohhos_hub::{Action, Event, Limits};
use mohhos_log::testing::ForgetfulFs;
use mohhos_mqtt::{QoS, ReasonCode};

fn limited(limits: Limits) -> Rig {
    Setup { limits, ..Setup::default() }.start()
}

/// The reason of the first refusal of this action.
fn refusal(rig: &Rig, action: Action) -> String {
    rig.event(|event| match event {
        Event::Refused(told) if told.action == action => Some(told.reason.clone()),
        _ => None,
    })
}

#[test]
fn a_principal_keeps_no_more_sessions_than_permitted_whichever_shards_they_are_on() {
    let rig = limited(Limits { max_sessions: 5, ..Limits::default() });
    for n in 0..5 {
        rig.client("pump-0", &format!("c{n}")).persistent().connected().disconnect();
    }
    let mut sixth = rig.client("pump-0", "c5").persistent();
    sixth.send_connect();
    assert_eq!(sixth.next(), Got::ConnAck { session_present: false, code: ReasonCode::QuotaExceeded });
    assert!(refusal(&rig, Action::Connect).contains("limits.max_sessions"));
    // What it keeps goes on, a session that ends with its connection needs no place, and others have their own.
    assert!(rig.client("pump-0", "c3").persistent().connect(), "the session is there");
    rig.connect("pump-0", "passing");
    rig.client("pump-1", "c0").persistent().connected();
    // A place is free again when a session ends.
    rig.connect("pump-0", "c0").disconnect();
    rig.eventually("the session ends", |hub| hub.stats().total("sessions") <= 6);
    rig.client("pump-0", "c5").persistent().connected();
}

#[test]
fn sessions_from_before_a_restart_take_their_places() {
    let disk = ForgetfulFs::new();
    let setup = || {
        let limits = Limits { max_sessions: 2, ..Limits::default() };
        Setup { fs: Arc::new(disk.clone()), limits, ..Setup::default() }
    };
    let rig = setup().start();
    for n in 0..2 {
        rig.client("pump-0", &format!("c{n}")).persistent().connected().disconnect();
    }
    rig.hub.stop().unwrap();
    drop(rig);
    let rig = setup().start();
    assert!(rig.client("pump-0", "c0").persistent().connect());
    let mut third = rig.client("pump-0", "c2").persistent();
    third.send_connect();
    assert_eq!(third.next(), Got::ConnAck { session_present: false, code: ReasonCode::QuotaExceeded });
}

#[test]
fn a_session_has_no_more_subscriptions_than_permitted_and_the_operator_is_told() {
    let rig = limited(Limits { max_subscriptions: 10, ..Limits::default() });
    let mut bomber = rig.connect("app", "bomber");
    for n in 0..10 {
        bomber.subscribe(&format!("bomb/{n}"), QoS::AtMostOnce);
    }
    bomber.send_subscribe("bomb/10", QoS::AtMostOnce);
    assert_eq!(bomber.next(), Got::SubAck(vec![ReasonCode::QuotaExceeded as u8]));
    assert!(refusal(&rig, Action::Subscribe).contains("limits.max_subscriptions"));
    // One that is there may be changed, and one that ends makes room.
    bomber.subscribe("bomb/9", QoS::AtLeastOnce);
    bomber.unsubscribe("bomb/0");
    bomber.subscribe("bomb/10", QoS::AtMostOnce);
}

#[test]
fn all_subscriptions_together_take_no_more_memory_than_permitted() {
    // Three levels are 1,536 bytes, and their length twice.
    let rig = limited(Limits { max_subscription_bytes: 16_000, ..Limits::default() });
    let mut bombers: Vec<_> = (0..5).map(|n| rig.connect("app", &format!("bomber-{n}"))).collect();
    let mut held = Vec::new();
    'full: loop {
        for (n, bomber) in bombers.iter_mut().enumerate() {
            let filter = format!("bomb/{}/{n}", held.len());
            bomber.send_subscribe(&filter, QoS::AtMostOnce);
            match bomber.next() {
                Got::SubAck(codes) if codes == [0] => held.push((n, filter)),
                Got::SubAck(codes) => break 'full assert_eq!(codes, [ReasonCode::QuotaExceeded as u8]),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(held.len(), 10);
    assert!(refusal(&rig, Action::Subscribe).contains("limits.max_subscription_size"));
    // Those of a session that ends are free again, as are those that are unsubscribed, to the last byte.
    let ended = held.iter().filter(|(n, _)| *n == 0).count();
    bombers.remove(0).disconnect();
    rig.eventually("the session ends", |hub| hub.stats().total("subscriptions") == (10 - ended) as u64);
    for (n, filter) in held.iter().filter(|(n, _)| *n > 0) {
        bombers[n - 1].unsubscribe(filter);
    }
    for n in 0..10 {
        bombers[0].subscribe(&format!("bomb/{n}/x"), QoS::AtMostOnce);
    }
}

#[test]
fn deep_wildcards_of_every_shape_delay_nobody() {
    let rig = limited(Limits { max_subscriptions: 5000, ..Limits::default() });
    let depth = 12;
    let mut bomber = rig.connect("app", "bomber");
    // Every mixture of `+` and `a`: a message on a/a/…/a goes through all of them.
    for mixture in 0..1_u32 << depth {
        let levels: Vec<&str> = (0..depth).map(|n| if mixture >> n & 1 == 1 { "+" } else { "a" }).collect();
        bomber.send_subscribe(&levels.join("/"), QoS::AtMostOnce);
    }
    for _ in 0..1 << depth {
        assert_eq!(bomber.next(), Got::SubAck(vec![0]));
    }
    let too_deep = vec!["+"; 17].join("/");
    bomber.send_subscribe(&too_deep, QoS::AtMostOnce);
    assert!(matches!(bomber.next(), Got::SubAck(codes) if codes[0] >= 0x80));
    let mut listener = rig.connect("other", "listener");
    listener.subscribe("a/#", QoS::AtMostOnce);
    let mut publisher = rig.connect("other", "publisher");
    let topic = vec!["a"; depth].join("/");
    for n in 0..20 {
        publisher.publish_acked(&topic, n.to_string());
        // It hears of it once, however many of its filters match (3.3.4).
        assert_eq!((bomber.message().text(), listener.message().text()), (&*n.to_string(), &*n.to_string()));
    }
    bomber.nothing_came();
}

#[test]
fn packets_that_never_end_take_no_more_memory_than_permitted() {
    // Two shards, each with half of it.
    let rig = limited(Limits { max_unfinished_bytes: 2_000_000, ..Limits::default() });
    let mut good = rig.connect("other", "good");
    good.subscribe("devices/+/events/e", QoS::AtMostOnce);
    let mut bombers: Vec<_> = (0..20).map(|n| rig.connect("app", &format!("bomber-{n}"))).collect();
    // The first half of a packet of 400 kB each: four fit.
    for bomber in &mut bombers {
        let mut half = vec![0x30, 0x80, 0xb5, 0x18, 0, 1, b'x', 0];
        half.resize(200_000, 0);
        let _ = bomber.stream.write_all(&half);
    }
    rig.eventually("most are ended", |hub| hub.stats().total("swollen") >= 10);
    // The first that came beyond was told why.
    let told =
        bombers.iter_mut().rev().find_map(|bomber| bomber.hears_within(PATIENCE).then(|| bomber.next()));
    assert_eq!(told, Some(Got::Disconnect(ReasonCode::QuotaExceeded)));
    // A packet of the same size that comes to its end is delivered.
    let mut pump = rig.connect("pump-0", "c");
    pump.publish("devices/pump-0/events/e", vec![7; 10_000], QoS::AtMostOnce);
    assert_eq!(good.message().payload.len(), 10_000);
}

#[test]
fn a_packet_that_comes_byte_by_byte_is_taken() {
    let rig = Rig::start();
    let mut slow = rig.connect("app", "slow");
    let mut good = rig.connect("other", "good");
    good.subscribe("x", QoS::AtMostOnce);
    let mut packet = vec![0x30, 0x84, 0xb5, 0x18, 0, 1, b'x', 0];
    packet.resize(5 + 400_004 - 1, 9);
    let (large, bytes) = packet.split_at(399_000);
    for part in large.chunks(50_000) {
        slow.stream.write_all(part).unwrap();
    }
    for byte in bytes.chunks(1) {
        slow.stream.write_all(byte).unwrap();
    }
    assert_eq!(good.message().payload.len(), 400_000);
}

#[test]
fn retained_messages_that_grow_take_no_more_memory_than_permitted() {
    let rig = limited(Limits { max_retained_bytes: 100_000, ..Limits::default() });
    let mut grower = rig.connect("app", "grower");
    for n in 0..20 {
        grower.retain(&format!("grow/{n}"), "small", QoS::AtMostOnce);
    }
    for n in 0..20 {
        grower.retain(&format!("grow/{n}"), vec![b'x'; 20_000], QoS::AtMostOnce);
    }
    rig.eventually("those that do not fit are refused", |hub| hub.stats().total("retained_refused") == 16);
    assert!(rig.hub.stats().retained.1 <= 100_000);
}
