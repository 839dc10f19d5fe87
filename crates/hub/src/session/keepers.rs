//! How many sessions each principal keeps: those that outlive their connections. Otherwise one principal, with a new client id
//! for each connection, could fill the memory and the log with sessions for days.

use std::sync::Arc;

use mohhos_locks::Mutex;

use crate::in_use::InUse;

/// One for each session that is kept, the same for all of a principal: they are counted by who holds it.
#[derive(Debug)]
pub struct Keeper(());

/// The principals that keep sessions. Its lock is held for a look-up alone.
#[derive(Debug, Default)]
pub struct Keepers {
    in_use: Mutex<InUse<Keeper>>,
}

impl Keepers {
    /// Lets a principal keep one session more, unless it keeps `most` already.
    pub fn keep(&self, principal: &Arc<str>, most: usize) -> Option<Arc<Keeper>> {
        let mut in_use = self.in_use.lock();
        if let Some(keeper) = in_use.of(principal) {
            let kept = Arc::strong_count(&keeper) - 1;
            return (kept < most).then_some(keeper);
        }
        let keeper = in_use.begin(principal, Keeper(()));
        (most > 0).then_some(keeper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_use::FIRST_SWEEP;

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
        assert!(keepers.in_use.lock().len() <= FIRST_SWEEP);
        assert!(kept.is_some() && keepers.keep(&"kept".into(), 1).is_none());
    }
}
