//! The bare sink: accepts, parses MQTT frames, acknowledges QoS 1, throws everything away. What the machine can do.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::json;

use crate::args::{Args, Outcome};
use crate::client::{Frame, next_frame};
use crate::poll::{self, EDGE, Poll, READ};

static MESSAGES: AtomicU64 = AtomicU64::new(0);
static RECVS: AtomicU64 = AtomicU64::new(0);

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
    loop {
        let ready = poll.wait(100)?;
        // Under load a nap gathers more bytes per system call: the same trick as in the hub.
        if ready.len() > 16 {
            std::thread::sleep(Duration::from_micros(300));
        }
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
            if !serve(peer, &mut buffer, &mut answer) {
                *slot = None;
            }
        }
    }
}

/// Reads and parses until the socket is empty; false when it is closed.
fn serve(peer: &mut Peer, buffer: &mut [u8], answer: &mut Vec<u8>) -> bool {
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
        let full = n == buffer.len() - kept;
        let bytes = &buffer[..kept + n];
        let mut at = 0;
        let (mut messages, mut closed) = (0, false);
        answer.clear();
        while let Some((frame, size)) = next_frame(&bytes[at..]) {
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
        peer.rest.extend_from_slice(&bytes[at..]);
        if !answer.is_empty() && poll::write(peer.fd.as_raw_fd(), answer).is_err() {
            return false;
        }
        if !full {
            return true;
        }
    }
}
