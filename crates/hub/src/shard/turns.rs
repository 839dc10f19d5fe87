//! Shared subscriptions on a shard: messages whose turn it is here, and those that others of the group take over.

use std::sync::Arc;

use mohhos_mqtt::QoS;

use super::Shard;
use super::deliver::count_dropped;
use super::intake::{Incoming, Intake};
use super::links::Cross;
use super::missed::{self, Cause};
use crate::session::queue::{Loose, Queued, Turn};
use crate::session::record::Change;
use crate::session::{Session, SessionKey};
use crate::topics::message::{Message, SessionId};
use crate::topics::route::Route;
use crate::topics::share::{Member, delivery_id, offset_of};

/// A message of QoS 1 or 2 that a member of a group takes over from another.
#[derive(Debug)]
pub struct Handover {
    /// Who takes it.
    pub member: Arc<Member>,
    /// The id of the delivery.
    pub id: u64,
    /// Where it came from.
    pub turn: Turn,
    /// The position of the record that says so, until that is appended.
    pub position: Option<u32>,
    /// Behind that record in the log; 0 until it is appended.
    pub end: u64,
}

/// A member whose turn it is for a message, and how many bytes behind the message's record the one begins that says so
/// (0: there is none).
pub type TakenTurn = (Arc<Member>, u32);

impl Intake {
    /// Picks a member of each group for a message. The choice is logged with the message, whose record is the last.
    pub(super) fn take_turns(
        &mut self,
        route: &Route,
        incoming: &Incoming<'_>,
        position: Option<u32>,
    ) -> Vec<TakenTurn> {
        let mut members = Vec::with_capacity(route.shares.len());
        for share in &route.shares {
            let Some(member) = share.pick(incoming.qos) else { continue };
            let mut back = 0;
            if let Some(position) = position
                && incoming.qos.min(member.options.qos) != QoS::AtMostOnce
            {
                back = (self.journal.bytes() as u32).saturating_sub(position);
                let (qos, retain, filter) = (incoming.qos, incoming.retain, &*member.group.filter);
                self.journal.change(&member.key, &Change::TookTurn { back, qos, retain, filter });
            }
            members.push((member.clone(), back));
        }
        members
    }

    /// Finds other members for messages that a session gives back.
    pub(super) fn hand_over(&mut self, from: SessionId, key: &SessionKey, taken: Vec<Queued>) {
        for queued in taken {
            let Some(turn) = queued.share else { continue };
            let share = self.shared.subscriptions.share(&turn.filter);
            let successor = share.as_ref().and_then(|share| share.successor(from));
            if let Some(member) = successor {
                let offset = offset_of(queued.offset);
                let change =
                    Change::TookOver { offset, qos: turn.qos, retain: turn.retain, filter: &turn.filter };
                self.journal.change(&member.key, &change);
                let position = Some(self.journal.position());
                let member = member.clone();
                self.handovers.push(Handover { member, id: queued.offset, turn: *turn, position, end: 0 });
            } else {
                self.counters().dropped_queue.add(1);
            }
            self.journal.change(key, &Change::Settled { offset: queued.offset });
        }
    }

    /// A session has a shared subscription now, or has it with other options.
    pub(super) fn joined(&mut self, session: &mut Session, member: &Arc<Member>) {
        let others = session.memberships.iter().filter(|other| other.group.filter != member.group.filter);
        session.memberships = others.cloned().chain([member.clone()]).collect();
        self.revive(member);
    }

    /// A session has given up a subscription; if it was shared, others get what it was not sent yet.
    pub(super) fn parted(&mut self, session: &mut Session, filter: &str) {
        if !session.memberships.iter().any(|member| *member.group.filter == *filter) {
            return;
        }
        let others = session.memberships.iter().filter(|member| *member.group.filter != *filter);
        session.memberships = others.cloned().collect();
        let taken = session.queue.take_shared(Some(filter), false);
        self.hand_over(session.id, &session.key, taken);
    }

    /// A session is connected: it gets turns again, and what waits for members who are away.
    pub(super) fn came(&mut self, session: &Session) {
        for member in &session.memberships {
            member.set_online(true);
            member.set_full(false);
            self.revive(member);
        }
    }

    /// A session's client is gone: others get what it has not acknowledged, if they are there.
    pub(super) fn went(&mut self, session: &mut Session) {
        for member in &session.memberships {
            member.set_online(false);
            let filter = &*member.group.filter;
            let share = self.shared.subscriptions.share(filter);
            if share.is_some_and(|share| share.has_other_online(session.id)) {
                let taken = session.queue.take_shared(Some(filter), true);
                self.hand_over(session.id, &session.key, taken);
            }
        }
    }

    /// A session's device is in quarantine: others get what it was not sent yet, if they are there.
    pub(super) fn held(&mut self, session: &mut Session) {
        for member in session.memberships.iter().filter(|member| member.is_quarantined()) {
            let filter = &*member.group.filter;
            let share = self.shared.subscriptions.share(filter);
            if share.is_some_and(|share| share.has_other_online(session.id)) {
                let taken = session.queue.take_shared(Some(filter), false);
                self.hand_over(session.id, &session.key, taken);
            }
        }
    }

