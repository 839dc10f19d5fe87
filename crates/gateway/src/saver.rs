//! Writes the rules' state on a thread of its own: a sync takes as long as the disk likes, and the stream thread
//! answers devices meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use mohhos_log::{Fs, Log, write_atomic};

use crate::alarms::Alarms;

/// The snapshot's file and version: positions, then the engine's own snapshot.
pub const SNAPSHOT: &str = "stream.snapshot";
/// The version of its layout.
pub const SNAPSHOT_VERSION: u32 = 1;
const HOLD: &str = "stream";
const ALARM: &str = "rules-not-saved";

/// The state of the rules at one moment.
pub struct Saving {
    /// What goes into the file.
    pub content: Vec<u8>,
    /// Where a replay on top of it starts.
    pub replay_from: u64,
}

/// The way to the thread. One state is written at a time, and none waits.
pub struct Saver {
    states: SyncSender<Saving>,
    writing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Saver {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives none.
    pub fn start(fs: Arc<dyn Fs>, log: Log, alarms: Arc<Alarms>) -> std::io::Result<Self> {
        let (states, waiting) = sync_channel::<Saving>(1);
        let writing = Arc::new(AtomicBool::new(false));
        let done = writing.clone();
        let thread = std::thread::Builder::new().name("rules-save".into()).spawn(move || {
            for state in waiting {
                write(&state, &*fs, &log, &alarms);
                done.store(false, Ordering::Release);
            }
        })?;
        Ok(Self { states, writing, thread })
    }

    /// Has the state written, unless the one before still is: then it is not even made, and the answer is false.
    pub fn save(&self, state: impl FnOnce() -> Saving) -> bool {
        if self.writing.swap(true, Ordering::Acquire) {
            return false;
        }
        // There is room: nothing else is on the way.
        let _ = self.states.send(state());
        true
    }

    /// Ends the thread when what it has is written, and this last state too.
    pub fn finish(self, last: Option<Saving>) {
        if let Some(state) = last {
            let _ = self.states.send(state);
        }
        drop(self.states);
        let _ = self.thread.join();
    }
}

/// Lets the log go up to where a replay on top of the written state starts.
fn write(state: &Saving, fs: &dyn Fs, log: &Log, alarms: &Alarms) {
    match write_atomic(fs, SNAPSHOT, SNAPSHOT_VERSION, &state.content) {
        Ok(()) => {
            log.hold(HOLD, state.replay_from);
            alarms.clear(ALARM);
        }
        Err(error) => alarms.raise(
            ALARM,
            format!(
                "the rules' state cannot be saved: {error}. A restart would replay more of the log; free some disk space"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use mohhos_hub::ManualClock;
    use mohhos_locks::{Mutex, Rank};
    use mohhos_log::testing::ForgetfulFs;
    use mohhos_log::{File, LogConfig, read_atomic};

    use super::*;

    /// A disk that makes no name durable while the gate is held.
    struct Gated {
        disk: ForgetfulFs,
        gate: Mutex<()>,
    }

    impl Fs for Gated {
        fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
            self.disk.create(name)
        }
        fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
            self.disk.open(name)
        }
        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            self.disk.rename(from, to)
        }
        fn remove(&self, name: &str) -> io::Result<()> {
            self.disk.remove(name)
        }
        fn list(&self) -> io::Result<Vec<String>> {
            self.disk.list()
        }
        fn sync_dir(&self) -> io::Result<()> {
            let _open = self.gate.lock();
            self.disk.sync_dir()
        }
        fn free_space(&self) -> io::Result<u64> {
            self.disk.free_space()
        }
    }

    #[test]
    fn a_state_is_not_waited_for_and_the_last_one_is_what_is_found() {
        let fs = Arc::new(Gated { disk: ForgetfulFs::new(), gate: Mutex::ranked(Rank::WORK, ()) });
        let (log, _) = Log::open(Arc::new(ForgetfulFs::new()), LogConfig::default()).unwrap();
        let alarms = Arc::new(Alarms::new(Arc::new(ManualClock::new(0))));
        let saver = Saver::start(fs.clone(), log, alarms).unwrap();
        let state = |text: &str| Saving { content: text.as_bytes().to_vec(), replay_from: 0 };

        let gate = fs.gate.lock();
        assert!(saver.save(|| state("first")), "nothing is being written");
        assert!(!saver.save(|| panic!("no state is made that cannot be written yet")));
        drop(gate);
        saver.finish(Some(state("last")));

        let found = read_atomic(&*fs, SNAPSHOT).unwrap();
        assert_eq!(found, Some((SNAPSHOT_VERSION, b"last".to_vec())));
    }
}
