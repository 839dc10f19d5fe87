//! One client's connection: socket, protocol, and the bytes on their way.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use mohhos_mqtt::session::Session as Protocol;

use crate::auth::principals::Principal;
use crate::sys::socket;
use crate::trace::Tracer;
use crate::transport::{Layered, Transport};

/// With more than this to be written, no further messages are put into the output, and nothing more is read.
pub const MAX_OUTPUT: usize = 256 * 1024;
/// A larger buffer is not kept for others.
const MAX_SPARE: usize = 64 * 1024;
/// How many buffers are kept.
const MAX_SPARES: usize = 64;

/// How far a connection is.
#[derive(Debug)]
pub enum Stage {
    /// CONNECT is to come.
    Greeting,
    /// The password is being verified by the pool, or waits for that as long as the second is alive.
    Verifying(Box<Arrival>, Arc<()>),
    /// CONNECT was accepted; the session's slot.
    Open(u32),
    /// It is over: what is left is written, and the client's end waited for.
    Closing,
}

/// A client that asked to connect.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// The client id, perhaps chosen by us.
    pub client: Arc<str>,
    /// We chose the client id.
    pub assigned: bool,
    /// A session that was there before ends.
    pub clean_start: bool,
    /// The keep-alive that it asked for, in seconds.
    pub keep_alive: u16,
}

/// A connection on its way to its home shard; its socket follows by another road.
pub struct Transfer {
    /// Who it is.
    pub arrival: Box<Arrival>,
    /// The protocol, which waits for the decision.
    pub protocol: Protocol,
    /// What was read after CONNECT.
    pub unread: Vec<u8>,
    /// From where it is connected.
    pub address: SocketAddr,
    /// Its number in the process.
    pub id: u64,
    /// The listener that accepted it.
    pub listener: u16,
    /// What lies between the socket and the protocol.
    pub transport: Transport,
    /// Where its packets are noted, while it is traced.
    pub tracer: Option<Box<Tracer>>,
}

/// One connection of a shard.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub socket: OwnedFd,
    /// Which use of the slot.
    pub generation: u32,
    /// Its number in the process.
    pub id: u64,
    /// The protocol.
    pub protocol: Protocol,
    /// The bytes.
    pub io: Io,
    /// What lies between the socket and the protocol.
    pub transport: Transport,
    /// How far it is.
    pub stage: Stage,
    /// From where it is connected.
    pub address: SocketAddr,
    /// The listener that accepted it.
    pub listener: u16,
    /// Where its packets are noted, while it is traced.
    pub tracer: Option<Box<Tracer>>,
    /// When CONNECT was accepted, microseconds UTC; 0 before that.
    pub opened_us: i64,
    /// When its timer is due, in milliseconds; an entry of the timers for another time is stale.
    pub timer_ms: u64,
    /// The batch of records in which it last asked to be told of the commit.
    pub registered: u64,
}

/// Bytes on their way.
#[derive(Debug, Default)]
pub struct Io {
    /// To be written; from `written` on.
    pub out: Vec<u8>,
    /// How much of `out` is written.
    pub written: usize,
    /// Read and not yet taken by the protocol; counted in the shard's total.
    unread: Vec<u8>,
    /// `unread` holds a whole packet that the protocol would not take yet.
    pub stalled: bool,
    /// It was not read because too much was to be written; it is when that is.
    pub deferred: bool,
    /// It is not read until then, because its client has sent more than it may, in milliseconds; 0: it is.
    pub held_ms: u64,
    /// Its client has a rate, and has been held to it: it is read in small pieces.
    pub paced: bool,
    /// The socket takes nothing more for now.
    pub blocked: bool,
    /// The other side has closed: read to the end.
    pub hangup: bool,
    /// It is in the list of connections to read.
    pub ready: bool,
    /// It is in the list of connections to flush.
    pub dirty: bool,
    /// The transport has bytes of its own to be written.
    pub wire: bool,
}

impl Io {
    /// What was read and not yet taken by the protocol.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Takes it, off the shard's total.
    #[inline]
    pub fn take_unread(&mut self, total: &Cell<usize>) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.unread);
        total.set(total.get() - bytes.capacity());
        bytes
    }

    /// Keeps it until more comes.
    #[inline]
    pub fn keep_unread(&mut self, bytes: Vec<u8>, total: &Cell<usize>) {
        total.set(total.get() - self.unread.capacity() + bytes.capacity());
        self.unread = bytes;
    }

    /// Bytes to be written; what the transport has of its own counts as one.
    #[inline]
    pub fn pending(&self) -> usize {
        self.out.len() - self.written + usize::from(self.wire)
    }
}

