//! Builds batches of the built-in table `telemetry`.

use crate::batch::{Batch, Column, Data, OffsetRange, TextData, Validity, telemetry};

/// One row of `telemetry`, complete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TelemetryRow<'a> {
    /// The device's code.
    pub device: u32,
    /// The metric's code.
    pub metric: u32,
    /// Event time, microseconds UTC.
    pub ts: i64,
    /// The number or the text.
    pub value: TelemetryValue<'a>,
    /// See [`crate::batch::quality`].
    pub quality: u8,
    /// The code of the table, 0 for none.
    pub table: u32,
}

/// The value of a reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TelemetryValue<'a> {
    /// A number, or a truth value as 1 or 0.
    Number(f64),
    /// Text.
    Text(&'a str),
}

/// Collects readings into a [`Batch`] of `telemetry`.
///
/// What all rows of a message share is kept once, as a span, and spread over its rows by [`finish`](Self::finish).
/// Invariant outside a message: the last span ends at the last row.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    metric: Vec<u32>,
    num: Vec<f64>,
    /// `ends` stays empty until the first text comes.
    text: TextData,
    /// How many rows are text, and which: one bit per row up to the last that is.
    texts: usize,
    is_text: Vec<u64>,
    spans: Vec<Span>,
}

/// Rows for which there is always room.
const LEAST_ROOM: usize = 64;

/// The rows from the span before to `end`, and what they have in common.
#[derive(Debug, Clone, Copy)]
struct Span {
    ts: i64,
    end: usize,
    device: u32,
    table: u32,
    quality: u8,
}

impl BatchBuilder {
    /// An empty builder with room for so many rows.
    pub fn with_capacity(rows: usize) -> Self {
        Self { metric: Vec::with_capacity(rows), num: Vec::with_capacity(rows), ..Self::default() }
    }

    /// The number of complete rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end)
    }

    /// True if there is nothing to hand on.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The bytes of text collected; a batch holds at most `u32::MAX` of them.
    #[inline]
    pub fn text_bytes(&self) -> usize {
        self.text.bytes.len()
    }

    /// Adds one row.
    pub fn push(&mut self, row: &TelemetryRow<'_>) {
        match row.value {
            TelemetryValue::Number(num) => self.push_number(row.metric, num),
            TelemetryValue::Text(text) => self.push_text(row.metric, text),
        }
        self.seal(row.device, row.table, row.ts, row.quality);
    }

    /// The rows as a batch; the builder is empty afterwards, with room for as many.
    ///
    /// The room follows the batch before, not the largest ever: a batch keeps what it does not use for as long as it
    /// lives, and fresh memory has to be cleared by the system first.
    pub fn finish(&mut self, shard: u16, offsets: OffsetRange, arrival_us: i64) -> Batch {
        let mut empty = Self::with_capacity(self.rows() + self.rows() / 8 + LEAST_ROOM);
        empty.text.bytes.reserve(self.text.bytes.len());
        let full = std::mem::replace(self, empty);
        let rows = full.rows();
        let (num_validity, text_validity) = validities(rows, full.texts, full.is_text);
        let mut columns = Vec::with_capacity(telemetry::WIDTH);
        let mut add = |data, validity| columns.push(Column { data, validity });
        add(Data::Code(spread(&full.spans, rows, |span| span.device)), Validity::All);
        add(Data::Code(full.metric), Validity::All);
        add(Data::I64(spread(&full.spans, rows, |span| span.ts)), Validity::All);
        add(Data::F64(full.num), num_validity);
        add(Data::Text(full.text), text_validity);
        add(Data::Byte(spread(&full.spans, rows, |span| span.quality)), Validity::All);
        add(Data::Code(spread(&full.spans, rows, |span| span.table)), Validity::All);
        // The spans' own room goes on serving.
        self.spans = full.spans;
        self.spans.clear();
        Batch { table: 0, shard, offsets, arrival_us, rows, columns }
    }

    /// The metrics since a row, sealed or not.
    pub(crate) fn metrics_since(&self, row: usize) -> &[u32] {
        self.metric.get(row..).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn push_number(&mut self, metric: u32, num: f64) {
        self.metric.push(metric);
        self.num.push(num);
        if self.texts > 0 {
            self.text.push("");
        }
    }

    pub(crate) fn push_text(&mut self, metric: u32, text: &str) {
        let row = self.metric.len();
        if self.texts == 0 {
            self.text.ends.resize(row, 0);
        }
        self.text.push(text);
        if self.is_text.len() <= row / 64 {
            self.is_text.resize(row / 64 + 1, 0);
        }
        self.is_text[row / 64] |= 1 << (row % 64);
        self.texts += 1;
        self.metric.push(metric);
        self.num.push(0.0);
    }

    /// Completes all rows since the last seal.
    #[inline]
    pub(crate) fn seal(&mut self, device: u32, table: u32, ts: i64, quality: u8) {
        let end = self.metric.len();
        if end > self.rows() {
            self.spans.push(Span { ts, end, device, table, quality });
        }
    }

    /// Takes back all rows from this one on; it must be the first of a message.
    #[cold]
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.metric.truncate(rows);
        self.num.truncate(rows);
        self.spans.truncate(self.spans.partition_point(|span| span.end <= rows));
        if self.texts > 0 {
            truncate_bits(&mut self.is_text, rows);
            self.texts = self.is_text.iter().map(|word| word.count_ones() as usize).sum();
            self.text.ends.truncate(if self.texts > 0 { rows } else { 0 });
            self.text.bytes.truncate(self.text.ends.last().map_or(0, |&end| end as usize));
        }
    }
}

