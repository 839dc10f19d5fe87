//! What a shard is asked to do by others: through its inbox and through the rings of the other shards.

use std::sync::Arc;

use mohhos_log::Flags;
use mohhos_mqtt::session::SessionState;
use mohhos_mqtt::{Properties, QoS, ReasonCode};
use rustc_hash::FxHashSet;

use super::Shard;
use super::intake::{Incoming, Origin};
use super::links::Cross;
use crate::publication::{Publication, properties};
use crate::session::checkpoint::{Part, Round, put_session};
use crate::session::queue::Queued;
use crate::shared::{Control, Reply};
use crate::topics::message::SessionId;

/// Publications of the gateway per round.
const MAX_PUBLICATIONS: usize = 1024;
/// Connections that have moved here and are taken in per round.
const MAX_ARRIVALS: usize = 16;

impl Shard {
    /// Does what is in the inbox.
    pub(super) fn controls(&mut self) {
        let shared = self.intake.shared.clone();
        for control in shared.shards[usize::from(self.intake.shard)].take_controls() {
            match control {
                Control::Verified { slot, generation, right } => self.verified(slot, generation, right),
                Control::Handshaken { slot, generation, handshake, progress } => {
                    self.handshaken(slot, generation, handshake, progress);
                }
                Control::Recheck => self.rechecking = Some(0),
                Control::Fetched { session, offset, message } => self.fetched(session, offset, message),
                Control::Forget { principals } => self.forget(&principals),
                Control::Session { key, act } => self.act(&key, &act),
                Control::Review => self.review_all(),
                Control::Inspect(inquiry) => self.inspect(&inquiry),
                Control::Trace { trace, clients } => self.trace(&trace, &clients),
                Control::Checkpoint(round) => self.checkpoint(round).asked = true,
                Control::Drain => self.drain(),
                Control::Stop => self.stopping = true,
            }
        }
    }

    /// Takes in what the other shards have sent.
    pub(super) fn receive(&mut self) {
        let shared = self.intake.shared.clone();
        for from in self.links.others() {
            while let Some(cross) = self.links.receive(from) {
                match cross {
                    Cross::Message(message, route) => {
                        if message.offset != 0 {
                            self.received[usize::from(from)] = message.offset + 1;
                        }
                        self.deliver(&message, &route);
                    }
                    Cross::Turn(message, (member, back)) => {
                        if message.offset != 0 {
                            self.received[usize::from(from)] = message.offset + u64::from(back) + 1;
                        }
                        self.deliver_turn(&message, &member);
                    }
                    Cross::Handover(handover) => {
                        let known = &mut self.received[usize::from(from)];
                        *known = (*known).max(handover.end);
                        self.take_turn(*handover, None);
                    }
                    Cross::Release(member) => self.release(&member),
                    Cross::Transfer(transfer) => self.links.expect(from, transfer),
                    Cross::Status(principal) => self.statuses.push(principal),
                    Cross::Mark(round, end) => self.marked(from, &round, end),
                }
            }
            self.links.drained(from, &shared);
        }
        for _ in 0..MAX_ARRIVALS {
            let Some((transfer, socket)) = self.links.arrival() else { break };
            self.arrived(*transfer, socket);
        }
    }

    /// Publishes what the gateway itself has to say.
    pub(super) fn publications(&mut self) {
        let shared = self.intake.shared.clone();
        let share = &shared.shards[usize::from(self.intake.shard)];
        if !share.has_publications() {
            return;
        }
        for (publication, reply) in share.take_publications(MAX_PUBLICATIONS) {
            self.publish_own(&publication, reply);
        }
    }

    /// While the log takes nothing, who waits for an offset is told so; the publications of the others wait on.
    pub(super) fn refuse_publications(&mut self, why: &str) {
        let shared = self.intake.shared.clone();
        let share = &shared.shards[usize::from(self.intake.shard)];
        for (reply, _) in self.intake.replies.drain(..) {
            reply.send(Err(why.to_owned()));
        }
        share.refuse_waiting(why);
    }

    fn publish_own(&mut self, publication: &Publication, reply: Option<Arc<Reply>>) {
        self.intake.counters().internal.add(1);
        let mut ways = std::mem::take(&mut self.own_ways);
        let device = self.intake.shared.devices.get(&publication.device);
        let origin = Origin {
            principal: &self.own_principal,
            key: &self.own_key,
            id: SessionId::GATEWAY,
            device: device.as_ref(),
        };
        let incoming = Incoming {
            topic: &publication.topic,
            properties: Properties::from_raw(&publication.properties),
            payload: &publication.payload,
            qos: publication.qos,
            retain: publication.retain,
            packet_id: 0,
            flags: Flags::default(),
            device: &publication.device,
            refusable: false,
        };
        let position = self.intake.publish(&mut ways, origin, &incoming).unwrap_or_default();
        self.own_ways = ways;
        if let Some(reply) = reply {
            self.intake.replies.push((reply, position));
        }
    }

