//! The hub: one topic space with all that guards it. Shards, listeners, sessions, policy, counters.
//!
//! [`Hub::start`] opens the listeners; each shard is one thread with one event loop, a descriptor table and sessions
//! of its own (see [`shard`](self)). The protocol itself is `mohhos_mqtt`; here are sockets, routing, durability.
//!
//! # Locks
//!
//! Shared by all threads: principals, devices, subscriptions, retained messages, presence, events, dead letters, the
//! inbox of each shard, the bound roles, the meters of limits. Each of these locks is held for one look-up or one change, never while taking another of
//! them and never during I/O; so there is no order between them to keep. What a shard decides per message is in its
//! own memory, revalidated by epochs (atomics).
//!
//! # Descriptors
//!
//! A descriptor's number means something in one table only. A shard therefore never touches files that others
//! opened: the log's files are read and names are assigned on the clerk's thread ([`clerk`](self)).

#![warn(missing_docs)]

pub mod auth;
mod checkpointer;
mod clerk;
pub mod clock;
mod columns;
pub mod config;
pub mod counters;
pub mod devices;
pub mod error;
pub mod event;
mod explain;
mod hub;
mod in_use;
mod inquiry;
pub mod latency;
pub mod policy;
mod pool;
mod presence;
pub mod publication;
mod report;
mod session;
mod shard;
mod shared;
pub mod signal;
mod start;
mod sys;
mod topics;
mod trace;
mod transport;
mod visits;

pub use auth::principals::{Credential, Principal, PrincipalKind};
pub use auth::secrets::{hash_password, hash_secret, verify_password};
pub use clerk::AssignCode;
pub use clock::{Clock, ManualClock, SystemClock};
pub use columns::{Column, DeviceTable};
pub use config::{
    CertificateIdentity, ClientCertificates, HubConfig, Limits, ListenerConfig, TlsConfig, TransportConfig,
    WebSocketConfig,
};
pub use error::HubError;
pub use event::{Action, Event, Events, Refusal};
pub use explain::Explanation;
pub use hub::{Hub, Tap};
pub use inquiry::{SessionView, SubscriptionView, TopicView};
pub use policy::{BUILT_IN_ROLES, QUARANTINE_TOPICS, Standing};
pub use publication::{Publication, properties};
pub use report::{Connection, Drops, Stats};
pub use session::checkpoint::FILE as CHECKPOINT_FILE;
pub use shared::{BatchReceiver, Publisher};
pub use signal::Signal;
pub use start::{HubParts, Prepared};
pub use topics::message::Message;
pub use trace::{Trace, TraceOptions, TracePart};
pub use visits::Visit;

/// What the fuzz targets in fuzz/ need of the inside; not there otherwise.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::pool::Job;
    pub use crate::transport::tls::handshake::{Handshake, Job as HandshakeJob, Progress};
    pub use crate::transport::websocket::frames::{Decoder, Status, Wrong, binary_head};
    pub use crate::transport::websocket::upgrade::{Request, answer};
    pub use crate::transport::{Failure, Layered, Layers, Transport, proxy};
}
