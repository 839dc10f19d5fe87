//! Publishes as fast as the server takes it, or at a rate (open loop), and says how much was sent and acknowledged.

use std::error::Error;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::{Args, Outcome, credentials};
use crate::client::{Frame, digits, next_frame, open, publish_packet};
use crate::poll::{self, EDGE, Poll, READ, WRITE};

/// The first sequence number of every topic; eight digits for all that follow.
const FIRST: u64 = 10_000_000;
const PAYLOAD: &[u8] = br#"{"temperature":20.00,"seq":10000000}"#;
const TEMPERATURE: usize = br#"{"temperature":2"#.len();
const SEQUENCE: usize = br#"{"temperature":20.00,"seq":"#.len();

struct Connection {
    fd: OwnedFd,
    segment: Vec<u8>,
    /// Where each message's payload starts in the segment, and its packet id (QoS 1).
    messages: Vec<(usize, Option<usize>)>,
    rounds: u64,
    /// Of the segment, still to be written.
    unsent: usize,
    outstanding: u32,
    blocked: bool,
    rest: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Load {
    to: SocketAddrV4,
    topics: usize,
    per_segment: usize,
    qos: u8,
    seconds: f64,
    rate: f64,
}

#[derive(Default)]
struct Total {
    sent: u64,
    acknowledged: u64,
    seconds: f64,
}

/// See the head of `main.rs`.
pub fn run(args: &Args) -> Outcome {
    let connections: usize = args.get("connections", 1000)?;
    let threads: usize = args.get("threads", connections.div_ceil(15_000))?;
    let load = Load {
        to: args.need("to")?,
        topics: args.get("topics", 1)?,
        per_segment: args.get("per-segment", 10)?,
        qos: args.get("qos", 0)?,
        seconds: args.get("seconds", 60.0)?,
        rate: args.get("rate", 0.0)? / threads as f64,
    };
    let users = credentials(args, connections)?;
    let total = std::thread::scope(|scope| {
        let handles: Vec<_> = users
            .chunks(connections.div_ceil(threads))
            .enumerate()
            .map(|(i, users)| {
                scope.spawn(move || {
                    poll::own_descriptors().map_err(|e| e.to_string())?;
                    work(load, i * connections.div_ceil(threads), users).map_err(|e| e.to_string())
                })
            })
            .collect();
        let mut total = Total::default();
        for handle in handles {
            let part = handle.join().map_err(|_| "a generator thread panicked")??;
            total.sent += part.sent;
            total.acknowledged += part.acknowledged;
            total.seconds = total.seconds.max(part.seconds);
        }
        Ok::<_, Box<dyn Error>>(total)
    })?;
    Ok(json!({
        "sent": total.sent,
        "acknowledged": total.acknowledged,
        "seconds": total.seconds,
        "per_second": total.sent as f64 / total.seconds,
        "cpu_s": poll::cpu_seconds(),
    }))
}

impl Connection {
    fn new(fd: OwnedFd, user: &str, load: Load) -> Self {
        let (mut segment, mut messages) = (Vec::new(), Vec::new());
        for i in 0..load.per_segment {
            let topic = format!("devices/{user}/telemetry/t{}", i % load.topics);
            let packet = publish_packet(&topic, PAYLOAD, load.qos);
            let payload = segment.len() + packet.len() - PAYLOAD.len();
            messages.push((payload, (load.qos > 0).then_some(payload - 2)));
            segment.extend_from_slice(&packet);
        }
        Self { fd, segment, messages, rounds: 0, unsent: 0, outstanding: 0, blocked: false, rest: Vec::new() }
    }

    /// Writes new digits: values that vary, and per topic a sequence number that counts up.
    fn refresh(&mut self, load: Load, random: &mut u64) {
        let per_topic = load.per_segment.div_ceil(load.topics) as u64;
        for (i, (payload, id)) in self.messages.iter().enumerate() {
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            let at = payload + TEMPERATURE;
            let value = *random % 1000;
            self.segment[at] = b'0' + (value / 100) as u8;
            digits(&mut self.segment[at + 2..at + 4], value % 100);
            let sequence = FIRST + self.rounds * per_topic + (i / load.topics) as u64;
            digits(&mut self.segment[payload + SEQUENCE..payload + SEQUENCE + 8], sequence);
            if let Some(at) = *id {
                let id = (self.rounds * load.per_segment as u64 + i as u64) % 65_535 + 1;
                self.segment[at..at + 2].copy_from_slice(&(id as u16).to_be_bytes());
            }
        }
        self.rounds += 1;
        self.unsent = self.segment.len();
        if load.qos > 0 {
            self.outstanding = load.per_segment as u32;
        }
    }

