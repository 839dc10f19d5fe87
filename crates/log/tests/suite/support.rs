//! What several tests need.

use std::sync::Arc;
use std::time::Duration;

use mohhos_log::testing::{ForgetfulFs, Random};
use mohhos_log::{Classes, Fields, Flags, Fs, Log, LogConfig, ReadError, Reader, RecordBuffer};

/// Long enough for any machine; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Small segments, no pauses.
pub fn quick() -> LogConfig {
    LogConfig {
        segment_bytes: 16 << 10,
        retain_bytes: 0,
        retain_age_us: 0,
        commit_interval_us: 0,
        buffer_bytes: 1 << 20,
        retry_interval_us: 1_000,
        trim_when_full: false,
        classes: Classes::default(),
    }
}

pub fn open(fs: &ForgetfulFs) -> Log {
    let (log, recovery) = Log::open(Arc::new(fs.clone()), quick()).unwrap();
    assert_eq!(recovery.damaged, []);
    log
}

/// One record with this payload, made by a synchronised clock.
pub fn one(wall_us: i64, payload: &[u8]) -> RecordBuffer {
    let mut buffer = RecordBuffer::new();
    buffer.push(&Fields {
        wall_us,
        flags: Flags::CLOCK_SYNCHRONISED,
        topic: "t",
        payload,
        ..Fields::default()
    });
    buffer
}

/// Appends and waits for the commit; returns the record's offset.
pub fn committed(log: &Log, buffer: &RecordBuffer) -> u64 {
    let offset = log.append(buffer).unwrap();
    assert!(log.wait_committed(offset, PATIENCE));
    offset
}

/// The topic of most random records.
pub const BULK: &str = "devices/pump-1/telemetry";
const OTHER: &str = "devices/pump-1/events/started";

/// Random records, with their positions in the buffer and their bytes.
pub fn some_records_of(log: &Log, random: &mut Random, buffer: &mut RecordBuffer) -> Vec<(u64, Vec<u8>)> {
    buffer.clear();
    let positions: Vec<u32> = (0..1 + random.below(6))
        .map(|_| {
            let long = random.below(8) == 0;
            let payload: Vec<u8> =
                (0..random.below(if long { 5_000 } else { 300 })).map(|_| random.next_u64() as u8).collect();
            let topic = if random.below(4) == 0 { OTHER } else { BULK };
            buffer.push(&Fields {
                wall_us: random.below(1 << 40) as i64,
                principal: "pump-1",
                device: "pump-1",
                topic,
                class: log.class_of(topic),
                payload: &payload,
                ..Fields::default()
            })
        })
        .collect();
    let views: Vec<_> = buffer.iter().map(|view| view.unwrap().as_bytes().to_vec()).collect();
    positions.into_iter().map(u64::from).zip(views).collect()
}

/// All records that a reader gives, with their offsets.
pub fn read_all(reader: &mut Reader) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
    let mut records = Vec::new();
    while let Some(record) = reader.next()? {
        records.push((record.offset(), record.as_bytes().to_vec()));
    }
    Ok(records)
}

/// The names of the segments, oldest first.
pub fn segments(fs: &ForgetfulFs) -> Vec<String> {
    let mut names: Vec<String> =
        fs.list().unwrap().into_iter().filter(|name| name.ends_with(".log")).collect();
    names.sort();
    names
}
