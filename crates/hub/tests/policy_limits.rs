//! The limits of roles over real sockets.
#![allow(clippy::unwrap_used, reason = "these are tests, though clippy sees no test function here")]

mod common;

use std::sync::Arc;

use common::{Got, Rig, Setup, principal};
use mohhos_hub::{Event, ManualClock, PrincipalKind};
use mohhos_mqtt::{QoS, ReasonCode};

fn rig_with(limits: &str) -> (Rig, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let rig = Setup { clock: clock.clone(), ..Setup::default() }.start();
    let role = format!(r##"{{"limited": {{"publish": ["#"], "subscribe": ["#"], "limits": {limits}}}}}"##);
    rig.hub.put_roles(&role).unwrap();
    rig.hub.put_principals(vec![principal("app", PrincipalKind::Application, "limited")]);
    (rig, clock)
}

#[test]
fn messages_beyond_the_rate_wait_and_sessions_of_one_principal_share_it() {
    let (rig, clock) = rig_with(r#"{"messages_per_s": 4}"#);
    let mut clients: Vec<_> = (0..2).map(|n| rig.connect("app", &format!("c{n}"))).collect();
    for client in &mut clients {
        (0..20).for_each(|n| {
            client.publish("t", n.to_string(), QoS::AtMostOnce);
        });
    }
    for second in 1..=5 {
        rig.eventually("both are held", |hub| hub.stats().total("holds") >= 2);
        let read = rig.hub.stats().total("messages_in");
        // Each of the two may draw one message of debt before it learns that the other has drawn the last.
        assert!(read <= 4 * second + 2, "{read} in second {second}");
        clock.advance(1_000_000);
    }
    for _ in 0..20 {
        clock.advance(1_000_000);
    }
    rig.eventually("all are read, sooner or later", |hub| {
        clock.advance(1_000_000);
        hub.stats().total("messages_in") == 40
    });
}

#[test]
fn bytes_beyond_the_rate_wait() {
    let (rig, clock) = rig_with(r#"{"bytes_per_s": 1000}"#);
    let mut client = rig.connect("app", "c");
    let first = client.publish("t", vec![0; 5000], QoS::AtLeastOnce);
    let second = client.publish("t", vec![0; 10], QoS::AtLeastOnce);
    assert_eq!(client.next(), Got::PubAck(first, ReasonCode::Success));
    rig.eventually("it is held", |hub| hub.stats().total("holds") == 1);
    clock.advance(3_000_000);
    assert_eq!(rig.hub.stats().total("messages_in"), 1);
    clock.advance(2_000_000);
    assert_eq!(client.next(), Got::PubAck(second, ReasonCode::Success));
}

#[test]
fn a_payload_larger_than_the_role_permits_is_refused_at_once_when_the_role_changes() {
    let (rig, _clock) = rig_with(r#"{"payload_bytes": 10}"#);
    let mut client = rig.connect("app", "c");
    client.publish_acked("t", vec![0; 10]);
    let id = client.publish("t", vec![0; 11], QoS::AtLeastOnce);
    assert_eq!(client.next(), Got::PubAck(id, ReasonCode::QuotaExceeded));
    let told = rig.event(|event| match event {
        Event::Refused(refusal) => Some((refusal.reason_code, refusal.reason.clone())),
        _ => None,
    });
    assert_eq!(told.0, 0x97);
    assert!(told.1.contains("payload_bytes"), "{}", told.1);
    rig.hub.put_roles(r##"{"limited": {"publish": ["#"], "limits": {"payload_bytes": 11}}}"##).unwrap();
    client.nothing_came();
    client.publish_acked("t", vec![0; 11]);
}

#[test]
fn more_connections_than_the_role_permits_are_refused_and_a_take_over_is_none() {
    let (rig, _clock) = rig_with(r#"{"connections": 2}"#);
    let first = rig.connect("app", "a");
    let _second = rig.connect("app", "b");
    assert_eq!(rig.client("app", "c").refused(), ReasonCode::QuotaExceeded);
    let told = rig.event(|event| match event {
        Event::Refused(refusal) => Some(refusal.reason.clone()),
        _ => None,
    });
    assert!(told.contains("connections"), "{told}");
    let mut again = rig.connect("app", "a");
    again.nothing_came();
    drop((first, again));
    rig.eventually("there is room", |hub| hub.stats().connections == 1);
    rig.connect("app", "c").nothing_came();
}

#[test]
fn the_inflight_limit_of_a_role_holds_each_way() {
    let (rig, _clock) = rig_with(r#"{"inflight": 3}"#);
    let mut client = rig.connect("app", "c");
    client.subscribe("t", QoS::AtLeastOnce);
    let mut other = rig.connect("other", "o");
    rig.hub
        .put_roles(r##"{"limited": {"publish": ["#"], "subscribe": ["#"], "limits": {"inflight": 3}}, "everything": {"publish": ["#"]}}"##)
        .unwrap();
    for n in 0..5 {
        other.publish_acked("t", n.to_string());
    }
    let held: Vec<u16> = (0..3)
        .map(|_| match client.next() {
            Got::Publish(message) => message.id,
            got => panic!("{got:?}"),
        })
        .collect();
    client.nothing_came();
    client.ack(held[0], mohhos_mqtt::packet::Packet::PubAck);
    assert!(matches!(client.next(), Got::Publish(_)));
    client.nothing_came();
}
