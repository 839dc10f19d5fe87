//! The way of a message out of the hub, to a session of this shard.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use mohhos_mqtt::QoS;
use mohhos_mqtt::session::{Delivered, Delivery};

use super::Shard;
use super::connection::{Connection, MAX_OUTPUT};
use super::intake::Intake;
use super::missed::{self, Cause};
use super::plain::Plain;
use crate::devices::DeviceStats;
use crate::session::Session;
use crate::session::queue::{Loose, Queued, RETAINED};
use crate::session::record::Change;
use crate::topics;
use crate::topics::message::{Message, SessionId};
use crate::topics::route::{Route, Target};
use crate::topics::share::offset_of;

/// So much output is written before the end of the round: a round may bring thousands of messages for each of thousands
/// of subscribers, and all of it would be in memory at once.
const EARLY: usize = 32 * 1024;

/// Whether a pump goes on.
#[derive(PartialEq, Eq)]
enum Step {
    /// With the next message.
    On,
    /// With the next message, this one is out.
    Sent,
    /// With the next message, this one cannot be sent.
    GivenUp,
    /// With the next message, this one is for another member of the group.
    PassedOn,
    /// Not before something has happened: room, a commit, a body.
    Wait,
}

impl Shard {
    /// Delivers a message to the sessions of this shard.
    pub(super) fn deliver(&mut self, message: &Arc<Message>, route: &Route) {
        for target in route.on(self.intake.shard) {
            if target.takes(message) {
                self.deliver_to(message, target);
            }
        }
    }

    fn deliver_to(&mut self, message: &Arc<Message>, target: &Target) {
        let Some(session) = self.sessions.by_id(target.session) else { return };
        let limits = &self.intake.shared.config.limits;
        let connection = session.connection.and_then(|slot| self.connections.get_mut(slot as usize));
        let qos = target.qos.min(message.qos);
        if qos != QoS::AtMostOnce {
            let queued = Queued {
                offset: message.offset,
                qos,
                retain: message.retain && target.retain_as_published,
                sent_ms: 0,
                ids: target.ids.clone(),
                body: connection.as_ref().map(|_| message.clone()),
                reserved: 0,
                share: None,
            };
            if session.queue.push(queued, limits.max_queued) {
                if connection.is_some() {
                    Self::wants_pump(session, &mut self.pumps);
                }
            } else {
                self.intake.counters().dropped_queue.add(1);
                count_dropped(session, 1, |stats| &stats.dropped_queue);
                missed::note(session, &mut self.missing, Cause::Queue, 1);
            }
            return;
        }
        if connection.is_some() {
            self.deliver_loose(target.session, Loose::new(message, target));
        }
    }

    /// Delivers a message of QoS 0 to a session of this shard, if its client is there.
    pub(super) fn deliver_loose(&mut self, id: SessionId, loose: Loose) {
        let Some(session) = self.sessions.by_id(id) else { return };
        let limits = &self.intake.shared.config.limits;
        let connection = session.connection.and_then(|slot| self.connections.get_mut(slot as usize));
        let Some(connection) = connection else { return };
        let busy = connection.io.pending() > MAX_OUTPUT || session.queue.has_loose();
        if busy {
            let dropped = session.queue.push_slow(loose, limits.max_backlog_bytes);
            if dropped > 0 {
                self.intake.counters().dropped_slow.add(dropped);
                count_dropped(session, dropped, |stats| &stats.dropped_slow);
                missed::note(session, &mut self.missing, Cause::Slow, dropped);
            }
            return;
        }
        self.spares.lend(&mut connection.io);
        send(connection, session, &self.intake, &Outgoing::loose(0, &loose));
        wants_flush(connection, session, &mut self.dirty);
        if connection.io.pending() >= EARLY && !connection.io.blocked {
            // What else there is to do then, or that the connection is lost, is seen at the end of the round.
            let written = connection.flush(&mut self.spares).unwrap_or_default();
            self.intake.counters().bytes_out.add(written as u64);
        }
    }

