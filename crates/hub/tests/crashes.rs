//! Crashes of the whole hub over a disk that forgets, tears and fails: what was acknowledged is there, QoS 2 comes
//! once, and sessions and retained messages are as they were.
//!
//! One disk lives through several hubs. Two clients with sessions that outlive them talk through each, as clients
//! should that keep their own state on disk: a publisher of QoS 1, QoS 2 and retained messages, and a subscriber. After
//! each crash the log is read, and must have all that was acknowledged, as it was sent. The last hub has a disk without
//! faults; there everything that was begun comes to its end.

#![allow(clippy::expect_used, reason = "these are tests, though clippy sees no test function here")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Client, Got, PATIENCE, Rig, Setup};
use mohhos_log::testing::{Failure, ForgetfulFs, Operation, Random, crash_disks};
use mohhos_log::{Kind, LogConfig};
use mohhos_mqtt::packet::{Packet, Publish};
use mohhos_mqtt::{Properties, QoS, ReasonCode};

const TOPIC: &str = "devices/pump-1/events/e";
const RETAINED: &str = "r/newest";
const LIVES: u64 = 6;

/// What a message in flight waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Ack,
    Received,
    Completed,
}

struct InFlight {
    number: u64,
    retained: bool,
    waits: Waits,
}

impl InFlight {
    fn topic(&self) -> &'static str {
        if self.retained { RETAINED } else { TOPIC }
    }

    fn qos(&self) -> QoS {
        if self.waits == Waits::Ack { QoS::AtLeastOnce } else { QoS::ExactlyOnce }
    }
}

/// What a message says: its number, its QoS, and as many bytes as its number says, so that records are of many lengths.
fn payload(number: u64, qos: QoS) -> String {
    format!("{number} {} {}", qos as u8, "x".repeat(number as usize * 37 % 1500))
}

