//! The handle of the hub.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use mohhos_decode::{DeadLetter, TableSchema};
use mohhos_locks::Mutex;

use crate::auth::principals::Principal;
use crate::checkpointer::Checkpointer;
use crate::columns::{DeviceTable, device_table};
use crate::config::HubConfig;
use crate::error::HubError;
use crate::event::{Action, Event};
use crate::explain::{Explanation, explain};
use crate::inquiry::{Inquiry, SessionView};
use crate::latency::Latencies;
use crate::policy::Standing;
use crate::publication::Publication;
use crate::report::{Connection, Stats};
use crate::shared::{BatchReceiver, Control, Publisher, Shared};
use crate::start::{HubParts, Prepared};
use crate::topics::message::Message;
use crate::topics::tap::TapQueue;
use crate::trace::{Trace, TraceOptions};
use crate::visits::Visit;

/// How long a publication that waits for its offset may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the shards may take to tell of sessions.
const INQUIRY_TIMEOUT: Duration = Duration::from_secs(1);

/// The running hub. All methods may be called from any thread.
pub struct Hub {
    shared: Arc<Shared>,
    ports: Vec<(String, u16)>,
    threads: Mutex<Threads>,
    checkpointer: Checkpointer,
}

#[derive(Default)]
struct Threads {
    shards: Vec<JoinHandle<()>>,
    clerk: Option<JoinHandle<()>>,
}

/// A live view on messages; ends when dropped.
pub struct Tap {
    queue: Arc<TapQueue>,
    filter: String,
    shared: Arc<Shared>,
}

impl Tap {
    /// The next messages, at most `max`; waits up to `timeout` for the first.
    pub fn next(&self, max: usize, timeout: Duration) -> Vec<Arc<Message>> {
        self.queue.next(max, timeout)
    }

    /// How many messages were dropped because nobody fetched them.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Ends it: nothing more comes, and who waits is woken.
    pub fn close(&self) {
        self.shared.subscriptions.remove_tap(&self.filter, &self.queue);
        self.queue.close();
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.close();
    }
}

impl Hub {
    /// Recovers sessions and retained messages, starts the shards and opens the listeners.
    ///
    /// Devices, principals, roles and tables are put afterwards; until then every client is refused. To avoid that,
    /// use [`Prepared`].
    pub fn start(config: HubConfig, parts: HubParts) -> Result<(Hub, Vec<BatchReceiver>), HubError> {
        Prepared::new(config, parts)?.open()
    }

    pub(crate) fn new(
        shared: Arc<Shared>,
        ports: Vec<(String, u16)>,
        shards: Vec<JoinHandle<()>>,
        clerk: JoinHandle<()>,
        checkpointer: Checkpointer,
    ) -> Self {
        let threads = Mutex::new(Threads { shards, clerk: Some(clerk) });
        Self { shared, ports, threads, checkpointer }
    }

    /// The port of each listener by name.
    pub fn ports(&self) -> &[(String, u16)] {
        &self.ports
    }

    /// Makes registered devices and their persisted codes known; messages of others are refused.
    pub fn put_devices(&self, codes: &[(String, u32)]) {
        self.shared.put_devices(codes);
    }

    /// Forgets devices.
    pub fn remove_devices(&self, ids: &[String]) {
        self.shared.devices.remove(ids);
        self.shared.policy.renew();
        let mut letters = self.shared.dead_letters.lock();
        for id in ids {
            letters.forget(id);
        }
    }

    /// Adds or replaces principals. Those whose credentials, kind or state changed are disconnected, without their will;
    /// those whose roles, groups, parent or children changed are held to these at once.
    pub fn put_principals(&self, principals: Vec<Principal>) {
        self.shared.put_principals(principals);
    }

    /// Removes principals, disconnects their sessions and forgets them.
    pub fn remove_principals(&self, names: &[String]) {
        self.shared.principals.remove(names);
        let principals = Arc::new(names.iter().map(|name| name.as_str().into()).collect());
        self.shared.tell_all(|| Control::Forget { principals: Arc::clone(&principals) });
    }

