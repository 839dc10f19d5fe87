//! The manifest: which files are the history, and up to where they cover the log.
//!
//! Format, version 1: a file `manifest` as `mohhos_log::write_atomic` makes it (checksummed, replaced as a whole),
//! whose content is JSON:
//!
//! ```json
//! {"next_file": 18,
//!  "files": [{"id": 17, "rows": 9, "bytes": 4711, "crc": 1, "min_ts": 0, "max_ts": 8, "min_arrival": 0,
//!             "max_arrival": 8, "min_device": 1, "max_device": 3}],
//!  "positions": [{"boot_id": 1, "shard": 0, "end": 4096}]}
//! ```
//!
//! Invariants: `files` are in the order of arrival; a file named here is complete and durable; a file that is not
//! named here does not exist as far as anybody is concerned and is deleted at the next start. Files and positions
//! change in one atomic replacement, so that a row below a position is in exactly one file.

use std::io;

use mohhos_log::{Fs, read_atomic, write_atomic};
use serde::{Deserialize, Serialize};

use crate::encode::Encoded;
use crate::position::Position;

/// The name of the manifest's file.
pub(crate) const MANIFEST: &str = "manifest";
/// The version of its content.
const VERSION: u32 = 1;

/// One file of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// Its number, never used again.
    pub id: u64,
    pub rows: u64,
    pub bytes: u64,
    /// CRC-32C of the whole file.
    pub crc: u32,
    pub min_ts: i64,
    pub max_ts: i64,
    pub min_arrival: i64,
    pub max_arrival: i64,
    pub min_device: u32,
    pub max_device: u32,
}

impl FileEntry {
    /// Describes an encoded file.
    pub fn new(id: u64, encoded: &Encoded) -> Self {
        let extent = encoded.extent;
        FileEntry {
            id,
            rows: extent.rows,
            bytes: encoded.bytes.len() as u64,
            crc: crc32c::crc32c(&encoded.bytes),
            min_ts: extent.min_ts,
            max_ts: extent.max_ts,
            min_arrival: extent.min_arrival,
            max_arrival: extent.max_arrival,
            min_device: extent.min_device,
            max_device: extent.max_device,
        }
    }

    /// The file's name in the directory of files.
    pub fn name(&self) -> String {
        file_name(self.id)
    }
}

/// The name of the file of that number.
pub(crate) fn file_name(id: u64) -> String {
    format!("{id:012}.parquet")
}

/// What the history consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The number of the next file.
    pub next_file: u64,
    /// The files, in the order of arrival.
    pub files: Vec<FileEntry>,
    /// Up to where the files cover the log.
    pub positions: Vec<Position>,
}

impl Manifest {
    /// The manifest in a directory; the default if there is none. The error says in words what is wrong.
    pub fn read(fs: &dyn Fs) -> Result<Manifest, String> {
        let Some((version, content)) = read_atomic(fs, MANIFEST).map_err(|error| error.to_string())? else {
            return Ok(Manifest::default());
        };
        if version != VERSION {
            return Err(format!("its version is {version}, this program knows version {VERSION} only"));
        }
        serde_json::from_slice(&content).map_err(|error| error.to_string())
    }

    /// Replaces the manifest in a directory durably. After an error the old one or this one is there.
    pub fn write(&self, fs: &dyn Fs) -> io::Result<()> {
        write_atomic(fs, MANIFEST, VERSION, &serde_json::to_vec(self)?)
    }
}

#[cfg(test)]
mod tests {
    use mohhos_log::testing::ForgetfulFs;

    use super::*;

    fn sample() -> Manifest {
        Manifest {
            next_file: 3,
            files: vec![FileEntry {
                id: 2,
                rows: 5,
                bytes: 4096,
                crc: u32::MAX,
                min_ts: i64::MIN,
                max_ts: i64::MAX,
                min_arrival: -1,
                max_arrival: 1,
                min_device: 0,
                max_device: u32::MAX,
            }],
            positions: vec![Position { boot_id: 9, shard: 3, end: u64::MAX }],
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let fs = ForgetfulFs::new();
        assert_eq!(Manifest::read(&fs), Ok(Manifest::default()));
        sample().write(&fs).unwrap();
        assert_eq!(Manifest::read(&fs), Ok(sample()));
    }

    #[test]
    fn a_damaged_manifest_is_refused() {
        let fs = ForgetfulFs::new();
        sample().write(&fs).unwrap();
        let content = 32..fs.content(MANIFEST).unwrap().len();
        for position in content {
            fs.corrupt(MANIFEST, position, 4);
            assert!(Manifest::read(&fs).is_err(), "byte {position}");
            fs.corrupt(MANIFEST, position, 4);
        }
    }

    #[test]
    fn a_manifest_of_a_later_version_is_refused_with_words() {
        let fs = ForgetfulFs::new();
        write_atomic(&fs, MANIFEST, VERSION + 1, b"{}").unwrap();
        assert!(Manifest::read(&fs).unwrap_err().contains("its version is 2"));
    }
}
