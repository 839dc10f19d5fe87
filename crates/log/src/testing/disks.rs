//! Many disks, each with a life of crashes, on several threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs the life of each of so many disks, which is named by its seed; how many crashes they had together. A life that
/// fails says its seed, and no other is begun.
///
/// # Panics
/// One of the lives does.
pub fn crash_disks(disks: u64, threads: usize, life: impl Fn(u64) -> u64 + Sync) -> u64 {
    let (next, crashes) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= disks {
                return;
            }
            let had = catch_unwind(AssertUnwindSafe(|| life(seed))).unwrap_or_else(|panic| {
                next.store(u64::MAX / 2, Ordering::Relaxed);
                eprintln!("with seed {seed}");
                resume_unwind(panic)
            });
            crashes.fetch_add(had, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    crashes.into_inner()
}
