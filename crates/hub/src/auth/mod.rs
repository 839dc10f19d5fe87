//! Who may connect: principals, their secrets and passwords, and the threads that verify passwords.

pub mod principals;
pub mod secrets;
pub mod verification;
