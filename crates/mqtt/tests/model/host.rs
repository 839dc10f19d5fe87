//! A host with a log that becomes durable late, and that may crash: what was not durable is gone then.

use std::collections::{BTreeMap, BTreeSet};

use mohhos_mqtt::packet::{Connect, Publish, Subscribe, Unsubscribe, decode};
use mohhos_mqtt::session::{
    Accept, Close, Delivered, Delivery, Effects, Limits, Ready, Session, SessionState, Verdict, Will,
};
use mohhos_mqtt::{Packet, Properties, QoS, ReasonCode};

pub const RECEIVE_MAXIMUM: u16 = 4;
const LIMITS: Limits = Limits {
    max_packet: 1 << 20,
    max_connect: 1 << 16,
    connect_timeout_ms: 1000,
    receive_maximum: RECEIVE_MAXIMUM,
    topic_alias_maximum: 0,
    max_inflight: 5,
    shared_subscriptions: false,
};

#[derive(Clone, Copy)]
enum Record {
    Message { qos: QoS, packet_id: u16, number: u32 },
    Released { packet_id: u16 },
    Reserved { delivery: u64, packet_id: u16 },
    Received { delivery: u64 },
    Settled { delivery: u64 },
}

#[derive(Default)]
struct World {
    out: Vec<u8>,
    log: Vec<Record>,
    connected: bool,
    closed: Option<Close>,
}

impl World {
    fn append(&mut self, record: Record) -> u64 {
        self.log.push(record);
        self.log.len() as u64
    }
}

impl Effects for World {
    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
    fn connect(&mut self, _: &Connect<'_>) {
        self.connected = true;
    }
    fn publish(&mut self, publish: &Publish<'_>) -> Verdict {
        let number = u32::from_be_bytes(publish.payload.try_into().unwrap());
        Verdict::After(self.append(Record::Message {
            qos: publish.qos,
            packet_id: publish.packet_id,
            number,
        }))
    }
    fn released(&mut self, packet_id: u16) -> Ready {
        Ready::After(self.append(Record::Released { packet_id }))
    }
    fn subscribe(&mut self, _: &Subscribe<'_>, _: &mut Vec<ReasonCode>) -> Ready {
        Ready::Now
    }
    fn unsubscribe(&mut self, _: &Unsubscribe<'_>, _: &mut Vec<ReasonCode>) -> Ready {
        Ready::Now
    }
    fn received(&mut self, delivery: u64) -> Ready {
        Ready::After(self.append(Record::Received { delivery }))
    }
    fn settled(&mut self, delivery: u64, _: ReasonCode) {
        self.append(Record::Settled { delivery });
    }
    fn will(&mut self, _: Will) {}
    fn close(&mut self, cause: Close) {
        self.closed = Some(cause);
    }
}

pub struct Host {
    session: Session,
    world: World,
    committed: usize,
    /// An exported state, and the position of the log that it stands for.
    checkpoint: (usize, Vec<u8>),
    /// The messages for the client: their QoS, by delivery id.
    pub queued: BTreeMap<u64, QoS>,
    /// Packet ids that were sent or reserved, and for which delivery.
    ids: BTreeMap<u16, u64>,
    /// Deliveries whose packet ids came from the checkpoint.
    imported: BTreeSet<u64>,
    /// Reserved on this connection and not sent yet.
    unsent: BTreeSet<u64>,
}

