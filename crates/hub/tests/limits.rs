//! Those who are slow, silent, too loud or many disturb nobody else.

mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Client, Got, Rig, Setup};
use mohhos_hub::{Action, Event, Hub, Limits, ManualClock};
use mohhos_mqtt::packet::Packet;
use mohhos_mqtt::{QoS, ReasonCode};

#[test]
fn a_slow_consumer_loses_the_oldest_of_qos_0_in_bounded_memory_and_others_lose_nothing() {
    let limits = Limits { max_backlog_bytes: 100_000, ..Limits::default() };
    let rig = Setup { limits, ..Setup::default() }.start();
    let mut slow = rig.connect("pump-0", "slow");
    slow.subscribe("devices/pump-0/#", QoS::AtMostOnce);
    let mut quick = rig.connect("app", "quick");
    quick.subscribe("devices/pump-0/events/#", QoS::AtMostOnce);
    let mut publisher = rig.connect("other", "p");
    // A quick consumer is one that is never more than its backlog behind, however late its thread runs.
    let (has_read, reads) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for n in 0..3000_u32 {
            assert_eq!(quick.message().payload[..4], n.to_be_bytes(), "the quick one gets all");
            has_read.send(()).unwrap();
        }
    });
    let mut payload = vec![0; 10_000];
    for n in 0..3000_u32 {
        if n >= 8 {
            reads.recv().expect("the quick one reads on");
        }
        payload[..4].copy_from_slice(&n.to_be_bytes());
        publisher.publish("devices/pump-0/events/e", &payload, QoS::AtMostOnce);
    }
    reader.join().unwrap();
    let dropped = |hub: &Hub| hub.stats().total("dropped_slow");
    rig.eventually("30 MB do not fit into socket buffers", |hub| dropped(hub) > 100);
    // It reads now: in order, and the last message is there.
    let mut last = None;
    let mut got = 0;
    while last != Some(2999) {
        let message = slow.message();
        if message.topic.ends_with("status") {
            continue;
        }
        let n = u32::from_be_bytes(message.payload[..4].try_into().unwrap());
        assert!(last.is_none_or(|last| n > last));
        last = Some(n);
        got += 1;
    }
    // The quick one may have read the last message before its shard came to the slow one; now both are through.
    assert_eq!(got + dropped(&rig.hub), 3000);
    assert_eq!(rig.hub.connection("pump-0").unwrap().dropped, dropped(&rig.hub));
    let (principal, code, count) = rig.event(|event| match event {
        Event::Refused(told) if told.action == Action::Receive => {
            Some((told.principal.clone(), told.reason_code, told.count))
        }
        _ => None,
    });
    assert_eq!((&*principal, code), ("pump-0", 0x97));
    assert!(count > 0 && u64::from(count) <= dropped(&rig.hub));
}

#[test]
fn the_queue_of_a_session_is_bounded_and_what_is_dropped_is_counted() {
    let limits = Limits { max_queued: 10, ..Limits::default() };
    let rig = Setup { limits, ..Setup::default() }.start();
    let mut away = rig.client("pump-0", "c").persistent().connected();
    away.subscribe("devices/pump-0/commands/+", QoS::AtLeastOnce);
    away.disconnect();
    let mut app = rig.connect("app", "a");
    for n in 0..25 {
        app.publish_acked("devices/pump-0/commands/x", n.to_string());
    }
    rig.eventually("15 dropped", |hub| hub.stats().total("dropped_queue") == 15);
    let reason = rig.event(|event| match event {
        Event::Refused(told) if told.action == Action::Receive => Some(told.reason.clone()),
        _ => None,
    });
    assert!(reason.contains("max_queued"), "{reason}");
    let mut back = rig.client("pump-0", "c").persistent();
    assert!(back.connect());
    for n in 0..10 {
        assert_eq!(back.message().text(), n.to_string());
    }
    back.nothing_came();
}

