//! The log against a list: append, commit, read, trim, reopen in any order.

use std::sync::Arc;

use mohhos_log::testing::{ForgetfulFs, Random};
use mohhos_log::{Log, LogConfig, ReadError, RecordBuffer, RecordView};
use proptest::prelude::*;

use crate::support::{PATIENCE, quick, read_all, some_records_of};

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Commit,
    ReadFrom(prop::sample::Index),
    ReadAt(prop::sample::Index),
    Trim { hold: prop::sample::Index },
    Reopen,
    Copy,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<u64>().prop_map(Step::Append),
        3 => Just(Step::Commit),
        3 => any::<prop::sample::Index>().prop_map(Step::ReadFrom),
        3 => any::<prop::sample::Index>().prop_map(Step::ReadAt),
        1 => any::<prop::sample::Index>().prop_map(|hold| Step::Trim { hold }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Copy),
    ]
}

struct Run {
    fs: ForgetfulFs,
    log: Log,
    /// Everything that was appended and not trimmed.
    model: Vec<(u64, Vec<u8>)>,
    buffer: RecordBuffer,
}

impl Run {
    fn config() -> LogConfig {
        LogConfig { retain_bytes: 40 << 10, ..quick() }
    }

    fn commit_all(&self) {
        if let Some((last, _)) = self.model.last() {
            assert!(self.log.wait_committed(*last, PATIENCE));
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append(seed) => {
                let records = some_records_of(&self.log, &mut Random::new(*seed), &mut self.buffer);
                let base = self.log.append(&self.buffer).unwrap();
                assert!(self.model.last().is_none_or(|(last, _)| *last < base));
                self.model.extend(records.into_iter().map(|(position, bytes)| (base + position, bytes)));
                assert_eq!(
                    self.log.end(),
                    self.model.last().map(|(offset, bytes)| offset + bytes.len() as u64).unwrap()
                );
            }
            Step::Commit => self.commit_all(),
            Step::ReadFrom(index) => {
                self.commit_all();
                let from = index.index(self.model.len() + 1);
                let at = match from.checked_sub(1).map(|before| &self.model[before]) {
                    // From behind a record is the same as from the next, even over groups, segments and openings.
                    Some((offset, bytes)) => offset + bytes.len() as u64,
                    None => 0,
                };
                assert_eq!(read_all(&mut self.log.reader(at)).unwrap(), self.model[from..]);
            }
            Step::ReadAt(index) => {
                self.commit_all();
                if !self.model.is_empty() {
                    let (offset, expected) = &self.model[index.index(self.model.len())];
                    let mut bytes = Vec::new();
                    self.log.read_at(*offset, &mut bytes).unwrap();
                    assert_eq!(RecordView::parse(&bytes, *offset).unwrap().as_bytes(), expected);
                }
            }
            Step::Trim { hold } => self.trim(hold),
            Step::Reopen => {
                self.log.close().unwrap();
                let (log, recovery) = Log::open(Arc::new(self.fs.clone()), Run::config()).unwrap();
                assert_eq!((recovery.damaged, recovery.torn), (vec![], None));
                assert!(recovery.start > self.log.end());
                let newest = self
                    .model
                    .iter()
                    .map(|(offset, bytes)| RecordView::parse(bytes, *offset).unwrap().wall_us());
                assert!(recovery.last_time_us >= newest.max());
                self.log = log;
            }
            Step::Copy => {
                self.commit_all();
                let target = ForgetfulFs::new();
                let end = self.log.copy_to(&target).unwrap();
                assert_eq!(end, self.log.committed());
                let (copy, recovery) = Log::open(Arc::new(target), Run::config()).unwrap();
                assert_eq!(recovery.damaged, []);
                assert_eq!(read_all(&mut copy.reader(0)).unwrap(), self.model);
            }
        }
    }

    fn trim(&mut self, hold: &prop::sample::Index) {
        self.commit_all();
        let held = match self.model.get(hold.index(self.model.len() + 1)) {
            Some((offset, _)) => *offset,
            None => self.log.end(),
        };
        self.log.hold("projection", held);
        let before = self.log.stats();
        let trimmed = self.log.enforce_retention(0, false).unwrap();
        let after = self.log.stats();
        assert_eq!(before.segments - trimmed.segments, after.segments);
        assert_eq!(trimmed.oldest, after.oldest);
        assert!(after.disk_bytes <= 40 << 10 || trimmed.held_by.is_some() || after.segments == 1);
        let first_left = self.model.partition_point(|(offset, _)| *offset < after.oldest);
        assert!(self.model[..first_left].iter().all(|(offset, _)| *offset < held), "trimmed what was held");
        if let Some((offset, _)) = self.model[..first_left].first() {
            let mut reader = self.log.reader(*offset);
            let refused = matches!(reader.next(), Err(ReadError::Trimmed { to, .. }) if to == after.oldest);
            assert!(refused, "a reader of what is trimmed must be told");
            assert_eq!(read_all(&mut reader).unwrap(), self.model[first_left..]);
        }
        self.model.drain(..first_left);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_log_does_what_a_list_would_do(steps in prop::collection::vec(step(), 1..60)) {
        let fs = ForgetfulFs::new();
        let (log, _) = Log::open(Arc::new(fs.clone()), Run::config()).unwrap();
        let mut run = Run { fs, log, model: Vec::new(), buffer: RecordBuffer::new() };
        for step in &steps {
            run.step(step);
        }
        run.step(&Step::Reopen);
        assert_eq!(read_all(&mut run.log.reader(0)).unwrap(), run.model);
    }
}
