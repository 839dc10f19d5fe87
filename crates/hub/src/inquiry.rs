//! A question about the sessions of one principal, which their shards answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mohhos_locks::{Condvar, Mutex};
use serde::Serialize;

/// A session as its shard sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// The client id.
    pub client: String,
    /// It has a connection.
    pub connected: bool,
    /// From where it is connected.
    pub address: Option<SocketAddr>,
    /// What carries the connection: "tcp", "tls", "websocket", "websocket+tls"; empty if there is none.
    pub transport: &'static str,
    /// The listener that accepted the connection.
    pub listener: String,
    /// The MQTT protocol level: 4 (3.1.1) or 5; 0 without a connection.
    pub protocol: u8,
    /// Since when it is connected, microseconds UTC.
    pub since_us: Option<i64>,
    /// Its keep-alive in seconds; 0 for none.
    pub keep_alive_s: u32,
    /// How long it outlives its connection, in seconds; `u32::MAX` for ever.
    pub expiry_s: u32,
    /// It outlives a restart.
    pub persistent: bool,
    /// How many subscriptions it has.
    pub subscription_count: usize,
    /// The first hundred of them.
    pub subscriptions: Vec<SubscriptionView>,
    /// Messages of QoS 1 and 2 that wait to be sent to it.
    pub queued: usize,
    /// Messages that were sent to it and that it has not acknowledged.
    pub in_flight_out: usize,
    /// Messages of QoS 1 and 2 from it that were not acknowledged yet.
    pub in_flight_in: usize,
    /// Bytes that its socket has not taken yet.
    pub unsent_bytes: usize,
    /// The sixteen topics with its latest messages on this connection, the latest first.
    pub topics: Vec<TopicView>,
}

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubscriptionView {
    /// The filter.
    pub filter: String,
    /// The granted QoS.
    pub qos: u8,
}

/// A topic that a session has published to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicView {
    /// The topic.
    pub topic: String,
    /// How many messages, since the connection began.
    pub messages: u64,
    /// When the latest came, microseconds UTC, to about two seconds.
    pub last_us: i64,
    /// Who gets them: subscribers and live views at present.
    pub subscribers: usize,
    /// Messages on it are refused.
    pub refused: bool,
}

/// The question, and the answers so far.
#[derive(Debug)]
pub struct Inquiry {
    /// Whose sessions.
    pub principal: Arc<str>,
    /// The client ids of those that are connected; if there are none, all sessions of the principal are looked for.
    pub clients: Vec<Arc<str>>,
    answers: Mutex<Answers>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Answers {
    missing: usize,
    views: Vec<SessionView>,
}

impl Inquiry {
    /// A question to so many shards.
    pub fn new(principal: &str, clients: Vec<Arc<str>>, shards: usize) -> Self {
        let answers = Mutex::new(Answers { missing: shards, views: Vec::new() });
        Self { principal: principal.into(), clients, answers, arrived: Condvar::new() }
    }

    /// A shard answers.
    pub fn answer(&self, views: Vec<SessionView>) {
        let mut answers = self.answers.lock();
        answers.views.extend(views);
        answers.missing = answers.missing.saturating_sub(1);
        if answers.missing == 0 {
            self.arrived.notify_all();
        }
    }

    /// The answers that come within the time, those of connected sessions first.
    pub fn wait(&self, timeout: Duration) -> Vec<SessionView> {
        let deadline = Instant::now() + timeout;
        let mut answers = self.answers.lock();
        while answers.missing > 0 && !self.arrived.wait_until(&mut answers, deadline).timed_out() {}
        let mut views = std::mem::take(&mut answers.views);
        views.sort_by(|a, b| (!a.connected, &a.client).cmp(&(!b.connected, &b.client)));
        views
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_does_not_answer_does_not_hold_the_others_back_for_ever() {
        let inquiry = Inquiry::new("pump", Vec::new(), 2);
        inquiry.answer(Vec::new());
        assert!(inquiry.wait(Duration::from_millis(1)).is_empty());
        inquiry.answer(Vec::new());
        assert!(inquiry.wait(Duration::from_secs(3600)).is_empty());
    }
}
