//! A socket that says exactly what it is told, and hears every byte of the answer.
//!
//! Packets are written as the standard draws them: hexadecimal bytes, `:word` for a string with its length, `=word` for
//! bare text, `( … )` for properties with their length. The first byte is type and flags; the remaining length is put in.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use mohhos_hub::{Limits, ManualClock};
use mohhos_mqtt::Version;

use super::{PATIENCE, Rig, Setup};

/// The bytes of a packet.
pub fn packet(text: &str) -> Vec<u8> {
    let mut open: Vec<Vec<u8>> = vec![Vec::new()];
    for part in text.split_whitespace() {
        let mut inner = match part {
            "(" => {
                open.push(Vec::new());
                continue;
            }
            ")" | "()" => {
                let properties = if part == ")" { open.pop().unwrap() } else { Vec::new() };
                [variable(properties.len()), properties].concat()
            }
            _ => match (part.strip_prefix(':'), part.strip_prefix('=')) {
                (Some(word), _) => [&(word.len() as u16).to_be_bytes(), word.as_bytes()].concat(),
                (_, Some(word)) => word.into(),
                _ => hex(part),
            },
        };
        open.last_mut().unwrap().append(&mut inner);
    }
    let whole = open.pop().unwrap();
    assert!(open.is_empty(), "a bracket is missing: {text}");
    [&whole[..1], &variable(whole.len() - 1), &whole[1..]].concat()
}

fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "half a byte: {digits}");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// A variable byte integer.
fn variable(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            return out;
        }
    }
}

/// A hub with a clock that stands. It lets anybody in, who may publish below all but `denied/`, and subscribe to all but
/// topics with `$`, of which there is `$own/`.
pub fn open_hub(limits: Limits) -> (Rig, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000_000));
    let anonymous_role = Some("everything".into());
    let rig = Setup { anonymous_role, clock: clock.clone(), limits, ..Setup::default() }.start();
    let roles = r##"{"everything": {"publish": {"allow": ["#"], "deny": ["denied/#"]},
                                   "subscribe": ["#", "$own/#"]}}"##;
    rig.hub.put_roles(roles).unwrap();
    (rig, clock)
}

pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
    version: Version,
}

