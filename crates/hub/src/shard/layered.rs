//! Connections with something between socket and protocol: reading them, the end of their handshakes, and what happens
//! when their clients break the rules.

use std::io;
use std::os::fd::AsRawFd;

use mohhos_mqtt::session::{Close, Session as Protocol};
use mohhos_mqtt::{DecodeError, ReasonCode};

use super::connection::{MAX_OUTPUT, Stage};
use super::plain::Plain;
use super::read::SMALL;
use super::read::{PACED_READ, Read};
use super::{Shard, protocol_limits};
use crate::sys::socket;
use crate::transport::tls::handshake::{Handshake, Progress};
use crate::transport::{Failure, Layer, Transport};

/// A buffer that has grown larger is not kept.
const MAX_PLAIN: usize = 1 << 20;
/// So many connections per round are looked at whether their certificates are revoked.
const RECHECKS: usize = 1000;

impl Shard {
    /// Reads once, through the layers.
    pub(super) fn receive_layered(&mut self, slot: u32) -> (Read, usize) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return (Read::Done, 0) };
        let Transport::Layered(layered) = &mut connection.transport else { return (Read::Done, 0) };
        if layered.closed {
            return (Read::Lost, 0);
        }
        if layered.is_away() || layered.handshake_to_do().is_some() {
            // It is our turn.
            return (Read::Done, 0);
        }
        if layered.unsent() > MAX_OUTPUT {
            connection.io.deferred = true;
            return (Read::Done, 0);
        }
        let fd = connection.socket.as_raw_fd();
        let hangup = connection.io.hangup;
        let start = layered.lead(&mut self.buffer);
        let most = if connection.io.paced { PACED_READ } else { self.buffer.len() };
        let room = most.min(self.buffer.len() - start);
        let count = match socket::receive(fd, &mut self.buffer[start..start + room]) {
            Ok(0) => return (Read::Lost, 0),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return (if hangup { Read::Lost } else { Read::Done }, 0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return (Read::More, 0),
            Err(_) => return (Read::Lost, 0),
        };
        let mut plain = self.lend_plain(slot);
        let before = plain.len();
        let Some(connection) = self.connections.get_mut(slot as usize) else { return (Read::Done, 0) };
        let Transport::Layered(layered) = &mut connection.transport else { return (Read::Done, 0) };
        let had_upgraded = layered.has_upgraded();
        let taken = layered.take(&mut self.buffer[..start + count], &mut plain);
        let upgraded = !had_upgraded && layered.has_upgraded();
        let (client, transparent) = (layered.client.take(), layered.is_transparent());
        if let Some(client) = client {
            connection.address = client;
        }
        if transparent {
            connection.transport = Transport::Plain;
        }
        let counters = self.intake.counters();
        counters.receives.add(1);
        counters.bytes_in.add(count as u64);
        counters.websockets.add(u64::from(upgraded));
        self.go_inwards(slot, plain, before, taken);
        let (stalled, closed) = self.connections.get(slot as usize).map_or((false, false), |connection| {
            let closed = matches!(&connection.transport, Transport::Layered(layered) if layered.closed);
            (connection.io.stalled, closed && !matches!(connection.stage, Stage::Closing))
        });
        if closed && !stalled {
            return (Read::Lost, count);
        }
        self.advance_handshake(slot);
        let more = (count == room || hangup) && !stalled;
        (if more { Read::More } else { Read::Done }, count)
    }

    /// What the protocol did not take before, to put more behind it.
    fn lend_plain(&mut self, slot: u32) -> Vec<u8> {
        match self.connections.get_mut(slot as usize) {
            Some(connection) if !connection.io.unread().is_empty() => connection.io.take_unread(&self.unread),
            _ => std::mem::take(&mut self.plain),
        }
    }

    /// Has the protocol take what came through the layers; `before` bytes of it were there already.
    fn go_inwards(&mut self, slot: u32, mut plain: Vec<u8>, before: usize, taken: Result<(), Failure>) {
        if let Some(connection) = self.connections.get_mut(slot as usize)
            && let Transport::Layered(layered) = &connection.transport
        {
            connection.io.wire = layered.unsent() > 0;
        }
        match taken {
            Ok(()) if plain.len() > before => {
                let taken = self.feed(slot, &plain);
                if taken == 0 && plain.len() > SMALL {
                    return self.keep_whole(slot, plain);
                }
                self.keep(slot, &plain, taken);
            }
            Ok(()) => {
                if before > 0 {
                    self.keep_whole(slot, std::mem::take(&mut plain));
                }
                self.mark_dirty_if_pending(slot);
            }
            Err(failure) => self.transport_failed(slot, failure),
        }
        plain.clear();
        if plain.capacity() <= MAX_PLAIN && plain.capacity() > self.plain.capacity() {
            self.plain = plain;
        }
    }

    /// A step of a TLS handshake was made.
    pub(super) fn handshaken(
        &mut self,
        slot: u32,
        generation: u32,
        handshake: Box<Handshake>,
        progress: Progress,
    ) {
        let now_ms = self.now_ms();
        let limits = protocol_limits(&self.intake.shared.config.limits);
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        if connection.generation != generation || !matches!(connection.stage, Stage::Greeting) {
            return;
        }
        let Transport::Layered(layered) = &mut connection.transport else { return };
        let mut plain = Vec::new();
        let taken = match progress {
            Progress::Wants => {
                layered.go_on(handshake);
                Ok(())
            }
            Progress::Done(outcome) => {
                let counters = &self.intake.shared.shards[usize::from(self.intake.shard)].counters;
                counters.tls_handshakes.add(1);
                counters.tls_resumed.add(u64::from(outcome.resumed));
                let opened = layered.open(*handshake, outcome, &mut plain);
                counters.websockets.add(u64::from(layered.has_upgraded()));
                self.admission.finish(&mut connection.transport);
                // Its time to say CONNECT begins now.
                connection.protocol = Protocol::new(limits, now_ms);
                opened
            }
            Progress::Failed(why) => {
                layered.fail(*handshake);
                self.admission.finish(&mut connection.transport);
                Err(Failure { layer: Layer::Tls, why })
            }
        };
        self.go_inwards(slot, plain, 0, taken);
        // More may have come meanwhile.
        self.mark_ready(slot);
    }

    /// A client broke the rules of a layer: it is told by the layer, operators by an event.
    pub(super) fn transport_failed(&mut self, slot: u32, failure: Failure) {
        let counters = self.intake.counters();
        match failure.layer {
            Layer::Proxy => counters.proxy_failed.add(1),
            Layer::Tls => counters.tls_failed.add(1),
            Layer::WebSocket => counters.websockets_failed.add(1),
        }
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let address = connection.address;
        match connection.stage {
            Stage::Open(_) => {
                let what = match failure.layer {
                    Layer::WebSocket => "its WebSocket frames break the standard",
                    Layer::Proxy | Layer::Tls => "its TLS records are damaged",
                };
                let mut nothing = Vec::new();
                let mut plain = Plain::new(&mut nothing);
                connection.protocol.transport_closed(&mut plain);
                let will = plain.will;
                let error = DecodeError { code: ReasonCode::ProtocolError, what, connack: None };
                self.ended(slot, Close::Violation(error), will);
            }
            Stage::Closing => {}
            Stage::Greeting | Stage::Verifying(..) => {
                connection.stage = Stage::Closing;
                self.refuse_event("", "", address, ReasonCode::ProtocolError, failure.why);
                self.linger(slot);
            }
        }
    }

    /// Goes on looking for connections whose certificates are revoked.
    pub(super) fn recheck_some(&mut self) {
        let Some(start) = self.rechecking else { return };
        let shared = self.intake.shared.clone();
        let end = start + RECHECKS;
        self.rechecking = (end < self.connections.capacity()).then_some(end);
        let revoked: Vec<u32> = (start..end)
            .filter(|&slot| {
                self.connections.get(slot).is_some_and(|connection| {
                    let acceptor = shared.layers[usize::from(connection.listener)].acceptor.as_ref();
                    match (&connection.transport, acceptor) {
                        (Transport::Layered(layered), Some(acceptor)) => layered.is_revoked(acceptor),
                        _ => false,
                    }
                })
            })
            .map(|slot| slot as u32)
            .collect();
        for slot in revoked {
            let Some(connection) = self.connections.get(slot as usize) else { continue };
            let address = connection.address;
            let name = match &connection.transport {
                Transport::Layered(layered) => layered.identity.clone().unwrap_or_default(),
                Transport::Plain => "".into(),
            };
            let why =
                "its certificate was revoked while it was connected; give it a new one if it may come back";
            self.refuse_event(&name, "", address, ReasonCode::NotAuthorized, why.into());
            self.kick(slot, ReasonCode::NotAuthorized, "the certificate was revoked");
        }
    }
}
