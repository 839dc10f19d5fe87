//! The columns of a batch of table `telemetry`, checked once, then read row by row.

use mohhos_decode::batch::{Batch, Column, Data, TextData, Validity, telemetry};

use crate::error::HistoryError;
use crate::rows::Reading;

/// Borrowed columns, checked to have one length and the documented types.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    device: &'a [u32],
    metric: &'a [u32],
    table: &'a [u32],
    ts: &'a [i64],
    quality: &'a [u8],
    /// Empty if all are NULL.
    num: &'a [f64],
    num_valid: &'a Validity,
    text: Option<(&'a TextData, &'a Validity)>,
    arrival: i64,
}

impl<'a> View<'a> {
    /// Checks a batch; the error says which column is not as documented.
    pub fn of(batch: &'a Batch) -> Result<View<'a>, HistoryError> {
        let rows = batch.rows;
        let num = column(batch, telemetry::NUM, rows, "num")?;
        let numbers = match (&num.data, &num.validity) {
            (_, Validity::None) => &[],
            (Data::F64(numbers), _) if numbers.len() == rows => numbers.as_slice(),
            _ => return Err(HistoryError::Layout("num")),
        };
        let text = column(batch, telemetry::TEXT, rows, "text")?;
        let texts = match (&text.data, &text.validity) {
            (_, Validity::None) => None,
            (Data::Text(texts), validity) if texts.ends.len() == rows && is_whole(texts) => {
                Some((texts, validity))
            }
            _ => return Err(HistoryError::Layout("text")),
        };
        Ok(View {
            device: sized(batch.codes(telemetry::DEVICE), rows, "device")?,
            metric: sized(batch.codes(telemetry::METRIC), rows, "metric")?,
            table: sized(batch.codes(telemetry::TABLE), rows, "table")?,
            ts: sized(batch.i64s(telemetry::TS), rows, "ts")?,
            quality: sized(batch.bytes(telemetry::QUALITY), rows, "quality")?,
            num: numbers,
            num_valid: &num.validity,
            text: texts,
            arrival: batch.arrival_us,
        })
    }

    /// The bytes that the texts take.
    pub fn text_bytes(&self) -> usize {
        self.text.map_or(0, |(texts, _)| texts.bytes.len() + size_of_val(texts.ends.as_slice()))
    }

    /// Every row, in order.
    #[inline]
    pub fn for_each(&self, mut each: impl FnMut(Reading<'a>)) {
        let rows = self.device.len();
        let (metric, table, ts) = (&self.metric[..rows], &self.table[..rows], &self.ts[..rows]);
        let quality = &self.quality[..rows];
        for row in 0..rows {
            each(Reading {
                ts: ts[row],
                arrival: self.arrival,
                num: self.number(row),
                device: self.device[row],
                metric: metric[row],
                table: table[row],
                quality: quality[row],
                text: self.text(row),
            });
        }
    }

    #[inline]
    fn number(&self, row: usize) -> Option<f64> {
        let number = *self.num.get(row)?;
        self.num_valid.is_valid(row).then_some(number)
    }

    #[inline]
    fn text(&self, row: usize) -> Option<&'a [u8]> {
        let (texts, validity) = self.text?;
        validity.is_valid(row).then(|| {
            let start = if row == 0 { 0 } else { texts.ends[row - 1] };
            &texts.bytes[start as usize..texts.ends[row] as usize]
        })
    }
}

fn is_whole(texts: &TextData) -> bool {
    let rising = texts.ends.windows(2).all(|pair| pair[0] <= pair[1]);
    rising && texts.ends.last().is_none_or(|&end| end as usize <= texts.bytes.len())
}

fn column<'a>(
    batch: &'a Batch,
    index: usize,
    rows: usize,
    name: &'static str,
) -> Result<&'a Column, HistoryError> {
    let column = batch.columns.get(index).ok_or(HistoryError::Layout(name))?;
    match &column.validity {
        Validity::Bits(words) if words.len() * 64 < rows => Err(HistoryError::Layout(name)),
        _ => Ok(column),
    }
}

fn sized<'a, T>(values: Option<&'a [T]>, rows: usize, name: &'static str) -> Result<&'a [T], HistoryError> {
    values.filter(|values| values.len() == rows).ok_or(HistoryError::Layout(name))
}
