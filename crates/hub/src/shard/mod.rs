//! One shard: an event loop with sockets, sessions and a descriptor table of its own.
//!
//! A round of the loop: wait for events; do what others ask for; tell the sessions whose records are committed; read
//! the sockets that are ready; see to timers; then append the round's records at once, deliver its messages, hand its
//! rows to the stream thread, and write what was put into outputs. Nothing of a round is delivered before its records
//! are appended, because their offsets name them from then on.
//!
//! While the log, the stream thread or another shard can take nothing more, no socket is read, and keep-alives are
//! suspended; everything else goes on.

mod accept;
mod admission;
mod connection;
mod control;
mod decoding;
mod deliver;
mod host;
mod inspect;
mod intake;
mod journal;
mod layered;
mod leave;
pub mod links;
mod missed;
mod open;
mod plain;
mod read;
mod review;
mod round;
mod timers;
mod turns;

use std::cell::Cell;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mohhos_decode::Batch;
use mohhos_log::prefer_latency;
use mohhos_mqtt::session::Limits as ProtocolLimits;
use rtrb::Producer;
use slab::Slab;

use self::admission::Admission;
use self::connection::{Connection, Spares, Stage};
use self::control::Checkpointing;
use self::decoding::Decoding;
use self::intake::Intake;
use self::journal::{Journal, Stamp};
use self::links::Links;
use self::timers::{Timer, Timers};
use crate::auth::principals::{Credential, Principal, PrincipalKind};
use crate::config::Limits;
use crate::publication::gateway_principal;
use crate::session::store::Store;
use crate::session::ways::Ways;
use crate::session::{Session, SessionKey, Subscription, cost};
use crate::shared::Shared;
use crate::sys::descriptors::own_table;
use crate::sys::epoll::Poller;
use crate::topics::share::is_shared;

/// Events per look at the sockets.
const EVENTS: usize = 4096;
/// The read buffer; see DESIGN.md for how it was measured.
const BUFFER: usize = 256 * 1024;
/// With as many sockets ready at once, each with few bytes, a nap lets more come together.
const NAP_READY: usize = 16;
/// Fewer bytes than this per read are few.
const NAP_BYTES: usize = 1024;
/// After so many rounds that came quickly one after the other, a nap too.
const NAP_ROUNDS: u32 = 8;
/// Rounds closer than this are quick.
const NAP_GAP_US: u64 = 1000;
/// How long the nap is.
const NAP: Duration = Duration::from_micros(250);
/// How long to wait when something could not be done and nobody may tell that it can be now.
const RETRY_MS: i32 = 5;

/// What makes a shard, put together before its thread starts.
pub struct Parts {
    /// Its index.
    pub index: u16,
    /// What all share.
    pub shared: Arc<Shared>,
    /// One for each listener of the configuration.
    pub listeners: Vec<OwnedFd>,
    /// The roads to the other shards.
    pub links: Links,
    /// The ring to the stream thread.
    pub ring: Producer<Batch>,
    /// The sessions that live here, from before.
    pub sessions: Vec<Session>,
    /// The end of the log from which this run goes on.
    pub start: u64,
}

/// Says what an event of the poller is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Wake,
    Sockets,
    Listener(u32),
    Connection { slot: u32, generation: u32 },
}

impl Token {
    /// A connection's slot is the lower half; the highest slots, which no table of files reaches, are the others.
    fn encode(self) -> u64 {
        match self {
            Token::Wake => u64::from(u32::MAX),
            Token::Sockets => u64::from(u32::MAX - 1),
            Token::Listener(index) => u64::from(index) << 32 | u64::from(u32::MAX - 2),
            Token::Connection { slot, generation } => u64::from(generation) << 32 | u64::from(slot),
        }
    }

    fn decode(token: u64) -> Self {
        let (high, low) = ((token >> 32) as u32, token as u32);
        match u32::MAX - low {
            0 => Token::Wake,
            1 => Token::Sockets,
            2 => Token::Listener(high),
            _ => Token::Connection { slot: low, generation: high },
        }
    }
}