/// One value per row. Often it is the same for all (quality, table), and then the spans are read once.
fn spread<T: Copy + PartialEq + Default>(spans: &[Span], rows: usize, value: impl Fn(&Span) -> T) -> Vec<T> {
    let first = spans.first().map(&value).unwrap_or_default();
    if spans.iter().all(|span| value(span) == first) {
        return vec![first; rows];
    }
    let mut column = Vec::with_capacity(rows);
    for span in spans {
        let value = value(span);
        // Most spans are of few rows, for which a loop is faster than `resize`.
        for _ in column.len()..span.end {
            column.push(value);
        }
    }
    column
}

/// Clears all bits from `rows` on.
fn truncate_bits(words: &mut Vec<u64>, rows: usize) {
    words.truncate(rows.div_ceil(64));
    if let Some(last) = words.get_mut(rows / 64) {
        *last &= (1 << (rows % 64)) - 1;
    }
}

/// Validity of numbers and of texts, given which rows are text.
fn validities(rows: usize, texts: usize, mut is_text: Vec<u64>) -> (Validity, Validity) {
    if texts == 0 {
        return (Validity::All, Validity::None);
    }
    if texts == rows {
        return (Validity::None, Validity::All);
    }
    is_text.resize(rows.div_ceil(64), 0);
    let mut is_num: Vec<u64> = is_text.iter().map(|word| !word).collect();
    truncate_bits(&mut is_num, rows);
    (Validity::Bits(is_num), Validity::Bits(is_text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(batch: &Batch) -> &TextData {
        match &batch.columns[telemetry::TEXT].data {
            Data::Text(text) => text,
            _ => panic!("not text"),
        }
    }

    #[test]
    fn numbers_alone_have_an_empty_text_column() {
        let mut builder = BatchBuilder::with_capacity(4);
        builder.push_number(7, 1.5);
        builder.push_number(8, 2.5);
        builder.seal(1, 9, 100, 0);
        let batch = builder.finish(3, OffsetRange { first: 5, end: 6 }, 200);
        assert_eq!((batch.rows, batch.shard, batch.arrival_us), (2, 3, 200));
        assert_eq!(batch.columns[telemetry::TEXT].validity, Validity::None);
        assert_eq!(text(&batch), &TextData::default());
        assert_eq!(batch.columns[telemetry::NUM].validity, Validity::All);
        assert_eq!(batch.codes(telemetry::TABLE), Some(&[9, 9][..]));
        assert!(builder.is_empty());
    }

    #[test]
    fn mixed_rows_say_which_is_which() {
        let mut builder = BatchBuilder::default();
        for row in 0..130_u32 {
            let word = format!("t{row}");
            let value = match row % 3 {
                0 => TelemetryValue::Text(&word),
                _ => TelemetryValue::Number(f64::from(row)),
            };
            builder.push(&TelemetryRow { device: 1, metric: row, ts: 5, value, quality: 0, table: 0 });
        }
        let batch = builder.finish(0, OffsetRange::default(), 0);
        for row in 0..130 {
            let is_text = row % 3 == 0;
            assert_eq!(batch.columns[telemetry::TEXT].validity.is_valid(row), is_text);
            assert_eq!(batch.columns[telemetry::NUM].validity.is_valid(row), !is_text);
            assert_eq!(text(&batch).get(row), if is_text { format!("t{row}") } else { String::new() });
        }
        let Validity::Bits(words) = &batch.columns[telemetry::NUM].validity else { panic!("bits expected") };
        assert_eq!((words.len(), words[2] >> 2), (3, 0), "no bit is set beyond the last row");
    }

    #[test]
    fn a_message_taken_back_leaves_nothing() {
        let mut builder = BatchBuilder::default();
        builder.push_number(1, 1.0);
        builder.seal(1, 0, 10, 0);
        builder.push_text(2, "gone");
        builder.seal(1, 0, 11, 1);
        builder.push_number(3, 3.0);
        builder.truncate(1);
        assert_eq!(builder.text_bytes(), 0);
        builder.push_number(4, 4.0);
        builder.seal(1, 0, 12, 0);
        let batch = builder.finish(0, OffsetRange::default(), 0);
        assert_eq!(batch.i64s(telemetry::TS), Some(&[10, 12][..]));
        assert_eq!(batch.f64s(telemetry::NUM), Some(&[1.0, 4.0][..]));
        assert_eq!(batch.columns[telemetry::TEXT].validity, Validity::None);
        assert_eq!(text(&batch), &TextData::default());
    }

    #[test]
    fn taking_back_keeps_the_texts_before() {
        let mut builder = BatchBuilder::default();
        builder.push_text(1, "kept");
        builder.seal(1, 0, 10, 0);
        builder.push_text(2, "gone");
        builder.truncate(1);
        let batch = builder.finish(0, OffsetRange::default(), 0);
        assert_eq!((batch.rows, text(&batch).get(0)), (1, "kept"));
        assert_eq!(batch.columns[telemetry::NUM].validity, Validity::None);
        assert_eq!(batch.columns[telemetry::TEXT].validity, Validity::All);
    }
}
