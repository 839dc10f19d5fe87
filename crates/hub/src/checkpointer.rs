//! Writes the checkpoint of sessions and retained messages, now and then and when asked.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mohhos_locks::{Condvar, Mutex, Rank};
use mohhos_log::Fs;

use crate::error::HubError;
use crate::session::checkpoint::{self, FILE, Round, VERSION};
use crate::shared::{Control, Shared};

/// The name of the hub's hold on the log.
pub const HOLD: &str = "sessions";
/// How long a checkpoint may wait for the shards, and then for the log.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failure it is tried again so soon.
const RETRY: Duration = Duration::from_secs(5);

/// Messages that wait for sessions hold back this many bytes of the log, no more: a device that is away for long must
/// not fill the disk. What retention removes beyond is counted as dropped when the device is back.
const MAX_HELD: u64 = 1 << 30;

/// Owns the file of the checkpoint.
pub struct Checkpointer {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    shared: Arc<Shared>,
    /// Held while a checkpoint is made: writers of a file must not overlap.
    fs: Mutex<Arc<dyn Fs>>,
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Checkpointer {
    /// Starts the thread that writes now and then.
    pub fn start(shared: Arc<Shared>, fs: Arc<dyn Fs>) -> Result<Self, HubError> {
        let inner = Arc::new(Inner {
            shared,
            fs: Mutex::ranked(Rank::WORK, fs),
            stopped: Mutex::new(false),
            changed: Condvar::new(),
        });
        let ticking = inner.clone();
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || ticking.tick())
            .map_err(HubError::system("the checkpoint's thread"))?;
        Ok(Self { inner, thread: Mutex::new(Some(thread)) })
    }

    /// Writes a checkpoint now. Waits for the shards and the disk.
    pub fn write(&self) -> Result<(), HubError> {
        self.inner.write()
    }

    /// Ends the thread.
    pub fn stop(&self) {
        *self.inner.stopped.lock() = true;
        self.inner.changed.notify_all();
        let thread = self.thread.lock().take();
        mohhos_locks::about_to_wait();
        if let Some(thread) = thread {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

impl Inner {
    fn tick(&self) {
        let interval = Duration::from_secs(u64::from(self.shared.config.checkpoint_interval_s.max(1)));
        let mut failed = false;
        loop {
            let mut stopped = self.stopped.lock();
            if !*stopped {
                self.changed.wait_for(&mut stopped, if failed { RETRY.min(interval) } else { interval });
            }
            if *stopped {
                return;
            }
            drop(stopped);
            // That is an alarm of its own, and the log has what the checkpoint would.
            if self.shared.is_stalled() {
                continue;
            }
            let result = self.write();
            let message = match &result {
                Ok(()) => "the sessions' checkpoint is written again".into(),
                Err(error) => error.to_string(),
            };
            if std::mem::replace(&mut failed, result.is_err()) != result.is_err() {
                self.shared.alarm("sessions-checkpoint", message, result.is_err());
            }
        }
    }

    fn write(&self) -> Result<(), HubError> {
        let fs = self.fs.lock();
        let shared = &self.shared;
        let failed = |reason: &str| HubError::Checkpoint {
            path: FILE.into(),
            action: "written",
            reason: reason.into(),
            next: "Check the disk; sessions are recovered from the log alone until it is written",
        };
        if shared.is_stalled() {
            return Err(failed("the log takes nothing at the moment"));
        }
        let round = Arc::new(Round::new(shared.shards.len()));
        shared.tell_all(|| Control::Checkpoint(round.clone()));
        // Nobody waits for a disk that takes nothing: that is told already, and a gateway that stops would stop late.
        let parts = round
            .wait(PATIENCE, || shared.is_stalled())
            .ok_or_else(|| failed("a shard did not answer, or the log takes nothing at the moment"))?;
        // After the parts: what they contain has reached the retained messages before.
        let retained = shared.retained.all();
        // Nothing may be in the file that a crash could take out of the log.
        let end = shared.log.end();
        shared.log.hasten();
        if end > shared.log.committed() && !shared.log.wait_committed_or_stalled(end - 1, PATIENCE) {
            return Err(failed("the log did not get it on disk in time"));
        }
        let content = checkpoint::encode(&parts, &retained);
        mohhos_log::write_atomic(&**fs, FILE, VERSION, &content).map_err(|e| failed(&e.to_string()))?;
        let contained = parts.iter().flat_map(|part| &part.contained).copied().min().unwrap_or(end);
        let oldest = parts.iter().filter_map(|part| part.oldest).min().unwrap_or(end);
        shared.log.hold(HOLD, contained.min(oldest.max(end.saturating_sub(MAX_HELD))));
        Ok(())
    }
}
