//! The checkpoint: sessions and retained messages as of one position of the log, so that a start need not read all of
//! it.
//!
//! Content of the file, version 3, integers little endian; `bytes` is a u32 length and as many bytes:
//!
//! | part | fields |
//! | --- | --- |
//! | head | number of shards u16 |
//! | per shard | for each shard the offset below which its records are contained, u64; number of sessions u32, and the sessions |
//! | retained | number u32, and the messages |
//!
//! A session: principal bytes, client bytes, expiry u32, number of subscriptions u32 and of each options (as in a
//! session record) and filter bytes, number of queued messages u32 and of each offset u64, QoS u8, retain u8, number
//! of identifiers u16 and these u32, then u8: 0, or 1 if it came by a shared subscription, followed by its filter as
//! bytes, the publisher's QoS u8 and RETAIN flag u8; then the protocol's state as bytes, and the will that waits for its
//! delay as bytes (`session::pending_will`), none if there is none. In version 1 there were no shared subscriptions, and
//! that u8 is missing; before version 3 the will is.
//! A session whose expiry is 0 is not kept itself: it is there for the messages of shared subscriptions that it has not
//! acknowledged.
//! A retained message: topic, properties, payload, principal as bytes; QoS u8; offset u64; arrival i64.
//!
//! Invariants: sessions of a shard contain exactly what the records of shard `s` below its offset for `s` made of them.
//! Everything contained is committed before the file gets its name. A file of a later version is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mohhos_locks::{Condvar, Mutex};
use mohhos_mqtt::QoS;
use mohhos_mqtt::session::SessionState;

use super::pending_will::PendingWill;
use super::queue::{Queued, Turn};
use super::record::{put_options, take_options};
use super::{SessionKey, Subscription};
use crate::topics::message::{Message, SessionId};

/// The version of the content.
pub const VERSION: u32 = 3;
/// The oldest version that is read.
pub const OLDEST: u32 = 1;
/// The file's name.
pub const FILE: &str = "sessions";
/// Whether it is hopeless to wait for parts is looked at so often.
const LOOK: Duration = Duration::from_millis(20);

/// What one shard contributes.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// For each shard, the offset below which its records are contained.
    pub contained: Vec<u64>,
    /// The oldest message that a session needs.
    pub oldest: Option<u64>,
    /// How many sessions there are.
    pub sessions: u32,
    /// These, encoded.
    pub bytes: Vec<u8>,
}

/// A checkpoint that the shards contribute to.
#[derive(Debug)]
pub struct Round {
    parts: Mutex<Vec<Option<Part>>>,
    contributed: Condvar,
}

impl Round {
    /// For so many shards.
    pub fn new(shards: usize) -> Self {
        Self { parts: Mutex::new(vec![None; shards]), contributed: Condvar::new() }
    }

    /// A shard's part.
    pub fn contribute(&self, shard: u16, part: Part) {
        if let Some(slot) = self.parts.lock().get_mut(usize::from(shard)) {
            *slot = Some(part);
        }
        self.contributed.notify_all();
    }

    /// All parts, once they are there; `None` if that takes too long or is hopeless: a shard whose records the log does
    /// not take has nothing to contribute.
    pub fn wait(&self, timeout: Duration, is_hopeless: impl Fn() -> bool) -> Option<Vec<Part>> {
        let deadline = Instant::now() + timeout;
        let mut parts = self.parts.lock();
        while parts.iter().any(Option::is_none) {
            let now = Instant::now();
            if now >= deadline || is_hopeless() {
                return None;
            }
            self.contributed.wait_until(&mut parts, deadline.min(now + LOOK));
        }
        Some(parts.iter_mut().filter_map(Option::take).collect())
    }
}

/// A session as it is kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// For how many seconds it outlives its connection.
    pub expiry_s: u32,
    /// What it subscribes to.
    pub subscriptions: Vec<Subscription>,
    /// What waits for it, in order.
    pub queue: Vec<Queued>,
    /// What is in flight.
    pub state: SessionState,
    /// Its will, if that waits for its delay.
    pub will: Option<Box<PendingWill>>,
}

/// What a shard has contributed: what is contained of each shard's records, and its sessions.
pub type KeptShard = (Vec<u64>, Vec<(SessionKey, Kept)>);

