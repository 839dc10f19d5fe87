//! Handshakes, on threads of their own: a signature takes longer than a thousand messages, and a storm of connections
//! must not hold up those that are there. Threads give way to the shards (niceness), so that connected devices go first
//! on a machine that is full.
//!
//! A handshake that has begun goes before a new one. So a storm drains in order, one after the other, instead of all
//! handshakes getting slower together until all of them time out.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustls::HandshakeKind;
use rustls::server::UnbufferedServerConnection;

use super::acceptor::Acceptor;
use super::identity::name_of;
use super::records::{self, Step};
use crate::pool::Pool;

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

impl crate::pool::Job for Job {
    fn is_urgent(&self) -> bool {
        self.handshake.has_begun()
    }

    fn run(self) {
        let Job { mut handshake, done } = self;
        let progress = handshake.advance();
        done(handshake, progress);
    }
}

/// The threads for handshakes. The shards bound how many jobs there are (see `shard::admission`).
pub type HandshakePool = Pool<Job>;

/// Starts so many threads for handshakes.
///
/// # Errors
/// As [`Pool::start`].
pub fn start_pool(threads: usize) -> io::Result<HandshakePool> {
    Pool::start("tls", threads, usize::MAX, give_way)
}

fn give_way() {
    // SAFETY: no pointers are involved. 0 means the calling thread; where it is refused, nothing is lost but the order.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}
