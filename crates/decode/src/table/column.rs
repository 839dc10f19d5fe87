//! One column of a declared table while it grows.

use crate::batch::{Column, Data, TextData, Validity};
use crate::schema::ColumnType;

use super::cell::Cell;

#[derive(Debug)]
pub(super) struct ColumnBuilder {
    data: Data,
    /// How many rows are NULL, and which are not: one bit per row, kept from the first NULL on.
    nulls: usize,
    valid: Vec<u64>,
    rows: usize,
}

impl ColumnBuilder {
    pub(super) fn new(kind: ColumnType, capacity: usize) -> Self {
        let data = match kind {
            ColumnType::Double => Data::F64(Vec::with_capacity(capacity)),
            ColumnType::BigInt | ColumnType::Int | ColumnType::Timestamp => {
                Data::I64(Vec::with_capacity(capacity))
            }
            ColumnType::Boolean => Data::Bool(Vec::with_capacity(capacity)),
            ColumnType::Text => Data::Text(TextData {
                ends: Vec::with_capacity(capacity),
                bytes: Vec::with_capacity(capacity),
            }),
            ColumnType::Device | ColumnType::Metric => Data::Code(Vec::with_capacity(capacity)),
            ColumnType::Quality => Data::Byte(Vec::with_capacity(capacity)),
        };
        Self { data, nulls: 0, valid: Vec::new(), rows: 0 }
    }

    /// The bytes of text it holds.
    pub(super) fn text_bytes(&self) -> usize {
        match &self.data {
            Data::Text(text) => text.bytes.len(),
            _ => 0,
        }
    }

    /// Adds a row; what is not of the column's type is NULL.
    pub(super) fn push(&mut self, cell: Cell, texts: &str) {
        let fits = match (&mut self.data, cell) {
            (Data::F64(values), Cell::F64(value)) => push(values, value),
            (Data::I64(values), Cell::I64(value)) => push(values, value),
            (Data::Bool(values), Cell::Bool(value)) => push(values, value),
            (Data::Code(values), Cell::Code(value)) => push(values, value),
            (Data::Byte(values), Cell::Byte(value)) => push(values, value),
            (Data::Text(values), Cell::Text(start, end)) => {
                values.push(texts.get(start..end).unwrap_or_default());
                true
            }
            (data, _) => {
                push_filler(data);
                false
            }
        };
        self.mark(fits);
    }

    fn mark(&mut self, fits: bool) {
        let row = self.rows;
        self.rows += 1;
        if fits && self.nulls == 0 {
            return;
        }
        if self.nulls == 0 {
            self.valid = vec![u64::MAX; row / 64];
            self.valid.push((1 << (row % 64)) - 1);
        } else if self.valid.len() <= row / 64 {
            self.valid.push(0);
        }
        if fits {
            self.valid[row / 64] |= 1 << (row % 64);
        } else {
            self.nulls += 1;
        }
    }

    pub(super) fn finish(self, rows: usize) -> Column {
        let validity = match self.nulls {
            0 => Validity::All,
            nulls if nulls == rows => Validity::None,
            _ => Validity::Bits(self.valid),
        };
        Column { data: self.data, validity }
    }
}

fn push<T>(values: &mut Vec<T>, value: T) -> bool {
    values.push(value);
    true
}

fn push_filler(data: &mut Data) {
    match data {
        Data::F64(values) => values.push(0.0),
        Data::I64(values) => values.push(0),
        Data::Bool(values) => values.push(false),
        Data::Code(values) => values.push(0),
        Data::Byte(values) => values.push(0),
        Data::Text(values) => values.push(""),
    }
}