    /// Replaces the roles: JSON `{role: {"publish": …, "subscribe": …, "receive": …, "limits": {…}}}`, where each action
    /// is a list of allowed patterns or `{"allow": […], "deny": […]}`. docs/policy.md is the reference. Sessions are held
    /// to them at once: messages by the policy's epoch, subscriptions within some rounds of their shard.
    pub fn put_roles(&self, json: &str) -> Result<(), HubError> {
        self.shared.put_roles(json)
    }

    /// Replaces the declared tables.
    pub fn put_tables(&self, tables: Vec<TableSchema>) {
        self.shared.put_tables(tables);
    }

    /// Restricts a device (throttle, quarantine) or frees it, at once: for itself and for a parent that speaks for it.
    ///
    /// # Errors
    /// The device is not registered, or the standing cannot be meant.
    pub fn set_standing(&self, device: &str, standing: &Standing) -> Result<(), HubError> {
        self.shared.set_standing(device, standing)
    }

    /// Disconnects the sessions of a principal; how many. `text` is what MQTT 5 clients are told; their wills are
    /// published only if `will`.
    pub fn kick(&self, principal: &str, text: &str, will: bool) -> usize {
        self.shared.kick(principal, text, will)
    }

    /// What a session of the principal with this client id meets, and why; `None` if there is no such principal.
    pub fn explain(&self, principal: &str, client: &str, action: Action, topic: &str) -> Option<Explanation> {
        explain(&self.shared, principal, client, action, topic)
    }

    /// Reads the files of all TLS listeners again; the names of those where something has changed. Connections go on,
    /// except those whose certificate is revoked now. A listener whose files cannot be used goes on with those before.
    ///
    /// # Errors
    /// Files of a listener cannot be used; the others were read.
    pub fn reload_tls(&self) -> Result<Vec<String>, HubError> {
        let mut changed = Vec::new();
        let mut failed = Ok(());
        for (listener, layers) in self.shared.config.listeners.iter().zip(&self.shared.layers) {
            match layers.acceptor.as_ref().map_or(Ok(false), |acceptor| acceptor.reload()) {
                Ok(true) => changed.push(listener.name.clone()),
                Ok(false) => {}
                Err(error) => failed = Err(error),
            }
        }
        if !changed.is_empty() {
            self.shared.tell_all(|| Control::Recheck);
        }
        failed.map(|()| changed)
    }

    /// Publishes as the gateway; returns the offset to wait for (0 for QoS 0).
    ///
    /// # Errors
    /// See [`Publisher::publish_logged`].
    pub fn publish(&self, publication: Publication) -> Result<u64, HubError> {
        self.publisher().publish_logged(publication, PUBLISH_TIMEOUT)
    }

