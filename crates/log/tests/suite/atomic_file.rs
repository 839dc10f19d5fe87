//! A reader finds the old content or the new.

use mohhos_log::testing::{Failure, ForgetfulFs, Operation, Random};
use mohhos_log::{AtomicFileError, Fs, read_atomic, write_atomic};
use proptest::prelude::*;

const FILE: &str = "checkpoint";

#[test]
fn after_a_power_cut_there_is_the_old_content_or_the_new_and_what_was_written_stays() {
    let mut written_at_all = 0;
    for seed in 0..300 {
        let random = &mut Random::new(seed);
        let mut fs = ForgetfulFs::new();
        let mut old: Option<(u32, Vec<u8>)> = None;
        for version in 0..4 {
            let content: Vec<u8> = (0..random.below(3_000)).map(|_| random.next_u64() as u8).collect();
            match random.below(3) {
                0 => fs.cut_power_after(1 + random.below(6)),
                1 => fs.fail(Operation::Sync, 1, Failure::Io),
                _ => {}
            }
            let new = Some((version, content.clone()));
            let written = write_atomic(&fs, FILE, version, &content).is_ok();
            written_at_all += u32::from(written);
            fs = fs.crash(random);
            let found = read_atomic(&fs, FILE).unwrap();
            assert!(found == new || (!written && found == old), "seed {seed}");
            old = found;
        }
    }
    assert!(written_at_all > 300);
}

#[test]
fn a_write_that_fails_leaves_the_old_content_and_no_litter() {
    let fs = ForgetfulFs::new();
    write_atomic(&fs, FILE, 1, b"old").unwrap();
    fs.fail(Operation::Write, 1, Failure::NoSpace);
    assert!(write_atomic(&fs, FILE, 2, b"new").is_err());
    assert_eq!(read_atomic(&fs, FILE).unwrap(), Some((1, b"old".to_vec())));
    assert_eq!(fs.list().unwrap(), [FILE]);
}

#[test]
fn a_file_that_is_not_there_is_no_error() {
    assert_eq!(read_atomic(&ForgetfulFs::new(), FILE).unwrap(), None);
}

#[test]
fn a_later_layout_is_refused_by_its_version() {
    let fs = ForgetfulFs::new();
    write_atomic(&fs, FILE, 1, b"content").unwrap();
    fs.corrupt(FILE, 8, 2);
    assert!(matches!(read_atomic(&fs, FILE), Err(AtomicFileError::Newer { version: 3, .. })));
}

proptest! {
    #[test]
    fn any_changed_byte_is_noticed(
        content in prop::collection::vec(any::<u8>(), 0..100),
        at in any::<prop::sample::Index>(),
        change in 1..=255u8,
    ) {
        let fs = ForgetfulFs::new();
        write_atomic(&fs, FILE, 7, &content).unwrap();
        let len = fs.content(FILE).unwrap().len();
        fs.corrupt(FILE, at.index(len), change);
        prop_assert!(read_atomic(&fs, FILE).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let fs = ForgetfulFs::new();
        fs.create(FILE).unwrap().write_at(&bytes, 0).unwrap();
        prop_assert!(read_atomic(&fs, FILE).is_err());
    }
}