    /// Sends what waits for a session, as far as client, window, log and socket permit.
    pub(super) fn pump(&mut self, slot: u32) {
        let Some(session) = self.sessions.get(slot) else { return };
        session.pumping = false;
        let Some(connection) = session.connection.and_then(|slot| self.connections.get_mut(slot as usize))
        else {
            return;
        };
        self.spares.lend(&mut connection.io);
        let mut step = Step::On;
        while step == Step::On && connection.io.pending() <= MAX_OUTPUT {
            step = if let Some(id) = connection.protocol.next_resend() {
                resend(connection, session, &mut self.intake, id)
            } else if session.queue.has_retained() {
                next_retained(connection, session, &self.intake)
            } else if let Some(loose) = session.queue.pop_slow() {
                send(connection, session, &self.intake, &Outgoing::loose(0, &loose));
                Step::On
            } else if session.queue.has_next() {
                next_logged(connection, session, &mut self.intake, &mut self.after_commit)
            } else {
                session.queue.shrink();
                Step::Wait
            };
        }
        wants_flush(connection, session, &mut self.dirty);
    }

    /// A body has come from the log.
    pub(super) fn fetched(&mut self, id: SessionId, offset: u64, message: Option<Box<Message>>) {
        let Some(session) = self.sessions.by_id(id) else { return };
        session.fetching = false;
        match message {
            Some(message) => {
                if let Some(queued) = session.queue.by_offset(offset) {
                    queued.body = Some(Arc::from(message));
                }
            }
            None => {
                // Trimmed or damaged: the message is lost, which is counted. A delivery in flight is given up.
                self.intake.counters().dropped_queue.add(1);
                count_dropped(session, 1, |stats| &stats.dropped_queue);
                let connection = session.connection.and_then(|slot| self.connections.get_mut(slot as usize));
                if let Some(connection) = connection {
                    let mut plain = Plain::new(&mut connection.io.out);
                    connection.protocol.forget(offset, &mut plain);
                }
                let by_turn = session.queue.by_offset(offset).is_some_and(|queued| queued.share.is_some());
                session.queue.settle(offset);
                settled(session, &mut self.intake, offset, by_turn);
            }
        }
        Self::wants_pump(session, &mut self.pumps);
    }

    /// Notes that something can be sent to a session.
    pub(super) fn wants_pump(session: &mut Session, pumps: &mut Vec<u32>) {
        if !std::mem::replace(&mut session.pumping, true) {
            pumps.push(session.id.slot);
        }
    }
}

fn wants_flush(connection: &mut Connection, session: &Session, dirty: &mut Vec<u32>) {
    if connection.io.pending() > 0
        && !connection.io.blocked
        && let Some(slot) = session.connection
        && !std::mem::replace(&mut connection.io.dirty, true)
    {
        dirty.push(slot);
    }
}

/// One message for one client.
struct Outgoing<'a> {
    id: u64,
    message: &'a Message,
    qos: QoS,
    retain: bool,
    ids: &'a [u32],
}

impl<'a> Outgoing<'a> {
    fn loose(id: u64, loose: &'a Loose) -> Self {
        Self { id, message: &loose.message, qos: loose.qos, retain: loose.retain, ids: &loose.ids }
    }

    fn queued(queued: &'a Queued, body: &'a Message) -> Self {
        Self { id: queued.offset, message: body, qos: queued.qos, retain: queued.retain, ids: &queued.ids }
    }
}

