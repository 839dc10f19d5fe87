//! Subscribers that take everything and count it.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::{Args, Outcome};
use crate::client::{Frame, next_frame, open_as, subscribe};
use crate::poll::{self, EDGE, Poll, READ};

static OVER: AtomicBool = AtomicBool::new(false);

struct Subscriber {
    fd: OwnedFd,
    /// The beginning of a packet whose end has not come yet.
    rest: Vec<u8>,
    received: u64,
}

/// See the head of `main.rs`. Ends after `--seconds`, when standard input closes, or when nothing came for two seconds
/// after the first message.
pub fn run(args: &Args) -> Outcome {
    let to: SocketAddrV4 = args.need("to")?;
    let seconds: u64 = args.get("seconds", 60)?;
    let filter: String = args.get("filter", "#".to_owned())?;
    let user = args.text("user").unwrap_or("receiver");
    let password = args.text("password").unwrap_or("");
    let mut poll = Poll::new()?;
    let mut subscribers = Vec::new();
    for i in 0..args.get("subscribers", 1)? {
        let fd = open_as(to, i, &format!("load-{user}-{i}"), user, password)?;
        subscribe(fd.as_raw_fd(), &filter, args.get("qos", 0)?)?;
        poll.add(fd.as_raw_fd(), i as u64, READ | EDGE)?;
        subscribers.push(Subscriber { fd, rest: Vec::new(), received: 0 });
    }
    println!("ready");
    std::thread::spawn(|| {
        let mut line = String::new();
        while io::stdin().read_line(&mut line).is_ok_and(|n| n > 0) {}
        OVER.store(true, Relaxed);
    });
    let mut buffer = vec![0u8; 1 << 20];
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut first = None;
    let mut last = Instant::now();
    while !OVER.load(Relaxed)
        && Instant::now() < until
        && (first.is_none() || last.elapsed() < Duration::from_secs(2))
    {
        for (key, _) in poll.wait(200)? {
            if subscribers[key as usize].read(&mut buffer)? {
                last = Instant::now();
                first.get_or_insert(last);
            }
        }
    }
    let span = first.map_or(0.0, |first| last.duration_since(first).as_secs_f64());
    let received: u64 = subscribers.iter().map(|s| s.received).sum();
    Ok(json!({
        "received": received,
        "seconds": span,
        "per_second": if span > 0.0 { received as f64 / span } else { 0.0 },
        "least": subscribers.iter().map(|s| s.received).min(),
        "most": subscribers.iter().map(|s| s.received).max(),
        "cpu_s": poll::cpu_seconds(),
    }))
}

impl Subscriber {
    /// Takes what is there; whether a message was among it.
    fn read(&mut self, buffer: &mut [u8]) -> Result<bool, Box<dyn std::error::Error>> {
        let before = self.received;
        loop {
            let kept = self.rest.len();
            buffer[..kept].copy_from_slice(&self.rest);
            let Some(n) = poll::read(self.fd.as_raw_fd(), &mut buffer[kept..])? else { break };
            if n == 0 {
                return Err("the server closed the connection".into());
            }
            let filled = kept + n;
            let mut at = 0;
            while let Some((frame, size)) = next_frame(&buffer[at..filled]) {
                self.received += u64::from(matches!(frame, Frame::Publish { .. }));
                at += size;
            }
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[at..filled]);
        }
        Ok(self.received > before)
    }
}
