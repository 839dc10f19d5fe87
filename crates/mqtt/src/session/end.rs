//! How a connection ends: by the client, by the host, by time, by a violation.

use crate::error::DecodeError;
use crate::packet::{Disconnect, Version};
use crate::reason::ReasonCode;
use crate::session::{Close, Effects, Session, Stage};

impl Session {
    /// The transport is closed, by the client or by a fault.
    pub fn transport_closed<E: Effects>(&mut self, fx: &mut E) {
        self.end(Close::Transport, fx);
    }

    /// The host ends the connection: take-over, quarantine, shutdown, a consumer that is too slow. MQTT 5
    /// clients are told `code` and `text`. A connect decision that is still out is a refusal.
    pub fn kick<E: Effects>(&mut self, code: ReasonCode, text: &str, fx: &mut E) {
        match self.stage {
            Stage::Deciding => self.refuse(code, text, fx),
            Stage::Fresh | Stage::Open => {
                self.send_disconnect(code, text, fx);
                self.end(Close::Kicked(code), fx);
            }
            Stage::Closed => {}
        }
    }

    /// Time has passed: ends the connection if the client was silent for too long (3.1.2.10), or the host has not decided
    /// about its CONNECT within the time that the client had for it.
    pub fn tick<E: Effects>(&mut self, now: u64, fx: &mut E) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.stage {
            Stage::Fresh => self.end(Close::ConnectTimeout, fx),
            Stage::Deciding => self.refuse(ReasonCode::ServerBusy, "too many connect at once, try again", fx),
            Stage::Open | Stage::Closed => {
                self.send_disconnect(ReasonCode::KeepAliveTimeout, "", fx);
                self.end(Close::KeepAlive, fx);
            }
        }
    }

    /// When [`Session::tick`] would end the connection if nothing came until then, on the host's clock.
    pub fn deadline(&self) -> Option<u64> {
        match self.stage {
            Stage::Fresh | Stage::Deciding => Some(self.heard_ms + u64::from(self.limits.connect_timeout_ms)),
            Stage::Open if self.keep_alive_ms > 0 && !self.keep_alive_suspended => {
                Some(self.heard_ms + u64::from(self.keep_alive_ms))
            }
            _ => None,
        }
    }

    /// The host does not read the socket for a while, so that silence is not the client's fault.
    pub fn suspend_keep_alive(&mut self) {
        self.keep_alive_suspended = true;
    }

    /// The host reads again; the client gets the full time from now.
    pub fn resume_keep_alive(&mut self, now: u64) {
        self.keep_alive_suspended = false;
        self.heard_ms = self.heard_ms.max(now);
    }

    pub(super) fn on_disconnect<E: Effects>(&mut self, packet: &Disconnect<'_>, fx: &mut E) {
        if let Some(expiry_s) = packet.properties.session_expiry() {
            // 3.14.2.2.2: a session that was to end with its connection cannot be kept after all.
            if self.asked_no_expiry && expiry_s != 0 {
                return self
                    .violation(DecodeError::protocol("DISCONNECT keeps a session that CONNECT did not"), fx);
            }
            self.expiry_s = expiry_s.min(self.max_expiry_s);
        }
        if packet.code == ReasonCode::Success {
            self.will = None;
        }
        self.end(Close::Disconnect(packet.code), fx);
    }

    /// The client broke the protocol (4.13).
    #[cold]
    pub(super) fn violation<E: Effects>(&mut self, error: DecodeError, fx: &mut E) {
        match (self.stage, error.connack) {
            (Stage::Fresh, Some(version)) => self.send_refusal(version, error.code, error.what, fx),
            (Stage::Open, _) => self.send_disconnect(error.code, error.what, fx),
            _ => {}
        }
        self.end(Close::Violation(error), fx);
    }

    /// DISCONNECT from the server exists in MQTT 5 alone.
    pub(super) fn send_disconnect<E: Effects>(&mut self, code: ReasonCode, text: &str, fx: &mut E) {
        if self.stage != Stage::Open || self.version == Version::V4 {
            return;
        }
        let code = Disconnect::permitted(code);
        self.encode_with_reason(text, fx, |properties, version, out| {
            Disconnect { code, properties }.encode(version, out)
        });
    }

    /// Ends the connection. The will is published unless it was taken back, and only for a connection that
    /// had been accepted (3.1.2.5).
    pub(super) fn end<E: Effects>(&mut self, cause: Close, fx: &mut E) {
        let stage = std::mem::replace(&mut self.stage, Stage::Closed);
        if stage == Stage::Closed {
            return;
        }
        self.waiting = Default::default();
        self.aliases = None;
        if let (Stage::Open, Some(will)) = (stage, self.will.take()) {
            fx.will(*will);
        }
        if stage != Stage::Open {
            self.expiry_s = 0;
        }
        fx.close(cause);
    }
}
