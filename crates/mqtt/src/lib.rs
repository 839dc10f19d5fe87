//! Packets and session rules of MQTT 3.1.1 and 5: no I/O, no clock, no dependencies.
//!
//! - [`packet`]: every control packet as a view over the bytes it was read from, and its encoding.
//! - [`property`]: the properties of MQTT 5, as views too.
//! - [`topic`]: names, filters, matching, shared subscriptions.
//! - [`session`]: what a broker does with them: the state machine of one connection and its session. The host
//!   (`crates/hub`) feeds it and implements [`session::Effects`]; the contract is at the head of that module.
//!
//! Section numbers in comments are those of "MQTT Version 5.0" (OASIS, 2019) unless 3.1.1 is named.

pub mod error;
pub mod packet;
pub mod property;
pub mod reason;
pub mod session;
pub mod text;
pub mod topic;
mod wire;

pub use error::DecodeError;
pub use packet::{Packet, QoS, Version};
pub use property::{Properties, Property, PropertyBuf};
pub use reason::ReasonCode;
