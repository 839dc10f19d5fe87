//! Why bytes are not a packet.

use crate::packet::Version;
use crate::reason::ReasonCode;

/// What is wrong with received bytes. The connection cannot go on: an MQTT 5 client is told `code` in CONNACK
/// or DISCONNECT, a 3.1.1 client is disconnected (with a CONNACK before, where 3.1.1 has a return code).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// The reason code that MQTT 5 prescribes.
    pub code: ReasonCode,
    /// What was found, for the log and the reason string.
    pub what: &'static str,
    /// In which version a CONNACK may be sent: only set if the packet is a CONNECT whose version could be
    /// read.
    pub connack: Option<Version>,
}

impl DecodeError {
    /// The bytes cannot be parsed (0x81).
    #[cold]
    pub(crate) const fn malformed(what: &'static str) -> DecodeError {
        DecodeError { code: ReasonCode::MalformedPacket, what, connack: None }
    }

    /// The bytes parse, but the standard forbids what they say (0x82).
    #[cold]
    pub(crate) const fn protocol(what: &'static str) -> DecodeError {
        DecodeError { code: ReasonCode::ProtocolError, what, connack: None }
    }

    /// An error with another code.
    #[cold]
    pub(crate) const fn new(code: ReasonCode, what: &'static str) -> DecodeError {
        DecodeError { code, what, connack: None }
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.what)
    }
}

impl std::error::Error for DecodeError {}
