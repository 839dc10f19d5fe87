//! Messages from publishers to subscribers, on one shard and across.

mod common;

use std::time::Duration;

use common::{Got, Rig};
use mohhos_hub::Publication;
use mohhos_mqtt::packet::Packet;
use mohhos_mqtt::{Property, PropertyBuf, QoS, ReasonCode};

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Publishes and sees the exchange of acknowledgements through.
fn publish_through(client: &mut common::Client, topic: &str, payload: &str, qos: QoS) {
    let id = client.publish(topic, payload, qos);
    match qos {
        QoS::AtMostOnce => {}
        QoS::AtLeastOnce => assert_eq!(client.next(), Got::PubAck(id, ReasonCode::Success)),
        QoS::ExactlyOnce => {
            assert_eq!(client.next(), Got::PubRec(id, ReasonCode::Success));
            client.ack(id, Packet::PubRel);
            assert_eq!(client.next(), Got::PubComp(id));
        }
    }
}

#[test]
fn messages_reach_subscribers_on_all_shards_in_order() {
    let rig = Rig::start();
    for qos in QOS {
        let mut subscribers: Vec<_> = (0..6).map(|n| rig.connect("app", &format!("s{n}-{qos:?}"))).collect();
        for subscriber in &mut subscribers {
            subscriber.subscribe("devices/+/events/#", qos);
        }
        assert!(rig.sessions_per_shard().iter().all(|&sessions| sessions > 0), "both shards have sessions");
        let mut publishers: Vec<_> = (0..3).map(|n| rig.connect(&format!("pump-{n}"), "c")).collect();
        for round in 0..40 {
            for (n, publisher) in publishers.iter_mut().enumerate() {
                publish_through(publisher, &format!("devices/pump-{n}/events/e"), &round.to_string(), qos);
            }
        }
        for subscriber in &mut subscribers {
            let mut next = [0; 3];
            for _ in 0..120 {
                let message = subscriber.message();
                assert_eq!((message.qos, message.retain, message.dup), (qos, false, false));
                let publisher: usize = message.topic["devices/pump-".len()..][..1].parse().unwrap();
                assert_eq!(message.text(), next[publisher].to_string(), "from {publisher}");
                next[publisher] += 1;
            }
            subscriber.nothing_came();
        }
    }
}

#[test]
fn a_subscriber_gets_the_lower_quality_and_the_publishers_properties() {
    let rig = Rig::start();
    let mut subscriber = rig.connect("app", "s");
    subscriber.subscribe("t", QoS::AtLeastOnce);
    let mut publisher = rig.connect("other", "p");
    let mut properties = PropertyBuf::new();
    properties.push(Property::ContentType("text/plain")).unwrap();
    publisher.publish_with("t", b"x", QoS::ExactlyOnce, false, properties.view());
    let message = subscriber.message();
    assert_eq!((message.qos, message.content_type.as_deref()), (QoS::AtLeastOnce, Some("text/plain")));
}

#[test]
fn an_old_client_is_served_as_well() {
    let rig = Rig::start();
    let mut subscriber = rig.client("app", "s").v4().connected();
    subscriber.subscribe("a/#", QoS::ExactlyOnce);
    let mut publisher = rig.client("other", "p").v4().connected();
    for qos in QOS {
        publish_through(&mut publisher, "a/b", "x", qos);
        assert_eq!(subscriber.message().qos, qos);
    }
    subscriber.unsubscribe("a/#");
    publish_through(&mut publisher, "a/b", "x", QoS::AtLeastOnce);
    subscriber.nothing_came();
}

#[test]
fn a_repeated_message_of_qos_2_is_delivered_once() {
    let rig = Rig::start();
    let mut subscriber = rig.connect("app", "s");
    subscriber.subscribe("t", QoS::ExactlyOnce);
    let mut publisher = rig.client("other", "p").persistent().connected();
    let id = publisher.publish("t", "once", QoS::ExactlyOnce);
    assert_eq!(publisher.next(), Got::PubRec(id, ReasonCode::Success));
    drop(publisher);
    let mut again = rig.client("other", "p").persistent();
    assert!(again.connect(), "the session is there");
    assert_eq!(again.publish("t", "once", QoS::ExactlyOnce), id);
    assert_eq!(again.next(), Got::PubRec(id, ReasonCode::Success));
    again.ack(id, Packet::PubRel);
    assert_eq!(again.next(), Got::PubComp(id));
    assert_eq!(subscriber.message().text(), "once");
    subscriber.nothing_came();
}

