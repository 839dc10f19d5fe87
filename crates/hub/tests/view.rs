//! What operators are told of one device: its sessions, topics, latencies, ended connections, drops and refusals.

#![allow(clippy::unwrap_used, reason = "these are tests, though clippy sees no test function in the helpers")]

mod common;

use common::{Got, Rig, Setup};
use mohhos_hub::{Column, Event, Limits, Publication, TraceOptions};
use mohhos_mqtt::{QoS, ReasonCode};

fn command(id: &str) -> Publication {
    Publication {
        qos: QoS::AtLeastOnce,
        device: "pump-1".into(),
        ..Publication::new(format!("devices/pump-1/commands/{id}"), "{}".to_owned())
    }
}

#[test]
fn a_connected_session_is_told_with_its_terms_subscriptions_and_latest_topics() {
    let rig = Rig::start();
    let mut pump = rig.client("pump-1", "one").persistent().connected();
    pump.subscribe("devices/pump-1/commands/+", QoS::AtLeastOnce);
    for topic in ["devices/pump-1/events/a", "devices/pump-1/events/b", "devices/pump-1/events/b"] {
        let id = pump.publish(topic, "x", QoS::AtLeastOnce);
        assert_eq!(pump.next(), Got::PubAck(id, ReasonCode::Success));
    }
    let [session] = &rig.hub.sessions("pump-1")[..] else { panic!("one session") };
    assert_eq!(
        (session.client.as_str(), session.transport, session.listener.as_str()),
        ("one", "tcp", "main")
    );
    assert_eq!((session.protocol, session.keep_alive_s, session.expiry_s), (5, 60, 3600));
    assert!(session.connected && session.persistent && session.address.is_some());
    assert_eq!((session.subscription_count, session.subscriptions[0].qos), (1, 1));
    let topics: Vec<_> = session.topics.iter().map(|t| (t.topic.as_str(), t.messages)).collect();
    assert_eq!(topics, [("devices/pump-1/events/b", 2), ("devices/pump-1/events/a", 1)]);
    let connection = rig.hub.connection("pump-1").unwrap();
    assert_eq!((connection.connects, connection.clients), (1, vec!["one".to_owned()]));
    assert_eq!(connection.commit_latency.iter().map(|&n| u32::from(n)).sum::<u32>(), 4);
    assert_eq!(rig.hub.stats().commit_latency.counts.iter().sum::<u64>(), 4, "three and one for SUBSCRIBE");
}

#[test]
fn what_waits_for_a_device_that_is_away_is_told_too() {
    let rig = Rig::start();
    let mut pump = rig.client("pump-1", "one").persistent().connected();
    pump.subscribe("devices/pump-1/commands/+", QoS::AtLeastOnce);
    pump.disconnect();
    rig.eventually("it has left", |hub| !hub.connection("pump-1").unwrap().connected);
    rig.hub.publish(command("1")).unwrap();
    rig.eventually("it waits", |hub| hub.sessions("pump-1").first().is_some_and(|s| s.queued == 1));
    let [session] = &rig.hub.sessions("pump-1")[..] else { panic!("one session") };
    assert_eq!((session.connected, session.transport, session.in_flight_out), (false, "", 0));
}

#[test]
fn connections_that_have_ended_are_told_with_why_and_the_last_topic() {
    let rig = Rig::start();
    let mut first = rig.connect("pump-1", "c");
    first.publish("devices/pump-1/events/last", "x", QoS::AtMostOnce);
    rig.eventually("it has come", |hub| hub.connection("pump-1").unwrap().messages_in == 1);
    let second = rig.connect("pump-1", "c");
    assert_eq!(first.next(), Got::Disconnect(ReasonCode::SessionTakenOver));
    second.disconnect();
    rig.eventually("both have ended", |hub| hub.visits("pump-1").len() == 2);
    let [goodbye, taken] = &rig.hub.visits("pump-1")[..] else { panic!("two") };
    assert_eq!((goodbye.reason.as_str(), goodbye.reason_code), ("it said goodbye", 0));
    assert_eq!(taken.reason_code, ReasonCode::SessionTakenOver as u8);
    assert_eq!(taken.last_topic.as_deref(), Some("devices/pump-1/events/last"));
    assert!(taken.until_us >= taken.since_us && taken.since_us > 0);
    assert_eq!(rig.hub.connection("pump-1").unwrap().connects, 2);
    assert!(rig.hub.visits("pump-2").is_empty());
}

