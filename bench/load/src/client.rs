//! A client that costs as little as possible: fixed-size PUBLISH packets of MQTT 3.1.1 whose digits change in place.

use std::error::Error;
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use crate::poll;

/// The keep-alive of those that never ping: longer than a load lasts.
pub const KEEP_ALIVE_S: u16 = 600;

/// What the generator and the sink need to know of a packet.
pub enum Frame<'a> {
    /// CONNECT.
    Connect,
    /// PUBLISH.
    Publish {
        /// 0, 1 or 2.
        qos: u8,
        /// 0 for QoS 0.
        packet_id: u16,
        /// Whose message it is.
        payload: &'a [u8],
    },
    /// SUBSCRIBE.
    Subscribe {
        /// To be answered with it.
        packet_id: u16,
    },
    /// DISCONNECT.
    Disconnect,
    /// Anything else.
    Other,
}

/// The next whole packet and its size.
pub fn next_frame(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let first = *bytes.first()?;
    let (mut length, mut shift, mut at) = (0usize, 0, 1);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7f) << shift;
        at += 1;
        shift += 7;
        if byte & 0x80 == 0 || shift > 21 {
            break;
        }
    }
    let body = bytes.get(at..at + length)?;
    let id_at = |at: usize| body.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    let frame = match first >> 4 {
        1 => Frame::Connect,
        3 => {
            let qos = first >> 1 & 3;
            let after_topic = 2 + usize::from(id_at(0));
            let start = if qos > 0 { after_topic + 2 } else { after_topic };
            let packet_id = if qos > 0 { id_at(after_topic) } else { 0 };
            Frame::Publish { qos, packet_id, payload: body.get(start..).unwrap_or_default() }
        }
        8 => Frame::Subscribe { packet_id: id_at(0) },
        14 => Frame::Disconnect,
        _ => Frame::Other,
    };
    Some((frame, at + length))
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut length = body.len();
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

/// CONNECT of MQTT 3.1.1, clean session.
pub fn connect_packet(client: &str, user: &str, password: &str, keep_alive_s: u16) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, "MQTT");
    let with_password = !password.is_empty();
    body.extend_from_slice(&[4, if with_password { 0xc2 } else { 0x02 }]);
    body.extend_from_slice(&keep_alive_s.to_be_bytes());
    string(&mut body, client);
    if with_password {
        string(&mut body, user);
        string(&mut body, password);
    }
    packet(0x10, &body)
}

/// SUBSCRIBE to one filter.
pub fn subscribe_packet(filter: &str, qos: u8) -> Vec<u8> {
    let mut body = vec![0, 1];
    string(&mut body, filter);
    body.push(qos);
    packet(0x82, &body)
}

/// A PUBLISH whose packet id and payload digits are written in place.
pub fn publish_packet(topic: &str, payload: &[u8], qos: u8) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, topic);
    if qos > 0 {
        body.extend_from_slice(&[0, 1]);
    }
    body.extend_from_slice(payload);
    packet(0x30 | qos << 1, &body)
}

/// Opens the only connection of a user and waits for its CONNACK.
pub fn open(to: SocketAddrV4, index: usize, user: &str, password: &str) -> Result<OwnedFd, Box<dyn Error>> {
    open_as(to, index, &format!("load-{user}"), user, password)
}

/// Opens one of several connections of a user and waits for its CONNACK.
pub fn open_as(
    to: SocketAddrV4,
    index: usize,
    client: &str,
    user: &str,
    password: &str,
) -> Result<OwnedFd, Box<dyn Error>> {
    let fd = poll::connect(to, index)?;
    write_all(fd.as_raw_fd(), &connect_packet(client, user, password, KEEP_ALIVE_S))?;
    let answer = wait_frame(fd.as_raw_fd(), Duration::from_secs(30))?;
    match answer.as_slice() {
        [0x20, _, _, 0, ..] => Ok(fd),
        other => Err(format!("connection {index} ({user}) was refused: {other:02x?}").into()),
    }
}

/// Subscribes and waits for the SUBACK.
pub fn subscribe(fd: RawFd, filter: &str, qos: u8) -> Result<(), Box<dyn Error>> {
    write_all(fd, &subscribe_packet(filter, qos))?;
    let answer = wait_frame(fd, Duration::from_secs(30))?;
    match (answer.first(), answer.last()) {
        (Some(0x90), Some(0..=2)) => Ok(()),
        _ => Err(format!("subscription to {filter} was refused: {answer:02x?}").into()),
    }
}

/// Writes all, waiting while the socket is full.
pub fn write_all(fd: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match poll::write(fd, bytes)? {
            0 => std::thread::sleep(Duration::from_micros(100)),
            n => bytes = &bytes[n..],
        }
    }
    Ok(())
}

fn wait_frame(fd: RawFd, within: Duration) -> Result<Vec<u8>, Box<dyn Error>> {
    let until = Instant::now() + within;
    let mut bytes = Vec::new();
    let mut buffer = [0u8; 1];
    // Byte by byte, so that nothing beyond the packet is taken.
    while Instant::now() < until {
        match poll::read(fd, &mut buffer)? {
            Some(0) => return Err("the server closed the connection".into()),
            Some(_) => {
                bytes.push(buffer[0]);
                if next_frame(&bytes).is_some() {
                    return Ok(bytes);
                }
            }
            None => std::thread::sleep(Duration::from_micros(50)),
        }
    }
    Err("no answer within 30 s".into())
}

/// Ten digits, so that a message always has the same size.
pub fn digits(into: &mut [u8], mut value: u64) {
    for byte in into.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}
