//! One thread of devices: an event loop with a descriptor table of its own.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::device::{Device, Stage, Step, Until};
use crate::poll::{self, EDGE, Poll, READ, WRITE};
use crate::tls::Clients;

/// After a refusal it is tried again after this long.
const RETRY: Duration = Duration::from_secs(1);
/// Who is not there after this long stays away.
const PATIENCE: Duration = Duration::from_secs(240);
/// So many begin before sockets are looked at again.
const BURST: usize = 64;

/// What all devices have in common.
#[derive(Clone)]
pub struct Terms {
    pub to: SocketAddrV4,
    pub until: Until,
    /// From connect to what it wants, or the device gives up and begins anew.
    pub timeout: Duration,
    /// Each device pings so often.
    pub ping: Option<Duration>,
    /// Each device subscribes to this, below its own topics.
    pub subscribe: Option<Arc<str>>,
    /// TLS, if there is any.
    pub clients: Option<Arc<Clients>>,
}

/// What a worker is to do.
pub enum Order {
    /// Cut what is there, wait for the others to have done so, and open all.
    Open { window: usize, cut: Arc<Barrier> },
    /// Tell which connections the server has ended.
    Ended,
    /// Tell how many are there.
    Count,
}

/// What it says.
pub enum Answer {
    Opened(Opened),
    Ended(Vec<(String, u64)>),
    Count(Count),
}

/// Connections at the end.
pub struct Count {
    pub held: usize,
    pub pings: u64,
    pub pongs: u64,
}

/// What came of opening.
#[derive(Default)]
pub struct Opened {
    /// Until all were there.
    seconds: f64,
    /// From connect to the end, in microseconds, for each that got through.
    took_us: Vec<u32>,
    timed_out: usize,
    refused: usize,
    resumed: usize,
    given_up: usize,
}

impl Opened {
    pub fn add(&mut self, other: Opened) {
        self.seconds = self.seconds.max(other.seconds);
        self.took_us.extend(other.took_us);
        self.timed_out += other.timed_out;
        self.refused += other.refused;
        self.resumed += other.resumed;
        self.given_up += other.given_up;
    }

    pub fn report(mut self) -> Value {
        self.took_us.sort_unstable();
        let at = |q: f64| {
            let index = (self.took_us.len() as f64 * q) as usize;
            self.took_us.get(index).or(self.took_us.last()).map(|us| f64::from(*us) / 1e6)
        };
        json!({
            "through": self.took_us.len(),
            "seconds": self.seconds,
            "timed_out": self.timed_out,
            "refused": self.refused,
            "resumed": self.resumed,
            "given_up": self.given_up,
            "p50_s": at(0.5),
            "p99_s": at(0.99),
            "max_s": at(1.0),
        })
    }
}

/// Devices on their way.
struct Opening {
    window: usize,
    waiting: VecDeque<usize>,
    later: VecDeque<(Instant, usize)>,
    running: usize,
    since: Instant,
    checked: Instant,
    so_far: Opened,
}

/// The thread's devices.
pub struct Worker {
    terms: Terms,
    first: usize,
    devices: Vec<Device>,
    poll: Poll,
    buffer: Vec<u8>,
    opening: Option<Opening>,
    round: usize,
    pinging_since: Instant,
    pinged: u64,
}

impl Worker {
    /// Devices `first` and those after it.
    pub fn new(terms: Terms, first: usize, users: Vec<(String, String)>) -> io::Result<Self> {
        poll::own_descriptors()?;
        let mut devices = Vec::with_capacity(users.len());
        for (user, password) in users {
            let issue = |clients: &Arc<Clients>| clients.issue(&user).map_err(io::Error::other);
            let identity = terms.clients.as_ref().map(issue).transpose()?;
            devices.push(Device::new(user, &password, &terms, identity));
        }
        Ok(Self {
            terms,
            first,
            devices,
            poll: Poll::new()?,
            buffer: vec![0; 16 * 1024],
            opening: None,
            round: 0,
            pinging_since: Instant::now(),
            pinged: 0,
        })
    }

