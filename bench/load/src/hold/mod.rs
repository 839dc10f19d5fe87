//! Many devices, each with a connection of its own, held idle or pinging; they can be cut and come back all at once.
//!
//! It is told what to do on standard input, a line each, and answers each with a line of JSON; see `Command`.

mod device;
mod worker;

use std::io;
use std::net::SocketAddrV4;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use serde_json::{Value, json};

use self::device::Until;
use self::worker::{Answer, Opened, Order, Terms, Worker};
use crate::args::{Args, Outcome, credentials};
use crate::tls::Clients;

/// Connections per thread: each thread has a descriptor table of its own, which has a limit.
const CHUNK: usize = 15_000;

/// What a line of standard input asks for.
enum Command {
    /// `storm [WINDOW]`: cuts all connections at once, and has all devices come back, so many at a time on each thread
    /// (0, the default: all at once).
    Storm(usize),
    /// `ended`: which connections have been ended by the server since they were opened, and when.
    Ended,
}

impl Command {
    fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let command = match words.next() {
            Some("storm") => {
                let window = words.next().map_or(Ok(0), str::parse);
                Command::Storm(window.map_err(|_| format!("{line:?}: the window is no number"))?)
            }
            Some("ended") => Command::Ended,
            _ => return Err(format!("{line:?}: one of storm [WINDOW], ended")),
        };
        Ok(command)
    }
}

/// See the head of `main.rs`. Says `held` when all are open, and how that went; ends with a report when standard input closes.
pub fn run(args: &Args) -> Outcome {
    let connections: usize = args.get("connections", 25_000)?;
    let users = credentials(args, connections)?;
    let clients = match args.text("tls") {
        Some(directory) => Some(Arc::new(Clients::new(directory.as_ref(), args.get("resume", true)?)?)),
        None => None,
    };
    let terms = Terms {
        to: args.need::<SocketAddrV4>("to")?,
        until: if args.get("shake-only", false)? { Until::Shaken } else { Until::Connected },
        timeout: Duration::from_secs_f64(args.get("timeout", 30.0)?),
        ping: args.text("ping").map(|_| args.need("ping").map(Duration::from_secs)).transpose()?,
        subscribe: args.text("subscribe").map(Into::into),
        clients,
    };
    let threads = connections.div_ceil(CHUNK).max(args.get("threads", 1)?);
    let size = connections.div_ceil(threads);
    let mut crew = Crew { orders: Vec::new(), answers: Vec::new() };
    let mut handles = Vec::new();
    for (n, users) in users.chunks(size).enumerate() {
        let (orders, answers) = crew.hire();
        let (terms, users) = (terms.clone(), users.to_vec());
        let worker = move || Worker::new(terms, n * size, users)?.run(&orders, &answers);
        handles.push(std::thread::spawn(move || worker().map_err(|error: io::Error| error.to_string())));
    }
    let told = crew.serve(args.get("window", 100)?);
    // Workers end when nobody tells them anything any more.
    drop(crew);
    for handle in handles {
        handle.join().map_err(|_| "a thread panicked")??;
    }
    told
}

/// The workers' threads.
struct Crew {
    orders: Vec<Sender<Order>>,
    answers: Vec<Receiver<Answer>>,
}

impl Crew {
    /// The ends of a new worker.
    fn hire(&mut self) -> (Receiver<Order>, Sender<Answer>) {
        let (orders, worker_orders) = channel();
        let (worker_answers, answers) = channel();
        self.orders.push(orders);
        self.answers.push(answers);
        (worker_orders, worker_answers)
    }

    fn ask(&self, mut order: impl FnMut() -> Order) -> Result<Vec<Answer>, String> {
        for orders in &self.orders {
            orders.send(order()).map_err(|_| self.why())?;
        }
        self.answers.iter().map(|answers| answers.recv().map_err(|_| self.why())).collect()
    }

    fn why(&self) -> String {
        "a thread has ended: see its error".into()
    }

    fn open(&self, window: usize) -> Result<Value, String> {
        let cut = Arc::new(Barrier::new(self.orders.len()));
        let answers = self.ask(|| Order::Open { window, cut: cut.clone() })?;
        let mut all = Opened::default();
        for answer in answers {
            if let Answer::Opened(opened) = answer {
                all.add(opened);
            }
        }
        Ok(all.report())
    }

    fn serve(&self, window: usize) -> Outcome {
        let opened = self.open(window)?;
        println!("held");
        println!("{opened}");
        for line in io::stdin().lines() {
            match Command::parse(&line?)? {
                Command::Storm(window) => println!("{}", self.open(window)?),
                Command::Ended => {
                    let answers = self.ask(|| Order::Ended)?;
                    let ended: serde_json::Map<_, _> = answers
                        .into_iter()
                        .flat_map(|answer| if let Answer::Ended(ended) = answer { ended } else { Vec::new() })
                        .map(|(user, at_ns)| (user, at_ns.into()))
                        .collect();
                    println!("{}", Value::Object(ended));
                }
            }
        }
        let (mut held, mut pings, mut pongs) = (0, 0, 0);
        for answer in self.ask(|| Order::Count)? {
            if let Answer::Count(count) = answer {
                (held, pings, pongs) = (held + count.held, pings + count.pings, pongs + count.pongs);
            }
        }
        Ok(json!({"held": held, "pings": pings, "pongs": pongs}))
    }
}
