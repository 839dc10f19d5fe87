//! Builds batches of a declared table: one row per message, columns picked by name.
//!
//! Values convert as Flink's JSON format does it, except that what would fail there is NULL here and counted, as
//! with `'json.ignore-parse-errors' = 'true'`:
//!
//! | column | takes |
//! | --- | --- |
//! | DOUBLE | numbers; text that is a number |
//! | BIGINT, INT | numbers, fractions cut, if in range; text that is a whole number |
//! | BOOLEAN | true, false; text that says so in any case (Flink takes all other text and numbers for false) |
//! | STRING | text; numbers as they are written; true, false; arrays and objects as JSON text |
//! | TIMESTAMP | times by the rules for times; text may lack the zone and is UTC then |
//!
//! A column of kind `Device` has the device of the topic and `Quality` the quality of the row's time, whatever the
//! payload says. The rowtime is the member of its name, else the message's own time (the latest, if its readings
//! have their own), else the arrival time; one that cannot be read refuses the message, for a row without time has
//! no place. Members without a column are skipped.

mod cell;
mod column;
mod sink;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::batch::{Batch, OffsetRange};
use crate::message::{Arrivals, Message};
use crate::schema::{ColumnType, TableSchema};

use cell::Cell;
use column::ColumnBuilder;
pub(crate) use sink::TableSink;

/// How many members of the message before are remembered.
const MAX_KEYS: usize = 64;

/// Collects messages into a [`Batch`] of a declared table.
#[derive(Debug)]
pub struct TableBuilder {
    schema: Arc<TableSchema>,
    by_name: FxHashMap<String, usize>,
    columns: Vec<ColumnBuilder>,
    rows: usize,
    /// The message before: its members in their order, and the columns that take them.
    members: Vec<(String, Option<usize>)>,
    /// The row being read; text lies in `text`.
    cells: Vec<Cell>,
    text: String,
}

impl TableBuilder {
    /// An empty builder of a table.
    pub fn new(schema: Arc<TableSchema>) -> Self {
        let from_payload =
            |kind| !matches!(kind, ColumnType::Device | ColumnType::Metric | ColumnType::Quality);
        let by_name = schema.columns.iter().enumerate();
        let by_name =
            by_name.filter(|(_, c)| from_payload(c.kind)).map(|(i, c)| (c.name.clone(), i)).collect();
        let columns = schema.columns.iter().map(|column| ColumnBuilder::new(column.kind, 0)).collect();
        let cells = vec![Cell::Unset; schema.columns.len()];
        Self { schema, by_name, columns, rows: 0, members: Vec::new(), cells, text: String::new() }
    }

    /// The table.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// True if there is nothing to hand on.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows as a batch; the builder is empty afterwards, with room for as many.
    pub fn finish(&mut self, shard: u16, offsets: OffsetRange, arrival_us: i64) -> Batch {
        let rows = std::mem::take(&mut self.rows);
        let kinds = self.schema.columns.iter().map(|column| column.kind);
        let empty = kinds.map(|kind| ColumnBuilder::new(kind, rows)).collect();
        let columns = std::mem::replace(&mut self.columns, empty);
        let columns = columns.into_iter().map(|column| column.finish(rows)).collect();
        Batch { table: self.schema.id, shard, offsets, arrival_us, rows, columns }
    }

    /// Reads one message.
    pub(crate) fn sink<'a>(
        &'a mut self,
        message: &'a Message<'a>,
        arrivals: &'a mut Arrivals,
    ) -> TableSink<'a> {
        TableSink::new(self, message, arrivals)
    }
}

#[cfg(test)]
mod tests;
