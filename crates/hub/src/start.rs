//! From a configuration to a running hub.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use mohhos_decode::{DeadLetters, Names, TableSchema};
use mohhos_locks::Mutex;
use mohhos_log::{Fs, Log};

use crate::auth::principals::{Principal, Principals};
use crate::checkpointer::{Checkpointer, HOLD};
use crate::clerk::{self, AssignCode, ClerkHandle};
use crate::clock::Clock;
use crate::config::{HubConfig, RESERVED_FILES};
use crate::devices::Devices;
use crate::error::HubError;
use crate::event::Events;
use crate::hub::Hub;
use crate::policy::{Policy, Standing};
use crate::pool::Pool;
use crate::presence::Presence;
use crate::session::Session;
use crate::session::keepers::Keepers;
use crate::session::recovery::recover;
use crate::shard::{self, Parts, Shard};
use crate::shared::{BatchReceiver, Publisher, ShardShare, Shared};
use crate::signal::Signal;
use crate::sys::event_fd::EventFd;
use crate::sys::{descriptors, socket};
use crate::topics::retained::Retained;
use crate::topics::trie::Subscriptions;
use crate::trace::Traces;
use crate::transport::Layers;
use crate::transport::tls::handshake;
use crate::visits::Visits;

/// Dead letters kept, and devices for which they are counted one by one.
const DEAD_LETTERS: (usize, usize) = (1000, 100_000);
/// Threads that verify passwords, and passwords that may wait for them: as many as can be verified before the first of
/// their connections has waited for too long.
const HASH_POOL: (usize, usize) = (2, 1024);

/// What the hub is given.
pub struct HubParts {
    /// The log, open.
    pub log: Log,
    /// The directory of the checkpoint.
    pub fs: Arc<dyn Fs>,
    /// Gives new names of metrics and tables their codes, durably.
    pub assign: AssignCode,
    /// The names of the devices, filled by [`Hub::put_devices`].
    pub devices: Arc<Names>,
    /// The names of metrics and tables that have codes.
    pub metrics: Arc<Names>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// A hub that is about to open.
pub struct Prepared {
    shared: Arc<Shared>,
    fs: Arc<dyn Fs>,
    clerk: JoinHandle<()>,
    sessions: Vec<Session>,
}

impl Prepared {
    /// Everything but the shards and listeners: what is put before [`Prepared::open`] is there for the first client.
    pub fn new(config: HubConfig, parts: HubParts) -> Result<Prepared, HubError> {
        let files = descriptors::raise_file_limit().map_err(HubError::system("the limit of open files"))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = config.shard_count(cores, files.saturating_sub(RESERVED_FILES));
        let retained = Retained::new(config.limits.max_retained, config.limits.max_retained_bytes);
        let recovered = recover(&*parts.fs, &parts.log, &*parts.clock, &retained, &config.limits)?;
        parts.log.hold(HOLD, recovered.needed);
        let shards = (0..count)
            .map(|_| Ok(ShardShare::new(EventFd::new()?, count)))
            .collect::<std::io::Result<Box<[ShardShare]>>>()
            .map_err(HubError::system("an eventfd"))?;
        let (clerk, jobs) = ClerkHandle::new();
        let hash_pool = Pool::start("hash", HASH_POOL.0, HASH_POOL.1, || {})
            .map_err(HubError::system("a thread for passwords"))?;
        let layers = config.listeners.iter().map(|listener| Layers::new(&listener.transport, &parts.clock));
        let layers = layers.collect::<Result<_, HubError>>()?;
        let handshakes =
            handshake::start_pool(cores).map_err(HubError::system("a thread for TLS handshakes"))?;
        let shared = Arc::new(Shared {
            config,
            clock: parts.clock,
            log: parts.log,
            metrics: parts.metrics,
            principals: Principals::default(),
            devices: Devices::new(parts.devices),
            policy: Policy::new()?,
            subscriptions: Subscriptions::default(),
            subscription_bytes: AtomicUsize::new(0),
            keepers: Keepers::default(),
            retained,
            tables: ArcSwap::default(),
            tables_epoch: AtomicU64::new(0),
            presence: Presence::default(),
            events: Events::default(),
            visits: Visits::default(),
            traces: Traces::default(),
            dead_letters: Mutex::new(DeadLetters::new(DEAD_LETTERS.0, DEAD_LETTERS.1)),
            shards,
            clerk,
            hash_pool,
            handshakes,
            layers,
            batch_signal: Arc::new(Signal::default()),
            connections: AtomicUsize::new(0),
            connection_ids: AtomicU64::new(1),
            stalled_shards: AtomicUsize::new(0),
            log_stalled: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        });
        let clerk = clerk::start(jobs, shared.clone(), parts.assign)
            .map_err(HubError::system("the clerk's thread"))?;
        Ok(Prepared { shared, fs: parts.fs, clerk, sessions: recovered.sessions })
    }

    /// See [`Hub::put_devices`].
    pub fn put_devices(&self, codes: &[(String, u32)]) {
        self.shared.put_devices(codes);
    }

    /// See [`Hub::put_principals`].
    pub fn put_principals(&self, principals: Vec<Principal>) {
        self.shared.put_principals(principals);
    }

