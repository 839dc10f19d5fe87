//! Codes are durable before they are seen, and never change.

use std::sync::Arc;

use mohhos_log::testing::{Failure, ForgetfulFs, Operation, Random};
use mohhos_log::{Dictionary, DictionaryError, Fs};
use proptest::prelude::*;

const FILE: &str = "metrics";

fn open(fs: &ForgetfulFs) -> Dictionary {
    Dictionary::open(fs, FILE, 1_000).unwrap()
}

fn names(dictionary: &Dictionary) -> Vec<String> {
    dictionary.entries().iter().map(|(name, _)| name.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn codes_survive_power_cuts_and_failures(
        seed in any::<u64>(),
        names in prop::collection::vec("[a-cé]{0,4}", 1..40),
    ) {
        let random = &mut Random::new(seed);
        let mut fs = ForgetfulFs::new();
        let mut dictionary = open(&fs);
        let mut seen: Vec<(String, u32)> = Vec::new();
        for name in names {
            if random.below(6) == 0 {
                let operation = if random.below(2) == 0 { Operation::Write } else { Operation::Sync };
                fs.fail(operation, 1, Failure::Io);
            }
            if let Ok(code) = dictionary.intern(&name) {
                match seen.iter().find(|(known, _)| *known == name) {
                    Some((_, known)) => prop_assert_eq!(code, *known),
                    None => {
                        prop_assert_eq!(code as usize, seen.len() + 1);
                        seen.push((name, code));
                    }
                }
            }
            if random.below(5) == 0 {
                fs = fs.crash(random);
                dictionary = open(&fs);
                for (name, code) in &seen {
                    prop_assert_eq!(dictionary.get(name), Some(*code));
                }
                // A name whose code nobody saw may be there.
                for (name, code) in dictionary.entries().into_iter().skip(seen.len()) {
                    seen.push((name.to_string(), code));
                }
            }
        }
        let entries: Vec<(String, u32)> =
            dictionary.entries().into_iter().map(|(name, code)| (name.to_string(), code)).collect();
        prop_assert_eq!(entries, seen);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let fs = ForgetfulFs::new();
        open(&fs).intern("a").unwrap();
        let file = fs.open(FILE).unwrap();
        file.write_at(&bytes, 24).unwrap();
        let _ = Dictionary::open(&fs, FILE, 10);
        file.write_at(&bytes, 0).unwrap();
        let _ = Dictionary::open(&fs, FILE, 10);
    }
}

#[test]
fn a_torn_tail_is_cut_and_its_code_given_again() {
    let fs = ForgetfulFs::new();
    let dictionary = open(&fs);
    dictionary.intern("temperature").unwrap();
    dictionary.intern("pressure").unwrap();
    let len = fs.content(FILE).unwrap().len();
    fs.open(FILE).unwrap().set_len(len as u64 - 1).unwrap();
    let dictionary = open(&fs);
    assert_eq!(names(&dictionary), ["temperature"]);
    assert_eq!(dictionary.intern("flow").unwrap(), 2);
    assert_eq!(names(&open(&fs)), ["temperature", "flow"]);
}

#[test]
fn damage_in_the_middle_is_refused_rather_than_giving_codes_to_other_names() {
    let fs = ForgetfulFs::new();
    let dictionary = open(&fs);
    for name in ["temperature", "pressure", "flow"] {
        dictionary.intern(name).unwrap();
    }
    fs.corrupt(FILE, 24 + 12 + 3, 1);
    let refused =
        matches!(Dictionary::open(&fs, FILE, 10), Err(DictionaryError::Damaged { position: 24, .. }));
    assert!(refused);
}

#[test]
fn it_takes_no_more_names_than_it_may() {
    let dictionary = Dictionary::open(&ForgetfulFs::new(), FILE, 2).unwrap();
    dictionary.intern("a").unwrap();
    dictionary.intern("b").unwrap();
    assert!(matches!(dictionary.intern("c"), Err(DictionaryError::Full { names: 2, .. })));
    assert_eq!(dictionary.intern("a").unwrap(), 1);
    let long = "x".repeat(70_000);
    assert!(matches!(dictionary.intern(&long), Err(DictionaryError::NameTooLong(70_000))));
}

#[test]
fn threads_that_intern_the_same_names_get_the_same_codes() {
    let dictionary = Arc::new(open(&ForgetfulFs::new()));
    let codes: Vec<Vec<u32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| (0..50).map(|name| dictionary.intern(&format!("m{name}")).unwrap()).collect())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(codes.iter().all(|of_thread| *of_thread == codes[0]));
    assert_eq!(dictionary.len(), 50);
    assert_eq!(dictionary.name(codes[0][7]).as_deref(), Some("m7"));
    assert_eq!(dictionary.name(0), None);
}
