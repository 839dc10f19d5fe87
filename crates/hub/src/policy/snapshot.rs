//! The compiled roles, swapped as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use mohhos_locks::Mutex;
use rustc_hash::FxHashMap;

use super::grant::Grant;
use super::meter::{Meter, Meters};
use super::role::{self, Role};
use crate::auth::principals::{Principal, PrincipalKind, RoleList};
use crate::error::HubError;

/// So many combinations of roles are kept bound; there are few, for principals are many and roles are not.
const MAX_GRANTS: usize = 4096;

/// The roles at one time. What they say never changes.
#[derive(Debug)]
pub struct PolicySnapshot {
    roles: FxHashMap<Arc<str>, Arc<Role>>,
    /// The combinations of roles that were asked for, each bound once.
    grants: Mutex<FxHashMap<RoleList, Arc<Grant>>>,
}

/// The current snapshot and its epoch: what was decided under an older epoch has to be decided again.
#[derive(Debug)]
pub struct Policy {
    current: ArcSwap<PolicySnapshot>,
    epoch: AtomicU64,
    meters: Meters,
}

impl PolicySnapshot {
    /// Compiles the JSON of [`crate::Hub::put_roles`].
    pub fn parse(json: &str) -> Result<Self, HubError> {
        let roles = role::parse(json)?.into_iter().map(|role| (role.name.clone(), role)).collect();
        Ok(Self { roles, grants: Mutex::default() })
    }

    /// What a list of roles grants.
    pub fn grant(&self, roles: &RoleList) -> Arc<Grant> {
        let mut grants = self.grants.lock();
        if let Some(grant) = grants.get(roles) {
            return grant.clone();
        }
        let find = |name: &Arc<str>| self.roles.get(name).cloned().ok_or_else(|| name.clone());
        let grant = Arc::new(Grant::new(roles.iter().map(find)));
        if grants.len() >= MAX_GRANTS {
            grants.clear();
        }
        grants.insert(roles.clone(), grant.clone());
        grant
    }
}

impl Policy {
    /// The built-in role alone.
    pub fn new() -> Result<Self, HubError> {
        Ok(Self {
            current: ArcSwap::from_pointee(PolicySnapshot::parse("{}")?),
            epoch: AtomicU64::new(1),
            meters: Meters::default(),
        })
    }

    /// What the principal's roles grant now.
    pub fn grant(&self, principal: &Principal) -> Arc<Grant> {
        self.current.load().grant(&principal.roles)
    }

    /// What is left of the principal's limits, if it has any that concern messages; shared by all its sessions. Each
    /// anonymous client has its own, for they are not one client.
    pub fn meter(&self, principal: &Principal) -> Option<Arc<Meter>> {
        let limits = self.grant(principal).limits;
        match principal.kind {
            _ if !limits.is_metered() => None,
            PrincipalKind::Anonymous => Some(Arc::new(Meter::new(limits))),
            _ => Some(self.meters.of(&principal.name, limits)),
        }
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

    /// Makes all decisions be taken again.
    pub fn renew(&self) {
        self.epoch.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principals::Credential;

    fn principal(name: &str, kind: PrincipalKind, role: &str) -> Principal {
        Principal::new(name, kind, role, Credential::Anonymous)
    }

    #[test]
    fn roles_are_bound_once_for_all_that_have_them_and_anew_when_they_change() {
        let policy = Policy::new().unwrap();
        let (a, b) = (
            principal("a", PrincipalKind::Device, "device"),
            principal("b", PrincipalKind::Device, "device"),
        );
        assert!(Arc::ptr_eq(&policy.grant(&a), &policy.grant(&b)));
        let (before, epoch) = (policy.grant(&a), policy.epoch());
        policy.replace(PolicySnapshot::parse("{}").unwrap());
        assert!(!Arc::ptr_eq(&before, &policy.grant(&a)));
        assert!(policy.epoch() > epoch);
    }

    #[test]
    fn sessions_of_one_principal_share_its_limits_and_anonymous_clients_do_not() {
        let policy = Policy::new().unwrap();
        let json = r#"{"slow": {"limits": {"messages_per_s": 1}}}"#;
        policy.replace(PolicySnapshot::parse(json).unwrap());
        let app = principal("app", PrincipalKind::Application, "slow");
        let (first, second) = (policy.meter(&app).unwrap(), policy.meter(&app).unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        let anybody = principal("anonymous", PrincipalKind::Anonymous, "slow");
        assert!(!Arc::ptr_eq(&policy.meter(&anybody).unwrap(), &policy.meter(&anybody).unwrap()));
        assert!(policy.meter(&principal("p", PrincipalKind::Device, "device")).is_none());
        policy.replace(PolicySnapshot::parse(r#"{"slow": {"limits": {"messages_per_s": 2}}}"#).unwrap());
        assert!(!Arc::ptr_eq(&first, &policy.meter(&app).unwrap()), "a new limit is a new bucket");
    }
}
