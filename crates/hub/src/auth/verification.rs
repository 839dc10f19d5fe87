//! Passwords that wait to be verified. Argon2id takes tens of milliseconds and 19 MiB, on purpose: a bound on threads and
//! on the queue keeps a flood of guesses from taking the processor and the memory.

use std::sync::Weak;

use super::secrets::verify_password;
use crate::pool::Job;

/// A password to verify, and what to do with the answer.
pub struct Verification {
    /// The Argon2id PHC string.
    pub phc: Box<str>,
    /// What the client sent.
    pub password: Box<[u8]>,
    /// Alive while the connection waits for the answer.
    pub awaited: Weak<()>,
    /// Called with the answer on a thread of the pool.
    pub done: Box<dyn FnOnce(bool) + Send>,
}

impl Job for Verification {
    fn is_wanted(&self) -> bool {
        self.awaited.strong_count() > 0
    }

    fn run(self) {
        (self.done)(verify_password(&self.phc, &self.password));
    }
}
