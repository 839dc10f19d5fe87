//! What the host says to a session: limits, the connect decision, deliveries.

use crate::packet::QoS;
use crate::property::Properties;

/// What the host allows a client; the same for all connections of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest packet that is read, fixed header included.
    pub max_packet: u32,
    /// The largest CONNECT that is read: nobody has been authenticated yet.
    pub max_connect: u32,
    /// How long after [`Session::new`](super::Session::new) the CONNECT may take, in milliseconds.
    pub connect_timeout_ms: u32,
    /// How many messages of QoS 1 and 2 a client may have unacknowledged (at least 1).
    pub receive_maximum: u16,
    /// How many topic aliases a client may use; 0 forbids them.
    pub topic_alias_maximum: u16,
    /// How many deliveries of QoS 1 and 2 are out at once, even if the client would take more (at least 1).
    pub max_inflight: u16,
    /// Are shared subscriptions supported? CONNACK says so; the host answers the subscriptions themselves.
    pub shared_subscriptions: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_packet: 1024 * 1024,
            max_connect: 64 * 1024,
            connect_timeout_ms: 10_000,
            receive_maximum: 1024,
            topic_alias_maximum: 64,
            max_inflight: 256,
            shared_subscriptions: false,
        }
    }
}

/// The host's terms for an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept<'a> {
    /// The id that the host chose because the client sent none; told to MQTT 5 clients.
    pub assigned_client_id: Option<&'a str>,
    /// A keep-alive in seconds that replaces the client's; 3.1.1 clients cannot be told and keep their own.
    pub server_keep_alive: Option<u16>,
    /// The beginning of topics on which the client can get responses, for those who ask (3.2.2.3.15).
    pub response_information: Option<&'a str>,
    /// The longest time that a session is kept, in seconds; what the client asked for is cut to it.
    pub max_session_expiry_s: u32,
}

impl Default for Accept<'_> {
    fn default() -> Self {
        Accept {
            assigned_client_id: None,
            server_keep_alive: None,
            response_information: None,
            max_session_expiry_s: u32::MAX,
        }
    }
}

/// A message for the client.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The host's name for it; not used for QoS 0.
    pub id: u64,
    /// The topic name.
    pub topic: &'a str,
    /// The payload.
    pub payload: &'a [u8],
    /// The quality of service: the lower of the message's and the subscription's. A delivery that has a
    /// packet id already keeps the one that it had.
    pub qos: QoS,
    /// The RETAIN flag to send.
    pub retain: bool,
    /// The publisher's properties. Only those that are passed on (3.3.2.3) are sent: payload format, content
    /// type, response topic, correlation data, user properties.
    pub properties: Properties<'a>,
    /// What is left of the message's expiry, in seconds; a message with 0 left is not sent, unless it was before.
    pub expiry_s: Option<u32>,
    /// The subscription identifiers of the matching subscriptions.
    pub subscription_ids: &'a [u32],
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// It is in the output. For QoS 1 and 2 `settled` follows.
    Sent,
    /// The window is full, or other deliveries have to be re-sent first. Nothing is kept: try again later.
    Wait,
    /// Not sent and not kept: longer than the client's maximum packet size (3.1.2.11.4 says: treat it as
    /// sent).
    TooLarge,
    /// Not sent and not kept: it has expired.
    Expired,
    /// There is no connection to send it to.
    Closed,
}
