//! TLS of the generator's devices: an authority of their own, a certificate for each, P-256 throughout.

mod channel;
mod identity;
pub mod pki;

pub use channel::Channel;
pub use identity::{Clients, Identity};
