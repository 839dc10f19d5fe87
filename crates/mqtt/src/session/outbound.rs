//! Messages to the client, and its acknowledgements.

use crate::error::DecodeError;
use crate::packet::{Ack, QoS};
use crate::reason::ReasonCode;
use crate::session::alias::OwnAlias;
use crate::session::forward::{self, Form};
use crate::session::inflight::{Phase, Wire};
use crate::session::waiting::Answer;
use crate::session::{Delivered, Delivery, Effects, Ready, Session, Stage};

impl Session {
    /// Sends a message, if the window has room.
    #[inline]
    pub fn deliver<E: Effects>(&mut self, delivery: &Delivery<'_>, fx: &mut E) -> Delivered {
        if self.stage != Stage::Open {
            return Delivered::Closed;
        }
        if delivery.qos != QoS::AtMostOnce {
            return self.deliver_acknowledged(delivery, fx);
        }
        if delivery.expiry_s == Some(0) {
            return Delivered::Expired;
        }
        self.send_publish(delivery, QoS::AtMostOnce, 0, false, fx)
    }

    /// The delivery may hold a packet id already: reserved on this connection, or sent on an earlier one.
    fn deliver_acknowledged<E: Effects>(&mut self, delivery: &Delivery<'_>, fx: &mut E) -> Delivered {
        let held = self.state.get().and_then(|inner| {
            let at = inner.outbound.unsent(delivery.id)?;
            inner.outbound.iter().nth(at).copied()
        });
        let Some(entry) = held else { return self.deliver_new(delivery, fx) };
        if entry.wire == Wire::Resend && self.resend_room() == 0 {
            return Delivered::Wait;
        }
        let qos = if entry.phase == Phase::AtLeastOnce { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        // What was sent once is sent again whether or not it has expired since (4.3.3, 4.4).
        let done = if delivery.expiry_s == Some(0) && !entry.dup {
            Delivered::Expired
        } else {
            self.send_publish(delivery, qos, entry.packet_id, entry.dup, fx)
        };
        if done == Delivered::Sent {
            let outbound = &mut self.state.make().outbound;
            if let Some(at) = outbound.unsent(delivery.id) {
                outbound.mark_sent(at);
            }
        } else {
            self.forget(delivery.id, fx);
        }
        done
    }

    fn deliver_new<E: Effects>(&mut self, delivery: &Delivery<'_>, fx: &mut E) -> Delivered {
        if self.window() == 0 {
            return Delivered::Wait;
        }
        if delivery.expiry_s == Some(0) {
            return Delivered::Expired;
        }
        let Some(packet_id) = self.state.make().outbound.push(delivery.id, phase(delivery.qos), Wire::Sent)
        else {
            return Delivered::Wait;
        };
        let done = self.send_publish(delivery, delivery.qos, packet_id, false, fx);
        if done != Delivered::Sent {
            self.state.make().outbound.pop();
        }
        done
    }

    #[inline]
    fn send_publish<E: Effects>(
        &mut self,
        delivery: &Delivery<'_>,
        qos: QoS,
        packet_id: u16,
        dup: bool,
        fx: &mut E,
    ) -> Delivered {
        let mut alias = self.own_alias(delivery.topic);
        let (version, max_size) = (self.version, self.client_max_packet);
        let form = |alias| Form { version, qos, packet_id, dup, alias, max_size };
        if !forward::encode(delivery, &form(alias), fx.output()) {
            // A new alias makes the packet longer, which must not be why the client does not get it.
            if alias.take().is_none() || !forward::encode(delivery, &form(None), fx.output()) {
                return Delivered::TooLarge;
            }
        }
        if let Some(OwnAlias { alias, known: false }) = alias {
            self.note_alias(alias, delivery.topic);
        }
        Delivered::Sent
    }

    /// Gives a delivery of QoS 1 or 2 its packet id before it is sent, so that the host can log it. `None`
    /// where `deliver` would say `Wait` or `Closed`. `deliver` sends it then with this id.
    pub fn reserve(&mut self, delivery: u64, qos: QoS) -> Option<u16> {
        if qos == QoS::AtMostOnce || self.window() == 0 {
            return None;
        }
        self.state.make().outbound.push(delivery, phase(qos), Wire::Reserved)
    }

    /// How many new deliveries of QoS 1 and 2 could be sent now.
    pub fn window(&self) -> usize {
        let resends = self.state.get().map_or(0, |inner| inner.outbound.resends());
        if self.stage != Stage::Open || resends > 0 { 0 } else { self.resend_room() }
    }

    fn resend_room(&self) -> usize {
        let used = self.state.get().map_or(0, |inner| inner.outbound.in_window());
        usize::from(self.client_window.min(self.limits.max_inflight.max(1)).saturating_sub(used))
    }

    /// The first delivery of an earlier connection that has to be sent (again) now, if there is one and the
    /// window has room for it. One that was reserved and never sent is named, too: the host sees to it that
    /// its reservation is durable before it delivers it.
    pub fn next_resend(&self) -> Option<u64> {
        if self.stage != Stage::Open || self.resend_room() == 0 {
            return None;
        }
        Some(self.state.get()?.outbound.first_resend()?.delivery)
    }

    /// Gives up a delivery that is reserved or to be re-sent: its body is gone. `false` if it is neither.
    ///
    /// If a client may have received a QoS 2 message, it may hold its packet id, and would take the next
    /// message with it for a repetition. So it gets PUBREL, and `settled` follows when it has answered; else
    /// the packet id is free at once, and `settled` is not called.
    pub fn forget<E: Effects>(&mut self, delivery: u64, fx: &mut E) -> bool {
        if self.stage != Stage::Open {
            return false;
        }
        let Some(inner) = self.state.get_mut() else { return false };
        let Some(at) = inner.outbound.unsent(delivery) else { return false };
        let entry = inner.outbound.entry(at);
        if entry.phase == Phase::AtLeastOnce || !entry.dup {
            inner.outbound.remove(at);
            return true;
        }
        entry.phase = Phase::Received;
        let packet_id = entry.packet_id;
        inner.outbound.mark_sent(at);
        self.answer(Ready::Now, packet_id, Answer::PubRel { found: true }, fx);
        true
    }

    pub(super) fn on_puback<E: Effects>(&mut self, ack: &Ack<'_>, fx: &mut E) {
        match self.phase_of(ack.packet_id) {
            Some(Phase::AtLeastOnce) => self.settle(ack.packet_id, ack.code, fx),
            Some(_) => self.violation(DecodeError::protocol("PUBACK for a message of QoS 2"), fx),
            // It belongs to a message that was given up, or to none; the standard has no answer to it.
            None => {}
        }
    }

    pub(super) fn on_pubrec<E: Effects>(&mut self, ack: &Ack<'_>, fx: &mut E) {
        let packet_id = ack.packet_id;
        match self.phase_of(packet_id) {
            Some(Phase::AtLeastOnce) => {
                self.violation(DecodeError::protocol("PUBREC for a message of QoS 1"), fx);
            }
            Some(Phase::ExactlyOnce) if ack.code.is_error() => self.settle(packet_id, ack.code, fx),
            Some(Phase::ExactlyOnce) => self.receive(packet_id, fx),
            Some(Phase::Received) => self.repeat_pubrel(packet_id, fx),
            None if ack.code.is_error() => {}
            None => self.answer(Ready::Now, packet_id, Answer::PubRel { found: false }, fx),
        }
    }

    pub(super) fn on_pubcomp<E: Effects>(&mut self, ack: &Ack<'_>, fx: &mut E) {
        match self.phase_of(ack.packet_id) {
            // "Packet identifier not found" is no error when a connection was lost in between (3.7.2.1).
            Some(Phase::Received) => self.settle(ack.packet_id, ReasonCode::Success, fx),
            Some(_) => {
                self.violation(DecodeError::protocol("PUBCOMP for a message that was not released"), fx)
            }
            None => {}
        }
    }

    /// How far the delivery with this packet id is, if the client can have seen it.
    fn phase_of(&self, packet_id: u16) -> Option<Phase> {
        let outbound = &self.state.get()?.outbound;
        let entry = outbound.iter().find(|entry| entry.packet_id == packet_id)?;
        if entry.wire == Wire::Sent || entry.dup { Some(entry.phase) } else { None }
    }

    fn settle<E: Effects>(&mut self, packet_id: u16, code: ReasonCode, fx: &mut E) {
        let Some(inner) = self.state.get_mut() else { return };
        if let Some(entry) = inner.outbound.by_packet(packet_id).and_then(|at| inner.outbound.remove(at)) {
            fx.settled(entry.delivery, code);
        }
    }

    fn receive<E: Effects>(&mut self, packet_id: u16, fx: &mut E) {
        let Some(inner) = self.state.get_mut() else { return };
        let Some(at) = inner.outbound.by_packet(packet_id) else { return };
        inner.outbound.mark_sent(at);
        let entry = inner.outbound.entry(at);
        let ready = fx.received(entry.delivery);
        entry.phase = Phase::Received;
        if let Ready::After(token) = ready {
            entry.token = token;
        }
        self.answer(ready, packet_id, Answer::PubRel { found: true }, fx);
    }

    fn repeat_pubrel<E: Effects>(&mut self, packet_id: u16, fx: &mut E) {
        let Some(inner) = self.state.get() else { return };
        let Some(entry) = inner.outbound.iter().find(|entry| entry.packet_id == packet_id) else { return };
        if !entry.queued {
            let token = entry.token;
            self.answer(Ready::After(token), packet_id, Answer::PubRel { found: true }, fx);
        }
    }
}

fn phase(qos: QoS) -> Phase {
    if qos == QoS::ExactlyOnce { Phase::ExactlyOnce } else { Phase::AtLeastOnce }
}