/// All that a file holds.
#[derive(Debug, Default)]
pub struct Content {
    /// Per shard.
    pub shards: Vec<KeptShard>,
    /// The retained messages.
    pub retained: Vec<Message>,
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a session to a part.
pub fn put_session<'a>(
    key: &SessionKey,
    expiry_s: u32,
    subscriptions: &[Subscription],
    queue: impl ExactSizeIterator<Item = &'a Queued>,
    state: &SessionState,
    will: Option<&PendingWill>,
    out: &mut Vec<u8>,
) {
    put_bytes(key.principal.as_bytes(), out);
    put_bytes(key.client.as_bytes(), out);
    out.extend_from_slice(&expiry_s.to_le_bytes());
    out.extend_from_slice(&(subscriptions.len() as u32).to_le_bytes());
    for subscription in subscriptions {
        put_options(subscription.options, out);
        put_bytes(subscription.filter.as_bytes(), out);
    }
    out.extend_from_slice(&(queue.len() as u32).to_le_bytes());
    for queued in queue {
        out.extend_from_slice(&queued.offset.to_le_bytes());
        out.push(queued.qos as u8);
        out.push(u8::from(queued.retain));
        out.extend_from_slice(&(queued.ids.len() as u16).to_le_bytes());
        for id in &queued.ids {
            out.extend_from_slice(&id.to_le_bytes());
        }
        out.push(u8::from(queued.share.is_some()));
        if let Some(turn) = &queued.share {
            put_bytes(turn.filter.as_bytes(), out);
            out.push(turn.qos as u8);
            out.push(u8::from(turn.retain));
        }
    }
    let mut exported = Vec::new();
    // The file gets its name only when all of it is committed.
    state.export(u64::MAX, &mut exported);
    put_bytes(&exported, out);
    exported.clear();
    if let Some(will) = will {
        will.encode(&mut exported);
    }
    put_bytes(&exported, out);
}

/// The content of the file.
pub fn encode(parts: &[Part], retained: &[Arc<Message>]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&(parts.len() as u16).to_le_bytes());
    for part in parts {
        for offset in &part.contained {
            out.extend_from_slice(&offset.to_le_bytes());
        }
        out.extend_from_slice(&part.sessions.to_le_bytes());
        out.extend_from_slice(&part.bytes);
    }
    out.extend_from_slice(&(retained.len() as u32).to_le_bytes());
    for message in retained {
        put_bytes(message.topic().as_bytes(), &mut out);
        put_bytes(message.properties().raw(), &mut out);
        put_bytes(message.payload(), &mut out);
        put_bytes(message.principal.as_bytes(), &mut out);
        out.push(message.qos as u8);
        out.extend_from_slice(&message.offset.to_le_bytes());
        out.extend_from_slice(&message.at_us.to_le_bytes());
    }
    out
}

/// Reads the content of a file of a version; `None` if it is not one.
pub fn decode(version: u32, bytes: &[u8]) -> Option<Content> {
    let mut take = Take { bytes, version };
    let mut content = Content::default();
    let shards = take.u16()?;
    for _ in 0..shards {
        let contained = (0..shards).map(|_| take.u64()).collect::<Option<Vec<u64>>>()?;
        let mut sessions = Vec::new();
        for _ in 0..take.u32()? {
            sessions.push(take.session()?);
        }
        content.shards.push((contained, sessions));
    }
    for _ in 0..take.u32()? {
        content.retained.push(take.message()?);
    }
    take.bytes.is_empty().then_some(content)
}

struct Take<'a> {
    bytes: &'a [u8],
    version: u32,
}

