//! What the control plane should know: who came, who went, who was refused and why, what is wrong.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use mohhos_locks::{Condvar, Mutex};
use rustc_hash::{FxBuildHasher, FxHashMap};

/// How many events wait for the control plane; the oldest are dropped and counted.
const CAPACITY: usize = 65_536;
/// So many of those whose events were dropped are told of at a time.
const MISSED: usize = 4096;
/// How many different refusals are counted at a time.
const MAX_REFUSALS: usize = 10_000;
/// The same refusal within this time is counted, not reported again.
const REFUSAL_WINDOW_US: u64 = 60_000_000;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A session's connection was accepted.
    Connected {
        /// Who.
        principal: Arc<str>,
        /// Its client id.
        client: Arc<str>,
        /// When, microseconds UTC.
        at_us: i64,
        /// From where.
        address: std::net::SocketAddr,
        /// The MQTT protocol level: 4 (3.1.1) or 5.
        protocol: u8,
    },
    /// A session's connection ended.
    Disconnected {
        /// Who.
        principal: Arc<str>,
        /// Its client id.
        client: Arc<str>,
        /// When, microseconds UTC.
        at_us: i64,
        /// Why, in words.
        reason: String,
        /// The client said DISCONNECT.
        clean: bool,
        /// A will is published, now or after its delay.
        will: bool,
        /// No other session of the principal is connected.
        last: bool,
    },
    /// Who is connected and who is not, of those whose comings and goings were dropped: how it stands now.
    Presence {
        /// Principal, whether it is connected, and since when, microseconds UTC.
        principals: Vec<(Arc<str>, bool, i64)>,
    },
    /// Devices that sent something since the last event of this kind.
    Seen {
        /// Device and time of its last message, microseconds UTC.
        devices: Vec<(Arc<str>, i64)>,
    },
    /// Devices have acknowledged commands.
    Delivered {
        /// Which, in order for each device.
        commands: Vec<Receipt>,
    },
    /// Something was refused, or messages were dropped because a queue was full.
    Refused(Refusal),
    /// A condition that an operator should know began or ended.
    Alarm {
        /// Its stable code, the name of its page in the documentation.
        code: &'static str,
        /// What happened, why, and what to do.
        message: String,
        /// When, microseconds UTC.
        at_us: i64,
        /// It began (true) or ended (false).
        raised: bool,
    },
}

/// A command whose delivery a device has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The device that it is for.
    pub device: Arc<str>,
    /// The command's id.
    pub command: Box<str>,
    /// Where the command is in the log.
    pub offset: u64,
    /// When, microseconds UTC.
    pub at_us: i64,
}

/// What was refused, to whom, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The name that was used, as far as it was told.
    pub principal: Arc<str>,
    /// The client id.
    pub client: Arc<str>,
    /// When, microseconds UTC.
    pub at_us: i64,
    /// From where.
    pub address: std::net::SocketAddr,
    /// The MQTT 5 reason code.
    pub reason_code: u8,
    /// Why, for operators (the client is told less).
    pub reason: String,
    /// What was tried.
    pub action: Action,
    /// The topic or filter, if it concerned one.
    pub topic: String,
    /// How often within the minute; later ones are reported in one event at its end.
    pub count: u32,
}

/// What a client tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// To connect.
    Connect,
    /// To publish.
    Publish,
    /// To subscribe.
    Subscribe,
    /// To receive what it is subscribed to: it may not, or `count` messages were dropped for it.
    Receive,
    /// To speak MQTT, and broke the protocol.
    Protocol,
}

impl Action {
    /// The action of a word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Action::Connect, Action::Publish, Action::Subscribe, Action::Receive]
            .into_iter()
            .find(|action| action.name() == name)
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Connect => "connect",
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
            Action::Receive => "receive",
            Action::Protocol => "protocol",
        }
    }
}

/// The bounded queue of events between shards and the control plane.
#[derive(Default)]
pub struct Events {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Event>,
    dropped: u64,
    /// Whose comings and goings were dropped, and when the last of them was.
    missed: FxHashMap<Arc<str>, i64>,
    refusals: FxHashMap<u64, Repeated>,
}

/// A refusal that was reported, and those like it since.
struct Repeated {
    first_mono_us: u64,
    since: u32,
    latest: Refusal,
}

impl Inner {
    fn push(&mut self, event: Event) {
        if self.queue.len() >= CAPACITY {
            let oldest = self.queue.pop_front();
            self.dropped += 1;
            if let Some(
                Event::Connected { principal, at_us, .. } | Event::Disconnected { principal, at_us, .. },
            ) = oldest
            {
                self.missed.insert(principal, at_us);
            }
        }
        self.queue.push_back(event);
    }
}

impl Events {
    /// Adds an event.
    pub(crate) fn push(&self, event: Event) {
        self.inner.lock().push(event);
        self.arrived.notify_one();
    }

