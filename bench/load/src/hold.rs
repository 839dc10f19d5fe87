//! Opens many connections and holds them idle, so that memory per connection can be read off the server.

use std::net::SocketAddrV4;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::{Args, Outcome, credentials};
use crate::client::open;
use crate::poll;

/// See the head of `main.rs`. Prints `held` when all are open.
pub fn run(args: &Args) -> Outcome {
    let to: SocketAddrV4 = args.need("to")?;
    let connections: usize = args.get("connections", 25_000)?;
    let seconds: u64 = args.get("seconds", 10)?;
    let users = credentials(args, connections)?;
    let chunk = 15_000;
    let all_open = Barrier::new(connections.div_ceil(chunk) + 1);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let handles: Vec<_> = users
            .chunks(chunk)
            .enumerate()
            .map(|(i, users)| {
                let all_open = &all_open;
                scope.spawn(move || {
                    let held = poll::own_descriptors().map_err(|e| e.to_string()).and_then(|()| {
                        let mut held = Vec::with_capacity(users.len());
                        for (k, (user, password)) in users.iter().enumerate() {
                            held.push(open(to, i * chunk + k, user, password).map_err(|e| e.to_string())?);
                        }
                        Ok(held)
                    });
                    all_open.wait();
                    std::thread::sleep(Duration::from_secs(seconds));
                    held.map(|held| held.len())
                })
            })
            .collect();
        all_open.wait();
        let opened_in = start.elapsed().as_secs_f64();
        println!("held");
        let mut held = 0;
        for handle in handles {
            held += handle.join().map_err(|_| "a thread panicked")??;
        }
        Ok(json!({"held": held, "opened_in_s": opened_in, "per_second": held as f64 / opened_in}))
    })
}
