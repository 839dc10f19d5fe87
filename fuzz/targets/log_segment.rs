//! A log whose files were changed and cut anywhere: it opens, says what is damaged, gives back only records that were
//! written, in order, and takes new ones.
#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mohhos_log::testing::ForgetfulFs;
use mohhos_log::{Fields, Fs, Log, LogConfig, ReadError, RecordBuffer};

#[derive(Arbitrary, Debug)]
enum Harm {
    Flip { file: u8, position: u16, mask: u8 },
    Cut { file: u8, length: u16 },
    Remove { file: u8 },
    Swap { one: u8, other: u8 },
}

type Written = Vec<(String, Vec<u8>)>;

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 8 << 10,
        retain_bytes: 0,
        retain_age_us: 0,
        commit_interval_us: 0,
        buffer_bytes: 1 << 20,
        retry_interval_us: 1_000,
        ..LogConfig::default()
    }
}

fn append(log: &Log, payload: &[u8]) {
    let mut buffer = RecordBuffer::new();
    buffer.push(&Fields { topic: "t", payload, ..Fields::default() });
    let offset = log.append(&buffer).expect("the disk has room");
    assert!(log.wait_committed(offset, Duration::from_secs(30)));
}

/// The files of a log with forty records over several segments, and the records' payloads.
fn written() -> &'static (Written, Vec<Vec<u8>>) {
    static WRITTEN: OnceLock<(Written, Vec<Vec<u8>>)> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let fs = ForgetfulFs::new();
        let (log, _) = Log::open(Arc::new(fs.clone()), config()).expect("an empty directory");
        let payloads: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; 20 + 37 * usize::from(n)]).collect();
        payloads.iter().for_each(|payload| append(&log, payload));
        log.close().expect("closes");
        let names = fs.list().expect("lists");
        let files = names.into_iter().map(|name| (name.clone(), fs.content(&name).unwrap_or_default())).collect();
        (files, payloads)
    })
}

fn harmed(files: &Written, harms: &[Harm]) -> ForgetfulFs {
    let fs = ForgetfulFs::new();
    for (name, content) in files {
        let file = fs.create(name).expect("creates");
        file.write_at(content, 0).expect("writes");
        file.sync().expect("syncs");
    }
    let name = |file: u8| files[usize::from(file) % files.len()].0.as_str();
    for harm in harms.iter().take(16) {
        match *harm {
            Harm::Flip { file, position, mask } => {
                let length = fs.content(name(file)).map_or(0, |content| content.len());
                if usize::from(position) < length {
                    fs.corrupt(name(file), usize::from(position), mask);
                }
            }
            Harm::Cut { file, length } => {
                if let Ok(file) = fs.open(name(file)) {
                    file.set_len(u64::from(length)).expect("cuts");
                    file.sync().expect("syncs");
                }
            }
            Harm::Remove { file } => {
                let _ = fs.remove(name(file));
            }
            Harm::Swap { one, other } => {
                let _ = fs.rename(name(one), name(other));
            }
        }
    }
    fs.sync_dir().expect("syncs");
    fs
}

fn read_all(log: &Log) -> Vec<Vec<u8>> {
    let mut reader = log.reader(0);
    let mut found = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(record)) => found.push(record.payload().to_vec()),
            Ok(None) => return found,
            Err(ReadError::Damaged { from, to, .. }) => assert!(from < to, "the reader stands still"),
            Err(other) => panic!("{other}"),
        }
    }
}

fuzz_target!(|harms: Vec<Harm>| {
    let (files, payloads) = written();
    let fs = harmed(files, &harms);
    let Ok((log, _)) = Log::open(Arc::new(fs), config()) else { return };
    let found = read_all(&log);
    let mut places = found.iter().map(|payload| payloads.iter().position(|known| known == payload));
    assert!(places.all(|place| place.is_some()), "a record that nobody wrote");
    append(&log, b"new");
    assert_eq!(read_all(&log).last().map(Vec::as_slice), Some(&b"new"[..]));
    log.close().expect("closes");
});
