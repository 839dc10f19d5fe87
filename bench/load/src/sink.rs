//! The bare sink: accepts, parses MQTT frames, acknowledges QoS 1, throws everything away. What the machine can do.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::{Args, Outcome};
use crate::client::{Frame, next_frame};
use crate::poll::{self, EDGE, Poll, READ};

static MESSAGES: AtomicU64 = AtomicU64::new(0);
static RECVS: AtomicU64 = AtomicU64::new(0);

/// Under load a nap gathers more bytes per system call. What the gateway may do, its measure must do too.
const NAP: Duration = Duration::from_micros(250);

/// When the last round ended, and how many have come quickly one after the other.
struct Pace {
    ended: Instant,
    quick: u32,
}

struct Peer {
    fd: OwnedFd,
    rest: Vec<u8>,
}

/// Runs until standard input closes; then reports messages, `recv` calls and CPU.
pub fn run(args: &Args) -> Outcome {
    let at: SocketAddrV4 = args.need("bind")?;
    let shards: usize = args.get("shards", 2)?;
    for _ in 0..shards {
        std::thread::spawn(move || {
            if let Err(error) = shard(at) {
                eprintln!("sink shard: {error}");
            }
        });
    }
    std::thread::sleep(Duration::from_millis(50));
    println!("ready");
    let mut line = String::new();
    while io::stdin().read_line(&mut line)? > 0 {}
    Ok(json!({
        "messages": MESSAGES.load(Relaxed),
        "recvs": RECVS.load(Relaxed),
        "cpu_s": poll::cpu_seconds(),
    }))
}

fn shard(at: SocketAddrV4) -> io::Result<()> {
    poll::own_descriptors()?;
    let listener = poll::listen(at)?;
    let mut poll = Poll::new()?;
    poll.add(listener.as_raw_fd(), u64::MAX, READ)?;
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut buffer = vec![0u8; 256 * 1024];
    let mut answer = Vec::new();
    let mut pace = Pace { ended: Instant::now(), quick: 0 };
    loop {
        let ready = poll.wait(100)?;
        let (events, mut bytes) = (ready.len(), 0);
        for (key, _) in ready {
            if key == u64::MAX {
                while let Some(fd) = poll::accept(listener.as_raw_fd())? {
                    poll.add(fd.as_raw_fd(), peers.len() as u64, READ | EDGE)?;
                    peers.push(Some(Peer { fd, rest: Vec::new() }));
                }
                continue;
            }
            let slot = &mut peers[key as usize];
            let Some(peer) = slot else { continue };
            if !serve(peer, &mut buffer, &mut answer, &mut bytes) {
                *slot = None;
            }
        }
        if pace.wants_nap(events, bytes) {
            std::thread::sleep(NAP);
        }
    }
}

impl Pace {
    /// As the hub's shards do: many sockets with few bytes each, or many quick rounds, are worth a nap.
    fn wants_nap(&mut self, events: usize, bytes: usize) -> bool {
        let now = Instant::now();
        let quick = events > 0 && now.duration_since(self.ended) < Duration::from_millis(1);
        self.quick = if quick { self.quick.saturating_add(1) } else { 0 };
        self.ended = now;
        (events >= 16 || self.quick >= 8) && bytes < events * 1024
    }
}

/// Reads and parses until the socket is empty, and adds to `bytes`; false when it is closed.
fn serve(peer: &mut Peer, buffer: &mut [u8], answer: &mut Vec<u8>, bytes: &mut usize) -> bool {
    loop {
        let kept = peer.rest.len();
        buffer[..kept].copy_from_slice(&peer.rest);
        peer.rest.clear();
        let n = match poll::read(peer.fd.as_raw_fd(), &mut buffer[kept..]) {
            Ok(Some(0)) | Err(_) => return false,
            Ok(None) => {
                peer.rest.extend_from_slice(&buffer[..kept]);
                return true;
            }
            Ok(Some(n)) => n,
        };
        RECVS.fetch_add(1, Relaxed);
        *bytes += n;
        let full = n == buffer.len() - kept;
        let filled = &buffer[..kept + n];
        let mut at = 0;
        let (mut messages, mut closed) = (0, false);
        answer.clear();
        while let Some((frame, size)) = next_frame(&filled[at..]) {
            match frame {
                Frame::Connect => answer.extend_from_slice(&[0x20, 2, 0, 0]),
                Frame::Publish { qos, packet_id, .. } => {
                    messages += 1;
                    if qos == 1 {
                        answer.extend_from_slice(&[0x40, 2, (packet_id >> 8) as u8, packet_id as u8]);
                    }
                }
                Frame::Subscribe { packet_id } => {
                    answer.extend_from_slice(&[0x90, 3, (packet_id >> 8) as u8, packet_id as u8, 0]);
                }
                Frame::Disconnect => closed = true,
                Frame::Other => {}
            }
            at += size;
        }
        MESSAGES.fetch_add(messages, Relaxed);
        if closed {
            return false;
        }
        peer.rest.extend_from_slice(&filled[at..]);
        if !answer.is_empty() && poll::write(peer.fd.as_raw_fd(), answer).is_err() {
            return false;
        }
        if !full {
            return true;
        }
    }
}
