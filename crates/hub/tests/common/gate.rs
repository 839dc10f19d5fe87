//! A file layer whose syncs wait at a gate.

use std::io;
use std::sync::Arc;

use mohhos_locks::{Condvar, Mutex};
use mohhos_log::{File, Fs};

/// Open: syncs pass. Closed: they wait, and are counted.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    waiting: usize,
}

impl Gate {
    pub fn close(&self) {
        self.state.lock().closed = true;
    }

    pub fn open(&self) {
        self.state.lock().closed = false;
        self.changed.notify_all();
    }

    /// Waits until a sync waits.
    pub fn wait_for_sync(&self) {
        let mut state = self.state.lock();
        while state.waiting == 0 {
            assert!(!self.changed.wait_for(&mut state, super::PATIENCE).timed_out(), "no sync came");
        }
    }

    fn pass(&self) {
        let mut state = self.state.lock();
        state.waiting += 1;
        self.changed.notify_all();
        while state.closed {
            self.changed.wait(&mut state);
        }
        state.waiting -= 1;
    }
}

/// Opens the gate at the end of a test, also of one that fails: the log could not be closed otherwise.
pub struct OpenAtEnd(pub Arc<Gate>);

impl Drop for OpenAtEnd {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// A directory behind a gate.
pub struct GatedFs<F> {
    pub inner: F,
    pub gate: Arc<Gate>,
}

struct GatedFile {
    inner: Arc<dyn File>,
    gate: Arc<Gate>,
}

impl<F: Fs> GatedFs<F> {
    fn file(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(GatedFile { inner, gate: self.gate.clone() })
    }
}

impl<F: Fs> Fs for GatedFs<F> {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(self.inner.create(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.file(self.inner.open(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.inner.sync_dir()
    }
    fn free_space(&self) -> io::Result<u64> {
        self.inner.free_space()
    }
}

impl File for GatedFile {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.inner.write_at(bytes, position)
    }
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, position)
    }
    fn sync(&self) -> io::Result<()> {
        self.gate.pass();
        self.inner.sync()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}
