//! The broker's side of one connection and its session, without I/O: bytes and decisions in, effects out.
//!
//! # Contract with the host
//!
//! A [`Session`] is made for each transport connection and lives until [`Effects::close`]. It is plain data (`Send`):
//! between `connect` and `accept` the host may move it, with its socket and the bytes not yet read, to another
//! thread. `now` is any monotonic clock in milliseconds, the same for all calls of one session. `fx` is the host's
//! [`Effects`]; calls into `fx` are made inside the call that caused them.
//!
//! | input | effects |
//! | --- | --- |
//! | [`Session::read`]: bytes | CONNECT: `connect`, then it takes nothing until answered. Then per packet in order: `publish`, `released`, `subscribe`, `unsubscribe`, `received`, `settled`, `will` and `close`, answers into `output`. Returns the bytes taken; the host keeps the rest and offers it again with what follows. |
//! | [`Session::packet`]: a decoded packet | the same for one packet, for hosts (and tests) that decode themselves |
//! | [`Session::accept`]: the connect decision, and the state if the session goes on | CONNACK; PUBREL for what the client had received; then the host re-sends, see below |
//! | [`Session::refuse`] | CONNACK with the error (3.1.1: return code, or nothing where it has none), `close` |
//! | [`Session::committed`]: the log is durable up to a token | the PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK that waited for it, in order |
//! | [`Session::deliver`]: a message for the client | PUBLISH, or says why not: [`Delivered`] |
//! | [`Session::tick`]: time passes | keep-alive or connect time-out: DISCONNECT, `will`, `close` |
//! | [`Session::transport_closed`] | `will`, `close` |
//! | [`Session::kick`]: a reason | DISCONNECT (MQTT 5), `will`, `close` |
//!
//! **Tokens** are positions in the host's log. Those that one session is given never decrease (a later one may
//! equal an earlier one), and `committed(t)` releases all that wait for `token <= t`. Acknowledgements leave in the
//! order in which the packets came (4.6), so one that could go at once waits behind one that cannot.
//!
//! **Back-pressure.** `read` takes less than it was given when a packet is incomplete, when the connect decision is
//! out, when `keeps_reading` says no, or when a 3.1.1 client has `receive_maximum` acknowledgements waiting for the
//! log (MQTT 5 clients that exceed it are disconnected, 0x93). The host calls `read` again with the unread bytes
//! after `accept`, after `committed`, or when it wants to go on. While it does not read a socket for long it calls
//! [`Session::suspend_keep_alive`], and [`Session::resume_keep_alive`] afterwards.
//!
//! **Deliveries.** The host keeps the queue and the bodies and names each message of QoS 1 or 2 by a delivery id,
//! unique within the session for as long as it is not settled. `deliver` takes it into the window
//! (client's receive maximum and `max_inflight`) or answers [`Delivered::Wait`]; after `settled` there may be room.
//! After `accept` with a resumed state: while [`Session::next_resend`] names a delivery, the host passes it to
//! `deliver` again (it goes out with DUP and its old packet id) or, if the body is gone, to [`Session::forget`];
//! new messages wait until then. QoS 0 never waits.
//! For exactly-once beyond a crash of the host, it calls [`Session::reserve`] first, logs the packet id, then
//! `deliver`s: after the crash the client must see the same packet id again.
//!
//! **State.** [`Session::into_state`] gives what outlives the connection; [`SessionState::export`] and
//! [`SessionState::import`] make bytes of it for the host's checkpoint, and its `replay_` methods bring an imported
//! state up to date from the host's log. How long to keep it: [`Session::expiry_s`]. Subscriptions and queues are
//! the host's.
//!
//! **Allocation.** PUBLISH of QoS 0, both ways, allocates nothing (beyond growth of `output`). QoS 1 and 2
//! allocate once per session, and what an idle QoS 0 session does not use is not there.

mod effects;
mod state;
mod will;

pub use effects::{Close, Effects, Ready, Verdict};
pub use state::{ImportError, SessionState};
pub use will::Will;

use crate::packet::{Packet, QoS, Version};
use crate::property::Properties;
use crate::reason::ReasonCode;

