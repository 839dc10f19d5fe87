//! From a socket's bytes into the protocol.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;

use mohhos_mqtt::{ReasonCode, Version};

use super::Shard;
use super::connection::{MAX_OUTPUT, Stage};
use super::host::{Host, Outcome};
use crate::sys::socket;
use crate::transport::Transport;

/// So many that are not connected yet are read per round.
const MAX_NEWCOMERS: usize = 16;

/// So many that have gone are read per round.
const MAX_LEAVERS: usize = 32;

/// So much is read at once from a client that is held to a rate: what it sent too much waits in its socket, not here.
pub(super) const PACED_READ: usize = 16 * 1024;

/// The beginning of a packet that is smaller is copied when more comes, and never too much.
pub(super) const SMALL: usize = 16 * 1024;

/// What reading a socket came to.
pub(super) enum Read {
    /// There is nothing more for now.
    Done,
    /// There may be more.
    More,
    /// The connection is lost.
    Lost,
}

impl Shard {
    /// Reads the connections that are ready, as long as the round has room; returns how many bytes came.
    pub(super) fn read_ready(&mut self) -> usize {
        let mut total = 0;
        let mut at = 0;
        let ready = std::mem::take(&mut self.ready);
        while let Some(&slot) = ready.get(at) {
            if self.is_congested() {
                break;
            }
            at += 1;
            let Some(connection) = self.connections.get_mut(slot as usize) else { continue };
            connection.io.ready = false;
            total += self.read(slot);
            if self.intake.is_full() {
                self.finish_round();
            }
        }
        // What was not looked at stays ready, before what got ready meanwhile.
        let later = std::mem::replace(&mut self.ready, ready);
        self.ready.drain(..at);
        self.ready.extend(later);
        total
            + self.read_some(MAX_LEAVERS, |shard| &mut shard.leavers)
            + self.read_some(MAX_NEWCOMERS, |shard| &mut shard.newcomers)
    }

    /// Reads those that come or go, in order, some in each round: those that are connected go first, however many come and go
    /// at once.
    fn read_some(&mut self, most: usize, queue: impl Fn(&mut Self) -> &mut VecDeque<u32>) -> usize {
        let mut total = 0;
        for _ in 0..most {
            if self.is_congested() {
                break;
            }
            let Some(slot) = queue(self).pop_front() else { break };
            let Some(connection) = self.connections.get_mut(slot as usize) else { continue };
            connection.io.ready = false;
            total += self.read(slot);
            if self.intake.is_full() {
                self.finish_round();
            }
        }
        total
    }

    fn read(&mut self, slot: u32) -> usize {
        let (read, bytes) = self.receive_once(slot);
        match read {
            Read::Done => {}
            Read::More => self.mark_ready(slot),
            Read::Lost => self.lost(slot),
        }
        bytes
    }

