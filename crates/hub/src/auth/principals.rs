//! The table of principals.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The MQTT user name; for a device, its device id.
    pub name: Arc<str>,
    /// What it is.
    pub kind: PrincipalKind,
    /// The name of its role.
    pub role: Arc<str>,
    /// How it proves who it is.
    pub credential: Credential,
    /// May it connect?
    pub enabled: bool,
    /// Device ids that it may speak for.
    pub children: Box<[Arc<str>]>,
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind {
    /// A device of the registry.
    Device,
    /// A program: dashboard, bridge.
    Application,
    /// A program that speaks for devices of another protocol.
    Adapter,
    /// A person.
    Operator,
    /// Nobody in particular: a client without credentials at a listener that allows it.
    Anonymous,
}

/// How a principal proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// HMAC-SHA-256 of a generated secret under the gateway's key.
    Secret([u8; 32]),
    /// The Argon2id PHC string of a password.
    Password(Box<str>),
    /// None was asked for.
    Anonymous,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credential::Secret(_) => "Secret",
            Credential::Password(_) => "Password",
            Credential::Anonymous => "Anonymous",
        })
    }
}

impl Principal {
    /// What a client without credentials is at a listener that allows it.
    pub fn anonymous(role: &str) -> Arc<Self> {
        Arc::new(Self {
            name: "anonymous".into(),
            kind: PrincipalKind::Anonymous,
            role: role.into(),
            credential: Credential::Anonymous,
            enabled: true,
            children: Box::default(),
        })
    }
}

/// All principals by name. Its lock is held for a look-up alone.
#[derive(Debug, Default)]
pub struct Principals {
    by_name: RwLock<FxHashMap<Arc<str>, Arc<Principal>>>,
}

impl Principals {
    /// The principal of a name.
    pub fn get(&self, name: &str) -> Option<Arc<Principal>> {
        self.by_name.read().get(name).cloned()
    }

    /// Adds or replaces; returns those that were there and are different now, and whether their sessions have to be
    /// disconnected (all changes but that of the children).
    pub fn put(&self, principals: Vec<Principal>) -> Vec<(Arc<str>, bool)> {
        let mut changed = Vec::new();
        let mut by_name = self.by_name.write();
        for principal in principals {
            let name = principal.name.clone();
            match by_name.get_mut(&name) {
                Some(before) if **before == principal => {}
                Some(before) => {
                    let same_otherwise = Principal { children: before.children.clone(), ..principal.clone() };
                    changed.push((name, **before != same_otherwise));
                    *before = Arc::new(principal);
                }
                None => {
                    by_name.insert(name, Arc::new(principal));
                }
            }
        }
        changed
    }

    /// Removes those that are there.
    pub fn remove(&self, names: &[String]) {
        let mut by_name = self.by_name.write();
        for name in names {
            by_name.remove(name.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, secret: u8) -> Principal {
        Principal {
            name: name.into(),
            kind: PrincipalKind::Device,
            role: "device".into(),
            credential: Credential::Secret([secret; 32]),
            enabled: true,
            children: Box::default(),
        }
    }

    #[test]
    fn putting_says_who_is_different_now() {
        let principals = Principals::default();
        assert!(principals.put(vec![device("a", 1), device("b", 1)]).is_empty());
        assert_eq!(principals.put(vec![device("a", 1), device("b", 2)]), [(Arc::from("b"), true)]);
        let parent = Principal { children: ["c".into()].into(), ..device("a", 1) };
        assert_eq!(principals.put(vec![parent]), [(Arc::from("a"), false)]);
        principals.remove(&["a".into()]);
        assert!(principals.get("a").is_none() && principals.get("b").is_some());
    }

    #[test]
    fn credentials_are_never_shown() {
        assert!(!format!("{:?}", device("a", 77)).contains("77"));
    }
}
