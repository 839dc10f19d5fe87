//! What was decided about the topics that a session publishes to: verdict, device, tables, subscribers. Kept per
//! session and topic, and decided again when an epoch has passed.

use std::sync::Arc;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

use crate::devices::Device;
use crate::policy::Denied;
use crate::topics::route::Route;

/// More topics than this and a table is made to find them.
const LINEAR: usize = 8;
/// More topics than this and all are decided anew.
const MAX_WAYS: usize = 4096;

/// The epochs under which something was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// Of the policy; 0 for what is to be decided again each time.
    pub policy: u64,
    /// Of the subscriptions.
    pub subscriptions: u64,
    /// Of the declared tables.
    pub tables: u64,
}

/// The way of one topic.
#[derive(Debug)]
pub struct Way {
    /// The topic.
    pub topic: Box<str>,
    /// When it was decided.
    pub epochs: Epochs,
    /// May the session publish to it?
    pub verdict: Result<(), Denied>,
    /// The device that the topic, or else the principal, is about.
    pub device: Option<Arc<Device>>,
    /// The class of its messages in the log.
    pub class: u8,
    /// The code of the table level of a telemetry topic, 0 for none; `None` if it is not one.
    pub telemetry: Option<u32>,
    /// The declared tables that take its messages, by index.
    pub tables: Box<[u16]>,
    /// Who gets its messages.
    pub route: Arc<Route>,
    /// The time window (see `SEEN_US`), counted from 1, of its last message; its device was reported as seen in it.
    pub seen: u32,
    /// How many messages came since it was first decided.
    pub messages: u64,
}

/// The ways of one session, bounded.
#[derive(Debug, Default)]
pub struct Ways {
    ways: Vec<Way>,
    last: usize,
    index: Option<Box<HashTable<u32>>>,
}

impl Ways {
    /// The place of the way of a topic, if there is one.
    #[inline]
    pub fn find(&mut self, topic: &str) -> Option<usize> {
        if let Some(way) = self.ways.get(self.last)
            && *way.topic == *topic
        {
            return Some(self.last);
        }
        let found = match &self.index {
            None => self.ways.iter().position(|way| *way.topic == *topic),
            Some(index) => index
                .find(FxBuildHasher.hash_one(topic), |&at| *self.ways[at as usize].topic == *topic)
                .map(|&at| at as usize),
        }?;
        self.last = found;
        Some(found)
    }

    /// The way at a place.
    #[inline]
    pub fn get(&mut self, at: usize) -> Option<&mut Way> {
        self.ways.get_mut(at)
    }

    /// Keeps a way that was not there, and returns its place.
    pub fn insert(&mut self, way: Way) -> usize {
        if self.ways.len() >= MAX_WAYS {
            *self = Self::default();
        }
        let at = self.ways.len();
        self.ways.push(way);
        self.last = at;
        let hash = |at: u32, ways: &[Way]| FxBuildHasher.hash_one(&*ways[at as usize].topic);
        match &mut self.index {
            Some(index) => {
                index.insert_unique(hash(at as u32, &self.ways), at as u32, |&other| hash(other, &self.ways));
            }
            None if self.ways.len() > LINEAR => {
                let mut index = Box::new(HashTable::with_capacity(2 * LINEAR));
                for other in 0..self.ways.len() as u32 {
                    index.insert_unique(hash(other, &self.ways), other, |&o| hash(o, &self.ways));
                }
                self.index = Some(index);
            }
            None => {}
        }
        at
    }

    /// Those with the latest messages first, at most `max`.
    pub fn latest(&self, max: usize) -> impl Iterator<Item = &Way> {
        let mut used: Vec<(usize, &Way)> =
            self.ways.iter().enumerate().filter(|(_, way)| way.messages > 0).collect();
        used.sort_by_key(|&(at, way)| std::cmp::Reverse((way.seen, at == self.last)));
        used.truncate(max);
        used.into_iter().map(|(_, way)| way)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(topic: &str) -> Way {
        Way {
            topic: topic.into(),
            epochs: Epochs { policy: 0, subscriptions: 0, tables: 0 },
            verdict: Ok(()),
            device: None,
            class: 0,
            telemetry: None,
            tables: Box::default(),
            route: Arc::default(),
            seen: 0,
            messages: 0,
        }
    }

    #[test]
    fn each_topic_is_found_however_many_there_are_and_memory_is_bounded() {
        let mut ways = Ways::default();
        for n in 0..MAX_WAYS {
            let topic = format!("t/{n}");
            assert!(ways.find(&topic).is_none());
            assert_eq!(ways.insert(way(&topic)), n);
            let early = format!("t/{}", n / 2);
            let at = ways.find(&early).unwrap();
            assert_eq!(&*ways.get(at).unwrap().topic, early);
        }
        ways.insert(way("one more"));
        assert!(ways.find("t/1").is_none() && ways.find("one more").is_some());
    }
}
