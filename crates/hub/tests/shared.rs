//! Shared subscriptions: turns across shards, and what becomes of the messages of a member that is gone.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use common::{Client, Got, Rig, Setup};
use mohhos_hub::{Limits, PrincipalKind, Standing};
use mohhos_log::testing::{ForgetfulFs, Random};
use mohhos_mqtt::packet::{Ack, Packet, Subscribe, SubscribeBuf, Subscription};
use mohhos_mqtt::{Properties, QoS, ReasonCode};

const FILTER: &str = "$share/g/t/#";

/// All messages that a client has got and not taken yet.
fn all(client: &mut Client) -> Vec<String> {
    client.ping();
    let mut got = Vec::new();
    loop {
        match client.next() {
            Got::PingResp => return got,
            Got::Publish(message) => {
                if message.qos == QoS::AtLeastOnce {
                    client.ack(message.id, Packet::PubAck);
                }
                got.push(message.text().to_owned());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Takes from all clients until so many messages have come; how many each has.
fn collect(clients: &mut [Client], count: usize) -> Vec<Vec<String>> {
    let mut got = vec![Vec::new(); clients.len()];
    let deadline = Instant::now() + common::PATIENCE;
    while got.iter().map(Vec::len).sum::<usize>() < count {
        assert!(Instant::now() < deadline, "{count} messages never came: {got:?}");
        for (n, client) in clients.iter_mut().enumerate() {
            got[n].extend(all(client));
        }
    }
    got
}

#[test]
fn members_on_all_shards_take_turns_and_each_message_has_one_of_them() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let rig = Rig::start();
        let mut members: Vec<Client> = (0..6).map(|n| rig.connect("app", &format!("m{n}"))).collect();
        assert!(rig.sessions_per_shard().iter().all(|&sessions| sessions > 0), "both shards have members");
        for member in &mut members {
            member.subscribe(FILTER, qos);
        }
        let mut alone = rig.connect("other", "alone");
        alone.subscribe("t/#", QoS::AtLeastOnce);
        let mut publisher = rig.connect("other", "p");
        for n in 0..60 {
            publisher.publish_acked(&format!("t/{}", n % 4), n.to_string());
        }
        let got = collect(&mut members, 60);
        let counts: Vec<usize> = got.iter().map(Vec::len).collect();
        assert!(counts.iter().all(|&count| count == 10), "{qos:?}: {counts:?}");
        let mut numbers: Vec<u32> = got.iter().flatten().map(|text| text.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..60).collect::<Vec<_>>());
        assert_eq!(collect(&mut [alone], 60)[0].len(), 60, "who shares nothing gets all");
    }
}

#[test]
fn groups_are_apart_and_a_session_gets_a_copy_for_each_of_its_subscriptions() {
    let rig = Rig::start();
    let mut subscriber = rig.connect("app", "s");
    for filter in ["$share/a/t", "$share/b/t", "t"] {
        subscriber.subscribe(filter, QoS::ExactlyOnce);
    }
    let mut publisher = rig.connect("other", "p");
    publisher.publish_acked("t", "x");
    for _ in 0..3 {
        assert_eq!(subscriber.message().text(), "x");
    }
    subscriber.nothing_came();
    subscriber.unsubscribe("$share/a/t");
    subscriber.unsubscribe("t");
    publisher.publish_acked("t", "y");
    assert_eq!(subscriber.message().text(), "y");
    subscriber.nothing_came();
}

#[test]
fn nothing_retained_is_sent_for_a_shared_subscription() {
    let rig = Rig::start();
    let mut publisher = rig.connect("other", "p");
    let id = publisher.retain("t/r", "kept", QoS::AtLeastOnce);
    publisher.expect(&Got::PubAck(id, ReasonCode::Success));
    let mut subscriber = rig.connect("app", "s");
    subscriber.subscribe(FILTER, QoS::AtLeastOnce);
    subscriber.nothing_came();
    subscriber.subscribe("t/#", QoS::AtLeastOnce);
    assert!(subscriber.message().retain);
}

#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error_and_a_bad_filter_a_refusal() {
    let rig = Rig::start();
    let mut subscriber = rig.connect("app", "s");
    let mut filters = SubscribeBuf::new();
    filters.push(&Subscription { no_local: true, ..Subscription::new(FILTER, QoS::AtMostOnce) }).unwrap();
    let packet = Subscribe { packet_id: 1, properties: Properties::EMPTY, filters: filters.view() };
    subscriber.send(&Packet::Subscribe(packet));
    assert_eq!(subscriber.expect_end(), ReasonCode::ProtocolError);
    let mut old = rig.client("app", "old").v4().connected();
    old.send_subscribe("$share//t", QoS::AtMostOnce);
    old.expect(&Got::SubAck(vec![0x80]));
    old.subscribe("$share/g/t", QoS::AtMostOnce);
}

