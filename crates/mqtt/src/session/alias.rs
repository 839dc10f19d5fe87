//! Topic aliases of the client (3.3.2.3.4).

use crate::error::DecodeError;
use crate::packet::Publish;
use crate::property::Property;
use crate::reason::ReasonCode;
use crate::session::{Effects, Session, Verdict};

/// The topics by alias, from alias 1 on. They last as long as the connection.
pub(super) type Aliases = Vec<Option<Box<str>>>;

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
            let aliases = &mut self.aliases;
            if aliases.len() <= at {
                aliases.resize(at + 1, None);
            }
            if aliases[at].as_deref() != Some(publish.topic) {
                aliases[at] = Some(publish.topic.into());
            }
            return self.pass_on(publish, fx);
        }
        // Taken out while the message is passed on, for the topic is borrowed from it.
        let aliases = std::mem::take(&mut self.aliases);
        let topic = aliases.get(at).and_then(Option::as_deref);
        let verdict = match topic {
            Some(topic) => self.pass_on(&Publish { topic, ..*publish }, fx),
            None => Err(DecodeError::protocol("a topic alias that was not set on this connection")),
        };
        self.aliases = aliases;
        verdict
    }
}
