//! The order of rows in a file: by device, metric, table, then event time. Of exact duplicates (all four equal) the
//! first to arrive stays.
//!
//! Rows come interleaved from thousands of devices. They are brought together by device with one counting sort, in
//! which each record is moved once; what remains is local to a device and in the nearest cache.

use crate::error::HistoryError;
use crate::rows::{Reading, Record, Rows, device, ts};
use crate::tail::Part;

/// Beyond so many counters per row a comparison sort is cheaper than counting.
const COUNTERS_PER_ROW: usize = 4;
/// A device with more series than this is sorted by comparison.
const MAX_SERIES: usize = 64;

/// The rows of some parts for which `keep` says so, together by device, in the order of arrival within.
pub(crate) fn by_device(parts: &[Part], keep: impl Fn(&Reading<'_>) -> bool) -> Result<Rows, HistoryError> {
    let (mut least, mut most, mut count) = (u32::MAX, 0, 0);
    for part in parts {
        part.for_each(|reading| {
            if keep(&reading) {
                least = least.min(reading.device);
                most = most.max(reading.device);
                count += 1;
            }
        })?;
    }
    if count == 0 {
        return Ok(Rows::default());
    }
    let span = (most - least) as usize + 1;
    if span > count * COUNTERS_PER_ROW + 1024 {
        return by_comparison(parts, keep);
    }
    let mut next = vec![0; span];
    for part in parts {
        part.for_each(|reading| {
            if keep(&reading) {
                next[(reading.device - least) as usize] += 1;
            }
        })?;
    }
    let mut start = 0usize;
    for slot in &mut next {
        start += std::mem::replace(slot, start);
    }
    let mut rows = Rows::blank(count);
    for part in parts {
        part.for_each(|reading| {
            if keep(&reading) {
                let slot = &mut next[(reading.device - least) as usize];
                rows.put(*slot, &reading);
                *slot += 1;
            }
        })?;
    }
    Ok(rows)
}

fn by_comparison(parts: &[Part], keep: impl Fn(&Reading<'_>) -> bool) -> Result<Rows, HistoryError> {
    let mut rows = Rows::default();
    for part in parts {
        part.for_each(|reading| {
            if keep(&reading) {
                rows.push(&reading);
            }
        })?;
    }
    rows.records_mut().sort_by_key(device);
    Ok(rows)
}

/// Gives rows that are together by device to `emit` in the order of a file, without duplicates.
pub(crate) fn in_file_order(
    rows: &Rows,
    mut emit: impl FnMut(Reading<'_>) -> Result<(), HistoryError>,
) -> Result<(), HistoryError> {
    let mut sorter = DeviceSorter::default();
    for of_device in rows.records().chunk_by(|a, b| device(a) == device(b)) {
        let mut last = None;
        for &index in sorter.sort(rows, of_device) {
            let record = &of_device[index as usize];
            let key = (rows.series(record), ts(record));
            if last != Some(key) {
                emit(rows.reading(record))?;
            }
            last = Some(key);
        }
    }
    Ok(())
}

/// Sorts the records of one device by series and time; keeps its buffers for the next device.
#[derive(Default)]
struct DeviceSorter {
    /// The series met, and how many records each has.
    series: Vec<((u32, u32), u32)>,
    /// Per record, which of them.
    which: Vec<u32>,
    order: Vec<u32>,
}

impl DeviceSorter {
    fn sort(&mut self, rows: &Rows, records: &[Record]) -> &[u32] {
        if self.count_series(rows, records) {
            self.place(records);
        } else {
            self.order.clear();
            self.order.extend(0..records.len() as u32);
            self.order.sort_by_key(|&index| {
                let record = &records[index as usize];
                (rows.series(record), ts(record))
            });
        }
        &self.order
    }

    /// False if there are too many. A device sends its metrics in the same order again and again, so the series
    /// after the last one is tried first.
    fn count_series(&mut self, rows: &Rows, records: &[Record]) -> bool {
        self.series.clear();
        self.which.clear();
        let mut guess = 0;
        for record in records {
            let series = rows.series(record);
            if self.series.get(guess).is_none_or(|(known, _)| *known != series) {
                guess = match self.series.iter().position(|(known, _)| *known == series) {
                    Some(index) => index,
                    None if self.series.len() == MAX_SERIES => return false,
                    None => {
                        self.series.push((series, 0));
                        self.series.len() - 1
                    }
                };
            }
            self.series[guess].1 += 1;
            self.which.push(guess as u32);
            guess = if guess + 1 < self.series.len() { guess + 1 } else { 0 };
        }
        true
    }

    fn place(&mut self, records: &[Record]) {
        let mut by_name = [0usize; MAX_SERIES];
        let by_name = &mut by_name[..self.series.len()];
        by_name.iter_mut().enumerate().for_each(|(index, slot)| *slot = index);
        by_name.sort_unstable_by_key(|&index| self.series[index].0);
        let mut next = [0u32; MAX_SERIES];
        let mut start = 0;
        for &index in by_name.iter() {
            next[index] = start;
            start += self.series[index].1;
        }
        self.order.clear();
        self.order.resize(records.len(), 0);
        for (index, &series) in self.which.iter().enumerate() {
            let slot = &mut next[series as usize];
            self.order[*slot as usize] = index as u32;
            *slot += 1;
        }
        for (series, &end) in self.series.iter().zip(&next) {
            let run = &mut self.order[(end - series.1) as usize..end as usize];
            if !run.is_sorted_by_key(|&index| ts(&records[index as usize])) {
                run.sort_by_key(|&index| ts(&records[index as usize]));
            }
        }
    }
}
