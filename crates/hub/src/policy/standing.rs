//! The state of a device beside its roles: allowed, throttled or in quarantine.
//!
//! It is kept in the device itself, where each message looks anyway, so that a change acts on the next message and makes
//! nobody else decide anything again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;

use super::pattern::Pattern;
use super::rate::Bucket;
use super::scope::Scope;
use crate::error::HubError;

/// What a device in quarantine may still talk to, if nothing else is named: its commands and their results.
pub const QUARANTINE_TOPICS: [&str; 1] = ["devices/${device}/commands/#"];
/// More topics of a quarantine are refused.
const MAX_TOPICS: usize = 64;

/// What an operator sets.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Its roles alone count.
    Allow,
    /// It publishes no more than this, in messages per second.
    Throttle(f64),
    /// It publishes to and receives from these topics alone (as far as its roles permit); `${device}` is the device.
    Quarantine(Vec<String>),
}

/// How a device is restricted.
#[derive(Debug)]
pub enum Restriction {
    /// To a rate.
    Throttle(Bucket),
    /// To topics.
    Quarantine(Box<[Pattern]>),
}

/// Where a device keeps its restriction.
#[derive(Debug, Default)]
pub struct StandingCell {
    /// There is one: what each message asks.
    restricted: AtomicBool,
    restriction: ArcSwapOption<Restriction>,
}

/// What comes of a message that a throttled device sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is taken; so many microseconds have to pass before the next is read.
    Taken(u64),
    /// It is more than the device may send now.
    TooMany,
}

impl Standing {
    /// Compiles it; `None` for [`Standing::Allow`].
    pub fn compile(&self) -> Result<Option<Restriction>, HubError> {
        match self {
            Standing::Allow => Ok(None),
            Standing::Throttle(rate) if rate.is_finite() && *rate > 0.0 => {
                Ok(Some(Restriction::Throttle(Bucket::new(*rate))))
            }
            Standing::Throttle(rate) => Err(HubError::Invalid(format!(
                "a device cannot be throttled to {rate} messages per second; give a rate above 0, or use a quarantine"
            ))),
            Standing::Quarantine(topics) if topics.len() > MAX_TOPICS => Err(HubError::Invalid(format!(
                "a quarantine names at most {MAX_TOPICS} topics; use wildcards"
            ))),
            Standing::Quarantine(topics) => {
                let named = topics.iter().map(String::as_str);
                let default = QUARANTINE_TOPICS.into_iter().filter(|_| topics.is_empty());
                let compile = |text: &str| {
                    Pattern::parse(text).ok_or_else(|| {
                        HubError::Invalid(format!(
                            "\"{text}\" is no pattern for a quarantine; `+`, `#` and ${{device}} must stand alone in a \
                             level, `#` last"
                        ))
                    })
                };
                let topics = named.chain(default).map(compile).collect::<Result<_, _>>()?;
                Ok(Some(Restriction::Quarantine(topics)))
            }
        }
    }
}

impl StandingCell {
    /// Restricts the device, or frees it.
    pub fn set(&self, restriction: Option<Restriction>) {
        let restricted = restriction.is_some();
        self.restriction.store(restriction.map(Arc::new));
        self.restricted.store(restricted, Ordering::Release);
    }

    /// Is it restricted?
    #[inline]
    pub fn is_restricted(&self) -> bool {
        self.restricted.load(Ordering::Acquire)
    }

    /// Is it in quarantine?
    pub fn is_quarantined(&self) -> bool {
        self.is_restricted() && matches!(self.restriction.load().as_deref(), Some(Restriction::Quarantine(_)))
    }

    /// May the device talk to this topic?
    pub fn talks_to(&self, device: &str, topic: &str) -> bool {
        if !self.is_restricted() {
            return true;
        }
        match self.restriction.load().as_deref() {
            Some(Restriction::Quarantine(topics)) => {
                let scope = Scope { own: device, ..Scope::default() };
                topics.iter().any(|pattern| pattern.matches(topic, scope))
            }
            _ => true,
        }
    }

    /// Counts a message that the device publishes against its rate. One that can be refused is, when it is more than
    /// the rate permits; else it is taken, and the next has to wait.
    pub fn draw(&self, refuse: bool, now_us: u64) -> Judgement {
        match self.restriction.load().as_deref() {
            Some(Restriction::Throttle(bucket)) if refuse => {
                if bucket.try_draw(now_us) {
                    Judgement::Taken(0)
                } else {
                    Judgement::TooMany
                }
            }
            Some(Restriction::Throttle(bucket)) => Judgement::Taken(bucket.draw(1, now_us)),
            _ => Judgement::Taken(0),
        }
    }

    /// What it is, in words, for explanations.
    pub fn words(&self) -> String {
        match self.restriction.load().as_deref() {
            None => "allowed".into(),
            Some(Restriction::Throttle(bucket)) => {
                format!(
                    "throttled to {} messages per second",
                    (bucket.per_second() * 1000.0).round() / 1000.0
                )
            }
            Some(Restriction::Quarantine(topics)) => {
                let topics: Vec<String> = topics.iter().map(Pattern::to_string).collect();
                format!("in quarantine, where it may talk to {} alone", topics.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(standing: Standing) -> StandingCell {
        let cell = StandingCell::default();
        cell.set(standing.compile().unwrap());
        cell
    }

    #[test]
    fn a_quarantine_without_topics_leaves_commands_and_their_results() {
        let held = cell(Standing::Quarantine(Vec::new()));
        assert!(held.is_quarantined());
        for (topic, talks) in [
            ("devices/pump/commands/1", true),
            ("devices/pump/commands/1/result", true),
            ("devices/pump/telemetry", false),
            ("devices/lamp/commands/1", false),
            ("anything", false),
        ] {
            assert_eq!(held.talks_to("pump", topic), talks, "{topic}");
        }
        held.set(None);
        assert!(held.talks_to("pump", "anything") && !held.is_restricted());
    }

    #[test]
    fn what_can_be_refused_is_beyond_the_rate_and_the_rest_waits() {
        let slow = cell(Standing::Throttle(2.0));
        assert!(slow.talks_to("pump", "anything") && !slow.is_quarantined());
        assert_eq!(slow.draw(true, 0), Judgement::Taken(0));
        assert_eq!(slow.draw(true, 0), Judgement::Taken(0));
        assert_eq!(slow.draw(true, 0), Judgement::TooMany);
        assert_eq!(slow.draw(false, 0), Judgement::Taken(1_000_000));
        assert_eq!(cell(Standing::Allow).draw(false, 0), Judgement::Taken(0));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            Standing::Throttle(0.0),
            Standing::Throttle(f64::NAN),
            Standing::Throttle(f64::INFINITY),
            Standing::Quarantine(vec!["a/#/b".into()]),
            Standing::Quarantine(vec!["a".into(); MAX_TOPICS + 1]),
        ] {
            assert!(wrong.compile().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_words_say_what_an_operator_set() {
        assert_eq!(cell(Standing::Throttle(0.5)).words(), "throttled to 0.5 messages per second");
        assert!(cell(Standing::Quarantine(vec!["a/${device}".into()])).words().contains("a/${device}"));
    }
}
