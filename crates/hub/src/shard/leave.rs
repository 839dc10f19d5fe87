//! How a connection ends, and what that means for its session.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use mohhos_log::Flags;
use mohhos_mqtt::ReasonCode;
use mohhos_mqtt::session::{Close, Session as Protocol, Will};

use super::Shard;
use super::connection::Stage;
use super::host::Outcome;
use super::intake::{Incoming, Origin};
use super::plain::Plain;
use super::protocol_limits;
use super::timers::Timer;
use crate::auth::principals::PrincipalKind;
use crate::event::{Action, Event, Refusal};
use crate::session::Session;
use crate::session::pending_will::PendingWill;
use crate::session::record::Change;
use crate::visits::{Visit, code, words};

/// How long a closing connection may take to read what is left for it, in milliseconds.
const LINGER_MS: u64 = 2000;

impl Shard {
    /// Refuses CONNECT.
    pub(super) fn refuse(&mut self, slot: u32, code: ReasonCode, text: &str) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        self.spares.lend(&mut connection.io);
        let mut plain = Plain::new(&mut connection.io.out);
        connection.protocol.refuse(code, text, &mut plain);
        self.ended(slot, Close::Refused(code), None);
    }

    /// Disconnects a client; its will is published.
    pub(super) fn kick(&mut self, slot: u32, code: ReasonCode, text: &str) {
        self.dismiss(slot, code, text, true);
    }

    /// Disconnects a client, whose will is published if `fires_will`.
    pub(super) fn dismiss(&mut self, slot: u32, code: ReasonCode, text: &str, fires_will: bool) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        self.spares.lend(&mut connection.io);
        let mut plain = Plain::new(&mut connection.io.out);
        connection.protocol.kick(code, text, &mut plain);
        let (will, close) = (plain.will.filter(|_| fires_will), plain.close);
        if let Some(cause) = close {
            self.ended(slot, cause, will);
        }
    }

    /// The other side has closed, or the socket failed.
    pub(super) fn lost(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if matches!(connection.stage, Stage::Closing) {
            return self.drop_connection(slot);
        }
        let mut plain = Plain::new(&mut connection.io.out);
        connection.protocol.transport_closed(&mut plain);
        let will = plain.will;
        self.ended(slot, Close::Transport, will);
    }

    /// Keep-alive or the time for CONNECT may be over.
    pub(super) fn tick(&mut self, slot: u32) {
        let now_ms = self.now_ms();
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        self.spares.lend(&mut connection.io);
        let mut plain = Plain::new(&mut connection.io.out);
        connection.protocol.tick(now_ms, &mut plain);
        let (will, close) = (plain.will, plain.close);
        let Some(cause) = close else { return self.set_timer(slot) };
        if let Stage::Verifying(arrival, _) = &connection.stage {
            let (name, client) = (arrival.principal.name.clone(), arrival.client.clone());
            let address = connection.address;
            let why = "its password was not verified in time, for too many wait; it may try again, or use a generated \
                       secret";
            self.refuse_event(&name, &client, address, ReasonCode::ServerBusy, why.into());
        }
        self.ended(slot, cause, will);
    }

    /// Does what a call into the protocol brought about.
    pub(super) fn outcome(&mut self, slot: u32, outcome: Outcome) {
        if outcome.pump
            && let Some(connection) = self.connections.get(slot as usize)
            && let Stage::Open(session) = connection.stage
            && let Some(session) = self.sessions.get(session)
        {
            Self::wants_pump(session, &mut self.pumps);
        }
        if let Some(request) = outcome.request {
            self.requested(slot, request);
        }
        if let Some(cause) = outcome.close {
            self.ended(slot, cause, outcome.will);
        }
    }

    /// The protocol has ended the connection: the session is left or ends, and the socket is closed when the client
    /// has what is left for it.
    pub(super) fn ended(&mut self, slot: u32, cause: Close, will: Option<Box<Will>>) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let stage = std::mem::replace(&mut connection.stage, Stage::Closing);
        if matches!(stage, Stage::Closing) {
            return;
        }
        let expiry_s = connection.protocol.expiry_s();
        let closed = Protocol::new(protocol_limits(&self.intake.shared.config.limits), 0);
        let protocol = std::mem::replace(&mut connection.protocol, closed);
        let (id, address) = (connection.id, connection.address);
        let visit = Visit {
            client: None,
            address: Some(address),
            protocol: Some(protocol.version() as u8),
            since_us: connection.opened_us,
            until_us: self.intake.wall_us,
            reason_code: code(cause) as u8,
            reason: words(cause),
            last_topic: None,
        };
        if let Some(tracer) = &mut connection.tracer {
            tracer.outgoing(&connection.io.out);
            tracer.keep_seen(connection.io.out.len());
            tracer.closed(&visit.reason, visit.reason_code);
        }
        connection.io.take_unread(&self.unread);
        connection.io.stalled = false;
        if let Stage::Open(session_slot) = stage {
            if let Some(session) = self.sessions.get(session_slot) {
                session.state = Some(protocol.into_state());
                let key = session.key.clone();
                if matches!(cause, Close::Violation(_)) {
                    self.refused_for_good(Action::Protocol, &key.principal, &key.client, address, cause);
                }
            }
            self.tell_missed_of(session_slot);
            self.leave(session_slot, id, visit, cause, will, expiry_s);
        } else if matches!(cause, Close::Violation(_) | Close::ConnectTimeout) {
            self.refused_for_good(Action::Connect, "", "", address, cause);
        }
        match cause {
            // Nobody reads what would be written.
            Close::Transport => self.drop_connection(slot),
            Close::Disconnect(_) => {
                if let Some(connection) = self.connections.get_mut(slot as usize) {
                    connection.take_leave(&mut self.spares);
                }
                self.drop_connection(slot);
            }
            _ => self.linger(slot),
        }
    }

    /// Tells operators whose connection was ended for what it did.
    fn refused_for_good(
        &self,
        action: Action,
        principal: &str,
        client: &str,
        address: SocketAddr,
        cause: Close,
    ) {
        self.intake.counters().refused.add(1);
        let refusal = Refusal {
            principal: principal.into(),
            client: client.into(),
            at_us: self.intake.wall_us,
            address,
            reason_code: code(cause) as u8,
            reason: words(cause),
            action,
            topic: String::new(),
            count: 1,
        };
        self.intake.shared.events.refuse(refusal, self.intake.mono_us);
    }

    /// Writes what is left, says that nothing more comes, and waits for the client to close: closing at once with
    /// something unread would take back what was just written.
    pub(super) fn linger(&mut self, slot: u32) {
        let deadline = self.now_ms() + LINGER_MS;
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if connection.flush(&mut self.spares).is_err() {
            return self.drop_connection(slot);
        }
        if connection.io.pending() == 0 {
            connection.conclude(&mut self.spares);
        }
        let timer = Timer::Connection { slot, generation: connection.generation };
        connection.timer_ms = deadline;
        self.timers.set(deadline, timer);
        self.mark_ready(slot);
    }

    /// Closes a socket and frees its slot.
    pub(super) fn drop_connection(&mut self, slot: u32) {
        if let Some(mut connection) = self.connections.try_remove(slot as usize) {
            connection.io.take_unread(&self.unread);
            self.admission.release(connection.transport);
            self.intake.shared.connections.fetch_sub(1, Ordering::Relaxed);
            self.intake.counters().connections.set(self.connections.len() as u64);
        }
    }

    /// A session has lost its connection, and outlives it by so many seconds.
    fn leave(
        &mut self,
        slot: u32,
        connection: u64,
        visit: Visit,
        cause: Close,
        will: Option<Box<Will>>,
        expiry_s: u32,
    ) {
        let now_ms = self.now_ms();
        let Some(session) = self.sessions.get(slot) else { return };
        let is_changed = std::mem::replace(&mut session.expiry_s, expiry_s) != expiry_s;
        let delay_s = will.as_ref().map_or(0, |will| will.delay_s.min(expiry_s));
        let due_us = self.intake.wall_us.saturating_add(i64::from(delay_s) * 1_000_000);
        let (waits, now) = if delay_s == 0 { (None, will) } else { (will, None) };
        let is_fired = waits.is_some() || now.is_some();
        session.will = waits.map(|will| Box::new(PendingWill { will: *will, due_us }));
        if session.persistent && expiry_s > 0 && (is_changed || session.will.is_some()) {
            let mut encoded = Vec::new();
            if let Some(will) = &session.will {
                will.encode(&mut encoded);
            }
            self.intake.journal.change(&session.key, &Change::Left { expiry_s, will: &encoded });
        }
        session.connection = None;
        session.turn = session.turn.wrapping_add(1);
        session.queue.disconnected();
        let last_topic = session.ways.latest(1).next().map(|way| way.topic.to_string());
        session.ways.clear();
        self.intake.went(session);
        if let Some(device) = &session.device {
            device.stats.ends.add(visit.since_us, visit.until_us, cause);
        }
        let (key, turn, id) = (session.key.clone(), session.turn, session.id);
        let kind = session.principal.kind;
        let shared = self.intake.shared.clone();
        let reason = visit.reason.clone();
        let client = Some(key.client.to_string());
        shared.visits.add(&key.principal, Visit { client, last_topic, ..visit });
        let last = shared.presence.disconnect(&key.principal, connection, self.intake.wall_us, &reason);
        shared.events.push(Event::Disconnected {
            principal: key.principal.clone(),
            client: key.client.clone(),
            at_us: self.intake.wall_us,
            reason,
            clean: matches!(cause, Close::Disconnect(_)),
            will: is_fired,
            last,
        });
        if delay_s > 0 {
            self.timers.set(now_ms + u64::from(delay_s) * 1000, Timer::Will { session: id, turn });
        }
        if let Some(will) = now {
            self.publish_will_of(slot, &will);
        }
        if expiry_s == 0 {
            self.end_session(slot);
        } else if expiry_s != u32::MAX {
            let at = now_ms + u64::from(expiry_s) * 1000;
            self.timers.set(at, Timer::Expiry { session: id, turn });
        }
        if last && kind == PrincipalKind::Device {
            self.tell_status(key.principal);
        }
    }

    /// The delay of a session's will is over.
    pub(super) fn will_due(&mut self, slot: u32) {
        let Some(session) = self.sessions.get(slot) else { return };
        let Some(pending) = session.will.take() else { return };
        let key = session.key.clone();
        self.publish_will_of(slot, &pending.will);
        // In the same batch of records as the will itself.
        self.intake.journal.change(&key, &Change::WillGone);
    }

    fn publish_will_of(&mut self, slot: u32, will: &Will) {
        let Some(session) = self.sessions.get(slot) else { return };
        let (principal, device) = (session.principal.clone(), session.device.clone());
        let mut publisher = Session::new(session.key.clone(), principal, device);
        publisher.id = session.id;
        self.publish_will(&publisher, will);
    }

    /// Publishes the will of a session, if its role permits the topic.
    pub(super) fn publish_will(&mut self, session: &Session, will: &Will) {
        let mut ways = crate::session::ways::Ways::default();
        let origin = Origin {
            principal: &session.principal,
            key: &session.key,
            id: session.id,
            device: session.device.as_ref(),
        };
        let incoming = Incoming {
            topic: &will.topic,
            properties: will.properties(),
            payload: &will.payload,
            qos: will.qos,
            retain: will.retain,
            packet_id: 0,
            flags: Flags::WILL,
            device: "",
            refusable: true,
        };
        if let Err(denied) = self.intake.publish(&mut ways, origin, &incoming) {
            let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
            self.intake.refused(session, nowhere, Action::Publish, &will.topic, denied);
        }
    }
}
