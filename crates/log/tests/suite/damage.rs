//! A medium that changes bytes: found, reported, and the rest goes on.

use std::sync::Arc;

use mohhos_log::testing::ForgetfulFs;
use mohhos_log::{Fs, Log, OpenError, ReadError};

use crate::support::{committed, one, open, quick, read_all, segments};

/// Four segments with one record each; returns their offsets.
fn four_segments(fs: &ForgetfulFs) -> Vec<u64> {
    let log = open(fs);
    let offsets = (0..4).map(|round| committed(&log, &one(0, &[round; 17_000]))).collect();
    log.close().unwrap();
    offsets
}

fn offsets(records: &[(u64, Vec<u8>)]) -> Vec<u64> {
    records.iter().map(|(offset, _)| *offset).collect()
}

#[test]
fn a_segment_with_a_damaged_head_is_set_aside_and_the_rest_goes_on() {
    let fs = ForgetfulFs::new();
    let written = four_segments(&fs);
    let name = segments(&fs)[1].clone();
    fs.corrupt(&name, 20, 1);
    let (log, recovery) = Log::open(Arc::new(fs.clone()), quick()).unwrap();
    assert_eq!(recovery.set_aside, [format!("{name}.damaged")]);
    assert!(fs.content(&format!("{name}.damaged")).is_some());
    assert_eq!(recovery.damaged.len(), 1);
    assert!(recovery.damaged[0].from <= written[1] && recovery.damaged[0].to <= written[2]);

    let mut reader = log.reader(written[0]);
    assert_eq!(reader.next().unwrap().unwrap().offset(), written[0]);
    let told = matches!(reader.next(), Err(ReadError::Damaged { from, to, .. })
        if from <= written[1] && to <= written[2]);
    assert!(told);
    assert_eq!(offsets(&read_all(&mut reader).unwrap()), written[2..]);
    assert!(log.read_at(written[1], &mut Vec::new()).is_err());
}

#[test]
fn a_damaged_head_of_the_oldest_or_newest_segment_is_reported_too() {
    for which in [0, 3] {
        let fs = ForgetfulFs::new();
        let written = four_segments(&fs);
        fs.corrupt(&segments(&fs)[which], 0, 1);
        let (log, recovery) = Log::open(Arc::new(fs), quick()).unwrap();
        assert_eq!(recovery.damaged.len(), 1, "segment {which}");
        let range = &recovery.damaged[0];
        assert!((range.from..range.to).contains(&written[which]), "segment {which}: {range:?}");
        assert!(recovery.start > written[3]);
        let left: Vec<u64> = written.iter().copied().filter(|offset| *offset != written[which]).collect();
        assert_eq!(offsets(&read_all(&mut log.reader(0)).unwrap()), left);
    }
}

#[test]
fn a_segment_that_somebody_removed_is_reported_as_missing() {
    let fs = ForgetfulFs::new();
    let written = four_segments(&fs);
    fs.remove(&segments(&fs)[2]).unwrap();
    let (_, recovery) = Log::open(Arc::new(fs), quick()).unwrap();
    assert_eq!(recovery.damaged.len(), 1);
    assert!((recovery.damaged[0].from..recovery.damaged[0].to).contains(&written[2]));
}

#[test]
fn one_changed_byte_costs_one_record() {
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    let written: Vec<u64> = (0..20).map(|round| committed(&log, &one(0, &[round; 200]))).collect();
    // The first segment has its base at 4096, so positions in it are offsets.
    fs.corrupt(&segments(&fs)[0], written[7] as usize + 100, 4);
    let mut reader = log.reader(0);
    let mut found = Vec::new();
    let mut damaged = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(record)) => found.push(record.offset()),
            Ok(None) => break,
            Err(ReadError::Damaged { from, to, .. }) => damaged.push(from..to),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].start, written[7]);
    let left: Vec<u64> = written.iter().copied().filter(|offset| *offset != written[7]).collect();
    assert_eq!(found, left);
}

#[test]
fn a_changed_length_costs_no_more_than_its_group() {
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    let written: Vec<u64> = (0..20).map(|round| committed(&log, &one(0, &[round; 200]))).collect();
    fs.corrupt(&segments(&fs)[0], written[7] as usize, 0x40);
    let mut reader = log.reader(written[7]);
    assert!(matches!(reader.next(), Err(ReadError::Damaged { .. })));
    assert_eq!(offsets(&read_all(&mut reader).unwrap()), written[8..]);
}

#[test]
fn damage_in_front_of_whole_groups_is_not_taken_for_a_torn_end() {
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    let written: Vec<u64> = (0..20).map(|round| committed(&log, &one(0, &[round; 200]))).collect();
    // As after a power cut: there is no seal.
    let after = fs.crash(&mut mohhos_log::testing::Random::new(3));
    after.corrupt(&segments(&after)[0], written[7] as usize + 100, 4);
    let (log, recovery) = Log::open(Arc::new(after), quick()).unwrap();
    assert_eq!((recovery.damaged.len(), recovery.torn), (1, None));
    let mut reader = log.reader(written[8]);
    assert_eq!(offsets(&read_all(&mut reader).unwrap()), written[8..]);
}

#[test]
fn a_payload_that_looks_like_a_group_is_not_taken_for_one() {
    let fs = ForgetfulFs::new();
    let log = open(&fs);
    committed(&log, &one(0, b"a record"));
    let name = segments(&fs)[0].clone();
    // What a device could know: the bytes of a group as they were, at the offset where they will be.
    let stolen = fs.content(&name).unwrap()[4096..4096 + 48].to_vec();
    let offset = committed(&log, &one(0, &stolen));
    fs.corrupt(&name, offset as usize + 9, 1);
    let end = log.end();
    let mut reader = log.reader(offset);
    let skipped = matches!(reader.next(), Err(ReadError::Damaged { to, .. }) if to == end);
    assert!(skipped);
}

#[test]
fn a_newer_format_is_refused_with_words() {
    let fs = ForgetfulFs::new();
    drop(open(&fs));
    let name = segments(&fs)[0].clone();
    let mut head = fs.content(&name).unwrap()[..40].to_vec();
    head[8] = 9;
    let file = fs.open(&name).unwrap();
    file.write_at(&head, 0).unwrap();
    file.write_at(&crc32c::crc32c(&head).to_le_bytes(), 40).unwrap();
    let error = Log::open(Arc::new(fs), quick()).err().unwrap();
    assert!(matches!(&error, OpenError::NewerFormat { version: 9, .. }));
    assert!(error.to_string().contains("start the newer program"), "{error}");
}
