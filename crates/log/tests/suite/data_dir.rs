//! One gateway, one directory, one format.

use mohhos_log::{DATA_FORMAT, DataDir, DataDirError, Fs};

#[test]
fn a_second_gateway_is_told_who_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let first = DataDir::open(&path).unwrap();
    let error = DataDir::open(&path).unwrap_err();
    assert!(matches!(error, DataDirError::Locked { .. }));
    let words = error.to_string();
    assert!(words.contains(&format!("process {}", std::process::id())), "{words}");
    drop(first);
    DataDir::open(&path).unwrap();
}

#[test]
fn a_new_directory_gets_the_format_and_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(DataDir::open(directory.path()).unwrap().format(), DATA_FORMAT);
    let text = std::fs::read_to_string(directory.path().join("FORMAT")).unwrap();
    assert_eq!(text, format!("mohhos data directory\nformat {DATA_FORMAT}\n"));
    let data = DataDir::open(directory.path()).unwrap();
    let log = data.directory("log").unwrap();
    log.create("x").unwrap();
    assert!(data.path().join("log/x").is_file());
}

#[test]
fn a_newer_format_and_a_file_that_tells_none_are_refused_with_words() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("FORMAT");
    std::fs::write(&file, "mohhos data directory\nformat 99\n").unwrap();
    let words = DataDir::open(directory.path()).unwrap_err().to_string();
    assert!(words.contains("format 99") && words.contains("start the newer program"), "{words}");
    std::fs::write(&file, "photos").unwrap();
    let error = DataDir::open(directory.path()).unwrap_err();
    assert!(matches!(error, DataDirError::Unknown { .. }), "{error}");
}

#[test]
fn a_directory_that_cannot_be_made_says_which() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let words = DataDir::open(file.join("data")).unwrap_err().to_string();
    assert!(words.contains("file/data"), "{words}");
}
