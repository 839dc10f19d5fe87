//! A client whose credentials are right becomes the connection of its session: what the home shard does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mohhos_mqtt::ReasonCode;
use mohhos_mqtt::session::Accept;

use super::Shard;
use super::connection::{Arrival, Stage};
use super::links::Cross;
use super::plain::Plain;
use crate::auth::principals::PrincipalKind;
use crate::event::Event;
use crate::presence::Live;
use crate::session::keepers::Keeper;
use crate::session::record::Change;
use crate::session::{Session, SessionKey};

impl Shard {
    /// Accepts CONNECT: takes the session over or makes one, and answers.
    pub(super) fn open(&mut self, slot: u32, arrival: &Arrival) {
        let Some(connection) = self.connections.get(slot as usize) else { return };
        let (id, address) = (connection.id, connection.address);
        let key = SessionKey { principal: arrival.principal.name.clone(), client: arrival.client.clone() };
        let session_slot = self.sessions.find(&key);
        // The new connection is announced before the old one leaves, so that the principal never seems to be gone.
        let live =
            Live { connection: id, client: key.client.clone(), address, since_us: self.intake.wall_us };
        let first = self.intake.shared.presence.connect(&key.principal, live);
        let Some((inflight, keeper)) = self.lets_in(slot, id, arrival) else {
            self.intake.shared.presence.withdraw(&key.principal, id);
            return;
        };
        let other =
            session_slot.and_then(|slot| self.sessions.get(slot)).and_then(|session| session.connection);
        if let Some(other) = other {
            self.kick(other, ReasonCode::SessionTakenOver, "another connection has the same client id");
        }
        let (session_slot, resumed, ended) = self.take_session(key, arrival);
        let Some(session) = self.sessions.get(session_slot) else { return };
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };

        let limits = &self.intake.shared.config.limits;
        let state = resumed.then(|| session.state.take().unwrap_or_default());
        let too_long = arrival.keep_alive == 0 || arrival.keep_alive > limits.keep_alive_max_s;
        let is_device = arrival.principal.kind == PrincipalKind::Device;
        // Below its own topics a device may subscribe, whatever its role.
        let basis = (is_device && connection.protocol.wants_response_information())
            .then(|| format!("devices/{}/", arrival.principal.name));
        let terms = Accept {
            response_information: basis.as_deref(),
            assigned_client_id: arrival.assigned.then_some(&*arrival.client),
            server_keep_alive: (too_long && limits.keep_alive_max_s > 0).then_some(limits.keep_alive_max_s),
            max_session_expiry_s: limits.session_expiry_max_s,
        };
        if let Some(inflight) = inflight {
            connection.protocol.limit_inflight(inflight);
        }
        let now_ms = self.intake.mono_us / 1000;
        self.spares.lend(&mut connection.io);
        let mut plain = Plain::new(&mut connection.io.out);
        connection.protocol.accept(&terms, state, now_ms, &mut plain);
        let retracted = plain.close;
        if retracted.is_none() {
            connection.protocol.committed(self.intake.journal.committed(), &mut plain);
        }
        connection.stage = Stage::Open(session_slot);
        connection.opened_us = self.intake.wall_us;
        if let Some(device) = &session.device {
            device.stats.connects.fetch_add(1, Ordering::Relaxed);
        }

