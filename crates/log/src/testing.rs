//! A file layer for tests: it forgets what was not synced, tears what was, and fails when told. Used by the tests of
//! all crates that keep something on disk.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use mohhos_locks::Mutex;

use crate::fs::{File, Fs};

mod disks;
mod random;

pub use disks::crash_disks;
pub use random::Random;

const SECTOR: usize = 512;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `File::write_at`.
    Write,
    /// `File::sync`.
    Sync,
    /// `Fs::sync_dir`.
    SyncDir,
    /// `Fs::rename`.
    Rename,
    /// `Fs::create`.
    Create,
    /// `Fs::remove`.
    Remove,
    /// `File::set_len`.
    SetLen,
    /// `File::read_at`; it changes nothing, so no power cut comes by it.
    Read,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// EIO: the medium. A write or sync that fails so has happened in part.
    Io,
    /// ENOSPC: the disk is full.
    NoSpace,
}

impl Failure {
    fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Failure::Io => libc::EIO,
            Failure::NoSpace => libc::ENOSPC,
        })
    }
}

/// A directory in memory, which knows what is durable and what is not. Clones are the same directory.
#[derive(Clone)]
pub struct ForgetfulFs {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    /// How often each operation was done.
    counts: BTreeMap<Operation, u64>,
    failures: Vec<(Operation, u64, Failure)>,
    operations: u64,
    power_cut_at: Option<u64>,
    powerless: bool,
    capacity: Option<u64>,
}

#[derive(Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write { position: u64, bytes: Vec<u8> },
    SetLen(u64),
}

struct NameChange {
    set: Option<(String, usize)>,
    unset: Option<String>,
}

/// An operation that fails.
struct Refused {
    error: io::Error,
    /// It may have happened in part.
    half_done: bool,
}

struct ForgetfulFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
}

impl Default for ForgetfulFs {
    fn default() -> Self {
        ForgetfulFs::new()
    }
}

impl ForgetfulFs {
    /// An empty directory on a disk without limit.
    pub fn new() -> ForgetfulFs {
        ForgetfulFs { disk: Arc::default() }
    }

    /// Cuts the power, and returns the directory as it is found afterwards: of what was not synced, any part may be
    /// there, in sectors of 512 bytes. Who still uses this one gets errors.
    #[must_use]
    pub fn crash(&self, random: &mut Random) -> ForgetfulFs {
        let mut disk = self.disk.lock();
        disk.powerless = true;
        // All, nothing, or each with its own chance: the extremes are where mistakes hide.
        let chance = [0, 100, random.below(100)][random.below(3) as usize];
        let mut inodes = Vec::new();
        for inode in &disk.inodes {
            let mut content = inode.durable.clone();
            for change in &inode.pending {
                match change {
                    Change::SetLen(len) if random.below(100) < chance => content.resize(*len as usize, 0),
                    Change::SetLen(_) => {}
                    Change::Write { position, bytes } => {
                        for (at, piece) in sectors(*position, bytes) {
                            if random.below(100) < chance {
                                write(&mut content, at, piece);
                            }
                        }
                    }
                }
            }
            inodes.push(Inode { durable: content.clone(), content, pending: Vec::new() });
        }
        let mut names = disk.durable_names.clone();
        let in_order = random.below(2) == 0;
        for change in &disk.pending_names {
            if random.below(100) < chance {
                change.apply(&mut names);
            } else if in_order {
                break;
            }
        }
        let after =
            Disk { inodes, durable_names: names.clone(), names, capacity: disk.capacity, ..Disk::default() };
        ForgetfulFs { disk: Arc::new(Mutex::new(after)) }
    }

    /// Makes the `nth` next operation of this kind fail (1: the very next).
    pub fn fail(&self, operation: Operation, nth: u64, failure: Failure) {
        let mut disk = self.disk.lock();
        let at = disk.counts.get(&operation).copied().unwrap_or(0) + nth;
        disk.failures.push((operation, at, failure));
    }

    /// Cuts the power in the middle of the `nth` next operation that changes something: it and all later ones fail.
    pub fn cut_power_after(&self, nth: u64) {
        let mut disk = self.disk.lock();
        disk.power_cut_at = Some(disk.operations + nth);
    }

    /// Limits the disk to this many bytes, or no longer.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.lock().capacity = bytes;
    }

    /// The bytes in all files.
    pub fn used(&self) -> u64 {
        self.disk.lock().used()
    }

    /// How often this was done or tried.
    pub fn count(&self, operation: Operation) -> u64 {
        self.disk.lock().counts.get(&operation).copied().unwrap_or(0)
    }

    /// Damages the medium: flips the bits of `mask` in one byte of a file, as if it had always been so.
    ///
    /// # Panics
    /// There is no such byte.
    pub fn corrupt(&self, name: &str, position: usize, mask: u8) {
        let mut disk = self.disk.lock();
        let inode = disk.names[name];
        disk.inodes[inode].content[position] ^= mask;
        disk.inodes[inode].durable[position] ^= mask;
    }

    /// What is in a file now.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.names.get(name).map(|inode| disk.inodes[*inode].content.clone())
    }

    fn open_inode(&self, inode: usize) -> Arc<dyn File> {
        Arc::new(ForgetfulFile { disk: Arc::clone(&self.disk), inode })
    }
}

