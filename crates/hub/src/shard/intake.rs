//! The way of a message into the hub: verdict, decoding, record, and the list of what is to be delivered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mohhos_log::{Fields, Flags, Kind};
use mohhos_mqtt::{Properties, QoS, ReasonCode};

use super::decoding::Decoding;
use super::journal::Journal;
use super::turns::{Handover, TakenTurn};
use crate::auth::principals::{Principal, PrincipalKind};
use crate::counters::ShardCounters;
use crate::devices::Device;
use crate::event::{Action, Receipt, Refusal};
use crate::policy::{Denied, Judgement, Scope};
use crate::session::queue::Queued;
use crate::session::ways::{Epochs, Way, Ways};
use crate::session::{Session, SessionKey};
use crate::shared::{Reply, Shared};
use crate::topics;
use crate::topics::message::{Message, SessionId};
use crate::topics::route::Route;
use crate::topics::share::Member;
use crate::topics::share::offset_of;

/// How often a device that sends all the time is reported as seen, in microseconds.
pub const SEEN_US: u64 = 2_000_000;
/// With more than this many bytes of records, or messages to deliver, the round is ended before more is read.
const MAX_ROUND_BYTES: usize = 1 << 20;
const MAX_ROUND_MESSAGES: usize = 4096;

/// Takes messages in.
pub struct Intake {
    /// What all share.
    pub shared: Arc<Shared>,
    /// This shard.
    pub shard: u16,
    /// The records of the round.
    pub journal: Journal,
    /// The rows of the round.
    pub decoding: Decoding,
    /// What is to be delivered when the round is appended.
    pub staged: Vec<Staged>,
    /// Messages of shared subscriptions that change hands.
    pub handovers: Vec<Handover>,
    /// Members who are away while others of their groups have come.
    pub releases: Vec<Arc<Member>>,
    /// Who waits to learn the offset of a record of the round.
    pub replies: Vec<(Arc<Reply>, Option<u32>)>,
    /// Devices seen since the last report.
    pub seen: Vec<(Arc<str>, i64)>,
    /// How long the client that is being read is not to be read further, because it has sent more than it may.
    pub hold_us: u64,
    /// Commands that devices have acknowledged in this round.
    pub receipts: Vec<Receipt>,
    /// Wall time of the round, microseconds UTC.
    pub wall_us: i64,
    /// Monotonic time of the round.
    pub mono_us: u64,
}

/// A message of the round, with its position among the records if it is one.
pub struct Staged {
    /// The message; its offset is not known yet.
    pub message: Message,
    /// Its position.
    pub position: Option<u32>,
    /// Who gets it.
    pub route: Arc<Route>,
    /// Whose turn it is in the groups of the route.
    pub turns: Vec<TakenTurn>,
}

/// Who publishes.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The principal.
    pub principal: &'a Arc<Principal>,
    /// Its session's name.
    pub key: &'a SessionKey,
    /// Its session.
    pub id: SessionId,
    /// The device that the principal is.
    pub device: Option<&'a Arc<Device>>,
}

/// What is published.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The MQTT 5 properties.
    pub properties: Properties<'a>,
    /// The payload.
    pub payload: &'a [u8],
    /// The quality of service.
    pub qos: QoS,
    /// The RETAIN flag.
    pub retain: bool,
    /// The packet id of a message of QoS 2 from a client, else 0.
    pub packet_id: u16,
    /// Further flags of the record.
    pub flags: Flags,
    /// The device that it concerns, if the topic does not say.
    pub device: &'a str,
    /// It may be refused where only its amount speaks against it: its publisher is told, or does not ask (QoS 0).
    pub refusable: bool,
}

impl Intake {
    /// The counters of this shard.
    #[inline]
    pub fn counters(&self) -> &ShardCounters {
        &self.shared.shards[usize::from(self.shard)].counters
    }

