//! A will that waits for its delay (MQTT 5, 3.1.3.2.2), in memory, in the log and in the checkpoint.
//!
//! As bytes, integers little endian: when it is due, microseconds UTC i64; QoS u8; RETAIN flag u8; length u32 and bytes of
//! topic, properties and payload; nothing else. The delay is among the properties.

use mohhos_mqtt::packet::WillView;
use mohhos_mqtt::session::Will;
use mohhos_mqtt::{Properties, QoS};

/// A will, and when it is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingWill {
    /// The will.
    pub will: Will,
    /// When it is due, in microseconds UTC: it outlives the monotonic clock.
    pub due_us: i64,
}

impl PendingWill {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.due_us.to_le_bytes());
        out.extend_from_slice(&[self.will.qos as u8, u8::from(self.will.retain)]);
        for part in [self.will.topic.as_bytes(), self.will.properties().raw(), &self.will.payload] {
            out.extend_from_slice(&(part.len() as u32).to_le_bytes());
            out.extend_from_slice(part);
        }
    }

    /// Reads what [`PendingWill::encode`] wrote; `None` if it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (due, rest) = bytes.split_first_chunk::<8>()?;
        let (&[qos, retain], rest) = rest.split_first_chunk::<2>()?;
        let (topic, rest) = take(rest)?;
        let (properties, rest) = take(rest)?;
        let (payload, rest) = take(rest)?;
        if !rest.is_empty() {
            return None;
        }
        let view = WillView {
            topic: std::str::from_utf8(topic).ok()?,
            payload,
            qos: QoS::from_u8(qos)?,
            retain: retain == 1,
            properties: Properties::from_raw(properties),
        };
        Some(Self { will: Will::from_view(&view), due_us: i64::from_le_bytes(*due) })
    }
}

fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use mohhos_mqtt::{Property, PropertyBuf};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut properties = PropertyBuf::new();
        properties.push(Property::WillDelay(30)).unwrap();
        let view = WillView {
            topic: "devices/pump/status",
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: properties.view(),
        };
        let pending = PendingWill { will: Will::from_view(&view), due_us: 1_700_000_000_000_000 };
        let mut bytes = Vec::new();
        pending.encode(&mut bytes);
        assert_eq!(pending.will.delay_s, 30);
        assert_eq!(PendingWill::decode(&bytes), Some(pending));
        for end in 0..bytes.len() {
            assert_eq!(PendingWill::decode(&bytes[..end]), None, "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = PendingWill::decode(&bytes);
        }
    }
}
