//! A tap: a bounded live view on messages for whoever watches, without a session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mohhos_locks::{Condvar, Mutex};

use super::message::Message;

/// The queue of a tap. The oldest messages make room and are counted.
#[derive(Debug)]
pub struct TapQueue {
    messages: Mutex<VecDeque<Arc<Message>>>,
    arrived: Condvar,
    capacity: usize,
    dropped: AtomicU64,
    closed: AtomicBool,
}

impl TapQueue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            messages: Mutex::default(),
            arrived: Condvar::new(),
            capacity: capacity.max(1),
            dropped: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn push(&self, message: Arc<Message>) {
        let mut messages = self.messages.lock();
        if messages.len() >= self.capacity {
            messages.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        messages.push_back(message);
        drop(messages);
        self.arrived.notify_one();
    }

    /// The next messages, at most `max`; waits up to `timeout` for the first. Empty at once after the end.
    pub fn next(&self, max: usize, timeout: Duration) -> Vec<Arc<Message>> {
        let mut messages = self.messages.lock();
        if messages.is_empty() && !self.closed.load(Ordering::Acquire) {
            self.arrived.wait_for(&mut messages, timeout);
        }
        let count = messages.len().min(max);
        messages.drain(..count).collect()
    }

    /// How many messages were dropped because nobody fetched them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.arrived.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::message::SessionId;

    #[test]
    fn a_full_tap_drops_the_oldest_and_counts() {
        let tap = TapQueue::new(2);
        for topic in ["a", "b", "c"] {
            tap.push(Arc::new(Message::new(topic, &[], &[], SessionId::GATEWAY, "p".into())));
        }
        let topics: Vec<String> = tap.next(10, Duration::ZERO).iter().map(|m| m.topic().to_owned()).collect();
        assert_eq!(topics, ["b", "c"]);
        assert_eq!(tap.dropped(), 1);
    }
}