impl Raw {
    pub fn new(rig: &Rig, version: Version) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", rig.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), version }
    }

    /// Connected with a clean start and no session that outlives the connection.
    pub fn open(rig: &Rig, version: Version, client_id: &str) -> Self {
        let mut raw = Self::new(rig, version);
        raw.say(&format!("10 :MQTT {} 02 0e10 {} :{client_id}", raw.level(), raw.none()));
        raw.accepted(false);
        raw
    }

    /// Connected to a session that lives on for an hour (3.1.1: until it is ended), which must be there or not.
    pub fn keep(rig: &Rig, version: Version, client_id: &str, present: bool) -> Self {
        let mut raw = Self::new(rig, version);
        let expiry = if version == Version::V5 { "( 11 00000e10 )" } else { "" };
        raw.say(&format!("10 :MQTT {} 00 0e10 {expiry} :{client_id}", raw.level()));
        raw.accepted(present);
        raw
    }

    /// With MQTT 5, this CONNECT, and it is accepted: the CONNACK.
    pub fn with(rig: &Rig, connect: &str) -> (Self, Vec<u8>) {
        let mut raw = Self::new(rig, Version::V5);
        raw.say(connect);
        let answer = raw.hear();
        assert_eq!((answer[0], answer[3]), (0x20, 0), "{connect}: {answer:02x?}");
        (raw, answer)
    }

    /// The version as CONNECT has it.
    pub fn level(&self) -> &'static str {
        if self.version == Version::V5 { "05" } else { "04" }
    }

    /// No properties, or nothing in 3.1.1.
    pub fn none(&self) -> &'static str {
        if self.version == Version::V5 { "()" } else { "" }
    }

    /// A code that 3.1.1 does not have.
    pub fn only_5<'a>(&self, code: &'a str) -> &'a str {
        if self.version == Version::V5 { code } else { "" }
    }

    /// Sends a packet.
    pub fn say(&mut self, text: &str) {
        self.bytes(&packet(text));
    }

    /// Sends bytes. Whoever broke the protocol may be gone before all of them are out.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next packet; nothing at the end of the connection.
    pub fn hear(&mut self) -> Vec<u8> {
        loop {
            if let Some(frame) = mohhos_mqtt::packet::frame(&self.buffer, u32::MAX).unwrap()
                && frame.total_len <= self.buffer.len()
            {
                return self.buffer.drain(..frame.total_len).collect();
            }
            let mut chunk = [0; 65_536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Vec::new(),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Vec::new(),
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// The next packet is this one.
    pub fn hears(&mut self, text: &str) {
        let (got, wanted) = (self.hear(), packet(text));
        assert_eq!(got, wanted, "\n got    {got:02x?}\n wanted {wanted:02x?} ({text}, {:?})", self.version);
    }

    /// The next packets are these, in any order.
    pub fn hears_all(&mut self, texts: &[&str]) {
        let mut wanted: Vec<Vec<u8>> = texts.iter().map(|text| packet(text)).collect();
        let mut got: Vec<Vec<u8>> = texts.iter().map(|_| self.hear()).collect();
        wanted.sort();
        got.sort();
        assert_eq!(got, wanted, "{texts:?}");
    }

    /// CONNACK comes, and says success.
    pub fn accepted(&mut self, present: bool) {
        let answer = self.hear();
        assert_eq!(answer.first(), Some(&0x20), "{answer:02x?}");
        assert_eq!((answer[2], answer[3]), (u8::from(present), 0), "{answer:02x?}");
    }

    /// The connection is closed, and nothing comes before.
    pub fn ends(&mut self) {
        assert_eq!(self.hear(), b"", "something came before the end");
    }

    /// The connection is closed; a client of MQTT 5 is told why, and of that alone.
    pub fn ends_with(&mut self, code: u8) {
        if self.version == Version::V5 {
            let told = self.hear();
            assert_eq!((told.first(), told.get(2)), (Some(&0xe0), Some(&code)), "{told:02x?}");
        }
        self.ends();
    }

    /// CONNACK comes with this code and no session, and the connection is closed.
    pub fn refused(&mut self, code: u8) {
        let answer = self.hear();
        assert_eq!(answer.first(), Some(&0x20), "{answer:02x?}");
        assert_eq!((answer[2], answer[3]), (0, code), "{answer:02x?}");
        self.ends();
    }

    /// Says DISCONNECT, and is gone when this returns.
    pub fn goodbye(mut self) {
        self.say("e0");
        self.ends();
    }

    /// Nothing has come, and all before has been seen to.
    pub fn is_quiet(&mut self) {
        self.say("c0");
        self.hears("d0");
    }

    /// Subscribes; what comes with the subscription comes later.
    pub fn subscribe(&mut self, filter: &str, options: u8) {
        self.say(&format!("82 0bb8 {} :{filter} {options:02x}", self.none()));
        self.hears(&format!("90 0bb8 {} {:02x}", self.none(), options & 3));
    }

    pub fn unsubscribe(&mut self, filter: &str) {
        self.say(&format!("a2 0bb9 {} :{filter}", self.none()));
        let code = self.only_5("00");
        self.hears(&format!("b0 0bb9 {} {code}", self.none()));
    }

    /// Publishes and sees the exchange of acknowledgements through. `first` is the packet's first byte.
    pub fn publish(&mut self, first: u8, topic: &str, payload: &str) {
        let id = if first & 6 == 0 { "" } else { "0fa0" };
        self.say(&format!("{first:02x} :{topic} {id} {} ={payload}", self.none()));
        self.acknowledged(first);
    }

    /// The acknowledgements of the message 0fa0 that was just sent.
    pub fn acknowledged(&mut self, first: u8) {
        match first >> 1 & 3 {
            0 => {}
            1 => self.hears("40 0fa0"),
            _ => {
                self.hears("50 0fa0");
                self.say("62 0fa0");
                self.hears("70 0fa0");
            }
        }
    }
}