impl Host {
    pub fn new() -> Host {
        let mut empty = Vec::new();
        SessionState::default().export(0, &mut empty);
        Host {
            session: Session::new(LIMITS, 0),
            world: World::default(),
            committed: 0,
            checkpoint: (0, empty),
            queued: BTreeMap::new(),
            ids: BTreeMap::new(),
            imported: BTreeSet::new(),
            unsent: BTreeSet::new(),
        }
    }

    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.world.out
    }

    pub fn read(&mut self, bytes: &[u8]) -> usize {
        let before = self.world.log.len();
        let used = self.session.read(bytes, 0, &mut self.world);
        assert_eq!(self.world.closed, None, "the client did nothing wrong");
        for record in &self.world.log[before..] {
            if let Record::Settled { delivery } = record {
                self.ids.retain(|_, held| held != delivery);
            }
        }
        used
    }

    /// A new transport connection; the state of the one before goes on.
    pub fn reconnect(&mut self, connect: &[u8]) {
        self.session.transport_closed(&mut self.world);
        let before = std::mem::replace(&mut self.session, Session::new(LIMITS, 0));
        self.resume(before.into_state(), connect);
    }

    fn resume(&mut self, state: SessionState, connect: &[u8]) {
        self.world.out.clear();
        self.unsent.clear();
        self.world.closed = None;
        self.world.connected = false;
        self.session.committed(self.committed as u64, &mut self.world);
        assert_eq!(self.session.read(connect, 0, &mut self.world), connect.len());
        assert!(self.world.connected);
        self.session.accept(&Accept::default(), Some(state), 0, &mut self.world);
    }

    pub fn commit(&mut self) {
        self.committed = self.world.log.len();
        self.session.committed(self.committed as u64, &mut self.world);
    }

    pub fn checkpoint(&mut self) {
        let mut bytes = Vec::new();
        self.session.state().export(self.committed as u64, &mut bytes);
        self.checkpoint = (self.committed, bytes);
    }

    /// The process dies: what is not durable is gone, and the state comes from checkpoint and log.
    pub fn crash(&mut self, connect: &[u8]) {
        self.world.log.truncate(self.committed);
        let mut state = SessionState::import(&self.checkpoint.1).unwrap();
        self.imported = state.deliveries().collect();
        for &record in &self.world.log[self.checkpoint.0..] {
            match record {
                Record::Message { qos: QoS::ExactlyOnce, packet_id, .. } => state.replay_publish(packet_id),
                Record::Message { .. } => {}
                Record::Released { packet_id } => state.replay_released(packet_id),
                Record::Reserved { delivery, packet_id } => {
                    state.replay_reserved(delivery, QoS::ExactlyOnce, packet_id);
                }
                Record::Received { delivery } => state.replay_received(delivery),
                Record::Settled { delivery } => state.replay_settled(delivery),
            }
        }
        let held: BTreeSet<u64> = state.deliveries().collect();
        self.ids.retain(|_, delivery| held.contains(delivery));
        self.session = Session::new(LIMITS, 0);
        self.resume(state, connect);
    }

    pub fn enqueue(&mut self, qos: QoS) {
        self.queued.insert(self.queued.len() as u64, qos);
    }

    /// Sends what the window permits: first again what has to be, then what is new. QoS 2 is reserved, and
    /// goes out when that is durable.
    pub fn pump(&mut self) {
        let (mut ended, mut durable) = (BTreeSet::new(), self.imported.clone());
        for (at, record) in self.world.log.iter().enumerate() {
            match *record {
                Record::Reserved { delivery, .. } if at < self.committed => {
                    durable.insert(delivery);
                }
                Record::Received { delivery } | Record::Settled { delivery } => {
                    ended.insert(delivery);
                }
                _ => {}
            }
        }
        while let Some(delivery) = self.session.next_resend() {
            if self.queued[&delivery] == QoS::ExactlyOnce && !durable.contains(&delivery) {
                return;
            }
            assert_eq!(self.deliver(delivery), Delivered::Sent);
        }
        for (delivery, qos) in self.queued.clone() {
            let in_flight = self.ids.values().any(|&held| held == delivery);
            if ended.contains(&delivery) {
                continue;
            }
            if qos == QoS::AtLeastOnce && !in_flight {
                if self.deliver(delivery) == Delivered::Wait {
                    break;
                }
            } else if qos == QoS::ExactlyOnce && !in_flight {
                let Some(packet_id) = self.session.reserve(delivery, qos) else { break };
                self.hold(packet_id, delivery);
                self.unsent.insert(delivery);
                self.world.append(Record::Reserved { delivery, packet_id });
            } else if durable.contains(&delivery) && self.unsent.contains(&delivery) {
                assert_eq!(self.deliver(delivery), Delivered::Sent);
            }
        }
    }

    fn deliver(&mut self, id: u64) -> Delivered {
        let payload = (id as u32).to_be_bytes();
        let delivery = Delivery {
            id,
            topic: "t",
            payload: &payload,
            qos: self.queued[&id],
            retain: false,
            properties: Properties::EMPTY,
            expiry_s: None,
            subscription_ids: &[],
        };
        let start = self.world.out.len();
        let done = self.session.deliver(&delivery, &mut self.world);
        if done == Delivered::Sent {
            let sent = decode(&self.world.out[start..], self.session.version(), u32::MAX);
            let Ok(Some((Packet::Publish(publish), _))) = sent else { panic!("not a PUBLISH") };
            let packet_id = publish.packet_id;
            self.hold(packet_id, id);
            self.unsent.remove(&id);
        }
        done
    }

    /// A packet id belongs to one delivery until that is settled.
    fn hold(&mut self, packet_id: u16, delivery: u64) {
        let before = self.ids.insert(packet_id, delivery);
        assert!(before.is_none_or(|before| before == delivery), "packet id {packet_id} is in use");
    }

    /// How often each message of the client was taken.
    pub fn taken(&self) -> BTreeMap<u32, u32> {
        let mut taken = BTreeMap::new();
        for record in &self.world.log {
            if let Record::Message { number, .. } = record {
                *taken.entry(*number).or_default() += 1;
            }
        }
        taken
    }

    pub fn is_idle(&self) -> bool {
        self.committed == self.world.log.len() && self.world.out.is_empty() && self.session.state().is_empty()
    }
}
