//! Group commit: what is said to be committed is on disk, in the order it was appended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mohhos_locks::Mutex;
use mohhos_log::testing::ForgetfulFs;
use mohhos_log::{AppendError, Fields, Log, LogConfig, RecordBuffer};

use crate::gated::GatedFs;
use crate::support::{PATIENCE, committed, one, open, quick, read_all};

fn one_segment() -> LogConfig {
    LogConfig { segment_bytes: 1 << 30, ..quick() }
}

#[test]
fn nothing_is_committed_before_the_sync_that_covers_it_returned() {
    let (fs, gate) = GatedFs::new();
    let config = LogConfig { segment_bytes: 64 << 10, ..quick() };
    let (log, _) = Log::open(Arc::new(fs), config).unwrap();
    let before = log.committed();
    gate.close();
    let first = log.append(&one(1, b"first")).unwrap();
    gate.wait_for_a_sync();
    assert_eq!(log.committed(), before);
    assert!(!log.wait_committed(first, Duration::from_millis(1)));
    assert!(log.reader(0).next().unwrap().is_none(), "a reader sees only what is committed");

    // Appending goes on while the disk is busy.
    let second = log.append(&one(2, b"second")).unwrap();
    assert_eq!(log.committed(), before);
    gate.open();
    assert!(log.wait_committed(second, PATIENCE));
}

#[test]
fn every_callback_and_every_look_at_committed_finds_it_synced_already() {
    let (fs, gate) = GatedFs::new();
    let config = one_segment();
    // The first segment is filled with zeros once; only what comes then counts.
    let (log, _) = Log::open(Arc::new(fs), LogConfig { segment_bytes: 8 << 20, ..config }).unwrap();
    gate.synced.store(0, Ordering::SeqCst);
    let (seen, too_early) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (callback_gate, callback_seen, callback_early) =
        (Arc::clone(&gate), Arc::clone(&seen), Arc::clone(&too_early));
    log.on_commit(Box::new(move |end| {
        callback_seen.fetch_max(end, Ordering::SeqCst);
        if callback_gate.synced.load(Ordering::SeqCst) < end {
            callback_early.fetch_add(1, Ordering::SeqCst);
        }
    }));
    for round in 0..500u32 {
        log.append(&one(0, &round.to_le_bytes())).unwrap();
        let committed = log.committed();
        // The segment begins at 4096, as do offsets: before the first commit nothing is in it.
        assert!(committed == 4096 || committed <= gate.synced.load(Ordering::SeqCst));
    }
    log.close().unwrap();
    assert_eq!(too_early.load(Ordering::SeqCst), 0);
    assert_eq!(seen.load(Ordering::SeqCst), log.end());
}

#[test]
fn what_is_appended_during_a_commit_is_committed_as_one_group() {
    let (fs, gate) = GatedFs::new();
    let (log, _) = Log::open(Arc::new(fs), quick()).unwrap();
    gate.close();
    log.append(&one(0, b"alone")).unwrap();
    gate.wait_for_a_sync();
    let last = (0..100).map(|_| log.append(&one(0, b"together")).unwrap()).max().unwrap();
    gate.open();
    assert!(log.wait_committed(last, PATIENCE));
    assert_eq!(log.stats().commits, 2);
    assert_eq!(log.stats().records, 101);
}

#[test]
fn a_full_buffer_refuses_and_takes_again_after_the_commit() {
    let (fs, gate) = GatedFs::new();
    let (log, _) = Log::open(Arc::new(fs), LogConfig { buffer_bytes: 8 << 10, ..quick() }).unwrap();
    gate.close();
    let mut last = 0;
    let refused = loop {
        match log.append(&one(0, &[7; 1000])) {
            Ok(offset) => last = offset,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, AppendError::Full);
    assert_eq!(log.stats().full, 1);
    assert!(log.end() - log.committed() <= 8 << 10);
    gate.open();
    assert!(log.wait_committed(last, PATIENCE));
    committed(&log, &one(0, &[7; 1000]));
}

#[test]
fn what_is_larger_than_the_buffer_is_taken_when_nothing_waits() {
    let fs = ForgetfulFs::new();
    let (log, _) = Log::open(Arc::new(fs), LogConfig { buffer_bytes: 8 << 10, ..quick() }).unwrap();
    let large = one(0, &[9; 100_000]);
    committed(&log, &large);
    assert_eq!(read_all(&mut log.reader(0)).unwrap()[0].1, large.as_bytes());
}

#[test]
fn appenders_at_once_keep_each_their_own_order() {
    let log = open(&ForgetfulFs::new());
    std::thread::scope(|scope| {
        for shard in 0..4u16 {
            let log = &log;
            scope.spawn(move || {
                let mut buffer = RecordBuffer::new();
                for round in 0..300u64 {
                    buffer.clear();
                    for part in 0..3 {
                        buffer.push(&Fields { shard, mono_us: round * 3 + part, ..Fields::default() });
                    }
                    let base = loop {
                        match log.append(&buffer) {
                            Ok(base) => break base,
                            Err(AppendError::Full) => std::thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    };
                    if round % 50 == 0 {
                        assert!(log.wait_committed(base, PATIENCE));
                    }
                }
            });
        }
    });
    log.close().unwrap();
    let mut next = [0u64; 4];
    let mut reader = log.reader(0);
    while let Some(record) = reader.next().unwrap() {
        let shard = usize::from(record.shard());
        assert_eq!(record.mono_us(), next[shard]);
        next[shard] += 1;
    }
    assert_eq!(next, [900; 4]);
}

#[test]
fn close_commits_what_was_appended_and_refuses_what_comes_later() {
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    let handle = log.clone();
    log.append(&one(5, b"last")).unwrap();
    log.close().unwrap();
    assert_eq!(handle.append(&one(6, b"late")), Err(AppendError::Closed));
    assert_eq!(log.committed(), log.end());
    drop((log, handle));
    let log = open(&fs);
    let mut reader = log.reader(0);
    assert_eq!(reader.next().unwrap().unwrap().payload(), b"last");
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn the_last_handle_dropped_by_the_log_thread_itself_does_no_harm() {
    let log = open(&ForgetfulFs::new());
    let (dropped, was_dropped) = std::sync::mpsc::channel();
    let handle = Mutex::new(Some(log.clone()));
    log.on_commit(Box::new(move |_| {
        let last = handle.lock().take();
        drop(last);
        dropped.send(()).ok();
    }));
    log.append(&one(0, b"x")).unwrap();
    drop(log);
    was_dropped.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn an_offset_of_another_log_is_refused() {
    let log = open(&ForgetfulFs::new());
    committed(&log, &one(0, b"x"));
    let mut reader = log.reader(log.end() + 8);
    let refused = matches!(reader.next(), Err(mohhos_log::ReadError::Beyond { .. }));
    assert!(refused);
    assert!(log.reader(log.end()).next().unwrap().is_none());
}
