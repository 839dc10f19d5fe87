//! What was acknowledged is on disk, and what is not on disk is not acknowledged.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::gate::{Gate, GatedFs, OpenAtEnd};
use common::{Client, Got, Rig, Setup};
use mohhos_hub::{Event, ManualClock, Publication};
use mohhos_log::testing::{Failure, ForgetfulFs, Operation, Random};
use mohhos_log::{Log, LogConfig};
use mohhos_mqtt::packet::{Disconnect, Packet};
use mohhos_mqtt::{Property, PropertyBuf, QoS, ReasonCode};

#[test]
fn nothing_is_acknowledged_before_the_sync_that_covers_it_has_returned() {
    let gate = Arc::new(Gate::default());
    let fs = Arc::new(GatedFs { inner: ForgetfulFs::new(), gate: gate.clone() });
    let rig = Setup { fs, ..Setup::default() }.start();
    let _open_at_end = OpenAtEnd(gate.clone());
    let mut subscriber = rig.connect("app", "s");
    subscriber.subscribe("devices/+/events/a", QoS::ExactlyOnce);
    let mut one = rig.connect("pump-1", "c");
    let mut two = rig.connect("pump-2", "c");
    subscriber.nothing_came();
    gate.close();
    let first = one.publish("devices/pump-1/events/a", "1", QoS::AtLeastOnce);
    // QoS 1 is delivered at once; QoS 2 not before it is on disk.
    assert_eq!(subscriber.message().text(), "1");
    let second = two.publish("devices/pump-2/events/a", "2", QoS::ExactlyOnce);
    gate.wait_for_sync();
    let committed = rig.log.committed();
    assert!(!one.hears_within(Duration::from_millis(200)) && !two.hears_within(Duration::from_millis(50)));
    assert!(!subscriber.hears_within(Duration::from_millis(50)));
    assert_eq!(rig.log.committed(), committed);
    gate.open();
    assert_eq!(one.next(), Got::PubAck(first, ReasonCode::Success));
    assert_eq!(two.next(), Got::PubRec(second, ReasonCode::Success));
    assert!(rig.log.committed() > committed);
    assert_eq!(subscriber.message().text(), "2");
}

#[test]
fn a_full_disk_stops_devices_and_goes_on_by_itself_without_loss() {
    let disk = ForgetfulFs::new();
    let log = LogConfig {
        segment_bytes: 1 << 16,
        buffer_bytes: 1 << 18,
        retry_interval_us: 20_000,
        ..LogConfig::default()
    };
    let rig = Setup { fs: Arc::new(disk.clone()), log, ..Setup::default() }.start();
    let mut pump = rig.connect("pump-1", "c");
    pump.publish_acked("devices/pump-1/events/a", "before");
    let mut other = rig.connect("pump-2", "o");
    let mut watcher = rig.connect("app", "w");
    watcher.subscribe("devices/pump-2/events/#", QoS::AtLeastOnce);
    disk.set_capacity(Some(disk.used()));
    let payload = vec![b'x'; 10_000];
    let mut sent = 0;
    let mut publish = |pump: &mut Client, count| {
        for _ in 0..count {
            pump.publish("devices/pump-1/events/a", &payload, QoS::AtLeastOnce);
            sent += 1;
        }
        sent
    };
    // More than the segment has room for, less than the buffer.
    publish(&mut pump, 15);
    let raised = |event: &Event| match event {
        Event::Alarm { code: "log-stalled", raised, .. } => Some(*raised),
        _ => None,
    };
    assert!(rig.event(raised));
    let refused = rig.hub.publish(Publication::new("gateway/x", "y"));
    assert!(refused.is_err(), "{refused:?}");
    other.publish("devices/pump-2/events/b", "passes", QoS::AtMostOnce);
    assert_eq!(watcher.message().text(), "passes", "what needs no disk goes on");
    // Now the buffer is full, too: everybody waits, and nobody is thrown out.
    let sent = publish(&mut pump, 200);
    disk.set_capacity(None);
    let mut acknowledged = 0;
    while acknowledged < sent {
        match pump.next() {
            Got::PubAck(_, ReasonCode::Success) => acknowledged += 1,
            other => panic!("{other:?}"),
        }
    }
    // That devices are not read any more was told, too, if it came to that.
    while rig.event(raised) {}
    let mut reader = rig.log.reader(0);
    let mut logged = 0;
    while let Some(record) = reader.next().unwrap() {
        logged += usize::from(record.payload() == payload);
    }
    assert_eq!(logged, sent);
}

/// Cuts the power, and starts again on what the disk has.
fn crash(rig: Rig, disk: &ForgetfulFs, seed: u64) -> (Rig, ForgetfulFs) {
    let after = disk.crash(&mut Random::new(seed));
    drop(rig);
    let rig = Setup { fs: Arc::new(after.clone()), ..Setup::default() }.start();
    (rig, after)
}

