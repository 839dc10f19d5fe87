//! A message that is on its way to subscribers, shared by all of them.

use std::sync::Arc;

use mohhos_mqtt::{Properties, QoS};

/// Names a session: the shard it lives on and its slot there. A slot that was freed and taken again has another
/// generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    /// The home shard.
    pub shard: u16,
    /// The slot on it.
    pub slot: u32,
    /// Which use of the slot.
    pub generation: u32,
}

impl SessionId {
    /// The gateway itself: no session.
    pub const GATEWAY: SessionId = SessionId { shard: u16::MAX, slot: u32::MAX, generation: 0 };
}

/// A message. Topic, properties and payload are one allocation.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Box<[u8]>,
    topic_end: u32,
    properties_end: u32,
    /// The publisher's QoS.
    pub qos: QoS,
    /// The publisher's RETAIN flag.
    pub retain: bool,
    /// Where it is in the log; 0 if it is not logged.
    pub offset: u64,
    /// Who published it (for "no local").
    pub from: SessionId,
    /// The principal that published it.
    pub principal: Arc<str>,
    /// When it arrived, microseconds UTC.
    pub at_us: i64,
    /// When it expires, on the monotonic clock in microseconds; `u64::MAX` for never.
    pub expires_us: u64,
}

impl Message {
    /// Copies what the packet buffer holds. QoS 0, not logged, without expiry; the public fields say otherwise.
    pub fn new(topic: &str, properties: &[u8], payload: &[u8], from: SessionId, principal: Arc<str>) -> Self {
        let mut bytes = Vec::with_capacity(topic.len() + properties.len() + payload.len());
        bytes.extend_from_slice(topic.as_bytes());
        bytes.extend_from_slice(properties);
        bytes.extend_from_slice(payload);
        Self {
            bytes: bytes.into_boxed_slice(),
            topic_end: topic.len() as u32,
            properties_end: (topic.len() + properties.len()) as u32,
            qos: QoS::AtMostOnce,
            retain: false,
            offset: 0,
            from,
            principal,
            at_us: 0,
            expires_us: u64::MAX,
        }
    }

    /// The topic.
    #[inline]
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.topic_end as usize]).unwrap_or("")
    }

    /// The publisher's properties.
    #[inline]
    pub fn properties(&self) -> Properties<'_> {
        Properties::from_raw(&self.bytes[self.topic_end as usize..self.properties_end as usize])
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.properties_end as usize..]
    }

    /// What is left of its time, in whole seconds; `None` if it does not expire.
    pub fn expiry_s(&self, mono_us: u64) -> Option<u32> {
        (self.expires_us != u64::MAX).then(|| {
            u32::try_from(self.expires_us.saturating_sub(mono_us).div_ceil(1_000_000)).unwrap_or(u32::MAX)
        })
    }

    /// The bytes of topic, properties and payload.
    #[inline]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}