impl Disk {
    /// Counts the operation and tells how it is to fail.
    fn begin(&mut self, operation: Operation) -> Result<(), Refused> {
        if self.powerless {
            return Err(Refused { error: io::Error::other("the power is off"), half_done: false });
        }
        let count = self.counts.entry(operation).or_default();
        *count += 1;
        let count = *count;
        let changes = operation != Operation::Read;
        self.operations += u64::from(changes);
        if changes && self.power_cut_at.is_some_and(|at| self.operations >= at) {
            self.powerless = true;
            return Err(Refused { error: io::Error::other("the power went off"), half_done: true });
        }
        if let Some(index) = self.failures.iter().position(|(kind, at, _)| (*kind, *at) == (operation, count))
        {
            let failure = self.failures.swap_remove(index).2;
            return Err(Refused { error: failure.error(), half_done: failure == Failure::Io });
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        let live: std::collections::BTreeSet<usize> = self.names.values().copied().collect();
        live.into_iter().map(|inode| self.inodes[inode].content.len() as u64).sum()
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn check_space(&self, inode: usize, len: u64) -> io::Result<()> {
        let growth = len.saturating_sub(self.inodes[inode].content.len() as u64);
        match self.capacity {
            Some(capacity) if growth > 0 && self.used() + growth > capacity => Err(Failure::NoSpace.error()),
            _ => Ok(()),
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        if let Some(name) = &self.unset {
            names.remove(name);
        }
        if let Some((name, inode)) = &self.set {
            names.insert(name.clone(), *inode);
        }
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> io::Error {
        refused.error
    }
}

impl Inode {
    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write { position, bytes } => write(&mut self.durable, position, &bytes),
                Change::SetLen(len) => self.durable.resize(len as usize, 0),
            }
        }
    }

    /// What Linux does when a sync fails: some of it got to the disk, and the rest is believed to be there and not
    /// written by the next sync either, while it can still be read.
    fn sync_in_part(&mut self) {
        for change in self.pending.drain(..) {
            if let Change::Write { position, bytes } = change {
                for (at, piece) in sectors(position, &bytes).into_iter().step_by(2) {
                    write(&mut self.durable, at, piece);
                }
            }
        }
    }

    fn write(&mut self, position: u64, bytes: &[u8]) {
        write(&mut self.content, position, bytes);
        self.pending.push(Change::Write { position, bytes: bytes.to_vec() });
    }

    fn set_len(&mut self, len: u64) {
        self.content.resize(len as usize, 0);
        self.pending.push(Change::SetLen(len));
    }
}

impl Fs for ForgetfulFs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk.lock();
        disk.begin(Operation::Create)?;
        let known = disk.names.get(name).copied();
        let inode = match known {
            Some(inode) => {
                disk.inodes[inode].set_len(0);
                inode
            }
            None => {
                disk.inodes.push(Inode::default());
                let inode = disk.inodes.len() - 1;
                disk.rename(NameChange { set: Some((name.to_owned(), inode)), unset: None });
                inode
            }
        };
        drop(disk);
        Ok(self.open_inode(inode))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let disk = self.disk.lock();
        if disk.powerless {
            return Err(io::Error::other("the power is off"));
        }
        let inode = disk.names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        drop(disk);
        Ok(self.open_inode(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin(Operation::Rename)?;
        let inode = disk.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        disk.rename(NameChange { set: Some((to.to_owned(), inode)), unset: Some(from.to_owned()) });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin(Operation::Remove)?;
        if !disk.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.rename(NameChange { set: None, unset: Some(name.to_owned()) });
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk.lock().names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin(Operation::SyncDir)?;
        disk.durable_names = disk.names.clone();
        disk.pending_names.clear();
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        let disk = self.disk.lock();
        Ok(disk.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(disk.used())))
    }
}

impl File for ForgetfulFile {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if let Err(refused) = disk.begin(Operation::Write) {
            if refused.half_done {
                disk.inodes[self.inode].write(position, &bytes[..bytes.len() / 2]);
            }
            return Err(refused.error);
        }
        disk.check_space(self.inode, position + bytes.len() as u64)?;
        disk.inodes[self.inode].write(position, bytes);
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        disk.begin(Operation::Read)?;
        let content = &disk.inodes[self.inode].content;
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(content.len());
        let read = buffer.len().min(content.len() - from);
        buffer[..read].copy_from_slice(&content[from..from + read]);
        Ok(read)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let result = disk.begin(Operation::Sync);
        let inode = &mut disk.inodes[self.inode];
        match result {
            Ok(()) => inode.sync(),
            Err(Refused { error, half_done }) => {
                if half_done && !disk.powerless {
                    disk.inodes[self.inode].sync_in_part();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.begin(Operation::SetLen)?;
        disk.check_space(self.inode, len)?;
        disk.inodes[self.inode].set_len(len);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().inodes[self.inode].content.len() as u64)
    }
}

fn write(content: &mut Vec<u8>, position: u64, bytes: &[u8]) {
    let start = position as usize;
    if content.len() < start + bytes.len() {
        content.resize(start + bytes.len(), 0);
    }
    content[start..start + bytes.len()].copy_from_slice(bytes);
}

/// A write in the pieces that a sector boundary cuts it into.
fn sectors(position: u64, bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let sector_left = SECTOR - (position as usize + at) % SECTOR;
        let piece = &bytes[at..(at + sector_left).min(bytes.len())];
        pieces.push((position + at as u64, piece));
        at += piece.len();
    }
    pieces
}
