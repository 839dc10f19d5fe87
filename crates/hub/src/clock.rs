//! The clock, injected everywhere: wall time for records, monotonic time for deadlines.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use mohhos_locks::Mutex;

/// What a [`Clock`] calls when its time was changed by hand.
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Microseconds since the epoch, UTC.
    fn wall_us(&self) -> i64;
    /// Microseconds that never go back and do not jump.
    fn mono_us(&self) -> u64;
    /// Is the wall clock known to be right (synchronised with a time source)?
    fn synchronised(&self) -> bool;
    /// Asks to be called when monotonic time moved other than by itself. A real clock never does that.
    fn on_change(&self, waker: Waker) {
        drop(waker);
    }
}

/// The operating system's clock, not before a given time (the build, the last record of the log).
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    floor_us: i64,
}

impl SystemClock {
    /// A clock that never shows a time before `floor_us` plus the time that passed since now. Without a
    /// battery-backed clock the system starts in 1970, and records must not go back in time.
    pub fn new(floor_us: i64) -> Self {
        Self { start: Instant::now(), floor_us }
    }
}

impl Clock for SystemClock {
    #[inline]
    fn wall_us(&self) -> i64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid timespec for the call to fill in.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) };
        let real = time.tv_sec * 1_000_000 + time.tv_nsec / 1_000;
        real.max(self.floor_us.saturating_add(self.mono_us() as i64))
    }

    #[inline]
    fn mono_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn synchronised(&self) -> bool {
        // SAFETY: a zeroed timex is a query (no mode set) that the call fills in.
        let mut state: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: `state` is a valid timex; without a mode the call changes nothing.
        let answer = unsafe { libc::adjtimex(&mut state) };
        answer >= 0 && answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0
    }
}

/// A clock that stands still until it is moved: for tests.
#[derive(Default)]
pub struct ManualClock {
    wall_us: AtomicI64,
    mono_us: AtomicU64,
    wakers: Mutex<Vec<Waker>>,
}

impl ManualClock {
    /// A clock that shows `wall_us`.
    pub fn new(wall_us: i64) -> Self {
        Self { wall_us: AtomicI64::new(wall_us), mono_us: AtomicU64::new(0), wakers: Mutex::default() }
    }

    /// Lets time pass, and wakes whoever waits for it.
    pub fn advance(&self, by_us: u64) {
        self.wall_us.fetch_add(by_us as i64, Ordering::SeqCst);
        self.mono_us.fetch_add(by_us, Ordering::SeqCst);
        for waker in self.wakers.lock().iter() {
            waker();
        }
    }

    /// Sets the wall clock alone, as a time source would that corrects it.
    pub fn set_wall(&self, wall_us: i64) {
        self.wall_us.store(wall_us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_us(&self) -> i64 {
        self.wall_us.load(Ordering::SeqCst)
    }

    fn mono_us(&self) -> u64 {
        self.mono_us.load(Ordering::SeqCst)
    }

    fn synchronised(&self) -> bool {
        true
    }

    fn on_change(&self, waker: Waker) {
        self.wakers.lock().push(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_clock_never_shows_a_time_before_its_floor() {
        let far = 4_000_000_000_000_000;
        assert!(SystemClock::new(far).wall_us() >= far);
        let now = SystemClock::new(0).wall_us();
        assert!(now > 1_700_000_000_000_000 && now < far);
    }

    #[test]
    fn moving_a_manual_clock_wakes_whoever_waits() {
        let clock = ManualClock::new(5);
        let (sender, receiver) = std::sync::mpsc::channel();
        clock.on_change(Box::new(move || sender.send(()).unwrap()));
        clock.advance(10);
        assert_eq!((clock.wall_us(), clock.mono_us()), (15, 10));
        receiver.try_recv().unwrap();
    }
}
