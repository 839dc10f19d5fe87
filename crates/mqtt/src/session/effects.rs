//! What a session asks of its host.

use crate::error::DecodeError;
use crate::packet::{Connect, Publish, Subscribe, Unsubscribe};
use crate::reason::ReasonCode;
use crate::session::will::Will;

/// The host's side of a session. All methods are called from within a call of the host into the
/// [`Session`](super::Session), in the order in which things happened; none may call back into it.
pub trait Effects {
    /// The buffer to which packets for the client are appended. The host writes it to the socket, and after
    /// [`Effects::close`] closes the socket when it is written.
    fn output(&mut self) -> &mut Vec<u8>;

    /// The client asks to connect. Until the host answers with [`Session::accept`](super::Session::accept) or
    /// [`Session::refuse`](super::Session::refuse), `read` takes nothing more. The host copies what it needs
    /// (user name, password, client id, clean start).
    fn connect(&mut self, connect: &Connect<'_>);

    /// A message from the client, passed on exactly once for each QoS 2 message. The topic is valid and,
    /// where an alias was used, resolved.
    fn publish(&mut self, publish: &Publish<'_>) -> Verdict;

    /// The client released an inbound QoS 2 message (PUBREL). PUBCOMP follows as the answer says; the host
    /// logs the release first, for afterwards the client uses the packet id again.
    fn released(&mut self, packet_id: u16) -> Ready;

    /// The client subscribes. The host pushes one code for each filter, in order: the granted QoS or an
    /// error. The SUBACK follows as the answer says. All filters are well-formed.
    fn subscribe(&mut self, subscribe: &Subscribe<'_>, codes: &mut Vec<ReasonCode>) -> Ready;

    /// The client unsubscribes. The host pushes one code for each filter, in order.
    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>, codes: &mut Vec<ReasonCode>) -> Ready;

    /// The client has received (PUBREC) a QoS 2 delivery: it must never be published again. PUBREL follows as
    /// the answer says; the host logs the fact first.
    fn received(&mut self, delivery: u64) -> Ready;

    /// A delivery of QoS 1 or 2 has ended: acknowledged (PUBACK, PUBCOMP; `code` is success or "no matching
    /// subscribers") or refused by the client (`code` is an error). The window may have room again.
    fn settled(&mut self, delivery: u64, code: ReasonCode);

    /// The connection ended without a normal DISCONNECT: publish the will after `will.delay_s`, or when the
    /// session ends, whichever is first, unless the session is resumed before (3.1.3.2.2). Called before
    /// `close`.
    fn will(&mut self, will: Will);

    /// The connection is over; called exactly once. The host flushes the output, closes the socket, and takes
    /// the state with [`Session::into_state`](super::Session::into_state).
    fn close(&mut self, cause: Close);

    /// Asked after each packet: shall `read` go on with the next? `false` leaves the rest of the buffer
    /// unread.
    #[inline]
    fn keeps_reading(&self) -> bool {
        true
    }

    /// What to do about a refused message of QoS 1 or 2 from a 3.1.1 client, which cannot be told so: `false`
    /// acknowledges it as if it had been accepted, `true` closes the connection (3.1.1, 3.3.5).
    #[inline]
    fn closes_refused_v4(&self) -> bool {
        false
    }
}

/// The host's answer to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Taken. QoS 1 and 2 are acknowledged at once.
    Accept,
    /// Taken. QoS 1 and 2 are acknowledged at once with this code, "no matching subscribers" for example.
    AcceptWith(ReasonCode),
    /// Taken, and acknowledged when [`Session::committed`](super::Session::committed) reaches the token. For
    /// QoS 0 the same as `Accept`.
    After(u64),
    /// Not taken, with an error code and a text for the client (empty for none). QoS 0 is dropped, MQTT 5 is
    /// told in PUBACK or PUBREC, 3.1.1 as [`Effects::closes_refused_v4`] says.
    Refuse(ReasonCode, &'static str),
    /// Not taken, and the connection is closed with this code and text.
    Close(ReasonCode, &'static str),
}

/// When an answer may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// At once.
    Now,
    /// When [`Session::committed`](super::Session::committed) reaches the token.
    After(u64),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The client sent DISCONNECT with this code; success is the normal end.
    Disconnect(ReasonCode),
    /// The transport was closed without a DISCONNECT.
    Transport,
    /// Nothing came for one and a half times the keep-alive.
    KeepAlive,
    /// No CONNECT came in time.
    ConnectTimeout,
    /// The client broke the protocol.
    Violation(DecodeError),
    /// The host refused the connection.
    Refused(ReasonCode),
    /// The host ended it: [`Session::kick`](super::Session::kick) or [`Verdict::Close`].
    Kicked(ReasonCode),
}
