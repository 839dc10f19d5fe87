//! Power cuts at any moment, over a disk that forgets what was not synced: nothing acknowledged is lost, nothing else
//! appears.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mohhos_log::testing::{Failure, ForgetfulFs, Operation, Random, crash_disks};
use mohhos_log::{Class, Classes, Log, LogConfig, ReadError, RecordBuffer};

use crate::support::{BULK, PATIENCE, quick, read_all, some_records_of};

const LIVES: u64 = 5;

/// What must hold over all the lives of one disk.
#[derive(Default)]
struct Witness {
    /// Appended records that a crash or retention has not taken, in order.
    appended: Vec<(u64, Vec<u8>)>,
    /// The end of what was acknowledged.
    acknowledged: u64,
    /// What retention may not touch begins here.
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
        let newest = found.last().map_or(0, |(offset, _)| *offset);
        let mut rest = found.iter();
        for record in &self.appended {
            if rest.as_slice().first() == Some(record) {
                rest.next();
                continue;
            }
            let (offset, _) = record;
            // Retention has taken it, or the crash took it and everything behind it.
            let may_be_gone = *offset < self.held || (*offset >= self.acknowledged && *offset > newest);
            assert!(
                may_be_gone,
                "record {offset} is lost or changed; acknowledged up to {}",
                self.acknowledged
            );
        }
        assert_eq!(rest.as_slice(), [], "nobody appended these");
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
                let records = some_records_of(log, random, &mut buffer);
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
                let _ = log.enforce_retention(0, false);
            }
            _ => std::thread::yield_now(),
        }
    }
    witness.acknowledged = witness.acknowledged.max(log.committed()).max(called.load(Ordering::SeqCst));
}

/// In half of the runs telemetry has a class of its own, which goes early and may wait for its sync.
fn config(seed: u64) -> LogConfig {
    let mut config = LogConfig { retain_bytes: 30 << 10, ..quick() };
    if seed.is_multiple_of(2) {
        let bulk = Class {
            name: "bulk".to_owned(),
            topics: vec![BULK.to_owned()],
            retain_bytes: 20 << 10,
            retain_age_us: 0,
            sync_interval_us: 500,
        };
        config.classes = Classes::new(vec![bulk]).unwrap();
    }
    config
}

/// Returns how many crashes there were.
fn run(seed: u64) -> u64 {
    let random = &mut Random::new(seed);
    let mut fs = ForgetfulFs::new();
    let mut witness = Witness::default();
    for _ in 0..LIVES {
        // In half of the lives the power goes at some operation, which may be one of the opening; in many something
        // fails before.
        let cut = random.below(2) == 0;
        let failures = random.below(2) == 0;
        let early = failures && random.below(4) == 0;
        if early {
            inject_failures(&fs, random);
        }
        if cut {
            let latest = if random.below(3) == 0 { 12 } else { 150 };
            fs.cut_power_after(1 + random.below(latest));
        }
        match Log::open(Arc::new(fs.clone()), config(seed)) {
            Ok((log, recovery)) => {
                assert_eq!((recovery.damaged, recovery.set_aside), (vec![], vec![]), "a crash is no damage");
                if witness.check(&log, recovery.start) {
                    live(&log, &fs, random, &mut witness, failures);
                }
                assert_eq!(log.stats().damaged, 0);
                // What is acknowledged was noted before; commits may still be under way now.
                fs = fs.crash(random);
            }
            Err(error) => {
                assert!(cut || early, "opening fails only on a disk that does: {error}");
                fs = fs.crash(random);
            }
        }
    }
    let (log, recovery) = Log::open(Arc::new(fs), config(seed)).unwrap();
    assert_eq!(recovery.damaged, []);
    assert!(witness.check(&log, recovery.start));
    LIVES
}

/// How many disks live through [`LIVES`] crashes each.
fn disks() -> u64 {
    if std::env::var_os("MOHHOS_LONG").is_some() { 20_000 } else { 240 }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_else_appears_over_more_than_a_thousand_crashes() {
    assert!(crash_disks(disks(), 2, run) >= 1_000);
}

#[test]
fn a_log_that_met_failures_goes_on_by_itself_and_keeps_everything_it_took() {
    for seed in 1_000..1_000 + disks() / 4 {
        let random = &mut Random::new(seed);
        let fs = ForgetfulFs::new();
        let config = LogConfig { retain_bytes: 0, ..config(seed) };
        let (log, _) = Log::open(Arc::new(fs.clone()), config.clone()).unwrap();
        let mut witness = Witness::default();
        live(&log, &fs, random, &mut witness, true);
        log.hasten();
        if let Some((last, _)) = witness.appended.last() {
            assert!(log.wait_committed(*last, PATIENCE), "seed {seed}: {:?}", log.stats().stalled);
        }
        assert_eq!(log.stats().stalled, None, "seed {seed}");
        witness.acknowledged = log.committed();
        let after = fs.crash(random);
        let (log, recovery) = Log::open(Arc::new(after), config).unwrap();
        assert_eq!(recovery.damaged, [], "seed {seed}");
        assert!(witness.check(&log, recovery.start));
    }
}
