//! One running native gateway: hub, log, stream and history joined by threads and rings.

#![warn(missing_docs)]

mod alarms;
mod backup;
mod boot;
pub mod config;
mod control;
pub mod error;
mod gateway;
mod history_thread;
pub mod log_view;
mod log_watch;
mod observe;
mod positions;
mod process;
mod replay;
mod results;
mod running;
mod saver;
mod stats;
mod stream_thread;
mod tables;
pub mod telemetry_tap;

pub use config::Config;
pub use error::GatewayError;
pub use gateway::Gateway;
pub use mohhos_decode::DeadLetter;
pub use mohhos_history::{Cut, Filter};
pub use mohhos_hub::latency::{BOUNDS_US, Latencies};
pub use mohhos_hub::{
    Action, BUILT_IN_ROLES, Clock, Column, Connection, Credential, DeviceTable, Event, Explanation,
    ManualClock, Message, Principal, PrincipalKind, Publication, SessionView, Standing, SystemClock, Tap,
    Trace, TraceOptions, TracePart, Visit, hash_password, hash_secret, properties, verify_password,
};
pub use mohhos_mqtt::QoS;
pub use mohhos_stream::RuleStats;
pub use observe::Codes;
pub use replay::Replayed;
pub use results::RuleFailure;
pub use stats::Stats;
