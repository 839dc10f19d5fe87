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
    /// How many were left when the stale ones were last looked for.
    left: usize,
}

/// So many stale ones there may be in any case.
const STALE: usize = 4096;

impl Timers {
    /// Adds one. There is no removal: who set it recognises a stale one, and from time to time they are swept.
    pub fn set(&mut self, at_ms: u64, timer: Timer) {
        self.heap.push(Reverse((at_ms, timer)));
    }

    /// May more than half of them be stale?
    pub fn is_crowded(&self) -> bool {
        self.heap.len() > 2 * self.left + STALE
    }

    /// Forgets those that are stale: clients that come and go would fill memory until their times have come.
    pub fn sweep(&mut self, mut is_live: impl FnMut(u64, &Timer) -> bool) {
        self.heap.retain(|Reverse((at, timer))| is_live(*at, timer));
        self.heap.shrink_to(2 * self.heap.len() + STALE);
        self.left = self.heap.len();
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

    #[test]
    fn stale_timers_are_swept_before_there_are_many() {
        let mut timers = Timers::default();
        for at in 0..100_000 {
            timers.set(at, Timer::Report);
            if timers.is_crowded() {
                timers.sweep(|due, _| due == 7);
            }
            assert!(timers.heap.len() <= STALE + 3);
        }
        assert_eq!(timers.due(100), Some((7, Timer::Report)));
    }
}