/// One shard.
pub struct Shard {
    poller: Poller,
    buffer: Box<[u8]>,
    listeners: Vec<OwnedFd>,
    connections: Slab<Connection>,
    generation: u32,
    sessions: Store,
    intake: Intake,
    links: Links,
    timers: Timers,
    spares: Spares,
    /// Listeners at which more may wait.
    accepting: Vec<usize>,
    /// Connections that may have something to read.
    ready: Vec<u32>,
    /// Those of them that are not connected yet.
    newcomers: VecDeque<u32>,
    /// Those whose clients have gone.
    leavers: VecDeque<u32>,
    /// Which TLS handshakes may begin.
    admission: Admission,
    /// From which connection on certificates have to be looked at again.
    rechecking: Option<usize>,
    /// What came through a transport, on its way into the protocol.
    plain: Vec<u8>,
    /// Bytes that connections hold of packets that have not come to their end.
    unread: Cell<usize>,
    /// Connections that hold more of them than there is room for, with their generations.
    swollen: Vec<(u32, u32)>,
    /// Connections with something to write.
    dirty: Vec<u32>,
    /// Sessions to which something can be sent.
    pumps: Vec<u32>,
    /// Sessions that wait for a commit before something can be sent.
    after_commit: Vec<u32>,
    /// Sessions that missed something that is to be told.
    missing: Vec<u32>,
    /// Devices whose status is to be told.
    statuses: Vec<Arc<str>>,
    /// From which session on a change of the roles has to be seen to.
    reviewing: Option<u32>,
    /// Checkpoints that are being made.
    checkpoints: Vec<Checkpointing>,
    /// Up to which offset everything of each shard has been received here.
    received: Vec<u64>,
    own_principal: Arc<Principal>,
    own_key: SessionKey,
    own_ways: Ways,
    files_full: bool,
    /// The records of the round could not be appended; since when, and whether it was said.
    blocked: Option<round::Blocked>,
    /// Since when no socket is read, in milliseconds.
    paused_ms: Option<u64>,
    /// How far the log was committed when it was last looked at.
    committed: u64,
    /// Rounds that came quickly one after the other, and when the last ended.
    quick_rounds: u32,
    round_ended_us: u64,
    stopping: bool,
}

impl Shard {
    /// Runs a shard on the calling thread until it is told to stop. `ready` learns whether it could start.
    pub fn run(parts: Parts, ready: impl FnOnce(std::io::Result<()>)) {
        match Shard::start(parts) {
            Ok(mut shard) => {
                ready(Ok(()));
                prefer_latency();
                shard.cycle();
            }
            Err(error) => ready(Err(error)),
        }
    }

    fn start(parts: Parts) -> std::io::Result<Shard> {
        let Parts { index, shared, listeners, links, ring, sessions, start } = parts;
        let wake = shared.shards[usize::from(index)].wake.fd();
        let others = shared.shards.iter().map(|share| share.wake.fd());
        let mut keep: Vec<RawFd> = links.descriptors();
        keep.extend(listeners.iter().map(AsRawFd::as_raw_fd).chain(others));
        own_table(&keep)?;
        let poller = Poller::new(EVENTS)?;
        poller.add_reader(wake, Token::Wake.encode())?;
        for fd in links.incoming() {
            poller.add_reader(fd, Token::Sockets.encode())?;
        }
        for (index, listener) in listeners.iter().enumerate() {
            poller.add_reader(listener.as_raw_fd(), Token::Listener(index as u32).encode())?;
        }
        let stamp = Stamp { shard: index, boot_id: shared.config.boot_id, ..Stamp::default() };
        let name = gateway_principal();
        let own_principal =
            Arc::new(Principal::new(&name, PrincipalKind::Operator, "", Credential::Anonymous));
        let own_key = SessionKey { principal: own_principal.name.clone(), client: "".into() };
        let shards = shared.shards.len();
        let admission = Admission::new(shared.config.limits.max_handshakes.div_ceil(shards));
        let mut shard = Shard {
            poller,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            listeners,
            connections: Slab::new(),
            generation: 0,
            sessions: Store::new(index),
            intake: Intake {
                decoding: Decoding::new(index, shared.clone(), ring),
                shared,
                shard: index,
                journal: Journal::new(stamp),
                staged: Vec::new(),
                handovers: Vec::new(),
                releases: Vec::new(),
                replies: Vec::new(),
                seen: Vec::new(),
                hold_us: 0,
                receipts: Vec::new(),
                wall_us: 0,
                mono_us: 0,
            },
            links,
            timers: Timers::default(),
            spares: Spares::default(),
            accepting: Vec::new(),
            ready: Vec::new(),
            newcomers: VecDeque::new(),
            leavers: VecDeque::new(),
            admission,
            rechecking: None,
            plain: Vec::new(),
            unread: Cell::new(0),
            swollen: Vec::new(),
            dirty: Vec::new(),
            pumps: Vec::new(),
            after_commit: Vec::new(),
            missing: Vec::new(),
            statuses: Vec::new(),
            reviewing: None,
            checkpoints: Vec::new(),
            received: vec![start; shards],
            own_principal,
            own_key,
            own_ways: Ways::default(),
            files_full: false,
            blocked: None,
            paused_ms: None,
            committed: 0,
            quick_rounds: 0,
            round_ended_us: 0,
            stopping: false,
        };
        shard.refresh_time();
        shard.adopt(sessions);
        shard.timers.set(shard.now_ms() + intake::SEEN_US / 1000, Timer::Report);
        Ok(shard)
    }

