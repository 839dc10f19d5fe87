//! Topic classes: each is kept as long as it says, what stays keeps its offset, and a sync may wait.

use std::sync::Arc;
use std::time::Duration;

use mohhos_log::testing::{ForgetfulFs, Operation, Random};
use mohhos_log::{
    AppendError, Class, Classes, Fields, Flags, Log, LogConfig, ReadError, RecordBuffer, RecordView,
};

use crate::support::{PATIENCE, committed, quick, read_all, segments};

const BULK: &str = "devices/pump-1/telemetry";
const ORDERS: &str = "devices/pump-1/commands/1";
const HOUR_US: u64 = 3_600_000_000;

fn class(name: &str, topic: &str) -> Class {
    Class {
        name: name.to_owned(),
        topics: vec![topic.to_owned()],
        retain_bytes: 0,
        retain_age_us: 0,
        sync_interval_us: 0,
    }
}

/// Telemetry is kept for a second, commands for an hour, anything else for ever.
fn by_age() -> LogConfig {
    let bulk = Class { retain_age_us: 1_000_000, ..class("bulk", "devices/+/telemetry/#") };
    let orders = Class { retain_age_us: HOUR_US, ..class("orders", "devices/+/commands/+") };
    LogConfig { classes: Classes::new(vec![bulk, orders]).unwrap(), ..quick() }
}

fn message(log: &Log, wall_us: i64, topic: &str, payload: &[u8]) -> RecordBuffer {
    let mut buffer = RecordBuffer::new();
    buffer.push(&Fields {
        wall_us,
        flags: Flags::CLOCK_SYNCHRONISED,
        topic,
        payload,
        class: log.class_of(topic),
        ..Fields::default()
    });
    buffer
}

fn start(fs: &ForgetfulFs, config: LogConfig) -> Log {
    let (log, recovery) = Log::open(Arc::new(fs.clone()), config).unwrap();
    assert_eq!((recovery.damaged, recovery.set_aside), (vec![], vec![]));
    log
}

/// Fills segments with telemetry, and now and then a command; returns the offsets of telemetry and of commands.
fn fill(log: &Log, wall_us: i64, rounds: u8) -> (Vec<u64>, Vec<u64>) {
    let (mut bulk, mut orders) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        bulk.push(committed(log, &message(log, wall_us, BULK, &[round; 3_000])));
        if round % 3 == 0 {
            orders.push(committed(log, &message(log, wall_us, ORDERS, &[round; 100])));
        }
    }
    (bulk, orders)
}

fn offsets(log: &Log) -> Vec<u64> {
    read_all(&mut log.reader(0)).unwrap().into_iter().map(|(offset, _)| offset).collect()
}

fn tidy(log: &Log, now_us: i64) {
    // What is worth it is done run by run.
    while log.enforce_retention(now_us, true).unwrap().bytes > 0 {}
}

#[test]
fn what_is_kept_longer_stays_at_its_offset_when_the_rest_of_its_segment_goes() {
    let fs = ForgetfulFs::new();
    let log = start(&fs, by_age());
    let (bulk, orders) = fill(&log, 100, 40);
    let before = log.stats();
    tidy(&log, 500_000);
    assert_eq!(log.stats().disk_bytes, before.disk_bytes, "nothing is old yet");
    let written = segments(&fs).pop().unwrap();
    let written_from = u64::from_str_radix(written.trim_end_matches(".log"), 16).unwrap();
    let stays = |offset: &&u64| **offset >= written_from;
    let mut expected: Vec<u64> = bulk.iter().filter(stays).chain(&orders).copied().collect();
    expected.sort_unstable();
    // The newest but one is rewritten when the log thread is done with it.
    let deadline = std::time::Instant::now() + PATIENCE;
    while offsets(&log) != expected {
        assert!(std::time::Instant::now() < deadline, "{:?}, not {expected:?}", offsets(&log));
        tidy(&log, 1_000_101);
    }
    assert!(log.stats().disk_bytes < before.disk_bytes / 3, "{:?} of {before:?}", log.stats());
    assert_eq!(log.stats().damaged, 0);

    let mut bytes = Vec::new();
    for (round, offset) in orders.iter().enumerate() {
        log.read_at(*offset, &mut bytes).unwrap();
        let record = RecordView::parse(&bytes, *offset).unwrap();
        assert_eq!((record.topic(), record.payload()), (ORDERS, &[3 * round as u8; 100][..]));
    }
    let refused =
        matches!(log.read_at(bulk[1], &mut bytes), Err(ReadError::Trimmed { from, .. }) if from == bulk[1]);
    assert!(refused);
    // From where something was, reading goes on with what is left.
    assert_eq!(log.reader(bulk[1]).next().unwrap().unwrap().offset(), orders[1]);

    tidy(&log, 100 + HOUR_US as i64 + 1);
    let left: Vec<u64> = expected.into_iter().filter(|offset| *offset >= written_from).collect();
    assert_eq!(offsets(&log), left);
}

