//! What the model does not say: time, retention, leases, full disks, malformed batches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mohhos_decode::batch::{Batch, Column, Data, OffsetRange, TextData, Validity, telemetry};
use mohhos_log::OsFs;
use mohhos_log::testing::{Failure, ForgetfulFs, Operation};

use crate::decode::decode;
use crate::rows::Rows;
use crate::{Filter, History, HistoryConfig, HistoryError, Position};

fn numbers(device: u32, ts: std::ops::Range<i64>) -> Batch {
    let rows = (ts.end - ts.start) as usize;
    let all = |data| Column { data, validity: Validity::All };
    Batch {
        table: 0,
        shard: 0,
        offsets: OffsetRange::default(),
        arrival_us: ts.end,
        rows,
        columns: vec![
            all(Data::Code(vec![device; rows])),
            all(Data::Code(vec![1; rows])),
            all(Data::I64(ts.clone().collect())),
            all(Data::F64(ts.map(|ts| ts as f64).collect())),
            Column { data: Data::Text(TextData::default()), validity: Validity::None },
            all(Data::Byte(vec![0; rows])),
            all(Data::Code(vec![0; rows])),
        ],
    }
}

fn logged(mut batch: Batch, first: u64, end: u64) -> Batch {
    batch.offsets = OffsetRange { first, end };
    batch
}

fn open(fs: &ForgetfulFs, config: HistoryConfig) -> (History, Vec<Position>) {
    History::open(Arc::new(fs.clone()), Path::new("history"), config).unwrap()
}

fn push(history: &mut History, batch: Batch) -> usize {
    history.push(&Arc::new(batch), 0).unwrap()
}

fn times(fs: &ForgetfulFs, files: &[PathBuf]) -> Vec<i64> {
    let mut rows = Rows::default();
    for path in files {
        decode(fs.content(path.file_name().unwrap().to_str().unwrap()).unwrap(), &mut rows).unwrap();
    }
    rows.iter().map(|row| row.ts).collect()
}

#[test]
fn the_tail_is_due_by_rows_and_by_age_and_not_before() {
    let config = HistoryConfig { flush_rows: 10, flush_interval_us: 1000, ..HistoryConfig::default() };
    let (mut history, _) = open(&ForgetfulFs::new(), config);
    assert!(!history.is_due(i64::MAX));
    history.push(&Arc::new(numbers(1, 0..9)), 50).unwrap();
    assert!(!history.is_due(1049));
    assert!(history.is_due(1050));
    history.push(&Arc::new(numbers(1, 9..10)), 60).unwrap();
    assert!(history.is_due(60));
    assert!(history.flush(60).unwrap());
    assert!(!history.is_due(i64::MAX));
    assert!(!history.flush(70).unwrap());
}

#[test]
fn rows_stay_in_the_tail_while_the_disk_is_full_and_are_written_when_there_is_room() {
    let fs = ForgetfulFs::new();
    let (mut history, _) = open(&fs, HistoryConfig::default());
    push(&mut history, numbers(1, 0..5000));
    fs.set_capacity(Some(1024));
    let error = history.flush(0).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert!(error.to_string().contains("free space"), "{error}");
    assert_eq!(history.tail_rows(), 5000);
    assert_eq!(fs.used(), 0, "what was written of the file is gone again");
    assert!(!history.is_due(999_999) && history.is_due(60_000_000));
    fs.set_capacity(None);
    assert!(history.flush(60_000_000).unwrap());
    assert_eq!(history.tail_rows(), 0);
    assert_eq!(history.reader().stats().rows, 5000);
}

#[test]
fn files_of_a_manifest_that_may_be_on_disk_are_not_deleted() {
    let fs = ForgetfulFs::new();
    let (mut history, _) = open(&fs, HistoryConfig::default());
    push(&mut history, numbers(1, 0..10));
    // The first sync of the directory is for the data file, the second for the manifest that is in place already.
    fs.fail(Operation::SyncDir, 2, Failure::Io);
    assert!(history.flush(0).is_err());
    let (reopened, _) = open(&fs, HistoryConfig::default());
    assert_eq!(reopened.reader().stats().rows, 10);
    assert!(history.flush(0).unwrap());
    let (reopened, _) = open(&fs, HistoryConfig::default());
    assert_eq!(reopened.reader().stats().rows, 10);
}

