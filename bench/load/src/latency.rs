//! Publish → rule → command at the device: every message carries the time at which it was due, every command gives it
//! back in its parameters. With `--filter`, publish → subscriber: one further client subscribes and takes every message.
//! Open loop: a late message counts from when it was due.

use std::error::Error;
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::{Args, Outcome, credentials};
use crate::client::{Frame, digits, next_frame, open, open_as, publish_packet, subscribe};
use crate::poll::{self, EDGE, Poll, READ};
use crate::quantile::quantile_ms;

const PAYLOAD: &[u8] = br#"{"temperature":20.00,"due":1000000000}"#;
const HOT: usize = br#"{"temperature":"#.len();
const DUE: usize = br#"{"temperature":20.00,"due":"#.len();
const BASE: u64 = 1_000_000_000;

static OVER: AtomicBool = AtomicBool::new(false);

struct Connection {
    fd: OwnedFd,
    packet: Vec<u8>,
    rest: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Load {
    to: SocketAddrV4,
    rate: f64,
    seconds: f64,
    react: u64,
    qos: u8,
}

/// A client that takes every message.
#[derive(Clone, Copy)]
struct Reader<'a> {
    filter: &'a str,
    user: &'a str,
    password: &'a str,
}

#[derive(Default)]
struct Total {
    sent: u64,
    hot: u64,
    latencies: Vec<u32>,
}

/// See the head of `main.rs`. `--react N`: every Nth message is hot (temperature 90.00), which the rule answers; which
/// devices are hot moves on with every round. `--threads N` share connections and rate: one that sends 100,000 messages/s
/// is busy most of the time, and late for long after every delay. `--until-closed true`: until standard input closes,
/// `--seconds` at most; says `open` when it begins.
pub fn run(args: &Args) -> Outcome {
    let count: usize = args.get("connections", 1000)?;
    let threads: usize = args.get("threads", 1)?;
    let reader = args.text("filter").map(|filter| Reader {
        filter,
        user: args.text("user").unwrap_or("receiver"),
        password: args.text("password").unwrap_or(""),
    });
    if threads == 0 || !count.is_multiple_of(threads) || (reader.is_some() && threads > 1) {
        return Err("--threads is a divisor of --connections, and 1 with --filter".into());
    }
    let load = Load {
        to: args.need("to")?,
        rate: args.get("rate", 10_000.0)? / threads as f64,
        seconds: args.get("seconds", 60.0)?,
        react: if reader.is_some() { 1 } else { args.get("react", 10)? },
        qos: args.get("qos", 0)?,
    };
    let users = credentials(args, count)?;
    let all_open = Barrier::new(threads);
    let until_closed = args.get("until-closed", false)?;
    let share = count / threads;
    let mut total = std::thread::scope(|scope| {
        let handles: Vec<_> = users
            .chunks(share)
            .enumerate()
            .map(|(i, users)| {
                let all_open = &all_open;
                scope.spawn(move || {
                    let opened = open_all(load, i * share, users, reader).map_err(|e| e.to_string());
                    if all_open.wait().is_leader() && until_closed {
                        listen();
                    }
                    let (poll, connections) = opened?;
                    drive(load, poll, connections, users.len()).map_err(|e| e.to_string())
                })
            })
            .collect();
        let mut total = Total::default();
        for handle in handles {
            let part = handle.join().map_err(|_| "a generator thread panicked")??;
            total.sent += part.sent;
            total.hot += part.hot;
            total.latencies.extend(part.latencies);
        }
        Ok::<_, Box<dyn Error>>(total)
    })?;
    total.latencies.sort_unstable();
    let latencies = &total.latencies;
    let quantile = |q: f64| quantile_ms(latencies, q);
    Ok(json!({
        "sent": total.sent,
        "reactions_expected": total.hot,
        "reactions": latencies.len(),
        "p50_ms": quantile(0.5),
        "p90_ms": quantile(0.9),
        "p99_ms": quantile(0.99),
        "p999_ms": quantile(0.999),
        "max_ms": quantile(1.0),
        "cpu_s": poll::cpu_seconds(),
    }))
}

/// Says that it begins, and ends when standard input closes.
fn listen() {
    println!("open");
    std::thread::spawn(|| {
        let mut line = String::new();
        while io::stdin().read_line(&mut line).is_ok_and(|n| n > 0) {}
        OVER.store(true, Relaxed);
    });
}

