//! The way of a topic: all who subscribe to it, by shard, resolved once and shared.

use std::sync::Arc;

use mohhos_mqtt::QoS;

use super::message::{Message, SessionId};
use super::share::Share;
use super::tap::TapQueue;

/// Who gets the messages of one topic.
#[derive(Debug, Default)]
pub struct Route {
    /// Sessions by their shard, ascending.
    pub shards: Box<[(u16, Box<[Target]>)]>,
    /// Groups that share a subscription; one member of each gets a message.
    pub shares: Box<[Share]>,
    /// Taps.
    pub taps: Box<[Arc<TapQueue>]>,
}

/// A session that gets the messages, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// The session.
    pub session: SessionId,
    /// The highest QoS of its subscriptions.
    pub qos: QoS,
    /// Not its own messages.
    pub no_local: bool,
    /// The RETAIN flag goes on as it was published.
    pub retain_as_published: bool,
    /// The identifiers of its subscriptions (MQTT 5).
    pub ids: Box<[u32]>,
}

impl Target {
    /// Shall the session get this message?
    #[inline]
    pub fn takes(&self, message: &Message) -> bool {
        !(self.no_local && message.from == self.session)
    }
}

impl Route {
    /// True if nobody subscribes.
    pub fn is_empty(&self) -> bool {
        self.shards.is_empty() && self.shares.is_empty() && self.taps.is_empty()
    }

    /// The sessions on a shard.
    pub fn on(&self, shard: u16) -> &[Target] {
        match self.shards.iter().find(|(s, _)| *s == shard) {
            Some((_, targets)) => targets,
            None => &[],
        }
    }
}