    /// Would the session have to withhold the message, and is there another member of its group who may have it?
    pub(super) fn passes_on(&self, session: &Session, turn: &Turn, topic: &str) -> bool {
        session.device.as_ref().is_some_and(|device| device.standing.is_quarantined())
            && !self.admits(session, topic)
            && self
                .shared
                .subscriptions
                .share(&turn.filter)
                .is_some_and(|share| share.successor(session.id).is_some())
    }

    /// Has the members of a group that are away give their messages to one who is there.
    fn revive(&mut self, member: &Arc<Member>) {
        if let Some(share) = self.shared.subscriptions.share(&member.group.filter) {
            let away = share.members.iter().filter(|other| !other.is_online());
            self.releases.extend(away.cloned());
        }
    }
}

impl Shard {
    /// Delivers a message to the session whose turn it is.
    pub(super) fn deliver_turn(&mut self, message: &Arc<Message>, member: &Arc<Member>) {
        let qos = message.qos.min(member.options.qos);
        if qos == QoS::AtMostOnce {
            let retain = message.retain && member.options.retain_as_published;
            let loose = Loose { message: message.clone(), qos, retain, ids: member.ids() };
            return self.deliver_loose(member.session, loose);
        }
        let filter = member.group.filter.clone();
        let turn = Turn { filter, qos: message.qos, retain: message.retain };
        let id = delivery_id(message.offset, &turn.filter);
        let handover = Handover { member: member.clone(), id, turn, position: None, end: 0 };
        self.take_turn(handover, Some(message));
    }

    /// Queues a message of QoS 1 or 2 for a member of a group; if its session has ended or has no room, another may
    /// have it.
    pub(super) fn take_turn(&mut self, handover: Handover, body: Option<&Arc<Message>>) {
        let Handover { member, id, turn, .. } = handover;
        let (max_queued, max_held) = self.intake.shared.config.limits.queue_bounds();
        let is_taken_over = body.is_none();
        let mut queued = Queued {
            offset: id,
            qos: turn.qos.min(member.options.qos),
            retain: turn.retain && member.options.retain_as_published,
            sent_ms: 0,
            ids: member.ids(),
            body: None,
            reserved: 0,
            share: Some(Box::new(turn)),
        };
        let Some(session) = self.sessions.by_id(member.session) else {
            return self.intake.hand_over(member.session, &member.key, vec![queued]);
        };
        if session.queue.by_offset(id).is_some() {
            return;
        }
        let connected = session.connection.is_some();
        if !connected {
            // Its client left while the message was on its way.
            let share = self.intake.shared.subscriptions.share(&member.group.filter);
            if share.is_some_and(|share| share.has_other_online(member.session)) {
                return self.intake.hand_over(member.session, &member.key, vec![queued]);
            }
        }
        queued.body = body.filter(|_| connected).cloned();
        // What others leave behind comes all at once: it may take the places of what is out, too.
        let has_room =
            session.queue.has_room(max_queued) || is_taken_over && session.queue.logged().len() < max_held;
        if has_room {
            session.queue.push(queued, usize::MAX);
            member.set_full(!session.queue.has_room(max_queued));
            if connected {
                Self::wants_pump(session, &mut self.pumps);
            }
            return;
        }
        // It was marked as full before its queue was: the turn goes on, unless all are full.
        member.set_full(true);
        let share = self.intake.shared.subscriptions.share(&member.group.filter);
        let other = share.as_ref().and_then(|share| share.successor(member.session));
        if other.is_some_and(|other| other.is_online() && !other.is_full()) {
            self.intake.hand_over(member.session, &member.key, vec![queued]);
        } else {
            self.intake.counters().dropped_queue.add(1);
            count_dropped(session, 1, |stats| &stats.dropped_queue);
            missed::note(session, &mut self.missing, Cause::Queue, 1);
            self.intake.journal.change(&member.key, &Change::Settled { offset: id });
        }
    }

    /// Sends on their way the messages whose new owners are logged.
    pub(super) fn send_handovers(&mut self) {
        if self.intake.handovers.is_empty() {
            return;
        }
        let (appended, later) =
            std::mem::take(&mut self.intake.handovers).into_iter().partition(|handover| handover.end != 0);
        self.intake.handovers = later;
        let appended: Vec<Handover> = appended;
        for handover in appended {
            let shard = handover.member.session.shard;
            if shard == self.intake.shard {
                self.take_turn(handover, None);
            } else {
                self.links.send(shard, Cross::Handover(Box::new(handover)));
            }
        }
    }

    /// Asks members who are away for their messages.
    pub(super) fn send_releases(&mut self) {
        for member in std::mem::take(&mut self.intake.releases) {
            if member.session.shard == self.intake.shard {
                self.release(&member);
            } else {
                self.links.send(member.session.shard, Cross::Release(member));
            }
        }
    }

    /// A member of its group is there: a session whose client is away gives its messages to it.
    pub(super) fn release(&mut self, member: &Arc<Member>) {
        let Some(session) = self.sessions.by_id(member.session) else { return };
        if session.connection.is_none() {
            self.intake.went(session);
        }
    }
}
