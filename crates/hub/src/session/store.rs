//! The sessions of one shard.

use slab::Slab;

use super::{ByKey, Session, SessionKey};
use crate::topics::message::SessionId;

/// Sessions by slot and by name.
#[derive(Debug)]
pub struct Store {
    shard: u16,
    slots: Slab<Session>,
    by_key: ByKey<u32>,
    generation: u32,
}

impl Store {
    /// No session yet.
    pub fn new(shard: u16) -> Self {
        Self { shard, slots: Slab::new(), by_key: ByKey::default(), generation: 0 }
    }

    /// The slot of a session's name.
    pub fn find(&self, key: &SessionKey) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// Adds a session, whose name is new, and gives it its id.
    pub fn insert(&mut self, mut session: Session) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        let entry = self.slots.vacant_entry();
        let slot = entry.key() as u32;
        session.id = SessionId { shard: self.shard, slot, generation: self.generation };
        self.by_key.insert(session.key.clone(), slot);
        entry.insert(session);
        slot
    }

    /// The session in a slot.
    #[inline]
    pub fn get(&mut self, slot: u32) -> Option<&mut Session> {
        self.slots.get_mut(slot as usize)
    }

    /// The session in a slot, to look at.
    pub fn peek(&self, slot: u32) -> Option<&Session> {
        self.slots.get(slot as usize)
    }

    /// The session of an id, unless it has ended.
    #[inline]
    pub fn by_id(&mut self, id: SessionId) -> Option<&mut Session> {
        self.slots.get_mut(id.slot as usize).filter(|session| session.id == id)
    }

    /// Removes a session.
    pub fn remove(&mut self, slot: u32) -> Option<Session> {
        let session = self.slots.try_remove(slot as usize)?;
        self.by_key.remove(&session.key);
        Some(session)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Session)> {
        self.slots.iter().map(|(slot, session)| (slot as u32, session))
    }

    /// The slots of the next sessions from a slot on, at most `max`, and where to go on (`None` at the end).
    pub fn some_from(&self, from: u32, max: usize) -> (Vec<u32>, Option<u32>) {
        let end = self.slots.capacity() as u32;
        let mut found = Vec::new();
        for slot in from..end {
            if found.len() == max {
                return (found, Some(slot));
            }
            if self.slots.contains(slot as usize) {
                found.push(slot);
            }
        }
        (found, None)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }
}
