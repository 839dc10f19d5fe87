//! The state of a device over real sockets: quarantine, throttle and kick, also of one behind a parent.

mod common;

use std::sync::Arc;

use common::{Client, Got, Rig, Setup, device};
use mohhos_hub::{Action, Event, ManualClock, Principal, Standing};
use mohhos_mqtt::{QoS, ReasonCode};

fn quarantine(topics: &[&str]) -> Standing {
    Standing::Quarantine(topics.iter().map(|&topic| topic.into()).collect())
}

fn acked(client: &mut Client, topic: &str) -> ReasonCode {
    let id = client.publish(topic, "x", QoS::AtLeastOnce);
    match client.next() {
        Got::PubAck(of, code) if of == id => code,
        other => panic!("{other:?}"),
    }
}

/// A hub where pump-0 speaks for pump-1 and pump-2.
fn family(setup: Setup) -> Rig {
    let rig = setup.start();
    let child = |name: &str| Principal { parent: Some("pump-0".into()), ..device(name) };
    let children = ["pump-1".into(), "pump-2".into()].into();
    rig.hub.put_principals(vec![
        Principal { children, ..device("pump-0") },
        child("pump-1"),
        child("pump-2"),
    ]);
    rig
}

#[test]
fn a_device_in_quarantine_talks_to_the_named_topics_alone_and_goes_on_when_released() {
    let rig = Rig::start();
    let mut pump = rig.connect("pump-0", "c");
    pump.subscribe("devices/pump-0/#", QoS::AtLeastOnce);
    let mut app = rig.connect("app", "a");
    app.publish_acked("devices/pump-0/config", "before");
    while pump.message().text() != "before" {}

    rig.hub.set_standing("pump-0", &quarantine(&["devices/${device}/repair/#"])).unwrap();
    assert_eq!(acked(&mut pump, "devices/pump-0/telemetry"), ReasonCode::NotAuthorized);
    let told = rig.event(|event| match event {
        Event::Refused(refusal) => Some(refusal.reason.clone()),
        _ => None,
    });
    assert!(told.contains("quarantine"), "{told}");
    assert_eq!(
        acked(&mut app, "devices/pump-0/config"),
        ReasonCode::NotAuthorized,
        "nobody speaks to it elsewhere"
    );
    app.publish_acked("devices/pump-0/repair/firmware", "for it");
    assert_eq!(pump.message().text(), "for it");
    pump.publish_acked("devices/pump-0/repair/done", "heard");
    assert_eq!(pump.message().text(), "heard");
    pump.nothing_came();
    let why = rig.hub.explain("pump-0", "", Action::Publish, "devices/pump-0/telemetry").unwrap();
    assert_eq!((why.allowed, why.decided_by, why.device.as_str()), (false, "state", "pump-0"));

    rig.hub.set_standing("pump-0", &Standing::Allow).unwrap();
    app.publish_acked("devices/pump-0/config", "after");
    assert_eq!(pump.message().text(), "after", "its subscription was kept");
    pump.publish_acked("devices/pump-0/telemetry", r#"{"a": 1}"#);
}

#[test]
fn what_the_gateway_says_to_a_device_in_quarantine_is_withheld_unless_named() {
    let rig = Rig::start();
    let mut pump = rig.connect("pump-0", "c");
    pump.subscribe("devices/pump-0/#", QoS::AtLeastOnce);
    while !pump.message().topic.ends_with("status") {}
    rig.hub.set_standing("pump-0", &quarantine(&[])).unwrap();
    let publish =
        |topic: &str| rig.hub.publish(mohhos_hub::Publication::new(topic, "from the gateway")).unwrap();
    publish("devices/pump-0/configuration/desired");
    publish("devices/pump-0/commands/1");
    assert_eq!(pump.message().topic, "devices/pump-0/commands/1");
    pump.publish_acked("devices/pump-0/commands/1/result", "done");
    assert_eq!(pump.message().topic, "devices/pump-0/commands/1/result");
    pump.nothing_came();
    assert_eq!(rig.hub.stats().total("withheld"), 1);
}

#[test]
fn a_device_that_comes_back_is_in_quarantine_still_and_a_will_is_no_way_out() {
    let rig = Rig::start();
    let mut watcher = rig.connect("app", "w");
    watcher.subscribe("devices/+/events/#", QoS::AtMostOnce);
    rig.hub.set_standing("pump-0", &quarantine(&[])).unwrap();
    let mut pump = rig.client("pump-0", "c");
    pump.will = Some(("devices/pump-0/events/gone".into(), b"will".into(), QoS::AtMostOnce, false));
    let mut pump = pump.connected();
    pump.subscribe("devices/pump-0/#", QoS::AtMostOnce);
    assert_eq!(acked(&mut pump, "devices/pump-0/events/e"), ReasonCode::NotAuthorized);
    drop(pump);
    rig.event(|event| {
        matches!(event, Event::Refused(refusal) if refusal.topic == "devices/pump-0/events/gone")
            .then_some(())
    });
    watcher.nothing_came();
}

#[test]
fn quarantine_of_a_child_stops_what_its_parent_says_for_it_and_hears_for_it_alone() {
    let rig = family(Setup::default());
    let mut parent = rig.connect("pump-0", "c");
    parent.subscribe("devices/pump-1/events/#", QoS::AtMostOnce);
    parent.subscribe("devices/pump-2/events/#", QoS::AtMostOnce);
    rig.hub.set_standing("pump-1", &quarantine(&[])).unwrap();
    assert_eq!(acked(&mut parent, "devices/pump-1/telemetry"), ReasonCode::NotAuthorized);
    parent.publish_acked("devices/pump-2/telemetry", r#"{"a": 1}"#);
    // The shard of the parent has seen to it when it answers.
    parent.nothing_came();
    for child in ["pump-1", "pump-2"] {
        rig.hub.publish(mohhos_hub::Publication::new(format!("devices/{child}/events/e"), child)).unwrap();
    }
    assert_eq!(parent.message().text(), "pump-2");
    parent.nothing_came();
    rig.hub.set_standing("pump-1", &Standing::Allow).unwrap();
    parent.publish_acked("devices/pump-1/telemetry", r#"{"a": 1}"#);
}

#[test]
fn quarantine_of_a_parent_stops_what_it_says_for_its_children_too() {
    let rig = family(Setup::default());
    let mut parent = rig.connect("pump-0", "c");
    let mut child = rig.connect("pump-1", "c");
    rig.hub.set_standing("pump-0", &quarantine(&[])).unwrap();
    for topic in ["devices/pump-0/telemetry", "devices/pump-1/telemetry"] {
        assert_eq!(acked(&mut parent, topic), ReasonCode::NotAuthorized, "{topic}");
    }
    child.publish_acked("devices/pump-1/telemetry", r#"{"a": 1}"#);
}

#[test]
fn a_throttled_device_is_read_at_its_rate_and_loses_nothing_and_keeps_its_connection() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let rig = Setup { clock: clock.clone(), ..Setup::default() }.start();
    rig.hub.set_standing("pump-0", &Standing::Throttle(2.0)).unwrap();
    let mut pump = rig.client("pump-0", "c");
    pump.keep_alive = 5;
    let mut pump = pump.connected();
    let topic = "devices/pump-0/events/e";
    let ids: Vec<u16> = (0..40).map(|n| pump.publish(topic, n.to_string(), QoS::AtLeastOnce)).collect();
    pump.ping();
    let total = |name: &str| rig.hub.stats().total(name);
    for (second, pair) in ids.chunks(2).enumerate() {
        for id in pair {
            assert_eq!(pump.next(), Got::PubAck(*id, ReasonCode::Success));
        }
        rig.eventually("it is held", |hub| hub.stats().total("holds") > second as u64);
        assert_eq!(total("messages_in"), 2 * (second as u64 + 1), "nothing beyond the rate is read");
        clock.advance(1_000_000);
    }
    // Twenty seconds have passed, four times its keep-alive, and what it said last is answered.
    assert_eq!(pump.next(), Got::PingResp);
    assert_eq!(rig.hub.connection("pump-0").unwrap().messages_in, 40);
    rig.hub.stop().unwrap();
}

#[test]
fn a_device_that_is_released_is_read_at_once() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let rig = Setup { clock, ..Setup::default() }.start();
    rig.hub.set_standing("pump-0", &Standing::Throttle(0.001)).unwrap();
    let mut pump = rig.connect("pump-0", "c");
    let ids: Vec<u16> =
        (0..5).map(|_| pump.publish("devices/pump-0/events/e", "x", QoS::AtLeastOnce)).collect();
    assert_eq!(pump.next(), Got::PubAck(ids[0], ReasonCode::Success));
    rig.eventually("it is held", |hub| hub.stats().total("holds") == 1);
    rig.hub.set_standing("pump-0", &Standing::Allow).unwrap();
    for id in &ids[1..] {
        assert_eq!(pump.next(), Got::PubAck(*id, ReasonCode::Success));
    }
}

#[test]
fn a_throttled_child_costs_its_siblings_nothing_where_refusing_is_possible() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let rig = family(Setup { clock: clock.clone(), ..Setup::default() });
    rig.hub.set_standing("pump-1", &Standing::Throttle(1.0)).unwrap();
    let mut parent = rig.connect("pump-0", "c");
    assert_eq!(acked(&mut parent, "devices/pump-1/events/e"), ReasonCode::Success);
    assert_eq!(acked(&mut parent, "devices/pump-1/events/e"), ReasonCode::QuotaExceeded);
    for _ in 0..10 {
        assert_eq!(acked(&mut parent, "devices/pump-2/events/e"), ReasonCode::Success);
    }
    // MQTT 3.1.1 has no refusal: its parent waits, and nothing that is acknowledged is lost.
    let mut old = rig.client("pump-0", "old").v4().connected();
    clock.advance(1_000_000);
    let first = old.publish("devices/pump-1/events/e", "1", QoS::AtLeastOnce);
    assert_eq!(old.next(), Got::PubAck(first, ReasonCode::Success));
    let second = old.publish("devices/pump-1/events/e", "2", QoS::AtLeastOnce);
    rig.eventually("it is held", |hub| hub.stats().total("holds") == 1);
    clock.advance(1_000_000);
    assert_eq!(old.next(), Got::PubAck(second, ReasonCode::Success));
    assert_eq!(rig.hub.connection("pump-1").unwrap().messages_in, 3);
}

#[test]
fn a_kick_ends_the_sessions_of_one_principal_and_its_will_only_if_asked() {
    let rig = Rig::start();
    let mut watcher = rig.connect("app", "w");
    watcher.subscribe("devices/+/events/gone", QoS::AtMostOnce);
    let with_will = |id: &str| {
        let mut pump = rig.client("pump-0", id);
        pump.will = Some(("devices/pump-0/events/gone".into(), id.as_bytes().into(), QoS::AtMostOnce, false));
        pump.connected()
    };
    let mut pumps = [with_will("a"), with_will("b")];
    let mut other = rig.connect("pump-1", "c");
    assert_eq!(rig.hub.kick("pump-0", "it misbehaves", false), 2);
    for pump in &mut pumps {
        assert_eq!(pump.next(), Got::Disconnect(ReasonCode::AdministrativeAction));
        assert_eq!(pump.next(), Got::End);
    }
    watcher.nothing_came();
    let mut pump = with_will("asked");
    assert_eq!(rig.hub.kick("pump-0", "it misbehaves", true), 1);
    assert_eq!(pump.expect_end(), ReasonCode::AdministrativeAction);
    assert_eq!(watcher.message().text(), "asked");
    other.nothing_came();
}

#[test]
fn a_state_for_a_device_that_is_not_registered_or_cannot_be_meant_is_refused() {
    let rig = Rig::start();
    assert!(rig.hub.set_standing("nobody", &Standing::Allow).is_err());
    assert!(rig.hub.set_standing("pump-0", &Standing::Throttle(-1.0)).is_err());
    assert!(rig.hub.set_standing("pump-0", &quarantine(&["a/#/b"])).is_err());
    rig.connect("pump-0", "c").publish_acked("devices/pump-0/telemetry", r#"{"a": 1}"#);
}