#[test]
fn a_client_that_does_not_read_its_acknowledgements_is_not_read_either() {
    let rig = Rig::start();
    let mut deaf = rig.connect("app", "deaf");
    deaf.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    // Each ping has an answer of the same length: without a bound, memory would grow for ever.
    let pings = [0xc0, 0].repeat(65_536);
    let mut sent = 0;
    while sent < 200 << 20 {
        match deaf.stream.write(&pings) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    assert!(sent < 100 << 20, "it was read on and on: {sent}");
    let mut other = rig.connect("other", "o");
    other.nothing_came();
}

#[test]
fn malformed_and_oversized_packets_end_their_connection_alone() {
    let limits = Limits { max_packet_bytes: 10_000, ..Limits::default() };
    let rig = Setup { limits, ..Setup::default() }.start();
    let mut good = rig.connect("app", "good");
    let mut large = rig.connect("pump-0", "large");
    large.publish("devices/pump-0/events/e", vec![0; 20_000], QoS::AtMostOnce);
    assert_eq!(large.next(), Got::Disconnect(ReasonCode::PacketTooLarge));
    assert_eq!(large.next(), Got::End);
    let mut broken = rig.connect("pump-1", "broken");
    broken.stream.write_all(&[0x3f, 2, 0, 0]).unwrap();
    assert!(matches!(broken.next(), Got::Disconnect(_)));
    assert_eq!(broken.next(), Got::End);
    let mut noise = Client::new(rig.port, "pump-2", "noise");
    noise.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(noise.next(), Got::End);
    let reason = rig.event(|event| match event {
        Event::Disconnected { principal, reason, .. } if &**principal == "pump-0" => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains("protocol"), "{reason}");
    let told = rig.event(|event| match event {
        Event::Refused(told) if &*told.principal == "pump-1" => Some(told.clone()),
        _ => None,
    });
    assert_eq!((told.action, &*told.client), (Action::Protocol, "broken"));
    good.nothing_came();
}

#[test]
fn silence_ends_a_connection_and_publishes_its_will() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let rig = Setup { clock: clock.clone(), ..Setup::default() }.start();
    let mut watcher = rig.client("app", "w");
    watcher.keep_alive = 3600;
    let mut watcher = watcher.connected();
    watcher.subscribe("devices/+/events/gone", QoS::AtLeastOnce);
    let mut pump = rig.client("pump-0", "c");
    pump.keep_alive = 10;
    pump.will = Some(("devices/pump-0/events/gone".into(), b"will".into(), QoS::AtLeastOnce, false));
    let mut pump = pump.connected();
    let mut forbidden = rig.client("pump-1", "c");
    forbidden.keep_alive = 10;
    forbidden.will = Some(("devices/pump-0/events/gone".into(), b"lie".into(), QoS::AtLeastOnce, false));
    let mut forbidden = forbidden.connected();
    clock.advance(10_000_000);
    pump.nothing_came();
    clock.advance(10_000_000);
    assert_eq!(forbidden.next(), Got::Disconnect(ReasonCode::KeepAliveTimeout));
    pump.nothing_came();
    clock.advance(16_000_000);
    assert_eq!(pump.next(), Got::Disconnect(ReasonCode::KeepAliveTimeout));
    assert_eq!(watcher.message().text(), "will");
    watcher.nothing_came();
}

#[test]
fn a_socket_that_never_says_connect_is_closed() {
    let clock = Arc::new(ManualClock::new(0));
    let limits = Limits { connect_timeout_s: 5, ..Limits::default() };
    let rig = Setup { clock: clock.clone(), limits, ..Setup::default() }.start();
    let mut silent = rig.client("pump-0", "c");
    rig.eventually("accepted", |hub| hub.stats().connections == 1);
    clock.advance(6_000_000);
    assert_eq!(silent.next(), Got::End);
    drop(silent);
    rig.eventually("gone", |hub| hub.stats().connections == 0);
}

#[test]
fn a_client_that_reads_late_gets_all_its_answers() {
    let rig = Rig::start();
    let mut late = rig.connect("app", "late");
    let mut sender = late.stream.try_clone().unwrap();
    // More than the sockets' buffers hold, so that the hub has to stop reading in between.
    let pings = [0xc0, 0].repeat(1 << 20);
    let rounds = 6;
    let writer = std::thread::spawn(move || (0..rounds).for_each(|_| sender.write_all(&pings).unwrap()));
    std::thread::yield_now();
    let mut answers = vec![0; 2 << 20];
    for _ in 0..rounds {
        late.stream.read_exact(&mut answers).unwrap();
        assert!(answers.chunks(2).all(|answer| answer == [0xd0, 0]));
    }
    writer.join().unwrap();
}

#[test]
fn there_are_no_more_connections_than_permitted() {
    let limits = Limits { max_connections: 3, ..Limits::default() };
    let rig = Setup { limits, ..Setup::default() }.start();
    let first: Vec<_> = (0..3).map(|n| rig.connect("app", &format!("{n}"))).collect();
    assert_eq!(rig.client("app", "one too many").next(), Got::End);
    drop(first);
    rig.eventually("gone", |hub| hub.stats().connections == 0);
    rig.connect("app", "again");
}

#[test]
fn two_thousand_clients_connect_quickly_and_hear_a_message_each() {
    let rig = Rig::start();
    let began = Instant::now();
    let mut clients: Vec<Client> = (0..2000)
        .map(|n| {
            let mut client = rig.client("app", &format!("c{n}"));
            client.send_connect();
            client
        })
        .collect();
    for client in &mut clients {
        assert!(matches!(client.next(), Got::ConnAck { code: ReasonCode::Success, .. }));
        client.send_subscribe("all", QoS::AtMostOnce);
    }
    for client in &mut clients {
        assert_eq!(client.next(), Got::SubAck(vec![0]));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let mut publisher = rig.connect("other", "p");
    publisher.publish("all", "hello", QoS::AtMostOnce);
    for client in &mut clients {
        assert_eq!(client.message().text(), "hello");
    }
    assert_eq!(rig.hub.stats().total("messages_out"), 2000);
}

#[test]
fn an_old_client_that_sends_more_than_it_may_have_unacknowledged_is_read_when_there_is_room() {
    let limits = Limits { max_inflight: 5, ..Limits::default() };
    let rig = Setup { limits, ..Setup::default() }.start();
    let mut pump = rig.client("pump-0", "c").v4().connected();
    let ids: Vec<u16> =
        (0..100).map(|_| pump.publish("devices/pump-0/events/e", "x", QoS::AtLeastOnce)).collect();
    for id in ids {
        assert_eq!(pump.next(), Got::PubAck(id, ReasonCode::Success));
    }
    pump.send(&Packet::PingReq);
    assert_eq!(pump.next(), Got::PingResp);
}

#[test]
fn when_all_are_cut_and_come_back_at_once_nobody_is_counted_twice() {
    const ALL: usize = 200;
    let limits = Limits { max_connections: ALL, ..Limits::default() };
    let rig = Setup { limits, shards: 1, ..Setup::default() }.start();
    let mut watcher = rig.connect("app", "watcher");
    let names: Vec<String> = (1..ALL).map(|n| format!("c{n}")).collect();
    let mut fleet: Vec<_> = names.iter().map(|name| rig.connect("pump-0", name)).collect();
    for _ in 0..3 {
        fleet.clear();
        fleet = names.iter().map(|name| rig.client("pump-0", name)).collect();
        fleet.iter_mut().for_each(Client::send_connect);
        for client in &mut fleet {
            assert!(matches!(client.next(), Got::ConnAck { code: ReasonCode::Success, .. }));
        }
        // Who stayed is answered all the while.
        watcher.send(&Packet::PingReq);
        assert_eq!(watcher.next(), Got::PingResp);
    }
    assert_eq!(rig.hub.stats().connections, ALL);
}