    /// Reports a refusal, unless the same was reported within the last minute: then it is counted.
    pub(crate) fn refuse(&self, refusal: Refusal, mono_us: u64) {
        let key = FxBuildHasher.hash_one((
            &refusal.principal,
            &refusal.client,
            refusal.action,
            &refusal.topic,
            &refusal.reason,
        ));
        let mut inner = self.inner.lock();
        if let Some(repeated) = inner.refusals.get_mut(&key)
            && mono_us < repeated.first_mono_us + REFUSAL_WINDOW_US
        {
            repeated.since = repeated.since.saturating_add(refusal.count);
            repeated.latest = refusal;
            return;
        }
        if inner.refusals.len() >= MAX_REFUSALS {
            expire(&mut inner, mono_us);
        }
        if inner.refusals.len() < MAX_REFUSALS {
            let repeated = Repeated { first_mono_us: mono_us, since: 0, latest: refusal.clone() };
            if let Some(before) = inner.refusals.insert(key, repeated) {
                report(&mut inner, before);
            }
        }
        inner.push(Event::Refused(refusal));
        drop(inner);
        self.arrived.notify_one();
    }

    /// Reports the refusals that were counted and whose minute is over.
    pub(crate) fn expire(&self, mono_us: u64) {
        let mut inner = self.inner.lock();
        if !inner.refusals.is_empty() {
            expire(&mut inner, mono_us);
        }
    }

    /// The next events, at most `max`; waits up to `timeout` for the first.
    pub fn next(&self, max: usize, timeout: Duration) -> Vec<Event> {
        let mut inner = self.inner.lock();
        if inner.queue.is_empty() {
            self.arrived.wait_for(&mut inner, timeout);
        }
        let count = inner.queue.len().min(max);
        inner.queue.drain(..count).collect()
    }

    /// Whose comings and goings were dropped, some of them, with the time of the last; they are forgotten with that. None
    /// before the queue is empty: what comes from it later is newer than what can be said about them now.
    pub(crate) fn missed(&self) -> Vec<(Arc<str>, i64)> {
        let mut inner = self.inner.lock();
        if !inner.queue.is_empty() {
            return Vec::new();
        }
        let some: Vec<_> = inner.missed.iter().take(MISSED).map(|(name, &at)| (name.clone(), at)).collect();
        for (name, _) in &some {
            inner.missed.remove(name);
        }
        if inner.missed.is_empty() {
            inner.missed.shrink_to_fit();
        }
        some
    }

    /// How many events were dropped because nobody fetched them.
    pub fn dropped(&self) -> u64 {
        self.inner.lock().dropped
    }
}

fn expire(inner: &mut Inner, mono_us: u64) {
    let over: Vec<u64> = inner
        .refusals
        .iter()
        .filter(|(_, r)| mono_us >= r.first_mono_us + REFUSAL_WINDOW_US)
        .map(|(&key, _)| key)
        .collect();
    for key in over {
        if let Some(repeated) = inner.refusals.remove(&key) {
            report(inner, repeated);
        }
    }
}

fn report(inner: &mut Inner, repeated: Repeated) {
    if repeated.since > 0 {
        inner.push(Event::Refused(Refusal { count: repeated.since, ..repeated.latest }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(topic: &str) -> Refusal {
        Refusal {
            principal: "pump".into(),
            client: "c".into(),
            at_us: 0,
            address: "127.0.0.1:1".parse().unwrap(),
            reason_code: 0x87,
            reason: "not below its own topics".into(),
            action: Action::Publish,
            topic: topic.into(),
            count: 1,
        }
    }

    #[test]
    fn the_same_refusal_within_a_minute_is_counted_and_told_at_its_end() {
        let events = Events::default();
        for second in 0..50 {
            events.refuse(refusal("a"), second * 1_000_000);
        }
        events.refuse(refusal("b"), 50_000_000);
        assert_eq!(events.next(10, Duration::ZERO).len(), 2);
        events.expire(61_000_000);
        let [Event::Refused(told)] = &events.next(10, Duration::ZERO)[..] else { panic!("one event") };
        assert_eq!((told.topic.as_str(), told.count), ("a", 49));
        events.refuse(refusal("a"), 62_000_000);
        assert_eq!(events.next(10, Duration::ZERO).len(), 1);
    }

    #[test]
    fn the_oldest_events_make_room_and_are_counted() {
        let events = Events::default();
        for n in 0..CAPACITY + 3 {
            events.push(Event::Seen { devices: vec![("d".into(), n as i64)] });
        }
        assert_eq!(events.dropped(), 3);
        let first = events.next(1, Duration::ZERO);
        assert_eq!(first, [Event::Seen { devices: vec![("d".into(), 3)] }]);
    }

    #[test]
    fn whose_comings_were_dropped_is_known_when_nothing_older_waits() {
        let events = Events::default();
        for n in 0..CAPACITY + MISSED + 1 {
            events.push(Event::Connected {
                principal: format!("device-{n}").into(),
                client: "c".into(),
                at_us: n as i64,
                address: "127.0.0.1:1".parse().unwrap(),
                protocol: 5,
            });
        }
        assert!(events.missed().is_empty(), "events wait that are newer");
        assert_eq!(events.next(usize::MAX, Duration::ZERO).len(), CAPACITY);
        let mut missed = events.missed();
        assert_eq!(missed.len(), MISSED);
        missed.extend(events.missed());
        missed.sort_by_key(|(_, at_us)| *at_us);
        let expected = (0..=MISSED).map(|n| (format!("device-{n}").into(), n as i64));
        assert!(missed.into_iter().eq(expected));
        assert!(events.missed().is_empty());
    }
}
