//! A file layer that notes what was synced, can keep syncs from returning, and lets something happen before a read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mohhos_locks::{Condvar, Mutex};
use mohhos_log::testing::ForgetfulFs;
use mohhos_log::{File, Fs};

pub struct GatedFs {
    below: ForgetfulFs,
    gate: Arc<Gate>,
}

#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
    /// The largest offset of any segment below which a sync has returned.
    pub synced: AtomicU64,
    before_read: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

#[derive(Default)]
struct GateState {
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

    pub fn wait_for_a_sync(&self) {
        let mut state = self.state.lock();
        while state.waiting == 0 {
            self.changed.wait(&mut state);
        }
    }

    /// Has this done once, before the next read gets its bytes.
    pub fn before_next_read(&self, action: impl FnOnce() + Send + 'static) {
        *self.before_read.lock() = Some(Box::new(action));
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

struct GatedFile {
    below: Arc<dyn File>,
    gate: Arc<Gate>,
    written: AtomicU64,
}

impl GatedFs {
    pub fn new() -> (GatedFs, Arc<Gate>) {
        let gate = Arc::new(Gate::default());
        (GatedFs { below: ForgetfulFs::new(), gate: Arc::clone(&gate) }, gate)
    }

    fn gated(&self, below: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(GatedFile { below, gate: Arc::clone(&self.gate), written: AtomicU64::new(0) })
    }
}

impl Fs for GatedFs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.gated(self.below.create(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.gated(self.below.open(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.below.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.below.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.below.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.below.sync_dir()
    }
    fn free_space(&self) -> io::Result<u64> {
        // Too little for spares, whose zeros are not to be taken for commits.
        Ok(0)
    }
}

impl File for GatedFile {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        // The first segment has its base at 4096, so positions in it are offsets.
        self.written.fetch_max(position + bytes.len() as u64, Ordering::SeqCst);
        self.below.write_at(bytes, position)
    }
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let action = self.gate.before_read.lock().take();
        if let Some(action) = action {
            action();
        }
        self.below.read_at(buffer, position)
    }
    fn sync(&self) -> io::Result<()> {
        let written = self.written.load(Ordering::SeqCst);
        self.gate.pass();
        self.below.sync()?;
        self.gate.synced.fetch_max(written, Ordering::SeqCst);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.below.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }
}