/// What the host allows a client; the same for all connections of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest packet that is read, fixed header included.
    pub max_packet: u32,
    /// How many messages of QoS 1 and 2 a client may have unacknowledged (at least 1).
    pub receive_maximum: u16,
    /// How many topic aliases a client may use; 0 forbids them.
    pub topic_alias_maximum: u16,
    /// How many deliveries of QoS 1 and 2 are out at once, even if the client would take more (at least 1).
    pub max_inflight: u16,
    /// How long after [`Session::new`] the CONNECT may take, in milliseconds.
    pub connect_timeout_ms: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_packet: 1024 * 1024,
            receive_maximum: 1024,
            topic_alias_maximum: 64,
            max_inflight: 256,
            connect_timeout_ms: 10_000,
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
    /// The longest time that a session is kept, in seconds; what the client asked for is cut to it.
    pub max_session_expiry_s: u32,
}

impl Default for Accept<'_> {
    fn default() -> Self {
        Accept { assigned_client_id: None, server_keep_alive: None, max_session_expiry_s: u32::MAX }
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
    /// The quality of service: the lower of the message's and the subscription's.
    pub qos: QoS,
    /// The RETAIN flag to send.
    pub retain: bool,
    /// The publisher's properties. Topic alias, message expiry and subscription identifiers in them are left out.
    pub properties: Properties<'a>,
    /// What is left of the message's expiry, in seconds; a message with 0 left is not sent.
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
    /// Not sent and not kept: longer than the client's maximum packet size (3.1.2.11.4 says: treat it as sent).
    TooLarge,
    /// Not sent and not kept: it has expired.
    Expired,
    /// There is no connection to send it to.
    Closed,
}

/// One connection and its session. See the module for the contract.
#[derive(Debug)]
pub struct Session {
    state: SessionState,
}
#[allow(unused_variables, missing_docs)]
impl Session {
    /// A session for a new transport connection.
    pub fn new(limits: Limits, now: u64) -> Session {
        todo!()
    }
    pub fn read<E: Effects>(&mut self, buf: &[u8], now: u64, fx: &mut E) -> usize {
        todo!()
    }
    pub fn packet<E: Effects>(&mut self, packet: &Packet<'_>, now: u64, fx: &mut E) {
        todo!()
    }
    /// `state` is dropped if the client asked for a clean start.
    pub fn accept<E: Effects>(
        &mut self,
        terms: &Accept<'_>,
        state: Option<SessionState>,
        now: u64,
        fx: &mut E,
    ) {
        todo!()
    }
    pub fn refuse<E: Effects>(&mut self, code: ReasonCode, text: &str, fx: &mut E) {
        todo!()
    }
    pub fn committed<E: Effects>(&mut self, token: u64, fx: &mut E) {
        todo!()
    }
    pub fn deliver<E: Effects>(&mut self, delivery: &Delivery<'_>, fx: &mut E) -> Delivered {
        todo!()
    }
    /// Assigns a packet id (window permitting) before the delivery is sent.
    pub fn reserve(&mut self, delivery: u64, qos: QoS) -> Option<u16> {
        todo!()
    }
    pub fn next_resend(&self) -> Option<u64> {
        todo!()
    }
    pub fn forget<E: Effects>(&mut self, delivery: u64, fx: &mut E) -> bool {
        todo!()
    }
    /// How many new deliveries of QoS 1 and 2 `deliver` would take now.
    pub fn window(&self) -> usize {
        todo!()
    }
    pub fn tick<E: Effects>(&mut self, now: u64, fx: &mut E) {
        todo!()
    }
    /// When `tick` has to be called next (connect or keep-alive time-out), on the host's clock.
    pub fn deadline(&self) -> Option<u64> {
        todo!()
    }
    pub fn suspend_keep_alive(&mut self) {
        todo!()
    }
    pub fn resume_keep_alive(&mut self, now: u64) {
        todo!()
    }
    pub fn transport_closed<E: Effects>(&mut self, fx: &mut E) {
        todo!()
    }
    /// DISCONNECT with a reason (MQTT 5), will, close.
    pub fn kick<E: Effects>(&mut self, code: ReasonCode, text: &str, fx: &mut E) {
        todo!()
    }
    pub fn version(&self) -> Version {
        todo!()
    }
    /// CONNECT was accepted and the connection is not closed.
    pub fn is_open(&self) -> bool {
        todo!()
    }
    /// True while acknowledgements wait for `committed`.
    pub fn awaits_commit(&self) -> bool {
        todo!()
    }
    /// Seconds that the state outlives the connection: 0 ends with it, `u32::MAX` never ends.
    pub fn expiry_s(&self) -> u32 {
        todo!()
    }
    pub fn into_state(self) -> SessionState {
        todo!()
    }
}
