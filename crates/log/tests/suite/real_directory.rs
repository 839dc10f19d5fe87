//! The same over a real directory.

use std::sync::Arc;

use mohhos_log::{Fs, Log, LogConfig, OsFs, RecordBuffer, testing::Random};

use crate::support::{PATIENCE, quick, read_all, some_records_of};

#[test]
fn a_log_on_a_real_disk_survives_reopening_rolling_and_trimming() {
    let directory = tempfile::tempdir().unwrap();
    let random = &mut Random::new(7);
    let mut buffer = RecordBuffer::new();
    let mut expected = Vec::new();
    for _ in 0..3 {
        let fs = OsFs::open(directory.path()).unwrap();
        let config = LogConfig { retain_bytes: 200 << 10, ..quick() };
        let (log, recovery) = Log::open(Arc::new(fs), config).unwrap();
        assert_eq!((recovery.damaged, recovery.torn), (vec![], None));
        for round in 0..60 {
            let records = some_records_of(&log, random, &mut buffer);
            let base = log.append(&buffer).unwrap();
            expected.extend(records.into_iter().map(|(position, bytes)| (base + position, bytes)));
            if round % 3 == 0 {
                assert!(log.wait_committed(base, PATIENCE));
            }
        }
        assert!(log.wait_committed(expected.last().unwrap().0, PATIENCE));
        let oldest = log.enforce_retention(0, false).unwrap().oldest;
        expected.retain(|(offset, _)| *offset >= oldest);
        assert_eq!(read_all(&mut log.reader(0)).unwrap(), expected);
        log.close().unwrap();
    }
}

#[test]
fn a_segment_is_filled_with_zeros_beforehand() {
    let directory = tempfile::tempdir().unwrap();
    let fs = OsFs::open(directory.path()).unwrap();
    let (log, recovery) = Log::open(Arc::new(fs), quick()).unwrap();
    let name = format!("{:016x}.log", recovery.start);
    assert_eq!(std::fs::metadata(directory.path().join(name)).unwrap().len(), 16 << 10);
    log.close().unwrap();
}

#[test]
fn durable_writes_of_any_alignment_end_up_where_they_belong() {
    let directory = tempfile::tempdir().unwrap();
    let fs = OsFs::open(directory.path().join("made/on/demand")).unwrap();
    let file = fs.create("file").unwrap();
    file.write_durable(&[1; 10_000], 3).unwrap();
    // Whole blocks of a vector are aligned in position and length at least.
    file.write_durable(&[2; 8_192], 4_096).unwrap();
    let mut bytes = vec![9; 20_000];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 12_288);
    assert_eq!(bytes[..3], [0; 3]);
    assert!(bytes[3..4_096].iter().all(|byte| *byte == 1));
    assert!(bytes[4_096..12_288].iter().all(|byte| *byte == 2));
    assert!(fs.free_space().unwrap() > 0);
    fs.rename("file", "other").unwrap();
    fs.sync_dir().unwrap();
    assert_eq!(fs.list().unwrap(), ["other"]);
    assert!(fs.open("file").is_err());
    fs.remove("other").unwrap();
    assert!(fs.list().unwrap().is_empty());
}