/// Puts a message into the output, if the protocol takes it. One that the session may not receive (any more) is given
/// up like one that has expired.
fn send(
    connection: &mut Connection,
    session: &Session,
    intake: &Intake,
    outgoing: &Outgoing<'_>,
) -> Delivered {
    let message = outgoing.message;
    let withheld = !intake.admits(session, message.topic());
    let delivery = Delivery {
        id: outgoing.id,
        topic: message.topic(),
        payload: message.payload(),
        qos: outgoing.qos,
        retain: outgoing.retain,
        properties: message.properties(),
        expiry_s: message.expiry_s(intake.mono_us),
        subscription_ids: outgoing.ids,
    };
    let mut plain = Plain::new(&mut connection.io.out);
    let delivered = if withheld {
        // It may hold a packet id already.
        if outgoing.qos != QoS::AtMostOnce {
            connection.protocol.forget(outgoing.id, &mut plain);
        }
        Delivered::Expired
    } else {
        connection.protocol.deliver(&delivery, &mut plain)
    };
    match delivered {
        Delivered::Sent => {
            intake.counters().messages_out.add(1);
            if let Some(device) = &session.device {
                device.stats.messages_out.fetch_add(1, Relaxed);
                device.stats.bytes_out.fetch_add(message.payload().len() as u64, Relaxed);
            }
        }
        Delivered::TooLarge | Delivered::Expired => {
            let counters = intake.counters();
            if withheld {
                counters.withheld.add(1)
            } else {
                counters.dropped_unsendable.add(1)
            }
            count_dropped(session, 1, |stats| &stats.dropped_unsendable);
        }
        Delivered::Wait | Delivered::Closed => {}
    }
    delivered
}

fn next_retained(connection: &mut Connection, session: &mut Session, intake: &Intake) -> Step {
    let mut queue = std::mem::take(&mut session.queue);
    let mut step = Step::Wait;
    if let Some((id, loose)) = queue.next_retained() {
        let delivered = send(connection, session, intake, &Outgoing::loose(id, loose));
        if !matches!(delivered, Delivered::Wait | Delivered::Closed) {
            queue.pop_retained(delivered == Delivered::Sent);
            step = Step::On;
        }
    }
    session.queue = queue;
    step
}

/// Sends again what was out when the connection before was lost.
fn resend(connection: &mut Connection, session: &mut Session, intake: &mut Intake, id: u64) -> Step {
    let mut queue = std::mem::take(&mut session.queue);
    let mut step = Step::On;
    let mut ended = None;
    let mut give_up = false;
    if id & RETAINED != 0 {
        match queue.retained_in_flight(id) {
            Some(loose) => {
                let delivered = send(connection, session, intake, &Outgoing::loose(id, loose));
                step = if delivered == Delivered::Wait { Step::Wait } else { Step::On };
            }
            None => give_up = true,
        }
    } else if let Some(queued) = queue.by_offset(id) {
        match queued.body.take() {
            Some(body) => match send(connection, session, intake, &Outgoing::queued(queued, &body)) {
                Delivered::Sent => {
                    queued.body = is_command(session, body.topic()).then_some(body);
                    queue.mark_resent(id, intake.mono_us / 1000);
                }
                Delivered::TooLarge | Delivered::Expired => ended = Some(queued.share.is_some()),
                Delivered::Wait | Delivered::Closed => {
                    queued.body = Some(body);
                    step = Step::Wait;
                }
            },
            None => {
                step = Step::Wait;
                fetch(session, intake, id);
            }
        }
    } else {
        give_up = true;
    }
    if give_up {
        let mut plain = Plain::new(&mut connection.io.out);
        if !connection.protocol.forget(id, &mut plain) {
            step = Step::Wait;
        }
    }
    if ended.is_some() {
        queue.settle(id);
    }
    session.queue = queue;
    if let Some(by_turn) = ended {
        settled(session, intake, id, by_turn);
    }
    step
}

/// Sends the next message of QoS 1 or 2. One of QoS 1 need not wait for the log as those of QoS 2 before it may have to.
fn next_logged(
    connection: &mut Connection,
    session: &mut Session,
    intake: &mut Intake,
    after_commit: &mut Vec<u32>,
) -> Step {
    let mut queue = std::mem::take(&mut session.queue);
    let mut step = match queue.next() {
        Some(queued) => next_queued(queued, connection, session, intake, after_commit),
        None => Step::Wait,
    };
    if step == Step::Wait
        && session.awaits_commit
        && let Some(offset) = queue.first_behind()
        && let Some(queued) = queue.by_offset(offset)
        && next_queued(queued, connection, session, intake, after_commit) == Step::Sent
    {
        queue.mark_resent(offset, intake.mono_us / 1000);
        step = Step::On;
    }
    let step = match step {
        Step::Sent => {
            queue.mark_sent(intake.mono_us / 1000);
            Step::On
        }
        Step::GivenUp => {
            if let Some(queued) = queue.give_up() {
                settled(session, intake, queued.offset, queued.share.is_some());
            }
            Step::On
        }
        Step::PassedOn => {
            if let Some(queued) = queue.give_up() {
                intake.hand_over(session.id, &session.key, vec![queued]);
            }
            Step::On
        }
        step => step,
    };
    session.queue = queue;
    step
}

