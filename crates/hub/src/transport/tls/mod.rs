//! TLS 1.2 and 1.3 (rustls): certificates and their renewal, handshakes off the shards, and records on them.

pub mod acceptor;
mod der;
pub mod files;
pub mod handshake;
pub mod identity;
pub mod records;
mod remembered;
mod validity;
