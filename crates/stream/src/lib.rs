//! The stream engine: a plan in, batches through operators, results out.

#![warn(missing_docs)]

mod calendar;
mod clock;
mod deploy;
mod dict;
mod engine;
mod error;
mod expr;
mod java;
mod operators;
mod outputs;
mod pipeline;
pub mod plan;
mod rule;
mod sinks;
mod snapshot;
mod source;
mod vector;
mod watermark;

pub use dict::EngineNames;
pub use engine::{Engine, EngineConfig};
pub use error::{PlanError, SnapshotError};
pub use outputs::{AlertOut, AlertState, CommandOut, MessageOut, OutputId, Outputs};
pub use rule::RuleStats;