fn next_queued(
    queued: &mut Queued,
    connection: &mut Connection,
    session: &mut Session,
    intake: &mut Intake,
    after_commit: &mut Vec<u32>,
) -> Step {
    let uncommitted = offset_of(queued.offset) >= intake.shared.log.committed();
    if let (Some(turn), Some(body), 0) = (&queued.share, &queued.body, queued.reserved)
        && intake.passes_on(session, turn, body.topic())
    {
        return Step::PassedOn;
    }
    if queued.qos == QoS::ExactlyOnce && !may_send(queued, connection, session, intake) {
        wait_for_commit(session, after_commit);
        return Step::Wait;
    }
    match queued.body.take() {
        None if uncommitted => {
            wait_for_commit(session, after_commit);
            Step::Wait
        }
        None => {
            fetch(session, intake, queued.offset);
            Step::Wait
        }
        Some(body) => match send(connection, session, intake, &Outgoing::queued(queued, &body)) {
            Delivered::Sent => {
                queued.body = is_command(session, body.topic()).then_some(body);
                Step::Sent
            }
            Delivered::TooLarge | Delivered::Expired => Step::GivenUp,
            Delivered::Wait | Delivered::Closed => {
                queued.body = Some(body);
                Step::Wait
            }
        },
    }
}

/// Is this a command for the device whose session it is, or for one that it speaks for? That these were acknowledged is
/// told.
fn is_command(session: &Session, topic: &str) -> bool {
    session.device.is_some()
        && topics::command(topic).is_some_and(|(device, _)| {
            *device == *session.key.principal
                || session.principal.children.iter().any(|child| **child == *device)
        })
}

/// May a message of QoS 2 be sent? It must be on disk, and so must the packet id that a session which outlives a crash
/// will use for it, or the client could get it twice.
fn may_send(
    queued: &mut Queued,
    connection: &mut Connection,
    session: &Session,
    intake: &mut Intake,
) -> bool {
    if offset_of(queued.offset) >= intake.shared.log.committed() {
        return false;
    }
    if session.persistent && queued.reserved == 0 {
        let Some(packet_id) = connection.protocol.reserve(queued.offset, queued.qos) else { return false };
        let change = Change::Reserved { offset: queued.offset, packet_id, qos: queued.qos };
        queued.reserved = intake.journal.change(&session.key, &change);
    }
    queued.reserved <= intake.journal.committed()
}

fn wait_for_commit(session: &mut Session, after_commit: &mut Vec<u32>) {
    if !std::mem::replace(&mut session.awaits_commit, true) {
        after_commit.push(session.id.slot);
    }
}

/// Logs the end of a delivery. Of a message that came by a shared subscription the log knows whose it is, even if it knows
/// no session.
fn settled(session: &Session, intake: &mut Intake, offset: u64, by_turn: bool) {
    if session.persistent || by_turn {
        intake.journal.change(&session.key, &Change::Settled { offset });
    }
}

fn fetch(session: &mut Session, intake: &Intake, offset: u64) {
    if !std::mem::replace(&mut session.fetching, true) {
        intake.shared.clerk.fetch(session.id, offset);
    }
}

pub(super) fn count_dropped(session: &Session, count: u64, cause: impl Fn(&DeviceStats) -> &AtomicU32) {
    if let Some(device) = &session.device {
        cause(&device.stats).fetch_add(count as u32, Relaxed);
    }
}
