//! The table of principals.

use std::fmt;
use std::sync::Arc;

use mohhos_locks::{Mutex, RwLock};
use rustc_hash::{FxHashMap, FxHashSet};

/// The names of roles, or of groups.
pub type RoleList = Arc<[Arc<str>]>;

/// Who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The MQTT user name; for a device, its device id.
    pub name: Arc<str>,
    /// What it is.
    pub kind: PrincipalKind,
    /// The names of its roles.
    pub roles: RoleList,
    /// How it proves who it is.
    pub credential: Credential,
    /// May it connect?
    pub enabled: bool,
    /// Device ids that it may speak for.
    pub children: Box<[Arc<str>]>,
    /// The device that speaks for it.
    pub parent: Option<Arc<str>>,
    /// The groups that it belongs to: what `${group}` stands for in roles.
    pub groups: RoleList,
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
    /// An enabled principal with one role, and nobody to speak for.
    pub fn new(name: &str, kind: PrincipalKind, role: &str, credential: Credential) -> Self {
        Self {
            name: name.into(),
            kind,
            roles: [role.into()].into(),
            credential,
            enabled: true,
            children: Box::default(),
            parent: None,
            groups: RoleList::default(),
        }
    }

    /// What a client without credentials is at a listener that allows it.
    pub fn anonymous(role: &str) -> Arc<Self> {
        Arc::new(Self::new("anonymous", PrincipalKind::Anonymous, role, Credential::Anonymous))
    }

    /// Does it prove who it is in the same way, and may it connect as before? Then its sessions may go on.
    pub fn signs_in_as(&self, other: &Self) -> bool {
        self.kind == other.kind && self.credential == other.credential && self.enabled == other.enabled
    }
}

/// What putting a principal changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed {
    /// Who.
    pub name: Arc<str>,
    /// Its sessions have to end: its credentials, kind or state are others. Else they are held to what it may now.
    pub disconnect: bool,
}

/// All principals by name. Its lock is held for a look-up alone.
#[derive(Debug, Default)]
pub struct Principals {
    by_name: RwLock<FxHashMap<Arc<str>, Arc<Principal>>>,
    /// Lists of names that principals share, for most have the same roles and groups. Its lock is taken alone.
    lists: Mutex<FxHashSet<RoleList>>,
}

/// With more different lists than this, all are forgotten: they are no longer shared then, and nothing worse.
const MAX_LISTS: usize = 65_536;

impl Principals {
    /// The principal of a name.
    pub fn get(&self, name: &str) -> Option<Arc<Principal>> {
        self.by_name.read().get(name).cloned()
    }

    /// Adds or replaces; returns those that were there and are different now.
    pub fn put(&self, principals: Vec<Principal>) -> Vec<Changed> {
        let mut changed = Vec::new();
        let shared: Vec<Principal> =
            principals.into_iter().map(|principal| self.sharing(principal)).collect();
        let mut by_name = self.by_name.write();
        for principal in shared {
            let name = principal.name.clone();
            match by_name.get_mut(&name) {
                Some(before) if **before == principal => {}
                Some(before) => {
                    changed.push(Changed { name, disconnect: !before.signs_in_as(&principal) });
                    *before = Arc::new(principal);
                }
                None => {
                    by_name.insert(name, Arc::new(principal));
                }
            }
        }
        changed
    }

    /// The same principal, with the lists of others where they are equal.
    fn sharing(&self, mut principal: Principal) -> Principal {
        let mut lists = self.lists.lock();
        if lists.len() >= MAX_LISTS {
            lists.clear();
        }
        for list in [&mut principal.roles, &mut principal.groups] {
            match lists.get(list) {
                Some(known) => *list = known.clone(),
                None => {
                    lists.insert(list.clone());
                }
            }
        }
        principal
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
        Principal::new(name, PrincipalKind::Device, "device", Credential::Secret([secret; 32]))
    }

    fn changed(name: &str, disconnect: bool) -> Changed {
        Changed { name: name.into(), disconnect }
    }

    #[test]
    fn putting_says_who_is_different_now() {
        let principals = Principals::default();
        assert!(principals.put(vec![device("a", 1), device("b", 1)]).is_empty());
        assert_eq!(principals.put(vec![device("a", 1), device("b", 2)]), [changed("b", true)]);
        let parent = Principal { children: ["c".into()].into(), ..device("a", 1) };
        assert_eq!(principals.put(vec![parent]), [changed("a", false)]);
        let grouped = Principal { groups: ["g".into()].into(), ..device("a", 1) };
        assert_eq!(principals.put(vec![grouped]), [changed("a", false)]);
        let other = Principal { roles: ["x".into()].into(), ..device("a", 1) };
        assert_eq!(principals.put(vec![other]), [changed("a", false)]);
        let out = Principal { enabled: false, ..device("a", 1) };
        assert_eq!(principals.put(vec![out]), [changed("a", true)]);
        principals.remove(&["a".into()]);
        assert!(principals.get("a").is_none() && principals.get("b").is_some());
    }

    #[test]
    fn equal_roles_and_groups_are_kept_once() {
        let principals = Principals::default();
        principals.put(vec![device("a", 1), device("b", 1)]);
        let (a, b) = (principals.get("a").unwrap(), principals.get("b").unwrap());
        assert!(Arc::ptr_eq(&a.roles, &b.roles));
    }

    #[test]
    fn credentials_are_never_shown() {
        assert!(!format!("{:?}", device("a", 77)).contains("77"));
    }
}
