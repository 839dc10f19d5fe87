//! Computes columns; only these exist afterwards.

use super::{Context, Downstream, Operator};
use crate::error::RuleFailure;
use crate::expr::Compiled;
use crate::vector::Frame;

pub(crate) struct Project {
    id: String,
    columns: Vec<Compiled>,
}

impl Project {
    pub(crate) fn new(id: String, columns: Vec<Compiled>) -> Self {
        Self { id, columns }
    }
}

impl Operator for Project {
    fn id(&self) -> &str {
        &self.id
    }

    fn on_batch(
        &mut self,
        frame: Frame<'_>,
        context: &mut Context<'_>,
        next: &mut Downstream<'_, '_>,
    ) -> Result<(), RuleFailure> {
        let columns = self.columns.iter().map(|c| c.eval(&frame)).collect();
        let projected = Frame { rows: frame.len(), columns, selection: None, before: frame.before() };
        next.on_batch(projected, context)
    }
}
