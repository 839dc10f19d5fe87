//! A strict scanner of JSON (RFC 8259): no tree, no copies except of strings with escapes.

mod number;
mod scan;
mod text;

pub(crate) use scan::Scan;