    /// Writes what is left of the segment; true when all of it is out.
    fn flush(&mut self) -> std::io::Result<bool> {
        let from = self.segment.len() - self.unsent;
        self.unsent -= poll::write(self.fd.as_raw_fd(), &self.segment[from..])?;
        self.blocked = self.unsent > 0;
        Ok(!self.blocked)
    }

    /// Takes acknowledgements; how many came, or `None` when the server has closed.
    fn receive(&mut self, buffer: &mut [u8]) -> std::io::Result<Option<u32>> {
        let mut acknowledged = 0;
        while let Some(n) = poll::read(self.fd.as_raw_fd(), buffer)? {
            if n == 0 {
                return Ok(None);
            }
            self.rest.extend_from_slice(&buffer[..n]);
            let mut at = 0;
            while let Some((frame, size)) = next_frame(&self.rest[at..]) {
                if matches!(frame, Frame::Other) && self.rest[at] == 0x40 {
                    acknowledged += 1;
                }
                at += size;
            }
            self.rest.drain(..at);
        }
        self.outstanding = self.outstanding.saturating_sub(acknowledged);
        Ok(Some(acknowledged))
    }
}

fn work(load: Load, first: usize, users: &[(String, String)]) -> Result<Total, Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(users.len());
    for (i, (user, password)) in users.iter().enumerate() {
        let fd = open(load.to, first + i, user, password)?;
        poll.add(fd.as_raw_fd(), i as u64, READ | WRITE | EDGE)?;
        connections.push(Connection::new(fd, user, load));
    }
    eprintln!("{} connections are open", connections.len());
    let mut random = 0x9e37_79b9_7f4a_7c15 ^ first as u64;
    let mut buffer = vec![0u8; 64 * 1024];
    let mut total = Total::default();
    let start = Instant::now();
    let mut next = 0;
    loop {
        let elapsed = start.elapsed().as_secs_f64();
        if elapsed >= load.seconds {
            break;
        }
        let due = if load.rate > 0.0 { (load.rate * elapsed) as u64 } else { u64::MAX };
        let mut progress = false;
        for _ in 0..connections.len().min(256) {
            if total.sent >= due {
                break;
            }
            let connection = &mut connections[next];
            next = (next + 1) % users.len();
            if connection.blocked || connection.outstanding > 0 {
                continue;
            }
            connection.refresh(load, &mut random);
            connection.flush()?;
            total.sent += load.per_segment as u64;
            progress = true;
        }
        total.acknowledged += events(&mut poll, &mut connections, &mut buffer, i32::from(!progress))?;
    }
    drain(&mut poll, &mut connections, &mut buffer, &mut total, load)?;
    total.seconds = start.elapsed().as_secs_f64();
    Ok(total)
}

/// Handles what is ready; how many acknowledgements came.
fn events(
    poll: &mut Poll,
    connections: &mut [Connection],
    buffer: &mut [u8],
    timeout_ms: i32,
) -> Result<u64, Box<dyn Error>> {
    let mut acknowledged = 0;
    for (key, ready) in poll.wait(timeout_ms)? {
        let connection = &mut connections[key as usize];
        if ready & READ != 0 {
            let got = connection.receive(buffer)?.ok_or("the server closed a connection under load")?;
            acknowledged += u64::from(got);
        }
        if ready & WRITE != 0 && connection.blocked {
            connection.flush()?;
        }
    }
    Ok(acknowledged)
}

/// Lets everything out, then says DISCONNECT and waits until the server has read all of it and closed.
fn drain(
    poll: &mut Poll,
    connections: &mut [Connection],
    buffer: &mut [u8],
    total: &mut Total,
    load: Load,
) -> Result<(), Box<dyn Error>> {
    let until = Instant::now() + Duration::from_secs(60);
    while connections.iter().any(|c| c.blocked || (load.qos > 0 && c.outstanding > 0)) {
        if Instant::now() > until {
            return Err("the server did not take the rest within 60 s".into());
        }
        total.acknowledged += events(poll, connections, buffer, 10)?;
    }
    for connection in connections.iter_mut() {
        crate::client::write_all(connection.fd.as_raw_fd(), &[0xe0, 0])?;
    }
    for connection in connections.iter_mut() {
        while Instant::now() < until {
            match poll::read(connection.fd.as_raw_fd(), buffer) {
                Ok(Some(0)) | Err(_) => break,
                Ok(Some(_)) => {}
                Ok(None) => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }
    Ok(())
}