    /// Is there so much that the round should end?
    #[inline]
    pub fn is_full(&self) -> bool {
        self.journal.bytes() >= MAX_ROUND_BYTES
            || self.staged.len() >= MAX_ROUND_MESSAGES
            || self.decoding.is_full()
    }

    /// Takes a message in, or says why not. The position of its record, if it is one.
    pub fn publish(
        &mut self,
        ways: &mut Ways,
        origin: Origin<'_>,
        incoming: &Incoming<'_>,
    ) -> Result<Option<u32>, Denied> {
        let at = self.way(ways, origin, incoming.topic);
        let Some(way) = ways.get(at) else { return Err(Denied::Role) };
        way.verdict?;
        let mut arrival_us = self.wall_us;
        let window = (self.mono_us / SEEN_US) as u32 + 1;
        if origin.id != SessionId::GATEWAY
            && let Some(device) = &way.device
        {
            if device.standing.is_restricted()
                || origin.device.is_some_and(|own| own.standing.is_restricted())
            {
                self.judge(device, origin, incoming)?;
            }
            let stats = &device.stats;
            stats.messages_in.fetch_add(1, Relaxed);
            stats.bytes_in.fetch_add(incoming.payload.len() as u64, Relaxed);
            stats.last_seen_us.store(self.wall_us, Relaxed);
            if way.seen != window {
                self.seen.push((device.id.clone(), self.wall_us));
            }
        }
        way.seen = window;
        way.messages += 1;
        let decoded = way.telemetry.is_some() || !way.tables.is_empty();
        if decoded {
            arrival_us = self.decode(way, incoming);
        }
        let mut position = None;
        // A retained message of QoS 0 is not acknowledged, and survives all the same.
        if incoming.qos != QoS::AtMostOnce || incoming.retain {
            let at = self.record(way, origin, incoming, arrival_us);
            if decoded {
                self.decoding.logged(way, at, self.journal.bytes() as u32);
            }
            position = Some(at);
        }
        if incoming.retain || !way.route.is_empty() {
            let route = way.route.clone();
            let turns = match route.shares.is_empty() {
                true => Vec::new(),
                false => self.take_turns(&route, incoming, position),
            };
            let message = self.message(origin, incoming, arrival_us);
            self.staged.push(Staged { message, position, route, turns });
        }
        Ok(position)
    }

    fn decode(&mut self, way: &Way, incoming: &Incoming<'_>) -> i64 {
        let properties = incoming.properties;
        let content_type = if properties.is_empty() { "" } else { properties.content_type().unwrap_or("") };
        let outcome = self.decoding.decode(way, incoming.payload, content_type, self.wall_us);
        match outcome.result {
            Ok(decoded) => {
                self.counters().readings.add(decoded.rows as u64);
                if decoded.dropped > 0 {
                    self.counters().metrics_refused.add(decoded.dropped as u64);
                }
                if decoded.clock_corrected > 0
                    && let Some(device) = &way.device
                {
                    device.stats.clock_corrections.fetch_add(decoded.clock_corrected as u32, Relaxed);
                }
            }
            Err(error) => {
                self.counters().dead_letters.add(1);
                let id = way.device.as_ref().map_or("", |device| &*device.id);
                if let Some(device) = &way.device {
                    device.stats.dead_letters.fetch_add(1, Relaxed);
                }
                let mut letters = self.shared.dead_letters.lock();
                letters.add(id, incoming.topic, &error, incoming.payload, self.wall_us);
            }
        }
        outcome.arrival_us
    }

