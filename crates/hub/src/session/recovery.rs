//! What a start makes of the checkpoint and of the records after it: the sessions and the retained messages as they
//! were when the last record was committed.

use std::sync::Arc;

use mohhos_log::{Fs, Kind, Log, ReadError, RecordView};
use mohhos_mqtt::QoS;

use super::checkpoint::{self, Content, FILE, Kept, KeptShard, OLDEST, VERSION};
use super::pending_will::PendingWill;
use super::queue::{Queue, Queued, Turn};
use super::record::Change;
use super::{ByKey, Session, SessionKey, Subscription};
use crate::auth::principals::{Credential, Principal, PrincipalKind};
use crate::clerk::message;
use crate::clock::Clock;
use crate::config::Limits;
use crate::error::HubError;
use crate::topics::message::{Message, SessionId};
use crate::topics::retained::Retained;
use crate::topics::route::Target;
use crate::topics::share::{delivery_id, is_shared};
use crate::topics::trie::{Options, Subscriptions};

/// What was recovered.
pub struct Recovered {
    /// The sessions; which shard they live on is decided anew.
    pub sessions: Vec<Session>,
    /// The oldest offset that a session or the next recovery needs.
    pub needed: u64,
}

/// A session while the log is replayed.
struct Replayed {
    key: SessionKey,
    kept: Kept,
    /// The shard that it lived on.
    home: usize,
    /// Tells it from an ended one in the same place.
    alive: bool,
}

/// The home of a session that was first heard of when it was its turn: which shard it was is not known.
const NO_HOME: usize = usize::MAX;

struct Replay {
    /// Per home shard: what is contained of each shard's records.
    contained: Vec<Vec<u64>>,
    sessions: Vec<Replayed>,
    by_key: ByKey<usize>,
    subscriptions: Subscriptions,
    max_queued: usize,
    max_held: usize,
}

/// Reads the checkpoint and the log after it. The retained messages go to `retained`.
pub fn recover(
    fs: &dyn Fs,
    log: &Log,
    clock: &dyn Clock,
    retained: &Retained,
    limits: &Limits,
) -> Result<Recovered, HubError> {
    let content = read(fs)?;
    let start = content.shards.iter().flat_map(|(contained, _)| contained).copied().min().unwrap_or(0);
    let (wall_us, mono_us) = (clock.wall_us(), clock.mono_us());
    let mut replay = Replay::new(content.shards, limits);
    for message in content.retained {
        // One more than there may be now was kept under an earlier configuration.
        let _ = retained.put(Arc::new(with_expiry(message, wall_us, mono_us)));
    }
    let mut reader = log.reader(start);
    loop {
        match reader.next() {
            Ok(Some(view)) => {
                replay.record(&view);
                if view.kind() == Kind::MESSAGE && view.flags().has(mohhos_log::Flags::RETAIN) {
                    let _ = retained.put(Arc::new(message(&view, wall_us, mono_us)));
                }
            }
            Ok(None) => break,
            // What retention removed or the disk lost cannot be replayed; the log goes on behind it.
            Err(ReadError::Trimmed { .. } | ReadError::Damaged { .. }) => {}
            Err(error) => {
                return Err(HubError::Log { offset: reader.position(), reason: error.to_string() });
            }
        }
    }
    mark_offline(retained, wall_us);
    // Until the next checkpoint is written, a start would read from here again.
    Ok(replay.finish(start))
}

fn read(fs: &dyn Fs) -> Result<Content, HubError> {
    let damaged = |reason: String| HubError::Checkpoint {
        path: FILE.into(),
        action: "read",
        reason,
        next: "Restore a backup; or move the file away, then sessions are made anew from what the log still has",
    };
    match mohhos_log::read_atomic(fs, FILE) {
        Ok(None) => Ok(Content::default()),
        Ok(Some((version @ OLDEST..=VERSION, bytes))) => {
            checkpoint::decode(version, &bytes).ok_or_else(|| damaged("its content makes no sense".into()))
        }
        Ok(Some((version, _))) => Err(HubError::Checkpoint {
            path: FILE.into(),
            action: "read",
            reason: format!("it has version {version}, this program reads versions {OLDEST} to {VERSION}"),
            next: "Start the newer program that wrote it, or restore a backup made by this one",
        }),
        Err(error) => Err(damaged(error.to_string())),
    }
}

