//! One rule in the engine: what is known of it, and what happens when something goes wrong in it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dict::EngineNames;
use crate::error::RuleFailure;
use crate::outputs::Outputs;
use crate::pipeline::Pipeline;
use crate::sinks::Emitter;

/// What is known of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStats {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// `None` while it runs; else why it was stopped.
    pub error: Option<String>,
    /// Rows of its source's batches.
    pub rows_in: u64,
    /// Rows its sink has written.
    pub rows_out: u64,
    /// Rows its sink could not take.
    pub rows_failed: u64,
    /// Why the last of them could not be taken.
    pub row_error: Option<String>,
    /// Rows that came after their window had closed.
    pub late: u64,
    /// The size of its state.
    pub state_bytes: usize,
    /// When it last wrote a row, wall time.
    pub last_output_us: Option<i64>,
}

/// A deployed rule, running or failed.
pub(crate) struct Rule {
    pub(crate) plan: String,
    pub(crate) stats: RuleStats,
    /// `None` once it has failed.
    pub(crate) pipeline: Option<Pipeline>,
}

impl Rule {
    pub(crate) fn new(name: &str, version: u32, plan: &str, pipeline: Pipeline) -> Self {
        let stats = RuleStats {
            name: name.to_owned(),
            version,
            error: None,
            rows_in: 0,
            rows_out: 0,
            rows_failed: 0,
            row_error: None,
            late: 0,
            state_bytes: 0,
            last_output_us: None,
        };
        Self { plan: plan.to_owned(), stats, pipeline: Some(pipeline) }
    }

    pub(crate) fn fail(&mut self, message: &str, outputs: &mut dyn Outputs) {
        self.stats.late = self.pipeline.as_ref().map_or(self.stats.late, Pipeline::late);
        self.pipeline = None;
        self.stats.error = Some(message.to_owned());
        outputs.failed(&self.stats.name, message);
    }

    /// Runs something through the pipeline. Whatever goes wrong stops this rule alone.
    pub(crate) fn run(
        &mut self,
        names: &EngineNames,
        max_bytes: usize,
        now_us: i64,
        outputs: &mut dyn Outputs,
        what: impl FnOnce(&mut Pipeline, &mut Emitter<'_>) -> Result<(), RuleFailure>,
    ) {
        let Some(pipeline) = &mut self.pipeline else { return };
        let mut emitter = Emitter {
            rule: &self.stats.name,
            version: self.stats.version,
            names,
            outputs: &mut *outputs,
            rows: 0,
            failed: 0,
            failure: None,
        };
        // A pipeline that panicked is dropped: nobody sees what state it left.
        let outcome = catch_unwind(AssertUnwindSafe(|| what(&mut *pipeline, &mut emitter)));
        let (rows, failed, failure) = (emitter.rows, emitter.failed, emitter.failure.take());
        let bytes = pipeline.bytes();
        if rows > 0 {
            self.stats.rows_out += rows;
            self.stats.last_output_us = Some(now_us);
        }
        if let Some(why) = failure {
            self.stats.rows_failed += failed;
            outputs.rows_failed(&self.stats.name, failed, &why);
            self.stats.row_error = Some(why);
        }
        let message = match outcome {
            Ok(Ok(())) if bytes <= max_bytes => return,
            Ok(Ok(())) => format!(
                "its state has {bytes} bytes, more than the {max_bytes} that stream.max_state allows: \
                 use fewer keys or shorter windows, or raise the bound"
            ),
            Ok(Err(failure)) => failure.to_string(),
            Err(panic) => {
                format!("it ran into a defect of the gateway, please report it: {}", panic_words(&panic))
            }
        };
        self.fail(&message, outputs);
    }
}

fn panic_words(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()))
        .unwrap_or_else(|| "without words".into())
}
