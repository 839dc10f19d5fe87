//! Who may publish and subscribe to what: roles of patterns, compiled into an immutable snapshot with an epoch.

mod pattern;
mod snapshot;

pub use pattern::{Pattern, Scope};
pub use snapshot::{Denied, Policy, PolicySnapshot};
