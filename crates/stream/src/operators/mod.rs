//! Operators: what stands between a source and a sink. One file each.

mod filter;
mod project;
pub(crate) mod tumble;

pub(crate) use filter::Filter;
pub(crate) use project::Project;
pub(crate) use tumble::Tumble;

use crate::error::{RuleFailure, SnapshotError};
use crate::sinks::{Emitter, Sink};
use crate::snapshot::{Reader, Writer};
use crate::vector::Frame;
use crate::watermark::Watermarks;

/// What operators share while something runs through them.
pub(crate) struct Context<'c> {
    /// Event time of the rule's source.
    pub(crate) watermarks: &'c mut Watermarks,
    /// The rule's bound on state, for what would grow at once.
    pub(crate) max_state_bytes: usize,
}

/// One step of a rule. Rows come in frames; what comes out goes to `next`, in the same call.
pub(crate) trait Operator: Send {
    /// Its id in the plan.
    fn id(&self) -> &str;

    /// Rows came.
    fn on_batch(
        &mut self,
        frame: Frame<'_>,
        context: &mut Context<'_>,
        next: &mut Downstream<'_, '_>,
    ) -> Result<(), RuleFailure>;

    /// The watermark of these groups has reached what was registered for them.
    fn on_watermark(
        &mut self,
        groups: &[u32],
        context: &mut Context<'_>,
        next: &mut Downstream<'_, '_>,
    ) -> Result<(), RuleFailure> {
        next.on_watermark(groups, context)
    }

    /// Time has passed, whether or not rows came.
    fn on_timer(
        &mut self,
        now_us: i64,
        context: &mut Context<'_>,
        next: &mut Downstream<'_, '_>,
    ) -> Result<(), RuleFailure> {
        next.on_timer(now_us, context)
    }

    /// Writes its state.
    fn snapshot(&self, _out: &mut Writer) {}

    /// Reads its state into an operator that has none. Watermarks are restored before.
    fn restore(&mut self, _input: &mut Reader<'_>, _context: &mut Context<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// The size of its state.
    fn bytes(&self) -> usize {
        0
    }

    /// Rows that came too late for it.
    fn late(&self) -> u64 {
        0
    }
}

/// The rest of a rule, as an operator sees it.
pub(crate) struct Downstream<'d, 'o> {
    pub(crate) operators: &'d mut [Box<dyn Operator>],
    pub(crate) sink: &'d mut dyn Sink,
    pub(crate) emitter: &'d mut Emitter<'o>,
}

impl<'o> Downstream<'_, 'o> {
    /// The next operator with what is behind it; `None` if that is the sink.
    fn split(&mut self) -> Option<(&mut dyn Operator, Downstream<'_, 'o>)> {
        let (first, operators) = self.operators.split_first_mut()?;
        Some((first.as_mut(), Downstream { operators, sink: &mut *self.sink, emitter: &mut *self.emitter }))
    }

    /// Passes rows on.
    pub(crate) fn on_batch(
        &mut self,
        frame: Frame<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), RuleFailure> {
        if frame.is_empty() {
            return Ok(());
        }
        if let Some((operator, mut next)) = self.split() {
            return operator.on_batch(frame, context, &mut next);
        }
        self.sink.write(&frame, self.emitter)
    }

    /// Passes on that groups are due.
    pub(crate) fn on_watermark(
        &mut self,
        groups: &[u32],
        context: &mut Context<'_>,
    ) -> Result<(), RuleFailure> {
        match self.split() {
            Some((operator, mut next)) => operator.on_watermark(groups, context, &mut next),
            None => Ok(()),
        }
    }

    /// Passes on that time has passed.
    pub(crate) fn on_timer(&mut self, now_us: i64, context: &mut Context<'_>) -> Result<(), RuleFailure> {
        match self.split() {
            Some((operator, mut next)) => operator.on_timer(now_us, context, &mut next),
            None => Ok(()),
        }
    }
}
