//! Retention: by age, by bytes, never what is held, never by a clock that is not trusted.

use std::sync::Arc;

use mohhos_log::testing::{Failure, ForgetfulFs, Operation, Random};
use mohhos_log::{Fields, Fs, Log, LogConfig, ReadError, RecordBuffer};

use crate::gated::GatedFs;
use crate::support::{committed, one, open, quick, read_all, segments};

const AGE: u64 = 1_000_000;

fn aging() -> LogConfig {
    LogConfig { retain_age_us: AGE, ..quick() }
}

/// A segment for each of these wall times, and an empty one at the end.
fn log_with(config: LogConfig, fs: &ForgetfulFs, times: &[i64]) -> Log {
    let (log, _) = Log::open(Arc::new(fs.clone()), config).unwrap();
    for time in times {
        committed(&log, &one(*time, &[0; 20_000]));
    }
    log
}

#[test]
fn segments_go_when_their_newest_record_is_too_old() {
    let log = log_with(aging(), &ForgetfulFs::new(), &[100, 200, 5_000_000]);
    assert_eq!(log.enforce_retention(1_000_150, true).unwrap().segments, 1);
    assert_eq!(log.enforce_retention(1_000_150, true).unwrap().segments, 0);
    assert_eq!(log.enforce_retention(1_000_201, true).unwrap().segments, 1);
    assert_eq!(read_all(&mut log.reader(0)).unwrap().len(), 1);
}

#[test]
fn a_clock_that_is_not_trusted_trims_nothing_by_age() {
    let log = log_with(aging(), &ForgetfulFs::new(), &[100, 200, 300]);
    assert_eq!(log.enforce_retention(i64::MAX, false).unwrap().segments, 0);
}

#[test]
fn a_segment_whose_clock_was_not_synchronised_is_as_old_as_the_next_that_was() {
    let fs = ForgetfulFs::new();
    let (log, _) = Log::open(Arc::new(fs), aging()).unwrap();
    let mut lost_clock = RecordBuffer::new();
    // A gateway that starts in 1970.
    lost_clock.push(&Fields { wall_us: 5, payload: &[0; 20_000], ..Fields::default() });
    committed(&log, &lost_clock);
    committed(&log, &one(9_000_000, &[0; 20_000]));
    committed(&log, &one(9_000_000, &[0; 20_000]));
    assert_eq!(log.enforce_retention(9_500_000, true).unwrap().segments, 0);
    assert_eq!(log.enforce_retention(10_000_001, true).unwrap().segments, 2);
}

#[test]
fn the_smallest_hold_stops_trimming_and_is_named() {
    let log = log_with(aging(), &ForgetfulFs::new(), &[1, 2, 3, 4]);
    let second = read_all(&mut log.reader(0)).unwrap()[1].0;
    log.hold("history", log.end());
    log.hold("alerts", second);
    let trimmed = log.enforce_retention(i64::MAX, true).unwrap();
    assert_eq!((trimmed.segments, trimmed.held_by.as_deref()), (1, Some("alerts")));
    assert_eq!(read_all(&mut log.reader(0)).unwrap()[0].0, second);
    log.release("alerts");
    assert_eq!(log.enforce_retention(i64::MAX, true).unwrap().segments, 2);
}

#[test]
fn times_of_segments_are_known_after_reopening() {
    let fs = ForgetfulFs::new();
    log_with(aging(), &fs, &[100, 200]).close().unwrap();
    let (log, recovery) = Log::open(Arc::new(fs), aging()).unwrap();
    assert_eq!(recovery.last_time_us, Some(200));
    assert_eq!(log.enforce_retention(1_000_150, true).unwrap().segments, 1);
}

