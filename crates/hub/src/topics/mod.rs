//! The topic space: who subscribes to what, what is retained, who watches.

pub mod message;
pub mod retained;
pub mod route;
pub mod share;
pub mod tap;
pub mod trie;