#[test]
fn sessions_and_their_queues_survive_a_power_cut() {
    for seed in 0..12 {
        let disk = ForgetfulFs::new();
        let rig = Setup { fs: Arc::new(disk.clone()), ..Setup::default() }.start();
        let mut subscriber = rig.client("pump-1", "c").persistent().connected();
        subscriber.subscribe("devices/pump-1/commands/+", QoS::ExactlyOnce);
        let mut publisher = rig.connect("app", "p");
        publisher.publish_acked("devices/pump-1/commands/0", "received");
        assert_eq!(subscriber.message().text(), "received");
        if seed % 2 == 0 {
            rig.hub.checkpoint().unwrap();
        }
        // A message is out and not acknowledged, then the client is gone.
        let id = publisher.publish("devices/pump-1/commands/1", "out", QoS::ExactlyOnce);
        publisher.expect(&Got::PubRec(id, ReasonCode::Success));
        publisher.ack(id, Packet::PubRel);
        publisher.expect(&Got::PubComp(id));
        let Got::Publish(out) = subscriber.next() else { panic!("no message") };
        subscriber.ack(out.id, Packet::PubRec);
        assert_eq!(subscriber.next(), Got::PubRel(out.id));
        drop(subscriber);
        if seed % 3 == 0 {
            rig.hub.checkpoint().unwrap();
        }
        for n in 2..6 {
            publisher.publish_acked(&format!("devices/pump-1/commands/{n}"), n.to_string());
        }
        let (rig, disk) = crash(rig, &disk, seed);
        // A second start from the same disk must find the same.
        let (rig, _disk) = if seed % 4 == 0 { crash(rig, &disk, seed + 100) } else { (rig, disk) };
        let mut subscriber = rig.client("pump-1", "c").persistent();
        assert!(subscriber.connect(), "the session is there");
        // What it has received is released, not published again.
        assert_eq!(subscriber.next(), Got::PubRel(out.id), "seed {seed}");
        subscriber.ack(out.id, Packet::PubComp);
        for n in 2..6 {
            assert_eq!(subscriber.message().text(), n.to_string(), "seed {seed}");
        }
        subscriber.nothing_came();
        let mut publisher = rig.connect("app", "p");
        publisher.publish_acked("devices/pump-1/commands/7", "new");
        assert_eq!(subscriber.message().text(), "new");
        // What was settled is settled after another cut, too.
        subscriber.unsubscribe("devices/pump-1/commands/+");
    }
}

#[test]
fn a_message_of_qos_2_that_was_sent_again_after_a_power_cut_counts_once() {
    let disk = ForgetfulFs::new();
    let rig = Setup { fs: Arc::new(disk.clone()), ..Setup::default() }.start();
    let mut publisher = rig.client("pump-1", "c").persistent().connected();
    let id = publisher.publish("devices/pump-1/events/e", "once", QoS::ExactlyOnce);
    assert_eq!(publisher.next(), Got::PubRec(id, ReasonCode::Success));
    drop(publisher);
    let (rig, _disk) = crash(rig, &disk, 3);
    let mut publisher = rig.client("pump-1", "c").persistent();
    assert!(publisher.connect());
    assert_eq!(publisher.publish("devices/pump-1/events/e", "once", QoS::ExactlyOnce), id);
    assert_eq!(publisher.next(), Got::PubRec(id, ReasonCode::Success));
    publisher.ack(id, Packet::PubRel);
    assert_eq!(publisher.next(), Got::PubComp(id));
    let mut reader = rig.log.reader(0);
    let mut times = 0;
    while let Some(record) = reader.next().unwrap() {
        times += usize::from(record.payload() == b"once");
    }
    assert_eq!(times, 1);
}

#[test]
fn a_message_that_the_disk_does_not_give_at_the_moment_waits_and_is_not_lost() {
    let disk = ForgetfulFs::new();
    let rig = Setup { fs: Arc::new(disk.clone()), ..Setup::default() }.start();
    let mut subscriber = rig.client("pump-1", "c").persistent().connected();
    subscriber.subscribe("devices/pump-1/commands/+", QoS::ExactlyOnce);
    drop(subscriber);
    rig.connect("app", "p").publish_acked("devices/pump-1/commands/0", "kept");
    let (rig, disk) = crash(rig, &disk, 5);
    for nth in 1..3 {
        disk.fail(Operation::Read, nth, Failure::Io);
    }
    let mut subscriber = rig.client("pump-1", "c").persistent();
    assert!(subscriber.connect());
    let unreadable = |event: &Event| match event {
        Event::Alarm { code: "log-unreadable", raised, .. } => Some(*raised),
        _ => None,
    };
    assert!(rig.event(unreadable), "operators are told");
    assert_eq!(subscriber.message().text(), "kept");
    assert!(!rig.event(unreadable), "and that it is over");
}

