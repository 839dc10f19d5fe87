//! Sinks: from rows to alerts, commands and messages. One file each.

mod alerts;
mod commands;
mod topic;

use std::sync::Arc;

pub(crate) use alerts::Alerts;
pub(crate) use commands::Commands;
pub(crate) use topic::{Payload, Topic, topic_fault};

use crate::dict::EngineNames;
use crate::error::RuleFailure;
use crate::outputs::Outputs;
use crate::plan::Type;
use crate::vector::{Frame, Scalar, Vector};

/// The end of a rule.
pub(crate) trait Sink: Send {
    /// Writes the rows that are still in the frame.
    fn write(&mut self, frame: &Frame<'_>, emitter: &mut Emitter<'_>) -> Result<(), RuleFailure>;
}

/// Where sinks write to, on behalf of one rule.
pub(crate) struct Emitter<'o> {
    pub(crate) rule: &'o str,
    pub(crate) version: u32,
    pub(crate) names: &'o EngineNames,
    pub(crate) outputs: &'o mut dyn Outputs,
    /// Rows that were written.
    pub(crate) rows: u64,
    /// Rows that could not be, and why the first could not.
    pub(crate) failed: u64,
    pub(crate) failure: Option<String>,
}

impl Emitter<'_> {
    fn fail(&mut self, why: impl FnOnce() -> String) {
        self.failed += 1;
        if self.failure.is_none() {
            self.failure = Some(why());
        }
    }
}

/// A column that a sink reads, in its input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SinkColumn {
    pub(crate) index: usize,
    pub(crate) kind: Type,
}

/// A column's rows; all NULL if the sink has none.
struct Cells<'f> {
    vector: Option<Vector<'f>>,
    kind: Type,
}

impl<'f> Cells<'f> {
    fn of(frame: &'f Frame<'_>, column: Option<SinkColumn>) -> Self {
        let kind = column.map_or(Type::Text, |c| c.kind);
        Self { vector: column.map(|c| frame.column(c.index)), kind }
    }

    fn scalar(&self, row: usize) -> Scalar<'_> {
        self.vector.as_ref().map_or(Scalar::Null, |v| v.scalar(row))
    }

    fn i64(&self, row: usize) -> Option<i64> {
        if let Scalar::I64(v) = self.scalar(row) { Some(v) } else { None }
    }

    fn f64(&self, row: usize) -> Option<f64> {
        match self.scalar(row) {
            Scalar::F64(v) => Some(v),
            Scalar::I64(v) => Some(v as f64),
            _ => None,
        }
    }

    /// The string of a row, whatever it is held as.
    fn text<'s>(&'s self, row: usize, names: &EngineNames) -> Option<Text<'s>> {
        match self.scalar(row) {
            Scalar::Text(text) => Some(Text::Borrowed(text)),
            Scalar::I64(code) => names.of(self.kind)?.text(code as u32).map(Text::Shared),
            _ => None,
        }
    }

    /// The device of a row: `None` for NULL; an error names a device that is not known.
    fn device(&self, row: usize, names: &EngineNames) -> Option<Result<(u32, Text<'_>), String>> {
        let text = self.text(row, names)?;
        let code = match self.scalar(row) {
            Scalar::I64(code) if self.kind == Type::Device => Some(code as u32),
            _ => names.devices.code(&text),
        };
        Some(match code {
            Some(code) => Ok((code, text)),
            None => Err(format!("there is no device `{}`", &*text)),
        })
    }
}

/// A string that is borrowed from a column or shared with a dictionary.
enum Text<'s> {
    Borrowed(&'s str),
    Shared(Arc<str>),
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Shared(text) => text,
        }
    }
}
