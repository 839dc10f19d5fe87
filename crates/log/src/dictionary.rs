//! Names and their codes: a code is on disk before anybody sees it, and never means another name.
//!
//! Layout, little endian. Header of 24 bytes: magic `MOHHDICT`, u32 version (1), u32 CRC-32C of magic, version and salt,
//! u64 salt. Then entries, one behind the other: u32 length of the name, u32 CRC-32C of length, code and name (seeded
//! with the salt), u32 code, the name in UTF-8.
//!
//! Invariants: codes count from 1 without a gap; an entry is written and synced before the next is; so only the last
//! can be torn, and a whole entry behind a broken one is damage, which is refused: cutting there would give the codes
//! of lost names to others.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use mohhos_locks::{Mutex, Rank, RwLock};
use thiserror::Error;

use crate::fs::{File, Fs, read_all};
use crate::record::{u32_at, u64_at};
use crate::segment::new_salt;

const MAGIC: &[u8; 8] = b"MOHHDICT";
const VERSION: u32 = 1;
const HEADER: usize = 24;
const ENTRY: usize = 12;
/// No name is longer.
const MAX_NAME: usize = u16::MAX as usize;

/// Why a name got no code, or the dictionary cannot be opened.
#[derive(Debug, Error)]
pub enum DictionaryError {
    /// The disk failed. Nobody got a code.
    #[error("dictionary {name} could not be read or written: {source}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The bytes are not those that were written.
    #[error(
        "dictionary {name} is damaged at byte {position}: codes behind it would be given to other names; \
         restore it from a backup"
    )]
    Damaged {
        /// The file.
        name: String,
        /// Where.
        position: u64,
    },
    /// A later program wrote it.
    #[error(
        "dictionary {name} has version {version}, this program reads version {VERSION}: start the newer program"
    )]
    Newer {
        /// The file.
        name: String,
        /// Its version.
        version: u32,
    },
    /// There are as many names as may be.
    #[error("dictionary {name} is full: it has {names} names; a device may be inventing names")]
    Full {
        /// The file.
        name: String,
        /// How many names it has.
        names: u32,
    },
    /// The name is too long.
    #[error("a name of {0} bytes is longer than {MAX_NAME}")]
    NameTooLong(usize),
}

/// A durable mapping of names to codes from 1. To be shared by threads: finding a known name waits for no disk.
pub struct Dictionary {
    file_name: String,
    max_names: u32,
    salt: u64,
    names: RwLock<Names>,
    tail: Mutex<Tail>,
}

#[derive(Default)]
struct Names {
    codes: HashMap<Arc<str>, u32>,
    /// By code, from 1.
    names: Vec<Arc<str>>,
}

struct Tail {
    file: Arc<dyn File>,
    /// The end of the synced entries.
    end: u64,
}

impl Names {
    fn insert(&mut self, name: &str) -> u32 {
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        let code = self.names.len() as u32;
        self.codes.insert(name, code);
        code
    }
}

impl Dictionary {
    /// Opens the dictionary, makes it if it is missing, and cuts an entry that a crash tore.
    ///
    /// # Errors
    /// The disk fails, or the file is damaged or of a later version.
    pub fn open(fs: &dyn Fs, file_name: &str, max_names: u32) -> Result<Dictionary, DictionaryError> {
        let io = |source| DictionaryError::Io { name: file_name.to_owned(), source };
        let file = match fs.open(file_name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(fs, file_name).map_err(io)?,
            result => result.map_err(io)?,
        };
        // The last run may have been killed between a write and its sync: what is read below must be on disk.
        file.sync().map_err(io)?;
        let bytes = read_all(&*file).map_err(io)?;
        let salt = check_header(file_name, &bytes)?;
        let mut names = Names::default();
        let mut end = HEADER;
        while let Some(name) = entry(&bytes[end..], names.names.len() as u32 + 1, salt) {
            names.insert(name);
            end += ENTRY + name.len();
        }
        if end < bytes.len() {
            if (end + 1..bytes.len()).any(|at| whole_entry(&bytes[at..], salt).is_some()) {
                return Err(DictionaryError::Damaged { name: file_name.to_owned(), position: end as u64 });
            }
            file.set_len(end as u64).and_then(|()| file.sync()).map_err(io)?;
        }
        Ok(Dictionary {
            file_name: file_name.to_owned(),
            max_names,
            salt,
            names: RwLock::new(names),
            tail: Mutex::ranked(Rank::TABLE, Tail { file, end: end as u64 }),
        })
    }

