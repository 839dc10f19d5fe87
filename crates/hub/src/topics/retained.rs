//! Retained messages: the last one of each topic that asked for it. Bounded in count and bytes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use mohhos_locks::RwLock;
use rustc_hash::FxHashMap;

use super::children::Children;
use super::message::Message;

/// Topics that were cleared last are remembered, for a message that was logged before may come later, from another shard.
/// Shards are apart by a round or two, each of at most 4,096 messages.
const CLEARED: usize = 32_768;
/// So many times of expiry of replaced messages are kept before they are looked for.
const STALE: usize = 1024;

/// All retained messages. The lock is held for the change or the look-up alone.
#[derive(Debug)]
pub struct Retained {
    inner: RwLock<Inner>,
    max_count: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    root: Node,
    count: usize,
    bytes: usize,
    /// Where the log cleared a topic; the oldest are forgotten.
    cleared: FxHashMap<Arc<str>, u64>,
    cleared_order: VecDeque<(Arc<str>, u64)>,
    /// When messages expire, on the monotonic clock, and their topics; those of messages that were replaced stay until
    /// there are too many.
    expiries: BinaryHeap<Reverse<(u64, Box<str>)>>,
}

#[derive(Debug, Default)]
struct Node {
    children: Children<Node>,
    message: Option<Arc<Message>>,
}

/// There are as many retained messages as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Retained {
    /// None yet, and at most so many.
    pub fn new(max_count: usize, max_bytes: usize) -> Self {
        Self { inner: RwLock::default(), max_count, max_bytes }
    }

    /// Keeps a message, or clears its topic if it has no payload (3.3.1.3). One that was logged before the one that
    /// is there is ignored: shards reach this point in any order, the log has one. Where there is no room for a message,
    /// the one that it should have replaced goes as well: what is out of date is worse than nothing.
    pub fn put(&self, message: Arc<Message>) -> Result<(), Full> {
        let mut inner = self.inner.write();
        let inner = &mut *inner;
        if message.payload().is_empty() {
            let offset = message.offset;
            inner.remove(message.topic(), |before| offset == 0 || before.offset <= offset);
            if offset != 0 {
                inner.note_cleared(message.topic(), offset);
            }
            return Ok(());
        }
        if message.offset != 0 && inner.cleared.get(message.topic()).is_some_and(|&at| message.offset < at) {
            return Ok(());
        }
        let before = inner.root.find(message.topic());
        if before.is_some_and(|before| message.offset != 0 && message.offset < before.offset) {
            return Ok(());
        }
        let (count, bytes) = before.map_or((0, 0), |before| (1, before.size()));
        if inner.count - count >= self.max_count || inner.bytes - bytes + message.size() > self.max_bytes {
            inner.remove(message.topic(), |_| true);
            return Err(Full);
        }
        inner.count += 1 - count;
        inner.bytes = inner.bytes - bytes + message.size();
        let mut node = &mut inner.root;
        for level in message.topic().split('/') {
            node = node.children.make(level);
        }
        let expires_us = message.expires_us;
        let topic: Box<str> = if expires_us == u64::MAX { Box::default() } else { message.topic().into() };
        node.message = Some(message);
        if expires_us != u64::MAX {
            inner.expiries.push(Reverse((expires_us, topic)));
            if inner.expiries.len() > 2 * inner.count + STALE {
                inner.forget_stale();
            }
        }
        Ok(())
    }

    /// Removes the messages that have expired (3.3.2.3.3).
    pub fn expire(&self, now_us: u64) {
        let is_due = |inner: &Inner| inner.expiries.peek().is_some_and(|Reverse((at, _))| *at <= now_us);
        if !is_due(&self.inner.read()) {
            return;
        }
        let mut inner = self.inner.write();
        while is_due(&inner) {
            let Some(Reverse((_, topic))) = inner.expiries.pop() else { break };
            // It may have been replaced by one that stays.
            inner.remove(&topic, |message| message.expires_us <= now_us);
        }
    }

    /// The messages whose topics match a filter, except those that have expired.
    pub fn matching(&self, filter: &str, now_us: u64) -> Vec<Arc<Message>> {
        let mut found = Vec::new();
        let levels: Vec<&str> = filter.split('/').collect();
        self.inner.read().root.matching(&levels, true, &mut found);
        found.retain(|message| message.expires_us > now_us);
        found
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Message>> {
        let mut found = Vec::new();
        self.inner.read().root.all(&mut found);
        found
    }

    /// How many there are, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let inner = self.inner.read();
        (inner.count, inner.bytes)
    }
}

