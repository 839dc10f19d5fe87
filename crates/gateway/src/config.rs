//! The configuration, as Python gives it: JSON. The keys are those of `python/mohhos/_native.pyi`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use mohhos_history::HistoryConfig;
use mohhos_hub::{
    CertificateIdentity, ClientCertificates, HubConfig, Limits, ListenerConfig, TlsConfig, TransportConfig,
    WebSocketConfig,
};
use mohhos_log::{Class, Classes, LogConfig};
use mohhos_stream::EngineConfig;

use crate::error::GatewayError;

/// The whole configuration. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// What the gateway is called.
    pub name: String,
    /// How many shards; 0 for as many as suit the machine and the connections.
    pub shards: usize,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// What clients may use.
    pub limits: LimitsSection,
    /// The log.
    pub log: LogSection,
    /// The history.
    pub history: HistorySection,
    /// The rules' engine.
    pub stream: StreamSection,
    /// Clocks.
    pub time: TimeSection,
    /// 32 bytes as 64 hexadecimal digits.
    pub gateway_key: String,
}

/// One listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Address and port.
    pub bind: SocketAddr,
    /// The role of clients without credentials.
    pub anonymous_role: Option<String>,
    /// A load balancer tells the clients' addresses.
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Origins of web pages that may connect by WebSocket; without it there is no WebSocket.
    #[serde(default)]
    pub websocket_origins: Option<Vec<String>>,
    /// TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// TLS of a listener; paths of PEM files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the names are those of the configuration, which docs/configuration.md explains"
)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub only_newest: bool,
    pub clients: Clients,
    pub client_ca: Option<PathBuf>,
    pub client_revocations: Option<PathBuf>,
    pub identity: Identity,
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clients {
    /// They are not asked.
    Off,
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// What of a client certificate names the principal.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// Nothing.
    None,
    /// The common name.
    Cn,
    /// The DNS name in the subject alternative name.
    San,
}

impl Listener {
    fn hub(&self) -> ListenerConfig {
        ListenerConfig {
            name: self.name.clone(),
            bind: self.bind,
            anonymous_role: self.anonymous_role.clone(),
            transport: TransportConfig {
                proxy_protocol: self.proxy_protocol,
                tls: self.tls.as_ref().map(Tls::hub),
                websocket: self.websocket_origins.clone().map(|origins| WebSocketConfig { origins }),
            },
        }
    }
}

impl Tls {
    fn hub(&self) -> TlsConfig {
        TlsConfig {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            only_newest: self.only_newest,
            clients: match self.clients {
                Clients::Off => ClientCertificates::Off,
                Clients::Optional => ClientCertificates::Optional,
                Clients::Required => ClientCertificates::Required,
            },
            client_ca: self.client_ca.clone(),
            client_revocations: self.client_revocations.clone(),
            identity: match self.identity {
                Identity::None => CertificateIdentity::Nothing,
                Identity::Cn => CertificateIdentity::CommonName,
                Identity::San => CertificateIdentity::AlternativeName,
            },
        }
    }
}

/// Bounds for clients.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the names are those of the configuration, which docs/configuration.md explains"
)]
pub struct LimitsSection {
    pub max_connections: usize,
    pub max_packet_bytes: u32,
    pub max_inflight: u16,
    pub max_queued: usize,
    pub max_topic_levels: usize,
    pub max_subscriptions: usize,
    pub max_subscription_bytes: usize,
    pub max_sessions: usize,
    pub max_unfinished_bytes: usize,
    pub max_backlog_bytes: usize,
    pub keep_alive_max_s: u16,
    pub session_expiry_max_s: u32,
    pub connect_timeout_s: u32,
    pub max_handshakes: usize,
    pub metrics_per_device: u32,
    pub max_retained: usize,
    pub max_retained_bytes: usize,
    pub disconnect_refused: bool,
}

/// The log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the names are those of the configuration, which docs/configuration.md explains"
)]
pub struct LogSection {
    pub segment_bytes: u64,
    pub retain_bytes: u64,
    pub retain_age_s: u64,
    pub commit_interval_us: u64,
    pub buffer_bytes: usize,
    pub trim_when_full: bool,
    pub classes: Vec<LogClass>,
}

/// A topic class of the log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the names are those of the configuration, which docs/configuration.md explains"
)]
pub struct LogClass {
    pub name: String,
    pub topics: Vec<String>,
    pub retain_bytes: u64,
    pub retain_age_s: u64,
    pub sync_interval_us: u64,
}

/// The history.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the names are those of the configuration, which docs/configuration.md explains"
)]
pub struct HistorySection {
    pub flush_rows: usize,
    pub flush_interval_s: i64,
    pub retain_bytes: u64,
    pub retain_age_s: i64,
}

