//! What is due when, in milliseconds of the monotonic clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::topics::message::SessionId;

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A connection: keep-alive, time-out of CONNECT, end of closing.
    Connection {
        /// Its slot.
        slot: u32,
        /// Which use of the slot.
        generation: u32,
    },
    /// A connection whose client had sent more than it may is read again.
    Resume {
        /// Its slot.
        slot: u32,
        /// Which use of the slot.
        generation: u32,
    },
    /// A session without a connection may have expired.
    Expiry {
        /// The session.
        session: SessionId,
        /// Its turn when it was left.
        turn: u32,
    },
    /// A will's delay may be over.
    Will {
        /// The session.
        session: SessionId,
        /// Its turn when it was left.
        turn: u32,
    },
    /// Report the devices that were seen, and the refusals that were counted.
    Report,
    /// Handshakes that have stalled may make room for others.
    Admit,
    /// Accept again, after the table of open files was full.
    Accept,
}

/// All timers of a shard.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(u64, Timer)>>,
}

impl Timers {
    /// Adds one. There is no removal: who set it recognises a stale one.
    pub fn set(&mut self, at_ms: u64, timer: Timer) {
        self.heap.push(Reverse((at_ms, timer)));
    }

    /// The next one that is due, with its time.
    pub fn due(&mut self, now_ms: u64) -> Option<(u64, Timer)> {
        let Reverse((at, timer)) = *self.heap.peek()?;
        if at > now_ms {
            return None;
        }
        self.heap.pop();
        Some((at, timer))
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        timers.set(20, Timer::Accept);
        timers.set(10, Timer::Report);
        assert_eq!((timers.next(), timers.due(9)), (Some(10), None));
        assert_eq!(timers.due(30), Some((10, Timer::Report)));
        assert_eq!(timers.due(30), Some((20, Timer::Accept)));
        assert_eq!(timers.due(30), None);
    }
}
