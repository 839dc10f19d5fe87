//! Readings as records: what is filtered, sorted and encoded. A record is moved as a whole, which costs one cache
//! miss where columns would cost one each.

/// Says that a row has no text.
const NO_TEXT: u32 = u32::MAX;

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// Event time, microseconds UTC.
    pub ts: i64,
    /// Arrival, microseconds UTC.
    pub arrival: i64,
    /// The number; without meaning unless `has_num`.
    pub num: f64,
    /// Code of the device.
    pub device: u32,
    /// Code of the metric.
    pub metric: u32,
    /// Code of the table's name, 0 for none.
    pub table: u32,
    /// Which of the texts, see [`Rows::text`].
    text: u32,
    /// Code of the quality.
    pub quality: u8,
    /// False if the number is NULL.
    pub has_num: bool,
}

impl Row {
    /// What tells the series of one device apart.
    pub fn series(&self) -> (u32, u32) {
        (self.metric, self.table)
    }
}

/// What a row is made of, before it has a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub ts: i64,
    pub arrival: i64,
    pub num: Option<f64>,
    pub device: u32,
    pub metric: u32,
    pub table: u32,
    pub quality: u8,
    pub text: Option<&'a [u8]>,
}

/// Rows and their texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
    text_ends: Vec<usize>,
    text_bytes: Vec<u8>,
}

impl Rows {
    /// As many rows as there will be, for [`Rows::put`].
    pub fn blank(count: usize) -> Self {
        let blank = Row {
            ts: 0,
            arrival: 0,
            num: 0.0,
            device: 0,
            metric: 0,
            table: 0,
            text: NO_TEXT,
            quality: 0,
            has_num: false,
        };
        Rows { rows: vec![blank; count], ..Rows::default() }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows.
    pub fn as_slice(&self) -> &[Row] {
        &self.rows
    }

    /// The rows, to be put into another order.
    pub fn as_mut_slice(&mut self) -> &mut [Row] {
        &mut self.rows
    }

    /// Appends a row.
    pub fn push(&mut self, reading: &Reading<'_>) {
        let row = self.row(reading);
        self.rows.push(row);
    }

    /// Makes the row at `index` this one.
    #[inline]
    pub fn put(&mut self, index: usize, reading: &Reading<'_>) {
        self.rows[index] = self.row(reading);
    }

    #[inline]
    fn row(&mut self, reading: &Reading<'_>) -> Row {
        let text = match reading.text {
            Some(text) => self.add_text(text),
            None => NO_TEXT,
        };
        Row {
            ts: reading.ts,
            arrival: reading.arrival,
            num: reading.num.unwrap_or_default(),
            device: reading.device,
            metric: reading.metric,
            table: reading.table,
            text,
            quality: reading.quality,
            has_num: reading.num.is_some(),
        }
    }

    fn add_text(&mut self, text: &[u8]) -> u32 {
        self.text_bytes.extend_from_slice(text);
        self.text_ends.push(self.text_bytes.len());
        (self.text_ends.len() - 1) as u32
    }

    /// The text of one of these rows; `None` if it is NULL.
    pub fn text(&self, row: &Row) -> Option<&[u8]> {
        let index = row.text as usize;
        let &end = self.text_ends.get(index)?;
        let start = if index == 0 { 0 } else { self.text_ends[index - 1] };
        Some(&self.text_bytes[start..end])
    }

    /// The row as what it is made of.
    pub fn reading(&self, row: &Row) -> Reading<'_> {
        Reading {
            ts: row.ts,
            arrival: row.arrival,
            num: row.has_num.then_some(row.num),
            device: row.device,
            metric: row.metric,
            table: row.table,
            quality: row.quality,
            text: self.text(row),
        }
    }
}
