//! Many readers, or one writer.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::order::{Held, Place, Rank};

/// A value for many readers or one writer at a time.
pub struct RwLock<T: ?Sized> {
    place: Place,
    inner: parking_lot::RwLock<T>,
}

/// The value to read, as long as this lives.
pub struct ReadGuard<'a, T: ?Sized> {
    inner: parking_lot::RwLockReadGuard<'a, T>,
    _held: Held,
}

/// The value to change, as long as this lives.
pub struct WriteGuard<'a, T: ?Sized> {
    inner: parking_lot::RwLockWriteGuard<'a, T>,
    _held: Held,
}

impl<T> RwLock<T> {
    /// A lock under which no other is taken.
    pub const fn new(value: T) -> Self {
        Self::ranked(Rank::LEAF, value)
    }

    /// A lock with a place in the order.
    pub const fn ranked(rank: Rank, value: T) -> Self {
        Self { place: Place::new(rank), inner: parking_lot::RwLock::new(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody changes the value.
    ///
    /// # Panics
    /// In debug builds, if the thread holds a lock of the same or a higher rank: this one too, for a writer that waits
    /// between two readings would wait for ever.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> ReadGuard<'_, T> {
        let held = self.place.take();
        ReadGuard { inner: self.inner.read(), _held: held }
    }

    /// Waits until nobody else has the value.
    ///
    /// # Panics
    /// As [`RwLock::read`].
    #[inline]
    #[track_caller]
    pub fn write(&self) -> WriteGuard<'_, T> {
        let held = self.place.take();
        WriteGuard { inner: self.inner.write(), _held: held }
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Deref for WriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_while_its_entries_are_locked() {
        let table = RwLock::ranked(Rank::TABLE, vec![crate::Mutex::new(1)]);
        *table.read()[0].lock() += 1;
        table.write().push(crate::Mutex::new(3));
        assert_eq!(table.read().iter().map(|entry| *entry.lock()).sum::<i32>(), 5);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "is taken at")]
    fn a_thread_does_not_read_twice() {
        let lock = RwLock::new(1);
        let first = lock.read();
        assert_eq!(*first, *lock.read());
    }
}
