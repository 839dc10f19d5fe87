//! Readings as records of 32 bytes: what is filtered, sorted and encoded.
//!
//! A record is moved as a whole, which costs one cache miss where columns would cost one each; what is the same for
//! most of the rows is kept beside them, so that records stay small.

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading<'a> {
    /// Event time, microseconds UTC.
    pub ts: i64,
    /// Arrival, microseconds UTC.
    pub arrival: i64,
    /// The number, `None` if it is NULL.
    pub num: Option<f64>,
    /// Code of the device.
    pub device: u32,
    /// Code of the metric.
    pub metric: u32,
    /// Code of the table's name, 0 for none.
    pub table: u32,
    /// Code of the quality.
    pub quality: u8,
    /// The text, `None` if it is NULL.
    pub text: Option<&'a [u8]>,
}

/// A record: time; bits of the number; device and metric; index of the arrival and of the rest. An array of integers,
/// since memory for millions of them then comes zeroed from the system instead of being filled.
pub(crate) type Record = [u64; 4];

const TS: usize = 0;
const NUM: usize = 1;
const DEVICE_METRIC: usize = 2;
const ARRIVAL_REST: usize = 3;

fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The device of a record.
#[inline]
pub(crate) fn device(record: &Record) -> u32 {
    (record[DEVICE_METRIC] >> 32) as u32
}

/// The event time of a record.
#[inline]
pub(crate) fn ts(record: &Record) -> i64 {
    record[TS] as i64
}

/// What most rows have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rest {
    table: u32,
    quality: u8,
    has_num: bool,
    /// Begin and end in the bytes of all texts.
    text: Option<(usize, usize)>,
}

const USUAL: Rest = Rest { table: 0, quality: 0, has_num: true, text: None };

/// Records and what they refer to.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    records: Vec<Record>,
    /// Rows that arrived together share one.
    arrivals: Vec<i64>,
    rests: Vec<Rest>,
    text_bytes: Vec<u8>,
}

impl Default for Rows {
    fn default() -> Self {
        Rows::blank(0)
    }
}

impl Rows {
    /// As many rows as there will be, for [`Rows::put`].
    pub fn blank(count: usize) -> Self {
        Rows {
            records: vec![[0; 4]; count],
            arrivals: Vec::new(),
            rests: vec![USUAL],
            text_bytes: Vec::new(),
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records, to be put into another order.
    pub fn records_mut(&mut self) -> &mut [Record] {
        &mut self.records
    }

    /// Every row, in order.
    pub fn iter(&self) -> impl Iterator<Item = Reading<'_>> {
        self.records.iter().map(|record| self.reading(record))
    }

    /// True if no number is NULL.
    pub fn all_numbers(&self) -> bool {
        // The rest that was put first is of no row, and has a number.
        self.rests.iter().all(|rest| rest.has_num)
    }

    /// Appends a row.
    pub fn push(&mut self, reading: &Reading<'_>) {
        let record = self.record(reading);
        self.records.push(record);
    }

    /// Makes the row at `index` this one. Written number by number: as a whole it would go through the stack, where
    /// the processor waits for it.
    #[inline]
    pub fn put(&mut self, index: usize, reading: &Reading<'_>) {
        let whole = self.record(reading);
        let record = &mut self.records[index];
        for (part, value) in record.iter_mut().zip(whole) {
            *part = value;
        }
    }

    #[inline(always)]
    fn record(&mut self, reading: &Reading<'_>) -> Record {
        if self.arrivals.last() != Some(&reading.arrival) {
            self.arrivals.push(reading.arrival);
        }
        let arrival = (self.arrivals.len() - 1) as u32;
        let rest = self.rest(reading);
        [
            reading.ts as u64,
            reading.num.unwrap_or_default().to_bits(),
            pair(reading.device, reading.metric),
            pair(arrival, rest),
        ]
    }

    #[inline]
    fn rest(&mut self, reading: &Reading<'_>) -> u32 {
        let text = reading.text.map(|text| {
            let begin = self.text_bytes.len();
            self.text_bytes.extend_from_slice(text);
            (begin, self.text_bytes.len())
        });
        let (table, quality) = (reading.table, reading.quality);
        let rest = Rest { table, quality, has_num: reading.num.is_some(), text };
        if rest == USUAL {
            return 0;
        }
        if self.rests.last() != Some(&rest) {
            self.rests.push(rest);
        }
        (self.rests.len() - 1) as u32
    }

    #[inline]
    fn rest_of(&self, record: &Record) -> &Rest {
        &self.rests[record[ARRIVAL_REST] as u32 as usize]
    }

    /// What tells the series of one device apart: metric and table.
    #[inline]
    pub fn series(&self, record: &Record) -> (u32, u32) {
        (record[DEVICE_METRIC] as u32, self.rest_of(record).table)
    }

    /// The record as a reading.
    #[inline]
    pub fn reading(&self, record: &Record) -> Reading<'_> {
        let rest = self.rest_of(record);
        Reading {
            ts: ts(record),
            arrival: self.arrivals[(record[ARRIVAL_REST] >> 32) as usize],
            num: rest.has_num.then(|| f64::from_bits(record[NUM])),
            device: device(record),
            metric: record[DEVICE_METRIC] as u32,
            table: rest.table,
            quality: rest.quality,
            text: rest.text.map(|(begin, end)| &self.text_bytes[begin..end]),
        }
    }
}
