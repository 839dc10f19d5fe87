//! A disk that is full or fails: said in words, and over by itself.

use std::sync::Arc;

use mohhos_log::testing::{Failure, ForgetfulFs, Operation, Random};
use mohhos_log::{AppendError, Log, OpenError};

use crate::support::{PATIENCE, committed, one, open, quick, read_all};

/// Waits until the log says that it is stalled, and returns the words.
fn stalled(log: &Log) -> Arc<str> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(reason) = log.stats().stalled {
            return reason;
        }
        assert!(std::time::Instant::now() < deadline, "the log did not stall");
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_stalls_the_log_with_words_until_there_is_space() {
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    let first = committed(&log, &one(0, b"before"));
    fs.set_capacity(Some(fs.used()));
    // More than the segment has room for.
    let waiting = log.append(&one(0, &[1; 100_000])).unwrap();
    let reason = stalled(&log);
    assert!(reason.contains("disk is full"), "{reason}");
    assert_eq!(log.stalled(), Some(reason.clone()));
    // As long as there is room, records wait as they do for any commit.
    let mut expected = vec![first, waiting];
    let refused = loop {
        match log.append(&one(0, &[2; 100_000])) {
            Ok(offset) => expected.push(offset),
            Err(error) => break error,
        }
    };
    assert!(expected.len() > 3);
    assert_eq!(refused, AppendError::Stalled(reason));
    assert!(!log.wait_committed(waiting, std::time::Duration::from_millis(5)));
    assert!(
        !log.wait_committed_or_stalled(waiting, std::time::Duration::MAX),
        "who does not want to wait need not"
    );
    assert_eq!(read_all(&mut log.reader(0)).unwrap().len(), 1, "reading goes on");

    fs.set_capacity(None);
    assert!(log.wait_committed(waiting, PATIENCE));
    assert_eq!(log.stalled(), None);
    expected.push(committed(&log, &one(0, b"after")));
    let offsets: Vec<u64> =
        read_all(&mut log.reader(0)).unwrap().into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, expected);
}

#[test]
fn who_wants_to_know_is_told_that_the_disk_takes_nothing_and_that_it_does_again() {
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    let (say, said) = std::sync::mpsc::channel();
    log.on_stall(Box::new(move |reason| say.send(reason.map(str::to_owned)).unwrap()));
    committed(&log, &one(0, b"before"));
    fs.set_capacity(Some(fs.used()));
    let waiting = log.append(&one(0, &[1; 100_000])).unwrap();
    let reason = said.recv_timeout(PATIENCE).unwrap().expect("a reason");
    assert!(reason.contains("disk is full"), "{reason}");
    fs.set_capacity(None);
    assert_eq!(said.recv_timeout(PATIENCE).unwrap(), None);
    assert!(log.wait_committed(waiting, PATIENCE));
    assert!(said.try_recv().is_err(), "each is told once");
}

#[test]
fn retention_frees_the_space_that_a_stalled_log_waits_for() {
    let fs = ForgetfulFs::new();
    let config = mohhos_log::LogConfig { retain_bytes: 20 << 10, ..quick() };
    let (log, _) = Log::open(Arc::new(fs.clone()), config).unwrap();
    for _ in 0..10 {
        committed(&log, &one(0, &[1; 8_000]));
    }
    fs.set_capacity(Some(fs.used()));
    let waiting = log.append(&one(0, &[1; 20_000])).unwrap();
    stalled(&log);
    log.enforce_retention(0, false).unwrap();
    assert!(log.wait_committed(waiting, PATIENCE));
}

#[test]
fn after_a_failed_sync_the_group_is_written_again_to_a_new_segment() {
    let random = &mut Random::new(4);
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    let first = committed(&log, &one(0, b"before"));
    let segments = log.stats().segments;
    fs.fail(Operation::Sync, 1, Failure::Io);
    let second = committed(&log, &one(0, &[2; 3_000]));
    assert_eq!(log.stats().segments, segments + 1);
    assert!(log.stats().failures >= 1);
    // The failing disk kept only a part of the first try, and would not tell.
    let log = open(&fs.crash(random));
    let offsets: Vec<u64> =
        read_all(&mut log.reader(0)).unwrap().into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, [first, second]);
}

#[test]
fn a_first_group_that_fails_gets_a_new_file_of_the_same_name() {
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    fs.fail(Operation::Sync, 1, Failure::Io);
    let offset = committed(&log, &one(0, b"x"));
    assert_eq!(log.stats().segments, 1);
    drop(log);
    let log = open(&fs.crash(&mut Random::new(1)));
    assert_eq!(read_all(&mut log.reader(0)).unwrap()[0].0, offset);
}

#[test]
fn after_a_next_segment_that_failed_half_way_nothing_more_goes_into_the_one_before() {
    let fs = ForgetfulFs::new();
    // Too little for spares, so that the second segment grows as it is written.
    fs.set_capacity(Some(44 << 10));
    let config = mohhos_log::LogConfig { retain_bytes: 16 << 10, ..quick() };
    let (log, _) = Log::open(Arc::new(fs.clone()), config).unwrap();
    committed(&log, &one(0, &[1; 17_000]));
    let first = committed(&log, &one(0, b"first of the second"));
    // The first becomes a spare: reason to give the second up early.
    assert_eq!(log.enforce_retention(0, false).unwrap().segments, 1);
    // The third segment has its name, and is said to have failed; and there is no other spare.
    fs.fail(Operation::SyncDir, 1, Failure::Io);
    let second = committed(&log, &one(0, b"first of the third"));
    assert_eq!(log.stats().failures, 1);
    log.close().unwrap();
    fs.set_capacity(None);
    let log = open(&fs);
    let offsets: Vec<u64> =
        read_all(&mut log.reader(0)).unwrap().into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, [first, second]);
}

#[test]
fn closing_a_log_that_cannot_write_says_how_much_is_lost() {
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    fs.cut_power_after(1);
    log.append(&one(0, b"lost")).unwrap();
    let error = log.close().unwrap_err();
    assert_eq!(error.bytes, log.end() - log.committed());
    assert!(error.to_string().contains("could not be written"), "{error}");
}

#[test]
fn a_disk_that_is_full_at_opening_is_said_so() {
    let fs = ForgetfulFs::new();
    fs.set_capacity(Some(100));
    let error = Log::open(Arc::new(fs), quick()).err().unwrap();
    assert!(matches!(error, OpenError::Io { .. }));
    assert!(error.to_string().contains("creating segment"), "{error}");
}