/// The number and the QoS in a payload, if every byte is as it was sent.
fn said(text: &str) -> (u64, QoS) {
    let mut words = text.split(' ');
    let number = words.next().and_then(|word| word.parse().ok()).expect("a number");
    let qos = if words.next() == Some("2") { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
    assert_eq!(text, payload(number, qos), "the bytes are those that were sent");
    (number, qos)
}

/// The publisher's own state, which no crash of the hub takes.
#[derive(Default)]
struct Publisher {
    in_flight: BTreeMap<u16, InFlight>,
    next_id: u16,
    next_number: u64,
    /// What was acknowledged, with its topic and QoS.
    acknowledged: BTreeMap<u64, (&'static str, QoS)>,
    retained_acknowledged: u64,
    retained_sent: u64,
    /// The hub must know the session, for it acknowledged something in it.
    known: bool,
}

impl Publisher {
    fn connect(&mut self, rig: &Rig) -> Client {
        let mut client = rig.client("app", "publisher").persistent();
        let present = client.connect();
        assert!(present || !self.known, "the publisher's session is lost");
        for (id, message) in &self.in_flight {
            match message.waits {
                Waits::Completed if present => client.ack(*id, Packet::PubRel),
                _ => self.send(&mut client, *id, message),
            }
        }
        client
    }

    fn send(&self, client: &mut Client, id: u16, message: &InFlight) {
        let qos = message.qos();
        client.send(&Packet::Publish(Publish {
            dup: false,
            qos,
            retain: message.retained,
            topic: message.topic(),
            packet_id: id,
            properties: Properties::EMPTY,
            payload: payload(message.number, qos).as_bytes(),
        }));
    }

    fn publish(&mut self, client: &mut Client, random: &mut Random) {
        if self.in_flight.len() >= 16 {
            return;
        }
        // One retained message at a time, or which of them is the newest would be anybody's guess.
        let retained = random.below(4) == 0 && !self.in_flight.values().any(|message| message.retained);
        let waits = if retained || random.below(2) == 0 { Waits::Ack } else { Waits::Received };
        self.next_number += 1;
        self.next_id = self.next_id % 60_000 + 1;
        let message = InFlight { number: self.next_number, retained, waits };
        if retained {
            self.retained_sent = message.number;
        }
        self.send(client, self.next_id, &message);
        self.in_flight.insert(self.next_id, message);
    }

    fn hears(&mut self, client: &mut Client, got: &Got) {
        match got {
            Got::PubAck(id, ReasonCode::Success) => {
                let message = self.in_flight.remove(id).expect("an acknowledgement of nothing");
                assert_eq!(message.waits, Waits::Ack);
                self.acknowledged.insert(message.number, (message.topic(), message.qos()));
                if message.retained {
                    self.retained_acknowledged = message.number;
                }
            }
            Got::PubRec(id, ReasonCode::Success) => {
                let message = self.in_flight.get_mut(id).expect("a receipt of nothing");
                message.waits = Waits::Completed;
                self.acknowledged.insert(message.number, (message.topic(), message.qos()));
                client.ack(*id, Packet::PubRel);
            }
            // Of a QoS 2 message whose end the hub knows already, there is nothing to release any more.
            Got::PubComp(id) => drop(self.in_flight.remove(id)),
            other => panic!("the publisher got {other:?}"),
        }
        self.known = true;
    }
}

/// The subscriber's own state.
#[derive(Default)]
struct Subscriber {
    subscribed: bool,
    /// Packet ids of QoS 2 that were received and not released.
    unreleased: BTreeSet<u16>,
    /// Numbers of what came.
    came: BTreeSet<u64>,
}

impl Subscriber {
    fn connect(&mut self, rig: &Rig) -> Client {
        let mut client = rig.client("other", "subscriber").persistent();
        let present = client.connect();
        if self.subscribed {
            assert!(present, "the subscriber's session is lost");
            return client;
        }
        client.send_subscribe(TOPIC, QoS::ExactlyOnce);
        // Messages from before a subscription are nobody's.
        while !self.subscribed {
            let got = client.next();
            self.hears(&mut client, got);
        }
        client
    }

    fn hears(&mut self, client: &mut Client, got: Got) {
        match got {
            Got::Publish(message) => {
                let (number, qos) = said(message.text());
                assert_eq!((message.qos, &*message.topic), (qos, TOPIC));
                if qos == QoS::ExactlyOnce {
                    if self.unreleased.insert(message.id) {
                        assert!(self.came.insert(number), "message {number} of QoS 2 came twice");
                    }
                    client.ack(message.id, Packet::PubRec);
                } else {
                    self.came.insert(number);
                    client.ack(message.id, Packet::PubAck);
                }
            }
            Got::PubRel(id) => {
                self.unreleased.remove(&id);
                client.ack(id, Packet::PubComp);
            }
            Got::SubAck(codes) => {
                assert_eq!(codes, [QoS::ExactlyOnce as u8]);
                self.subscribed = true;
            }
            other => panic!("the subscriber got {other:?}"),
        }
    }
}

fn inject_failures(disk: &ForgetfulFs, random: &mut Random) {
    let kinds = [
        Operation::Write,
        Operation::Sync,
        Operation::SyncDir,
        Operation::Rename,
        Operation::Create,
        Operation::SetLen,
    ];
    for _ in 0..1 + random.below(3) {
        let failure = if random.below(2) == 0 { Failure::Io } else { Failure::NoSpace };
        disk.fail(kinds[random.below(kinds.len() as u64) as usize], 1 + random.below(10), failure);
    }
}

fn start(disk: &ForgetfulFs, shards: usize) -> Rig {
    let log = LogConfig {
        segment_bytes: 16 << 10,
        commit_interval_us: 0,
        retry_interval_us: 1_000,
        ..LogConfig::default()
    };
    Setup { fs: Arc::new(disk.clone()), log, shards, ..Setup::default() }.start()
}

/// Lets both hear what has come, for as long as something comes within `patience`, or until `enough`.
fn talk(
    publisher: (&mut Publisher, &mut Client),
    subscriber: (&mut Subscriber, &mut Client),
    patience: Duration,
    enough: impl Fn(&Publisher, &Subscriber) -> bool,
) {
    let (publisher, publishing) = publisher;
    let (subscriber, subscribing) = subscriber;
    let mut last = Instant::now();
    while !enough(publisher, subscriber) && last.elapsed() < patience {
        let mut heard = false;
        while publishing.hears_within(Duration::from_micros(200)) {
            let got = publishing.next();
            publisher.hears(publishing, &got);
            heard = true;
        }
        while subscribing.hears_within(Duration::from_micros(200)) {
            let got = subscribing.next();
            subscriber.hears(subscribing, got);
            heard = true;
        }
        if heard {
            last = Instant::now();
        }
    }
}

/// All that was acknowledged is in the log, as it was sent, and what is of QoS 2 is there once.
fn check_log(rig: &Rig, publisher: &Publisher) {
    let mut logged: BTreeMap<u64, u32> = BTreeMap::new();
    let mut reader = rig.log.reader(0);
    while let Some(record) = reader.next().expect("no damage, no holes") {
        if record.kind() != Kind::MESSAGE || ![TOPIC, RETAINED].contains(&record.topic()) {
            continue;
        }
        let (number, qos) = said(std::str::from_utf8(record.payload()).expect("a text"));
        assert_eq!(record.flags().get_qos(), qos as u8);
        *logged.entry(number).or_default() += 1;
        assert!(qos != QoS::ExactlyOnce || logged[&number] == 1, "message {number} of QoS 2 is logged twice");
        if let Some(acknowledged) = publisher.acknowledged.get(&number) {
            assert_eq!((record.topic(), qos), *acknowledged, "message {number}");
        }
    }
    for number in publisher.acknowledged.keys() {
        assert!(logged.contains_key(number), "message {number} was acknowledged and is lost");
    }
}

fn check_retained(rig: &Rig, publisher: &Publisher) {
    let mut reader = rig.connect("other", "reader");
    reader.subscribe(RETAINED, QoS::AtMostOnce);
    // The hub answers in order: what is retained comes before the answer to a ping.
    reader.ping();
    let newest = match reader.next() {
        Got::Publish(message) => said(message.text()).0,
        Got::PingResp => 0,
        other => panic!("the reader got {other:?}"),
    };
    let possible = publisher.retained_acknowledged..=publisher.retained_sent;
    assert!(possible.contains(&newest), "{newest} is retained, not one of {possible:?}");
}

/// Everything that was acknowledged and has a subscriber has come.
fn is_complete(publisher: &Publisher, subscriber: &Subscriber) -> bool {
    let mut wanted = publisher.acknowledged.iter().filter(|(_, (topic, _))| *topic == TOPIC);
    wanted.all(|(number, _)| subscriber.came.contains(number))
}

/// Returns how many crashes there were.
fn run(seed: u64) -> u64 {
    let random = &mut Random::new(seed);
    let shards = 1 + random.below(2) as usize;
    let mut disk = ForgetfulFs::new();
    let (mut publisher, mut subscriber) = (Publisher::default(), Subscriber::default());
    for _ in 0..LIVES {
        let rig = start(&disk, shards);
        check_log(&rig, &publisher);
        check_retained(&rig, &publisher);
        let mut publishing = publisher.connect(&rig);
        let mut subscribing = subscriber.connect(&rig);
        if random.below(2) == 0 {
            inject_failures(&disk, random);
        }
        if random.below(2) == 0 {
            disk.cut_power_after(1 + random.below(40));
        }
        for _ in 0..2 + random.below(6) {
            for _ in 0..random.below(6) {
                publisher.publish(&mut publishing, random);
            }
            if random.below(5) == 0 {
                // On a disk that fails it may fail; then the log alone has to do.
                let _ = rig.hub.checkpoint();
            }
            let patience = Duration::from_micros(random.below(1_500));
            talk((&mut publisher, &mut publishing), (&mut subscriber, &mut subscribing), patience, |_, _| {
                false
            });
        }
        disk = disk.crash(random);
        drop(rig);
    }
    let rig = start(&disk, shards);
    check_log(&rig, &publisher);
    check_retained(&rig, &publisher);
    let mut publishing = publisher.connect(&rig);
    let mut subscribing = subscriber.connect(&rig);
    talk(
        (&mut publisher, &mut publishing),
        (&mut subscriber, &mut subscribing),
        PATIENCE,
        |publisher, subscriber| {
            publisher.in_flight.is_empty()
                && subscriber.unreleased.is_empty()
                && is_complete(publisher, subscriber)
        },
    );
    assert_eq!(publisher.in_flight.len(), 0, "the publisher comes to an end");
    assert!(is_complete(&publisher, &subscriber), "acknowledged messages are missing");
    LIVES
}

/// How many disks live through [`LIVES`] crashes each; a thousand crashes take half a minute.
fn disks() -> u64 {
    if std::env::var_os("MOHHOS_LONG").is_some() { 400 } else { 12 }
}

#[test]
fn what_was_acknowledged_survives_every_crash_and_qos_2_comes_once() {
    assert_eq!(crash_disks(disks(), 4, run), disks() * LIVES);
}
