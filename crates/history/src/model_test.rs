//! The history against a model, over a file layer that forgets what was not synced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mohhos_decode::batch::{Batch, Column, Data, OffsetRange, TextData, Validity};
use mohhos_log::testing::{Failure, ForgetfulFs, Operation, Random};
use proptest::prelude::*;

use crate::decode::decode;
use crate::rows::Rows;
use crate::{Cut, Filter, History, HistoryConfig};

/// A reading of the model; `id` numbers all readings in the order of arrival and is also their value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    device: u32,
    metric: u32,
    table: u32,
    ts: i64,
}

#[derive(Debug, Clone)]
enum Op {
    Push { shard: u16, readings: Vec<(Key, bool)>, copies: usize },
    Flush,
    Compact,
    Cut(Filter),
    Hold,
    Release,
    Reopen,
    Fail(Operation, u64, Failure),
    Crash { seed: u64, operations: Option<u64> },
}

struct World {
    fs: ForgetfulFs,
    history: History,
    boot_id: u32,
    /// What the log holds: every batch ever pushed, with its boot.
    log: Vec<(u32, Arc<Batch>)>,
    expected: BTreeMap<Key, i64>,
    next_id: i64,
    next_offset: u64,
    held: Vec<Cut>,
}

fn config() -> HistoryConfig {
    HistoryConfig { merge_rows: 1 << 20, ..HistoryConfig::default() }
}

fn open(fs: &ForgetfulFs) -> History {
    History::open(Arc::new(fs.clone()), Path::new("history"), config()).unwrap().0
}

/// One reading per row: numbers equal the id, texts are the id in words of decimal digits.
fn batch(shard: u16, offsets: OffsetRange, first_id: i64, readings: &[(Key, bool)]) -> Batch {
    let mut text = TextData::default();
    let rows = readings.len();
    let (mut numbers, mut texts) = (vec![0u64; rows.div_ceil(64)], vec![0u64; rows.div_ceil(64)]);
    for (row, (_, is_text)) in readings.iter().enumerate() {
        let id = first_id + row as i64;
        let words = if *is_text { &mut texts } else { &mut numbers };
        words[row / 64] |= 1 << (row % 64);
        text.push(&if *is_text { id.to_string() } else { String::new() });
    }
    let any_text = readings.iter().any(|(_, is_text)| *is_text);
    let column = |data, validity| Column { data, validity };
    let all = |data| Column { data, validity: Validity::All };
    let columns = vec![
        all(Data::Code(readings.iter().map(|(key, _)| key.device).collect())),
        all(Data::Code(readings.iter().map(|(key, _)| key.metric).collect())),
        all(Data::I64(readings.iter().map(|(key, _)| key.ts).collect())),
        column(
            Data::F64((0..rows as i64).map(|row| (first_id + row) as f64).collect()),
            if any_text { Validity::Bits(numbers) } else { Validity::All },
        ),
        if any_text {
            column(Data::Text(text), Validity::Bits(texts))
        } else {
            column(Data::Text(TextData::default()), Validity::None)
        },
        all(Data::Byte(vec![1; rows])),
        all(Data::Code(readings.iter().map(|(key, _)| key.table).collect())),
    ];
    Batch { table: 0, shard, offsets, arrival_us: first_id, rows, columns }
}

impl World {
    fn new() -> Self {
        let fs = ForgetfulFs::new();
        let history = open(&fs);
        let mut world = World {
            fs,
            history,
            boot_id: 1,
            log: Vec::new(),
            expected: BTreeMap::new(),
            next_id: 1,
            next_offset: 0,
            held: Vec::new(),
        };
        world.history.set_boot(1);
        world
    }

    fn push(&mut self, shard: u16, readings: &[(Key, bool)]) {
        let first = self.next_offset;
        self.next_offset += 64;
        let offsets = OffsetRange { first, end: self.next_offset };
        let batch = Arc::new(batch(shard, offsets, self.next_id, readings));
        for (key, _) in readings {
            self.expected.entry(*key).or_insert(self.next_id);
            self.next_id += 1;
        }
        self.log.push((self.boot_id, batch.clone()));
        assert_eq!(self.history.push(&batch, 0).unwrap(), readings.len());
        assert_eq!(self.history.push(&batch, 0).unwrap(), 0, "the same batch again is ignored");
    }

    fn restart(&mut self) {
        self.held.clear();
        self.history = open(&self.fs);
        self.boot_id += 1;
        self.history.set_boot(self.boot_id);
        for (boot_id, batch) in &self.log {
            self.history.push_replayed(*boot_id, batch, 0).unwrap();
        }
    }

    fn rows(&self, files: &[PathBuf]) -> Rows {
        let mut rows = Rows::default();
        for path in files {
            let name = path.file_name().unwrap().to_str().unwrap();
            let content = self.fs.content(name).unwrap_or_else(|| panic!("{name} is gone"));
            decode(content, &mut rows).unwrap();
        }
        rows
    }

    fn check(&self, filter: &Filter) {
        let cut = self.history.reader().cut(filter).unwrap();
        self.check_cut(&cut, filter);
        self.history.reader().release(cut.lease);
        assert!(cut.tail_file.is_none_or(|tail| self.fs.content(tail.to_str().unwrap()).is_none()));
    }

