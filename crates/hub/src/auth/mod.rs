//! Who may connect: principals, their secrets and passwords, and the threads that verify passwords.

pub mod hash_pool;
pub mod principals;
pub mod secrets;
