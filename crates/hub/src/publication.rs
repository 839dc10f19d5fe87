//! What the gateway itself publishes: commands, alerts, results of rules.

use std::sync::Arc;

use mohhos_mqtt::{Property, PropertyBuf, QoS};

use crate::error::HubError;

/// A message of the gateway. QoS 1 and 2 are logged.
#[derive(Debug, Clone)]
pub struct Publication {
    /// A topic name.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The quality of service.
    pub qos: QoS,
    /// Retain it (clear, if the payload is empty).
    pub retain: bool,
    /// The device that it concerns; empty: the one that the topic names, if any.
    pub device: String,
    /// Encoded MQTT 5 properties; see [`properties`].
    pub properties: Box<[u8]>,
}

/// Encodes the properties of a publication: content type (empty for none) and expiry.
pub fn properties(content_type: &str, expiry_s: Option<u32>) -> Result<Box<[u8]>, HubError> {
    let mut buffer = PropertyBuf::new();
    let mut push = |property: Property<'_>| {
        buffer.push(property).map(|_| ()).map_err(|error| HubError::Invalid(format!("property: {error}")))
    };
    if !content_type.is_empty() {
        push(Property::ContentType(content_type))?;
    }
    if let Some(seconds) = expiry_s {
        push(Property::MessageExpiry(seconds))?;
    }
    Ok(buffer.view().raw().into())
}

impl Publication {
    /// A publication of QoS 1, not retained.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            device: String::new(),
            properties: Box::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), HubError> {
        if !mohhos_mqtt::topic::is_name(&self.topic) || self.topic.len() > usize::from(u16::MAX) {
            return Err(HubError::Invalid(format!(
                "\"{}\" is not a topic to publish to: it must not be empty, longer than 65,535 bytes, or hold + or #",
                self.topic
            )));
        }
        Ok(())
    }

    /// What keeps its order: publications with the same key go through the same shard.
    pub(crate) fn order_key(&self) -> &str {
        let mut levels = self.topic.splitn(3, '/');
        match (levels.next(), levels.next()) {
            (Some("devices"), Some(device)) => device,
            _ => &self.topic,
        }
    }
}

/// The name under which the gateway publishes.
pub(crate) fn gateway_principal() -> Arc<str> {
    "gateway".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_one_device_keeps_its_order() {
        let key = |topic: &str| Publication::new(topic, "").order_key().to_owned();
        assert_eq!(key("devices/pump/commands/1"), key("devices/pump/commands/2"));
        assert_ne!(key("gateway/alerts/r/pump"), key("gateway/alerts/r/lamp"));
    }

    #[test]
    fn wildcards_are_no_topic() {
        assert!(Publication::new("a/+", "").check().is_err());
        assert!(Publication::new("", "").check().is_err());
        assert!(Publication::new("a/b", "").check().is_ok());
    }

    #[test]
    fn properties_are_those_asked_for() {
        let raw = properties("application/json", Some(7)).unwrap();
        let view = mohhos_mqtt::Properties::from_raw(&raw);
        assert_eq!((view.content_type(), view.message_expiry()), (Some("application/json"), Some(7)));
        assert!(properties("", None).unwrap().is_empty());
    }
}
