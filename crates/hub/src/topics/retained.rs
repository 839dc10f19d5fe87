//! Retained messages: the last one of each topic that asked for it. Bounded in count and bytes.

use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::message::Message;

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
}

#[derive(Debug, Default)]
struct Node {
    children: FxHashMap<Box<str>, Node>,
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
    /// is there is ignored: shards reach this point in any order, the log has one.
    pub fn put(&self, message: Arc<Message>) -> Result<(), Full> {
        let mut inner = self.inner.write();
        let inner = &mut *inner;
        if message.payload().is_empty() {
            if let Some(removed) = inner.root.clear(message.topic(), message.offset) {
                inner.count -= 1;
                inner.bytes -= removed.size();
            }
            return Ok(());
        }
        let mut node = &mut inner.root;
        let fits = inner.count < self.max_count && inner.bytes + message.size() <= self.max_bytes;
        if !fits && !node.holds(message.topic()) {
            return Err(Full);
        }
        for level in message.topic().split('/') {
            node = node.children.entry(level.into()).or_default();
        }
        match &node.message {
            Some(before) if message.offset != 0 && message.offset < before.offset => return Ok(()),
            Some(before) => inner.bytes -= before.size(),
            None => inner.count += 1,
        }
        inner.bytes += message.size();
        node.message = Some(message);
        Ok(())
    }

    /// The messages whose topics match a filter.
    pub fn matching(&self, filter: &str) -> Vec<Arc<Message>> {
        let mut found = Vec::new();
        let levels: Vec<&str> = filter.split('/').collect();
        self.inner.read().root.matching(&levels, true, &mut found);
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

impl Node {
    fn holds(&self, topic: &str) -> bool {
        let mut node = self;
        for level in topic.split('/') {
            match node.children.get(level) {
                Some(child) => node = child,
                None => return false,
            }
        }
        node.message.is_some()
    }

    fn clear(&mut self, topic: &str, offset: u64) -> Option<Arc<Message>> {
        let (level, below) = match topic.split_once('/') {
            Some((level, below)) => (level, Some(below)),
            None => (topic, None),
        };
        let child = self.children.get_mut(level)?;
        let removed = match below {
            Some(below) => child.clear(below, offset),
            None => child.message.take_if(|before| offset == 0 || before.offset <= offset),
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
        for child in self.children.values() {
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
        assert_eq!(retained.matching("a")[0].payload(), b"second");
        retained.put(message("a", b"", 30)).unwrap();
        assert_eq!((retained.size(), retained.matching("#").len()), ((0, 0), 0));
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
                retained.matching(&filter).iter().map(|m| m.topic().to_owned()).collect();
            found.sort();
            let expected: Vec<String> =
                topics.iter().filter(|t| mohhos_mqtt::topic::matches(&filter, t)).cloned().collect();
            prop_assert_eq!(found, expected);
        }
    }
}