fn with_expiry(mut message: Message, wall_us: i64, mono_us: u64) -> Message {
    if let Some(seconds) = message.properties().message_expiry() {
        let left = i64::from(seconds) * 1_000_000 - (wall_us - message.at_us).max(0);
        message.expires_us = mono_us.saturating_add(u64::try_from(left).unwrap_or(0));
    }
    message
}

/// Nobody is connected after a start, whatever the last statuses say.
fn mark_offline(retained: &Retained, wall_us: i64) {
    for online in retained.matching("devices/+/status", 0) {
        let state: Option<serde_json::Value> = serde_json::from_slice(online.payload()).ok();
        if state.is_none_or(|state| state["state"] != "online") {
            continue;
        }
        let payload = serde_json::json!({
            "state": "offline", "since": wall_us, "reason": "the gateway was started again"
        });
        let mut offline = Message::new(
            online.topic(),
            online.properties().raw(),
            payload.to_string().as_bytes(),
            SessionId::GATEWAY,
            online.principal.clone(),
        );
        offline.retain = true;
        offline.qos = online.qos;
        offline.offset = online.offset;
        offline.at_us = wall_us;
        // It replaces one of about the same size.
        let _ = retained.put(Arc::new(offline));
    }
}

impl Replay {
    fn new(shards: Vec<KeptShard>, limits: &Limits) -> Self {
        let (max_queued, max_held) = limits.queue_bounds();
        let mut replay = Self {
            contained: Vec::new(),
            sessions: Vec::new(),
            by_key: ByKey::default(),
            subscriptions: Subscriptions::default(),
            max_queued,
            max_held,
        };
        for (home, (contained, sessions)) in shards.into_iter().enumerate() {
            replay.contained.push(contained);
            for (key, kept) in sessions {
                let index = replay.add(key, home);
                for subscription in &kept.subscriptions {
                    replay.subscribe(index, &subscription.filter, subscription.options);
                }
                replay.sessions[index].kept = kept;
            }
        }
        replay
    }

    /// Messages of shared subscriptions have records that say whose they are.
    fn subscribe(&self, index: usize, filter: &str, options: Options) {
        if !is_shared(filter) {
            self.subscriptions.subscribe(filter, id(index), options);
        }
    }

    fn add(&mut self, key: SessionKey, home: usize) -> usize {
        let index = self.sessions.len();
        self.by_key.insert(key.clone(), index);
        self.sessions.push(Replayed { key, kept: Kept::default(), home, alive: true });
        index
    }

    /// Is the record contained already in what was kept of that shard's sessions?
    fn is_contained(&self, home: usize, view: &RecordView<'_>) -> bool {
        let offsets = self.contained.get(home);
        offsets.and_then(|offsets| offsets.get(usize::from(view.shard()))).is_some_and(|&o| view.offset() < o)
    }

