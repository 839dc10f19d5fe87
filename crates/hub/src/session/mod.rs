//! A session as the hub sees it: subscriptions, what waits for it, and what the log knows of it.

use std::sync::Arc;

use mohhos_mqtt::session::SessionState;
use rustc_hash::FxHashMap;

use crate::auth::principals::Principal;
use crate::devices::Device;
use crate::policy::Meter;
use crate::topics::message::SessionId;
use crate::topics::share::Member;
use crate::topics::trie::Options;

pub mod checkpoint;
pub mod gate;
pub mod keepers;
pub mod pending_will;
pub mod queue;
pub mod record;
pub mod recovery;
pub mod store;
pub mod ways;

use gate::Gate;
use keepers::Keeper;
use pending_will::PendingWill;
use queue::Queue;
use ways::Ways;

/// Names a session for ever: who, and which of its sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// The principal's name.
    pub principal: Arc<str>,
    /// The client id.
    pub client: Arc<str>,
}

/// One subscription of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter.
    pub filter: Box<str>,
    /// Its options.
    pub options: Options,
}

/// What a level of a filter costs in the trie if no other filter has it: a node in a table with room for four.
const LEVEL_BYTES: usize = 512;

/// What a subscription to a filter takes at most, in bytes.
pub fn cost(filter: &str) -> usize {
    2 * filter.len() + filter.split('/').count() * LEVEL_BYTES
}

/// Messages that a session did not get, and that were not told yet.
#[derive(Debug, Default)]
pub struct Missed {
    /// Of QoS 0: it reads too slowly.
    pub slow: u32,
    /// Of QoS 1 and 2: its queue is full.
    pub queue: u32,
}

/// One session on its home shard.
#[derive(Debug)]
pub struct Session {
    /// Its name.
    pub key: SessionKey,
    /// Where it is.
    pub id: SessionId,
    /// Who it belongs to, as of the last CONNECT.
    pub principal: Arc<Principal>,
    /// The device that the principal is.
    pub device: Option<Arc<Device>>,
    /// The slot of its connection.
    pub connection: Option<u32>,
    /// The log knows it: it outlives its connection and a restart.
    pub persistent: bool,
    /// Its place among the sessions that its principal keeps, if it is one of them.
    pub keeper: Option<Arc<Keeper>>,
    /// How long it outlives its connection, in seconds; `u32::MAX` for ever.
    pub expiry_s: u32,
    /// Counts connections and ends of connections, so that an old timer is recognised.
    pub turn: u32,
    /// What it subscribes to.
    pub subscriptions: Vec<Subscription>,
    /// Its places in groups that share a subscription.
    pub memberships: Box<[Arc<Member>]>,
    /// What waits to be delivered.
    pub queue: Queue,
    /// What is in flight, while it is not connected.
    pub state: Option<SessionState>,
    /// What it missed since that was last told.
    pub missed: Option<Box<Missed>>,
    /// A will that waits for its delay.
    pub will: Option<Box<PendingWill>>,
    /// What was decided about the topics that it publishes to.
    pub ways: Ways,
    /// What it may not receive of what it is subscribed to; `None` if there is no such thing.
    pub gate: Option<Box<Gate>>,
    /// What is left of its principal's limits, if it has any.
    pub meter: Option<Arc<Meter>>,
    /// It is in the list of sessions to which something can be sent.
    pub pumping: bool,
    /// It is in the list of sessions that wait for a commit.
    pub awaits_commit: bool,
    /// A body was asked for and has not come.
    pub fetching: bool,
}

impl Session {
    /// A session without anything.
    pub fn new(key: SessionKey, principal: Arc<Principal>, device: Option<Arc<Device>>) -> Self {
        Self {
            key,
            id: SessionId::GATEWAY,
            principal,
            device,
            connection: None,
            persistent: false,
            keeper: None,
            expiry_s: 0,
            turn: 0,
            subscriptions: Vec::new(),
            memberships: Box::default(),
            queue: Queue::default(),
            state: None,
            missed: None,
            will: None,
            ways: Ways::default(),
            gate: None,
            meter: None,
            pumping: false,
            awaits_commit: false,
            fetching: false,
        }
    }
}

/// Sessions by their names.
pub type ByKey<T> = FxHashMap<SessionKey, T>;