#[test]
fn rewritten_segments_are_the_same_after_reopening_and_in_a_copy() {
    let fs = ForgetfulFs::new();
    let log = start(&fs, by_age());
    fill(&log, 100, 40);
    tidy(&log, 1_000_101);
    let before = read_all(&mut log.reader(0)).unwrap();
    let copy = ForgetfulFs::new();
    log.copy_to(&copy).unwrap();
    log.close().unwrap();
    for disk in [fs.crash(&mut Random::new(1)), copy] {
        let log = start(&disk, by_age());
        assert_eq!(read_all(&mut log.reader(0)).unwrap(), before);
        for (offset, _) in &before {
            log.read_at(*offset, &mut Vec::new()).unwrap();
        }
    }
}

#[test]
fn each_class_has_its_own_bytes() {
    let fs = ForgetfulFs::new();
    let bulk = Class { retain_bytes: 60_000, ..class("bulk", "devices/+/telemetry/#") };
    let config = LogConfig { classes: Classes::new(vec![bulk]).unwrap(), ..quick() };
    let log = start(&fs, config);
    let (bulk, orders) = fill(&log, 100, 60);
    tidy(&log, 0);
    let left = offsets(&log);
    assert!(orders.iter().all(|offset| left.contains(offset)));
    let bulk_left = bulk.iter().filter(|offset| left.contains(offset)).count();
    // No more than its bytes, and no less than these without the oldest segment, for segments go as a whole.
    assert!((13..=19).contains(&bulk_left), "{bulk_left}");
    assert!(bulk[bulk.len() - bulk_left..].iter().all(|offset| left.contains(offset)), "the newest stay");
}

#[test]
fn small_rewritten_segments_are_joined_so_that_files_do_not_pile_up() {
    let fs = ForgetfulFs::new();
    let log = start(&fs, by_age());
    let mut orders = Vec::new();
    for round in 0..60 {
        let (_, more) = fill(&log, 2_000_000 * (round + 1), 6);
        orders.extend(more);
        tidy(&log, 2_000_000 * (round + 1) + 1);
    }
    let left = offsets(&log);
    assert!(orders.iter().all(|offset| left.contains(offset)));
    assert!(log.stats().segments < 25, "{} segments for {} records", log.stats().segments, left.len());
}

#[test]
fn what_a_projection_needs_is_not_taken_out_of_a_segment() {
    let fs = ForgetfulFs::new();
    let log = start(&fs, by_age());
    let (bulk, _) = fill(&log, 100, 40);
    log.hold("history", bulk[20]);
    tidy(&log, 1_000_101);
    let left = offsets(&log);
    assert!(bulk[20..].iter().all(|offset| left.contains(offset)));
    assert!(!left.contains(&bulk[0]));
}

#[test]
fn a_power_cut_at_any_moment_of_rewriting_loses_nothing_that_stays() {
    let mut cuts = 0;
    for cut in 1.. {
        let fs = ForgetfulFs::new();
        let log = start(&fs, by_age());
        let (bulk, orders) = fill(&log, 100, 14);
        log.hold("history", *bulk.last().unwrap());
        fs.cut_power_after(cut);
        let done = (0..3).all(|_| log.enforce_retention(1_000_101, true).is_ok());
        for seed in 0..6 {
            let after = fs.crash(&mut Random::new(seed * 1_000 + cut));
            let log = start(&after, by_age());
            let left = offsets(&log);
            assert!(orders.iter().all(|offset| left.contains(offset)), "cut {cut}, seed {seed}");
            assert!(left.contains(bulk.last().unwrap()));
            assert!(left.is_sorted());
            assert_eq!(log.stats().damaged, 0);
            tidy(&log, 1_000_101);
            assert!(!offsets(&log).contains(&bulk[0]), "cut {cut}, seed {seed}");
        }
        cuts += 1;
        if done {
            break;
        }
    }
    assert!(cuts > 10, "{cuts}");
}

#[test]
fn other_classes_than_before_are_counted_anew() {
    let fs = ForgetfulFs::new();
    let (bulk, orders) = {
        let log = start(&fs, quick());
        let all = fill(&log, 100, 40);
        log.close().unwrap();
        all
    };
    let log = start(&fs, by_age());
    tidy(&log, 1_000_101);
    assert_eq!(offsets(&log), orders, "what was written without classes is of one now");
    log.close().unwrap();
    // Now telemetry is what stays.
    let kept = Class { retain_age_us: HOUR_US, ..class("kept", "devices/+/telemetry/#") };
    let config = LogConfig { retain_age_us: 1, classes: Classes::new(vec![kept]).unwrap(), ..quick() };
    let log = start(&fs, config);
    tidy(&log, 1_000_101);
    assert_eq!(offsets(&log), []);
    assert!(bulk.len() > orders.len());
}

