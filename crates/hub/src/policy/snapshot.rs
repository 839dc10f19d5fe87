//! The compiled roles, swapped as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::pattern::{Pattern, Scope};
use crate::auth::principals::Principal;
use crate::error::HubError;

/// The name of the role that devices have; always there, and not to be redefined.
const DEVICE_ROLE: &str = "device";

/// What a device may do: publish and subscribe below its own topics, but not speak there for the gateway.
const DEVICE_PUBLISH: [&str; 5] = [
    "devices/${device}/#",
    "!devices/${device}",
    "!devices/${device}/status",
    "!devices/${device}/commands/+",
    "!devices/${device}/configuration/desired",
];
const DEVICE_SUBSCRIBE: [&str; 1] = ["devices/${device}/#"];

/// Why something is not permitted. The words are for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No pattern of the role permits it.
    #[error("its role does not permit this topic; grant it with a role, or correct the topic")]
    Role,
    /// The topic is the gateway's own.
    #[error("only the gateway publishes on this topic")]
    GatewayOnly,
    /// The topic is of a device that is not registered.
    #[error("the topic names a device that is not registered; add the device, or correct the topic")]
    UnknownDevice,
    /// The topic has more levels than is permitted.
    #[error("the topic has too many levels; use fewer, or raise max_topic_levels")]
    TooDeep,
    /// The principal's role does not exist.
    #[error("its role does not exist; define the role, or give it another")]
    NoRole,
}

/// The roles at one time. Immutable.
#[derive(Debug)]
pub struct PolicySnapshot {
    roles: FxHashMap<Box<str>, Role>,
}

/// The current snapshot and its epoch: what was decided under an older epoch has to be decided again.
#[derive(Debug)]
pub struct Policy {
    current: ArcSwap<PolicySnapshot>,
    epoch: AtomicU64,
}

#[derive(Debug)]
struct Role {
    publish: Rules,
    subscribe: Rules,
}

#[derive(Debug)]
struct Rules {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
}

/// A role as it is written. A pattern after `!` forbids what others permit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleText {
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    subscribe: Vec<String>,
}

impl PolicySnapshot {
    /// Compiles the JSON of [`crate::Hub::put_roles`].
    pub fn parse(json: &str) -> Result<Self, HubError> {
        let texts: BTreeMap<String, RoleText> =
            serde_json::from_str(json).map_err(|error| HubError::Invalid(format!("roles: {error}")))?;
        let mut roles = FxHashMap::default();
        for (name, text) in texts {
            let role = Role {
                publish: Rules::parse(&name, text.publish.iter().map(String::as_str))?,
                subscribe: Rules::parse(&name, text.subscribe.iter().map(String::as_str))?,
            };
            roles.insert(name.into(), role);
        }
        let device = Role {
            publish: Rules::parse(DEVICE_ROLE, DEVICE_PUBLISH.into_iter())?,
            subscribe: Rules::parse(DEVICE_ROLE, DEVICE_SUBSCRIBE.into_iter())?,
        };
        roles.insert(DEVICE_ROLE.into(), device);
        Ok(Self { roles })
    }

    /// May the principal publish to the topic?
    pub fn may_publish(&self, principal: &Principal, topic: &str) -> Result<(), Denied> {
        if gateway_only(topic) {
            return Err(Denied::GatewayOnly);
        }
        let role = self.roles.get(&*principal.role).ok_or(Denied::NoRole)?;
        let scope = Scope { own: &principal.name, children: &principal.children };
        let rules = &role.publish;
        let allowed = rules.allow.iter().any(|p| p.matches(topic, scope))
            && !rules.deny.iter().any(|p| p.matches(topic, scope));
        if allowed { Ok(()) } else { Err(Denied::Role) }
    }

    /// May the principal subscribe to the filter? Only if it may see every topic that the filter matches.
    pub fn may_subscribe(&self, principal: &Principal, filter: &str) -> Result<(), Denied> {
        let role = self.roles.get(&*principal.role).ok_or(Denied::NoRole)?;
        let scope = Scope { own: &principal.name, children: &principal.children };
        let rules = &role.subscribe;
        let allowed = rules.allow.iter().any(|p| p.covers(filter, scope))
            && !rules.deny.iter().any(|p| p.overlaps(filter, scope));
        if allowed { Ok(()) } else { Err(Denied::Role) }
    }
}

/// Topics on which no client publishes, whatever its role.
fn gateway_only(topic: &str) -> bool {
    if topic.starts_with('$') || topic == "gateway" || topic.starts_with("gateway/") {
        return true;
    }
    let mut levels = topic.split('/');
    levels.next() == Some("devices") && levels.nth(1) == Some("status") && levels.next().is_none()
}

