//! A rule that runs: its source, operators and sink.

use mohhos_decode::Batch;

use crate::error::{RuleFailure, SnapshotError};
use crate::operators::{Context, Downstream, Operator};
use crate::plan::SourceSpec;
use crate::sinks::{Emitter, Sink};
use crate::snapshot::{Reader, Writer, damaged};
use crate::source::Source;
use crate::watermark::Watermarks;

pub(crate) struct Pipeline {
    pub(crate) source: Source,
    /// What the source was made from, for when tables change.
    pub(crate) spec: SourceSpec,
    pub(crate) watermarks: Watermarks,
    pub(crate) operators: Vec<Box<dyn Operator>>,
    pub(crate) sink: Box<dyn Sink>,
}

impl Pipeline {
    pub(crate) fn on_batch(
        &mut self,
        batch: &Batch,
        elapsed_us: i64,
        emitter: &mut Emitter<'_>,
    ) -> Result<(), RuleFailure> {
        let frame = self.source.frame(batch, elapsed_us, &mut self.watermarks)?;
        let mut context =
            Context { watermarks: &mut self.watermarks, max_state_bytes: self.source.max_state_bytes };
        let mut next = Downstream { operators: &mut self.operators, sink: self.sink.as_mut(), emitter };
        next.on_batch(frame, &mut context)?;
        self.close_due(emitter)
    }

    pub(crate) fn on_timer(
        &mut self,
        now_us: i64,
        elapsed_us: i64,
        emitter: &mut Emitter<'_>,
    ) -> Result<(), RuleFailure> {
        self.watermarks.on_timer(now_us, elapsed_us);
        self.close_due(emitter)?;
        let mut context =
            Context { watermarks: &mut self.watermarks, max_state_bytes: self.source.max_state_bytes };
        let mut next = Downstream { operators: &mut self.operators, sink: self.sink.as_mut(), emitter };
        next.on_timer(now_us, &mut context)
    }

    /// Closing a window may make its group due again.
    fn close_due(&mut self, emitter: &mut Emitter<'_>) -> Result<(), RuleFailure> {
        loop {
            let due = self.watermarks.take_due();
            if due.is_empty() {
                return Ok(());
            }
            let mut context =
                Context { watermarks: &mut self.watermarks, max_state_bytes: self.source.max_state_bytes };
            let mut next = Downstream { operators: &mut self.operators, sink: self.sink.as_mut(), emitter };
            next.on_watermark(&due, &mut context)?;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.watermarks.bytes() + self.operators.iter().map(|o| o.bytes()).sum::<usize>()
    }

    pub(crate) fn late(&self) -> u64 {
        self.operators.iter().map(|o| o.late()).sum()
    }

    /// Watermarks, then the operators' states by id.
    pub(crate) fn snapshot(&self, elapsed_us: i64, out: &mut Writer) {
        out.nested(|out| self.watermarks.snapshot(elapsed_us, out));
        out.u32(self.operators.len() as u32);
        for operator in &self.operators {
            out.string(operator.id().as_bytes());
            out.nested(|out| operator.snapshot(out));
        }
    }

    /// Reads a snapshot into a pipeline that has not run yet.
    pub(crate) fn restore(&mut self, elapsed_us: i64, input: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let mut watermarks = Reader::new(input.string()?);
        self.watermarks.restore(elapsed_us, self.source.max_state_bytes, &mut watermarks)?;
        watermarks.end()?;
        for _ in 0..input.u32()? {
            let (id, mut state) = (input.text()?, Reader::new(input.string()?));
            let operator = self.operators.iter_mut().find(|o| o.id() == id);
            let operator = operator.ok_or_else(|| damaged("the rule has no operator of that name"))?;
            operator.restore(
                &mut state,
                &mut Context {
                    watermarks: &mut self.watermarks,
                    max_state_bytes: self.source.max_state_bytes,
                },
            )?;
            state.end()?;
        }
        input.end()
    }
}
