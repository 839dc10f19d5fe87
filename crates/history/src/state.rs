//! What the history thread and the readers share: manifest, tail and leases, behind one short lock.

use mohhos_locks::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::files::Files;
use crate::manifest::{FileEntry, Manifest, file_name};
use crate::tail::Tail;

/// Shared between [`crate::History`] and all [`crate::HistoryReader`]s. The lock is never held during I/O.
#[derive(Debug)]
pub(crate) struct Shared {
    pub files: Files,
    pub state: Mutex<State>,
}

/// At any moment the files of the manifest and the tail together hold every row pushed, each in one place.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// As it is on disk.
    pub manifest: Manifest,
    /// What no file of the manifest has.
    pub tail: Tail,
    leases: FxHashMap<u64, Lease>,
    last_lease: u64,
    /// Files that are out of the manifest and wait for a lease to end.
    condemned: FxHashSet<u64>,
}

#[derive(Debug, Default)]
struct Lease {
    files: Vec<u64>,
    tail_file: Option<String>,
}

impl State {
    /// No tail yet, no lease.
    pub fn new(manifest: Manifest) -> Self {
        State { manifest, ..State::default() }
    }

    /// Protects files from deletion until [`State::end_lease`].
    pub fn lease(&mut self, files: &[FileEntry]) -> u64 {
        self.last_lease += 1;
        let files = files.iter().map(|file| file.id).collect();
        self.leases.insert(self.last_lease, Lease { files, tail_file: None });
        self.last_lease
    }

    /// Adds the tail file to a lease; false if the lease has ended meanwhile.
    pub fn add_tail_file(&mut self, lease: u64, name: String) -> bool {
        let Some(lease) = self.leases.get_mut(&lease) else { return false };
        lease.tail_file = Some(name);
        true
    }

    /// Ends a lease; returns the files to be deleted now.
    pub fn end_lease(&mut self, lease: u64) -> Vec<Doomed> {
        let Some(ended) = self.leases.remove(&lease) else { return Vec::new() };
        let mut doomed: Vec<Doomed> = ended.tail_file.map(Doomed).into_iter().collect();
        for id in ended.files {
            if self.condemned.contains(&id) && !self.is_leased(id) {
                self.condemned.remove(&id);
                doomed.push(Doomed(file_name(id)));
            }
        }
        doomed
    }

    /// Takes a new manifest, which is on disk already; returns the files to be deleted now.
    pub fn replace_manifest(&mut self, manifest: Manifest) -> Vec<Doomed> {
        let kept: FxHashSet<u64> = manifest.files.iter().map(|file| file.id).collect();
        let mut doomed = Vec::new();
        for file in &self.manifest.files {
            if kept.contains(&file.id) {
                continue;
            }
            if self.is_leased(file.id) {
                self.condemned.insert(file.id);
            } else {
                doomed.push(Doomed(file.name()));
            }
        }
        self.manifest = manifest;
        doomed
    }

    /// Is some cut reading the file?
    pub fn is_leased(&self, id: u64) -> bool {
        self.leases.values().any(|lease| lease.files.contains(&id))
    }

    /// How many cuts are not released.
    pub fn leases(&self) -> usize {
        self.leases.len()
    }
}

/// The name of a file that nobody needs any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Doomed(pub String);
