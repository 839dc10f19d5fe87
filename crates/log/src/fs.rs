//! The file layer: the only way in which this crate touches a disk.
//!
//! One [`Fs`] is one flat directory. Everything durable is written against these two traits, so that tests can put a
//! file layer below it that fails, tears and forgets ([`crate::testing::ForgetfulFs`]).
//!
//! What an implementation must keep, and no more than this may be relied on:
//! - bytes are durable once [`File::sync`] (or [`File::write_durable`]) returned, in any order before;
//! - a name (create, rename, remove) is durable once [`Fs::sync_dir`] returned; rename replaces atomically;
//! - a sector of 512 bytes is either written or not;
//! - after a failed sync nothing is known about the bytes since the last good one.

use std::io;
use std::sync::Arc;

mod os;

pub use os::OsFs;

/// The unit in which segments are written, and to which direct writes are aligned.
pub const BLOCK: usize = 4096;

/// A directory.
pub trait Fs: Send + Sync {
    /// Creates the file, or empties it if it is there.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Opens a file that is there, to read and write.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Gives the file another name, replacing what has that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes the name; who has the file open may go on reading.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes creates, renames and removes durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// Bytes that can still be written.
    fn free_space(&self) -> io::Result<u64>;
}

/// An open file. All methods may be called by several threads at once.
pub trait File: Send + Sync {
    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Makes the content durable, with the length that reading it needs.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Writes all of `bytes`, which are durable when this returned. Fastest when memory, position and length are
    /// aligned to [`BLOCK`].
    fn write_durable(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_at(bytes, position)?;
        self.sync()
    }
}

/// Reads the whole of a file that is known to be small.
pub(crate) fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}
