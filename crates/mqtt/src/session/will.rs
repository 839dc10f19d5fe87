//! The will: the message that a client leaves for the case that it vanishes.

use crate::packet::{QoS, WillView};
use crate::property::Properties;

/// A will message (3.1.2.5). Whether its topic is permitted is the host's to check, with the same policy as a
/// PUBLISH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where to publish it.
    pub topic: Box<str>,
    /// The payload.
    pub payload: Box<[u8]>,
    /// The quality of service to publish it with.
    pub qos: QoS,
    /// Whether to retain it.
    pub retain: bool,
    /// Seconds to wait for the client to come back, before it is published.
    pub delay_s: u32,
    properties: Box<[u8]>,
}

impl Will {
    /// Copies the will out of a CONNECT.
    pub fn from_view(view: &WillView<'_>) -> Will {
        Will {
            topic: view.topic.into(),
            payload: view.payload.into(),
            qos: view.qos,
            retain: view.retain,
            delay_s: view.properties.will_delay().unwrap_or(0),
            properties: view.properties.raw().into(),
        }
    }

    /// The will's properties; message expiry, content type and user properties among them.
    pub fn properties(&self) -> Properties<'_> {
        Properties::from_raw(&self.properties)
    }
}
