//! Locks that cannot be taken in two orders: the only ones in this workspace.
//!
//! Each lock has a [`Rank`]. A thread that holds a lock may take only locks of a higher rank, so threads can never wait
//! for each other in a circle. Nearly all locks are [`Rank::LEAF`]: whoever holds one takes no other. Debug builds, and so
//! all tests and fuzz targets, panic at the call that breaks the order, whether or not another thread is in the way at
//! that moment; in release builds the ranks are not there.
//!
//! The locks are those of parking_lot: no poisoning, and a thread must not take one twice, not even to read.

#![allow(clippy::disallowed_types, reason = "they are made of those of parking_lot, which nobody else uses")]

mod condvar;
mod mutex;
mod order;
mod rwlock;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{Mutex, MutexGuard};
pub use order::{Rank, about_to_wait};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