#[test]
fn a_segment_with_damage_is_left_as_it_is_until_all_of_it_may_go() {
    let fs = ForgetfulFs::new();
    let log = start(&fs, by_age());
    let (bulk, orders) = fill(&log, 100, 12);
    // The first segment has its base at 4096, so positions in it are offsets.
    fs.corrupt(&segments(&fs)[0], bulk[1] as usize + 100, 1);
    tidy(&log, 1_000_101);
    let mut reader = log.reader(0);
    let mut left = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(record)) => left.push(record.offset()),
            Ok(None) => break,
            Err(ReadError::Damaged { from, .. }) => assert_eq!(from, bulk[1]),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(left.contains(&bulk[0]) && orders.iter().all(|offset| left.contains(offset)));
    assert!(log.stats().damaged > 0);
    tidy(&log, 100 + HOUR_US as i64 + 1);
    assert!(!offsets(&log).contains(&bulk[0]));
}

#[test]
fn damage_in_a_rewritten_segment_costs_one_group_and_is_told() {
    let fs = ForgetfulFs::new();
    let log = start(&fs, by_age());
    let (bulk, orders) = fill(&log, 100, 30);
    log.hold("history", bulk[20]);
    tidy(&log, 1_000_101);
    log.close().unwrap();
    let name = segments(&fs)[0].clone();
    // The head of the second group.
    let content = fs.content(&name).unwrap();
    let mark = &content[4096..4100];
    let second = content.windows(4).skip(4097).position(|bytes| bytes == mark).unwrap() + 4097;
    fs.corrupt(&name, second + 9, 1);
    let log = start(&fs, by_age());
    let mut reader = log.reader(0);
    let mut found = Vec::new();
    let mut told = 0;
    loop {
        match reader.next() {
            Ok(Some(record)) => found.push(record.offset()),
            Ok(None) => break,
            Err(ReadError::Damaged { from, to, .. }) => {
                assert!((from..to).contains(&orders[1]), "{from}..{to} {}", orders[1]);
                told += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(told, 1);
    assert!(!found.contains(&orders[1]) && found.contains(&orders[0]) && found.contains(&orders[2]));
}

/// Telemetry may wait an hour for its sync.
fn lazy() -> LogConfig {
    let bulk = Class { sync_interval_us: HOUR_US, ..class("bulk", "devices/+/telemetry/#") };
    LogConfig { classes: Classes::new(vec![bulk]).unwrap(), ..quick() }
}

#[test]
fn a_class_with_a_sync_interval_waits_and_goes_along_with_the_next_that_does_not() {
    let fs = ForgetfulFs::new();
    let log = start(&fs, lazy());
    let first = log.append(&message(&log, 1, BULK, b"waits")).unwrap();
    assert!(!log.wait_committed(first, Duration::from_millis(20)));
    let second = log.append(&message(&log, 1, BULK, b"waits too")).unwrap();
    assert_eq!(log.stats().commits, 0);
    let urgent = log.append(&message(&log, 1, ORDERS, b"now")).unwrap();
    assert!(log.wait_committed(urgent, PATIENCE));
    assert!(log.committed() > second);
    assert_eq!((log.stats().commits, log.stats().records), (1, 3));
}

#[test]
fn what_waits_by_its_class_is_committed_when_asked_when_memory_is_short_and_at_the_end() {
    let fs = ForgetfulFs::new();
    let log = start(&fs, LogConfig { buffer_bytes: 16 << 10, ..lazy() });
    let asked = log.append(&message(&log, 1, BULK, b"asked")).unwrap();
    assert!(!log.wait_committed(asked, Duration::from_millis(5)));
    log.hasten();
    assert!(log.wait_committed(asked, PATIENCE));

    let mut last = 0;
    for _ in 0..3 {
        last = log.append(&message(&log, 1, BULK, &[1; 3_000])).unwrap();
    }
    assert!(log.wait_committed(last, PATIENCE), "half of the buffer is in use");

    let small = log.append(&message(&log, 1, BULK, &[1; 3_000])).unwrap();
    let large = message(&log, 1, BULK, &[1; 15_000]);
    let deadline = std::time::Instant::now() + PATIENCE;
    while log.append(&large) == Err(AppendError::Full) {
        assert!(std::time::Instant::now() < deadline, "a full buffer is not committed");
        std::thread::yield_now();
    }
    assert!(log.committed() > small);
    log.hasten();
    log.append(&message(&log, 1, BULK, b"last")).unwrap();
    log.close().unwrap();
    assert_eq!(log.committed(), log.end());
}

#[test]
fn a_sync_interval_that_has_passed_is_enough() {
    let fs = ForgetfulFs::new();
    let bulk = Class { sync_interval_us: 2_000, ..class("bulk", "devices/+/telemetry/#") };
    let log = start(&fs, LogConfig { classes: Classes::new(vec![bulk]).unwrap(), ..quick() });
    let first = log.append(&message(&log, 1, BULK, b"waits a little")).unwrap();
    assert!(log.wait_committed(first, PATIENCE));
    assert!(fs.count(Operation::Sync) > 0);
}
