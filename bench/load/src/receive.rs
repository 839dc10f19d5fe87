//! One subscriber that takes everything and counts it: the wildcard consumer beside a broker.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::{Args, Outcome};
use crate::client::{Frame, next_frame, open, subscribe};
use crate::poll::{self, EDGE, Poll, READ};

static OVER: AtomicBool = AtomicBool::new(false);

/// See the head of `main.rs`. Ends after `--seconds`, when standard input closes, or when nothing came for two seconds
/// after the first message.
pub fn run(args: &Args) -> Outcome {
    let to: SocketAddrV4 = args.need("to")?;
    let seconds: u64 = args.get("seconds", 60)?;
    let filter: String = args.get("filter", "#".to_owned())?;
    let user = args.text("user").unwrap_or("receiver");
    let fd = open(to, 0, user, args.text("password").unwrap_or(""))?;
    subscribe(fd.as_raw_fd(), &filter, args.get("qos", 0)?)?;
    println!("ready");
    std::thread::spawn(|| {
        let mut line = String::new();
        while io::stdin().read_line(&mut line).is_ok_and(|n| n > 0) {}
        OVER.store(true, Relaxed);
    });
    let mut poll = Poll::new()?;
    poll.add(fd.as_raw_fd(), 0, READ | EDGE)?;
    let mut buffer = vec![0u8; 1 << 20];
    let (mut kept, mut received) = (0, 0u64);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut first = None;
    let mut last = Instant::now();
    while !OVER.load(Relaxed)
        && Instant::now() < until
        && (first.is_none() || last.elapsed() < Duration::from_secs(2))
    {
        poll.wait(200)?;
        while let Some(n) = poll::read(fd.as_raw_fd(), &mut buffer[kept..])? {
            if n == 0 {
                return Err("the server closed the connection".into());
            }
            let filled = kept + n;
            let mut at = 0;
            while let Some((frame, size)) = next_frame(&buffer[at..filled]) {
                received += u64::from(matches!(frame, Frame::Publish { .. }));
                at += size;
            }
            buffer.copy_within(at..filled, 0);
            kept = filled - at;
            last = Instant::now();
            first.get_or_insert(last);
        }
    }
    let span = first.map_or(0.0, |first| last.duration_since(first).as_secs_f64());
    Ok(json!({
        "received": received,
        "seconds": span,
        "per_second": if span > 0.0 { received as f64 / span } else { 0.0 },
        "cpu_s": poll::cpu_seconds(),
    }))
}
