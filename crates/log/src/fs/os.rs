//! [`Fs`] over a real directory.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mohhos_locks::Mutex;

use super::{BLOCK, File, Fs};

/// A real directory. Aligned durable writes go through `O_DIRECT | O_DSYNC`, which was measured faster than
/// `fdatasync` and stalls far less under load; where that is refused (tmpfs), through `pwrite` and `fdatasync`.
#[derive(Debug)]
pub struct OsFs {
    directory: PathBuf,
}

impl OsFs {
    /// Opens the directory, and makes it if it is missing (readable by the owner alone).
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<OsFs> {
        let directory = directory.into();
        if !directory.is_dir() {
            let mut builder = fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(&directory)?;
            if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                fs::File::open(parent)?.sync_all()?;
            }
        }
        Ok(OsFs { directory })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    fn file(&self, name: &str, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        let path = self.directory.join(name);
        let file = options.open(&path)?;
        Ok(Arc::new(OsFile { file, path, direct: Mutex::new(None), direct_refused: AtomicBool::new(false) }))
    }
}

impl Fs for OsFs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.file(name, OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.file(name, OpenOptions::new().read(true).write(true))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        fs::File::open(&self.directory)?.sync_all()
    }

    fn free_space(&self) -> io::Result<u64> {
        let directory = fs::File::open(&self.directory)?;
        let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: the descriptor is open for the length of the call, and `stat` is large enough for what is written.
        if unsafe { libc::fstatvfs(directory.as_raw_fd(), stat.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fstatvfs returned 0, so it filled the structure.
        let stat = unsafe { stat.assume_init() };
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

struct OsFile {
    file: fs::File,
    path: PathBuf,
    /// Opened at the first aligned durable write, so that readers cost one descriptor.
    direct: Mutex<Option<Arc<fs::File>>>,
    direct_refused: AtomicBool,
}

impl OsFile {
    /// The descriptor for direct writes, or none where the file system has no such thing.
    fn direct(&self) -> io::Result<Option<Arc<fs::File>>> {
        if self.direct_refused.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut direct = self.direct.lock();
        if let Some(file) = &*direct {
            return Ok(Some(Arc::clone(file)));
        }
        let opened = match self.open_direct() {
            Ok(file) => file,
            // tmpfs and some network file systems say EINVAL at open; sandboxes refuse the way through /proc.
            Err(_) => {
                self.direct_refused.store(true, Ordering::Relaxed);
                return Ok(None);
            }
        };
        let file = Arc::new(opened);
        *direct = Some(Arc::clone(&file));
        Ok(Some(file))
    }

    /// Opens the same file again. The path may name another file by now (segments are renamed into place), so it
    /// goes through the descriptor, and by path only where /proc is not mounted and the path still means this file.
    fn open_direct(&self) -> io::Result<fs::File> {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_DIRECT | libc::O_DSYNC);
        if let Ok(file) = options.open(format!("/proc/thread-self/fd/{}", self.file.as_raw_fd())) {
            return Ok(file);
        }
        use std::os::unix::fs::MetadataExt;
        let file = options.open(&self.path)?;
        let (ours, theirs) = (self.file.metadata()?, file.metadata()?);
        if (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()) {
            return Ok(file);
        }
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}

impl File for OsFile {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, position)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], position + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn write_durable(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let aligned = bytes.as_ptr().addr().is_multiple_of(BLOCK)
            && bytes.len().is_multiple_of(BLOCK)
            && position.is_multiple_of(BLOCK as u64);
        if aligned && let Some(direct) = self.direct()? {
            match direct.write_all_at(bytes, position) {
                // Block devices with larger sectors, and file systems that refuse late.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    self.direct_refused.store(true, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        self.write_at(bytes, position)?;
        self.sync()
    }
}
