//! Handshakes, on threads of their own: a signature takes longer than a thousand messages, and a storm of connections
//! must not hold up those that are there. Threads give way to the shards (niceness), so that connected devices go first
//! on a machine that is full.
//!
//! A handshake that has begun goes before a new one. So a storm drains in order, one after the other, instead of all
//! handshakes getting slower together until all of them time out.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use rustls::HandshakeKind;
use rustls::server::UnbufferedServerConnection;

use super::acceptor::Acceptor;
use super::identity::name_of;
use super::records::{self, Step};

/// How far these threads step back behind the shards.
const NICE: i32 = 5;

/// A connection's handshake, on its way between its shard and a thread of the pool.
pub struct Handshake {
    acceptor: Arc<Acceptor>,
    /// `None` before its first bytes.
    pub connection: Option<Box<UnbufferedServerConnection>>,
    /// What came from the client and is not taken yet.
    pub raw: Vec<u8>,
    /// To be sent.
    pub wire: Vec<u8>,
    /// Plaintext that came with the end of the handshake.
    pub plain: Vec<u8>,
}

/// How far a handshake is.
#[derive(Debug)]
pub enum Progress {
    /// The client's next bytes are needed.
    Wants,
    /// It is done.
    Done(Outcome),
    /// It failed: why, for operators.
    Failed(String),
}

/// What a handshake came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The principal that the client's certificate names.
    pub identity: Option<Arc<str>>,
    /// An earlier session was resumed.
    pub resumed: bool,
}

impl Handshake {
    /// One that is about to begin.
    pub fn new(acceptor: Arc<Acceptor>) -> Self {
        Self { acceptor, connection: None, raw: Vec::new(), wire: Vec::new(), plain: Vec::new() }
    }

    /// Has it begun?
    pub fn has_begun(&self) -> bool {
        self.connection.is_some()
    }

    /// Takes what came from the client: the expensive part.
    fn advance(&mut self) -> Progress {
        // A mistake in a library must cost one client its connection, not all of them this thread.
        let taken = catch_unwind(AssertUnwindSafe(|| self.take()));
        match taken.unwrap_or_else(|_| Err("the TLS library failed; report it".into())) {
            Ok(progress) => progress,
            Err(why) => Progress::Failed(format!("the TLS handshake failed: {why}")),
        }
    }

    fn take(&mut self) -> Result<Progress, String> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let server = self.acceptor.current().server.clone();
                let new = UnbufferedServerConnection::new(server).map_err(|error| error.to_string())?;
                none.insert(Box::new(new))
            }
        };
        let looks = Looks::of(&self.raw, connection.handshake_kind().is_none());
        let (taken, step) = records::take(connection, &mut self.raw, &mut self.plain, &mut self.wire);
        self.raw.drain(..taken);
        match step {
            Err(error) => return Err(looks.explain(&error)),
            Ok(Step::Closed) if connection.is_handshaking() => return Err("the client closed it".into()),
            Ok(_) if connection.is_handshaking() => return Ok(Progress::Wants),
            Ok(_) => {}
        }
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let chain = connection.peer_certificates().unwrap_or_default();
        if resumed {
            self.acceptor.verify_again(chain).map_err(|error| error.to_string())?;
        }
        let identity = match chain.first() {
            Some(leaf) => name_of(leaf, self.acceptor.identity())?,
            None => None,
        };
        Ok(Progress::Done(Outcome { identity: identity.map(Into::into), resumed }))
    }
}

/// What the first bytes look like, if they are not TLS.
enum Looks {
    Tls,
    Mqtt,
    Http,
}

impl Looks {
    fn of(raw: &[u8], is_first: bool) -> Self {
        match raw {
            [0x10, ..] if is_first => Looks::Mqtt,
            [b'G' | b'P' | b'H', ..] if is_first => Looks::Http,
            _ => Looks::Tls,
        }
    }

    fn explain(&self, error: &rustls::Error) -> String {
        match self {
            Looks::Tls => error.to_string(),
            Looks::Mqtt => {
                "the client speaks MQTT without TLS; switch TLS on in the client, or give it the port of a \
                            listener without TLS"
                    .into()
            }
            Looks::Http => {
                "the client speaks HTTP without TLS; switch TLS on in the client (wss, https)".into()
            }
        }
    }
}

/// A step of a handshake, and what to do with its outcome.
pub struct Job {
    /// The handshake, with the bytes that came.
    pub handshake: Box<Handshake>,
    /// Called with the outcome on a thread of the pool.
    pub done: Box<dyn FnOnce(Box<Handshake>, Progress) + Send>,
}

/// The threads and their queues. The shards bound how many jobs there are (see `shard::admission`).
pub struct HandshakePool {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    begun: VecDeque<Job>,
    new: VecDeque<Job>,
    stopped: bool,
}

impl State {
    fn next(&mut self) -> Option<Job> {
        self.begun.pop_front().or_else(|| self.new.pop_front())
    }
}

impl HandshakePool {
    /// Starts so many threads.
    pub fn start(threads: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let threads = (0..threads)
            .map(|n| {
                let queue = queue.clone();
                std::thread::Builder::new().name(format!("tls-{n}")).spawn(move || queue.work())
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { queue, threads: Mutex::new(threads) })
    }

    /// Takes a job.
    pub fn submit(&self, job: Job) {
        let mut state = self.queue.state.lock();
        if state.stopped {
            return;
        }
        if job.handshake.has_begun() {
            state.begun.push_back(job);
        } else {
            state.new.push_back(job);
        }
        drop(state);
        self.queue.changed.notify_one();
    }

    /// Forgets what waits, and ends the threads.
    pub fn stop(&self) {
        let mut state = self.queue.state.lock();
        state.stopped = true;
        let forgotten = (std::mem::take(&mut state.begun), std::mem::take(&mut state.new));
        drop(state);
        drop(forgotten);
        self.queue.changed.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // A thread that panicked has nothing to tell here.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn work(&self) {
        give_way();
        loop {
            let mut state = self.state.lock();
            let job = loop {
                if state.stopped {
                    return;
                }
                match state.next() {
                    Some(job) => break job,
                    None => self.changed.wait(&mut state),
                }
            };
            drop(state);
            let Job { mut handshake, done } = job;
            let progress = handshake.advance();
            done(handshake, progress);
        }
    }
}

fn give_way() {
    // SAFETY: no pointers are involved. 0 means the calling thread; where it is refused, nothing is lost but the order.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}