impl<'a> Take<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        let (head, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn session(&mut self) -> Option<(SessionKey, Kept)> {
        let key = SessionKey { principal: self.text()?.into(), client: self.text()?.into() };
        let mut kept = Kept { expiry_s: self.u32()?, ..Kept::default() };
        for _ in 0..self.u32()? {
            let (options, rest) = take_options(self.bytes)?;
            self.bytes = rest;
            kept.subscriptions.push(Subscription { filter: self.text()?.into(), options });
        }
        for _ in 0..self.u32()? {
            let offset = self.u64()?;
            let qos = QoS::from_u8(self.u8()?)?;
            let retain = self.u8()? == 1;
            let count = self.u16()?;
            let ids = (0..count).map(|_| self.u32()).collect::<Option<Box<[u32]>>>()?;
            let share = self.turn()?;
            kept.queue.push(Queued { offset, qos, retain, sent_ms: 0, ids, body: None, reserved: 0, share });
        }
        kept.state = SessionState::import(self.bytes()?).ok()?;
        if self.version >= 3 {
            let will = self.bytes()?;
            if !will.is_empty() {
                kept.will = Some(Box::new(PendingWill::decode(will)?));
            }
        }
        Some((key, kept))
    }

    /// `Some(None)`: it did not come by a shared subscription.
    #[expect(clippy::option_option, reason = "what is read may be absent, and reading may fail")]
    fn turn(&mut self) -> Option<Option<Box<Turn>>> {
        if self.version < 2 || self.u8()? == 0 {
            return Some(None);
        }
        let (filter, qos) = (self.text()?.into(), QoS::from_u8(self.u8()?)?);
        Some(Some(Box::new(Turn { filter, qos, retain: self.u8()? == 1 })))
    }

    fn message(&mut self) -> Option<Message> {
        let (topic, properties, payload) = (self.text()?, self.bytes()?, self.bytes()?);
        let mut message = Message::new(topic, properties, payload, SessionId::GATEWAY, self.text()?.into());
        message.qos = QoS::from_u8(self.u8()?)?;
        message.retain = true;
        message.offset = self.u64()?;
        message.at_us = self.u64()? as i64;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use mohhos_mqtt::Properties;
    use mohhos_mqtt::packet::WillView;
    use mohhos_mqtt::session::Will;
    use proptest::prelude::*;

    use super::*;
    use crate::topics::trie::Options;

    fn encoded() -> Vec<u8> {
        let key = SessionKey { principal: "pump".into(), client: "c1".into() };
        let options = Options { qos: QoS::AtLeastOnce, id: 9, ..Options::default() };
        let subscriptions = [Subscription { filter: "devices/pump/#".into(), options }];
        let queued = |offset| Queued {
            offset,
            qos: QoS::ExactlyOnce,
            retain: true,
            sent_ms: 0,
            ids: [9].into(),
            body: None,
            reserved: 0,
            share: None,
        };
        let turn = Turn { filter: "$share/g/devices/#".into(), qos: QoS::ExactlyOnce, retain: true };
        let queue = [queued(100), Queued { share: Some(Box::new(turn)), ..queued(300) }];
        let mut state = SessionState::default();
        state.replay_reserved(100, QoS::ExactlyOnce, 7);
        let mut part = Part { contained: vec![400, 500], oldest: Some(100), sessions: 1, bytes: Vec::new() };
        let view = WillView {
            topic: "w",
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::EMPTY,
        };
        let will = PendingWill { will: Will::from_view(&view), due_us: 77 };
        put_session(&key, 3600, &subscriptions, queue.iter(), &state, Some(&will), &mut part.bytes);
        let other = Part { contained: vec![350, 600], ..Part::default() };
        let mut message = Message::new("t", &[3, 0, 1, b'x'], b"body", SessionId::GATEWAY, "p".into());
        message.offset = 77;
        encode(&[part, other], &[Arc::new(message)])
    }

    #[test]
    fn what_is_written_is_read() {
        let content = decode(VERSION, &encoded()).unwrap();
        let (contained, sessions) = &content.shards[0];
        assert_eq!(
            (contained.as_slice(), content.shards[1].0.as_slice()),
            (&[400, 500][..], &[350, 600][..])
        );
        let (key, kept) = &sessions[0];
        assert_eq!((&*key.principal, &*key.client, kept.expiry_s), ("pump", "c1", 3600));
        assert_eq!((&*kept.subscriptions[0].filter, kept.subscriptions[0].options.id), ("devices/pump/#", 9));
        assert_eq!(kept.queue.iter().map(|q| q.offset).collect::<Vec<_>>(), [100, 300]);
        let turn = kept.queue[1].share.as_deref().unwrap();
        assert_eq!((&*turn.filter, turn.qos, turn.retain), ("$share/g/devices/#", QoS::ExactlyOnce, true));
        assert!(kept.queue[0].share.is_none());
        assert_eq!(kept.state.deliveries().collect::<Vec<_>>(), [100]);
        let will = kept.will.as_deref().unwrap();
        assert_eq!((&*will.will.topic, &*will.will.payload, will.due_us), ("w", &b"gone"[..], 77));
        let retained = &content.retained[0];
        assert_eq!((retained.topic(), retained.payload(), retained.offset), ("t", &b"body"[..], 77));
        assert_eq!(retained.properties().content_type(), Some("x"));
    }

    proptest! {
        #[test]
        fn a_file_that_was_cut_or_changed_is_refused_or_read_but_never_more(cut in 0usize..200, at in 0usize..200) {
            let mut bytes = encoded();
            prop_assert!(decode(VERSION, &bytes[..cut.min(bytes.len() - 1)]).is_none());
            let at = at % bytes.len();
            bytes[at] ^= 0xff;
            let _ = decode(VERSION, &bytes);
            let _ = decode(OLDEST, &bytes);
        }
    }
}
