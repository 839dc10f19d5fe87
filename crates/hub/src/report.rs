//! What the hub tells of itself.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use serde::Serialize;

use crate::devices::Device;
use crate::latency::{BUCKETS, Latencies};
use crate::presence::Live;

/// A device and its connections, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Connection {
    /// A session is connected.
    pub connected: bool,
    /// The client ids of the connected sessions.
    pub clients: Vec<String>,
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
    /// Messages for it that were dropped, over all causes.
    pub dropped: u64,
    /// The same by cause.
    pub drops: Drops,
    /// Payloads that could not be decoded.
    pub dead_letters: u64,
    /// Readings whose time was too far in the future.
    pub clock_corrections: u64,
    /// Connections, messages and subscriptions that it was refused.
    pub refused: u64,
    /// Connections that were accepted.
    pub connects: u64,
    /// When it last sent something, microseconds UTC.
    pub last_seen_us: Option<i64>,
    /// How long its messages of QoS 1 and 2 waited for the disk: recent ones by bucket of [`BOUNDS_US`](crate::latency::BOUNDS_US).
    pub commit_latency: [u16; BUCKETS],
    /// How long it took to acknowledge what it was sent, in the same way.
    pub delivery_latency: [u16; BUCKETS],
}

/// Messages that a device was not sent, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Drops {
    /// QoS 0, because it was too slow.
    pub slow: u64,
    /// QoS 1 and 2, because its queue was full.
    pub queue_full: u64,
    /// They had expired, or were too large for it.
    pub unsendable: u64,
}

impl Connection {
    /// Of a device with these sessions.
    pub(crate) fn new(device: &Device, live: &[Live]) -> Self {
        let latest = live.iter().max_by_key(|live| live.since_us);
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let small = |counter: &AtomicU32| u64::from(counter.load(Relaxed));
        let stats = &device.stats;
        let seen = stats.last_seen_us.load(Relaxed);
        let drops = Drops {
            slow: small(&stats.dropped_slow),
            queue_full: small(&stats.dropped_queue),
            unsendable: small(&stats.dropped_unsendable),
        };
        Self {
            connected: !live.is_empty(),
            clients: live.iter().map(|live| live.client.to_string()).collect(),
            address: latest.map(|live| live.address),
            since_us: latest.map(|live| live.since_us),
            messages_in: get(&stats.messages_in),
            messages_out: get(&stats.messages_out),
            bytes_in: get(&stats.bytes_in),
            bytes_out: get(&stats.bytes_out),
            dropped: drops.slow + drops.queue_full + drops.unsendable,
            drops,
            dead_letters: small(&stats.dead_letters),
            clock_corrections: small(&stats.clock_corrections),
            refused: small(&stats.refused),
            connects: small(&stats.connects),
            last_seen_us: (seen != 0).then_some(seen),
            commit_latency: stats.commit.read(),
            delivery_latency: stats.delivery.read(),
        }
    }
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
    /// How long publishers waited for the disk.
    pub commit_latency: Latencies,
    /// How long subscribers took to acknowledge.
    pub delivery_latency: Latencies,
}

impl Stats {
    /// The sum of a counter over all shards.
    pub fn total(&self, name: &str) -> u64 {
        let values = self.shards.iter().flatten().filter(|(other, _)| *other == name);
        values.map(|(_, value)| value).sum()
    }
}
