//! What the hub is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The hub's configuration. It does not change while the hub runs.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// How many shards; 0: as many as cores, or more if the connections need more open files.
    pub shards: usize,
    /// Where clients connect.
    pub listeners: Vec<ListenerConfig>,
    /// What clients may use.
    pub limits: Limits,
    /// The key under which secrets are hashed.
    pub gateway_key: [u8; 32],
    /// Which start of the gateway this is; stands in all records.
    pub boot_id: u32,
    /// How often the checkpoint of sessions and retained messages is written while running, in seconds.
    pub checkpoint_interval_s: u32,
    /// How many batches may wait for the stream thread, per shard.
    pub batch_ring: usize,
}

/// One listener. All shards accept from it.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Its name, for people.
    pub name: String,
    /// Address and port; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The role of clients that send no credentials; `None` refuses them.
    pub anonymous_role: Option<String>,
    /// What lies between TCP and MQTT.
    pub transport: TransportConfig,
}

/// What lies between TCP and MQTT; by default nothing.
#[derive(Debug, Clone, Default)]
pub struct TransportConfig {
    /// A load balancer sends the client's address first (PROXY protocol, version 2). Whoever reaches the port is believed.
    pub proxy_protocol: bool,
    /// TLS.
    pub tls: Option<TlsConfig>,
    /// WebSocket, within TLS if there is TLS.
    pub websocket: Option<WebSocketConfig>,
}

/// WebSocket.
#[derive(Debug, Clone, Default)]
pub struct WebSocketConfig {
    /// Origins of web pages that may connect, beside those of the gateway's own host.
    pub origins: Vec<String>,
}

/// TLS. All files are PEM.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The server's certificate, followed by those of intermediate authorities.
    pub certificate: PathBuf,
    /// Its key; no other users may read it.
    pub key: PathBuf,
    /// TLS 1.3 alone.
    pub only_newest: bool,
    /// Whether clients show certificates.
    pub clients: ClientCertificates,
    /// The authorities that issue client certificates.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists, one of each authority in a client's chain.
    pub client_revocations: Option<PathBuf>,
    /// What of a client certificate names the principal.
    pub identity: CertificateIdentity,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for one.
    Off,
    /// One that is shown is verified; without one, a password is needed.
    Optional,
    /// Without one nobody gets in.
    Required,
}

/// What of a client certificate names the principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateIdentity {
    /// Nothing: the certificate opens the door, user name and password say who it is.
    Nothing,
    /// The common name (CN) of its subject.
    CommonName,
    /// The DNS name in its subject alternative name (SAN).
    AlternativeName,
}

/// Bounds: what a client may use, and what all of them together.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time, over all shards.
    pub max_connections: usize,
    /// The largest packet, fixed header included.
    pub max_packet_bytes: u32,
    /// Messages of QoS 1 and 2 that a client may have unacknowledged, each way.
    pub max_inflight: u16,
    /// Messages of QoS 1 and 2 that wait for a session.
    pub max_queued: usize,
    /// Bytes of QoS 0 messages that wait for a slow client; the oldest are dropped.
    pub max_backlog_bytes: usize,
    /// Levels of a topic.
    pub max_topic_levels: usize,
    /// Subscriptions of a session.
    pub max_subscriptions: usize,
    /// What the subscriptions of all sessions may take, in bytes, each counted as if it shared nothing with others.
    pub max_subscription_bytes: usize,
    /// Sessions of one principal that outlive their connections.
    pub max_sessions: usize,
    /// Bytes of packets that have not come to their end, over all connections.
    pub max_unfinished_bytes: usize,
    /// The longest keep-alive, in seconds.
    pub keep_alive_max_s: u16,
    /// The longest time that a session outlives its connection, in seconds.
    pub session_expiry_max_s: u32,
    /// How long a new connection may take to say CONNECT, in seconds.
    pub connect_timeout_s: u32,
    /// TLS handshakes that have begun, over all shards; others wait for their turn.
    pub max_handshakes: usize,
    /// Metrics of one device.
    pub metrics_per_device: u32,
    /// Retained messages.
    pub max_retained: usize,
    /// Bytes of retained messages, topics included.
    pub max_retained_bytes: usize,
    /// A reading whose time is more than this after its arrival has a wrong clock.
    pub max_future_us: i64,
    /// A client of MQTT 3.1.1 whose message of QoS 1 or 2 is refused is disconnected; else the message is acknowledged
    /// and dropped, for there is no way to tell it (3.3.5).
    pub disconnect_refused: bool,
}

impl Limits {
    /// How many messages of QoS 1 and 2 may wait for a session, and how many it may have in all, with those that are out.
    pub fn queue_bounds(&self) -> (usize, usize) {
        (self.max_queued, self.max_queued.saturating_add(usize::from(self.max_inflight.max(1))))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            max_packet_bytes: 1 << 20,
            max_inflight: 256,
            max_queued: 1000,
            max_backlog_bytes: 1 << 20,
            max_topic_levels: 16,
            max_subscriptions: 1000,
            max_subscription_bytes: 1 << 30,
            max_sessions: 1000,
            max_unfinished_bytes: 256 << 20,
            keep_alive_max_s: 3600,
            session_expiry_max_s: 7 * 24 * 3600,
            connect_timeout_s: 10,
            max_handshakes: 1000,
            metrics_per_device: 1000,
            max_retained: 200_000,
            max_retained_bytes: 64 << 20,
            max_future_us: 300_000_000,
            disconnect_refused: false,
        }
    }
}

impl HubConfig {
    /// The number of shards: as configured, or enough for the cores and for the connections when a shard's
    /// descriptor table holds `file_limit`.
    pub fn shard_count(&self, cores: usize, file_limit: usize) -> usize {
        if self.shards > 0 {
            return self.shards;
        }
        // Listeners, eventfds, pairs and the log's segments take some of the table.
        let per_shard = file_limit.saturating_sub(RESERVED_FILES).max(1);
        cores.max(self.limits.max_connections.div_ceil(per_shard)).max(1)
    }
}

/// Open files of a shard that are not clients' sockets, generously.
pub(crate) const RESERVED_FILES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_suffice_for_cores_and_for_open_files() {
        let mut config = HubConfig {
            shards: 0,
            listeners: Vec::new(),
            limits: Limits { max_connections: 100_000, ..Limits::default() },
            gateway_key: [0; 32],
            boot_id: 1,
            checkpoint_interval_s: 300,
            batch_ring: 64,
        };
        assert_eq!(config.shard_count(2, 20_000), 6);
        assert_eq!(config.shard_count(8, 1 << 20), 8);
        config.shards = 2;
        assert_eq!(config.shard_count(8, 1 << 20), 2);
    }
}
