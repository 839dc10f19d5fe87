//! Keeps the rows for which a condition is TRUE.

use super::{Context, Downstream, Operator};
use crate::error::RuleFailure;
use crate::expr::Compiled;
use crate::vector::{Frame, Vals, Vector, logic};

pub(crate) struct Filter {
    id: String,
    condition: Compiled,
}

impl Filter {
    pub(crate) fn new(id: String, condition: Compiled) -> Self {
        Self { id, condition }
    }
}

impl Operator for Filter {
    fn id(&self) -> &str {
        &self.id
    }

    fn on_batch(
        &mut self,
        mut frame: Frame<'_>,
        context: &mut Context<'_>,
        next: &mut Downstream<'_, '_>,
    ) -> Result<(), RuleFailure> {
        let selected = {
            let Vector::Bool(truths) = self.condition.eval(&frame) else {
                return Err(RuleFailure::new(&self.id, "the condition is not BOOLEAN"));
            };
            match truths {
                Vals::Const(logic::TRUE) => None,
                Vals::Const(_) => return Ok(()),
                truths => Some(select(truths.slice())),
            }
        };
        if let Some(selected) = selected {
            frame.selection = Some(match frame.selection {
                None => selected,
                Some(before) => selected.into_iter().map(|i| before[i as usize]).collect(),
            });
        }
        next.on_batch(frame, context)
    }
}

/// The positions of TRUE. Eight rows at a time: most filters let few rows through.
pub(crate) fn select(truths: &[u8]) -> Vec<u32> {
    const TRUES: u64 = u64::from_le_bytes([logic::TRUE; 8]);
    let mut selected = Vec::with_capacity(truths.len().min(64));
    let mut chunks = truths.chunks_exact(8);
    let mut base = 0u32;
    for chunk in &mut chunks {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        // NULL is 1 and TRUE is 2, so the second bit tells.
        let mut hits = u64::from_le_bytes(bytes) & TRUES;
        while hits != 0 {
            selected.push(base + hits.trailing_zeros() / 8);
            hits &= hits - 1;
        }
        base += 8;
    }
    let tail = chunks.remainder().iter().enumerate().filter(|&(_, &t)| t == logic::TRUE);
    selected.extend(tail.map(|(i, _)| base + i as u32));
    selected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_is_selected_wherever_it_stands() {
        for length in 0..40 {
            let truths: Vec<u8> = (0..length).map(|i| (i * 7 % 3) as u8).collect();
            let expected: Vec<u32> = (0..length).filter(|i| i * 7 % 3 == 2).collect();
            assert_eq!(select(&truths), expected);
        }
    }
}