    /// Takes in the sessions from before.
    fn adopt(&mut self, sessions: Vec<Session>) {
        let now_ms = self.now_ms();
        for session in sessions {
            let expiry_s = session.expiry_s;
            let slot = self.sessions.insert(session);
            let Some(session) = self.sessions.get(slot) else { continue };
            session.device = self.intake.shared.devices.get(&session.key.principal);
            // What was kept before stays, also if the limits have become stricter.
            session.keeper = self.intake.shared.keepers.keep(&session.key.principal, usize::MAX);
            let mut memberships = Vec::new();
            for Subscription { filter, options } in &session.subscriptions {
                let subscriptions = &self.intake.shared.subscriptions;
                self.intake.shared.subscription_bytes.fetch_add(cost(filter), Ordering::Relaxed);
                if is_shared(filter) {
                    let device = session.device.as_ref();
                    let joined =
                        subscriptions.join(filter, session.id, &session.key, *options, device, false);
                    memberships.push(joined.0);
                } else {
                    subscriptions.subscribe(filter, session.id, *options);
                }
            }
            session.memberships = memberships.into();
            self.intake.counters().subscriptions.add(session.subscriptions.len() as u64);
            if let Some(will) = &session.will {
                let left_ms = u64::try_from(will.due_us - self.intake.wall_us).unwrap_or(0).div_ceil(1000);
                let timer = Timer::Will { session: session.id, turn: session.turn };
                self.timers.set(now_ms + left_ms, timer);
            }
            if expiry_s != u32::MAX {
                let timer = Timer::Expiry { session: session.id, turn: session.turn };
                self.timers.set(now_ms + u64::from(expiry_s) * 1000, timer);
            }
        }
        self.intake.counters().sessions.set(self.sessions.len() as u64);
    }

    /// The current time, in the milliseconds of timers and of the protocol.
    #[inline]
    fn now_ms(&self) -> u64 {
        self.intake.mono_us / 1000
    }

    fn refresh_time(&mut self) {
        let clock = &self.intake.shared.clock;
        self.intake.wall_us = clock.wall_us();
        self.intake.mono_us = clock.mono_us();
        self.intake.journal.stamp.wall_us = self.intake.wall_us;
        self.intake.journal.stamp.mono_us = self.intake.mono_us;
    }

    fn mark_ready(&mut self, slot: u32) {
        if let Some(connection) = self.connections.get_mut(slot as usize)
            && !std::mem::replace(&mut connection.io.ready, true)
        {
            if matches!(connection.stage, Stage::Greeting) {
                self.newcomers.push_back(slot);
            } else if connection.io.hangup {
                self.leavers.push_back(slot);
            } else {
                self.ready.push(slot);
            }
        }
    }

    fn mark_dirty(&mut self, slot: u32) {
        if let Some(connection) = self.connections.get_mut(slot as usize)
            && !connection.io.blocked
            && !std::mem::replace(&mut connection.io.dirty, true)
        {
            self.dirty.push(slot);
        }
    }

    /// Sets the timer of a connection, unless an earlier one will set it.
    fn set_timer(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let Some(deadline) = connection.protocol.deadline() else { return };
        if deadline < connection.timer_ms {
            connection.timer_ms = deadline;
            let timer = Timer::Connection { slot, generation: connection.generation };
            self.timers.set(deadline, timer);
        }
    }

    /// Is something full that what is read has to go to?
    fn is_congested(&self) -> bool {
        self.blocked.is_some() || self.intake.decoding.is_blocked() || self.links.is_full()
    }
}

/// What the protocol is told of the limits.
pub fn protocol_limits(limits: &Limits) -> ProtocolLimits {
    ProtocolLimits {
        max_packet: limits.max_packet_bytes,
        receive_maximum: limits.max_inflight.max(1),
        max_inflight: limits.max_inflight.max(1),
        connect_timeout_ms: limits.connect_timeout_s.saturating_mul(1000),
        shared_subscriptions: true,
        ..ProtocolLimits::default()
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        let open = self.connections.len();
        self.intake.shared.connections.fetch_sub(open, Ordering::Relaxed);
    }
}
