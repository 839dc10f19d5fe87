//! Wakes one thread that waits for several sources.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mohhos_locks::{Condvar, Mutex};

/// Many may raise it, one waits. Raising it while nobody waits is one atomic operation.
#[derive(Debug, Default)]
pub struct Signal {
    raised: AtomicBool,
    waiting: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Signal {
    /// Wakes the thread that waits, or lets its next wait return at once.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) {
            drop(self.lock.lock());
            self.wake.notify_one();
        }
    }

    /// Waits until it is raised, at most `timeout`; true if it was. It is lowered then.
    pub fn wait(&self, timeout: Duration) -> bool {
        if self.raised.swap(false, Ordering::SeqCst) {
            return true;
        }
        let mut guard = self.lock.lock();
        self.waiting.store(true, Ordering::SeqCst);
        // Raised between the first look and the line above: nobody notifies then.
        if !self.raised.load(Ordering::SeqCst) {
            self.wake.wait_for(&mut guard, timeout);
        }
        self.waiting.store(false, Ordering::SeqCst);
        self.raised.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_was_raised_before_is_not_missed() {
        let signal = Signal::default();
        signal.raise();
        assert!(signal.wait(Duration::ZERO));
        assert!(!signal.wait(Duration::ZERO));
    }

    #[test]
    fn it_wakes_a_thread_that_waits() {
        let signal = Arc::new(Signal::default());
        let other = signal.clone();
        let thread = std::thread::spawn(move || other.wait(Duration::from_secs(10)));
        signal.raise();
        assert!(thread.join().unwrap());
    }
}
