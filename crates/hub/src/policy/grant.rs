//! What a list of roles grants: the one place where topics are decided.
//!
//! Deny wins: what any of the roles denies is denied. Otherwise one role that allows it suffices. A role that does not
//! exist denies everything, for nobody knows what it would have denied.

use std::sync::Arc;

use super::Denied;
use super::pattern::Pattern;
use super::role::{Role, RoleLimits, Rules};
use super::scope::Scope;

/// The roles of a principal, bound together.
#[derive(Debug)]
pub struct Grant {
    roles: Box<[Arc<Role>]>,
    missing: Option<Arc<str>>,
    /// Of each limit the strictest that a role sets.
    pub limits: RoleLimits,
    /// Some of what may be subscribed to may not be received.
    pub filters_receive: bool,
}

/// A decision, and what decided.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// The verdict.
    pub verdict: Result<(), Denied>,
    /// What decided.
    pub by: By<'a>,
}

/// What decided.
#[derive(Debug, Clone, Copy)]
pub enum By<'a> {
    /// The topic is the gateway's own.
    Gateway,
    /// A role of that name does not exist.
    Missing(&'a str),
    /// A pattern of a role denies it; "publish", "subscribe" or "receive" is the list.
    Denies(&'a Role, &'static str, &'a Pattern),
    /// A pattern of a role allows it.
    Allows(&'a Role, &'static str, &'a Pattern),
    /// No pattern of its roles allows it.
    Nothing,
}

impl Grant {
    /// Binds roles together; `Err` is the name of one that does not exist.
    pub fn new(roles: impl Iterator<Item = Result<Arc<Role>, Arc<str>>>) -> Self {
        let (mut found, mut missing) = (Vec::new(), None);
        for role in roles {
            match role {
                Ok(role) => found.push(role),
                Err(name) => missing = missing.or(Some(name)),
            }
        }
        let limits = found.iter().fold(RoleLimits::default(), |limits, role| limits.stricter(role.limits));
        let filters_receive =
            found.iter().any(|role| role.receive.is_some() || !role.subscribe.deny.is_empty());
        Self { roles: found.into(), missing, limits, filters_receive }
    }

    /// May the topic be published to?
    pub fn publish(&self, scope: Scope<'_>, topic: &str) -> Decision<'_> {
        if gateway_only(topic) {
            return Decision { verdict: Err(Denied::GatewayOnly), by: By::Gateway };
        }
        let matches = |pattern: &Pattern| pattern.matches(topic, scope);
        self.decide("publish", |role| &role.publish, matches, matches)
    }

    /// May the filter be subscribed to? Only if every topic that it matches is allowed, and not if all are denied. Of one
    /// that matches denied topics among others the messages on these are withheld: see [`Grant::receive`].
    pub fn subscribe(&self, scope: Scope<'_>, filter: &str) -> Decision<'_> {
        let covers = |pattern: &Pattern| pattern.covers(filter, scope);
        self.decide("subscribe", |role| &role.subscribe, covers, covers)
    }

    /// May a message on the topic be received?
    pub fn receive(&self, scope: Scope<'_>, topic: &str) -> Decision<'_> {
        let matches = |pattern: &Pattern| pattern.matches(topic, scope);
        let subscribed = self.decide("subscribe", |role| &role.subscribe, matches, matches);
        if !self.filters_receive || subscribed.verdict.is_err() {
            return subscribed;
        }
        for role in &self.roles {
            if let Some(pattern) = role.receive.as_ref().and_then(|rules| rules.denies(topic, scope)) {
                return denied(By::Denies(role, "receive", pattern));
            }
        }
        for role in &self.roles {
            let Some(subscribe) = role.subscribe.allows(topic, scope) else { continue };
            match role.receive.as_ref().map(|rules| (&rules.allow, rules)) {
                None | Some((None, _)) => return allowed(By::Allows(role, "subscribe", subscribe)),
                Some((Some(_), rules)) => {
                    if let Some(pattern) = rules.allows(topic, scope) {
                        return allowed(By::Allows(role, "receive", pattern));
                    }
                }
            }
        }
        denied(By::Nothing)
    }

    fn decide<'a>(
        &'a self,
        action: &'static str,
        rules: impl Fn(&'a Role) -> &'a Rules,
        allows: impl Fn(&Pattern) -> bool,
        denies: impl Fn(&Pattern) -> bool,
    ) -> Decision<'a> {
        if let Some(missing) = &self.missing {
            return Decision { verdict: Err(Denied::NoRole), by: By::Missing(missing) };
        }
        for role in &self.roles {
            if let Some(pattern) = rules(role).deny.iter().find(|&pattern| denies(pattern)) {
                return denied(By::Denies(role, action, pattern));
            }
        }
        for role in &self.roles {
            if let Some(pattern) = rules(role).allow.iter().flatten().find(|&pattern| allows(pattern)) {
                return allowed(By::Allows(role, action, pattern));
            }
        }
        denied(By::Nothing)
    }
}

fn allowed(by: By<'_>) -> Decision<'_> {
    Decision { verdict: Ok(()), by }
}

fn denied(by: By<'_>) -> Decision<'_> {
    Decision { verdict: Err(Denied::Role), by }
}

/// Topics on which no client publishes, whatever its role.
fn gateway_only(topic: &str) -> bool {
    if topic.starts_with('$') || topic == "gateway" || topic.starts_with("gateway/") {
        return true;
    }
    let mut levels = topic.split('/');
    levels.next() == Some("devices") && levels.nth(1) == Some("status") && levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::super::role::parse;
    use super::*;

    fn grant(json: &str, names: &[&str]) -> Grant {
        let roles = parse(json).unwrap();
        let find = |name: &&str| {
            roles.iter().find(|role| *role.name == **name).cloned().ok_or_else(|| Arc::from(*name))
        };
        Grant::new(names.iter().map(find))
    }

    fn scope<'a>(own: &'a str, children: &'a [Arc<str>]) -> Scope<'a> {
        Scope { own, children, ..Scope::default() }
    }

    #[test]
    fn a_device_speaks_below_its_own_topics_alone_and_not_for_the_gateway() {
        let grant = grant("{}", &["device"]);
        let pump = scope("pump", &[]);
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
            assert_eq!(grant.publish(pump, topic).verdict, answer, "{topic}");
        }
        assert_eq!(grant.subscribe(pump, "devices/pump/commands/+").verdict, Ok(()));
        assert_eq!(grant.subscribe(pump, "devices/+/commands/+").verdict, Err(Denied::Role));
        assert_eq!(grant.subscribe(pump, "#").verdict, Err(Denied::Role));
    }

    #[test]
    fn a_parent_speaks_for_its_children() {
        let grant = grant("{}", &["device"]);
        let children = ["lamp-1".into()];
        let parent = scope("hub-1", &children);
        assert_eq!(grant.publish(parent, "devices/lamp-1/telemetry").verdict, Ok(()));
        assert_eq!(grant.subscribe(parent, "devices/lamp-1/#").verdict, Ok(()));
        assert_eq!(grant.publish(parent, "devices/lamp-2/telemetry").verdict, Err(Denied::Role));
    }

    #[test]
    fn what_any_role_denies_is_denied_and_what_one_allows_suffices() {
        let json = r##"{
            "a": {"subscribe": {"allow": ["devices/#"], "deny": ["devices/+/configuration/#"]}},
            "b": {"subscribe": ["sites/#", "devices/+/configuration/#"], "publish": ["sites/#"]}
        }"##;
        let both = grant(json, &["a", "b"]);
        let screen = scope("screen", &[]);
        for (filter, allowed) in [
            ("devices/+/telemetry", true),
            ("sites/#", true),
            ("devices/a/configuration/desired", false),
            ("devices/+/configuration/+", false),
            ("devices/#", true),
            ("other", false),
        ] {
            assert_eq!(both.subscribe(screen, filter).verdict.is_ok(), allowed, "{filter}");
        }
        assert!(both.publish(screen, "sites/1").verdict.is_ok());
        assert!(both.publish(screen, "devices/a/telemetry").verdict.is_err());
        assert!(
            matches!(both.receive(screen, "devices/a/configuration/desired").by, By::Denies(role, "subscribe", _) if *role.name == *"a")
        );
        assert!(both.filters_receive && both.receive(screen, "devices/a/telemetry").verdict.is_ok());
    }

    #[test]
    fn a_role_that_does_not_exist_denies_everything() {
        let lost = grant("{}", &["device", "lost"]);
        let decision = lost.publish(scope("pump", &[]), "devices/pump/telemetry");
        assert_eq!(decision.verdict, Err(Denied::NoRole));
        assert!(matches!(decision.by, By::Missing("lost")));
        assert_eq!(grant("{}", &[]).publish(scope("pump", &[]), "a").verdict, Err(Denied::Role));
    }

    #[test]
    fn receive_takes_away_from_what_was_subscribed_and_never_adds() {
        let json = r##"{
            "wide": {"subscribe": ["#"], "receive": {"deny": ["devices/+/secrets/#"]}},
            "narrow": {"subscribe": ["a/#"], "receive": ["a/public/#", "b/#"]}
        }"##;
        let me = scope("x", &[]);
        let wide = grant(json, &["wide"]);
        assert!(wide.filters_receive && wide.subscribe(me, "#").verdict.is_ok());
        assert!(wide.receive(me, "devices/a/telemetry").verdict.is_ok());
        assert!(wide.receive(me, "devices/a/secrets/1").verdict.is_err());
        let narrow = grant(json, &["narrow"]);
        assert!(narrow.receive(me, "a/public/1").verdict.is_ok());
        assert!(narrow.receive(me, "a/private").verdict.is_err());
        assert!(narrow.receive(me, "b/1").verdict.is_err(), "it was never permitted to subscribe");
        let both = grant(json, &["wide", "narrow"]);
        assert!(both.receive(me, "a/private").verdict.is_ok(), "one role that allows it suffices");
        assert!(both.receive(me, "devices/a/secrets/1").verdict.is_err(), "deny wins");
    }
}