    fn record(&mut self, view: &RecordView<'_>) {
        match view.kind() {
            Kind::MESSAGE => self.message(view),
            Kind::SESSION => {
                let Some(change) = Change::decode(view.payload()) else { return };
                let key = SessionKey { principal: view.principal().into(), client: view.client().into() };
                match change {
                    Change::TookTurn { back, qos, retain, filter } => {
                        let turn = Turn { filter: filter.into(), qos, retain };
                        self.turn(key, view.offset().saturating_sub(u64::from(back)), turn, view);
                    }
                    Change::TookOver { offset, qos, retain, filter } => {
                        self.turn(key, offset, Turn { filter: filter.into(), qos, retain }, view);
                    }
                    _ => {
                        let home = usize::from(view.shard());
                        if !self.is_contained(home, view) || self.is_passing(&key) {
                            self.change(key, home, &change);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Is the session here only for the messages of shared subscriptions that it has not acknowledged?
    fn is_passing(&self, key: &SessionKey) -> bool {
        self.by_key.get(key).is_some_and(|&index| self.sessions[index].kept.expiry_s == 0)
    }

    /// It was the session's turn to get a message. One that the log does not know otherwise ended with its connection
    /// or will have; others of the group get then what it has not acknowledged.
    fn turn(&mut self, key: SessionKey, offset: u64, turn: Turn, view: &RecordView<'_>) {
        let known = self.by_key.get(&key).copied();
        if known.is_some_and(|index| self.is_contained(self.sessions[index].home, view)) {
            return;
        }
        let index = known.unwrap_or_else(|| self.add(key, NO_HOME));
        take_turn(&mut self.sessions[index].kept, offset, turn);
    }

    /// Gives the members of groups what those who are gone have not acknowledged, as far as their queues have room.
    fn hand_over(&mut self) {
        let mut left = Vec::new();
        for session in self.sessions.iter_mut().filter(|session| session.alive && session.kept.expiry_s == 0)
        {
            session.alive = false;
            left.append(&mut session.kept.queue);
        }
        for (at, queued) in left.into_iter().enumerate() {
            let Some(turn) = queued.share else { continue };
            let max_held = self.max_held;
            let is_member = |session: &&mut Replayed| {
                let mut subscriptions = session.kept.subscriptions.iter();
                session.alive
                    && session.kept.queue.len() < max_held
                    && subscriptions.any(|s| *s.filter == *turn.filter && s.options.qos != QoS::AtMostOnce)
            };
            let mut members: Vec<&mut Replayed> = self.sessions.iter_mut().filter(is_member).collect();
            let count = members.len();
            if let Some(member) = members.get_mut(at % count.max(1)) {
                take_turn(&mut member.kept, queued.offset, *turn);
            }
        }
    }

    fn message(&mut self, view: &RecordView<'_>) {
        if view.packet_id() != 0 && !self.is_contained(usize::from(view.shard()), view) {
            let key = SessionKey { principal: view.principal().into(), client: view.client().into() };
            if let Some(&index) = self.by_key.get(&key) {
                self.sessions[index].kept.state.replay_publish(view.packet_id());
            }
        }
        let route = self.subscriptions.resolve(view.topic());
        let qos = QoS::from_u8(view.qos()).unwrap_or(QoS::AtLeastOnce);
        for target in route.shards.iter().flat_map(|(_, targets)| targets) {
            let own = self.sessions.get(target.session.slot as usize).is_some_and(|session| {
                *session.key.principal == *view.principal() && *session.key.client == *view.client()
            });
            if !(target.no_local && own) {
                self.queue(target, qos, view);
            }
        }
    }

    fn queue(&mut self, target: &Target, qos: QoS, view: &RecordView<'_>) {
        let qos = qos.min(target.qos);
        let index = target.session.slot as usize;
        if qos == QoS::AtMostOnce || self.is_contained(self.sessions[index].home, view) {
            return;
        }
        let queue = &mut self.sessions[index].kept.queue;
        if queue.len() < self.max_queued && queue.iter().all(|queued| queued.offset != view.offset()) {
            let retain = view.flags().has(mohhos_log::Flags::RETAIN) && target.retain_as_published;
            queue.push(Queued {
                offset: view.offset(),
                qos,
                retain,
                sent_ms: 0,
                ids: target.ids.clone(),
                body: None,
                reserved: 0,
                share: None,
            });
        }
    }

    fn change(&mut self, key: SessionKey, home: usize, change: &Change<'_>) {
        let known = self.by_key.get(&key).copied();
        if let Change::Opened { expiry_s, clean } = *change {
            if clean && let Some(index) = known {
                self.end(index);
            }
            let index = match known {
                Some(index) if !clean => index,
                _ => self.add(key, home),
            };
            self.sessions[index].kept.expiry_s = expiry_s;
            self.sessions[index].kept.will = None;
            self.sessions[index].home = home;
            return;
        }
        let Some(index) = known else { return };
        let kept = &mut self.sessions[index].kept;
        match *change {
            Change::Opened { .. } | Change::TookTurn { .. } | Change::TookOver { .. } => {}
            Change::Subscribed { options, filter } => {
                match kept.subscriptions.iter_mut().find(|s| *s.filter == *filter) {
                    Some(subscription) => subscription.options = options,
                    None => kept.subscriptions.push(Subscription { filter: filter.into(), options }),
                }
                self.subscribe(index, filter, options);
            }
            Change::Unsubscribed { filter } => {
                kept.subscriptions.retain(|s| *s.filter != *filter);
                self.subscriptions.unsubscribe(filter, id(index));
            }
            Change::Reserved { offset, packet_id, qos } => kept.state.replay_reserved(offset, qos, packet_id),
            Change::Received { offset } => kept.state.replay_received(offset),
            Change::Settled { offset } => {
                kept.state.replay_settled(offset);
                kept.queue.retain(|queued| queued.offset != offset);
            }
            Change::Released { packet_id } => kept.state.replay_released(packet_id),
            Change::Left { expiry_s, will } => {
                kept.expiry_s = expiry_s;
                kept.will = PendingWill::decode(will).map(Box::new);
            }
            Change::WillGone => kept.will = None,
            Change::Ended => self.end(index),
        }
    }

    fn end(&mut self, index: usize) {
        let session = &mut self.sessions[index];
        session.alive = false;
        let kept = std::mem::take(&mut session.kept);
        let key = session.key.clone();
        self.by_key.remove(&key);
        for subscription in &kept.subscriptions {
            self.subscriptions.unsubscribe(&subscription.filter, id(index));
        }
    }

    fn finish(mut self, start: u64) -> Recovered {
        self.hand_over();
        let alive = self.sessions.into_iter().filter(|session| session.alive);
        let sessions: Vec<Session> = alive.map(|replayed| restored(replayed, self.max_held)).collect();
        let oldest = sessions.iter().filter_map(|session| session.queue.oldest()).min();
        Recovered { needed: oldest.map_or(start, |oldest| oldest.min(start)), sessions }
    }
}

/// Names a session while the log is replayed.
fn id(index: usize) -> SessionId {
    SessionId { shard: 0, slot: index as u32, generation: 0 }
}

/// Queues a message that came by a shared subscription, unless it is there.
fn take_turn(kept: &mut Kept, offset: u64, turn: Turn) {
    let id = delivery_id(offset, &turn.filter);
    if kept.queue.iter().any(|queued| queued.offset == id) {
        return;
    }
    let options = kept.subscriptions.iter().find(|s| *s.filter == *turn.filter).map(|s| s.options);
    let options = options.unwrap_or(Options { qos: turn.qos, ..Options::default() });
    let ids: Box<[u32]> = if options.id == 0 { Box::default() } else { [options.id].into() };
    kept.queue.push(Queued {
        offset: id,
        qos: turn.qos.min(options.qos),
        retain: turn.retain && options.retain_as_published,
        sent_ms: 0,
        ids,
        body: None,
        reserved: 0,
        share: Some(Box::new(turn)),
    });
}

fn restored(replayed: Replayed, max_held: usize) -> Session {
    let Replayed { key, kept, .. } = replayed;
    // Who it really is, is decided when it connects; until then it may do nothing.
    let principal = Arc::new(Principal {
        enabled: false,
        ..Principal::new(&key.principal, PrincipalKind::Application, "", Credential::Anonymous)
    });
    let mut queue = Queue::default();
    for queued in kept.queue {
        queue.push(queued, max_held.saturating_add(usize::from(u16::MAX)));
    }
    queue.restore(kept.state.deliveries());
    let mut session = Session::new(key, principal, None);
    session.persistent = true;
    session.expiry_s = kept.expiry_s;
    session.subscriptions = kept.subscriptions;
    session.queue = queue;
    session.state = Some(kept.state);
    session.will = kept.will;
    session
}