    fn record(&mut self, way: &Way, origin: Origin<'_>, incoming: &Incoming<'_>, wall_us: i64) -> u32 {
        let properties = incoming.properties;
        let device = way.device.as_ref().map_or(incoming.device, |device| &*device.id);
        let flags = incoming
            .flags
            .with(Flags::qos(incoming.qos as u8))
            .with_if(Flags::DURABLE, incoming.qos != QoS::AtMostOnce)
            .with_if(Flags::RETAIN, incoming.retain);
        let fields = Fields {
            kind: Kind::MESSAGE,
            packet_id: incoming.packet_id,
            wall_us,
            principal: &origin.principal.name,
            client: &origin.key.client,
            device,
            topic: incoming.topic,
            content_type: properties.content_type().unwrap_or(""),
            properties: properties.raw(),
            payload: incoming.payload,
            class: way.class,
            ..Fields::default()
        };
        self.journal.message(&fields, flags)
    }

    fn message(&self, origin: Origin<'_>, incoming: &Incoming<'_>, at_us: i64) -> Message {
        let principal = origin.principal.name.clone();
        let properties = incoming.properties;
        let mut message =
            Message::new(incoming.topic, properties.raw(), incoming.payload, origin.id, principal);
        message.qos = incoming.qos;
        message.retain = incoming.retain;
        message.at_us = at_us;
        if let Some(seconds) = properties.message_expiry() {
            message.expires_us = self.mono_us.saturating_add(u64::from(seconds) * 1_000_000);
        }
        message
    }

    /// The place of the way of a topic, decided now if need be.
    #[inline]
    fn way(&mut self, ways: &mut Ways, origin: Origin<'_>, topic: &str) -> usize {
        // Epochs are read before deciding: what changes meanwhile makes the decision be taken again.
        let epochs = Epochs {
            policy: self.shared.policy.epoch(),
            subscriptions: self.shared.subscriptions.epoch(),
            tables: self.decoding.tables_epoch(),
        };
        let found = ways.find(topic);
        match found.and_then(|at| Some((at, ways.get(at)?))) {
            Some((at, way)) if way.epochs == epochs => at,
            Some((at, way)) if way.epochs.policy == epochs.policy && way.epochs.tables == epochs.tables => {
                way.route = Arc::new(self.shared.subscriptions.resolve(topic));
                way.epochs = epochs;
                at
            }
            Some((at, way)) => {
                let (seen, messages) = (way.seen, way.messages);
                *way = Way { seen, messages, ..self.decide(origin, topic, epochs) };
                at
            }
            None => {
                let way = self.decide(origin, topic, epochs);
                ways.insert(way)
            }
        }
    }

    fn decide(&self, origin: Origin<'_>, topic: &str, epochs: Epochs) -> Way {
        let named = topic.strip_prefix("devices/").and_then(|rest| rest.split_once('/'));
        let registered = named.and_then(|(id, _)| self.shared.devices.get(id));
        let is_gateway = origin.id == SessionId::GATEWAY;
        let mut verdict = Ok(());
        if !is_gateway {
            verdict = self.may_publish(origin, topic);
            if verdict.is_ok() && named.is_some() && registered.is_none() {
                verdict = Err(Denied::UnknownDevice);
            }
        }
        let device = if named.is_some() { registered } else { origin.device.cloned() };
        let telemetry = match (named, &device) {
            (Some((_, "telemetry")), Some(_)) => Some(0),
            (Some((_, below)), Some(_)) if verdict.is_ok() => below
                .strip_prefix("telemetry/")
                .filter(|table| !table.is_empty() && !table.contains('/'))
                .map(|table| self.decoding.table_code(table)),
            _ => None,
        };
        let route = match verdict {
            Ok(()) => Arc::new(self.shared.subscriptions.resolve(topic)),
            Err(_) => Arc::default(),
        };
        let tables = self.decoding.tables_of(topic);
        // The device may be registered at any time, which renews nothing else: this is decided each time.
        let provisional = named.is_some() && device.is_none();
        let epochs = if provisional { Epochs { policy: 0, ..epochs } } else { epochs };
        let class = self.shared.log.class_of(topic);
        Way {
            topic: topic.into(),
            epochs,
            verdict,
            device,
            class,
            telemetry,
            tables,
            route,
            seen: 0,
            messages: 0,
        }
    }

