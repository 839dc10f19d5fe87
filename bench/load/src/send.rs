//! Publishes as fast as the server takes it, or at a rate (open loop), and says how much was sent and acknowledged.

use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::{Args, Outcome, credentials};
use crate::client::{Frame, digits, next_frame, open, publish_packet};
use crate::poll::{self, EDGE, Poll, READ, WRITE};
use crate::quantile::quantile_ms;

/// The first sequence number of every topic; eight digits for all that follow.
const FIRST: u64 = 10_000_000;
const PAYLOAD: &[u8] = br#"{"temperature":20.0000,"seq":10000000}"#;
const TEMPERATURE: usize = br#"{"temperature":2"#.len();
const SEQUENCE: usize = br#"{"temperature":20.0000,"seq":"#.len();
/// Temperatures are 20.0000 to 29.9999 in steps of 0.0001; the highest is what a filter rule looks for.
const STEPS: u64 = 100_000;
/// How long the server may take for what is still on its way at the end.
const DRAIN: Duration = Duration::from_secs(120);
const LATE: &str = "the server did not take the rest within two minutes";

struct Connection {
    fd: OwnedFd,
    segment: Vec<u8>,
    /// Where each message's payload starts in the segment.
    payloads: Vec<usize>,
    sent: u64,
    /// Of the segment, still to be written.
    unsent: usize,
    outstanding: usize,
    /// When the segments whose acknowledgements are awaited were due, and how many each still awaits.
    due: VecDeque<(f64, usize)>,
    blocked: bool,
    rest: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Load {
    to: SocketAddrV4,
    topics: usize,
    per_segment: usize,
    inflight: usize,
    qos: u8,
    seconds: f64,
    rate: f64,
    drain: bool,
}

type Opened = (Poll, Vec<Connection>);

#[derive(Default)]
struct Total {
    sent: u64,
    hot: u64,
    acknowledged: u64,
    seconds: f64,
    per_connection: Vec<u64>,
    /// Of every acknowledgement, microseconds since its message was due.
    waits_us: Vec<u32>,
}

/// See the head of `main.rs`. The nth message of a connection goes to topic `n mod --topics`. Prints `open` when all
/// connections are, and begins.
pub fn run(args: &Args) -> Outcome {
    let connections: usize = args.get("connections", 1000)?;
    let threads: usize = args.get("threads", connections.div_ceil(15_000))?;
    let per_segment = args.get("per-segment", 10)?;
    let load = Load {
        to: args.need("to")?,
        topics: args.get("topics", 1)?,
        per_segment,
        inflight: args.get("inflight", per_segment)?,
        qos: args.get("qos", 0)?,
        seconds: args.get("seconds", 60.0)?,
        rate: args.get("rate", 0.0)? / threads as f64,
        drain: args.get("drain", true)?,
    };
    if !(1..=10).contains(&load.topics) || load.per_segment == 0 || load.inflight < load.per_segment {
        return Err("--topics is 1 to 10, --per-segment at least 1, --inflight at least --per-segment".into());
    }
    let users = credentials(args, connections)?;
    let share = connections.div_ceil(threads);
    let all_open = Barrier::new(connections.div_ceil(share) + 1);
    let mut total = std::thread::scope(|scope| {
        let handles: Vec<_> = users
            .chunks(share)
            .enumerate()
            .map(|(i, users)| {
                let all_open = &all_open;
                scope.spawn(move || {
                    let first = i * share;
                    let opened = open_all(load, first, users).map_err(|e| e.to_string());
                    all_open.wait();
                    opened.and_then(|(poll, open)| work(load, first, poll, open).map_err(|e| e.to_string()))
                })
            })
            .collect();
        all_open.wait();
        println!("open");
        let mut total = Total::default();
        for handle in handles {
            let part = handle.join().map_err(|_| "a generator thread panicked")??;
            total.sent += part.sent;
            total.hot += part.hot;
            total.acknowledged += part.acknowledged;
            total.seconds = total.seconds.max(part.seconds);
            total.per_connection.extend(part.per_connection);
            total.waits_us.extend(part.waits_us);
        }
        Ok::<_, Box<dyn Error>>(total)
    })?;
    if let Some(path) = args.text("counts") {
        let lines =
            users.iter().zip(&total.per_connection).map(|((user, _), sent)| format!("{user},{sent}\n"));
        std::fs::write(path, lines.collect::<String>())?;
    }
    total.waits_us.sort_unstable();
    let wait = |q: f64| quantile_ms(&total.waits_us, q);
    Ok(json!({
        "ack_p50_ms": wait(0.5),
        "ack_p99_ms": wait(0.99),
        "ack_p999_ms": wait(0.999),
        "ack_max_ms": wait(1.0),
        "sent": total.sent,
        "hot": total.hot,
        "acknowledged": total.acknowledged,
        "seconds": total.seconds,
        "per_second": total.sent as f64 / total.seconds,
        "cpu_s": poll::cpu_seconds(),
    }))
}

impl Connection {
    fn new(fd: OwnedFd, user: &str, load: Load) -> Self {
        let packet = publish_packet(&format!("devices/{user}/telemetry/t0"), PAYLOAD, load.qos);
        let segment = packet.repeat(load.per_segment);
        let payloads = (1..=load.per_segment).map(|n| n * packet.len() - PAYLOAD.len()).collect();
        Self {
            fd,
            segment,
            payloads,
            sent: 0,
            unsent: 0,
            outstanding: 0,
            due: VecDeque::new(),
            blocked: false,
            rest: Vec::new(),
        }
    }

