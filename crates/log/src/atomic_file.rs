//! Small files that are replaced as a whole: a reader finds the old content or the new, never a part.
//!
//! Layout, little endian: magic `MOHHFILE`, u32 layout version (1), u32 version of the content, u64 length of the
//! content, u32 zero, u32 CRC-32C of the 28 bytes before and the content, then the content.
//!
//! Invariant: a name is given to a file only after its content was synced, and is durable when writing returned.

use std::io;

use thiserror::Error;

use crate::fs::{Fs, read_all};
use crate::record::{u32_at, u64_at};

const MAGIC: &[u8; 8] = b"MOHHFILE";
const LAYOUT: u32 = 1;
const HEADER: usize = 32;

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub enum AtomicFileError {
    /// The disk failed.
    #[error("{name} could not be read: {source}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The bytes are not those that were written.
    #[error("{name} is damaged: {reason}; restore it from a backup, or remove it to start without it")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A later program wrote it.
    #[error(
        "{name} has layout version {version}, this program reads version {LAYOUT}: start the newer program"
    )]
    Newer {
        /// The file.
        name: String,
        /// Its version.
        version: u32,
    },
}

/// Replaces the file's content durably. Writers of the same name must not overlap.
///
/// # Errors
/// The disk fails or is full; the old content stays, or the new one is there already, but not known to be durable.
pub fn write_atomic(fs: &dyn Fs, name: &str, version: u32, content: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(HEADER + content.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&LAYOUT.to_le_bytes());
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&checksum(&bytes, content).to_le_bytes());
    bytes.extend_from_slice(content);

    let temporary = format!("{name}.tmp");
    let written = (|| {
        let file = fs.create(&temporary)?;
        file.write_at(&bytes, 0)?;
        file.sync()?;
        fs.rename(&temporary, name)
    })();
    if let Err(error) = written {
        // Best effort: what matters is the first failure.
        let _ = fs.remove(&temporary);
        return Err(error);
    }
    fs.sync_dir()
}

/// The version and the content of the file; none if there is no such file.
///
/// # Errors
/// The disk fails, or the file is not what was written.
pub fn read_atomic(fs: &dyn Fs, name: &str) -> Result<Option<(u32, Vec<u8>)>, AtomicFileError> {
    let io = |source| AtomicFileError::Io { name: name.to_owned(), source };
    let file = match fs.open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(io)?,
    };
    let mut bytes = read_all(&*file).map_err(io)?;
    let damaged = |reason| AtomicFileError::Damaged { name: name.to_owned(), reason };
    if bytes.len() < HEADER || &bytes[..8] != MAGIC {
        return Err(damaged("it does not begin as such a file does"));
    }
    let layout = u32_at(&bytes, 8);
    if layout > LAYOUT {
        return Err(AtomicFileError::Newer { name: name.to_owned(), version: layout });
    }
    if u64_at(&bytes, 16) != (bytes.len() - HEADER) as u64 {
        return Err(damaged("its length is not the one it had"));
    }
    if checksum(&bytes[..28], &bytes[HEADER..]) != u32_at(&bytes, 28) {
        return Err(damaged("its checksum does not match"));
    }
    let version = u32_at(&bytes, 12);
    bytes.drain(..HEADER);
    Ok(Some((version, bytes)))
}

fn checksum(head: &[u8], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), content)
}
