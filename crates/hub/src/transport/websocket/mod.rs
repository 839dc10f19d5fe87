//! MQTT over WebSocket (RFC 6455; MQTT 5, section 6): the opening handshake, then frames.

pub mod frames;
pub mod upgrade;
