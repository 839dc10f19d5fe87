//! What all threads share: tables behind short locks, epochs, the inboxes of the shards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use mohhos_decode::{Batch, DeadLetters, Names, TableSchema};
use mohhos_locks::{Condvar, Mutex};
use mohhos_log::{AppendError, Log};
use mohhos_mqtt::ReasonCode;
use rustc_hash::{FxBuildHasher, FxHashSet};
use std::hash::BuildHasher;

use crate::auth::principals::{Changed, Principal, Principals};
use crate::auth::verification::Verification;
use crate::clerk::ClerkHandle;
use crate::clock::Clock;
use crate::config::HubConfig;
use crate::counters::ShardCounters;
use crate::devices::Devices;
use crate::error::HubError;
use crate::event::{Event, Events};
use crate::inquiry::Inquiry;
use crate::latency::ShardLatencies;
use crate::policy::{Policy, PolicySnapshot, Standing};
use crate::pool::Pool;
use crate::presence::Presence;
use crate::publication::Publication;
use crate::session::checkpoint::Round;
use crate::session::keepers::Keepers;
use crate::session::{SessionKey, cost};
use crate::signal::Signal;
use crate::sys::event_fd::EventFd;
use crate::topics::message::{Message, SessionId};
use crate::topics::retained::Retained;
use crate::topics::trie::Subscriptions;
use crate::trace::{Trace, Traces};
use crate::transport::Layers;
use crate::transport::tls::handshake::{Handshake, HandshakePool, Progress};
use crate::visits::Visits;

/// Publications that wait for one shard.
const MAX_PUBLICATIONS: usize = 65_536;

pub(crate) struct Shared {
    pub config: HubConfig,
    pub clock: Arc<dyn Clock>,
    pub log: Log,
    pub metrics: Arc<Names>,
    pub principals: Principals,
    pub devices: Devices,
    pub policy: Policy,
    pub subscriptions: Subscriptions,
    /// What all subscriptions of sessions take, see [`cost`].
    pub subscription_bytes: AtomicUsize,
    pub keepers: Keepers,
    pub retained: Retained,
    pub tables: ArcSwap<Vec<Arc<TableSchema>>>,
    pub tables_epoch: AtomicU64,
    pub presence: Presence,
    pub events: Events,
    pub visits: Visits,
    pub traces: Traces,
    pub dead_letters: Mutex<DeadLetters>,
    pub shards: Box<[ShardShare]>,
    pub clerk: ClerkHandle,
    pub hash_pool: Pool<Verification>,
    pub handshakes: HandshakePool,
    /// One for each listener of the configuration.
    pub layers: Box<[Layers]>,
    pub batch_signal: Arc<Signal>,
    /// Connections over all shards.
    pub connections: AtomicUsize,
    /// Numbers the connections of the process.
    pub connection_ids: AtomicU64,
    /// How many shards cannot append to the log at the moment.
    pub stalled_shards: AtomicUsize,
    /// The log cannot write.
    pub log_stalled: AtomicBool,
    pub stopping: AtomicBool,
}

/// What others have of a shard.
pub(crate) struct ShardShare {
    pub wake: EventFd,
    pub counters: ShardCounters,
    pub latencies: ShardLatencies,
    /// Set by another shard (by index) that waits for room in its ring to this one.
    pub starving: Box<[AtomicBool]>,
    /// Set by the shard when it wants to be woken by the next commit.
    pub awaits_commit: AtomicBool,
    /// Set by the shard when its ring to the stream thread is full.
    pub batches_blocked: AtomicBool,
    /// Set while records are appended whose batches are not counted yet.
    pub appending: AtomicBool,
    inbox: Mutex<Inbox>,
}

#[derive(Default)]
struct Inbox {
    controls: VecDeque<Control>,
    publications: VecDeque<(Publication, Option<Arc<Reply>>)>,
}

