//! How many sessions each principal keeps: those that outlive their connections. Otherwise one principal, with a new client id
//! for each connection, could fill the memory and the log with sessions for days.

use std::sync::{Arc, Weak};

use mohhos_locks::Mutex;
use rustc_hash::FxHashMap;

/// One for each session that is kept, the same for all of a principal: they are counted by who holds it.
#[derive(Debug)]
pub struct Keeper(());

/// The principals that keep sessions. Its lock is held for a look-up alone.
#[derive(Debug, Default)]
pub struct Keepers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_principal: FxHashMap<Arc<str>, Weak<Keeper>>,
    /// With so many entries those that keep no session any more are looked for.
    sweep_at: usize,
}

const FIRST_SWEEP: usize = 1024;

impl Keepers {
    /// Lets a principal keep one session more, unless it keeps `most` already.
    pub fn keep(&self, principal: &Arc<str>, most: usize) -> Option<Arc<Keeper>> {
        let mut inner = self.inner.lock();
        if let Some(keeper) = inner.by_principal.get(principal).and_then(Weak::upgrade) {
            let kept = Arc::strong_count(&keeper) - 1;
            return (kept < most).then_some(keeper);
        }
        if inner.by_principal.len() >= inner.sweep_at {
            inner.by_principal.retain(|_, keeper| keeper.strong_count() > 0);
            inner.sweep_at = (inner.by_principal.len() * 2).max(FIRST_SWEEP);
        }
        let keeper = Arc::new(Keeper(()));
        inner.by_principal.insert(principal.clone(), Arc::downgrade(&keeper));
        (most > 0).then_some(keeper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_keeps_so_many_sessions_and_gets_their_places_back() {
        let keepers = Keepers::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let mut kept: Vec<_> = (0..3).map(|_| keepers.keep(&one, 3).unwrap()).collect();
        assert!(keepers.keep(&one, 3).is_none());
        assert!(keepers.keep(&other, 3).is_some(), "each has places of its own");
        kept.pop();
        assert!(keepers.keep(&one, 3).is_some());
    }

    #[test]
    fn principals_that_keep_nothing_are_forgotten() {
        let keepers = Keepers::default();
        let kept = keepers.keep(&"kept".into(), 1);
        for n in 0..10 * FIRST_SWEEP {
            keepers.keep(&format!("{n}").into(), 1).unwrap();
        }
        assert!(keepers.inner.lock().by_principal.len() <= FIRST_SWEEP);
        assert!(kept.is_some() && keepers.keep(&"kept".into(), 1).is_none());
    }
}