#[test]
fn retained_messages_come_with_the_subscription_and_are_cleared_by_an_empty_one() {
    let rig = Rig::start();
    let mut publisher = rig.connect("app", "p");
    for (topic, qos) in [("r/0", QoS::AtMostOnce), ("r/1", QoS::AtLeastOnce), ("r/2", QoS::ExactlyOnce)] {
        publisher.retain(topic, topic, qos);
    }
    while !matches!(publisher.next(), Got::PubRec(..)) {}
    let mut subscriber = rig.connect("other", "s");
    subscriber.subscribe("r/+", QoS::ExactlyOnce);
    let mut got: Vec<_> = (0..3).map(|_| subscriber.message()).collect();
    got.sort_by(|a, b| a.topic.cmp(&b.topic));
    for (n, message) in got.iter().enumerate() {
        assert_eq!((message.topic.clone(), message.qos, message.retain), (format!("r/{n}"), QOS[n], true));
    }
    publisher.retain("r/1", "", QoS::AtLeastOnce);
    assert!(!subscriber.message().retain, "to those who are there it is a message like others");
    let mut later = rig.connect("other", "later");
    later.subscribe("r/1", QoS::AtMostOnce);
    later.nothing_came();
}

#[test]
fn the_gateway_publishes_and_taps_see_what_passes() {
    let rig = Rig::start();
    let tap = rig.hub.tap("devices/+/commands/+", 100).unwrap();
    let mut pump = rig.connect("pump-1", "c");
    pump.subscribe("devices/pump-1/commands/+", QoS::AtLeastOnce);
    for n in 0..20 {
        let offset =
            rig.hub.publish(Publication::new(format!("devices/pump-1/commands/{n}"), "stop")).unwrap();
        assert!(rig.log.wait_committed(offset, common::PATIENCE));
    }
    for n in 0..20 {
        assert_eq!(pump.message().topic, format!("devices/pump-1/commands/{n}"));
    }
    let seen = tap.next(100, Duration::from_secs(1));
    assert_eq!(seen.len(), 20);
    assert_eq!(&*seen[0].principal, "gateway");
    assert!(rig.hub.publish(Publication::new("a/#", "x")).is_err());
    assert!(rig.hub.tap("a/#/b", 1).is_err());
}

#[test]
fn the_status_of_a_device_follows_its_connections() {
    let rig = Rig::start();
    let mut watcher = rig.connect("app", "w");
    watcher.subscribe("devices/pump-2/status", QoS::AtLeastOnce);
    let state = |client: &mut common::Client| {
        let message = client.message();
        serde_json::from_slice::<serde_json::Value>(&message.payload).unwrap()["state"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = rig.connect("pump-2", "a");
    assert_eq!(state(&mut watcher), "online");
    let second = rig.connect("pump-2", "b");
    first.disconnect();
    watcher.nothing_came();
    assert!(rig.hub.connection("pump-2").unwrap().connected);
    second.disconnect();
    assert_eq!(state(&mut watcher), "offline");
    let connection = rig.hub.connection("pump-2").unwrap();
    assert!(!connection.connected && connection.clients.is_empty());
    let mut late = rig.connect("app", "late");
    late.subscribe("devices/+/status", QoS::AtMostOnce);
    assert_eq!(state(&mut late), "offline");
}

#[test]
fn a_bridge_gets_all_but_its_own_messages_with_the_flag_as_published() {
    let rig = Rig::start();
    let mut bridge = rig.client("app", "bridge").v4().bridge().connected();
    let mut other = rig.client("other", "p").v4().connected();
    let id = bridge.retain("a/own", "1", QoS::AtLeastOnce);
    bridge.expect(&Got::PubAck(id, ReasonCode::Success));
    let id = other.retain("a/kept", "2", QoS::AtLeastOnce);
    other.expect(&Got::PubAck(id, ReasonCode::Success));
    bridge.subscribe("a/#", QoS::ExactlyOnce);
    let message = bridge.message();
    assert_eq!((&*message.topic, message.retain), ("a/kept", true), "what is retained comes first");
    for qos in QOS {
        publish_through(&mut bridge, "a/own", "3", qos);
        bridge.nothing_came();
        publish_through(&mut other, "a/b", "4", qos);
        let message = bridge.message();
        assert_eq!((message.text(), message.qos, message.retain), ("4", qos, false));
    }
    let id = other.retain("a/kept", "5", QoS::AtLeastOnce);
    other.expect(&Got::PubAck(id, ReasonCode::Success));
    assert!(bridge.message().retain, "to an ordinary client it would come without the flag");
    bridge.nothing_came();
}
