//! Which files go when they are too old or too many.

use crate::config::HistoryConfig;
use crate::error::HistoryError;
use crate::history::History;
use crate::manifest::FileEntry;

impl History {
    /// Takes files out of the history whose newest row arrived too long ago, and the oldest ones while all together
    /// are too large; returns how many. Files that a cut still reads stay, and go with a later call.
    ///
    /// While the clock is not trusted nothing is deleted for its age: after a jump everything would look old.
    pub fn retain(&mut self, wall_us: i64, clock_trusted: bool) -> Result<usize, HistoryError> {
        let (manifest, removed) = {
            let state = self.shared.state.lock();
            let mut manifest = state.manifest.clone();
            let age_from = clock_trusted.then_some(wall_us);
            let stay = to_keep(&manifest.files, &self.config, age_from, |file| state.is_leased(file.id));
            let mut each = stay.iter();
            manifest.files.retain(|_| each.next() != Some(&false));
            (manifest, stay.iter().filter(|stays| !**stays).count())
        };
        if removed > 0 {
            self.commit(Ok(()), manifest, &[], 0)?;
        }
        Ok(removed)
    }
}

/// Which of the files stay. Files are in the order of arrival, so that the oldest are first without any clock.
fn to_keep(
    files: &[FileEntry],
    config: &HistoryConfig,
    wall_us: Option<i64>,
    leased: impl Fn(&FileEntry) -> bool,
) -> Vec<bool> {
    let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let age_limit = wall_us.filter(|_| config.retain_age_us > 0);
    files
        .iter()
        .map(|file| {
            let old = age_limit
                .is_some_and(|wall_us| wall_us.saturating_sub(file.max_arrival) > config.retain_age_us);
            let too_much = config.retain_bytes > 0 && bytes > config.retain_bytes;
            let stays = leased(file) || !(old || too_much);
            if !stays {
                bytes -= file.bytes;
            }
            stays
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: u64, max_arrival: i64) -> FileEntry {
        FileEntry {
            id,
            rows: 1,
            bytes: 100,
            crc: 0,
            min_ts: 0,
            max_ts: 0,
            min_arrival: max_arrival,
            max_arrival,
            min_device: 0,
            max_device: 0,
        }
    }

    fn config(retain_bytes: u64, retain_age_us: i64) -> HistoryConfig {
        HistoryConfig { retain_bytes, retain_age_us, ..HistoryConfig::default() }
    }

    #[test]
    fn the_oldest_files_go_until_the_rest_fits() {
        let files: Vec<FileEntry> = (0..5).map(|id| file(id, 0)).collect();
        let stays = to_keep(&files, &config(250, 0), None, |_| false);
        assert_eq!(stays, [false, false, false, true, true]);
    }

    #[test]
    fn a_leased_file_stays_and_a_younger_one_goes_in_its_place() {
        let files: Vec<FileEntry> = (0..3).map(|id| file(id, 0)).collect();
        let stays = to_keep(&files, &config(200, 0), None, |file| file.id == 0);
        assert_eq!(stays, [true, false, true]);
    }

    #[test]
    fn age_counts_from_the_newest_arrival_and_only_with_a_clock() {
        let files = [file(0, 10), file(1, 20)];
        let config = config(0, 5);
        assert_eq!(to_keep(&files, &config, Some(16), |_| false), [false, true]);
        assert_eq!(to_keep(&files, &config, Some(15), |_| false), [true, true]);
        assert_eq!(to_keep(&files, &config, None, |_| false), [true, true]);
    }
}