/// What a shard is asked to do.
pub(crate) enum Control {
    /// A password was verified.
    Verified { slot: u32, generation: u32, right: bool },
    /// A step of a TLS handshake was made.
    Handshaken { slot: u32, generation: u32, handshake: Box<Handshake>, progress: Progress },
    /// The files of TLS have changed: disconnect those whose certificates are revoked.
    Recheck,
    /// A body was read from the log; `None` if it is gone.
    Fetched { session: SessionId, offset: u64, message: Option<Box<Message>> },
    /// Disconnect and end all sessions of these principals.
    Forget { principals: Arc<FxHashSet<Arc<str>>> },
    /// Do something to a session whose home the shard is.
    Session { key: SessionKey, act: Act },
    /// Roles changed: hold all sessions to what they may now.
    Review,
    /// Tell of the sessions of a principal.
    Inspect(Arc<Inquiry>),
    /// Trace these sessions of the trace's principal.
    Trace { trace: Arc<Trace>, clients: Arc<[Arc<str>]> },
    /// Contribute to a checkpoint.
    Checkpoint(Arc<Round>),
    /// Close the listeners and disconnect everybody.
    Drain,
    /// End the thread.
    Stop,
}

/// What is done to one session.
#[derive(Clone)]
pub(crate) enum Act {
    /// Its principal, or the state of a device that it speaks for, has changed: hold it to what it may now.
    Review,
    /// Disconnect it.
    Kick { code: ReasonCode, text: Arc<str>, will: bool },
}

/// Where a publication got in the log, for whoever waits for it.
#[derive(Default)]
pub(crate) struct Reply {
    answer: Mutex<Option<Result<u64, String>>>,
    arrived: Condvar,
}

impl Reply {
    pub fn send(&self, answer: Result<u64, String>) {
        *self.answer.lock() = Some(answer);
        self.arrived.notify_all();
    }

    fn wait(&self, timeout: Duration) -> Option<Result<u64, String>> {
        let mut answer = self.answer.lock();
        if answer.is_none() {
            self.arrived.wait_for(&mut answer, timeout);
        }
        answer.take()
    }
}

impl ShardShare {
    pub fn new(wake: EventFd, shards: usize) -> Self {
        Self {
            wake,
            counters: ShardCounters::default(),
            latencies: ShardLatencies::default(),
            starving: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            awaits_commit: AtomicBool::new(false),
            batches_blocked: AtomicBool::new(false),
            appending: AtomicBool::new(false),
            inbox: Mutex::default(),
        }
    }

    /// Asks the shard to do something.
    pub fn send(&self, control: Control) {
        self.inbox.lock().controls.push_back(control);
        self.wake.raise();
    }

    fn publish(&self, publication: Publication, reply: Option<Arc<Reply>>) -> Result<(), HubError> {
        let mut inbox = self.inbox.lock();
        if inbox.publications.len() >= MAX_PUBLICATIONS {
            return Err(HubError::Refused(
                "too many publications wait already; the disk is slower than they come, try again later"
                    .into(),
            ));
        }
        inbox.publications.push_back((publication, reply));
        drop(inbox);
        self.wake.raise();
        Ok(())
    }

    /// The next thing to do.
    pub fn take_controls(&self) -> VecDeque<Control> {
        std::mem::take(&mut self.inbox.lock().controls)
    }

    /// The next publications, at most `max`.
    pub fn take_publications(&self, max: usize) -> Vec<(Publication, Option<Arc<Reply>>)> {
        let publications = &mut self.inbox.lock().publications;
        let count = publications.len().min(max);
        publications.drain(..count).collect()
    }

    /// Removes the publications whose publishers wait for an offset, and tells them why it is refused.
    pub fn refuse_waiting(&self, why: &str) {
        let mut refused = Vec::new();
        self.inbox.lock().publications.retain_mut(|(_, reply)| match reply.take() {
            Some(reply) => {
                refused.push(reply);
                false
            }
            None => true,
        });
        for reply in refused {
            reply.send(Err(why.to_owned()));
        }
    }

    /// Do publications wait?
    pub fn has_publications(&self) -> bool {
        !self.inbox.lock().publications.is_empty()
    }
}

impl Shared {
    /// Makes room for a subscription; false if all together have as much as they may.
    pub fn hold_subscription(&self, filter: &str) -> bool {
        let (cost, most) = (cost(filter), self.config.limits.max_subscription_bytes);
        let held = self.subscription_bytes.fetch_add(cost, Ordering::Relaxed);
        if held.saturating_add(cost) <= most {
            return true;
        }
        self.subscription_bytes.fetch_sub(cost, Ordering::Relaxed);
        false
    }

