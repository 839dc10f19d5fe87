//! Rows of telemetry as contiguous columns: what is sorted, filtered and encoded.

use mohhos_decode::batch::{Batch, Column, Data, Validity, telemetry};

use crate::error::HistoryError;
use crate::mask::Mask;

/// Readings, column by column; all columns have `len()` rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rows {
    /// Device codes.
    pub device: Vec<u32>,
    /// Metric codes.
    pub metric: Vec<u32>,
    /// Codes of the table name, 0 for none.
    pub table: Vec<u32>,
    /// Event time, microseconds UTC.
    pub ts: Vec<i64>,
    /// Arrival, microseconds UTC.
    pub arrival: Vec<i64>,
    /// Numbers; without meaning where `num_mask` says NULL.
    pub num: Vec<f64>,
    /// Which numbers are not NULL.
    pub num_mask: Mask,
    /// Quality codes.
    pub quality: Vec<u8>,
    /// Strings.
    pub text: Texts,
}

/// Strings, most often all NULL, for which nothing but their count is stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Texts {
    /// Which strings are not NULL.
    pub mask: Mask,
    /// Where each row's string ends in `bytes`; empty while the mask is [`Mask::None`].
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Texts {
    /// The bytes of a row; empty if NULL.
    pub fn get(&self, row: usize) -> &[u8] {
        let Some(&end) = self.ends.get(row) else { return &[] };
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..end]
    }

    /// Appends `count` rows of which at least one may be a string.
    pub fn extend<'a>(&mut self, count: usize, row: impl Fn(usize) -> Option<&'a [u8]>) {
        self.ends.resize(self.mask.len(), self.bytes.len());
        for index in 0..count {
            let text = row(index);
            self.mask.push(text.is_some());
            self.bytes.extend_from_slice(text.unwrap_or_default());
            self.ends.push(self.bytes.len());
        }
    }

    /// Appends `count` NULLs.
    pub fn extend_null(&mut self, count: usize) {
        self.mask.extend_uniform(false, count);
        if !self.ends.is_empty() {
            self.ends.resize(self.mask.len(), self.bytes.len());
        }
    }
}

impl Rows {
    /// Room for `rows` rows without text.
    pub fn with_capacity(rows: usize) -> Self {
        Rows {
            device: Vec::with_capacity(rows),
            metric: Vec::with_capacity(rows),
            table: Vec::with_capacity(rows),
            ts: Vec::with_capacity(rows),
            arrival: Vec::with_capacity(rows),
            num: Vec::with_capacity(rows),
            quality: Vec::with_capacity(rows),
            ..Rows::default()
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.device.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.device.is_empty()
    }

    /// Appends all rows of a batch.
    pub fn append_view(&mut self, view: &View<'_>) {
        let rows = view.device.len();
        self.device.extend_from_slice(view.device);
        self.metric.extend_from_slice(view.metric);
        self.table.extend_from_slice(view.table);
        self.ts.extend_from_slice(view.ts);
        match view.arrival {
            Arrival::All(us) => self.arrival.resize(self.arrival.len() + rows, us),
            Arrival::Each(each) => self.arrival.extend_from_slice(each),
        }
        if view.num.len() == rows {
            self.num.extend_from_slice(view.num);
        } else {
            self.num.resize(self.num.len() + rows, 0.0);
        }
        match view.num_valid {
            Valid::All => self.num_mask.extend_uniform(true, rows),
            Valid::None => self.num_mask.extend_uniform(false, rows),
            valid => (0..rows).for_each(|row| self.num_mask.push(valid.at(row))),
        }
        self.quality.extend_from_slice(view.quality);
        if view.text.is_all_null() {
            self.text.extend_null(rows);
        } else {
            self.text.extend(rows, |row| view.text.get(row));
        }
    }

    /// Appends the rows of a view for which `keep` says so.
    pub fn append_selected(&mut self, view: &View<'_>, selected: &[u32]) {
        for &row in selected {
            let row = row as usize;
            self.device.push(view.device[row]);
            self.metric.push(view.metric[row]);
            self.table.push(view.table[row]);
            self.ts.push(view.ts[row]);
            self.arrival.push(match view.arrival {
                Arrival::All(us) => us,
                Arrival::Each(each) => each[row],
            });
            self.num.push(view.num.get(row).copied().unwrap_or_default());
            self.num_mask.push(view.num_valid.at(row));
            self.quality.push(view.quality[row]);
        }
        if view.text.is_all_null() {
            self.text.extend_null(selected.len());
        } else {
            self.text.extend(selected.len(), |index| view.text.get(selected[index] as usize));
        }
    }

    /// The rows as a view.
    pub fn view(&self) -> View<'_> {
        View {
            device: &self.device,
            metric: &self.metric,
            table: &self.table,
            ts: &self.ts,
            arrival: Arrival::Each(&self.arrival),
            num: &self.num,
            num_valid: match &self.num_mask {
                Mask::All(_) => Valid::All,
                Mask::None(_) => Valid::None,
                Mask::Each(each) => Valid::Bytes(each),
            },
            quality: &self.quality,
            text: TextView::Rows(&self.text),
        }
    }
}

