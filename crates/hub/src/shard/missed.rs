//! Tells operators whose messages are dropped, and why: the subscriber itself does not notice.

use mohhos_mqtt::ReasonCode;

use super::Shard;
use crate::event::{Action, Refusal};
use crate::session::Session;

/// Why a message was dropped for one subscriber.
#[derive(Debug, Clone, Copy)]
pub enum Cause {
    /// QoS 0, and the client reads too slowly.
    Slow,
    /// QoS 1 or 2, and too many wait.
    Queue,
}

/// Notes that messages for a session were dropped; they are told with the next report.
pub fn note(session: &mut Session, missing: &mut Vec<u32>, cause: Cause, count: u64) {
    if session.missed.is_none() {
        missing.push(session.id.slot);
    }
    let missed = session.missed.get_or_insert_default();
    let counter = match cause {
        Cause::Slow => &mut missed.slow,
        Cause::Queue => &mut missed.queue,
    };
    *counter = counter.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
}

impl Shard {
    /// Tells of all sessions that missed something since the last report.
    pub(super) fn tell_missed(&mut self) {
        for slot in std::mem::take(&mut self.missing) {
            self.tell_missed_of(slot);
        }
    }

    /// Tells what a session missed, if that was not told yet.
    pub(super) fn tell_missed_of(&mut self, slot: u32) {
        let Some(session) = self.sessions.get(slot) else { return };
        let Some(missed) = session.missed.take() else { return };
        let connection = session.connection.and_then(|slot| self.connections.get(slot as usize));
        let nowhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let refusal = Refusal {
            principal: session.key.principal.clone(),
            client: session.key.client.clone(),
            at_us: self.intake.wall_us,
            address: connection.map_or(nowhere, |connection| connection.address),
            reason_code: ReasonCode::QuotaExceeded as u8,
            reason: String::new(),
            action: Action::Receive,
            topic: String::new(),
            count: 0,
        };
        let told = [
            (missed.slow, "it reads more slowly than messages come: the oldest of QoS 0 are dropped for it"),
            (
                missed.queue,
                "limits.max_queued messages of QoS 1 and 2 wait for it: further ones are dropped until it takes them",
            ),
        ];
        for (count, why) in told.into_iter().filter(|(count, _)| *count > 0) {
            let refusal = Refusal { reason: why.into(), count, ..refusal.clone() };
            self.intake.shared.events.refuse(refusal, self.intake.mono_us);
        }
    }
}
