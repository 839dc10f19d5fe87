//! What sessions of one principal share, for as long as one of them holds it.

use std::sync::{Arc, Weak};

use rustc_hash::FxHashMap;

/// With so many entries those that nobody holds any more are looked for the first time.
pub const FIRST_SWEEP: usize = 1024;

/// One value for each principal, held by its sessions alone: memory is bounded by twice as many as are held.
#[derive(Debug)]
pub struct InUse<T> {
    by_principal: FxHashMap<Arc<str>, Weak<T>>,
    /// With so many entries those that nobody holds any more are looked for.
    sweep_at: usize,
}

impl<T> Default for InUse<T> {
    fn default() -> Self {
        Self { by_principal: FxHashMap::default(), sweep_at: 0 }
    }
}

impl<T> InUse<T> {
    /// The value of a principal, if somebody holds it.
    pub fn of(&self, principal: &Arc<str>) -> Option<Arc<T>> {
        self.by_principal.get(principal).and_then(Weak::upgrade)
    }

    /// Makes this the value of a principal, in the place of one that others may hold still.
    pub fn begin(&mut self, principal: &Arc<str>, value: T) -> Arc<T> {
        if self.by_principal.len() >= self.sweep_at {
            self.by_principal.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = (self.by_principal.len() * 2).max(FIRST_SWEEP);
        }
        let value = Arc::new(value);
        self.by_principal.insert(principal.clone(), Arc::downgrade(&value));
        value
    }

    /// How many there are, with those that nobody holds any more.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_principal.len()
    }
}