fn open_all(
    load: Load,
    first: usize,
    users: &[(String, String)],
    reader: Option<Reader<'_>>,
) -> Result<(Poll, Vec<Connection>), Box<dyn Error>> {
    let poll = Poll::new()?;
    let mut connections = Vec::with_capacity(users.len());
    for (i, (user, password)) in users.iter().enumerate() {
        let fd = open(load.to, first + i, user, password)?;
        if reader.is_none() {
            subscribe(fd.as_raw_fd(), &format!("devices/{user}/commands/+"), 0)?;
        }
        poll.add(fd.as_raw_fd(), i as u64, READ | EDGE)?;
        let packet = publish_packet(&format!("devices/{user}/telemetry/bench"), PAYLOAD, load.qos);
        connections.push(Connection { fd, packet, rest: Vec::new() });
    }
    if let Some(reader) = reader {
        let fd = open_as(load.to, users.len(), "load-subscriber", reader.user, reader.password)?;
        subscribe(fd.as_raw_fd(), reader.filter, 0)?;
        poll.add(fd.as_raw_fd(), users.len() as u64, READ | EDGE)?;
        connections.push(Connection { fd, packet: Vec::new(), rest: Vec::new() });
    }
    Ok((poll, connections))
}

/// Sends on the first `senders` of the connections, and receives on all.
fn drive(
    load: Load,
    mut poll: Poll,
    mut connections: Vec<Connection>,
    senders: usize,
) -> Result<Total, Box<dyn Error>> {
    // Devices have processors of their own: what a thread waits for one is no delay of the server.
    mohhos_log::prefer_latency();
    let Load { rate, seconds, react, .. } = load;
    let Total { mut sent, mut hot, mut latencies } = Total::default();
    let mut buffer = vec![0u8; 64 * 1024];
    let start = Instant::now();
    let micros = |at: Instant| at.duration_since(start).as_micros() as u64;
    while start.elapsed().as_secs_f64() < seconds && !OVER.load(Relaxed) {
        let due = (rate * start.elapsed().as_secs_f64()) as u64;
        while sent < due {
            let connection = &mut connections[(sent % senders as u64) as usize];
            let is_hot = sent % react == sent / senders as u64 % react;
            let at = connection.packet.len() - PAYLOAD.len();
            connection.packet[at + HOT] = if is_hot { b'9' } else { b'2' };
            let due_at = BASE + (sent as f64 / rate * 1e6) as u64;
            digits(&mut connection.packet[at + DUE..at + DUE + 10], due_at);
            crate::client::write_all(connection.fd.as_raw_fd(), &connection.packet)?;
            sent += 1;
            hot += u64::from(is_hot);
        }
        receive(&mut poll, &mut connections, &mut buffer, 0, || micros(Instant::now()), &mut latencies)?;
        std::thread::sleep(Duration::from_micros(50));
    }
    let until = Instant::now() + Duration::from_secs(5);
    while (latencies.len() as u64) < hot && Instant::now() < until {
        receive(&mut poll, &mut connections, &mut buffer, 10, || micros(Instant::now()), &mut latencies)?;
    }
    Ok(Total { sent, hot, latencies })
}

fn receive(
    poll: &mut Poll,
    connections: &mut [Connection],
    buffer: &mut [u8],
    timeout_ms: i32,
    now_us: impl Fn() -> u64,
    latencies: &mut Vec<u32>,
) -> Result<(), Box<dyn Error>> {
    for (key, _) in poll.wait(timeout_ms)? {
        let connection = &mut connections[key as usize];
        while let Some(n) = poll::read(connection.fd.as_raw_fd(), buffer)? {
            if n == 0 {
                return Err("the server closed a connection under load".into());
            }
            connection.rest.extend_from_slice(&buffer[..n]);
            let now = now_us();
            let mut at = 0;
            while let Some((frame, size)) = next_frame(&connection.rest[at..]) {
                if let Frame::Publish { payload, .. } = frame {
                    let due = due_time(payload).ok_or("a command without the time that was sent")?;
                    latencies.push(now.saturating_sub(due) as u32);
                }
                at += size;
            }
            connection.rest.drain(..at);
        }
    }
    Ok(())
}

/// The time behind `"due":`, which starts with `BASE`'s leading one.
fn due_time(payload: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"due\":";
    let at = payload.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let digits = payload[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let value =
        digits.fold(0u64, |value, byte| value.saturating_mul(10).saturating_add(u64::from(byte - b'0')));
    value.checked_sub(BASE)
}

#[cfg(test)]
mod tests {
    use super::due_time;

    #[test]
    fn finds_the_time_among_other_numbers() {
        assert_eq!(due_time(br#"{"id":"1234567890ab","parameters":{"due":1000000042},"x":12}"#), Some(42));
        assert_eq!(due_time(b"{}"), None);
    }
}
