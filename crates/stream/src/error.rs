//! What can go wrong: at deployment, while a rule runs, and when a snapshot is read.

use thiserror::Error;

/// A plan cannot be run. The rule that was there before goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("operator `{operator}`: {message}")]
pub struct PlanError {
    /// The id of the operator or sink; `plan` if it is the plan as a whole.
    pub operator: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl PlanError {
    /// An error at an operator.
    pub fn new(operator: &str, message: impl Into<String>) -> Self {
        Self { operator: operator.to_owned(), message: message.into() }
    }

    /// An error of the plan as a whole.
    pub fn plan(message: impl Into<String>) -> Self {
        Self::new("plan", message)
    }
}

/// A rule cannot go on. It is stopped; the other rules run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("operator `{operator}`: {message}")]
pub struct RuleFailure {
    /// The id of the operator or sink.
    pub operator: String,
    /// What happened.
    pub message: String,
}

impl RuleFailure {
    /// A failure at an operator.
    pub fn new(operator: &str, message: impl Into<String>) -> Self {
        Self { operator: operator.to_owned(), message: message.into() }
    }
}

/// A snapshot cannot be read; the engine is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// The first bytes are not those of a snapshot.
    #[error("this is not a snapshot of the stream engine")]
    NotASnapshot,
    /// Written by a build that is newer than this one.
    #[error(
        "the snapshot has format version {0}; this build reads version {1} and older: use the newer build"
    )]
    Version(u32, u32),
    /// It ends early or contradicts itself.
    #[error("the snapshot is damaged: {0}; start the rules without it")]
    Damaged(String),
}
