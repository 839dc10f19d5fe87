//! One device and its connection.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Instant;

use super::worker::Terms;
use crate::client::{KEEP_ALIVE_S, connect_packet, subscribe_packet};
use crate::poll;
use crate::tls::{Channel, Identity};

/// When a device has what it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It has its CONNACK; the connection is held.
    Connected,
    /// The TLS handshake is done on both sides; the connection is closed.
    Shaken,
}

/// How far its connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is none.
    Away,
    /// TCP.
    Connecting,
    /// TLS.
    Shaking,
    /// CONNECT is sent.
    Greeting,
    /// It is there.
    Open,
}

/// What came of a look at the connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing that matters.
    Same,
    /// The device has what it wants.
    Done,
    /// The connection is over, or the server wants nothing of the device.
    Over,
}

/// One device.
pub struct Device {
    pub user: String,
    /// CONNECT, and SUBSCRIBE right after it.
    greeting: Vec<u8>,
    pub stage: Stage,
    fd: Option<OwnedFd>,
    channel: Option<Box<Channel>>,
    pub identity: Option<Identity>,
    /// When it began to connect.
    pub began: Instant,
    /// When the server ended the connection, in nanoseconds of the monotonic clock.
    pub ended_ns: u64,
    pub pings: u32,
    pub pongs: u32,
    answer: Vec<u8>,
}

impl Device {
    /// A device that is away.
    pub fn new(user: String, password: &str, terms: &Terms, identity: Option<Identity>) -> Self {
        let keep_alive_s = terms.ping.map_or(KEEP_ALIVE_S, |ping| ping.as_secs() as u16);
        let mut greeting = connect_packet(&format!("load-{user}"), &user, password, keep_alive_s);
        if let Some(below) = &terms.subscribe {
            greeting.extend(subscribe_packet(&format!("devices/{user}/{below}"), 1));
        }
        Self {
            user,
            greeting,
            stage: Stage::Away,
            fd: None,
            channel: None,
            identity,
            began: Instant::now(),
            ended_ns: 0,
            pings: 0,
            pongs: 0,
            answer: Vec::new(),
        }
    }

    /// Begins to connect, on this socket.
    pub fn begin(&mut self, fd: OwnedFd) {
        self.channel = self.identity.as_ref().map(|identity| Box::new(identity.channel()));
        self.fd = Some(fd);
        self.answer.clear();
        self.stage = Stage::Connecting;
    }

    /// Its connection is gone.
    pub fn cut(&mut self) {
        self.stage = Stage::Away;
        self.fd = None;
        self.channel = None;
    }

    /// The socket may be readable or writable. Errors are those of the connection.
    pub fn advance(&mut self, until: Until, buffer: &mut [u8]) -> io::Result<Step> {
        let Some(fd) = self.fd.as_ref().map(AsRawFd::as_raw_fd) else { return Ok(Step::Same) };
        if self.stage == Stage::Connecting {
            if !poll::is_connected(fd)? {
                return Ok(Step::Same);
            }
            self.stage = Stage::Shaking;
            if self.channel.is_none() {
                self.greet(fd)?;
            }
        }
        loop {
            let count = self.read(fd, buffer)?;
            let is_shaken = self.channel.as_ref().is_some_and(|channel| channel.is_shaken());
            if self.stage == Stage::Shaking && is_shaken {
                match until {
                    Until::Connected => self.greet(fd)?,
                    Until::Shaken if self.identity.as_ref().is_some_and(Identity::has_ticket) => {
                        return Ok(Step::Done);
                    }
                    Until::Shaken => {}
                }
            }
            let count = match count {
                None => return Ok(Step::Same),
                Some(0) if self.channel.as_ref().is_some_and(|channel| !channel.is_over()) => continue,
                Some(0) => return Ok(Step::Over),
                Some(count) => count,
            };
            match self.take(&buffer[..count]) {
                Step::Same => {}
                step => return Ok(step),
            }
        }
    }

    /// Bytes of MQTT; none from a TLS record without any.
    fn read(&mut self, fd: RawFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match &mut self.channel {
            Some(channel) => channel.read(fd, buffer),
            None => poll::read(fd, buffer),
        }
    }

    fn write(&mut self, fd: RawFd, bytes: &[u8]) -> io::Result<()> {
        match &mut self.channel {
            Some(channel) => channel.write(fd, bytes),
            // Some hundred bytes fit into the buffer of any socket that has nothing in it.
            None if poll::write(fd, bytes)? == bytes.len() => Ok(()),
            None => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    fn greet(&mut self, fd: RawFd) -> io::Result<()> {
        self.stage = Stage::Greeting;
        let greeting = std::mem::take(&mut self.greeting);
        let written = self.write(fd, &greeting);
        self.greeting = greeting;
        written
    }

    fn take(&mut self, bytes: &[u8]) -> Step {
        if self.stage == Stage::Open {
            self.pongs += bytes.chunks_exact(2).filter(|packet| packet == &[0xd0, 0]).count() as u32;
            return Step::Same;
        }
        self.answer.extend_from_slice(bytes);
        match self.answer[..] {
            [0x20, 2, _, 0, ..] => {
                self.stage = Stage::Open;
                Step::Done
            }
            [_, _, _, _, ..] => Step::Over,
            _ => Step::Same,
        }
    }

    /// Sends PINGREQ.
    pub fn ping(&mut self) -> io::Result<()> {
        let Some(fd) = self.fd.as_ref().map(AsRawFd::as_raw_fd) else { return Ok(()) };
        self.pings += 1;
        self.write(fd, &[0xc0, 0])
    }

    /// Was its last handshake a resumption?
    pub fn has_resumed(&self) -> bool {
        self.channel.as_ref().is_some_and(|channel| channel.has_resumed())
    }
}