    /// See [`Hub::put_roles`].
    pub fn put_roles(&self, json: &str) -> Result<(), HubError> {
        self.shared.put_roles(json)
    }

    /// See [`Hub::set_standing`].
    pub fn set_standing(&self, device: &str, standing: &Standing) -> Result<(), HubError> {
        self.shared.set_standing(device, standing)
    }

    /// See [`Hub::put_tables`].
    pub fn put_tables(&self, tables: Vec<TableSchema>) {
        self.shared.put_tables(tables);
    }

    /// Publishes as the gateway; what is published before [`Prepared::open`] waits until then.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.shared.clone())
    }

    /// Starts the shards and opens the listeners. One receiver of batches for each shard.
    pub fn open(self) -> Result<(Hub, Vec<BatchReceiver>), HubError> {
        let Prepared { shared, fs, clerk, sessions } = self;
        let count = shared.shards.len();
        let (listeners, ports) = match listen(&shared, count) {
            Ok(listening) => listening,
            Err(error) => {
                shared.hash_pool.stop();
                shared.handshakes.stop();
                shared.clerk.stop();
                // What counts is that the address cannot be used.
                let _ = clerk.join();
                return Err(error);
            }
        };
        let links = shard::links::connect(count).map_err(HubError::system("socket pairs between shards"))?;
        let mut homes: Vec<Vec<Session>> = (0..count).map(|_| Vec::new()).collect();
        for session in sessions {
            homes[usize::from(shared.shard_of(&session.key))].push(session);
        }
        wake_by_commits(&shared);
        tell_of_stalls(&shared);
        wake_by_clock(&shared);
        let start = shared.log.end();
        let (started, starts) = channel();
        let mut shards = Vec::new();
        let mut receivers = Vec::new();
        let mut theirs: Vec<RawFd> = Vec::new();
        for (index, ((links, sessions), listeners)) in links.into_iter().zip(homes).zip(listeners).enumerate()
        {
            let index = index as u16;
            let (ring, batches) = rtrb::RingBuffer::new(shared.config.batch_ring.max(1));
            receivers.push(BatchReceiver::new(index, batches, shared.clone()));
            theirs.extend(listeners.iter().map(AsRawFd::as_raw_fd).chain(links.descriptors()));
            let parts = Parts { index, shared: shared.clone(), listeners, links, ring, sessions, start };
            let started = started.clone();
            let thread = std::thread::Builder::new()
                .name(format!("shard-{index}"))
                // Whoever waits is gone only if another shard has failed before.
                .spawn(move || Shard::run(parts, |result| drop(started.send(result))))
                .map_err(HubError::system("a shard's thread"))?;
            shards.push(thread);
        }
        let checkpointer = Checkpointer::start(shared.clone(), fs)?;
        let hub = Hub::new(shared, ports, shards, clerk, checkpointer);
        for result in starts.iter().take(count) {
            result.map_err(HubError::system("a shard's descriptor table or epoll"))?;
        }
        // Each shard has copies in a table of its own by now.
        descriptors::close_in_this_table(&theirs);
        Ok((hub, receivers))
    }
}

/// Listening sockets for each shard, and the port of each listener.
type Listening = (Vec<Vec<OwnedFd>>, Vec<(String, u16)>);

fn listen(shared: &Shared, shards: usize) -> Result<Listening, HubError> {
    let mut sockets: Vec<Vec<OwnedFd>> = (0..shards).map(|_| Vec::new()).collect();
    let mut ports = Vec::new();
    for listener in &shared.config.listeners {
        let failed = |source| HubError::Listen { name: listener.name.clone(), bind: listener.bind, source };
        if listener.bind.port() != 0 {
            // Shards share their port; somebody else's process must not.
            socket::probe(listener.bind).map_err(failed)?;
        }
        let mut bind: SocketAddr = listener.bind;
        for shard in &mut sockets {
            let socket = socket::listen(bind).map_err(failed)?;
            bind = socket::local_address(socket.as_raw_fd()).map_err(failed)?;
            shard.push(socket);
        }
        ports.push((listener.name.clone(), bind.port()));
    }
    Ok((sockets, ports))
}

fn wake_by_commits(shared: &Arc<Shared>) {
    let waiting = Arc::downgrade(shared);
    shared.log.on_commit(Box::new(move |_| {
        let Some(shared) = waiting.upgrade() else { return };
        for share in &shared.shards {
            if share.awaits_commit.swap(false, Ordering::SeqCst) {
                share.wake.raise();
            }
        }
    }));
}

fn tell_of_stalls(shared: &Arc<Shared>) {
    let told = Arc::downgrade(shared);
    shared.log.on_stall(Box::new(move |reason| {
        if let Some(shared) = told.upgrade() {
            shared.log_stalled(reason);
        }
    }));
    if let Some(reason) = shared.log.stalled() {
        shared.log_stalled(Some(&reason));
    }
}

fn wake_by_clock(shared: &Arc<Shared>) {
    let waiting = Arc::downgrade(shared);
    shared.clock.on_change(Box::new(move || {
        let Some(shared) = waiting.upgrade() else { return };
        for share in &shared.shards {
            share.wake.raise();
        }
    }));
}
