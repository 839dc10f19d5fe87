//! Opens many connections and holds them idle, so that memory per connection can be read off the server.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Barrier;
use std::time::Instant;

use serde_json::json;

use crate::args::{Args, Outcome, credentials};
use crate::client::open;
use crate::poll;

/// Connections per thread: each thread has a descriptor table of its own, which has a limit.
const CHUNK: usize = 15_000;

/// See the head of `main.rs`. Prints `held` when all are open; reports when standard input closes.
pub fn run(args: &Args) -> Outcome {
    let to: SocketAddrV4 = args.need("to")?;
    let connections: usize = args.get("connections", 25_000)?;
    let users = credentials(args, connections)?;
    let threads = connections.div_ceil(CHUNK);
    let (all_open, done) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let start = Instant::now();
    std::thread::scope(|scope| {
        let handles: Vec<_> = users
            .chunks(CHUNK)
            .enumerate()
            .map(|(i, users)| {
                let (all_open, done) = (&all_open, &done);
                scope.spawn(move || {
                    let held = open_all(to, i * CHUNK, users);
                    all_open.wait();
                    done.wait();
                    held.map(|held| held.iter().filter(|fd| is_open(fd)).count())
                })
            })
            .collect();
        all_open.wait();
        let opened_in = start.elapsed().as_secs_f64();
        println!("held");
        let mut line = String::new();
        while io::stdin().read_line(&mut line)? > 0 {}
        done.wait();
        let mut held = 0;
        for handle in handles {
            held += handle.join().map_err(|_| "a thread panicked")??;
        }
        Ok(json!({"held": held, "opened_in_s": opened_in, "per_second": connections as f64 / opened_in}))
    })
}

fn open_all(to: SocketAddrV4, first: usize, users: &[(String, String)]) -> Result<Vec<OwnedFd>, String> {
    poll::own_descriptors().map_err(|e| e.to_string())?;
    let each = users.iter().enumerate();
    each.map(|(k, (user, password))| open(to, first + k, user, password).map_err(|e| e.to_string())).collect()
}

/// Nothing is ever sent to these connections, so whatever can be read is their end.
fn is_open(fd: &OwnedFd) -> bool {
    matches!(poll::read(fd.as_raw_fd(), &mut [0]), Ok(None))
}
