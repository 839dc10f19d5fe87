//! Topic aliases, the client's and ours (3.3.2.3.4). They last as long as the connection.

use crate::error::DecodeError;
use crate::packet::Publish;
use crate::property::Property;
use crate::reason::ReasonCode;
use crate::session::{Effects, Session, Verdict};

/// So many topics of ours have an alias, if the client permits as many.
const OWN: u16 = 32;
/// A longer topic gets no alias: it would be kept in memory.
const MAX_LEN: usize = 512;
/// A shorter topic is not worth the three bytes of an alias.
const MIN_LEN: usize = 4;
/// After so many other topics, the one that has a place loses it.
const PATIENCE: u8 = 3;

/// The aliases of a connection; made when the first is needed.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// The client's topics by alias, from alias 1 on.
    theirs: Vec<Option<Box<str>>>,
    /// Our topics, each in the place that its bytes say, for then one comparison finds it. The place is its alias.
    ours: Vec<Place>,
}

#[derive(Debug, Default, Clone)]
struct Place {
    topic: String,
    /// How many deliveries on other topics would have had this place since its own came last.
    others: u8,
}

/// The alias of a topic towards the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnAlias {
    /// The number.
    pub(super) alias: u16,
    /// The client knows it: the topic itself is left out.
    pub(super) known: bool,
}

impl Session {
    /// Finds the alias, and what clients must not send.
    pub(super) fn check_properties(&self, publish: &Publish<'_>) -> Result<Option<u16>, DecodeError> {
        let mut found = None;
        for property in publish.properties.iter() {
            match property {
                Property::SubscriptionIdentifier(_) => {
                    return Err(DecodeError::protocol("a subscription identifier from a client"));
                }
                Property::TopicAlias(alias) if alias > self.limits.topic_alias_maximum => {
                    let what = "a topic alias beyond the topic alias maximum";
                    return Err(DecodeError::new(ReasonCode::TopicAliasInvalid, what));
                }
                Property::TopicAlias(alias) => found = Some(alias),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Passes a message on with its full topic name, whether or not it came with an alias.
    pub(super) fn resolve_and_pass_on<E: Effects>(
        &mut self,
        publish: &Publish<'_>,
        alias: Option<u16>,
        fx: &mut E,
    ) -> Result<Option<Verdict>, DecodeError> {
        let Some(alias) = alias else { return self.pass_on(publish, fx) };
        let at = usize::from(alias) - 1;
        if !publish.topic.is_empty() {
            let aliases = &mut self.aliases.get_or_insert_default().theirs;
            if aliases.len() <= at {
                aliases.resize(at + 1, None);
            }
            if aliases[at].as_deref() != Some(publish.topic) {
                aliases[at] = Some(publish.topic.into());
            }
            return self.pass_on(publish, fx);
        }
        // Taken out while the message is passed on, for the topic is borrowed from it.
        let aliases = self.aliases.take();
        let topic = aliases.as_ref().and_then(|aliases| aliases.theirs.get(at)).and_then(Option::as_deref);
        let verdict = match topic {
            Some(topic) => self.pass_on(&Publish { topic, ..*publish }, fx),
            None => Err(DecodeError::protocol("a topic alias that was not set on this connection")),
        };
        self.aliases = aliases;
        verdict
    }

    /// The alias to send a topic with, if it has one or gets one now.
    #[inline]
    pub(super) fn own_alias(&mut self, topic: &str) -> Option<OwnAlias> {
        if self.client_aliases == 0 || topic.len() < MIN_LEN || topic.len() > MAX_LEN {
            return None;
        }
        let count = self.client_aliases.min(OWN);
        let places = &mut self.aliases.get_or_insert_default().ours;
        if places.is_empty() {
            places.resize(usize::from(count), Place::default());
        }
        let at = place_of(topic, count);
        let place = &mut places[usize::from(at)];
        let known = place.topic == topic;
        if known {
            place.others = 0;
        } else if !place.topic.is_empty() && place.others < PATIENCE {
            place.others += 1;
            return None;
        }
        Some(OwnAlias { alias: at + 1, known })
    }

    /// The client has been told of an alias.
    pub(super) fn note_alias(&mut self, alias: u16, topic: &str) {
        let places = self.aliases.as_mut().map(|aliases| &mut aliases.ours);
        if let Some(place) = places.and_then(|places| places.get_mut(usize::from(alias) - 1)) {
            // Its memory is used again.
            place.topic.clear();
            place.topic.push_str(topic);
            place.others = 0;
        }
    }
}

fn place_of(topic: &str, count: u16) -> u16 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = topic.len() as u64;
    let mut chunks = topic.as_bytes().chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.try_into().map_or(0, u64::from_le_bytes);
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(MIX);
    }
    for &byte in chunks.remainder() {
        hash = (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(MIX);
    }
    ((hash >> 32) % u64::from(count)) as u16
}
