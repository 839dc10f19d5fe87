//! Who may publish, subscribe and receive what, and how much: roles of patterns, compiled into an immutable snapshot with
//! an epoch, and the state of each device beside it.
//!
//! | file | what |
//! | --- | --- |
//! | `pattern`, `scope` | topic filters with variables, and what these stand for |
//! | `role` | the role documents, compiled |
//! | `grant` | the decision about a topic, given the roles of a principal |
//! | `snapshot` | all roles at one time, swapped as a whole; the epoch |
//! | `rate`, `meter` | how much per second |
//! | `standing` | allowed, throttled, in quarantine |
//!
//! The reference for people is docs/policy.md.

mod grant;
mod meter;
mod pattern;
mod rate;
mod role;
mod scope;
mod snapshot;
mod standing;

use mohhos_mqtt::ReasonCode;

pub use grant::{By, Decision, Grant};
pub use meter::Meter;
pub use role::DEVICE as BUILT_IN_ROLES;
pub use scope::Scope;
pub use snapshot::{Policy, PolicySnapshot};
pub use standing::{Judgement, QUARANTINE_TOPICS, Standing, StandingCell};

/// Why something is not permitted. The words are for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No pattern of its roles permits it, or one denies it.
    #[error("its role does not permit this topic; grant it with a role, or correct the topic")]
    Role,
    /// The topic is the gateway's own.
    #[error("only the gateway publishes on this topic")]
    GatewayOnly,
    /// The topic is of a device that is not registered.
    #[error("the topic names a device that is not registered; add the device, or correct the topic")]
    UnknownDevice,
    /// The topic has more levels than is permitted.
    #[error("the topic has too many levels; use fewer, or raise max_topic_levels")]
    TooDeep,
    /// One of the principal's roles does not exist.
    #[error("its role does not exist; define the role, or give it another")]
    NoRole,
    /// The device is in quarantine.
    #[error("the device is in quarantine and may not talk to this topic; release it: mohhos devices release")]
    Quarantined,
    /// The device is throttled, and this was more than it may send.
    #[error("the device is throttled, and its parent sent more for it; slow it down, or raise the rate")]
    Throttled,
    /// The payload is larger than the role permits.
    #[error(
        "the payload is larger than its role permits; send less at once, or raise payload_bytes of the role"
    )]
    TooLarge,
    /// The session has as many subscriptions as a session may.
    #[error(
        "the session has as many subscriptions as limits.max_subscriptions permits; use wildcards, or raise the limit"
    )]
    Subscriptions,
    /// All sessions together have as many subscriptions as they may.
    #[error(
        "all subscriptions together take as much memory as limits.max_subscription_size permits; end some, or raise \
         the limit"
    )]
    SubscriptionSpace,
}

impl Denied {
    /// What MQTT 5 clients are told.
    pub fn code(self) -> ReasonCode {
        match self {
            Denied::TooDeep => ReasonCode::TopicNameInvalid,
            Denied::Throttled | Denied::TooLarge | Denied::Subscriptions | Denied::SubscriptionSpace => {
                ReasonCode::QuotaExceeded
            }
            _ => ReasonCode::NotAuthorized,
        }
    }

    /// What MQTT 5 clients are told in words: less than operators.
    pub fn told(self) -> &'static str {
        match self {
            Denied::TooDeep => "too many topic levels",
            Denied::Quarantined => "the device is in quarantine",
            Denied::Throttled => "more than the device may send",
            Denied::TooLarge => "the payload is too large",
            Denied::Subscriptions | Denied::SubscriptionSpace => "too many subscriptions",
            _ => "not permitted to publish to this topic",
        }
    }
}