impl Inner {
    fn remove(&mut self, topic: &str, is_it: impl Fn(&Message) -> bool) {
        if let Some(removed) = self.root.clear(topic, &is_it) {
            self.count -= 1;
            self.bytes -= removed.size();
        }
    }

    /// Forgets when messages would have expired that have been replaced or cleared.
    fn forget_stale(&mut self) {
        let root = &self.root;
        self.expiries
            .retain(|Reverse((at, topic))| root.find(topic).is_some_and(|message| message.expires_us == *at));
    }

    fn note_cleared(&mut self, topic: &str, offset: u64) {
        let topic: Arc<str> = topic.into();
        let latest = self.cleared.entry(topic.clone()).or_insert(offset);
        *latest = (*latest).max(offset);
        self.cleared_order.push_back((topic, offset));
        while self.cleared_order.len() > CLEARED {
            let Some((topic, offset)) = self.cleared_order.pop_front() else { break };
            if self.cleared.get(&topic) == Some(&offset) {
                self.cleared.remove(&topic);
            }
        }
    }
}

impl Node {
    fn find(&self, topic: &str) -> Option<&Message> {
        let mut node = self;
        for level in topic.split('/') {
            node = node.children.get(level)?;
        }
        node.message.as_deref()
    }

    fn clear(&mut self, topic: &str, is_it: &impl Fn(&Message) -> bool) -> Option<Arc<Message>> {
        let (level, below) = match topic.split_once('/') {
            Some((level, below)) => (level, Some(below)),
            None => (topic, None),
        };
        let child = self.children.get_mut(level)?;
        let removed = match below {
            Some(below) => child.clear(below, is_it),
            None => child.message.take_if(|before| is_it(before)),
        };
        if child.message.is_none() && child.children.is_empty() {
            self.children.remove(level);
        }
        removed
    }

    fn matching(&self, filter: &[&str], first: bool, found: &mut Vec<Arc<Message>>) {
        let Some((&level, below)) = filter.split_first() else {
            found.extend(self.message.clone());
            return;
        };
        let reached = |name: &str| !(first && name.starts_with('$'));
        match level {
            "#" => {
                found.extend(self.message.clone());
                for (_, child) in self.children.iter().filter(|(name, _)| reached(name)) {
                    child.all(found);
                }
            }
            "+" => {
                for (_, child) in self.children.iter().filter(|(name, _)| reached(name)) {
                    child.matching(below, false, found);
                }
            }
            _ => {
                if let Some(child) = self.children.get(level) {
                    child.matching(below, false, found);
                }
            }
        }
    }