        session.connection = Some(slot);
        session.turn = session.turn.wrapping_add(1);
        session.expiry_s = connection.protocol.expiry_s();
        if session.expiry_s > 0 {
            session.persistent = true;
            session.keeper = keeper.or(session.keeper.take());
            let change = Change::Opened { expiry_s: session.expiry_s, clean: ended };
            self.intake.journal.change(&session.key, &change);
        } else if ended {
            self.intake.journal.change(&session.key, &Change::Ended);
        }
        if first && session.principal.kind == PrincipalKind::Device {
            let principal = session.key.principal.clone();
            self.tell_status(principal);
        }
        self.review(session_slot);
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        self.intake.shared.events.push(Event::Connected {
            principal: arrival.principal.name.clone(),
            client: arrival.client.clone(),
            at_us: self.intake.wall_us,
            address,
            protocol: connection.protocol.version() as u8,
        });
        if let Some(cause) = retracted {
            return self.ended(slot, cause, None);
        }
        connection.io.stalled = !connection.io.unread().is_empty();
        self.mark_ready(slot);
        self.mark_dirty(slot);
        self.set_timer(slot);
        if let Some(session) = self.sessions.get(session_slot) {
            self.intake.came(session);
            Self::wants_pump(session, &mut self.pumps);
        }
    }

    /// Looks once more whether a client may connect, for its account may have changed on the way here: the limit of
    /// its unacknowledged messages, if its roles set one, and its place among the sessions that the principal keeps, if
    /// it asked for one; `None` if it was refused.
    fn lets_in(
        &mut self,
        slot: u32,
        id: u64,
        arrival: &Arrival,
    ) -> Option<(Option<u16>, Option<Arc<Keeper>>)> {
        let shared = self.intake.shared.clone();
        let name = &arrival.principal.name;
        let current = match arrival.principal.kind {
            PrincipalKind::Anonymous => Some(arrival.principal.clone()),
            _ => shared.principals.get(name),
        };
        let (code, why) = match current.filter(|current| current.signs_in_as(&arrival.principal)) {
            None => (ReasonCode::NotAuthorized, "its account was changed or removed while it connected"),
            Some(current) => {
                let limits = shared.policy.grant(&current).limits;
                let others = || shared.presence.before(name, id);
                if limits.connections.is_some_and(|most| others() >= most as usize) {
                    (
                        ReasonCode::QuotaExceeded,
                        "it has as many connections as its role permits; close one, or raise connections of the role",
                    )
                } else if let Some(keeper) = self.place(slot, arrival) {
                    return Some((limits.inflight, keeper));
                } else {
                    (
                        ReasonCode::QuotaExceeded,
                        "it keeps as many sessions as limits.max_sessions permits; use client ids again, ask for a \
                         shorter session expiry, or raise the limit",
                    )
                }
            }
        };
        let address = self.connections.get(slot as usize)?.address;
        self.refuse_event(name, &arrival.client, address, code, why.into());
        self.refuse(slot, code, "");
        None
    }

    /// A place for the session, if it is to outlive its connection: its own, or a new one; `None` if there is none.
    fn place(&mut self, slot: u32, arrival: &Arrival) -> Option<Option<Arc<Keeper>>> {
        let limits = &self.intake.shared.config.limits;
        let asked = self.connections.get(slot as usize)?.protocol.expiry_s();
        if asked.min(limits.session_expiry_max_s) == 0 {
            return Some(None);
        }
        let key = SessionKey { principal: arrival.principal.name.clone(), client: arrival.client.clone() };
        let own = self.sessions.find(&key).and_then(|slot| self.sessions.get(slot)?.keeper.clone());
        own.or_else(|| self.intake.shared.keepers.keep(&key.principal, limits.max_sessions)).map(Some)
    }

    /// The session for a connection: its slot, whether it was there before, and whether one that the log knows has
    /// ended.
    fn take_session(&mut self, key: SessionKey, arrival: &Arrival) -> (u32, bool, bool) {
        let device = self.intake.shared.devices.get(&key.principal);
        let device = device.filter(|_| arrival.principal.kind == PrincipalKind::Device);
        let found = self.sessions.find(&key);
        let mut ended = false;
        if let Some(slot) = found {
            if arrival.clean_start {
                ended = self.remove_session(slot);
            } else if let Some(session) = self.sessions.get(slot) {
                session.principal = arrival.principal.clone();
                session.device = device;
                if session.will.take().is_some() {
                    self.intake.journal.change(&session.key, &Change::WillGone);
                }
                session.ways.clear();
                return (slot, true, false);
            }
        }
        let session = Session::new(key, arrival.principal.clone(), device);
        let slot = self.sessions.insert(session);
        self.intake.counters().sessions.set(self.sessions.len() as u64);
        (slot, false, ended)
    }

    /// Removes a session and its subscriptions; true if the log knows it, and has to be told.
    pub(super) fn remove_session(&mut self, slot: u32) -> bool {
        let Some(mut session) = self.sessions.remove(slot) else { return false };
        for subscription in &session.subscriptions {
            self.intake.shared.subscriptions.unsubscribe(&subscription.filter, session.id);
            self.intake.shared.release_subscription(&subscription.filter);
        }
        let counters = self.intake.counters();
        counters.subscriptions.add((session.subscriptions.len() as u64).wrapping_neg());
        counters.sessions.set(self.sessions.len() as u64);
        if let Some(will) = session.will.clone() {
            self.publish_will(&session, &will.will);
        }
        let taken = session.queue.take_shared(None, true);
        self.intake.hand_over(session.id, &session.key, taken);
        if !session.persistent {
            // What the client may have of QoS 2 ends with the session, and nobody else gets it (4.8.2).
            for queued in session.queue.logged().filter(|queued| queued.share.is_some()) {
                self.intake.journal.change(&session.key, &Change::Settled { offset: queued.offset });
            }
        }
        session.persistent
    }

    /// Ends a session for good.
    pub(super) fn end_session(&mut self, slot: u32) {
        let Some(key) = self.sessions.get(slot).map(|session| session.key.clone()) else { return };
        if self.remove_session(slot) {
            self.intake.journal.change(&key, &Change::Ended);
        }
    }

    /// Has the status of a device told by the shard that always does: so the last one told is the last one that was.
    pub(super) fn tell_status(&mut self, principal: Arc<str>) {
        let teller = self.intake.shared.shard_of(&principal);
        if teller == self.intake.shard {
            self.statuses.push(principal);
        } else {
            self.links.send(teller, Cross::Status(principal));
        }
    }
}