    /// Reads once and has the protocol take what it will.
    fn receive_once(&mut self, slot: u32) -> (Read, usize) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return (Read::Done, 0) };
        let io = &mut connection.io;
        let fd = connection.socket.as_raw_fd();
        if matches!(connection.stage, Stage::Closing) {
            return match socket::receive(fd, &mut self.buffer) {
                Ok(0) => (Read::Lost, 0),
                Ok(_) => (Read::More, 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (Read::Done, 0),
                Err(_) => (Read::Lost, 0),
            };
        }
        if io.held_ms != 0 {
            // It has sent more than it may: what it sends now waits where it is.
            return (Read::Done, 0);
        }
        if io.pending() > MAX_OUTPUT {
            // It does not read its answers, so it is not read either until it has.
            io.deferred = true;
            return (Read::Done, 0);
        }
        if io.stalled {
            io.stalled = false;
            let unread = io.take_unread(&self.unread);
            let taken = self.feed(slot, &unread);
            self.keep(slot, &unread, taken);
            let stalled = self.connections.get(slot as usize).is_some_and(|c| c.io.stalled);
            return (if stalled { Read::Done } else { Read::More }, 0);
        }
        if matches!(connection.stage, Stage::Verifying(..)) {
            return (Read::Done, 0);
        }
        if matches!(connection.transport, Transport::Layered(_)) {
            return self.receive_layered(slot);
        }
        // What was left over and what comes now have to be in one piece.
        let unread = io.take_unread(&self.unread);
        let hangup = io.hangup;
        // A large one stays where it is, and what comes is put behind it: who sends it byte by byte must not have all of
        // it copied each time.
        let start = if unread.len() <= SMALL { unread.len() } else { 0 };
        let most = if io.paced { PACED_READ } else { self.buffer.len() };
        let room = most.min(self.buffer.len() - start);
        let count = match socket::receive(fd, &mut self.buffer[start..start + room]) {
            Ok(0) => return (Read::Lost, 0),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                io.keep_unread(unread, &self.unread);
                return (if hangup { Read::Lost } else { Read::Done }, 0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                io.keep_unread(unread, &self.unread);
                return (Read::More, 0);
            }
            Err(_) => return (Read::Lost, 0),
        };
        let counters = self.intake.counters();
        counters.receives.add(1);
        counters.bytes_in.add(count as u64);
        let buffer = std::mem::take(&mut self.buffer);
        if start == unread.len() {
            let mut buffer = buffer;
            buffer[..start].copy_from_slice(&unread);
            let taken = self.feed(slot, &buffer[..start + count]);
            self.keep(slot, &buffer[..start + count], taken);
            self.buffer = buffer;
        } else {
            let mut joined = unread;
            joined.extend_from_slice(&buffer[..count]);
            self.buffer = buffer;
            match self.feed(slot, &joined) {
                0 => self.keep_whole(slot, joined),
                taken => self.keep(slot, &joined, taken),
            }
        }
        // A short read has emptied the socket, unless the end of the stream is still to be seen.
        let stalled = self.connections.get(slot as usize).is_some_and(|c| c.io.stalled);
        let more = (count == room || hangup) && !stalled;
        (if more { Read::More } else { Read::Done }, count)
    }

    /// Offers bytes to the protocol; how many it took.
    pub(super) fn feed(&mut self, slot: u32, bytes: &[u8]) -> usize {
        let now_ms = self.now_ms();
        let Some(connection) = self.connections.get_mut(slot as usize) else { return 0 };
        self.spares.lend(&mut connection.io);
        let session = match connection.stage {
            Stage::Open(session) => Some(session),
            _ => None,
        };
        let mut host = Host {
            out: &mut connection.io.out,
            session,
            sessions: &mut self.sessions,
            intake: &mut self.intake,
            address: connection.address,
            told_of_refusals: connection.protocol.version() == Version::V5,
            result: Outcome::default(),
        };
        host.intake.hold_us = 0;
        let taken = connection.protocol.read(bytes, now_ms, &mut host);
        let outcome = host.result;
        if let Some(tracer) = &mut connection.tracer {
            tracer.incoming(&bytes[..taken], connection.protocol.version());
        }
        if self.intake.hold_us > 0 {
            self.hold(slot, self.intake.hold_us);
        }
        self.register(slot);
        self.mark_dirty_if_pending(slot);
        if outcome.request.is_some() || outcome.close.is_some() || outcome.pump {
            // The rest is kept first: the connection may move away in what follows.
            self.keep(slot, bytes, taken);
            if let Some(request) = &outcome.request {
                self.trace_newcomer(slot, request, &bytes[..taken]);
            }
            self.outcome(slot, outcome);
            return bytes.len();
        }
        taken
    }

    /// Keeps what the protocol did not take.
    pub(super) fn keep(&mut self, slot: u32, bytes: &[u8], taken: usize) {
        let rest = bytes.get(taken..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        self.keep_whole(slot, rest.to_vec());
    }

    /// Keeps bytes of which the protocol took none.
    pub(super) fn keep_whole(&mut self, slot: u32, bytes: Vec<u8>) {
        let limits = &self.intake.shared.config.limits;
        let (max, most) = (limits.max_packet_bytes, limits.max_unfinished_bytes);
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        connection.io.keep_unread(bytes, &self.unread);
        let rest = connection.io.unread();
        // A whole packet is there: the protocol waits for something else than bytes.
        let whole = matches!(
            mohhos_mqtt::packet::frame(rest, max),
            Ok(Some(frame)) if frame.total_len <= rest.len()
        );
        if !whole && rest.len() > SMALL && self.unread.get() > most / self.intake.shared.shards.len() {
            self.swollen.push((slot, connection.generation));
        }
        connection.io.stalled = whole;
        if connection.io.stalled && matches!(connection.stage, Stage::Open(_)) {
            let waits_for_commit = connection.protocol.awaits_commit() && !self.intake.is_full();
            if !waits_for_commit {
                self.mark_ready(slot);
            }
        }
    }

    /// Ends the connections in whose packets no more of the memory may go that all share.
    pub(super) fn end_swollen(&mut self) {
        for (slot, generation) in std::mem::take(&mut self.swollen) {
            let Some(connection) = self.connections.get(slot as usize) else { continue };
            if connection.generation == generation && !connection.io.unread().is_empty() {
                self.intake.counters().swollen.add(1);
                self.kick(
                    slot,
                    ReasonCode::QuotaExceeded,
                    "too much of unfinished packets waits here, try again",
                );
            }
        }
    }

    /// Has the connection told of the commit that its answers wait for.
    fn register(&mut self, slot: u32) {
        let token = self.intake.journal.token();
        if let Some(connection) = self.connections.get_mut(slot as usize)
            && connection.registered != token
            && connection.protocol.awaits_commit()
        {
            connection.registered = token;
            self.intake.journal.register((slot, connection.generation));
        }
    }

    pub(super) fn mark_dirty_if_pending(&mut self, slot: u32) {
        if self.connections.get(slot as usize).is_some_and(|c| c.io.pending() > 0) {
            self.mark_dirty(slot);
        } else if let Some(connection) = self.connections.get_mut(slot as usize) {
            self.spares.take_back(&mut connection.io);
        }
    }
}
