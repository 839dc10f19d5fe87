//! Roles as they are written, and compiled.
//!
//! A role is a document (JSON here, TOML for people): for each of `publish`, `subscribe` and `receive` the patterns that
//! it allows and denies, and `limits`. A list alone stands for what is allowed. docs/policy.md is the reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::pattern::Pattern;
use super::scope::Scope;
use crate::error::HubError;

/// The role of devices, always there and not to be redefined: they publish and subscribe below their own topics, but do
/// not speak there for the gateway.
pub const DEVICE: &str = r##"{
    "device": {
        "publish": {
            "allow": ["devices/${device}/#"],
            "deny": [
                "devices/${device}",
                "devices/${device}/status",
                "devices/${device}/commands/+",
                "devices/${device}/configuration/desired"
            ]
        },
        "subscribe": {"allow": ["devices/${device}/#"]}
    }
}"##;

/// A compiled role.
#[derive(Debug)]
pub struct Role {
    /// Its name.
    pub name: Arc<str>,
    /// What may be published to.
    pub publish: Rules,
    /// What may be subscribed to.
    pub subscribe: Rules,
    /// What may be received of what was subscribed; all of it, if nothing is said.
    pub receive: Option<Rules>,
    /// Its limits.
    pub limits: RoleLimits,
}

/// What is allowed and denied for one action.
#[derive(Debug, Default)]
pub struct Rules {
    /// What is allowed; `None` (only for `receive`): everything.
    pub allow: Option<Box<[Pattern]>>,
    /// What is denied, whatever else allows it.
    pub deny: Box<[Pattern]>,
}

/// How much a principal may use, over all its connections. What is not said is not limited by the role.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleLimits {
    /// Messages that it publishes per second; more are read later.
    pub messages_per_s: Option<f64>,
    /// Bytes of payload that it publishes per second; more are read later.
    pub bytes_per_s: Option<f64>,
    /// The largest payload that it publishes, in bytes; a larger one is refused.
    pub payload_bytes: Option<u64>,
    /// Unacknowledged messages of QoS 1 and 2, each way and per connection; from the next connection on.
    pub inflight: Option<u16>,
    /// Connections at a time; more are refused.
    pub connections: Option<u32>,
}

/// A role as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleText {
    #[serde(default)]
    publish: AccessText,
    #[serde(default)]
    subscribe: AccessText,
    receive: Option<AccessText>,
    #[serde(default)]
    limits: RoleLimits,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AccessText {
    Allowed(Vec<String>),
    Both(BothText),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BothText {
    allow: Option<Vec<String>>,
    #[serde(default)]
    deny: Vec<String>,
}

impl Default for AccessText {
    fn default() -> Self {
        AccessText::Allowed(Vec::new())
    }
}

/// Compiles a JSON document `{role: {...}}`; the built-in role of devices is added.
pub fn parse(json: &str) -> Result<Vec<Arc<Role>>, HubError> {
    let read = |text: &str| {
        serde_json::from_str::<BTreeMap<String, RoleText>>(text)
            .map_err(|error| HubError::Invalid(format!("roles: {error}")))
    };
    let mut texts = read(json)?;
    texts.extend(read(DEVICE)?);
    texts.into_iter().map(|(name, text)| Role::compile(name, text).map(Arc::new)).collect()
}

impl Role {
    fn compile(name: String, text: RoleText) -> Result<Self, HubError> {
        text.limits.check(&name)?;
        Ok(Self {
            publish: Rules::compile(&name, "publish", text.publish)?,
            subscribe: Rules::compile(&name, "subscribe", text.subscribe)?,
            receive: text.receive.map(|receive| Rules::compile(&name, "receive", receive)).transpose()?,
            limits: text.limits,
            name: name.into(),
        })
    }
}

impl Rules {
    fn compile(role: &str, action: &str, text: AccessText) -> Result<Self, HubError> {
        let (allow, deny) = match text {
            AccessText::Allowed(allow) => (Some(allow), Vec::new()),
            AccessText::Both(both) => (both.allow, both.deny),
        };
        let compile = |texts: Vec<String>| -> Result<Box<[Pattern]>, HubError> {
            texts.iter().map(|text| Pattern::parse(text).ok_or_else(|| wrong(role, action, text))).collect()
        };
        let everything = action == "receive" && allow.is_none();
        let allow = if everything { None } else { Some(compile(allow.unwrap_or_default())?) };
        Ok(Self { allow, deny: compile(deny)? })
    }

    /// The pattern that denies the topic.
    pub fn denies(&self, topic: &str, scope: Scope<'_>) -> Option<&Pattern> {
        self.deny.iter().find(|pattern| pattern.matches(topic, scope))
    }

    /// The pattern that allows the topic.
    pub fn allows(&self, topic: &str, scope: Scope<'_>) -> Option<&Pattern> {
        self.allow.iter().flatten().find(|pattern| pattern.matches(topic, scope))
    }
}

impl RoleLimits {
    /// Refuses what would mean that nothing is ever permitted.
    fn check(&self, role: &str) -> Result<(), HubError> {
        let rates = [("messages_per_s", self.messages_per_s), ("bytes_per_s", self.bytes_per_s)];
        let wrong_rate = rates.iter().find(|(_, rate)| rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0));
        let wrong = match wrong_rate {
            Some((name, _)) => *name,
            None if self.inflight == Some(0) => "inflight",
            None if self.connections == Some(0) => "connections",
            None => return Ok(()),
        };
        Err(HubError::Invalid(format!(
            "role {role}: {wrong} must be above 0; leave it out for no limit, or deny the topics instead"
        )))
    }

    /// Each limit as the stricter of the two.
    pub fn stricter(self, other: Self) -> Self {
        fn least<T: PartialOrd>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(if b < a { b } else { a }),
                (a, b) => a.or(b),
            }
        }
        Self {
            messages_per_s: least(self.messages_per_s, other.messages_per_s),
            bytes_per_s: least(self.bytes_per_s, other.bytes_per_s),
            payload_bytes: least(self.payload_bytes, other.payload_bytes),
            inflight: least(self.inflight, other.inflight),
            connections: least(self.connections, other.connections),
        }
    }

    /// Is there something to see to for each message?
    pub fn is_metered(&self) -> bool {
        self.messages_per_s.is_some() || self.bytes_per_s.is_some() || self.payload_bytes.is_some()
    }
}