    /// Writes new digits: values that vary, and per topic a sequence number that counts up. Gives how many are hot.
    fn refresh(&mut self, load: Load, random: &mut u64) -> u64 {
        let topics = load.topics as u64;
        let mut hot = 0;
        for payload in &self.payloads {
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            let value = *random % STEPS;
            hot += u64::from(value == STEPS - 1);
            let at = payload + TEMPERATURE;
            self.segment[at] = b'0' + (value / 10_000) as u8;
            digits(&mut self.segment[at + 2..at + 6], value % 10_000);
            digits(&mut self.segment[payload + SEQUENCE..payload + SEQUENCE + 8], FIRST + self.sent / topics);
            // Before the payload stand the packet id, if there is one, and the topic's last character.
            let id = payload - 2 * usize::from(load.qos > 0);
            if load.qos > 0 {
                let value = (self.sent % 65_535 + 1) as u16;
                self.segment[id..id + 2].copy_from_slice(&value.to_be_bytes());
            }
            self.segment[id - 1] = b'0' + (self.sent % topics) as u8;
            self.sent += 1;
        }
        self.unsent = self.segment.len();
        if load.qos > 0 {
            self.outstanding += load.per_segment;
        }
        hot
    }

    fn may_send(&self, load: Load) -> bool {
        !self.blocked && (load.qos == 0 || self.outstanding + load.per_segment <= load.inflight)
    }

    /// Writes what is left of the segment; true when all of it is out.
    fn flush(&mut self) -> std::io::Result<bool> {
        let from = self.segment.len() - self.unsent;
        self.unsent -= poll::write(self.fd.as_raw_fd(), &self.segment[from..])?;
        self.blocked = self.unsent > 0;
        Ok(!self.blocked)
    }

    /// Notes how long the next acknowledgements were waited for.
    fn acknowledge(&mut self, mut count: usize, now: f64, waits_us: &mut Vec<u32>) {
        while let Some((due, left)) = self.due.front_mut() {
            let taken = count.min(*left);
            waits_us.extend(std::iter::repeat_n(((now - *due) * 1e6) as u32, taken));
            *left -= taken;
            count -= taken;
            if *left > 0 {
                break;
            }
            self.due.pop_front();
        }
    }