    fn all(&self, found: &mut Vec<Arc<Message>>) {
        found.extend(self.message.clone());
        for (_, child) in self.children.iter() {
            child.all(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topics::message::SessionId;

    fn message(topic: &str, payload: &[u8], offset: u64) -> Arc<Message> {
        let mut message = Message::new(topic, &[], payload, SessionId::GATEWAY, "p".into());
        message.offset = offset;
        Arc::new(message)
    }

    #[test]
    fn the_log_decides_which_message_is_the_last() {
        let retained = Retained::new(10, 1000);
        retained.put(message("a", b"second", 20)).unwrap();
        retained.put(message("a", b"first", 10)).unwrap();
        retained.put(message("a", b"", 15)).unwrap();
        assert_eq!(retained.matching("a", 0)[0].payload(), b"second");
        retained.put(message("a", b"", 30)).unwrap();
        assert_eq!((retained.size(), retained.matching("#", 0).len()), ((0, 0), 0));
        assert!(retained.inner.read().root.children.is_empty());
    }

    #[test]
    fn a_full_store_takes_no_new_topic_but_replaces_and_clears() {
        let retained = Retained::new(1, 1000);
        retained.put(message("a", b"1", 1)).unwrap();
        assert_eq!(retained.put(message("b", b"1", 2)), Err(Full));
        retained.put(message("a", b"22", 3)).unwrap();
        assert_eq!(retained.size(), (1, 3));
        retained.put(message("a", b"", 4)).unwrap();
        retained.put(message("b", b"1", 5)).unwrap();
    }

    #[test]
    fn a_message_that_grows_beyond_what_there_is_room_for_takes_the_one_before_with_it() {
        let retained = Retained::new(10, 100);
        retained.put(message("a", b"small", 1)).unwrap();
        assert_eq!(retained.put(message("a", &[0; 200], 2)), Err(Full));
        assert_eq!((retained.size(), retained.matching("a", 0).len()), ((0, 0), 0));
        retained.put(message("a", &[0; 90], 3)).unwrap();
        retained.put(message("a", &[0; 95], 4)).unwrap();
        assert_eq!(retained.size(), (1, 96));
    }

    #[test]
    fn replacing_a_message_that_expires_does_not_grow_memory() {
        let retained = Retained::new(10, 1000);
        for n in 1..=10 * STALE as u64 {
            let mut expiring = Message::new("a", &[], b"x", SessionId::GATEWAY, "p".into());
            (expiring.offset, expiring.expires_us) = (n, 1_000_000 + n);
            retained.put(Arc::new(expiring)).unwrap();
        }
        assert!(retained.inner.read().expiries.len() <= STALE + 2);
        retained.expire(1_000_000 + 10 * STALE as u64);
        assert_eq!(retained.size(), (0, 0));
    }

    #[test]
    fn a_message_that_was_logged_before_its_topic_was_cleared_does_not_come_back() {
        let retained = Retained::new(10, 1000);
        retained.put(message("a", b"", 20)).unwrap();
        retained.put(message("a", b"late", 10)).unwrap();
        assert!(retained.matching("a", 0).is_empty());
        retained.put(message("a", b"new", 30)).unwrap();
        assert_eq!(retained.matching("a", 0).len(), 1);
        for n in 0..=CLEARED as u64 {
            retained.put(message("b", b"", 100 + n)).unwrap();
        }
        let inner = retained.inner.read();
        assert!(inner.cleared_order.len() <= CLEARED && inner.cleared.len() == 1, "memory is bounded");
    }

    #[test]
    fn what_has_expired_is_not_found_and_frees_its_place() {
        let retained = Retained::new(1, 1000);
        let mut expiring = Message::new("a", &[], b"x", SessionId::GATEWAY, "p".into());
        expiring.expires_us = 50;
        retained.put(Arc::new(expiring)).unwrap();
        assert_eq!((retained.matching("#", 49).len(), retained.matching("#", 50).len()), (1, 0));
        assert_eq!(retained.put(message("b", b"1", 2)), Err(Full));
        retained.expire(49);
        assert_eq!(retained.size().0, 1);
        retained.expire(50);
        assert_eq!(retained.size(), (0, 0));
        retained.put(message("b", b"1", 2)).unwrap();
    }

    proptest! {
        #[test]
        fn a_filter_finds_the_topics_that_it_matches(
            topics in prop::collection::btree_set("[$]?([ab]?/){0,3}[ab]", 1..12),
            filter in "[$]?([ab+]/){0,3}([ab+#])",
        ) {
            prop_assume!(mohhos_mqtt::topic::is_filter(&filter));
            let retained = Retained::new(100, 10_000);
            for topic in &topics {
                retained.put(message(topic, b"x", 0)).unwrap();
            }
            let mut found: Vec<String> =
                retained.matching(&filter, 0).iter().map(|m| m.topic().to_owned()).collect();
            found.sort();
            let expected: Vec<String> =
                topics.iter().filter(|t| mohhos_mqtt::topic::matches(&filter, t)).cloned().collect();
            prop_assert_eq!(found, expected);
        }
    }
}
