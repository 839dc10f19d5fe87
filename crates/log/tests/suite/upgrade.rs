//! Logs of the version before, as bytes that it wrote.

use std::path::Path;
use std::sync::Arc;

use mohhos_log::testing::ForgetfulFs;
use mohhos_log::{Fs, LOG_VERSION, Log, RecordView};

use crate::support::{committed, one, quick, read_all};

/// Two openings of a log of version 1: the first was closed, the second killed. 36 records each, three per commit.
fn version_1() -> ForgetfulFs {
    let fs = ForgetfulFs::new();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1");
    for entry in std::fs::read_dir(stored).unwrap() {
        let entry = entry.unwrap();
        let file = fs.create(entry.file_name().to_str().unwrap()).unwrap();
        file.write_at(&std::fs::read(entry.path()).unwrap(), 0).unwrap();
        file.sync().unwrap();
    }
    fs.sync_dir().unwrap();
    fs
}

fn check(number: u64, record: &RecordView<'_>) {
    assert_eq!(record.mono_us(), number);
    assert_eq!(record.wall_us(), 1_700_000_000_000_000 + number as i64);
    assert_eq!((u64::from(record.qos()), u64::from(record.shard())), (number % 3, number % 2));
    assert_eq!((u64::from(record.packet_id()), u64::from(record.boot_id())), (number, number / 36));
    assert_eq!((record.principal(), record.client(), record.device()), ("pump-1", "c", "pump-1"));
    assert_eq!((record.topic(), record.content_type()), ("devices/pump-1/telemetry", "text/plain"));
    assert_eq!(record.properties(), [3, 0, 1, b'x']);
    assert_eq!(record.payload(), vec![number as u8; (number as usize % 7) * 90]);
}

#[test]
fn a_log_of_version_1_is_read_written_on_and_read_again() {
    let fs = version_1();
    let mut expected = Vec::new();
    for opening in 0..3 {
        let (log, recovery) = Log::open(Arc::new(fs.clone()), quick()).unwrap();
        assert_eq!((recovery.damaged, recovery.set_aside, recovery.torn), (vec![], vec![], None));
        assert_eq!(recovery.last_time_us, Some(1_700_000_000_000_071));
        let found = read_all(&mut log.reader(0)).unwrap();
        for (number, (offset, bytes)) in found.iter().take(72).enumerate() {
            check(number as u64, &RecordView::parse(bytes, *offset).unwrap());
        }
        if opening == 0 {
            assert_eq!(found.len(), 72);
        } else {
            assert_eq!(found, expected);
        }
        let offset = committed(&log, &one(5, b"of today"));
        assert!(found.last().is_some_and(|(last, _)| *last < offset));
        expected = read_all(&mut log.reader(0)).unwrap();
        log.close().unwrap();
    }
}

#[test]
fn segments_of_version_1_fall_under_the_retention_of_today() {
    let fs = version_1();
    let config = mohhos_log::LogConfig { retain_bytes: 1, ..quick() };
    let (log, _) = Log::open(Arc::new(fs), config).unwrap();
    assert_eq!(log.enforce_retention(0, false).unwrap().segments, 4);
    assert!(log.reader(0).next().unwrap().is_none());
}

#[test]
fn what_is_written_today_says_its_version() {
    let fs = version_1();
    let (log, recovery) = Log::open(Arc::new(fs.clone()), quick()).unwrap();
    drop(log);
    let head = fs.content(&format!("{:016x}.log", recovery.start)).unwrap();
    assert_eq!(head[8..12], LOG_VERSION.to_le_bytes());
    assert_eq!(LOG_VERSION, 2, "a new version comes with stored bytes of the one before: see this file");
}
