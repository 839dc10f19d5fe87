//! The stream engine: a plan in, batches through operators, results out.

#![warn(missing_docs)]

pub mod plan;
