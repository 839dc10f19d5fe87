//! What the hub tells of itself.

use std::net::SocketAddr;
use std::sync::Arc;

/// A device and its connections, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connection {
    /// A session is connected.
    pub connected: bool,
    /// The client ids of the connected sessions.
    pub clients: Vec<Arc<str>>,
    /// From where the latest is connected.
    pub address: Option<SocketAddr>,
    /// Since when the latest is, microseconds UTC.
    pub since_us: Option<i64>,
    /// Messages that it sent.
    pub messages_in: u64,
    /// Messages that it was sent.
    pub messages_out: u64,
    /// Bytes of payload that it sent.
    pub bytes_in: u64,
    /// Bytes of payload that it was sent.
    pub bytes_out: u64,
    /// Messages for it that were dropped.
    pub dropped: u64,
    /// Payloads that could not be decoded.
    pub dead_letters: u64,
    /// Readings whose time was too far in the future.
    pub clock_corrections: u64,
    /// When it last sent something, microseconds UTC.
    pub last_seen_us: Option<i64>,
}

/// Counters and gauges at one moment.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Per shard, names and values.
    pub shards: Vec<Vec<(&'static str, u64)>>,
    /// Retained messages, and their bytes.
    pub retained: (usize, usize),
    /// Registered devices.
    pub devices: usize,
    /// Connections over all shards.
    pub connections: usize,
    /// Events dropped because nobody fetched them.
    pub events_dropped: u64,
    /// Dead letters since the start.
    pub dead_letters: u64,
}

impl Stats {
    /// The sum of a counter over all shards.
    pub fn total(&self, name: &str) -> u64 {
        let values = self.shards.iter().flatten().filter(|(other, _)| *other == name);
        values.map(|(_, value)| value).sum()
    }
}