    /// All names with their codes, by code.
    pub fn entries(&self) -> Vec<(Arc<str>, u32)> {
        self.names.read().names.iter().zip(1..).map(|(name, code)| (Arc::clone(name), code)).collect()
    }

    /// How many names there are; equally, the largest code.
    pub fn len(&self) -> u32 {
        self.names.read().names.len() as u32
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of a name, if it has one.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.names.read().codes.get(name).copied()
    }

    /// The name of a code.
    pub fn name(&self, code: u32) -> Option<Arc<str>> {
        self.names.read().names.get((code as usize).checked_sub(1)?).cloned()
    }

    /// The code of a name, which gets one if it has none. Waits for the disk then.
    ///
    /// # Errors
    /// There are too many names, this one is too long, or the disk fails; it may be tried again.
    pub fn intern(&self, name: &str) -> Result<u32, DictionaryError> {
        if let Some(code) = self.get(name) {
            return Ok(code);
        }
        if name.len() > MAX_NAME {
            return Err(DictionaryError::NameTooLong(name.len()));
        }
        let mut tail = self.tail.lock();
        // Another thread may have been faster.
        if let Some(code) = self.get(name) {
            return Ok(code);
        }
        let names = self.len();
        if names >= self.max_names {
            return Err(DictionaryError::Full { name: self.file_name.clone(), names });
        }
        let bytes = encode(name, names + 1, self.salt);
        tail.file
            .write_at(&bytes, tail.end)
            .and_then(|()| tail.file.sync())
            .map_err(|source| DictionaryError::Io { name: self.file_name.clone(), source })?;
        tail.end += bytes.len() as u64;
        Ok(self.names.write().insert(name))
    }
}

/// An empty dictionary, whole before it has its name.
fn create(fs: &dyn Fs, file_name: &str) -> io::Result<Arc<dyn File>> {
    let temporary = format!("{file_name}.tmp");
    let file = fs.create(&temporary)?;
    let salt = new_salt();
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&header_checksum(VERSION, salt).to_le_bytes());
    header.extend_from_slice(&salt.to_le_bytes());
    file.write_at(&header, 0)?;
    file.sync()?;
    fs.rename(&temporary, file_name)?;
    fs.sync_dir()?;
    Ok(file)
}

fn check_header(file_name: &str, bytes: &[u8]) -> Result<u64, DictionaryError> {
    let damaged = || DictionaryError::Damaged { name: file_name.to_owned(), position: 0 };
    if bytes.len() < HEADER || &bytes[..8] != MAGIC {
        return Err(damaged());
    }
    let (version, salt) = (u32_at(bytes, 8), u64_at(bytes, 16));
    if header_checksum(version, salt) != u32_at(bytes, 12) {
        return Err(damaged());
    }
    if version != VERSION {
        return Err(DictionaryError::Newer { name: file_name.to_owned(), version });
    }
    Ok(salt)
}

fn header_checksum(version: u32, salt: u64) -> u32 {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(MAGIC), &version.to_le_bytes());
    crc32c::crc32c_append(checksum, &salt.to_le_bytes())
}

fn encode(name: &str, code: u32, salt: u64) -> Vec<u8> {
    let len = (name.len() as u32).to_le_bytes();
    let code = code.to_le_bytes();
    let checksum = entry_checksum(&len, &code, name.as_bytes(), salt).to_le_bytes();
    [&len, &checksum, &code, name.as_bytes()].concat()
}

fn entry_checksum(len: &[u8], code: &[u8], name: &[u8], salt: u64) -> u32 {
    let checksum = crc32c::crc32c_append(salt as u32, len);
    crc32c::crc32c_append(crc32c::crc32c_append(checksum, code), name)
}

/// The name of the whole entry at the head of the bytes, if it has this code.
fn entry(bytes: &[u8], code: u32, salt: u64) -> Option<&str> {
    whole_entry(bytes, salt).filter(|(found, _)| *found == code).map(|(_, name)| name)
}

fn whole_entry(bytes: &[u8], salt: u64) -> Option<(u32, &str)> {
    if bytes.len() < ENTRY {
        return None;
    }
    let len = u32_at(bytes, 0) as usize;
    if len > MAX_NAME {
        return None;
    }
    let name = bytes.get(ENTRY..ENTRY + len)?;
    if entry_checksum(&bytes[..4], &bytes[8..12], name, salt) != u32_at(bytes, 4) {
        return None;
    }
    Some((u32_at(bytes, 8), std::str::from_utf8(name).ok()?))
}