#[test]
fn a_clean_stop_keeps_sessions_and_retained_messages_and_needs_no_old_log() {
    let disk = ForgetfulFs::new();
    let setup = || Setup { fs: Arc::new(disk.clone()), ..Setup::default() };
    let rig = setup().start();
    let mut subscriber = rig.client("pump-1", "c").persistent().connected();
    subscriber.subscribe("devices/pump-1/#", QoS::AtLeastOnce);
    let mut app = rig.connect("app", "a");
    app.retain("r", "kept", QoS::AtLeastOnce);
    app.retain("gone", "x", QoS::AtLeastOnce);
    app.retain("gone", "", QoS::AtLeastOnce);
    for _ in 0..3 {
        assert!(matches!(app.next(), Got::PubAck(..)));
    }
    drop(subscriber);
    rig.eventually("it has left", |hub| !hub.connection("pump-1").unwrap().connected);
    app.publish_acked("devices/pump-1/commands/1", "waits");
    rig.hub.stop().unwrap();
    rig.log.close().unwrap();
    drop(rig);
    let (log, recovery) = Log::open(Arc::new(disk.clone()), LogConfig::default()).unwrap();
    assert_eq!(recovery.damaged, []);
    let rig = setup().start_on(log);
    let mut subscriber = rig.client("pump-1", "c").persistent();
    assert!(subscriber.connect());
    // Statuses of its own topics may have come in between.
    while subscriber.message().text() != "waits" {}
    let mut app = rig.connect("app", "a");
    app.subscribe("#", QoS::AtMostOnce);
    let mut topics = vec![app.message().topic, app.message().topic];
    topics.sort();
    assert_eq!(topics, ["devices/pump-1/status", "r"]);
}

/// Lets a client of the first hub go, cuts the power, and starts again; what came of it.
fn after_a_cut(clock: &Arc<ManualClock>, checkpoint: bool, seed: u64, go: impl FnOnce(&Rig, Client)) -> Rig {
    let disk = ForgetfulFs::new();
    let setup = |fs| Setup { fs: Arc::new(fs), clock: clock.clone(), shards: 1, ..Setup::default() };
    let rig = setup(disk.clone()).start();
    let mut mortal = rig.client("pump-9", "mortal").persistent();
    mortal.will = Some(("devices/pump-9/events/gone".into(), b"gone".into(), QoS::AtLeastOnce, false));
    mortal.will_delay_s = 30;
    go(&rig, mortal.connected());
    rig.eventually("it has left", |hub| !hub.connection("pump-9").is_some_and(|pump| pump.connected));
    if checkpoint {
        assert!(rig.hub.checkpoint().is_ok());
    }
    // What follows it in the log is on disk, and so it is.
    rig.connect("pump-0", "c").publish_acked("devices/pump-0/events/e", "x");
    let after = disk.crash(&mut Random::new(seed));
    drop(rig);
    setup(after).start()
}

#[test]
fn a_will_that_waits_for_its_delay_is_published_once_though_the_power_was_cut() {
    for (seed, checkpoint) in [(1, false), (2, true), (3, false)] {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
        let rig = after_a_cut(&clock, checkpoint, seed, |_, mortal| drop(mortal));
        let mut watcher = rig.client("other", "w").persistent().connected();
        watcher.subscribe("devices/pump-9/events/#", QoS::AtLeastOnce);
        clock.advance(29_000_000);
        watcher.nothing_came();
        clock.advance(2_000_000);
        let message = watcher.message();
        assert_eq!((&*message.topic, message.text()), ("devices/pump-9/events/gone", "gone"));
        clock.advance(60_000_000);
        watcher.nothing_came();
    }
}

#[test]
fn a_will_that_a_client_came_back_before_is_not_published_after_a_cut() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let rig = after_a_cut(&clock, false, 4, |rig, mortal| {
        drop(mortal);
        rig.eventually("it has left", |hub| !hub.connection("pump-9").is_some_and(|pump| pump.connected));
        let mut back = rig.client("pump-9", "mortal").persistent();
        assert!(back.connect());
        back.disconnect();
    });
    let mut watcher = rig.connect("other", "w");
    watcher.subscribe("devices/pump-9/events/#", QoS::AtLeastOnce);
    clock.advance(40_000_000);
    watcher.nothing_came();
}

#[test]
fn a_session_whose_expiry_was_changed_when_it_said_goodbye_ends_by_that_after_a_cut() {
    for (seed, checkpoint) in [(5, false), (6, true)] {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
        let rig = after_a_cut(&clock, checkpoint, seed, |_, mut mortal| {
            let mut properties = PropertyBuf::new();
            properties.push(Property::SessionExpiry(20)).unwrap();
            let code = ReasonCode::Success;
            mortal.send(&Packet::Disconnect(Disconnect { code, properties: properties.view() }));
            assert_eq!(mortal.next(), Got::End);
        });
        clock.advance(19_000_000);
        let mut early = rig.client("pump-9", "mortal").persistent();
        assert!(early.connect(), "it is there for 20 seconds after the start");
        let mut properties = PropertyBuf::new();
        properties.push(Property::SessionExpiry(20)).unwrap();
        let code = ReasonCode::Success;
        early.send(&Packet::Disconnect(Disconnect { code, properties: properties.view() }));
        assert_eq!(early.next(), Got::End);
        clock.advance(21_000_000);
        rig.eventually("the session has ended", |_| rig.sessions_per_shard().iter().sum::<u64>() == 0);
    }
}
