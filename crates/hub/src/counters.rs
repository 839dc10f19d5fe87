//! What each shard counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter or gauge with one writer: the shard. Others read it now and then.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. One writer, so that a load and a store suffice, and no bus is locked.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Sets a gauge.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Counters and gauges of one shard, on cache lines of their own.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct ShardCounters { $($(#[doc = $doc])+ pub $name: Counter,)+ }

        impl ShardCounters {
            /// Names and values.
            pub fn read(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)+]
            }
        }
    };
}

counters! {
    /// Connections open now.
    connections,
    /// Connections accepted.
    accepted,
    /// TLS handshakes done.
    tls_handshakes,
    /// Of these, resumed sessions.
    tls_resumed,
    /// TLS handshakes that failed, garbage instead of TLS included.
    tls_failed,
    /// TLS handshakes that wait for their turn.
    tls_waiting,
    /// WebSocket handshakes done.
    websockets,
    /// WebSocket handshakes refused, and connections whose frames broke the standard.
    websockets_failed,
    /// Connections refused because of their PROXY protocol header.
    proxy_failed,
    /// Sessions, connected or not.
    sessions,
    /// Subscriptions of these sessions.
    subscriptions,
    /// Messages received from clients.
    messages_in,
    /// Bytes received from clients.
    bytes_in,
    /// Calls of recv that brought bytes.
    receives,
    /// Connections ended because too much memory was held by packets that had not come to their end.
    swollen,
    /// Messages published by the gateway itself.
    internal,
    /// Messages delivered to clients.
    messages_out,
    /// Bytes sent to clients.
    bytes_out,
    /// Messages of QoS 0 dropped because their subscriber was too slow.
    dropped_slow,
    /// Messages of QoS 1 and 2 dropped because a session's queue was full.
    dropped_queue,
    /// Messages dropped because they had expired or were too large for the client.
    dropped_unsendable,
    /// Retained messages that were not kept because there are too many.
    retained_refused,
    /// Messages not delivered because their receiver may not receive them: by its roles, or in quarantine.
    withheld,
    /// Times that a client was not read because it had sent more than it may.
    holds,
    /// Connections, messages and subscriptions refused.
    refused,
    /// Payloads that could not be decoded.
    dead_letters,
    /// Readings decoded.
    readings,
    /// Readings dropped because their device has too many metrics.
    metrics_refused,
    /// Records appended to the log.
    records,
    /// Acknowledgements that wait for the log, in sessions.
    awaiting_commit,
    /// Batches handed to the stream thread.
    batches,
    /// Times that sockets were not read because the log, the stream or another shard was full.
    pauses,
    /// Rounds of the event loop.
    rounds,
    /// Naps under load.
    naps,
}