#[test]
fn a_duplicate_in_one_file_counts_once_and_the_first_stays() {
    let fs = ForgetfulFs::new();
    let (mut history, _) = open(&fs, HistoryConfig::default());
    push(&mut history, numbers(1, 0..3));
    let mut again = numbers(1, 0..4);
    again.columns[telemetry::NUM].data = Data::F64(vec![99.0; 4]);
    push(&mut history, again);
    push(&mut history, numbers(2, 0..1));
    history.flush(0).unwrap();
    let mut rows = Rows::default();
    decode(fs.content("000000000000.parquet").unwrap(), &mut rows).unwrap();
    let values: Vec<(u32, i64, f64)> =
        rows.iter().map(|row| (row.device, row.ts, row.num.unwrap())).collect();
    assert_eq!(values, [(1, 0, 0.0), (1, 1, 1.0), (1, 2, 2.0), (1, 3, 99.0), (2, 0, 0.0)]);
}

#[test]
fn a_file_larger_than_a_row_group_is_in_order_and_whole() {
    let fs = ForgetfulFs::new();
    let (mut history, _) = open(&fs, HistoryConfig::default());
    let rows = 150_000;
    for device in [7, 3] {
        push(&mut history, numbers(device, 0..rows));
    }
    history.flush(0).unwrap();
    let mut read = Rows::default();
    decode(fs.content("000000000000.parquet").unwrap(), &mut read).unwrap();
    let expected = [3, 7].into_iter().flat_map(|device| (0..rows).map(move |ts| (device, ts)));
    assert!(read.iter().map(|row| (row.device, row.ts)).eq(expected));
}

#[test]
fn a_device_with_more_series_than_fit_the_table_is_sorted_all_the_same() {
    let fs = ForgetfulFs::new();
    let (mut history, _) = open(&fs, HistoryConfig::default());
    let mut batch = numbers(1, 0..600);
    batch.columns[telemetry::METRIC].data = Data::Code((0..600).map(|row| 200 - row % 200).collect());
    push(&mut history, batch);
    history.flush(0).unwrap();
    let mut rows = Rows::default();
    decode(fs.content("000000000000.parquet").unwrap(), &mut rows).unwrap();
    assert_eq!(rows.len(), 600);
    assert!(rows.iter().is_sorted_by_key(|row| (row.metric, row.ts)));
}

#[test]
fn positions_move_with_batches_without_rows_and_survive_a_restart() {
    let fs = ForgetfulFs::new();
    let (mut history, positions) = open(&fs, HistoryConfig::default());
    assert_eq!(positions, []);
    history.set_boot(4);
    push(&mut history, logged(numbers(1, 0..2), 0, 100));
    push(&mut history, logged(numbers(1, 0..0), 100, 300));
    assert_eq!(history.positions(), [], "nothing is in a file yet");
    history.flush(0).unwrap();
    let (mut history, positions) = open(&fs, HistoryConfig::default());
    assert_eq!(positions, [Position { boot_id: 4, shard: 0, end: 300 }]);
    let replayed = Arc::new(logged(numbers(1, 5..6), 200, 300));
    assert_eq!(history.push_replayed(4, &replayed, 0).unwrap(), 0);
    history.set_boot(5);
    assert_eq!(push(&mut history, logged(numbers(1, 5..6), 200, 300)), 1, "another boot, another position");
    history.forget_boots_before(5);
    history.flush(0).unwrap();
    assert_eq!(history.positions(), [Position { boot_id: 5, shard: 0, end: 300 }]);
}

#[test]
fn retention_leaves_leased_files_until_they_are_released() {
    let fs = ForgetfulFs::new();
    let config = HistoryConfig { retain_age_us: 1000, ..HistoryConfig::default() };
    let (mut history, _) = open(&fs, config);
    push(&mut history, numbers(1, 0..10));
    history.flush(0).unwrap();
    push(&mut history, numbers(1, 5000..5010));
    history.flush(0).unwrap();
    let reader = history.reader();
    let cut = reader.cut(&Filter { to_us: 10, ..Filter::default() }).unwrap();
    assert_eq!(cut.files.len(), 1, "the other file is later than the filter");
    assert_eq!(history.retain(5500, true).unwrap(), 0);
    reader.release(cut.lease);
    assert_eq!(history.retain(5500, false).unwrap(), 0, "no clock, no age");
    assert_eq!(history.retain(5500, true).unwrap(), 1);
    assert!(fs.content("000000000000.parquet").is_none());
    assert_eq!(reader.stats().rows, 10);
}

#[test]
fn files_that_were_merged_away_stay_readable_for_the_cut_that_holds_them() {
    let fs = ForgetfulFs::new();
    let (mut history, _) = open(&fs, HistoryConfig::default());
    for minute in 0..8 {
        push(&mut history, numbers(1, minute * 10..minute * 10 + 10));
        history.flush(0).unwrap();
    }
    let reader = history.reader();
    let cut = reader.cut(&Filter::default()).unwrap();
    assert!(history.compact().unwrap());
    assert!(!history.compact().unwrap());
    assert_eq!(reader.stats().files, 1);
    let mut before = times(&fs, &cut.files);
    before.sort_unstable();
    assert!(before.iter().copied().eq(0..80));
    reader.release(cut.lease);
    let cut = reader.cut(&Filter::default()).unwrap();
    assert!(times(&fs, &cut.files).iter().copied().eq(0..80));
    assert!(fs.content("000000000000.parquet").is_none());
}

