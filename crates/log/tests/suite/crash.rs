//! Power cuts at any moment, over a disk that forgets what was not synced: nothing acknowledged is lost, nothing else
//! appears.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mohhos_log::testing::{Failure, ForgetfulFs, Operation, Random};
use mohhos_log::{Log, LogConfig, ReadError, RecordBuffer};

use crate::support::{PATIENCE, quick, read_all, some_records};

const LIVES: u64 = 5;

/// What must hold over all the lives of one disk.
struct Witness {
    /// Appended records that a crash has not taken, in order.
    appended: Vec<(u64, Vec<u8>)>,
    /// The end of what was acknowledged.
    acknowledged: u64,
    /// What retention may not touch.
    held: u64,
    /// The end of what was handed out.
    end: u64,
}

impl Witness {
    /// False if the power went before all could be read.
    fn check(&mut self, log: &Log, start: u64) -> bool {
        assert!(start >= self.end, "offsets from {start} on were handed out before (up to {})", self.end);
        let found = match read_all(&mut log.reader(0)) {
            Err(ReadError::Io { .. }) => return false,
            found => found.expect("no damage, no holes"),
        };
        let oldest = found.first().map_or(u64::MAX, |(offset, _)| *offset);
        for record in
            self.appended.iter().filter(|(offset, _)| *offset < oldest && *offset < self.acknowledged)
        {
            assert!(record.0 < self.held, "acknowledged record {} is lost", record.0);
        }
        let expected: Vec<_> = self.appended.iter().filter(|(offset, _)| *offset >= oldest).collect();
        let acknowledged = expected.iter().filter(|(offset, _)| *offset < self.acknowledged).count();
        assert!(
            found.len() >= acknowledged,
            "{} of {acknowledged} acknowledged records are left",
            found.len()
        );
        assert!(found.len() <= expected.len(), "there are records that nobody appended");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected);
        }
        // Readers have seen them now: they must stay.
        self.appended = found;
        self.acknowledged = log.committed();
        self.end = start;
        true
    }
}

fn inject_failures(fs: &ForgetfulFs, random: &mut Random) {
    let kinds = [
        Operation::Write,
        Operation::Sync,
        Operation::SyncDir,
        Operation::Rename,
        Operation::Create,
        Operation::Remove,
        Operation::SetLen,
    ];
    for _ in 0..random.below(4) {
        let failure = if random.below(2) == 0 { Failure::Io } else { Failure::NoSpace };
        fs.fail(kinds[random.below(kinds.len() as u64) as usize], 1 + random.below(12), failure);
    }
}

fn live(log: &Log, fs: &ForgetfulFs, random: &mut Random, witness: &mut Witness, failures: bool) {
    let called = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&called);
    log.on_commit(Box::new(move |end| seen.store(end, Ordering::SeqCst)));
    if failures {
        inject_failures(fs, random);
    }
    let mut buffer = RecordBuffer::new();
    log.hold("projection", witness.held);
    for _ in 0..random.below(40) {
        match random.below(10) {
            0..=5 => {
                let records = some_records(random, &mut buffer);
                // Stalled: none was taken.
                if let Ok(base) = log.append(&buffer) {
                    witness.appended.extend(records.into_iter().map(|(at, bytes)| (base + at, bytes)));
                    witness.end = log.end();
                }
            }
            6 | 7 => {
                if let Some((last, _)) = witness.appended.last() {
                    log.wait_committed(*last, std::time::Duration::from_millis(random.below(3)));
                }
            }
            8 => {
                // A projection goes ahead and retention follows it; it may be cut off in the middle.
                witness.held = witness.held.max(log.committed().saturating_sub(random.below(30_000)));
                log.hold("projection", witness.held);
                let _ = log.enforce_retention(0, false);
            }
            _ => std::thread::yield_now(),
        }
    }
    witness.acknowledged = witness.acknowledged.max(log.committed()).max(called.load(Ordering::SeqCst));
}

fn config() -> LogConfig {
    LogConfig { retain_bytes: 30 << 10, ..quick() }
}

/// Returns how many crashes there were.
fn run(seed: u64) -> u64 {
    let random = &mut Random::new(seed);
    let mut fs = ForgetfulFs::new();
    let mut witness = Witness { appended: Vec::new(), acknowledged: 0, held: 0, end: 0 };
    for _ in 0..LIVES {
        // In half of the lives the power goes at some operation, which may be one of the opening.
        let cut = random.below(2) == 0;
        if cut {
            let latest = if random.below(3) == 0 { 12 } else { 150 };
            fs.cut_power_after(1 + random.below(latest));
        }
        match Log::open(Arc::new(fs.clone()), config()) {
            Ok((log, recovery)) => {
                assert_eq!((recovery.damaged, recovery.set_aside), (vec![], vec![]), "a crash is no damage");
                if witness.check(&log, recovery.start) {
                    let failures = !cut && random.below(2) == 0;
                    live(&log, &fs, random, &mut witness, failures);
                }
                // What is acknowledged was noted before; commits may still be under way now.
                fs = fs.crash(random);
            }
            Err(_) => {
                assert!(cut, "opening fails only without power");
                fs = fs.crash(random);
            }
        }
    }
    let (log, recovery) = Log::open(Arc::new(fs), config()).unwrap();
    assert_eq!(recovery.damaged, []);
    assert!(witness.check(&log, recovery.start));
    LIVES
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_else_appears_over_hundreds_of_power_cuts() {
    let crashes: u64 = (0..100)
        .map(|seed| {
            std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|panic| {
                eprintln!("with seed {seed}");
                std::panic::resume_unwind(panic)
            })
        })
        .sum();
    assert!(crashes >= 300);
}

#[test]
fn a_log_that_met_failures_goes_on_by_itself_and_keeps_everything_it_took() {
    for seed in 1_000..1_040 {
        let random = &mut Random::new(seed);
        let fs = ForgetfulFs::new();
        let (log, _) = Log::open(Arc::new(fs.clone()), quick()).unwrap();
        let mut witness = Witness { appended: Vec::new(), acknowledged: 0, held: 0, end: 0 };
        live(&log, &fs, random, &mut witness, true);
        if let Some((last, _)) = witness.appended.last() {
            assert!(log.wait_committed(*last, PATIENCE), "seed {seed}: {:?}", log.stats().stalled);
        }
        assert_eq!(read_all(&mut log.reader(0)).unwrap(), witness.appended, "seed {seed}");
        witness.acknowledged = log.committed();
        let after = fs.crash(random);
        let (log, recovery) = Log::open(Arc::new(after), quick()).unwrap();
        assert_eq!(recovery.damaged, [], "seed {seed}");
        assert!(witness.check(&log, recovery.start));
    }
}