fn wrong(role: &str, action: &str, text: &str) -> HubError {
    HubError::Invalid(format!(
        "role {role}, {action}: \"{text}\" is no pattern; `+`, `#` and variables such as ${{device}} must stand alone \
         in a level, `#` last"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_alone_is_what_is_allowed_and_receive_without_allow_is_everything() {
        let roles = parse(
            r##"{"a": {"publish": ["x/#"]}, "b": {"publish": {"allow": ["x/#"]}, "receive": {"deny": ["s/#"]}}}"##,
        )
        .unwrap();
        let role = |name: &str| roles.iter().find(|role| *role.name == *name).unwrap();
        let scope = Scope::default();
        assert!(role("a").publish.allows("x/1", scope).is_some() && role("a").receive.is_none());
        assert!(role("b").publish.allows("x/1", scope).is_some());
        let receive = role("b").receive.as_ref().unwrap();
        assert!(receive.allow.is_none() && receive.denies("s/1", scope).is_some());
        assert!(role("b").subscribe.allows("s/1", scope).is_none());
        assert!(role("device").publish.denies("devices//status", scope).is_some());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_words() {
        for (json, word) in [
            (r#"{"r": {"publish": ["a/#/b"]}}"#, "a/#/b"),
            (r#"{"r": {"publish": ["a/${devices}"]}}"#, "${devices}"),
            (r#"{"r": {"limits": {"messages_per_s": 0}}}"#, "messages_per_s"),
            (r#"{"r": {"limits": {"connections": 0}}}"#, "connections"),
            (r#"{"r": {"limits": {"inflight": 0}}}"#, "inflight"),
            (r#"{"r": {"limits": {"per_s": 1}}}"#, "per_s"),
            (r#"{"r": {"publishes": []}}"#, "publishes"),
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.contains(word), "{json}: {error}");
        }
    }

    #[test]
    fn of_several_limits_the_stricter_counts() {
        let a = RoleLimits { messages_per_s: Some(10.0), connections: Some(2), ..RoleLimits::default() };
        let b = RoleLimits { messages_per_s: Some(5.0), inflight: Some(7), ..RoleLimits::default() };
        let both = a.stricter(b);
        assert_eq!((both.messages_per_s, both.connections, both.inflight), (Some(5.0), Some(2), Some(7)));
        assert!(
            both.is_metered() && !RoleLimits { connections: Some(1), ..RoleLimits::default() }.is_metered()
        );
    }
}