    /// Tells the status of devices that came or went.
    pub(super) fn tell_statuses(&mut self) {
        for principal in std::mem::take(&mut self.statuses) {
            let Some(status) = self.intake.shared.presence.tell(&principal) else { continue };
            let state = if status.online { "online" } else { "offline" };
            let payload = serde_json::json!({
                "state": state, "since": status.since_us, "reason": status.reason
            });
            let publication = Publication {
                qos: QoS::AtLeastOnce,
                retain: true,
                properties: properties("application/json", None).unwrap_or_default(),
                device: principal.to_string(),
                ..Publication::new(format!("devices/{principal}/status"), payload.to_string())
            };
            self.publish_own(&publication, None);
        }
    }

    /// Disconnects all sessions of these principals and ends them, without their wills: nobody is left to have sent them.
    fn forget(&mut self, principals: &FxHashSet<Arc<str>>) {
        let theirs: Vec<(u32, Option<u32>)> = self
            .sessions
            .iter()
            .filter(|(_, session)| principals.contains(&session.key.principal))
            .map(|(slot, session)| (slot, session.connection))
            .collect();
        for (slot, connection) in theirs {
            if let Some(connection) = connection {
                self.dismiss(connection, ReasonCode::AdministrativeAction, "the account was removed", false);
            }
            if let Some(session) = self.sessions.get(slot) {
                session.will = None;
            }
            self.end_session(slot);
        }
    }

    fn marked(&mut self, from: u16, round: &Arc<Round>, end: u64) {
        let known = &mut self.received[usize::from(from)];
        *known = (*known).max(end);
        self.checkpoint(round.clone()).marks += 1;
    }

    /// What is known of a checkpoint that is being made; marks may come before the inbox was looked at.
    fn checkpoint(&mut self, round: Arc<Round>) -> &mut Checkpointing {
        let known = self.checkpoints.iter().position(|other| Arc::ptr_eq(&other.round, &round));
        let at = known.unwrap_or(self.checkpoints.len());
        if known.is_none() {
            self.checkpoints.push(Checkpointing { round, asked: false, marked: false, marks: 0 });
        }
        &mut self.checkpoints[at]
    }

    /// Between rounds: marks what was sent so far, and contributes when the marks of all others have come.
    pub(super) fn contribute(&mut self) {
        let waits = !self.intake.staged.is_empty() || !self.intake.handovers.is_empty();
        if self.checkpoints.is_empty() || waits || self.intake.journal.bytes() > 0 {
            return;
        }
        // Whatever this shard appends from now on is at or beyond the end of the log.
        let end = self.intake.shared.log.end();
        self.received[usize::from(self.intake.shard)] = end;
        let others = self.received.len() - 1;
        for at in (0..self.checkpoints.len()).rev() {
            let checkpoint = &mut self.checkpoints[at];
            if checkpoint.asked && !std::mem::replace(&mut checkpoint.marked, true) {
                let round = checkpoint.round.clone();
                self.links.mark(&round, end);
            }
            let checkpoint = &self.checkpoints[at];
            if checkpoint.marked && checkpoint.marks == others {
                let checkpoint = self.checkpoints.swap_remove(at);
                let part = self.part();
                checkpoint.round.contribute(self.intake.shard, part);
            }
        }
    }

    /// The sessions that outlive a restart, as they are now.
    fn part(&self) -> Part {
        let mut part = Part { contained: self.received.clone(), ..Part::default() };
        let nothing = SessionState::default();
        for (_, session) in self.sessions.iter().filter(|(_, s)| !s.persistent && s.queue.has_shared()) {
            // It is not kept, but others of its groups get what it has not acknowledged.
            let shared: Vec<&Queued> =
                session.queue.logged().filter(|queued| queued.share.is_some()).collect();
            put_session(&session.key, 0, &[], shared.into_iter(), &nothing, None, &mut part.bytes);
            part.sessions += 1;
            part.oldest = part.oldest.into_iter().chain(session.queue.oldest()).min();
        }
        for (_, session) in self.sessions.iter().filter(|(_, session)| session.persistent) {
            let connection = session.connection.and_then(|slot| self.connections.get(slot as usize));
            let state = match connection {
                Some(connection) => connection.protocol.state(),
                None => session.state.as_ref().unwrap_or(&nothing),
            };
            let queue = session.queue.logged();
            put_session(
                &session.key,
                session.expiry_s,
                &session.subscriptions,
                queue,
                state,
                session.will.as_deref(),
                &mut part.bytes,
            );
            part.sessions += 1;
            part.oldest = part.oldest.into_iter().chain(session.queue.oldest()).min();
        }
        part
    }

    /// The gateway stops: nobody is let in any more, and everybody is sent away.
    fn drain(&mut self) {
        self.listeners.clear();
        self.accepting.clear();
        let slots: Vec<u32> = self.connections.iter().map(|(slot, _)| slot as u32).collect();
        for slot in slots {
            self.kick(slot, ReasonCode::ServerShuttingDown, "the gateway is stopping");
        }
    }
}

/// A checkpoint that is being made.
pub(super) struct Checkpointing {
    round: Arc<Round>,
    asked: bool,
    marked: bool,
    marks: usize,
}