/// Output buffers that no connection needs at the moment.
#[derive(Debug, Default)]
pub struct Spares(Vec<Vec<u8>>);

impl Spares {
    /// Makes sure that there is a buffer to write to.
    #[inline]
    pub fn lend(&mut self, io: &mut Io) {
        if io.out.capacity() == 0
            && let Some(spare) = self.0.pop()
        {
            io.out = spare;
        }
    }

    /// Takes a buffer back from which everything is written.
    #[inline]
    pub fn take_back(&mut self, io: &mut Io) {
        if io.out.capacity() > 0 && io.written == io.out.len() {
            io.written = 0;
            let buffer = std::mem::take(&mut io.out);
            self.give_back(buffer);
        }
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        if (1..=MAX_SPARE).contains(&buffer.capacity()) && self.0.len() < MAX_SPARES {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

impl Connection {
    /// Writes what the socket takes; the number of bytes. An error means that the connection is lost.
    pub fn flush(&mut self, spares: &mut Spares) -> io::Result<usize> {
        let Some(mut tracer) = self.tracer.take() else { return self.write_out(spares) };
        tracer.outgoing(&self.io.out);
        let written = self.write_out(spares);
        tracer.keep_seen(self.io.out.len());
        self.tracer = (!tracer.is_over()).then_some(tracer);
        written
    }

    fn write_out(&mut self, spares: &mut Spares) -> io::Result<usize> {
        let mut sent = 0;
        let io = &mut self.io;
        if let Transport::Layered(layered) = &mut self.transport {
            let fd = self.socket.as_raw_fd();
            let flushed = flush_layered(fd, layered, io, spares);
            io.wire = layered.unsent() > 0;
            return flushed;
        }
        while io.written < io.out.len() {
            match socket::send(self.socket.as_raw_fd(), &io.out[io.written..]) {
                Ok(count) => {
                    io.written += count;
                    sent += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    io.blocked = true;
                    if io.written > MAX_OUTPUT / 2 {
                        io.out.drain(..io.written);
                        io.written = 0;
                    }
                    return Ok(sent);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        spares.take_back(io);
        Ok(sent)
    }

    /// Before a socket is closed whose client has said goodbye: TLS and WebSocket want one too.
    pub fn take_leave(&mut self, spares: &mut Spares) {
        if matches!(self.transport, Transport::Layered(_)) {
            self.io.out = Vec::new();
            self.io.written = 0;
            if self.flush(spares).is_ok() && !self.io.wire {
                self.conclude(spares);
            }
        }
    }

    /// Says that nothing more comes, when everything is written.
    pub fn conclude(&mut self, spares: &mut Spares) {
        if let Transport::Layered(layered) = &mut self.transport
            && layered.say_goodbye()
        {
            self.io.wire = true;
            if self.flush(spares).is_err() || self.io.wire {
                return;
            }
        }
        socket::shutdown(&self.socket);
    }
}

/// As [`Connection::flush`]: what is written counts as written when all bytes that stand for it are.
fn flush_layered(fd: RawFd, layered: &mut Layered, io: &mut Io, spares: &mut Spares) -> io::Result<usize> {
    let mut sent = 0;
    loop {
        while layered.wire.sent < layered.wire.bytes.len() {
            match socket::send(fd, &layered.wire.bytes[layered.wire.sent..]) {
                Ok(count) => {
                    layered.wire.sent += count;
                    sent += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    io.blocked = true;
                    return Ok(sent);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        io.written += std::mem::take(&mut layered.wire.covers);
        layered.wire.sent = 0;
        layered.wire.bytes.clear();
        if layered.wire.bytes.capacity() == 0
            && let Some(spare) = spares.0.pop()
        {
            layered.wire.bytes = spare;
        }
        if !layered.fill(&io.out[io.written..]) {
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        }
        if layered.wire.bytes.is_empty() {
            spares.give_back(std::mem::take(&mut layered.wire.bytes));
            spares.take_back(io);
            return Ok(sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Session;

    #[test]
    fn an_idle_connection_and_its_session_are_small() {
        let bytes = size_of::<Connection>() + size_of::<Session>();
        assert!(bytes < 1024, "{bytes} bytes");
    }
}