#[test]
fn what_a_lost_member_has_not_acknowledged_goes_to_the_others() {
    for persistent in [false, true] {
        let rig = Rig::start();
        let mut members: Vec<Client> = (0..4)
            .map(|n| {
                let client = rig.client("app", &format!("m{n}"));
                if persistent { client.persistent().connected() } else { client.connected() }
            })
            .collect();
        for member in &mut members {
            member.subscribe(FILTER, QoS::AtLeastOnce);
        }
        let mut publisher = rig.connect("other", "p");
        for n in 0..40 {
            publisher.publish_acked("t/x", n.to_string());
        }
        // One half gets its messages, acknowledges nothing and is gone.
        for mut lost in members.drain(..2) {
            assert!(matches!(lost.next(), Got::Publish(_)));
        }
        let got = collect(&mut members, 40);
        let mut numbers: Vec<u32> = got.iter().flatten().map(|text| text.parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>(), "persistent: {persistent}");
    }
}

#[test]
fn what_a_client_may_have_of_qos_2_is_for_it_alone_and_a_refused_message_for_nobody() {
    let rig = Rig::start();
    let mut first = rig.client("app", "first").persistent().connected();
    first.subscribe(FILTER, QoS::ExactlyOnce);
    let mut publisher = rig.connect("other", "p");
    publisher.publish_acked("t/1", "refused");
    let Got::Publish(message) = first.next() else { panic!("no message") };
    let mut second = rig.client("app", "second").persistent().connected();
    second.subscribe(FILTER, QoS::ExactlyOnce);
    let code = ReasonCode::UnspecifiedError;
    first.send(&Packet::PubAck(Ack { packet_id: message.id, code, properties: Properties::EMPTY }));
    first.nothing_came();
    second.nothing_came();
    let mut members = [first, second];
    for _ in 0..2 {
        let id = publisher.publish("t/2", "2", QoS::ExactlyOnce);
        publisher.expect(&Got::PubRec(id, ReasonCode::Success));
        publisher.ack(id, Packet::PubRel);
        publisher.expect(&Got::PubComp(id));
    }
    let ids: Vec<u16> = members
        .iter_mut()
        .map(|member| match member.next() {
            Got::Publish(message) => message.id,
            other => panic!("{other:?}"),
        })
        .collect();
    let [first, mut second] = members;
    drop(first);
    second.ack(ids[1], Packet::PubRec);
    second.expect(&Got::PubRel(ids[1]));
    second.ack(ids[1], Packet::PubComp);
    rig.eventually("the first is gone", |hub| hub.stats().connections == 2);
    second.nothing_came();
    let mut first = rig.client("app", "first").persistent();
    assert!(first.connect());
    let message = first.message();
    assert_eq!((message.id, message.dup), (ids[0], true), "its delivery is completed when it is back");
}

#[test]
fn messages_wait_for_members_who_are_away_and_go_to_the_first_who_comes() {
    let rig = Rig::start();
    for n in 0..4 {
        let mut member = rig.client("app", &format!("m{n}")).persistent().connected();
        member.subscribe(FILTER, QoS::AtLeastOnce);
        member.disconnect();
    }
    let mut publisher = rig.connect("other", "p");
    for n in 0..20 {
        publisher.publish_acked("t/x", n.to_string());
    }
    let mut back = [rig.client("app", "m2").persistent().connected()];
    assert_eq!(collect(&mut back, 20)[0].len(), 20);
}

#[test]
fn a_member_without_room_is_passed_over() {
    let limits = Limits { max_queued: 2, max_inflight: 2, ..Limits::default() };
    let rig = Setup { limits, ..Setup::default() }.start();
    let mut idle = rig.connect("app", "idle");
    let mut busy = rig.connect("app", "busy");
    idle.subscribe(FILTER, QoS::AtLeastOnce);
    busy.subscribe(FILTER, QoS::AtLeastOnce);
    let mut publisher = rig.connect("other", "p");
    for n in 0..50 {
        publisher.publish_acked("t/x", n.to_string());
        all(&mut busy);
    }
    drop(idle);
    rig.eventually("the idle one is gone", |hub| hub.stats().connections == 2);
    let lost: u64 =
        rig.hub.stats().shards.iter().flatten().filter(|(n, _)| *n == "dropped_queue").map(|(_, c)| c).sum();
    assert_eq!(lost, 0);
}