    /// Takes acknowledgements; how many came, or `None` when the server has closed.
    fn receive(&mut self, buffer: &mut [u8]) -> std::io::Result<Option<usize>> {
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

fn open_all(load: Load, first: usize, users: &[(String, String)]) -> Result<Opened, Box<dyn Error>> {
    poll::own_descriptors()?;
    let poll = Poll::new()?;
    let mut connections = Vec::with_capacity(users.len());
    for (i, (user, password)) in users.iter().enumerate() {
        let fd = open(load.to, first + i, user, password)?;
        poll.add(fd.as_raw_fd(), i as u64, READ | WRITE | EDGE)?;
        connections.push(Connection::new(fd, user, load));
    }
    Ok((poll, connections))
}

fn work(
    load: Load,
    first: usize,
    mut poll: Poll,
    mut connections: Vec<Connection>,
) -> Result<Total, Box<dyn Error>> {
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
            let at = next;
            next = (next + 1) % connections.len();
            let connection = &mut connections[at];
            if !connection.may_send(load) {
                continue;
            }
            total.hot += connection.refresh(load, &mut random);
            if load.rate > 0.0 && load.qos > 0 {
                connection.due.push_back((total.sent as f64 / load.rate, load.per_segment));
            }
            connection.flush()?;
            total.sent += load.per_segment as u64;
            progress = true;
        }
        let timeout = i32::from(!progress);
        total.acknowledged +=
            events(&mut poll, &mut connections, &mut buffer, timeout, start, &mut total.waits_us)?;
    }
    if load.drain {
        drain(&mut poll, &mut connections, &mut buffer, &mut total, load, start)?;
    }
    total.seconds = start.elapsed().as_secs_f64();
    total.per_connection = connections.iter().map(|c| c.sent).collect();
    Ok(total)
}

/// Handles what is ready; how many acknowledgements came.
fn events(
    poll: &mut Poll,
    connections: &mut [Connection],
    buffer: &mut [u8],
    timeout_ms: i32,
    start: Instant,
    waits_us: &mut Vec<u32>,
) -> Result<u64, Box<dyn Error>> {
    let mut acknowledged = 0;
    for (key, ready) in poll.wait(timeout_ms)? {
        let connection = &mut connections[key as usize];
        if ready & READ != 0 {
            let got = connection.receive(buffer)?.ok_or("the server closed a connection under load")?;
            acknowledged += got as u64;
            connection.acknowledge(got, start.elapsed().as_secs_f64(), waits_us);
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
    start: Instant,
) -> Result<(), Box<dyn Error>> {
    let until = Instant::now() + DRAIN;
    while connections.iter().any(|c| c.blocked || (load.qos > 0 && c.outstanding > 0)) {
        if Instant::now() > until {
            return Err(LATE.into());
        }
        total.acknowledged += events(poll, connections, buffer, 10, start, &mut total.waits_us)?;
    }
    for connection in connections.iter_mut() {
        crate::client::write_all(connection.fd.as_raw_fd(), &[0xe0, 0])?;
    }
    for connection in connections.iter_mut() {
        loop {
            match poll::read(connection.fd.as_raw_fd(), buffer) {
                Ok(Some(0)) | Err(_) => break,
                Ok(Some(_)) => {}
                Ok(None) if Instant::now() > until => return Err(LATE.into()),
                Ok(None) => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(topics: usize, per_segment: usize, qos: u8, rounds: usize) -> Vec<String> {
        let load = Load {
            to: SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 1),
            topics,
            per_segment,
            inflight: per_segment,
            qos,
            seconds: 0.0,
            rate: 0.0,
            drain: true,
        };
        let fd = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let mut connection = Connection::new(fd, "d", load);
        let mut random = 7;
        let mut seen = Vec::new();
        for _ in 0..rounds {
            connection.refresh(load, &mut random);
            let mut at = 0;
            while let Some((frame, size)) = next_frame(&connection.segment[at..]) {
                let Frame::Publish { payload, packet_id, .. } = frame else { panic!("not a PUBLISH") };
                let topic = connection.segment[at + size - payload.len() - 2 * usize::from(qos > 0) - 1];
                let payload: serde_json::Value = serde_json::from_slice(payload).unwrap();
                assert!((20.0..30.0).contains(&payload["temperature"].as_f64().unwrap()));
                seen.push(format!("t{} {} {packet_id}", topic as char, payload["seq"]));
                at += size;
            }
            assert_eq!(at, connection.segment.len());
        }
        seen
    }

    #[test]
    fn every_topic_counts_up_without_a_gap_whatever_fits_into_a_segment() {
        let expected = ["t0 10000000 0", "t1 10000000 0", "t2 10000000 0", "t0 10000001 0"];
        assert_eq!(segments(3, 2, 0, 2), expected);
        assert_eq!(segments(3, 1, 0, 4), expected);
        assert_eq!(segments(1, 3, 1, 1), ["t0 10000000 1", "t0 10000001 2", "t0 10000002 3"]);
    }
}
