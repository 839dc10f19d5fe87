//! Answers that wait for the log, and how answers are sent.
//!
//! Answers leave in the order in which their causes came (4.6): one that may go at once still waits behind
//! one that may not. Tokens never decrease along the queue.

use std::collections::VecDeque;

use crate::packet::{Ack, EncodeError, PacketType, SubAck, UnsubAck, Version};
use crate::property::{Properties, Property, PropertyBuf};
use crate::reason::ReasonCode;
use crate::session::inflight::{Phase, Wire};
use crate::session::{Effects, Ready, Session, Stage};

pub(super) type Waiting = VecDeque<Item>;

#[derive(Debug)]
pub(super) struct Item {
    token: u64,
    packet_id: u16,
    answer: Answer,
}

/// A packet that answers one of the client's.
#[derive(Debug)]
pub(super) enum Answer {
    PubAck(ReasonCode, &'static str),
    PubRec(ReasonCode, &'static str),
    /// `found`: the delivery is ours; else the packet id is unknown.
    PubRel {
        found: bool,
    },
    /// `found`: the message is ours; else the packet id is unknown.
    PubComp {
        found: bool,
    },
    SubAck(Box<[u8]>),
    UnsubAck(Box<[u8]>),
}

impl Session {
    /// The log is durable up to `token`: sends what waited for that. Call it before `accept`, too, when a
    /// session is resumed, so that it knows what is durable already.
    pub fn committed<E: Effects>(&mut self, token: u64, fx: &mut E) {
        self.committed = self.committed.max(token);
        while self.waiting.front().is_some_and(|item| item.token <= self.committed) {
            let Some(item) = self.waiting.pop_front() else { break };
            self.send(item.packet_id, &item.answer, fx);
        }
    }

    /// Sends an answer, or lets it wait for its turn.
    #[inline]
    pub(super) fn answer<E: Effects>(&mut self, ready: Ready, packet_id: u16, answer: Answer, fx: &mut E) {
        let token = match ready {
            Ready::Now => 0,
            Ready::After(token) => token,
        };
        if token <= self.committed && !self.awaits_commit() {
            return self.send(packet_id, &answer, fx);
        }
        self.mark_queued(packet_id, &answer, true);
        let token = self.waiting.back().map_or(token, |last| last.token.max(token));
        self.waiting.push_back(Item { token, packet_id, answer });
    }

    /// Notes with the message whether an answer to its latest step waits, so that a repetition is not
    /// answered twice.
    fn mark_queued(&mut self, packet_id: u16, answer: &Answer, queued: bool) {
        let Some(inner) = self.state.get_mut() else { return };
        match answer {
            Answer::PubRec(..) | Answer::PubComp { .. } => {
                if let Some(entry) = inner.inbound.get_mut(&packet_id) {
                    // When PUBREC leaves, PUBCOMP may be waiting behind it already.
                    entry.queued = queued || entry.released;
                }
            }
            Answer::PubRel { .. } => {
                if let Some(at) = inner.outbound.by_packet(packet_id) {
                    inner.outbound.entry(at).queued = queued;
                }
            }
            Answer::PubAck(..) | Answer::SubAck(_) | Answer::UnsubAck(_) => {}
        }
    }

    fn send<E: Effects>(&mut self, packet_id: u16, answer: &Answer, fx: &mut E) {
        match *answer {
            Answer::PubAck(code, text) => {
                self.open_inbound = self.open_inbound.saturating_sub(1);
                self.send_ack(PacketType::PubAck, packet_id, code, text, fx);
            }
            Answer::PubRec(code, text) => {
                if code.is_error() {
                    self.open_inbound = self.open_inbound.saturating_sub(1);
                } else {
                    self.mark_queued(packet_id, answer, false);
                }
                self.send_ack(PacketType::PubRec, packet_id, code, text, fx);
            }
            Answer::PubRel { found: true } => {
                if self.delivery_is_received(packet_id) {
                    self.mark_queued(packet_id, answer, false);
                    self.send_ack(PacketType::PubRel, packet_id, ReasonCode::Success, "", fx);
                }
            }
            Answer::PubRel { found: false } => {
                self.send_ack(PacketType::PubRel, packet_id, ReasonCode::PacketIdentifierNotFound, "", fx);
            }
            Answer::PubComp { found: true } => {
                let entry = self.state.get_mut().and_then(|inner| inner.inbound.remove(&packet_id));
                if entry.is_some_and(|entry| entry.counted) {
                    self.open_inbound = self.open_inbound.saturating_sub(1);
                }
                self.send_ack(PacketType::PubComp, packet_id, ReasonCode::Success, "", fx);
            }
            Answer::PubComp { found: false } => {
                self.send_ack(PacketType::PubComp, packet_id, ReasonCode::PacketIdentifierNotFound, "", fx);
            }
            Answer::SubAck(ref codes) => self.encode(fx, |version, out| {
                SubAck { packet_id, properties: Properties::EMPTY, codes }.encode(version, out)
            }),
            Answer::UnsubAck(ref codes) => self.encode(fx, |version, out| {
                UnsubAck { packet_id, properties: Properties::EMPTY, codes }.encode(version, out)
            }),
        }
    }

    /// The delivery may have ended while its PUBREL waited: a client can send PUBCOMP for one of an earlier
    /// connection.
    fn delivery_is_received(&self, packet_id: u16) -> bool {
        self.state.get().is_some_and(|inner| {
            inner.outbound.iter().any(|entry| {
                entry.packet_id == packet_id && entry.phase == Phase::Received && entry.wire == Wire::Sent
            })
        })
    }

    #[inline]
    fn send_ack<E: Effects>(
        &mut self,
        kind: PacketType,
        packet_id: u16,
        code: ReasonCode,
        text: &str,
        fx: &mut E,
    ) {
        if text.is_empty() || !self.problem_information || self.version == Version::V4 {
            self.encode(fx, |version, out| {
                Ack { packet_id, code, properties: Properties::EMPTY }.encode(kind, version, out)
            });
        } else {
            self.encode_with_reason(text, fx, |properties, version, out| {
                Ack { packet_id, code, properties }.encode(kind, version, out)
            });
        }
    }

    /// Appends a packet to the output unless the client does not accept its size (3.1.2.11.4).
    #[inline]
    pub(super) fn encode<E: Effects>(
        &self,
        fx: &mut E,
        packet: impl FnOnce(Version, &mut Vec<u8>) -> Result<(), EncodeError>,
    ) {
        debug_assert!(self.stage != Stage::Closed);
        let out = fx.output();
        let start = out.len();
        if packet(self.version, out).is_err() || out.len() - start > self.client_max_packet as usize {
            out.truncate(start);
        }
    }

    /// Appends a packet with a reason string, or without if that makes it too large for the client.
    pub(super) fn encode_with_reason<E: Effects>(
        &self,
        text: &str,
        fx: &mut E,
        packet: impl Fn(Properties<'_>, Version, &mut Vec<u8>) -> Result<(), EncodeError>,
    ) {
        let out = fx.output();
        let start = out.len();
        let mut properties = PropertyBuf::new();
        if !text.is_empty() && properties.push(Property::ReasonString(text)).is_ok() {
            let done = packet(properties.view(), self.version, out);
            if done.is_ok() && out.len() - start <= self.client_max_packet as usize {
                return;
            }
            out.truncate(start);
        }
        self.encode(fx, |version, out| packet(Properties::EMPTY, version, out));
    }
}
