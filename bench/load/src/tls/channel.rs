//! TLS over a non-blocking socket.

use std::io::{self, Read, Write};
use std::os::fd::RawFd;

use rustls::{ClientConnection, HandshakeKind};

use crate::poll;

/// One connection's TLS; `None` if it could not even begin.
pub struct Channel {
    connection: Option<ClientConnection>,
    over: bool,
}

/// A socket as rustls wants it.
struct Socket(RawFd);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll::read(self.0, buffer)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match poll::write(self.0, bytes)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Channel {
    pub fn new(connection: Option<ClientConnection>) -> Self {
        Self { over: connection.is_none(), connection }
    }

    /// Reads once: plaintext, `Some(0)` for records without any (or the end, see [`Channel::is_over`]), `None` if
    /// there is nothing now. What is to be sent is sent.
    pub fn read(&mut self, fd: RawFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(connection) = &mut self.connection else { return Ok(Some(0)) };
        send(connection, fd)?;
        let came = match connection.read_tls(&mut Socket(fd)) {
            Ok(0) => {
                self.over = true;
                return Ok(Some(0));
            }
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => return Err(error),
        };
        let state = connection.process_new_packets().map_err(io::Error::other)?;
        self.over |= state.peer_has_closed();
        send(connection, fd)?;
        if state.plaintext_bytes_to_read() > 0 {
            return connection.reader().read(buffer).map(Some);
        }
        Ok(came.then_some(0))
    }

    /// Encrypts and sends.
    pub fn write(&mut self, fd: RawFd, bytes: &[u8]) -> io::Result<()> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        connection.writer().write_all(bytes)?;
        send(connection, fd)
    }

    /// Nothing more comes.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The client's side of the handshake is done.
    pub fn is_shaken(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.is_handshaking())
    }

    /// The handshake was a resumption.
    pub fn has_resumed(&self) -> bool {
        self.connection.as_ref().and_then(|connection| connection.handshake_kind())
            == Some(HandshakeKind::Resumed)
    }
}

fn send(connection: &mut ClientConnection, fd: RawFd) -> io::Result<()> {
    while connection.wants_write() {
        match connection.write_tls(&mut Socket(fd)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