#[test]
fn a_reader_in_a_trimmed_segment_is_told_even_when_its_file_is_in_use_again() {
    let fs = ForgetfulFs::new();
    let config = LogConfig { retain_bytes: 50 << 10, ..quick() };
    let (log, _) = Log::open(Arc::new(fs), config).unwrap();
    let first = committed(&log, &one(0, &[1; 9_000]));
    let mut reader = log.reader(0);
    reader.next().unwrap().unwrap();
    for round in 0..40u8 {
        committed(&log, &one(0, &[round; 9_000]));
        log.enforce_retention(0, false).unwrap();
    }
    let mut lost = false;
    let mut last = first;
    loop {
        match reader.next() {
            Ok(Some(record)) => {
                assert!(record.offset() > last);
                last = record.offset();
            }
            Ok(None) => break,
            Err(ReadError::Trimmed { to, .. }) => {
                lost = true;
                assert_eq!(to, log.stats().oldest);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(lost);
    let mut bytes = Vec::new();
    let refused = matches!(log.read_at(first, &mut bytes), Err(ReadError::Trimmed { .. }));
    assert!(refused);
}

#[test]
fn a_file_that_is_used_again_during_a_read_gives_none_of_its_new_records() {
    let (fs, gate) = GatedFs::new();
    let config = LogConfig { retain_bytes: 40 << 10, ..quick() };
    let (log, _) = Log::open(Arc::new(fs), config).unwrap();
    // With its headers a block: in every file records begin at the same positions.
    const PAYLOAD: usize = 4_096 - 48 - 64 - 1;
    let first = committed(&log, &one(0, &[1; PAYLOAD]));
    let mut reader = log.reader(first);
    let writer = log.clone();
    gate.before_next_read(move || {
        for _ in 0..40 {
            committed(&writer, &one(0, &[2; PAYLOAD]));
            writer.enforce_retention(0, false).unwrap();
        }
    });
    let told = matches!(reader.next(), Err(ReadError::Trimmed { to, .. }) if to > first);
    assert!(told);
    let record = reader.next().unwrap().unwrap();
    assert_eq!((record.offset() > first, record.payload()[0]), (true, 2));
}

#[test]
fn a_power_cut_while_a_file_is_taken_into_use_again_is_no_damage() {
    let fs = ForgetfulFs::new();
    let config = LogConfig { retain_bytes: 64 << 10, ..quick() };
    let (log, _) = Log::open(Arc::new(fs.clone()), config).unwrap();
    for _ in 0..5 {
        committed(&log, &one(0, &[3; 17_000]));
    }
    assert!(log.enforce_retention(0, false).unwrap().segments > 0);
    // No space for other spares; and the new head is in the file when the power goes, but not its new name.
    fs.set_capacity(Some(fs.used()));
    fs.cut_power_after(3);
    log.append(&one(0, &[4; 100])).unwrap();
    assert!(log.close().is_err());
    for seed in 0..20 {
        let after = fs.crash(&mut Random::new(seed));
        after.set_capacity(None);
        open(&after);
    }
}

#[test]
fn a_log_in_balance_uses_its_files_again_and_stays_within_its_bytes() {
    let fs = ForgetfulFs::new();
    let config = LogConfig { retain_bytes: 64 << 10, ..quick() };
    let (log, _) = Log::open(Arc::new(fs.clone()), config).unwrap();
    let mut created = 0;
    for round in 0..100 {
        committed(&log, &one(0, &[3; 9_000]));
        log.enforce_retention(0, false).unwrap();
        if round == 50 {
            created = fs.count(Operation::Create);
        }
    }
    assert_eq!(fs.count(Operation::Create), created, "no new files");
    assert!(log.stats().disk_bytes <= 64 << 10);
}

#[test]
fn a_segment_that_could_not_be_removed_goes_with_the_next_try() {
    let fs = ForgetfulFs::new();
    let log = log_with(LogConfig { retain_bytes: 1, ..quick() }, &fs, &[1, 2, 3]);
    let before = segments(&fs).len();
    fs.fail(Operation::Remove, 1, Failure::Io);
    assert!(log.enforce_retention(0, false).is_err());
    log.enforce_retention(0, false).unwrap();
    assert!(segments(&fs).len() < before);
    assert_eq!(segments(&fs).len(), log.stats().segments);
    drop(log);
    open(&fs);
}

#[test]
fn what_strangers_put_into_the_directory_is_left_alone() {
    let fs = ForgetfulFs::new();
    fs.create("notes.txt").unwrap();
    drop(open(&fs));
    drop(open(&fs));
    assert!(fs.list().unwrap().contains(&"notes.txt".to_owned()));
}
