//! Packets from the client.

use crate::error::DecodeError;
use crate::packet::{
    self, Ack, Packet, PacketType, Publish, QoS, SubAck, Subscribe, UnsubAck, Unsubscribe, Version,
};
use crate::reason::ReasonCode;
use crate::session::state::Inbound;
use crate::session::waiting::Answer;
use crate::session::{Close, Effects, Ready, Session, Stage, Verdict};

/// So many answers beyond the receive maximum may wait before an MQTT 5 client is not read any more: PUBLISH
/// is bounded by the receive maximum itself, SUBSCRIBE and repetitions by this.
const OTHER_ANSWERS: usize = 64;

impl Session {
    /// Takes packets from the front of what the client sent, and says how many bytes it took. See the module
    /// for why it may take less than there is.
    pub fn read<E: Effects>(&mut self, buf: &[u8], now: u64, fx: &mut E) -> usize {
        let mut used = 0;
        while self.takes_packets() {
            let rest = &buf[used..];
            let max_size = if self.stage == Stage::Fresh {
                if rest.first().is_some_and(|first| first >> 4 != PacketType::Connect as u8) {
                    self.violation(DecodeError::protocol("the first packet is not CONNECT"), fx);
                    break;
                }
                self.limits.max_connect.min(self.limits.max_packet)
            } else {
                self.limits.max_packet
            };
            let (frame, body) = match packet::split(rest, self.version, max_size) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => {
                    self.violation(error, fx);
                    break;
                }
            };
            let done = if frame.packet_type == PacketType::Publish {
                Publish::decode(frame.flags, body, self.version).map(|publish| self.on_publish(&publish, fx))
            } else {
                packet::decode_other(&frame, body, self.version).map(|packet| self.on_packet(&packet, fx))
            };
            if let Err(error) = done {
                self.violation(error, fx);
                break;
            }
            used += frame.total_len;
            if !fx.keeps_reading() {
                break;
            }
        }
        if used > 0 {
            self.heard_ms = now;
        }
        used
    }

    /// Takes one packet that the host has decoded, with the connection's version. It is for hosts that see
    /// packets before; `read` does the same and watches the limits.
    pub fn packet<E: Effects>(&mut self, packet: &Packet<'_>, now: u64, fx: &mut E) {
        if matches!(self.stage, Stage::Fresh | Stage::Open) {
            self.heard_ms = now;
            self.on_packet(packet, fx);
        }
    }

    #[inline]
    fn takes_packets(&self) -> bool {
        match self.stage {
            Stage::Open => {
                let more = if self.version == Version::V5 { OTHER_ANSWERS } else { 0 };
                self.waiting.len() < usize::from(self.limits.receive_maximum.max(1)) + more
            }
            Stage::Fresh => true,
            Stage::Deciding | Stage::Closed => false,
        }
    }

    fn on_packet<E: Effects>(&mut self, packet: &Packet<'_>, fx: &mut E) {
        match (self.stage, packet) {
            (Stage::Fresh, Packet::Connect(connect)) => self.on_connect(connect, fx),
            (Stage::Fresh, _) => self.violation(DecodeError::protocol("the first packet is not CONNECT"), fx),
            (_, Packet::Publish(publish)) => self.on_publish(publish, fx),
            (_, Packet::PubAck(ack)) => self.on_puback(ack, fx),
            (_, Packet::PubRec(ack)) => self.on_pubrec(ack, fx),
            (_, Packet::PubRel(ack)) => self.on_pubrel(ack, fx),
            (_, Packet::PubComp(ack)) => self.on_pubcomp(ack, fx),
            (_, Packet::Subscribe(subscribe)) => self.on_subscribe(subscribe, fx),
            (_, Packet::Unsubscribe(unsubscribe)) => self.on_unsubscribe(unsubscribe, fx),
            (_, Packet::PingReq) => self.encode(fx, |version, out| Packet::PingResp.encode(version, out)),
            (_, Packet::Disconnect(disconnect)) => self.on_disconnect(disconnect, fx),
            (_, Packet::Connect(_)) => self.violation(DecodeError::protocol("a second CONNECT"), fx),
            (_, Packet::Auth(_)) => {
                self.violation(DecodeError::protocol("AUTH without an authentication method in CONNECT"), fx);
            }
            (_, Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp) => {
                self.violation(DecodeError::protocol("a packet that only servers send"), fx);
            }
        }
    }

    #[inline]
    fn on_publish<E: Effects>(&mut self, publish: &Publish<'_>, fx: &mut E) {
        let verdict = if publish.properties.is_empty() {
            self.pass_on(publish, fx)
        } else {
            self.check_properties(publish).and_then(|alias| self.resolve_and_pass_on(publish, alias, fx))
        };
        match verdict {
            Ok(Some(verdict)) => self.on_verdict(publish, verdict, fx),
            Ok(None) => {}
            Err(error) => self.violation(error, fx),
        }
    }

    /// Passes a message on unless it was before; then there is no verdict.
    #[inline]
    pub(super) fn pass_on<E: Effects>(
        &mut self,
        publish: &Publish<'_>,
        fx: &mut E,
    ) -> Result<Option<Verdict>, DecodeError> {
        if publish.qos != QoS::AtMostOnce && !self.admit(publish, fx)? {
            return Ok(None);
        }
        Ok(Some(fx.publish(publish)))
    }

    /// Counts a message of QoS 1 or 2 towards the receive maximum (4.9). `false`: it is a repetition of a QoS
    /// 2 message, and is answered here.
    fn admit<E: Effects>(&mut self, publish: &Publish<'_>, fx: &mut E) -> Result<bool, DecodeError> {
        let known = match publish.qos {
            QoS::ExactlyOnce => self.state.inbound_mut(publish.packet_id).copied(),
            _ => None,
        };
        if known.is_none_or(|entry| !entry.counted) {
            if self.version == Version::V5 && self.open_inbound >= self.limits.receive_maximum.max(1) {
                return Err(DecodeError::new(
                    ReasonCode::ReceiveMaximumExceeded,
                    "more unacknowledged messages than the receive maximum permits",
                ));
            }
            self.open_inbound = self.open_inbound.saturating_add(1);
        }
        let Some(known) = known else { return Ok(true) };
        if let Some(entry) = self.state.inbound_mut(publish.packet_id) {
            entry.counted = true;
        }
        if !known.queued {
            self.answer(
                Ready::After(known.token),
                publish.packet_id,
                Answer::PubRec(ReasonCode::Success, ""),
                fx,
            );
        }
        Ok(false)
    }

    fn on_verdict<E: Effects>(&mut self, publish: &Publish<'_>, verdict: Verdict, fx: &mut E) {
        let (ready, code, text) = match verdict {
            Verdict::Accept => (Ready::Now, ReasonCode::Success, ""),
            Verdict::AcceptWith(code) => (Ready::Now, code, ""),
            Verdict::After(token) => (Ready::After(token), ReasonCode::Success, ""),
            Verdict::Refuse(code, text) => (Ready::Now, code, text),
            Verdict::Close(code, text) => return self.kick(code, text, fx),
        };
        if publish.qos == QoS::AtMostOnce {
            return;
        }
        let mut code = Ack::permitted(code);
        if code.is_error() && self.version == Version::V4 {
            if fx.closes_refused_v4() {
                return self.end(Close::Kicked(code), fx);
            }
            code = ReasonCode::Success;
        }
        if publish.qos == QoS::AtLeastOnce {
            return self.answer(ready, publish.packet_id, Answer::PubAck(code, text), fx);
        }
        if !code.is_error() {
            let token = if let Ready::After(token) = ready { token } else { 0 };
            let entry = Inbound { token, counted: true, ..Inbound::default() };
            self.state.make().inbound.insert(publish.packet_id, entry);
        }
        self.answer(ready, publish.packet_id, Answer::PubRec(code, text), fx);
    }

    fn on_pubrel<E: Effects>(&mut self, ack: &Ack<'_>, fx: &mut E) {
        let packet_id = ack.packet_id;
        let Some(entry) = self.state.inbound_mut(packet_id) else {
            return self.answer(Ready::Now, packet_id, Answer::PubComp { found: false }, fx);
        };
        if entry.released {
            if !entry.queued {
                let token = entry.token;
                self.answer(Ready::After(token), packet_id, Answer::PubComp { found: true }, fx);
            }
            return;
        }
        let ready = fx.released(packet_id);
        entry.released = true;
        if let Ready::After(token) = ready {
            entry.token = token;
        }
        self.answer(ready, packet_id, Answer::PubComp { found: true }, fx);
    }

    fn on_subscribe<E: Effects>(&mut self, subscribe: &Subscribe<'_>, fx: &mut E) {
        let mut codes = Vec::new();
        let filters = if self.bridge { subscribe.filters.of_bridge() } else { subscribe.filters };
        let ready = fx.subscribe(&Subscribe { filters, ..*subscribe }, &mut codes);
        codes.resize(subscribe.filters.iter().count(), ReasonCode::UnspecifiedError);
        let codes = codes.iter().map(|&code| SubAck::permitted(code) as u8).collect();
        self.answer(ready, subscribe.packet_id, Answer::SubAck(codes), fx);
    }

    fn on_unsubscribe<E: Effects>(&mut self, unsubscribe: &Unsubscribe<'_>, fx: &mut E) {
        let mut codes = Vec::new();
        let ready = fx.unsubscribe(unsubscribe, &mut codes);
        codes.resize(unsubscribe.filters().count(), ReasonCode::UnspecifiedError);
        let codes = codes.iter().map(|&code| UnsubAck::permitted(code) as u8).collect();
        self.answer(ready, unsubscribe.packet_id, Answer::UnsubAck(codes), fx);
    }
}