#[test]
fn a_damaged_file_is_not_merged_but_named() {
    let fs = ForgetfulFs::new();
    let (mut history, _) = open(&fs, HistoryConfig::default());
    for minute in 0..8 {
        push(&mut history, numbers(1, minute..minute + 1));
        history.flush(0).unwrap();
    }
    fs.corrupt("000000000003.parquet", 100, 1);
    let error = history.compact().unwrap_err();
    assert!(
        matches!(&error, HistoryError::Damaged { name, .. } if name == "000000000003.parquet"),
        "{error}"
    );
    assert_eq!(history.reader().stats().files, 8);
}

#[test]
fn a_batch_that_is_not_telemetry_is_refused_with_the_column() {
    let (mut history, _) = open(&ForgetfulFs::new(), HistoryConfig::default());
    let mut short = numbers(1, 0..3);
    short.columns[telemetry::QUALITY].data = Data::Byte(vec![0; 2]);
    let mut torn = numbers(1, 0..2);
    let text = TextData { ends: vec![3, 9], bytes: b"abc".to_vec() };
    torn.columns[telemetry::TEXT] = Column { data: Data::Text(text), validity: Validity::All };
    let mut bits = numbers(1, 0..65);
    bits.columns[telemetry::NUM].validity = Validity::Bits(vec![u64::MAX]);
    for (batch, name) in [(short, "quality"), (torn, "text"), (bits, "num")] {
        let error = history.push(&Arc::new(batch), 0).unwrap_err();
        assert!(matches!(error, HistoryError::Layout(column) if column == name), "{error}");
    }
    assert_eq!(history.tail_rows(), 0);
}

#[test]
fn a_missing_file_is_named_at_the_start() {
    let fs = ForgetfulFs::new();
    let (mut history, _) = open(&fs, HistoryConfig::default());
    push(&mut history, numbers(1, 0..3));
    history.flush(0).unwrap();
    mohhos_log::Fs::remove(&fs, "000000000000.parquet").unwrap();
    let error = History::open(Arc::new(fs), Path::new("history"), HistoryConfig::default()).unwrap_err();
    assert!(error.to_string().contains("000000000000.parquet"), "{error}");
}

#[test]
fn a_snapshot_copied_elsewhere_is_the_same_history() {
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |dir: &Path| {
        History::open(Arc::new(OsFs::open(dir).unwrap()), dir, HistoryConfig::default()).unwrap()
    };
    let (mut history, _) = open(source.path());
    history.set_boot(1);
    push(&mut history, logged(numbers(1, 0..10), 0, 64));
    history.flush(0).unwrap();
    let snapshot = history.reader().snapshot();
    for file in &snapshot.files {
        std::fs::copy(file, target.path().join(file.file_name().unwrap())).unwrap();
    }
    snapshot.write_manifest(&OsFs::open(target.path()).unwrap()).unwrap();
    let (copy, positions) = open(target.path());
    assert_eq!(positions, snapshot.positions());
    assert_eq!(copy.reader().stats().rows, 10);
}

#[test]
fn cuts_during_flushes_see_every_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let fs = Arc::new(OsFs::open(dir.path()).unwrap());
    let (mut history, _) = History::open(fs, dir.path(), HistoryConfig::default()).unwrap();
    let reader = history.reader();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let finished = done.clone();
    let cuts = std::thread::spawn(move || {
        let mut least = 0;
        while !finished.load(std::sync::atomic::Ordering::Relaxed) {
            let cut = reader.cut(&Filter::default()).unwrap();
            let mut rows = Rows::default();
            for path in cut.files.iter().chain(&cut.tail_file) {
                decode(std::fs::read(path).unwrap(), &mut rows).unwrap();
            }
            let mut seen: Vec<i64> = rows.iter().map(|row| row.ts).collect();
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..seen.len() as i64), "a gap or a double");
            assert!(seen.len() >= least, "rows went away");
            least = seen.len();
            reader.release(cut.lease);
        }
    });
    for step in 0..60 {
        push(&mut history, numbers(1, step * 10..step * 10 + 10));
        if step % 3 == 0 {
            history.flush(0).unwrap();
            while history.compact().unwrap() {}
        }
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    cuts.join().unwrap();
}