    fn check_cut(&self, cut: &Cut, filter: &Filter) {
        let mut files = cut.files.clone();
        files.extend(cut.tail_file.clone());
        let rows = self.rows(&files);
        let mut found = BTreeMap::new();
        let mut ids = std::collections::BTreeSet::new();
        for row in rows.iter() {
            let id = match row.text {
                Some(text) => std::str::from_utf8(text).unwrap().parse().unwrap(),
                None => row.num.unwrap() as i64,
            };
            assert!(ids.insert(id), "reading {id} is in the cut twice");
            assert_eq!(row.num.is_some(), row.text.is_none());
            assert_eq!(row.quality, 1);
            let key = Key { device: row.device, metric: row.metric, table: row.table, ts: row.ts };
            if matches(filter, &key) {
                let first = found.entry(key).or_insert(id);
                *first = id.min(*first);
            }
        }
        let expected = self.expected.iter().filter(|(key, _)| matches(filter, key));
        let expected: BTreeMap<Key, i64> = expected.map(|(key, id)| (*key, *id)).collect();
        assert_eq!(found, expected);
        if let Some(tail) = &cut.tail_file {
            assert_eq!(self.rows(std::slice::from_ref(tail)).len(), cut.rows_in_tail);
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Push { shard, readings, copies } => {
                let copied: Vec<(Key, bool)> = (0..*copies)
                    .flat_map(|copy| readings.iter().map(move |reading| (copy as i64, reading)))
                    .map(|(copy, (key, text))| (Key { ts: key.ts + copy * 1000, ..*key }, *text))
                    .collect();
                self.push(*shard, &copied);
            }
            Op::Flush => {
                let before = self.history.positions();
                if self.history.flush(0).is_err() {
                    assert_eq!(self.history.positions(), before);
                    assert!(!self.history.is_due(0));
                }
            }
            Op::Compact => while matches!(self.history.compact(), Ok(true)) {},
            Op::Cut(filter) => self.check(filter),
            Op::Hold => self.held.extend(self.history.reader().cut(&Filter::default())),
            Op::Release => {
                if let Some(cut) = self.held.pop() {
                    self.rows(&cut.files);
                    self.history.reader().release(cut.lease);
                }
            }
            Op::Reopen => self.restart(),
            Op::Fail(operation, nth, failure) => self.fs.fail(*operation, *nth, *failure),
            Op::Crash { seed, operations } => {
                if let Some(operations) = operations {
                    self.fs.cut_power_after(*operations);
                    let _ = self.history.flush(0);
                    let _ = self.history.compact();
                }
                self.fs = self.fs.crash(&mut Random::new(*seed));
                self.restart();
                self.check(&Filter::default());
            }
        }
    }
}

fn matches(filter: &Filter, key: &Key) -> bool {
    (filter.devices.is_empty() || filter.devices.contains(&key.device))
        && (filter.metrics.is_empty() || filter.metrics.contains(&key.metric))
        && (filter.from_us..filter.to_us).contains(&key.ts)
}

fn reading() -> impl Strategy<Value = (Key, bool)> {
    let device = prop_oneof![4 => 1u32..5, 1 => Just(1_000_000)];
    (device, 1u32..4, 0u32..2, 0i64..40, prop::bool::weighted(0.2))
        .prop_map(|(device, metric, table, ts, text)| (Key { device, metric, table, ts }, text))
}

fn filter() -> impl Strategy<Value = Filter> {
    let devices = prop::collection::vec(1u32..5, 0..3);
    let metrics = prop::collection::vec(1u32..4, 0..2);
    (devices, metrics, 0i64..40, 0i64..60).prop_map(|(devices, metrics, from_us, length)| Filter {
        devices,
        metrics,
        from_us,
        to_us: from_us + length,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let push =
        (0u16..2, prop::collection::vec(reading(), 1..12), prop_oneof![6 => Just(1usize), 1 => Just(60)])
            .prop_map(|(shard, readings, copies)| Op::Push { shard, readings, copies });
    let operation = prop_oneof![
        Just(Operation::Write),
        Just(Operation::Sync),
        Just(Operation::SyncDir),
        Just(Operation::Rename),
        Just(Operation::Create),
    ];
    let failure = prop_oneof![Just(Failure::Io), Just(Failure::NoSpace)];
    prop_oneof![
        8 => push,
        8 => Just(Op::Flush),
        2 => Just(Op::Compact),
        2 => Just(Op::Hold),
        2 => Just(Op::Release),
        1 => Just(Op::Reopen),
        1 => (operation, 1u64..4, failure).prop_map(|(operation, nth, failure)| Op::Fail(operation, nth, failure)),
        2 => (any::<u64>(), prop::option::of(1u64..16)).prop_map(|(seed, operations)| Op::Crash { seed, operations }),
        2 => filter().prop_map(Op::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_reading_is_lost_or_doubled_whatever_happens(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in &ops {
            // A failure that was ordered may hit a cut as well; a cut is checked where none is pending.
            if matches!(op, Op::Cut(_)) && ops.iter().any(|op| matches!(op, Op::Fail(..))) {
                continue;
            }
            world.apply(op);
        }
        world.apply(&Op::Crash { seed: 1, operations: None });
    }
}
