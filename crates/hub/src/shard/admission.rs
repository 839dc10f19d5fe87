//! Which TLS handshakes may begin: a storm of clients drains in order.
//!
//! Only so many handshakes have begun at a time; the clients that come after them wait, in order, and their time to
//! connect does not run. One that waits costs its socket and nothing else, and if it has gone away meanwhile, nothing is
//! spent on it. A client that is slow in the middle of its handshake is not counted any more after a while, so that slow
//! or hostile ones cannot keep the others waiting; its time to connect goes on.

use std::collections::VecDeque;

use mohhos_mqtt::session::Session as Protocol;

use super::connection::Stage;
use super::timers::Timer;
use super::{Shard, protocol_limits};
use crate::shared::Control;
use crate::transport::tls::handshake::Job;
use crate::transport::{Transport, Turn};

/// A handshake that takes longer is not counted any more, in milliseconds: longer than a small device needs for its
/// signature, or one machine for a thousand of them.
const LEASE_MS: u64 = 4000;

/// The bound and who waits for it.
#[derive(Debug, Default)]
pub struct Admission {
    most: usize,
    running: usize,
    waiting: VecDeque<(u32, u32)>,
    /// Until when each is counted; entries of those that are done are stale.
    leases: VecDeque<(u64, u32, u32)>,
    /// A timer is set for the first of these.
    timed: bool,
}

impl Admission {
    /// So many handshakes may have begun.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), ..Self::default() }
    }

    /// A handshake is over, and its connection with it.
    pub fn release(&mut self, mut transport: Transport) {
        self.finish(&mut transport);
    }

    /// A handshake is over.
    pub fn finish(&mut self, transport: &mut Transport) {
        if let Transport::Layered(layered) = transport
            && std::mem::replace(&mut layered.turn, Turn::None) == Turn::Counted
        {
            self.running -= 1;
        }
    }
}

impl Shard {
    /// Has a handshake go on, if a whole record of it is there: at once if it has begun, else in its turn.
    pub(super) fn advance_handshake(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let generation = connection.generation;
        let Transport::Layered(layered) = &mut connection.transport else { return };
        let Some(handshake) = layered.handshake_to_do() else { return };
        if handshake.has_begun() {
            return self.submit_handshake(slot);
        }
        if layered.turn == Turn::None {
            layered.turn = Turn::Waits;
            self.admission.waiting.push_back((slot, generation));
            self.admit();
        }
    }

    /// The time of a lease is over.
    pub(super) fn lease_due(&mut self) {
        self.admission.timed = false;
        self.admit();
    }

    /// Lets those begin that there is room for.
    pub(super) fn admit(&mut self) {
        if self.admission.waiting.is_empty() && self.admission.leases.is_empty() {
            return;
        }
        self.end_leases();
        while self.admission.running < self.admission.most {
            let Some((slot, generation)) = self.admission.waiting.pop_front() else { break };
            self.begin_handshake(slot, generation);
        }
        self.intake.counters().tls_waiting.set(self.admission.waiting.len() as u64);
        if let Some(&(until_ms, ..)) = self.admission.leases.front()
            && !self.admission.waiting.is_empty()
            && !std::mem::replace(&mut self.admission.timed, true)
        {
            self.timers.set(until_ms, Timer::Admit);
        }
    }

    fn begin_handshake(&mut self, slot: u32, generation: u32) {
        let now_ms = self.now_ms();
        let limits = protocol_limits(&self.intake.shared.config.limits);
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let Transport::Layered(layered) = &mut connection.transport else { return };
        if connection.generation != generation || layered.turn != Turn::Waits {
            return;
        }
        if connection.io.hangup || !matches!(connection.stage, Stage::Greeting) {
            layered.turn = Turn::None;
            return self.lost(slot);
        }
        layered.turn = Turn::Counted;
        // Its time begins now.
        connection.protocol = Protocol::new(limits, now_ms);
        self.admission.running += 1;
        self.admission.leases.push_back((now_ms + LEASE_MS, slot, generation));
        self.set_timer(slot);
        self.submit_handshake(slot);
    }

    /// Counts those no more that take too long because of their clients.
    fn end_leases(&mut self) {
        let now_ms = self.now_ms();
        while let Some(&(until_ms, slot, generation)) = self.admission.leases.front() {
            let connection = self.connections.get_mut(slot as usize);
            let layered = match connection.filter(|connection| connection.generation == generation) {
                Some(connection) => match &mut connection.transport {
                    Transport::Layered(layered) if layered.turn == Turn::Counted => Some(layered),
                    _ => None,
                },
                None => None,
            };
            if layered.is_some() && until_ms > now_ms {
                return;
            }
            self.admission.leases.pop_front();
            match layered {
                // It is our turn, not the client's.
                Some(layered) if layered.is_away() => {
                    self.admission.leases.push_back((now_ms + LEASE_MS, slot, generation));
                }
                Some(layered) => {
                    layered.turn = Turn::Stalled;
                    self.admission.running -= 1;
                }
                None => {}
            }
        }
    }

    fn submit_handshake(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let generation = connection.generation;
        let Transport::Layered(layered) = &mut connection.transport else { return };
        let Some(handshake) = layered.take_handshake() else { return };
        let shared = self.intake.shared.clone();
        let shard = usize::from(self.intake.shard);
        let answer = shared.clone();
        let done = Box::new(move |handshake, progress| {
            answer.shards[shard].send(Control::Handshaken { slot, generation, handshake, progress });
        });
        // Only a pool that has stopped gives it back, and then nobody waits for it.
        let _ = shared.handshakes.submit(Job { handshake, done });
    }

    /// A connection that waits for us is not held to its time; true if it does.
    pub(super) fn waits_for_us(&mut self, slot: u32) -> bool {
        let now_ms = self.now_ms();
        let limits = protocol_limits(&self.intake.shared.config.limits);
        let Some(connection) = self.connections.get_mut(slot as usize) else { return false };
        let Transport::Layered(layered) = &connection.transport else { return false };
        if !matches!(connection.stage, Stage::Greeting) || !(layered.turn == Turn::Waits || layered.is_away())
        {
            return false;
        }
        connection.protocol = Protocol::new(limits, now_ms);
        self.set_timer(slot);
        true
    }
}
