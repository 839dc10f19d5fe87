//! The order, and what a thread holds of it.

/// A place in the order. What is taken first has the lower rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(u8);

impl Rank {
    /// Of the gateway's start and stop: all else may be taken meanwhile.
    pub const LIFE: Rank = Rank(10);
    /// Held during a whole piece of maintenance, files and all, by one thread at a time: a checkpoint, a trim, a write of
    /// the history.
    pub const WORK: Rank = Rank(20);
    /// A table from which others are looked at.
    pub const TABLE: Rank = Rank(30);
    /// Whoever holds it takes no other lock.
    pub const LEAF: Rank = Rank(u8::MAX);
}

#[cfg(debug_assertions)]
pub(crate) use checked::{Held, Place, check_wait};
#[cfg(not(debug_assertions))]
pub(crate) use unchecked::{Held, Place, check_wait};

#[cfg(debug_assertions)]
mod checked {
    use std::cell::RefCell;
    use std::panic::Location;

    use super::Rank;

    thread_local! {
        static HELD: RefCell<Vec<(Rank, &'static Location<'static>)>> = const { RefCell::new(Vec::new()) };
    }

    /// What a lock knows of its place in the order.
    pub(crate) struct Place(Rank);

    /// A lock of this rank is held, or is about to be.
    #[derive(Debug)]
    pub(crate) struct Held(Rank, &'static Location<'static>);

    impl Place {
        pub(crate) const fn new(rank: Rank) -> Place {
            Place(rank)
        }

        /// Before the lock is taken.
        #[track_caller]
        pub(crate) fn take(&self) -> Held {
            let rank = self.0;
            let here = Location::caller();
            let broken = HELD.with_borrow(|held| held.iter().find(|(other, _)| *other >= rank).copied());
            if let Some((other, there)) = broken {
                panic!(
                    "a lock of {rank:?} is taken at {here} while one of {other:?} is held, taken at {there}"
                );
            }
            HELD.with_borrow_mut(|held| held.push((rank, here)));
            Held(rank, here)
        }
    }

    /// A thread that waits may hold so many locks above [`Rank::WORK`].
    #[track_caller]
    pub(crate) fn check_wait(own: usize) {
        let short: Vec<_> =
            HELD.with_borrow(|held| held.iter().filter(|(rank, _)| *rank > Rank::WORK).copied().collect());
        if short.len() > own {
            panic!("at {} the thread waits for another while it holds {short:?}", Location::caller());
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            // Guards may be dropped in any order; a thread that ends may have lost its list already.
            let _ = HELD.try_with(|held| {
                let mut held = held.borrow_mut();
                if let Some(at) = held.iter().rposition(|entry| *entry == (self.0, self.1)) {
                    held.remove(at);
                }
            });
        }
    }
}

/// To be called before a thread waits for another one by other means than a [`Condvar`](crate::Condvar), which does it
/// itself: for an answer through a channel, for the end of a thread.
///
/// # Panics
/// In debug builds, if the thread holds a lock that the other one may need: any above [`Rank::WORK`].
#[inline]
#[track_caller]
pub fn about_to_wait() {
    check_wait(0);
}

#[cfg(not(debug_assertions))]
mod unchecked {
    use super::Rank;

    pub(crate) struct Place;

    #[derive(Debug)]
    pub(crate) struct Held;

    impl Place {
        pub(crate) const fn new(_: Rank) -> Place {
            Place
        }

        #[inline(always)]
        pub(crate) fn take(&self) -> Held {
            Held
        }
    }

    #[inline(always)]
    pub(crate) fn check_wait(_: usize) {}
}
