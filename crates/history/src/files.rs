//! The directory of the history: what is written when, so that power loss at any moment leaves a whole.
//!
//! It is flat: `manifest`, `000000000017.parquet` (data) and `cut-5.parquet` (the tail file of a cut). A data file and
//! its name are durable before a manifest names it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mohhos_log::Fs;
use rustc_hash::FxHashSet;

use crate::error::HistoryError;
use crate::manifest::{FileEntry, MANIFEST, Manifest};
use crate::state::Doomed;

/// A directory and how it is reached.
pub(crate) struct Files {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Files {
    /// `fs` is the directory at `dir`.
    pub fn new(fs: Arc<dyn Fs>, dir: &Path) -> Files {
        Files { fs, dir: dir.to_owned() }
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn failed(&self, action: &'static str, name: &str) -> impl FnOnce(io::Error) -> HistoryError {
        let path = self.path(name);
        move |source| HistoryError::Io { action, path, source }
    }

    /// The manifest on disk.
    pub fn read_manifest(&self) -> Result<Manifest, HistoryError> {
        let unusable = |reason| HistoryError::Manifest { path: self.path(MANIFEST), reason };
        Manifest::read(&*self.fs).map_err(unusable)
    }

    /// Replaces the manifest durably, after making the names of the files in it durable. After an error either the
    /// old or the new one counts.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), HistoryError> {
        self.fs.sync_dir().map_err(self.failed("sync", ""))?;
        manifest.write(&*self.fs).map_err(self.failed("write", MANIFEST))
    }

    /// Deletes what no manifest names: files of a flush or a merge that was cut short, and of cuts. Refuses to start
    /// if a file that the manifest names is missing.
    pub fn delete_unknown(&self, manifest: &Manifest) -> Result<(), HistoryError> {
        let names = self.fs.list().map_err(self.failed("list", ""))?;
        let present: FxHashSet<&str> = names.iter().map(String::as_str).collect();
        for file in &manifest.files {
            let name = file.name();
            if !present.contains(name.as_str()) {
                return Err(HistoryError::Damaged { name, reason: "it is missing".into() });
            }
        }
        let known: FxHashSet<String> = manifest.files.iter().map(FileEntry::name).collect();
        for name in names {
            if name.ends_with(".parquet") && !known.contains(&name) {
                self.fs.remove(&name).map_err(self.failed("delete", &name))?;
            }
        }
        Ok(())
    }

    /// Reads a whole file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, HistoryError> {
        let read = || {
            let file = self.fs.open(name)?;
            let len =
                usize::try_from(file.len()?).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
            let mut bytes = vec![0; len];
            let got = file.read_at(&mut bytes, 0)?;
            bytes.truncate(got);
            Ok(bytes)
        };
        read().map_err(self.failed("read", name))
    }

    /// Writes a data file; its bytes are durable when this returned, its name with the next manifest.
    pub fn write_data(&self, name: &str, bytes: &[u8]) -> Result<(), HistoryError> {
        self.write(name, bytes, true)
    }

    /// Writes the tail file of a cut, which need not survive anything.
    pub fn write_temporary(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, HistoryError> {
        self.write(name, bytes, false)?;
        Ok(self.path(name))
    }

    fn write(&self, name: &str, bytes: &[u8], durable: bool) -> Result<(), HistoryError> {
        let write = || {
            let file = self.fs.create(name)?;
            file.write_at(bytes, 0)?;
            if durable { file.sync() } else { Ok(()) }
        };
        let written = write().map_err(self.failed("write", name));
        if written.is_err() {
            self.discard(name);
        }
        written
    }

    /// Deletes a file; one that cannot be deleted is deleted at the next start.
    pub fn discard(&self, name: &str) {
        let _ = self.fs.remove(name);
    }

    /// Deletes files that nobody needs any more.
    pub fn discard_all(&self, doomed: Vec<Doomed>) {
        for Doomed(name) in doomed {
            self.discard(&name);
        }
    }
}
