//! The broker's side of one connection and its session, without I/O: bytes and decisions in, effects out.
//!
//! # Contract with the host
//!
//! A [`Session`] is made for each transport connection and lives until [`Effects::close`]. It is plain data
//! (`Send`): between `connect` and `accept` the host may move it, with its socket and the bytes not yet read,
//! to another thread. `now` is any monotonic clock in milliseconds, the same for all calls of one session.
//! `fx` is the host's [`Effects`]; calls into `fx` are made inside the call that caused them.
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
//! **Tokens** are positions in the host's log. Those that one session is given never decrease (a later one
//! may equal an earlier one), and `committed(t)` releases all that wait for `token <= t`. A new `Session`
//! takes nothing for durable: call `committed` before `accept` when a session is resumed. Acknowledgements
//! leave in the order in which the packets came (4.6), so one that could go at once waits behind one that
//! cannot.
//!
//! **Back-pressure.** `read` takes less than it was given when a packet is incomplete, when the connect
//! decision is out, when `keeps_reading` says no, or when a 3.1.1 client has `receive_maximum`
//! acknowledgements waiting for the log (MQTT 5 clients that exceed it are disconnected, 0x93). The host
//! calls `read` again with the unread bytes after `accept`, after `committed`, or when it wants to go on.
//! While it does not read a socket for long it calls [`Session::suspend_keep_alive`], and
//! [`Session::resume_keep_alive`] afterwards.
//!
//! **Deliveries.** The host keeps the queue and the bodies and names each message of QoS 1 or 2 by a delivery
//! id, unique within the session for as long as it is not settled. `deliver` takes it into the window
//! (client's receive maximum and `max_inflight`) or answers [`Delivered::Wait`]; after `settled` there may be
//! room. After `accept` with a resumed state: while [`Session::next_resend`] names a delivery, the host
//! passes it to `deliver` again (it goes out with DUP and its old packet id) or, if the body is gone, to
//! [`Session::forget`]; new messages wait until then. QoS 0 never waits. For exactly-once beyond a crash of
//! the host, it calls [`Session::reserve`] first, logs the packet id, and `deliver`s when that is durable:
//! after the crash the client must see the same packet id again.
//!
//! **State.** [`Session::into_state`] gives what outlives the connection; [`SessionState::export`] and
//! [`SessionState::import`] make bytes of it for the host's checkpoint, and its `replay_` methods bring an
//! imported state up to date from the host's log. How long to keep it: [`Session::expiry_s`]. Subscriptions
//! and queues are the host's.
//!
//! **Allocation.** PUBLISH of QoS 0, both ways, allocates nothing (beyond growth of `output`). QoS 1 and 2
//! (and topic aliases) allocate once per session, and what an idle QoS 0 session does not use is not there.

mod alias;
mod checkpoint;
mod connect;
mod effects;
mod end;
mod forward;
mod inbound;
mod inflight;
mod outbound;
mod state;
mod terms;
mod waiting;
mod will;

pub use checkpoint::ImportError;
pub use effects::{Close, Effects, Ready, Verdict};
pub use state::SessionState;
pub use terms::{Accept, Delivered, Delivery, Limits};
pub use will::Will;

use crate::packet::Version;
use waiting::Waiting;

/// One connection and its session. See the module for the contract.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    stage: Stage,
    version: Version,
    /// The client is another broker's bridge.
    bridge: bool,
    clean_start: bool,
    /// Reason strings are welcome with every packet (3.1.2.11.7).
    problem_information: bool,
    /// The client asks for response information (3.1.2.11.6).
    response_information: bool,
    keep_alive_suspended: bool,
    /// One and a half times the keep-alive; 0 for none.
    keep_alive_ms: u32,
    /// When the last packet came, at first when the connection was made.
    heard_ms: u64,
    /// The largest packet that the client accepts.
    client_max_packet: u32,
    /// How many deliveries of QoS 1 and 2 the client accepts at once.
    client_window: u16,
    /// How many topic aliases the client accepts.
    client_aliases: u16,
    /// Inbound messages of QoS 1 and 2 that count towards our receive maximum.
    open_inbound: u16,
    /// What the client asked for, from `accept` on cut to the host's terms.
    expiry_s: u32,
    /// CONNECT asked for a session that ends with its connection.
    asked_no_expiry: bool,
    max_expiry_s: u32,
    /// The log is durable up to here.
    committed: u64,
    will: Option<Box<Will>>,
    aliases: Option<Box<alias::Aliases>>,
    waiting: Waiting,
    state: SessionState,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// CONNECT is to come.
    Fresh,
    /// The host is deciding about CONNECT.
    Deciding,
    /// Accepted.
    Open,
    /// Over.
    Closed,
}

impl Session {
    /// A session for a new transport connection.
    pub fn new(limits: Limits, now: u64) -> Session {
        Session {
            limits,
            stage: Stage::Fresh,
            version: Version::V5,
            bridge: false,
            clean_start: false,
            problem_information: true,
            response_information: false,
            keep_alive_suspended: false,
            keep_alive_ms: 0,
            heard_ms: now,
            client_max_packet: u32::MAX,
            client_window: u16::MAX,
            client_aliases: 0,
            open_inbound: 0,
            expiry_s: 0,
            asked_no_expiry: true,
            max_expiry_s: u32::MAX,
            committed: 0,
            will: None,
            aliases: None,
            waiting: Waiting::new(),
            state: SessionState::default(),
        }
    }

    /// The client's protocol version; before CONNECT, MQTT 5.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Lowers what may be unacknowledged each way, for a client that has a limit of its own; before
    /// [`Session::accept`], which tells the client.
    pub fn limit_inflight(&mut self, most: u16) {
        let most = most.max(1);
        self.limits.receive_maximum = self.limits.receive_maximum.min(most);
        self.limits.max_inflight = self.limits.max_inflight.min(most);
    }

    /// Did the client ask for response information?
    pub fn wants_response_information(&self) -> bool {
        self.response_information
    }

    /// Was CONNECT accepted, and is the connection not over?
    #[inline]
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// The keep-alive in seconds that is held to; 0 for none.
    pub fn keep_alive_s(&self) -> u32 {
        self.keep_alive_ms / 1500
    }

    /// How many of the client's messages of QoS 1 and 2 are not yet acknowledged to the end.
    pub fn open_inbound(&self) -> usize {
        usize::from(self.open_inbound)
    }

    /// Do answers wait for [`Session::committed`]?
    pub fn awaits_commit(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// For how many seconds the state outlives the connection: 0 means not at all, `u32::MAX` for ever
    /// (3.1.2.11.2). It is final once `close` was called. A connection that was never accepted leaves nothing
    /// behind.
    pub fn expiry_s(&self) -> u32 {
        self.expiry_s
    }

    /// The session so far: what is in flight.
    pub fn state(&self) -> &SessionState {
        &self.state
    }

    /// What outlives the connection.
    pub fn into_state(self) -> SessionState {
        self.state
    }
}
