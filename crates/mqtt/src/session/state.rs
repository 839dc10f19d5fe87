//! What outlives a connection: deliveries in flight and inbound QoS 2 ids.

use std::collections::BTreeMap;

use crate::packet::QoS;
use crate::session::inflight::{InFlight, Outbound, Phase, Wire};

/// The resumable part of a session; nothing but a null pointer until QoS 1 or 2 needs it. Subscriptions and
/// queued messages are the host's.
#[derive(Debug, Default, Clone)]
pub struct SessionState {
    inner: Option<Box<Inner>>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Inner {
    pub(super) outbound: Outbound,
    pub(super) inbound: BTreeMap<u16, Inbound>,
}

/// An inbound QoS 2 message between PUBLISH and PUBCOMP.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Inbound {
    /// The position in the log of its latest step: the message, or its release.
    pub(super) token: u64,
    /// PUBREL has come.
    pub(super) released: bool,
    /// An answer to its latest step waits for the log on this connection.
    pub(super) queued: bool,
    /// It takes part in the receive maximum of this connection.
    pub(super) counted: bool,
}

impl SessionState {
    pub(super) fn get(&self) -> Option<&Inner> {
        self.inner.as_deref()
    }

    pub(super) fn get_mut(&mut self) -> Option<&mut Inner> {
        self.inner.as_deref_mut()
    }

    pub(super) fn make(&mut self) -> &mut Inner {
        self.inner.get_or_insert_default()
    }

    pub(super) fn inbound_mut(&mut self, packet_id: u16) -> Option<&mut Inbound> {
        self.get_mut()?.inbound.get_mut(&packet_id)
    }

    /// Nothing is in flight in either direction.
    pub fn is_empty(&self) -> bool {
        self.get().is_none_or(|inner| inner.outbound.is_empty() && inner.inbound.is_empty())
    }

    /// The deliveries that have a packet id, in order. Those that the client has received (PUBREC) are among
    /// them; their bodies are not needed any more.
    pub fn deliveries(&self) -> impl Iterator<Item = u64> + '_ {
        self.get().into_iter().flat_map(|inner| inner.outbound.iter().map(|entry| entry.delivery))
    }

    /// The inbound QoS 2 messages that were passed on and not yet released.
    pub fn inbound_ids(&self) -> impl Iterator<Item = u16> + '_ {
        self.get()
            .into_iter()
            .flat_map(|inner| inner.inbound.iter().filter(|(_, entry)| !entry.released).map(|(&id, _)| id))
    }

    /// The log says: an inbound QoS 2 message with this packet id was taken.
    pub fn replay_publish(&mut self, packet_id: u16) {
        self.make().inbound.insert(packet_id, Inbound::default());
    }

    /// The log says: the client released this inbound QoS 2 message.
    pub fn replay_released(&mut self, packet_id: u16) {
        if let Some(inner) = self.get_mut() {
            inner.inbound.remove(&packet_id);
        }
    }

    /// The log says: the delivery was given this packet id (see
    /// [`Session::reserve`](super::Session::reserve)).
    pub fn replay_reserved(&mut self, delivery: u64, qos: QoS, packet_id: u16) {
        let phase = match qos {
            QoS::AtMostOnce => return,
            QoS::AtLeastOnce => Phase::AtLeastOnce,
            QoS::ExactlyOnce => Phase::ExactlyOnce,
        };
        if packet_id == 0 {
            return;
        }
        let outbound = &mut self.make().outbound;
        // The latest reservation holds: whoever had the id before was given up without a record.
        while let Some(at) = outbound.by_packet(packet_id).or_else(|| outbound.by_delivery(delivery)) {
            outbound.remove(at);
        }
        let wire = Wire::Resend;
        outbound.restore(InFlight { delivery, token: 0, packet_id, phase, wire, dup: true, queued: false });
    }

    /// The log says: the client has received this QoS 2 delivery.
    pub fn replay_received(&mut self, delivery: u64) {
        let Some(inner) = self.get_mut() else { return };
        if let Some(at) = inner.outbound.by_delivery(delivery) {
            inner.outbound.entry(at).phase = Phase::Received;
        }
    }

    /// The log says: this delivery has ended.
    pub fn replay_settled(&mut self, delivery: u64) {
        let Some(inner) = self.get_mut() else { return };
        if let Some(at) = inner.outbound.by_delivery(delivery) {
            inner.outbound.remove(at);
        }
    }

    /// Makes the state ready for a new connection: nothing was sent on it, nothing counts, and what the log
    /// has confirmed is done.
    pub(super) fn begin_connection(&mut self, committed: u64) {
        let Some(inner) = self.get_mut() else { return };
        inner.inbound.retain(|_, entry| !entry.released || entry.token > committed);
        for entry in inner.inbound.values_mut() {
            entry.counted = false;
            entry.queued = false;
        }
        inner.outbound.begin_connection();
    }
}