    /// Gives the room of a subscription back that has ended.
    pub fn release_subscription(&self, filter: &str) {
        self.subscription_bytes.fetch_sub(cost(filter), Ordering::Relaxed);
    }

    /// The shard that a name always belongs to.
    pub fn shard_of(&self, name: impl std::hash::Hash) -> u16 {
        (FxBuildHasher.hash_one(name) % self.shards.len() as u64) as u16
    }

    /// Asks all shards to do something.
    pub fn tell_all(&self, control: impl Fn() -> Control) {
        for share in &self.shards {
            share.send(control());
        }
    }

    /// Has something done to the connected sessions of a principal, each by its home shard; how many these are.
    pub fn tell_sessions(&self, principal: &str, act: &Act) -> usize {
        let live = self.presence.live(principal);
        for each in &live {
            let key = SessionKey { principal: principal.into(), client: each.client.clone() };
            let home = usize::from(self.shard_of(&key));
            self.shards[home].send(Control::Session { key, act: act.clone() });
        }
        live.len()
    }

    /// Has the connected sessions of a principal disconnected; how many.
    pub fn kick(&self, principal: &str, text: &str, will: bool) -> usize {
        let code = ReasonCode::AdministrativeAction;
        self.tell_sessions(principal, &Act::Kick { code, text: text.into(), will })
    }

    /// Restricts a device or frees it: at once, for itself and for a parent that speaks for it.
    ///
    /// # Errors
    /// The device is not registered, or the standing cannot be meant.
    pub fn set_standing(&self, device: &str, standing: &Standing) -> Result<(), HubError> {
        let restriction = standing.compile()?;
        let known = self.devices.get(device).ok_or_else(|| {
            HubError::Invalid(format!("\"{device}\" is not registered; add the device first"))
        })?;
        known.standing.set(restriction);
        let parent = self.principals.get(device).and_then(|principal| principal.parent.clone());
        for name in std::iter::once(device).chain(parent.as_deref()) {
            self.tell_sessions(name, &Act::Review);
        }
        Ok(())
    }

    pub fn put_devices(&self, codes: &[(String, u32)]) {
        // New devices renew nothing: what concerned one that was not registered is decided each time.
        if self.devices.put(codes) {
            self.policy.renew();
        }
    }

    pub fn put_principals(&self, principals: Vec<Principal>) {
        for Changed { name, disconnect } in self.principals.put(principals) {
            if disconnect {
                self.kick(&name, "the account was changed", false);
            } else {
                self.tell_sessions(&name, &Act::Review);
            }
        }
    }

    pub fn put_roles(&self, json: &str) -> Result<(), HubError> {
        self.policy.replace(PolicySnapshot::parse(json)?);
        self.tell_all(|| Control::Review);
        Ok(())
    }

    pub fn put_tables(&self, tables: Vec<TableSchema>) {
        self.tables.store(Arc::new(tables.into_iter().map(Arc::new).collect()));
        self.tables_epoch.fetch_add(1, Ordering::Release);
        for share in &self.shards {
            share.wake.raise();
        }
    }

    /// The log cannot write, and why, or it can again. What comes waits in its buffer as long as there is room.
    pub fn log_stalled(&self, reason: Option<&str>) {
        self.log_stalled.store(reason.is_some(), Ordering::SeqCst);
        match reason {
            Some(reason) => {
                let message = format!(
                    "the log cannot write: {reason}. Messages of QoS 1 and 2 are not acknowledged until it can; \
                     nothing that was acknowledged is lost"
                );
                self.alarm("log-stalled", message, true);
            }
            None => self.tell_unstalled(),
        }
    }

    /// A shard cannot append to the log.
    pub fn stall(&self, error: &AppendError) {
        if self.stalled_shards.fetch_add(1, Ordering::SeqCst) == 0 {
            let message = format!(
                "the log takes nothing more, so devices are not read: {error}. Free disk space or repair the disk; \
                 nothing that was acknowledged is lost"
            );
            self.alarm("log-stalled", message, true);
        }
    }

