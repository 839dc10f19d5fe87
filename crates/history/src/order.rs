//! The order of rows in a file: by device, metric, table, then event time; equal ones by arrival, first kept.

use crate::rows::Rows;

/// The row numbers in file order, without exact duplicates (device, metric, table, ts), of which the first
/// to arrive stays.
///
/// Codes are small integers, so series are brought together by counting sorts, which are stable; within a
/// series rows are nearly always in the order of time already, which is checked before sorting.
pub(crate) fn file_order(rows: &Rows) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    let mut spare = Vec::new();
    for codes in [&rows.table, &rows.metric, &rows.device] {
        counting_sort(codes, &mut order, &mut spare);
    }
    sort_times(rows, &mut order);
    drop_duplicates(rows, &mut order);
    order
}

/// Beyond so many counters per row a comparison sort is cheaper than counting.
const MAX_COUNTERS_PER_ROW: usize = 4;

fn counting_sort(codes: &[u32], order: &mut Vec<u32>, spare: &mut Vec<u32>) {
    let (mut least, mut most) = (u32::MAX, 0);
    for &code in codes {
        least = least.min(code);
        most = most.max(code);
    }
    if least >= most {
        return;
    }
    let span = (most - least) as usize + 1;
    if span > codes.len().saturating_mul(MAX_COUNTERS_PER_ROW).max(1024) {
        order.sort_by_key(|&row| codes[row as usize]);
        return;
    }
    let mut next = vec![0u32; span];
    for &code in codes {
        next[(code - least) as usize] += 1;
    }
    let mut start = 0;
    for slot in &mut next {
        start += std::mem::replace(slot, start);
    }
    spare.clear();
    spare.resize(order.len(), 0);
    for &row in order.iter() {
        let slot = &mut next[(codes[row as usize] - least) as usize];
        spare[*slot as usize] = row;
        *slot += 1;
    }
    std::mem::swap(order, spare);
}

fn same_series(rows: &Rows, a: u32, b: u32) -> bool {
    let (a, b) = (a as usize, b as usize);
    rows.device[a] == rows.device[b] && rows.metric[a] == rows.metric[b] && rows.table[a] == rows.table[b]
}

fn sort_times(rows: &Rows, order: &mut [u32]) {
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        let mut sorted = true;
        let mut last = rows.ts[order[start] as usize];
        while end < order.len() && same_series(rows, order[start], order[end]) {
            let ts = rows.ts[order[end] as usize];
            sorted &= last <= ts;
            last = ts;
            end += 1;
        }
        if !sorted {
            order[start..end].sort_by_key(|&row| rows.ts[row as usize]);
        }
        start = end;
    }
}

fn drop_duplicates(rows: &Rows, order: &mut Vec<u32>) {
    order.dedup_by(|later, first| {
        rows.ts[*later as usize] == rows.ts[*first as usize] && same_series(rows, *later, *first)
    });
}