#[test]
fn what_a_member_takes_over_is_bounded_like_all_that_it_may_have() {
    let limits = Limits { max_queued: 2, max_inflight: 1, ..Limits::default() };
    let rig = Setup { limits, ..Setup::default() }.start();
    let mut members = [rig.connect("app", "lost"), rig.connect("app", "heir")];
    for member in &mut members {
        member.subscribe(FILTER, QoS::AtLeastOnce);
    }
    let mut publisher = rig.connect("other", "p");
    // One is out to each, two wait.
    for n in 0..6 {
        publisher.publish_acked("t/x", n.to_string());
    }
    let [lost, heir] = members;
    drop(lost);
    rig.eventually("what the lost one had is counted", |hub| hub.stats().total("dropped_queue") == 3);
    assert_eq!(collect(&mut [heir], 3)[0].len(), 3);
}

#[test]
fn a_member_in_quarantine_passes_its_messages_on() {
    let limits = Limits { max_inflight: 1, ..Limits::default() };
    let rig = Setup { limits, ..Setup::default() }.start();
    let member = |name: &str| common::principal(name, PrincipalKind::Device, "everything");
    rig.hub.put_principals(vec![
        member("pump-1"),
        member("pump-2"),
        common::principal("other", PrincipalKind::Application, "everything"),
    ]);
    let mut members = [rig.connect("pump-1", "c"), rig.connect("pump-2", "c")];
    for member in &mut members {
        member.subscribe(FILTER, QoS::AtLeastOnce);
    }
    let mut publisher = rig.connect("other", "p");
    for n in 0..10 {
        publisher.publish_acked("t/x", n.to_string());
    }
    let [free, mut held] = members;
    rig.hub.set_standing("pump-2", &Standing::Quarantine([].into())).unwrap();
    for n in 10..20 {
        publisher.publish_acked("t/x", n.to_string());
    }
    // Of the first ten one was out to each.
    let got = collect(&mut [free], 19).remove(0);
    let Got::Publish(out) = held.next() else { panic!("nothing was out") };
    assert!(!got.contains(&out.text().to_owned()), "it has that still");
    held.ack(out.id, Packet::PubAck);
    held.nothing_came();
    let mut numbers: Vec<u32> = got.iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 19);
    assert_eq!(rig.hub.stats().total("dropped_queue"), 0);
}

#[test]
fn a_power_cut_loses_no_message_of_a_group() {
    for seed in 0..6 {
        let disk = ForgetfulFs::new();
        let rig = Setup { fs: Arc::new(disk.clone()), ..Setup::default() }.start();
        // One member outlives the cut, the other does not.
        let mut stays = rig.client("app", "stays").persistent().connected();
        let mut passes = rig.connect("app", "passes");
        stays.subscribe(FILTER, QoS::AtLeastOnce);
        passes.subscribe(FILTER, QoS::AtLeastOnce);
        let mut publisher = rig.connect("other", "p");
        let mut sent = Vec::new();
        for n in 0..20 {
            publisher.publish_acked("t/x", n.to_string());
            sent.push(n.to_string());
            if n == 10 && seed % 2 == 0 {
                rig.hub.checkpoint().unwrap();
            }
        }
        let mut got: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..3 {
            *got.entry(passes.message().text().to_owned()).or_default() += 1;
            *got.entry(stays.message().text().to_owned()).or_default() += 1;
        }
        // What was settled is on disk as soon as something that follows it is acknowledged on the same shard.
        for client in [&mut passes, &mut stays] {
            client.nothing_came_but_messages();
            client.publish_acked("elsewhere", "x");
        }
        let after = disk.crash(&mut Random::new(seed));
        drop((passes, stays, publisher));
        drop(rig);
        let rig = Setup { fs: Arc::new(after), ..Setup::default() }.start();
        let mut stays = rig.client("app", "stays").persistent();
        assert!(stays.connect());
        let missing = sent.len() - got.len();
        for text in collect(&mut [stays], missing).remove(0) {
            *got.entry(text).or_default() += 1;
        }
        assert_eq!(got.keys().len(), sent.len(), "seed {seed}: all are there");
        assert!(got.values().all(|&count| count == 1), "seed {seed}: and once each: {got:?}");
    }
}
