//! Group commit: what is said to be committed is on disk, in the order it was appended.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mohhos_log::testing::ForgetfulFs;
use mohhos_log::{AppendError, Fields, File, Fs, Log, LogConfig, RecordBuffer};

use crate::support::{PATIENCE, committed, one, open, quick, read_all};

/// Notes what was synced, and can keep syncs from returning.
struct GatedFs {
    below: ForgetfulFs,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
    /// The largest offset of any segment below which a sync has returned.
    synced: AtomicU64,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    waiting: usize,
}

impl Gate {
    fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    fn open(&self) {
        self.state.lock().unwrap().closed = false;
        self.changed.notify_all();
    }

    fn wait_for_a_sync(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.waiting == 0).unwrap());
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        state = self.changed.wait_while(state, |state| state.closed).unwrap();
        state.waiting -= 1;
    }
}

struct GatedFile {
    below: Arc<dyn File>,
    gate: Arc<Gate>,
    written: AtomicU64,
}

impl GatedFs {
    fn new() -> (GatedFs, Arc<Gate>) {
        let gate = Arc::new(Gate::default());
        (GatedFs { below: ForgetfulFs::new(), gate: Arc::clone(&gate) }, gate)
    }

    fn gated(&self, below: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(GatedFile { below, gate: Arc::clone(&self.gate), written: AtomicU64::new(0) })
    }
}

impl Fs for GatedFs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.gated(self.below.create(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.gated(self.below.open(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.below.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.below.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.below.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.below.sync_dir()
    }
    fn free_space(&self) -> io::Result<u64> {
        // Too little for spares, whose zeros are not to be taken for commits.
        Ok(0)
    }
}

impl File for GatedFile {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        // The first segment has its base at 4096, so positions in it are offsets.
        self.written.fetch_max(position + bytes.len() as u64, Ordering::SeqCst);
        self.below.write_at(bytes, position)
    }
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.below.read_at(buffer, position)
    }
    fn sync(&self) -> io::Result<()> {
        let written = self.written.load(Ordering::SeqCst);
        self.gate.pass();
        self.below.sync()?;
        self.gate.synced.fetch_max(written, Ordering::SeqCst);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.below.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }
}

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
        drop(handle.lock().unwrap().take());
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
