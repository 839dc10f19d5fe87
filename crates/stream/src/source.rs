//! The source of a rule: a batch as a frame, and its rows' effect on the watermarks.

use std::borrow::Cow;

use mohhos_decode::{Batch, Column, Data, TextData};

use crate::error::RuleFailure;
use crate::plan::Type;
use crate::vector::{Frame, TextVals, Valid, Vals, Vector, logic};
use crate::watermark::Watermarks;

/// Whose rows move which watermark, for the operators of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// Nothing in the rule depends on event time.
    Unused,
    /// One watermark.
    Table,
    /// One per device, whose code is in this column of the frame.
    Device(usize),
}

pub(crate) struct Source {
    pub(crate) id: String,
    pub(crate) table: u32,
    /// Position in the batch and type, for every column of the frame.
    pub(crate) columns: Vec<(usize, Type)>,
    /// The column of the frame with event time.
    pub(crate) rowtime: usize,
    pub(crate) grouping: Grouping,
    /// The rule's bound on state.
    pub(crate) max_state_bytes: usize,
}

impl Source {
    /// The rows of a batch, after they have moved the watermarks.
    pub(crate) fn frame<'b>(
        &self,
        batch: &'b Batch,
        elapsed_us: i64,
        watermarks: &mut Watermarks,
    ) -> Result<Frame<'b>, RuleFailure> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (index, &(position, kind)) in self.columns.iter().enumerate() {
            let vector = batch.columns.get(position).and_then(|column| vector(column, kind));
            let vector = vector.ok_or_else(|| {
                let message = format!(
                    "column {position} of table {} is not as declared; deploy the rule again",
                    batch.table
                );
                RuleFailure::new(&self.id, message)
            })?;
            columns.push(if index == self.rowtime { arrived(vector, batch) } else { vector });
        }
        let mut frame = Frame { rows: batch.rows, columns, selection: None, before: None };
        frame.before = self.advance(&frame, elapsed_us, watermarks)?.map(Vals::Owned);
        Ok(frame)
    }

    fn advance(
        &self,
        frame: &Frame<'_>,
        elapsed_us: i64,
        watermarks: &mut Watermarks,
    ) -> Result<Option<Vec<i64>>, RuleFailure> {
        let Vector::I64(times, _) = &frame.columns[self.rowtime] else { return Ok(None) };
        let times = times.dense(frame.rows);
        let mut before = Vec::with_capacity(frame.rows);
        match self.grouping {
            Grouping::Unused => return Ok(None),
            Grouping::Table => watermarks.advance_table(&times, elapsed_us, &mut before),
            Grouping::Device(column) => {
                let Vector::Code(devices, valid) = &frame.columns[column] else { return Ok(None) };
                let devices = match valid {
                    Valid::All => devices.dense(frame.rows),
                    valid => {
                        let device = |row| if valid.get(row) { devices.get(row) } else { 0 };
                        Cow::Owned((0..frame.rows).map(device).collect())
                    }
                };
                let highest = devices.iter().copied().max().unwrap_or(0);
                if watermarks.bytes_with(highest) > self.max_state_bytes {
                    let message = "its watermarks would exceed the bound on state; raise stream.max_state";
                    return Err(RuleFailure::new(&self.id, message));
                }
                watermarks.advance(&devices, &times, elapsed_us, &mut before);
            }
        }
        Ok(Some(before))
    }
}

/// Every row has a time: without one of its own, that of its arrival.
fn arrived<'b>(vector: Vector<'b>, batch: &Batch) -> Vector<'b> {
    match vector {
        Vector::I64(times, valid @ (Valid::Mask(_) | Valid::Nothing)) => {
            let time = |row| if valid.get(row) { times.get(row) } else { batch.arrival_us };
            Vector::I64(Vals::Owned((0..batch.rows).map(time).collect()), Valid::All)
        }
        other => other,
    }
}

/// A column of a batch; `None` if it holds something else than its type says.
fn vector(column: &Column, kind: Type) -> Option<Vector<'_>> {
    let valid = Valid::from(&column.validity);
    if let Valid::Nothing = valid {
        return Some(all_null(kind));
    }
    Some(match (&column.data, kind) {
        (Data::F64(v), Type::Double) => Vector::F64(Vals::Slice(v), valid),
        (Data::I64(v), Type::Int | Type::BigInt | Type::Timestamp) => Vector::I64(Vals::Slice(v), valid),
        (Data::Code(v), Type::Device | Type::Metric) => {
            // Code 0 is "none".
            let valid = if v.contains(&0) {
                valid.and(&Valid::Mask(v.iter().map(|&c| u8::from(c != 0)).collect()))
            } else {
                valid
            };
            Vector::Code(Vals::Slice(v), valid)
        }
        (Data::Byte(v), Type::Quality) => {
            Vector::Code(Vals::Owned(v.iter().map(|&q| u32::from(q) + 1).collect()), valid)
        }
        (Data::Bool(v), Type::Boolean) => {
            let truth = |(row, &b): (usize, &bool)| match (valid.get(row), b) {
                (false, _) => logic::NULL,
                (true, false) => logic::FALSE,
                (true, true) => logic::TRUE,
            };
            Vector::Bool(Vals::Owned(v.iter().enumerate().map(truth).collect()))
        }
        (Data::Text(v), Type::Text) => Vector::Text(TextVals::Slice(v), valid),
        _ => return None,
    })
}

fn all_null(kind: Type) -> Vector<'static> {
    match kind {
        Type::Double => Vector::F64(Vals::Const(0.0), Valid::Nothing),
        Type::Int | Type::BigInt | Type::Timestamp => Vector::I64(Vals::Const(0), Valid::Nothing),
        Type::Device | Type::Metric | Type::Quality => Vector::Code(Vals::Const(0), Valid::Nothing),
        Type::Boolean => Vector::Bool(Vals::Const(logic::NULL)),
        Type::Text => Vector::Text(TextVals::Owned(TextData::default()), Valid::Nothing),
    }
}
