//! What outlives a connection: deliveries in flight and inbound QoS 2 ids.

/// The resumable part of a session. Subscriptions and queued messages are the host's.
#[derive(Debug, Default)]
pub struct SessionState {}

/// The bytes are not a session state that this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportError(pub &'static str);
#[allow(unused_variables, missing_docs)]
impl SessionState {
    /// Appends the state to `out`, as it is when the log is cut at `committed`: what tokens beyond it brought is
    /// left out, for it will be replayed.
    pub fn export(&self, committed: u64, out: &mut Vec<u8>) {
        todo!()
    }
    pub fn import(bytes: &[u8]) -> Result<SessionState, ImportError> {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// Deliveries in flight, in order.
    pub fn deliveries(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::empty()
    }
    /// An inbound QoS 2 message was logged.
    pub fn replay_publish(&mut self, packet_id: u16) {
        todo!()
    }
    /// Its release was logged.
    pub fn replay_released(&mut self, packet_id: u16) {
        todo!()
    }
    pub fn replay_reserved(&mut self, delivery: u64, qos: crate::packet::QoS, packet_id: u16) {
        todo!()
    }
    pub fn replay_received(&mut self, delivery: u64) {
        todo!()
    }
    pub fn replay_settled(&mut self, delivery: u64) {
        todo!()
    }
}
