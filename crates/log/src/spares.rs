//! Files of a segment's size, ready to become segments: filled with zeros beforehand by a thread, or kept by retention.
//!
//! What is in them does not matter, for groups carry the salt of their segment.

use std::sync::Arc;
use std::thread::JoinHandle;

use mohhos_locks::{Condvar, Mutex};

use crate::fs::Fs;
use crate::segment::{TEMPORARY_SUFFIX, fill_with_zeros};

const PREFIX: &str = "spare-";
/// One to use at once, and one more from retention, so that a log in balance writes no zeros at all.
const KEPT: usize = 2;

#[derive(Default)]
pub(crate) struct Spares {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    ready: Vec<String>,
    next: u64,
    wanted: bool,
    stop: bool,
}

impl State {
    fn new_name(&mut self) -> String {
        self.next += 1;
        format!("{PREFIX}{:08}", self.next)
    }
}

impl Spares {
    pub(crate) fn is_spare(name: &str) -> bool {
        name.strip_prefix(PREFIX).is_some_and(|rest| rest.parse::<u64>().is_ok())
    }

    /// Takes notice of a spare that an earlier run left; false if it is one too many.
    pub(crate) fn found(&self, name: &str) -> bool {
        let mut state = self.state.lock();
        let number = name.strip_prefix(PREFIX).and_then(|rest| rest.parse().ok()).unwrap_or(0);
        state.next = state.next.max(number);
        let keep = state.ready.len() < KEPT;
        if keep {
            state.ready.push(name.to_owned());
        }
        keep
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.state.lock().ready.is_empty()
    }

    /// A spare, which is the caller's from now on. Orders a new one if it was the last.
    pub(crate) fn take(&self) -> Option<String> {
        let mut state = self.state.lock();
        let spare = state.ready.pop();
        state.wanted = state.ready.is_empty();
        self.wake.notify_all();
        spare
    }

    /// Keeps the file of a trimmed segment; false if there are enough.
    pub(crate) fn keep(&self, fs: &dyn Fs, segment: &str) -> std::io::Result<bool> {
        let mut state = self.state.lock();
        if state.ready.len() >= KEPT {
            return Ok(false);
        }
        let name = state.new_name();
        drop(state);
        fs.rename(segment, &name)?;
        // Before a new header goes into the file: a crash must not find it under the old segment's name.
        if let Err(error) = fs.sync_dir() {
            // Best effort: a file that nobody knows would take space until the next opening.
            let _ = fs.remove(&name);
            return Err(error);
        }
        self.state.lock().ready.push(name);
        Ok(true)
    }

    /// Starts the thread that fills spares when one is wanted.
    pub(crate) fn start(self: &Arc<Self>, fs: Arc<dyn Fs>, bytes: u64) -> std::io::Result<JoinHandle<()>> {
        let spares = Arc::clone(self);
        std::thread::Builder::new().name("log-spares".into()).spawn(move || spares.run(&*fs, bytes))
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
    }

    fn run(&self, fs: &dyn Fs, bytes: u64) {
        loop {
            let name = {
                let mut state = self.state.lock();
                while !(state.stop || (state.wanted && state.ready.is_empty())) {
                    self.wake.wait(&mut state);
                }
                if state.stop {
                    return;
                }
                state.wanted = false;
                state.new_name()
            };
            // Without a spare the log goes on all the same, a little slower; the next segment asks again.
            if let Ok(true) = self.prepare(fs, &name, bytes) {
                self.state.lock().ready.push(name);
            }
        }
    }

    fn prepare(&self, fs: &dyn Fs, name: &str, bytes: u64) -> std::io::Result<bool> {
        // The last space on a disk is better kept for records.
        if fs.free_space()? < bytes.saturating_mul(2) {
            return Ok(false);
        }
        let temporary = format!("{name}{TEMPORARY_SUFFIX}");
        let file = fs.create(&temporary)?;
        let filled = fill_with_zeros(&*file, bytes, || self.state.lock().stop);
        if !matches!(filled, Ok(true)) {
            fs.remove(&temporary)?;
            return filled;
        }
        if let Err(error) = fs.rename(&temporary, name) {
            // Best effort, as above.
            let _ = fs.remove(&temporary);
            return Err(error);
        }
        Ok(true)
    }
}
