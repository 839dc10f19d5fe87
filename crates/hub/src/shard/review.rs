//! What a session may, after roles, principals or the state of devices have changed: its subscriptions, its limits and
//! the gate before its deliveries.

use super::Shard;
use super::intake::Intake;
use crate::auth::principals::Principal;
use crate::event::Action;
use crate::policy::{Grant, Scope};
use crate::session::record::Change;
use crate::session::{Session, SessionKey};
use crate::shared::Act;
use crate::topics::share::pattern;

/// Sessions that are reviewed per round after a change of roles, so that those who send do not wait for all of them.
const SESSIONS_PER_ROUND: usize = 1000;

impl Shard {
    /// Does something to one session, if it is still here.
    pub(super) fn act(&mut self, key: &SessionKey, act: &Act) {
        let Some(slot) = self.sessions.find(key) else { return };
        match act {
            Act::Review => self.review(slot),
            Act::Kick { code, text, will } => {
                if let Some(connection) = self.sessions.get(slot).and_then(|session| session.connection) {
                    self.dismiss(connection, *code, text, *will);
                }
            }
        }
    }

    /// The roles have changed: all sessions are reviewed, from this round on.
    pub(super) fn review_all(&mut self) {
        self.reviewing = Some(0);
    }

    /// Reviews the next sessions.
    pub(super) fn review_some(&mut self) {
        let Some(from) = self.reviewing else { return };
        let (slots, next) = self.sessions.some_from(from, SESSIONS_PER_ROUND);
        for slot in slots {
            self.review(slot);
        }
        self.reviewing = next;
    }

    /// Holds a session to what its principal may now.
    pub(super) fn review(&mut self, slot: u32) {
        let Some(session) = self.sessions.get(slot) else { return };
        if session.connection.is_none() && !session.principal.enabled {
            // It comes from before a restart, and who it belongs to is known when it connects.
            return;
        }
        let principal = self.intake.current_principal(&session.principal);
        let grant = self.intake.shared.policy.grant(&principal);
        let ended = end_subscriptions(&mut self.intake, session, &principal, &grant);
        session.meter = self.intake.shared.policy.meter(&principal);
        // What was queued before a subscription ended is held back as well.
        let gated = ended || grant.filters_receive || self.intake.speaks_for_quarantined(session, &principal);
        session.gate = gated.then(Box::default);
        session.principal = principal;
        session.ways.clear();
        self.intake.held(session);
        if let Some(connection) = session.connection {
            self.resume(connection);
        }
    }

    /// Stops reading a connection for a while: its client has sent more than it may.
    pub(super) fn hold(&mut self, slot: u32, for_us: u64) {
        let until_ms = (self.intake.mono_us + for_us).div_ceil(1000);
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        connection.io.held_ms = until_ms;
        connection.io.paced = true;
        let timer = super::timers::Timer::Resume { slot, generation: connection.generation };
        self.timers.set(until_ms, timer);
        self.intake.counters().holds.add(1);
    }

    /// Reads a connection again.
    pub(super) fn resume(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if std::mem::take(&mut connection.io.held_ms) != 0 {
            self.mark_ready(slot);
        }
    }
}

/// Ends the subscriptions that are not permitted any more; true if there were some.
fn end_subscriptions(
    intake: &mut Intake,
    session: &mut Session,
    principal: &Principal,
    grant: &Grant,
) -> bool {
    let mut subscriptions = std::mem::take(&mut session.subscriptions);
    let before = subscriptions.len();
    let mut parted = Vec::new();
    subscriptions.retain(|subscription| {
        let scope = Scope::of(principal, &session.key.client);
        let Err(denied) = grant.subscribe(scope, pattern(&subscription.filter)).verdict else { return true };
        intake.shared.subscriptions.unsubscribe(&subscription.filter, session.id);
        intake.shared.release_subscription(&subscription.filter);
        intake.counters().subscriptions.add(1u64.wrapping_neg());
        if session.persistent {
            intake.journal.change(&session.key, &Change::Unsubscribed { filter: &subscription.filter });
        }
        let nowhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        intake.refused(session, nowhere, Action::Subscribe, &subscription.filter, denied);
        parted.push(subscription.filter.clone());
        false
    });
    session.subscriptions = subscriptions;
    for filter in parted {
        intake.parted(session, &filter);
    }
    session.subscriptions.len() < before
}

impl Intake {
    /// May a message on this topic be delivered to the session?
    #[inline]
    pub fn admits(&self, session: &Session, topic: &str) -> bool {
        match &session.gate {
            // A quarantine begins here, however late the shard comes to review the session.
            None => {
                let own = session.device.as_ref();
                own.is_none_or(|own| !own.standing.is_restricted()) || self.may_receive(session, topic)
            }
            Some(gate) => gate.admits(self.shared.policy.epoch(), topic, || self.may_receive(session, topic)),
        }
    }

    fn may_receive(&self, session: &Session, topic: &str) -> bool {
        let principal = self.current_principal(&session.principal);
        let scope = Scope::of(&principal, &session.key.client);
        if self.shared.policy.grant(&principal).receive(scope, topic).verdict.is_err() {
            return false;
        }
        let own = session.device.as_ref();
        if own.is_some_and(|own| !own.standing.talks_to(&own.id, topic)) {
            return false;
        }
        let named = topic.strip_prefix("devices/").and_then(|rest| rest.split('/').next());
        let Some(child) = named.filter(|name| principal.children.iter().any(|child| **child == **name))
        else {
            return true;
        };
        self.shared.devices.get(child).is_none_or(|child| child.standing.talks_to(&child.id, topic))
    }

    fn speaks_for_quarantined(&self, session: &Session, principal: &Principal) -> bool {
        let own = session.device.as_ref().is_some_and(|own| own.standing.is_quarantined());
        let held =
            |child| self.shared.devices.get(child).is_some_and(|child| child.standing.is_quarantined());
        own || principal.children.iter().any(|child| held(child))
    }
}
