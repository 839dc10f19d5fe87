//! The data directory: owned by one gateway at a time, and of one format.
//!
//! `lock` is held with `flock` while a gateway runs, and names its process. `FORMAT` is text: a line that says what the
//! directory is, and a line `format N`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::fs::{Fs, OsFs, read_all};

/// The version of the layout of the directory.
pub const DATA_FORMAT: u32 = 1;
const FORMAT_FILE: &str = "FORMAT";
const FORMAT_TITLE: &str = "mohhos data directory";

/// Why the data directory cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another gateway has it.
    #[error(
        "data directory {path} is in use by {holder}: stop that gateway, or give this one a data directory of its own"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who has it, as it says itself.
        holder: String,
    },
    /// A later program made it.
    #[error(
        "data directory {path} has format {found}, this program knows formats up to {DATA_FORMAT}: \
         start the newer program, or restore a backup made by this one"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The file that tells the format says something else.
    #[error(
        "{path} does not tell a format: it should have a line `format {DATA_FORMAT}`; is this a data directory?"
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("data directory {path} cannot be used: {source}; check that it can be written by this user")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    format: u32,
    /// Closing it releases the lock.
    _lock: File,
}

impl DataDir {
    /// Takes the directory, and makes it if it is missing.
    ///
    /// # Errors
    /// Another gateway has it, it is of a later format, or the disk fails.
    pub fn open(path: impl Into<PathBuf>) -> Result<DataDir, DataDirError> {
        let path = path.into();
        let io = |source| DataDirError::Io { path: path.clone(), source };
        let fs = OsFs::open(&path).map_err(io)?;
        let lock = lock(&path)?;
        let format = match fs.open(FORMAT_FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_format(&fs).map_err(io)?;
                DATA_FORMAT
            }
            file => {
                let text = file.and_then(|file| read_all(&*file)).map_err(io)?;
                let format = parse_format(&text)
                    .ok_or_else(|| DataDirError::Unknown { path: path.join(FORMAT_FILE) })?;
                if format > DATA_FORMAT {
                    return Err(DataDirError::Newer { path, found: format });
                }
                format
            }
        };
        Ok(DataDir { path, format, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format it has; at most [`DATA_FORMAT`].
    pub fn format(&self) -> u32 {
        self.format
    }

    /// A directory in it, made if missing.
    ///
    /// # Errors
    /// The disk fails.
    pub fn directory(&self, name: &str) -> Result<OsFs, DataDirError> {
        let path = self.path.join(name);
        OsFs::open(&path).map_err(|source| DataDirError::Io { path, source })
    }
}

fn lock(path: &Path) -> Result<File, DataDirError> {
    let io = |source| DataDirError::Io { path: path.to_owned(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join("lock"))
        .map_err(io)?;
    // SAFETY: the descriptor is open, and flock touches no memory.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(io(error));
        }
        let mut holder = String::new();
        file.read_to_string(&mut holder).map_err(io)?;
        let holder = match holder.trim() {
            "" => "another process".to_owned(),
            known => known.to_owned(),
        };
        return Err(DataDirError::Locked { path: path.to_owned(), holder });
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "process {}", std::process::id())
    };
    write(&mut file).map_err(io)?;
    Ok(file)
}

fn write_format(fs: &OsFs) -> io::Result<()> {
    let temporary = format!("{FORMAT_FILE}.tmp");
    let file = fs.create(&temporary)?;
    file.write_at(format!("{FORMAT_TITLE}\nformat {DATA_FORMAT}\n").as_bytes(), 0)?;
    file.sync()?;
    fs.rename(&temporary, FORMAT_FILE)?;
    fs.sync_dir()
}

fn parse_format(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("format ")?.trim().parse().ok())
}
