//! Waiting for a change of what a [`Mutex`](crate::Mutex) guards.

use std::time::{Duration, Instant};

pub use parking_lot::WaitTimeoutResult;

use crate::mutex::MutexGuard;
use crate::order::check_wait;

/// Wakes threads that wait for a change. Whoever waits gives the lock away meanwhile, and holds no other
/// above [`Rank::WORK`](crate::Rank::WORK), which debug builds check: the one that changes the value may need it.
#[derive(Debug, Default)]
pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    /// Waits until it is notified.
    #[track_caller]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        check_wait(1);
        self.0.wait(&mut guard.inner);
    }

    /// As [`Condvar::wait`], no longer than this.
    #[track_caller]
    pub fn wait_for<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, timeout: Duration) -> WaitTimeoutResult {
        check_wait(1);
        self.0.wait_for(&mut guard.inner, timeout)
    }

    /// As [`Condvar::wait`], no longer than until then.
    #[track_caller]
    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        check_wait(1);
        self.0.wait_until(&mut guard.inner, deadline)
    }

    /// Wakes one thread that waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all threads that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Mutex, Rank};

    #[test]
    fn a_change_is_waited_for() {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let other = shared.clone();
        let thread = std::thread::spawn(move || {
            *other.0.lock() = true;
            other.1.notify_all();
        });
        let work = Mutex::ranked(Rank::WORK, ());
        let _during_work = work.lock();
        let mut changed = shared.0.lock();
        while !*changed {
            shared.1.wait(&mut changed);
        }
        drop(changed);
        thread.join().unwrap();
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "waits for another")]
    fn nobody_waits_with_a_table_locked() {
        let (table, change) = (Mutex::ranked(Rank::TABLE, ()), Mutex::new(()));
        let _table = table.lock();
        Condvar::new().wait_for(&mut change.lock(), Duration::ZERO);
    }
}