    /// Publishes as the gateway from other threads.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.shared.clone())
    }

    /// A live view on the messages of a topic filter, the oldest dropped first.
    ///
    /// # Errors
    /// It is not a topic filter.
    pub fn tap(&self, filter: &str, capacity: usize) -> Result<Tap, HubError> {
        if !mohhos_mqtt::topic::is_filter(filter) {
            return Err(HubError::Invalid(format!(
                "\"{filter}\" is not a topic filter: + and # must stand alone in a level, and # last"
            )));
        }
        let queue = Arc::new(TapQueue::new(capacity));
        self.shared.subscriptions.add_tap(filter, queue.clone());
        Ok(Tap { queue, filter: filter.to_owned(), shared: self.shared.clone() })
    }

    /// What happened since the last call, at most about `max` events; waits up to `timeout` for the first. Whose comings
    /// and goings were dropped is told as it stands now.
    pub fn next_events(&self, max: usize, timeout: Duration) -> Vec<Event> {
        let mut events = self.shared.events.next(max, timeout);
        let missed = if events.len() < max { self.shared.events.missed() } else { Vec::new() };
        if !missed.is_empty() {
            let status = |(principal, at_us): (Arc<str>, i64)| {
                let since = self.shared.presence.live(&principal).iter().map(|live| live.since_us).min();
                (principal, since.is_some(), since.unwrap_or(at_us))
            };
            events.push(Event::Presence { principals: missed.into_iter().map(status).collect() });
        }
        events
    }

    /// What is known of a device; `None` if it is not registered.
    pub fn connection(&self, device: &str) -> Option<Connection> {
        let known = self.shared.devices.get(device)?;
        Some(Connection::new(&known, &self.shared.presence.live(device)))
    }

    /// The sessions of a principal as their shards see them: all that are connected, or if none is, those that are kept.
    /// Waits for the shards, at most a second.
    pub fn sessions(&self, principal: &str) -> Vec<SessionView> {
        let live = self.shared.presence.live(principal);
        let clients = live.into_iter().map(|live| live.client).collect();
        let inquiry = Arc::new(Inquiry::new(principal, clients, self.shared.shards.len()));
        self.shared.tell_all(|| Control::Inspect(inquiry.clone()));
        inquiry.wait(INQUIRY_TIMEOUT)
    }

    /// The last connections of a principal that have ended, the newest first.
    pub fn visits(&self, principal: &str) -> Vec<Visit> {
        let device = self.shared.devices.get(principal);
        self.shared.visits.of(principal, device.as_deref().map(|device| &device.stats.ends))
    }

    /// What is counted for all devices, as columns.
    pub fn device_table(&self) -> DeviceTable {
        device_table(&self.shared)
    }

    /// Begins to trace a principal: the connections that it has, and those that are opened in its name. In place of the
    /// trace that it may have already.
    ///
    /// # Errors
    /// Too many traces run.
    pub fn begin_trace(&self, principal: &str, options: TraceOptions) -> Result<Arc<Trace>, HubError> {
        let trace = self.shared.traces.begin(principal, options, self.shared.clock.clone())?;
        let live = self.shared.presence.live(principal);
        let clients: Arc<[Arc<str>]> = live.into_iter().map(|live| live.client).collect();
        self.shared.tell_all(|| Control::Trace { trace: trace.clone(), clients: clients.clone() });
        Ok(trace)
    }

    /// The trace of a principal, running or ended.
    pub fn trace(&self, principal: &str) -> Option<Arc<Trace>> {
        self.shared.traces.get(principal)
    }

    /// Ends and forgets the trace of a principal; false if there is none.
    pub fn end_trace(&self, principal: &str) -> bool {
        self.shared.traces.remove(principal)
    }

    /// The newest payloads that could not be decoded, oldest first.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.shared.dead_letters.lock().letters().cloned().collect()
    }

    /// Counters and gauges.
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let (mut commit_latency, mut delivery_latency) = (Latencies::default(), Latencies::default());
        for share in &shared.shards {
            share.latencies.commit.add_to(&mut commit_latency);
            share.latencies.delivery.add_to(&mut delivery_latency);
        }
        Stats {
            shards: shared.shards.iter().map(|share| share.counters.read()).collect(),
            retained: shared.retained.size(),
            devices: shared.devices.count(),
            connections: shared.connections.load(Ordering::Relaxed),
            events_dropped: shared.events.dropped(),
            dead_letters: shared.dead_letters.lock().total(),
            commit_latency,
            delivery_latency,
        }
    }

    /// Writes the checkpoint of sessions and retained messages, and lets the log trim what is not needed any more.
    /// Waits for the shards and the disk.
    pub fn checkpoint(&self) -> Result<(), HubError> {
        self.checkpointer.write()
    }

    /// Closes the listeners, disconnects everybody, writes the checkpoint, and ends all threads.
    pub fn stop(&self) -> Result<(), HubError> {
        let Threads { shards, clerk } = std::mem::take(&mut *self.threads.lock());
        mohhos_locks::about_to_wait();
        if shards.is_empty() {
            return Ok(());
        }
        self.shared.stopping.store(true, Ordering::Release);
        self.checkpointer.stop();
        self.shared.tell_all(|| Control::Drain);
        let written = self.checkpointer.write();
        self.shared.tell_all(|| Control::Stop);
        let mut died = false;
        for thread in shards {
            died |= thread.join().is_err();
        }
        self.shared.hash_pool.stop();
        self.shared.handshakes.stop();
        self.shared.clerk.stop();
        died |= clerk.is_some_and(|thread| thread.join().is_err());
        // The rings are abandoned now: whoever waits for batches sees the end.
        self.shared.batch_signal.raise();
        if died { Err(HubError::Died) } else { written }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Whoever cares about the checkpoint has called it before and seen what it says.
        let _ = self.stop();
    }
}
