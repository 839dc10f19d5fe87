//! Mutual exclusion.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::order::{Held, Place, Rank};

/// A value for one thread at a time.
pub struct Mutex<T: ?Sized> {
    place: Place,
    inner: parking_lot::Mutex<T>,
}

/// The value, as long as this lives.
pub struct MutexGuard<'a, T: ?Sized> {
    pub(crate) inner: parking_lot::MutexGuard<'a, T>,
    _held: Held,
}

impl<T> Mutex<T> {
    /// A lock under which no other is taken.
    pub const fn new(value: T) -> Self {
        Self::ranked(Rank::LEAF, value)
    }

    /// A lock with a place in the order.
    pub const fn ranked(rank: Rank, value: T) -> Self {
        Self { place: Place::new(rank), inner: parking_lot::Mutex::new(value) }
    }

    /// The value; nobody else has the lock.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until no other thread has the value.
    ///
    /// # Panics
    /// In debug builds, if the thread holds a lock of the same or a higher rank.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let held = self.place.take();
        MutexGuard { inner: self.inner.lock(), _held: held }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

#[cfg(test)]
mod tests {
    #[cfg(debug_assertions)]
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn locks_are_taken_in_the_order_of_their_ranks() {
        let (outer, inner) = (Mutex::ranked(Rank::WORK, 1), Mutex::new(2));
        let first = outer.lock();
        assert_eq!((*first, *inner.lock()), (1, 2));
        drop(first);
        assert_eq!(*inner.lock(), 2);
        assert_eq!(*outer.lock(), 1, "one after the other any order will do");
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_lock_taken_against_the_order_is_told_with_both_places() {
        let (outer, inner, other) = (Mutex::ranked(Rank::WORK, ()), Mutex::new(()), Mutex::new(()));
        for wrong in [&outer, &other] {
            let broken = catch_unwind(AssertUnwindSafe(|| {
                let _inner = inner.lock();
                drop(wrong.lock());
            }));
            let told = *broken.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(told.matches("mutex.rs").count(), 2, "{told}");
        }
        // Whoever comes after the panic finds everything released.
        drop((outer.lock(), inner.lock()));
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_thread_does_not_wait_for_itself() {
        let lock = Mutex::new(());
        let _first = lock.lock();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(lock.lock()))).is_err());
    }
}
