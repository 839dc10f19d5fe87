//! Merging small files, so that their number stays bounded however often an idle gateway flushes.

use std::ops::Range;
use std::sync::Arc;

use crate::decode::decode;
use crate::error::HistoryError;
use crate::history::History;
use crate::manifest::FileEntry;
use crate::order::by_device;
use crate::rows::Rows;
use crate::tail::Part;

/// So many neighbours of one size are merged at once. Each size step is as large, so a row is written about
/// log(merge_rows) / log(8) times in its life, and at most 7 files of each step wait for more.
const FAN_IN: usize = 8;
/// Files with fewer rows are all of one size.
const SMALLEST_STEP: u64 = 4096;
/// At most so many bytes of files are read into memory for one merge.
const MAX_MERGE_BYTES: u64 = 256 << 20;

impl History {
    /// Merges one run of small neighbouring files if there is one; true if it did, then there may be another.
    ///
    /// The files are replaced in one manifest; cuts that still read them keep them on disk.
    pub fn compact(&mut self) -> Result<bool, HistoryError> {
        let mut manifest = self.shared.state.lock().manifest.clone();
        let Some(run) = choose(&manifest.files, self.config.merge_rows) else { return Ok(false) };
        let mut rows = Rows::default();
        for file in &manifest.files[run.clone()] {
            self.read_file(file, &mut rows)?;
        }
        let merged = self.write_file(&by_device(&[Part::Rows(Arc::new(rows))], |_| true)?)?;
        manifest.files.splice(run, merged.clone());
        self.commit(Ok(()), manifest, merged.as_slice(), 0)?;
        Ok(true)
    }

    fn read_file(&self, file: &FileEntry, rows: &mut Rows) -> Result<(), HistoryError> {
        let name = file.name();
        let bytes = self.shared.files.read(&name)?;
        if bytes.len() as u64 != file.bytes || crc32c::crc32c(&bytes) != file.crc {
            let reason = "its checksum does not match the manifest".into();
            return Err(HistoryError::Damaged { name, reason });
        }
        decode(bytes, rows).map_err(|error| HistoryError::Damaged { name, reason: error.to_string() })
    }
}

/// The first run of at least [`FAN_IN`] neighbours below some size step that fit into one file.
fn choose(files: &[FileEntry], merge_rows: u64) -> Option<Range<usize>> {
    let mut step = SMALLEST_STEP;
    while step <= merge_rows {
        if let Some(run) = run_below(files, step, merge_rows) {
            return Some(run);
        }
        step = step.saturating_mul(FAN_IN as u64);
    }
    None
}

fn run_below(files: &[FileEntry], step: u64, merge_rows: u64) -> Option<Range<usize>> {
    let mut start = 0;
    let (mut rows, mut bytes) = (0, 0);
    for (index, file) in files.iter().enumerate() {
        if file.rows >= step {
            start = index + 1;
            (rows, bytes) = (0, 0);
            continue;
        }
        rows += file.rows;
        bytes += file.bytes;
        if rows > merge_rows || bytes > MAX_MERGE_BYTES {
            start = index;
            (rows, bytes) = (file.rows, file.bytes);
        } else if index + 1 - start >= FAN_IN {
            return Some(start..index + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(rows: &[u64]) -> Vec<FileEntry> {
        let entry = |(id, &rows): (usize, &u64)| FileEntry {
            id: id as u64,
            rows,
            bytes: rows * 8,
            crc: 0,
            min_ts: 0,
            max_ts: 0,
            min_arrival: 0,
            max_arrival: 0,
            min_device: 0,
            max_device: 0,
        };
        rows.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn only_neighbours_are_merged() {
        assert_eq!(choose(&files(&[1, 1, 1, 1, 9_000_000, 1, 1, 1, 1]), 2_000_000), None);
        assert_eq!(choose(&files(&[9_000_000, 1, 1, 1, 1, 1, 1, 1, 1]), 2_000_000), Some(1..9));
    }

    #[test]
    fn the_number_of_files_stays_bounded_while_every_minute_adds_a_small_one() {
        let mut sizes: Vec<u64> = Vec::new();
        for _ in 0..100_000 {
            sizes.push(60);
            while let Some(run) = choose(&files(&sizes), 2_000_000) {
                let merged = sizes[run.clone()].iter().sum();
                sizes.splice(run, [merged]);
            }
            let full = sizes.iter().filter(|&&rows| rows >= 262_144).count();
            assert!(sizes.len() - full < 8 * 4, "{sizes:?}");
        }
    }

    #[test]
    fn a_merge_never_makes_a_file_larger_than_asked_for() {
        assert_eq!(choose(&files(&[200; 20]), 1000), None);
        assert_eq!(choose(&files(&[100; 20]), 5000), Some(0..8));
    }
}