#[test]
fn a_command_that_the_device_acknowledges_is_told_as_delivered() {
    let rig = Rig::start();
    let mut pump = rig.connect("pump-1", "c");
    pump.subscribe("devices/pump-1/commands/+", QoS::AtLeastOnce);
    let mut spectator = rig.connect("app", "s");
    spectator.subscribe("devices/#", QoS::AtLeastOnce);
    let offset = rig.hub.publish(command("1f")).unwrap();
    // Who only looks on has not received it for the device: its acknowledgement comes first and tells nothing.
    while spectator.message().topic != "devices/pump-1/commands/1f" {}
    spectator.nothing_came();
    pump.message();
    let commands = rig.event(|event| match event {
        Event::Delivered { commands } => Some(commands.clone()),
        _ => None,
    });
    let [receipt] = &commands[..] else { panic!("one command: {commands:?}") };
    assert_eq!((&*receipt.device, &*receipt.command, receipt.offset), ("pump-1", "1f", offset));
    let taken = rig.hub.connection("pump-1").unwrap().delivery_latency;
    assert_eq!(taken.iter().sum::<u16>(), 1);
}

#[test]
fn messages_for_a_full_queue_are_counted_for_the_device_by_cause() {
    let rig = Setup { limits: Limits { max_queued: 3, ..Limits::default() }, ..Setup::default() }.start();
    let mut pump = rig.client("pump-1", "c").persistent().connected();
    pump.subscribe("devices/pump-1/commands/+", QoS::AtLeastOnce);
    pump.disconnect();
    rig.eventually("it has left", |hub| !hub.connection("pump-1").unwrap().connected);
    for n in 0..10 {
        rig.hub.publish(command(&n.to_string())).unwrap();
    }
    rig.eventually("they are dropped", |hub| hub.connection("pump-1").unwrap().drops.queue_full == 7);
    let drops = rig.hub.connection("pump-1").unwrap().drops;
    assert_eq!((drops.slow, drops.unsendable), (0, 0));
}

#[test]
fn what_a_device_is_refused_is_counted_for_it() {
    let rig = Rig::start();
    let mut pump = rig.connect("pump-1", "c");
    let id = pump.publish("devices/pump-2/telemetry", "1", QoS::AtLeastOnce);
    assert_eq!(pump.next(), Got::PubAck(id, ReasonCode::NotAuthorized));
    let mut wrong = rig.client("pump-1", "d");
    wrong.password = Some("guessed".into());
    wrong.send_connect();
    let refused = Got::ConnAck { session_present: false, code: ReasonCode::BadUserNameOrPassword };
    assert_eq!(wrong.next(), refused);
    assert_eq!(rig.hub.connection("pump-1").unwrap().refused, 2);
    let [session] = &rig.hub.sessions("pump-1")[..] else { panic!("one session") };
    assert!(session.topics.is_empty(), "a refused topic is no message: {:?}", session.topics);
}

/// The packets of a trace as JSON, from the first on.
fn packets(rig: &Rig, principal: &str) -> Vec<serde_json::Value> {
    let part = rig.hub.trace(principal).unwrap().read(0, 1000, std::time::Duration::ZERO);
    part.packets.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect()
}

fn names(packets: &[serde_json::Value]) -> Vec<String> {
    let name = |packet: &serde_json::Value| {
        format!("{} {}", packet["direction"].as_str().unwrap_or("-"), packet["packet"].as_str().unwrap())
    };
    packets.iter().map(name).collect()
}

const TRACE: TraceOptions =
    TraceOptions { seconds: 60, max_bytes: 1 << 20, max_per_second: 1000, payload_bytes: 100 };

