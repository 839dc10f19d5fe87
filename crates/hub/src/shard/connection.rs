//! One client's connection: socket, protocol, and the bytes on their way.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use mohhos_mqtt::session::Session as Protocol;

use crate::auth::principals::Principal;
use crate::sys::socket;

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
    /// The password is being verified by the pool.
    Verifying(Box<Arrival>),
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
    /// How far it is.
    pub stage: Stage,
    /// From where it is connected.
    pub address: SocketAddr,
    /// The listener that accepted it.
    pub listener: u16,
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
    /// Read and not yet taken by the protocol.
    pub unread: Vec<u8>,
    /// `unread` holds a whole packet that the protocol would not take yet.
    pub stalled: bool,
    /// It was not read because too much was to be written; it is when that is.
    pub deferred: bool,
    /// The socket takes nothing more for now.
    pub blocked: bool,
    /// The other side has closed: read to the end.
    pub hangup: bool,
    /// It is in the list of connections to read.
    pub ready: bool,
    /// It is in the list of connections to flush.
    pub dirty: bool,
}

impl Io {
    /// Bytes to be written.
    #[inline]
    pub fn pending(&self) -> usize {
        self.out.len() - self.written
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
        if io.out.capacity() > 0 && io.pending() == 0 {
            io.written = 0;
            let buffer = std::mem::take(&mut io.out);
            self.give_back(buffer);
        }
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= MAX_SPARE && self.0.len() < MAX_SPARES {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

impl Connection {
    /// Writes what the socket takes; the number of bytes. An error means that the connection is lost.
    pub fn flush(&mut self, spares: &mut Spares) -> io::Result<usize> {
        let mut sent = 0;
        let io = &mut self.io;
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