    /// A shard can append again.
    pub fn unstall(&self) {
        self.stalled_shards.fetch_sub(1, Ordering::SeqCst);
        self.tell_unstalled();
    }

    /// Does the log, or a shard, wait for the disk?
    pub fn is_stalled(&self) -> bool {
        self.log_stalled.load(Ordering::SeqCst) || self.stalled_shards.load(Ordering::SeqCst) > 0
    }

    fn tell_unstalled(&self) {
        if !self.is_stalled() {
            self.alarm("log-stalled", "the log takes records again".into(), false);
        }
    }

    /// Tells operators that a condition began or ended.
    pub fn alarm(&self, code: &'static str, message: String, raised: bool) {
        self.events.push(Event::Alarm { code, message, at_us: self.clock.wall_us(), raised });
    }
}

/// Publishes as the gateway, from any thread. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
}

impl Publisher {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Publishes without waiting. Publications about one device keep their order.
    ///
    /// # Errors
    /// The topic is not valid, the hub is stopped, or too many publications wait: nothing was taken then, and the
    /// caller tries again later.
    pub fn publish(&self, publication: Publication) -> Result<(), HubError> {
        self.submit(publication, None)
    }

    /// Publishes and waits until the log has taken it; returns its offset (0 for QoS 0).
    ///
    /// # Errors
    /// As [`Publisher::publish`], or the log does not take it within the time.
    pub fn publish_logged(&self, publication: Publication, timeout: Duration) -> Result<u64, HubError> {
        // It could be appended and would be carried out some day: whoever waits for an answer is better told now.
        if let Some(reason) = self.shared.log.stalled() {
            return Err(HubError::Refused(format!("the log cannot write: {reason}; try again when it can")));
        }
        let reply = Arc::new(Reply::default());
        self.submit(publication, Some(reply.clone()))?;
        match reply.wait(timeout) {
            Some(answer) => answer.map_err(HubError::Refused),
            None => Err(HubError::Refused("it did not answer in time; check the disk".into())),
        }
    }

    fn submit(&self, publication: Publication, reply: Option<Arc<Reply>>) -> Result<(), HubError> {
        publication.check()?;
        if self.shared.stopping.load(Ordering::Acquire) {
            return Err(HubError::Stopped);
        }
        let shard = self.shared.shard_of(publication.order_key());
        self.shared.shards[usize::from(shard)].publish(publication, reply)
    }
}

/// The stream thread's end of one shard's ring.
pub struct BatchReceiver {
    shard: u16,
    ring: rtrb::Consumer<Batch>,
    shared: Arc<Shared>,
}

impl BatchReceiver {
    pub(crate) fn new(shard: u16, ring: rtrb::Consumer<Batch>, shared: Arc<Shared>) -> Self {
        Self { shard, ring, shared }
    }

    /// Which shard fills it.
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// The next batch, if there is one. To wait for one, use [`BatchReceiver::signal`].
    pub fn pop(&mut self) -> Option<Batch> {
        let batch = self.ring.pop().ok()?;
        let share = &self.shared.shards[usize::from(self.shard)];
        if share.batches_blocked.swap(false, Ordering::SeqCst) {
            share.wake.raise();
        }
        Some(batch)
    }

    /// A promise, unless the shard is appending just now: `(batches, end)` says that once so many batches in all were
    /// popped here, everything that the shard has in the log below `end` was among them, or has no rows.
    pub fn promise(&self) -> Option<(u64, u64)> {
        let share = &self.shared.shards[usize::from(self.shard)];
        // In this order: what is appended after the look at the flag is at `end` or beyond.
        let end = self.shared.log.committed();
        if share.appending.load(Ordering::SeqCst) {
            return None;
        }
        Some((share.counters.batches.get(), end))
    }

    /// Raised when a shard has put a batch into its ring; the same for all shards. Others may raise it too, to wake
    /// the stream thread.
    pub fn signal(&self) -> Arc<Signal> {
        self.shared.batch_signal.clone()
    }

    /// True once the shard has ended and the ring is empty: nothing more comes.
    pub fn is_finished(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}