    /// Goes on until nobody gives orders any more.
    pub fn run(mut self, orders: &Receiver<Order>, answers: &Sender<Answer>) -> io::Result<()> {
        loop {
            match orders.try_recv() {
                Ok(Order::Open { window, cut }) => self.begin(window, &cut),
                Ok(Order::Ended) => drop(answers.send(Answer::Ended(self.ended()))),
                Ok(Order::Count) => drop(answers.send(Answer::Count(self.count()))),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            let starts_more = self.start_some()?;
            for (key, _) in self.poll.wait(if starts_more { 0 } else { 5 })? {
                self.advance(key as usize);
            }
            self.look_at_times();
            if let Some(opened) = self.finish() {
                drop(answers.send(Answer::Opened(opened)));
            }
            self.ping();
        }
    }

    fn begin(&mut self, window: usize, cut: &Barrier) {
        self.devices.iter_mut().for_each(Device::cut);
        self.round += 1;
        cut.wait();
        let now = Instant::now();
        self.opening = Some(Opening {
            window: if window == 0 { usize::MAX } else { window },
            waiting: (0..self.devices.len()).collect(),
            later: VecDeque::new(),
            running: 0,
            since: now,
            checked: now,
            so_far: Opened::default(),
        });
    }

    /// Starts those there is room for; true if there are more.
    fn start_some(&mut self) -> io::Result<bool> {
        for _ in 0..BURST {
            let Some(opening) = &mut self.opening else { return Ok(false) };
            if opening.running >= opening.window {
                return Ok(false);
            }
            let Some(index) = opening.waiting.pop_front() else { return Ok(false) };
            opening.running += 1;
            // Each round from other addresses: the ports of the last one are still taken for a minute.
            let source = Ipv4Addr::new(
                127,
                0,
                (1 + self.round % 250) as u8,
                (1 + (self.first + index) / poll::PER_ADDRESS) as u8,
            );
            let device = &mut self.devices[index];
            if let Some(identity) = &device.identity {
                identity.prepare();
            }
            device.began = Instant::now();
            device.ended_ns = 0;
            let fd = poll::begin_connect(self.terms.to, source)?;
            self.poll.add(fd.as_raw_fd(), index as u64, READ | WRITE | EDGE)?;
            device.begin(fd);
        }
        Ok(true)
    }

    fn advance(&mut self, index: usize) {
        let device = &mut self.devices[index];
        let was_open = device.stage == Stage::Open;
        let step = device.advance(self.terms.until, &mut self.buffer).unwrap_or(Step::Over);
        match (step, &mut self.opening) {
            (Step::Same, _) => {}
            (Step::Done, Some(opening)) => {
                opening.running -= 1;
                opening.so_far.took_us.push(device.began.elapsed().as_micros() as u32);
                opening.so_far.resumed += usize::from(device.has_resumed());
                if self.terms.until == Until::Shaken {
                    device.cut();
                }
            }
            (Step::Over, Some(opening)) if !was_open => {
                device.cut();
                opening.running -= 1;
                opening.so_far.refused += 1;
                opening.later.push_back((Instant::now() + RETRY, index));
            }
            (Step::Done | Step::Over, _) => {
                device.cut();
                device.ended_ns = poll::monotonic_ns();
            }
        }
    }

    /// Time-outs, once in a while, and those whose second try has come.
    fn look_at_times(&mut self) {
        let Some(opening) = &mut self.opening else { return };
        let now = Instant::now();
        while opening.later.front().is_some_and(|(at, _)| *at <= now) {
            let (_, index) = opening.later.pop_front().unwrap_or((now, 0));
            opening.waiting.push_back(index);
        }
        if now.duration_since(opening.checked) < Duration::from_millis(200) {
            return;
        }
        opening.checked = now;
        let is_over = now.duration_since(opening.since) > PATIENCE;
        for (index, device) in self.devices.iter_mut().enumerate() {
            if !matches!(device.stage, Stage::Away | Stage::Open)
                && now.duration_since(device.began) > self.terms.timeout
            {
                device.cut();
                opening.running -= 1;
                opening.so_far.timed_out += 1;
                opening.waiting.push_back(index);
            }
        }
        if is_over {
            opening.so_far.given_up = opening.running + opening.waiting.len() + opening.later.len();
            opening.running = 0;
            opening.waiting.clear();
            opening.later.clear();
            self.devices.iter_mut().filter(|device| device.stage != Stage::Open).for_each(Device::cut);
        }
    }

    fn finish(&mut self) -> Option<Opened> {
        let opening = self.opening.as_ref()?;
        if opening.running > 0 || !opening.waiting.is_empty() || !opening.later.is_empty() {
            return None;
        }
        self.pinging_since = Instant::now();
        self.pinged = 0;
        let Opening { since, so_far, .. } = self.opening.take()?;
        Some(Opened { seconds: since.elapsed().as_secs_f64(), ..so_far })
    }

    /// Devices ping one after the other, evenly over the interval.
    fn ping(&mut self) {
        let (Some(every), None) = (self.terms.ping, &self.opening) else { return };
        let count = self.devices.len() as u64;
        let due = self.pinging_since.elapsed().as_secs_f64() / every.as_secs_f64() * count as f64;
        while self.pinged < due as u64 {
            let device = &mut self.devices[(self.pinged % count) as usize];
            // Who cannot be written to is found to be gone by the poll.
            if device.stage == Stage::Open {
                let _ = device.ping();
            }
            self.pinged += 1;
        }
    }

    fn ended(&self) -> Vec<(String, u64)> {
        let ended = self.devices.iter().filter(|device| device.ended_ns != 0);
        ended.map(|device| (device.user.clone(), device.ended_ns)).collect()
    }

    fn count(&self) -> Count {
        Count {
            held: self.devices.iter().filter(|device| device.stage == Stage::Open).count(),
            pings: self.devices.iter().map(|device| u64::from(device.pings)).sum(),
            pongs: self.devices.iter().map(|device| u64::from(device.pongs)).sum(),
        }
    }
}