impl Rules {
    fn parse<'a>(role: &str, patterns: impl Iterator<Item = &'a str>) -> Result<Self, HubError> {
        let mut rules = Self { allow: Vec::new(), deny: Vec::new() };
        for text in patterns {
            let (list, text) = match text.strip_prefix('!') {
                Some(denied) => (&mut rules.deny, denied),
                None => (&mut rules.allow, text),
            };
            let pattern = Pattern::parse(text).ok_or_else(|| {
                HubError::Invalid(format!(
                    "role {role}: \"{text}\" is not a topic filter; `+` and `#` must stand alone in a level, `#` last"
                ))
            })?;
            list.push(pattern);
        }
        Ok(rules)
    }
}

impl Policy {
    /// The built-in role alone.
    pub fn new() -> Result<Self, HubError> {
        Ok(Self { current: ArcSwap::from_pointee(PolicySnapshot::parse("{}")?), epoch: AtomicU64::new(1) })
    }

    /// The snapshot to decide by.
    pub fn current(&self) -> arc_swap::Guard<Arc<PolicySnapshot>> {
        self.current.load()
    }

    /// The epoch; read it before deciding, so that a decision is never newer than its epoch says.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Replaces the roles.
    pub fn replace(&self, snapshot: PolicySnapshot) {
        self.current.store(Arc::new(snapshot));
        self.renew();
    }

    /// Makes all decisions be taken again (principals or devices changed).
    pub fn renew(&self) {
        self.epoch.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principals::{Credential, PrincipalKind};

    fn principal(name: &str, role: &str, children: &[&str]) -> Principal {
        Principal {
            name: name.into(),
            kind: PrincipalKind::Device,
            role: role.into(),
            credential: Credential::Anonymous,
            enabled: true,
            children: children.iter().map(|&child| child.into()).collect(),
        }
    }

    #[test]
    fn a_device_speaks_below_its_own_topics_alone_and_not_for_the_gateway() {
        let policy = PolicySnapshot::parse("{}").unwrap();
        let pump = principal("pump", "device", &[]);
        for (topic, answer) in [
            ("devices/pump/telemetry", Ok(())),
            ("devices/pump/telemetry/motor", Ok(())),
            ("devices/pump/commands/1/result", Ok(())),
            ("devices/pump/configuration/reported", Ok(())),
            ("devices/pump", Err(Denied::Role)),
            ("devices/pump/commands/1", Err(Denied::Role)),
            ("devices/pump/configuration/desired", Err(Denied::Role)),
            ("devices/pump/status", Err(Denied::GatewayOnly)),
            ("devices/pump2/telemetry", Err(Denied::Role)),
            ("other", Err(Denied::Role)),
            ("gateway/alerts/r/pump", Err(Denied::GatewayOnly)),
            ("$SYS/x", Err(Denied::GatewayOnly)),
        ] {
            assert_eq!(policy.may_publish(&pump, topic), answer, "{topic}");
        }
        assert_eq!(policy.may_subscribe(&pump, "devices/pump/commands/+"), Ok(()));
        assert_eq!(policy.may_subscribe(&pump, "devices/+/commands/+"), Err(Denied::Role));
        assert_eq!(policy.may_subscribe(&pump, "#"), Err(Denied::Role));
    }

    #[test]
    fn a_parent_speaks_for_its_children() {
        let policy = PolicySnapshot::parse("{}").unwrap();
        let parent = principal("hub-1", "device", &["lamp-1"]);
        assert_eq!(policy.may_publish(&parent, "devices/lamp-1/telemetry"), Ok(()));
        assert_eq!(policy.may_subscribe(&parent, "devices/lamp-1/#"), Ok(()));
        assert_eq!(policy.may_publish(&parent, "devices/lamp-2/telemetry"), Err(Denied::Role));
    }

    #[test]
    fn roles_permit_and_forbid() {
        let json = r##"{"viewer": {"subscribe": ["devices/#", "!devices/+/configuration/#"]}}"##;
        let policy = PolicySnapshot::parse(json).unwrap();
        let viewer = principal("screen", "viewer", &[]);
        assert_eq!(policy.may_subscribe(&viewer, "devices/+/telemetry"), Ok(()));
        assert_eq!(policy.may_subscribe(&viewer, "devices/a/configuration/desired"), Err(Denied::Role));
        assert_eq!(policy.may_subscribe(&viewer, "devices/#"), Err(Denied::Role));
        assert_eq!(policy.may_publish(&viewer, "devices/a/telemetry"), Err(Denied::Role));
        assert_eq!(policy.may_publish(&principal("x", "lost", &[]), "a"), Err(Denied::NoRole));
        assert!(PolicySnapshot::parse(r#"{"r": {"publish": ["a/#/b"]}}"#).is_err());
    }
}