/// The rules' engine.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the names are those of the configuration, which docs/configuration.md explains"
)]
pub struct StreamSection {
    pub idle_timeout_s: i64,
    pub snapshot_interval_s: u64,
    pub max_state_bytes: usize,
}

/// Clocks.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the names are those of the configuration, which docs/configuration.md explains"
)]
pub struct TimeSection {
    pub max_future_s: i64,
    pub build_time_us: i64,
}

const SECOND_US: i64 = 1_000_000;
/// How often sessions and retained messages are checkpointed.
const CHECKPOINT_INTERVAL_S: u32 = 300;
/// Batches that wait for the stream thread, per shard: at 8k rows each some 10 MiB before sockets wait.
const BATCH_RING: usize = 64;

impl LogSection {
    fn classes(&self) -> Result<Classes, GatewayError> {
        let classes = self.classes.iter().map(|class| Class {
            name: class.name.clone(),
            topics: class.topics.clone(),
            retain_bytes: class.retain_bytes,
            retain_age_us: class.retain_age_s * SECOND_US as u64,
            sync_interval_us: class.sync_interval_us,
        });
        Classes::new(classes.collect()).map_err(|e| GatewayError::config(e.to_string()))
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// It is not JSON of the right form.
    pub fn parse(json: &str) -> Result<Self, GatewayError> {
        let config: Self = serde_json::from_str(json).map_err(|e| GatewayError::config(e.to_string()))?;
        config.key()?;
        config.log.classes()?;
        Ok(config)
    }

    fn key(&self) -> Result<[u8; 32], GatewayError> {
        let wrong = || GatewayError::config("gateway_key must be 64 hexadecimal digits".into());
        let mut key = [0u8; 32];
        if self.gateway_key.len() != 64 || !self.gateway_key.is_ascii() {
            return Err(wrong());
        }
        for (byte, digits) in key.iter_mut().zip(self.gateway_key.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(key)
    }

    pub(crate) fn hub(&self, boot_id: u32) -> Result<HubConfig, GatewayError> {
        let limits = &self.limits;
        Ok(HubConfig {
            shards: self.shards,
            listeners: self.listeners.iter().map(Listener::hub).collect(),
            limits: Limits {
                max_connections: limits.max_connections,
                max_packet_bytes: limits.max_packet_bytes,
                max_inflight: limits.max_inflight,
                max_queued: limits.max_queued,
                max_topic_levels: limits.max_topic_levels,
                max_subscriptions: limits.max_subscriptions,
                max_subscription_bytes: limits.max_subscription_bytes,
                max_sessions: limits.max_sessions,
                max_unfinished_bytes: limits.max_unfinished_bytes,
                max_backlog_bytes: limits.max_backlog_bytes,
                keep_alive_max_s: limits.keep_alive_max_s,
                session_expiry_max_s: limits.session_expiry_max_s,
                connect_timeout_s: limits.connect_timeout_s,
                max_handshakes: limits.max_handshakes,
                metrics_per_device: limits.metrics_per_device,
                max_retained: limits.max_retained,
                max_retained_bytes: limits.max_retained_bytes,
                disconnect_refused: limits.disconnect_refused,
                max_future_us: self.time.max_future_s * SECOND_US,
            },
            gateway_key: self.key()?,
            boot_id,
            checkpoint_interval_s: CHECKPOINT_INTERVAL_S,
            batch_ring: BATCH_RING,
        })
    }

    pub(crate) fn log(&self) -> Result<LogConfig, GatewayError> {
        Ok(LogConfig {
            segment_bytes: self.log.segment_bytes,
            retain_bytes: self.log.retain_bytes,
            retain_age_us: self.log.retain_age_s * SECOND_US as u64,
            commit_interval_us: self.log.commit_interval_us,
            buffer_bytes: self.log.buffer_bytes,
            trim_when_full: self.log.trim_when_full,
            classes: self.log.classes()?,
            ..LogConfig::default()
        })
    }

    pub(crate) fn history(&self) -> HistoryConfig {
        HistoryConfig {
            flush_rows: self.history.flush_rows,
            flush_interval_us: self.history.flush_interval_s * SECOND_US,
            retain_bytes: self.history.retain_bytes,
            retain_age_us: self.history.retain_age_s * SECOND_US,
            ..HistoryConfig::default()
        }
    }

    pub(crate) fn engine(&self) -> EngineConfig {
        EngineConfig {
            idle_timeout_us: self.stream.idle_timeout_s * SECOND_US,
            max_state_bytes: self.stream.max_state_bytes,
        }
    }
}