/// Borrowed columns of a batch or of [`Rows`], checked to be of one length.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub device: &'a [u32],
    pub metric: &'a [u32],
    pub table: &'a [u32],
    pub ts: &'a [i64],
    pub arrival: Arrival<'a>,
    /// May be empty if all are NULL.
    pub num: &'a [f64],
    pub num_valid: Valid<'a>,
    pub quality: &'a [u8],
    pub text: TextView<'a>,
}

/// When rows arrived.
#[derive(Clone, Copy)]
pub(crate) enum Arrival<'a> {
    /// All at this time.
    All(i64),
    /// Each at its own.
    Each(&'a [i64]),
}

/// Which rows are not NULL.
#[derive(Clone, Copy)]
pub(crate) enum Valid<'a> {
    All,
    None,
    Bits(&'a [u64]),
    Bytes(&'a [bool]),
}

impl Valid<'_> {
    /// Is the row not NULL?
    pub fn at(&self, row: usize) -> bool {
        match self {
            Valid::All => true,
            Valid::None => false,
            Valid::Bits(words) => words[row / 64] >> (row % 64) & 1 == 1,
            Valid::Bytes(each) => each[row],
        }
    }
}

/// Strings of a batch or of [`Rows`].
#[derive(Clone, Copy)]
pub(crate) enum TextView<'a> {
    Null,
    Batch { ends: &'a [u32], bytes: &'a [u8], valid: Valid<'a> },
    Rows(&'a Texts),
}

impl<'a> TextView<'a> {
    fn is_all_null(&self) -> bool {
        match self {
            TextView::Null => true,
            TextView::Batch { .. } => false,
            TextView::Rows(texts) => matches!(texts.mask, Mask::None(_)),
        }
    }

    fn get(&self, row: usize) -> Option<&'a [u8]> {
        match self {
            TextView::Null => None,
            TextView::Batch { ends, bytes, valid } => valid.at(row).then(|| {
                let start = if row == 0 { 0 } else { ends[row - 1] };
                &bytes[start as usize..ends[row] as usize]
            }),
            TextView::Rows(texts) => texts.mask.is_valid(row).then(|| texts.get(row)),
        }
    }
}

impl<'a> View<'a> {
    /// The columns of a batch of table `telemetry`, or an error that says which of them is not as documented.
    pub fn of_batch(batch: &'a Batch) -> Result<View<'a>, HistoryError> {
        let rows = batch.rows;
        let num = column(batch, telemetry::NUM, "num")?;
        let text = column(batch, telemetry::TEXT, "text")?;
        let num_valid = validity(num, rows, "num")?;
        let numbers = match (&num.data, num_valid) {
            (_, Valid::None) => &[],
            (Data::F64(numbers), _) if numbers.len() == rows => numbers.as_slice(),
            _ => return Err(HistoryError::Layout("num")),
        };
        let text = match (&text.data, validity(text, rows, "text")?) {
            (_, Valid::None) => TextView::Null,
            (Data::Text(text), valid) if text.ends.len() == rows => {
                let rising = text.ends.windows(2).all(|pair| pair[0] <= pair[1]);
                if !rising || text.ends.last().is_some_and(|&end| end as usize > text.bytes.len()) {
                    return Err(HistoryError::Layout("text"));
                }
                TextView::Batch { ends: &text.ends, bytes: &text.bytes, valid }
            }
            _ => return Err(HistoryError::Layout("text")),
        };
        Ok(View {
            device: sized(batch.codes(telemetry::DEVICE), rows, "device")?,
            metric: sized(batch.codes(telemetry::METRIC), rows, "metric")?,
            table: sized(batch.codes(telemetry::TABLE), rows, "table")?,
            ts: sized(batch.i64s(telemetry::TS), rows, "ts")?,
            arrival: Arrival::All(batch.arrival_us),
            num: numbers,
            num_valid,
            quality: sized(batch.bytes(telemetry::QUALITY), rows, "quality")?,
            text,
        })
    }
}

fn column<'a>(batch: &'a Batch, index: usize, name: &'static str) -> Result<&'a Column, HistoryError> {
    batch.columns.get(index).ok_or(HistoryError::Layout(name))
}

fn sized<'a, T>(values: Option<&'a [T]>, rows: usize, name: &'static str) -> Result<&'a [T], HistoryError> {
    values.filter(|values| values.len() == rows).ok_or(HistoryError::Layout(name))
}

fn validity<'a>(column: &'a Column, rows: usize, name: &'static str) -> Result<Valid<'a>, HistoryError> {
    match &column.validity {
        Validity::All => Ok(Valid::All),
        Validity::None => Ok(Valid::None),
        Validity::Bits(words) if words.len() * 64 >= rows => Ok(Valid::Bits(words)),
        Validity::Bits(_) => Err(HistoryError::Layout(name)),
    }
}