#[test]
fn a_trace_shows_every_packet_of_connections_that_are_there_and_that_come() {
    let rig = Rig::start();
    let mut there = rig.connect("pump-1", "there");
    rig.hub.begin_trace("pump-1", TRACE).unwrap();
    // Each shard does what it is asked in order: when it tells of the session, the session is traced.
    assert_eq!(rig.hub.sessions("pump-1").len(), 1);
    there.publish_acked("devices/pump-1/events/e", "hello");
    let mut comes = rig.client("pump-1", "comes").v4().connected();
    comes.subscribe("devices/pump-1/commands/+", QoS::AtLeastOnce);
    rig.hub.publish(command("1")).unwrap();
    comes.message();
    comes.nothing_came();
    let all = packets(&rig, "pump-1");
    let of = |client: &str| all.iter().filter(|p| p["client"] == client).cloned().collect::<Vec<_>>();
    let (there_packets, comes_packets) = (of("there"), of("comes"));
    assert_eq!(names(&there_packets), ["in PUBLISH", "out PUBACK"]);
    assert_eq!(there_packets[0]["topic"], "devices/pump-1/events/e");
    assert_eq!((&there_packets[0]["payload"], &there_packets[0]["qos"]), (&"hello".into(), &1.into()));
    let came = names(&comes_packets);
    let head = ["in CONNECT", "out CONNACK", "in SUBSCRIBE", "out SUBACK", "out PUBLISH", "in PUBACK"];
    assert_eq!(came[..6], head);
    assert!(!comes_packets[0].to_string().contains("secret"), "{}", comes_packets[0]);
    assert!(rig.hub.end_trace("pump-1"));
    there.publish_acked("devices/pump-1/events/e", "unseen");
    assert!(rig.hub.trace("pump-1").is_none());
}

#[test]
fn a_trace_shows_why_a_client_is_not_let_in_and_how_its_connection_ends() {
    let rig = Rig::start();
    rig.hub.begin_trace("pump-1", TraceOptions { payload_bytes: 0, ..TRACE }).unwrap();
    let mut wrong = rig.client("pump-1", "c");
    wrong.password = Some("guessed".into());
    assert_eq!(wrong.refused(), ReasonCode::BadUserNameOrPassword);
    let refused = packets(&rig, "pump-1");
    assert_eq!(names(&refused), ["in CONNECT", "out CONNACK", "- CLOSED"]);
    assert_eq!(refused[1]["reason_code"], ReasonCode::BadUserNameOrPassword as u8);
    assert!(!format!("{refused:?}").contains("guessed"));
    let mut right = rig.connect("pump-1", "c");
    right.publish("devices/pump-1/events/e", "not to be seen", QoS::AtMostOnce);
    right.disconnect();
    let rest = packets(&rig, "pump-1").split_off(3);
    assert_eq!(names(&rest), ["in CONNECT", "out CONNACK", "in PUBLISH", "in DISCONNECT", "- CLOSED"]);
    assert_eq!((rest[2].get("payload"), &rest[2]["payload_bytes"]), (None, &14.into()));
    assert_eq!(rest[4]["reason"], "it said goodbye");
}

#[test]
fn all_devices_are_one_table() {
    let rig = Rig::start();
    let mut pump = rig.connect("pump-3", "c");
    pump.publish_acked("devices/pump-3/events/e", "hello");
    let table = rig.hub.device_table();
    assert_eq!(table.rows, 10);
    let column = |name: &str| &table.columns.iter().find(|(other, _)| other == name).unwrap().1;
    let Column::Text { bytes, offsets } = column("device") else { panic!("text") };
    assert!(bytes.starts_with(b"pump-0pump-1pump-2pump-3"));
    assert_eq!(offsets.len(), 4 * 11);
    let Column::Count(bytes) = column("bytes_in") else { panic!("counts") };
    let values: Vec<u64> = bytes.chunks(8).map(|c| u64::from_le_bytes(c.try_into().unwrap())).collect();
    assert_eq!(values, [0, 0, 0, 5, 0, 0, 0, 0, 0, 0]);
    assert_eq!(*column("connected"), Column::Bool(vec![0b1000, 0]));
}
