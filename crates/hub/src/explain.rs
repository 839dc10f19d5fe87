//! Which rule decides, and why: the same decision that a client meets, with its reasons.

use crate::auth::principals::Principal;
use crate::devices::Device;
use crate::event::Action;
use crate::policy::{By, Decision, Denied, Scope};
use crate::shared::Shared;

/// A decision about a principal and a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explanation {
    /// Is it permitted?
    pub allowed: bool,
    /// What decides: "role" (a pattern of one), "no-role" (none allows it), "role-unknown", "gateway", "levels",
    /// "registry", "state" or "account".
    pub decided_by: &'static str,
    /// The role that decides, if one does.
    pub role: String,
    /// The list of that role: "publish.allow", "publish.deny" and so on.
    pub list: String,
    /// The pattern in the list.
    pub pattern: String,
    /// The device whose state decides, if one does.
    pub device: String,
    /// Why, and what to do, in words.
    pub reason: String,
}

impl Explanation {
    fn new(allowed: bool, decided_by: &'static str, reason: impl Into<String>) -> Self {
        Self { allowed, decided_by, reason: reason.into(), ..Self::default() }
    }
}

/// Explains what a principal's session with this client id meets; `None` if there is no such principal.
pub(crate) fn explain(
    shared: &Shared,
    principal: &str,
    client: &str,
    action: Action,
    topic: &str,
) -> Option<Explanation> {
    let principal = shared.principals.get(principal)?;
    if !principal.enabled {
        let why = "it is disabled and cannot connect at all; enable it to let it in";
        return Some(Explanation::new(false, "account", why));
    }
    if topic.split('/').count() > shared.config.limits.max_topic_levels {
        return Some(Explanation::new(false, "levels", Denied::TooDeep.to_string()));
    }
    let grant = shared.policy.grant(&principal);
    let scope = Scope::of(&principal, client);
    let decision = match action {
        Action::Publish => grant.publish(scope, topic),
        Action::Subscribe => grant.subscribe(scope, topic),
        Action::Receive | Action::Connect | Action::Protocol => grant.receive(scope, topic),
    };
    let by_roles = of_roles(&decision, &principal, action, topic);
    if by_roles.allowed && action != Action::Subscribe {
        return Some(of_devices(shared, &principal, action, topic).unwrap_or(by_roles));
    }
    Some(by_roles)
}

fn of_roles(decision: &Decision<'_>, principal: &Principal, action: Action, topic: &str) -> Explanation {
    let allowed = decision.verdict.is_ok();
    let quantity = if action == Action::Subscribe { "every topic of " } else { "" };
    let (role, list, pattern) = match decision.by {
        By::Gateway => return Explanation::new(false, "gateway", Denied::GatewayOnly.to_string()),
        By::Missing(name) => {
            let why = format!(
                "its role \"{name}\" does not exist, and a role that is not known denies everything; define it, or \
                 take it away"
            );
            return Explanation { role: name.into(), ..Explanation::new(false, "role-unknown", why) };
        }
        By::Nothing => {
            let roles: Vec<&str> = principal.roles.iter().map(|role| &**role).collect();
            let roles = roles.join(", ");
            let name = action.name();
            let why = format!(
                "no pattern of {name}.allow of its roles ({roles}) covers {quantity}{topic}; grant it with a role, or \
                 correct the topic"
            );
            return Explanation::new(false, "no-role", why);
        }
        By::Denies(role, list, pattern) => (role, format!("{list}.deny"), pattern),
        By::Allows(role, list, pattern) => (role, format!("{list}.allow"), pattern),
    };
    let reason = match (allowed, action) {
        (true, _) => {
            format!("{list} of its role {} has {pattern}, which covers {quantity}{topic}", role.name)
        }
        (false, Action::Subscribe) => format!(
            "{list} of its role {} has {pattern}, which matches some topic of {topic}, and deny wins over every allow",
            role.name
        ),
        (false, _) => format!(
            "{list} of its role {} has {pattern}, which matches {topic}, and deny wins over every allow",
            role.name
        ),
    };
    Explanation {
        role: role.name.to_string(),
        list,
        pattern: pattern.to_string(),
        ..Explanation::new(allowed, "role", reason)
    }
}

/// What the registry and the states of devices say against it.
fn of_devices(shared: &Shared, principal: &Principal, action: Action, topic: &str) -> Option<Explanation> {
    let named = topic.strip_prefix("devices/").and_then(|rest| rest.split_once('/')).map(|(id, _)| id);
    let about = named.and_then(|id| shared.devices.get(id));
    if action == Action::Publish && named.is_some() && about.is_none() {
        return Some(Explanation::new(false, "registry", Denied::UnknownDevice.to_string()));
    }
    let own = shared.devices.get(&principal.name);
    // Whoever receives is held by the state of devices that it speaks for alone; whoever publishes by any.
    let speaks = |device: &Device| {
        action == Action::Publish || principal.children.iter().any(|child| **child == *device.id)
    };
    let about = about.filter(|about| speaks(about));
    let held = own.into_iter().chain(about).find(|device| !device.standing.talks_to(&device.id, topic))?;
    let why = format!(
        "its roles permit it, but \"{}\" is {}; release it: mohhos devices release {}",
        held.id,
        held.standing.words(),
        held.id
    );
    Some(Explanation { device: held.id.to_string(), ..Explanation::new(false, "state", why) })
}