    fn may_publish(&self, origin: Origin<'_>, topic: &str) -> Result<(), Denied> {
        if topic.split('/').count() > self.shared.config.limits.max_topic_levels {
            return Err(Denied::TooDeep);
        }
        let principal = self.current_principal(origin.principal);
        let scope = Scope::of(&principal, &origin.key.client);
        self.shared.policy.grant(&principal).publish(scope, topic).verdict
    }

    /// The publisher or the device that the topic is about is throttled or in quarantine.
    #[cold]
    fn judge(
        &mut self,
        about: &Arc<Device>,
        origin: Origin<'_>,
        incoming: &Incoming<'_>,
    ) -> Result<(), Denied> {
        let own = origin.device;
        let other = Some(about).filter(|about| own.is_none_or(|own| !Arc::ptr_eq(own, about)));
        for device in own.into_iter().chain(other) {
            if !device.standing.talks_to(&device.id, incoming.topic) {
                return Err(Denied::Quarantined);
            }
        }
        // Who speaks for a device is held to its rate. A parent goes on speaking for the others: what is too much for
        // one child is refused if it can be, for not reading the parent would hold all of them.
        let speaks = own.is_some() || origin.principal.kind == PrincipalKind::Adapter;
        if let Some(other) = other.filter(|_| speaks) {
            match other.standing.draw(incoming.refusable, self.mono_us) {
                Judgement::Taken(wait_us) => self.hold(wait_us),
                Judgement::TooMany => return Err(Denied::Throttled),
            }
        }
        if let Some(own) = own
            && let Judgement::Taken(wait_us) = own.standing.draw(false, self.mono_us)
        {
            self.hold(wait_us);
        }
        Ok(())
    }

    /// The client that is being read is not read further for so long.
    pub fn hold(&mut self, wait_us: u64) {
        self.hold_us = self.hold_us.max(wait_us);
    }

    /// The principal as it is now: its children may be others than when it connected.
    pub fn current_principal(&self, principal: &Arc<Principal>) -> Arc<Principal> {
        match principal.kind {
            PrincipalKind::Anonymous => principal.clone(),
            _ => self.shared.principals.get(&principal.name).unwrap_or_else(|| principal.clone()),
        }
    }

    /// Reports that something was refused to a session.
    pub fn refused(
        &self,
        session: &Session,
        address: SocketAddr,
        action: Action,
        topic: &str,
        denied: Denied,
    ) {
        self.counters().refused.add(1);
        if let Some(device) = &session.device {
            device.stats.refused.fetch_add(1, Relaxed);
        }
        let refusal = Refusal {
            principal: session.key.principal.clone(),
            client: session.key.client.clone(),
            at_us: self.wall_us,
            address,
            reason_code: denied.code() as u8,
            reason: denied.to_string(),
            action,
            topic: topic.to_owned(),
            count: 1,
        };
        self.shared.events.refuse(refusal, self.mono_us);
    }

    /// A delivery to a session has ended: how long it took, and that a command has arrived.
    #[inline]
    pub fn acknowledged(&mut self, session: &Session, queued: &Queued, code: ReasonCode) {
        if queued.sent_ms == 0 {
            return;
        }
        let took_ms = ((self.mono_us / 1000) as u32).wrapping_sub(queued.sent_ms);
        let took_us = u64::from(took_ms) * 1000;
        self.shared.shards[usize::from(self.shard)].latencies.delivery.note(took_us, 1);
        if let Some(device) = &session.device {
            device.stats.delivery.note(took_us);
        }
        if let Some(body) = &queued.body
            && !code.is_error()
            && let Some((device, command)) = topics::command(body.topic())
        {
            let (device, command, offset) = (device.into(), command.into(), offset_of(queued.offset));
            self.receipts.push(Receipt { device, command, offset, at_us: self.wall_us });
        }
    }
}
