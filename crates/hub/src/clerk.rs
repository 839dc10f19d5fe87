//! The clerk: the thread that does for the shards what needs files. A shard has a descriptor table of its own, in
//! which the numbers of others' files mean nothing.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mohhos_decode::Names;
use mohhos_log::{ReadError, RecordView};
use mohhos_mqtt::{Properties, QoS};

use crate::shared::{Control, Shared};
use crate::topics::message::{Message, SessionId};
use crate::topics::share::offset_of;

/// What a disk that fails did not give is asked for again so soon, and so often before it counts as lost.
const RETRY: Duration = Duration::from_millis(500);
const TRIES: u32 = 120;
const UNREADABLE: &str = "log-unreadable";

/// Gives a metric's name its code, durable when it returns. `None`: the disk does not take it.
pub type AssignCode = Box<dyn FnMut(&str) -> Option<u32> + Send>;

pub(crate) enum Job {
    Assign { name: String, reply: SyncSender<Option<u32>> },
    Fetch { session: SessionId, offset: u64 },
    Stop,
}

/// The shards' side.
#[derive(Debug, Clone)]
pub(crate) struct ClerkHandle {
    jobs: Sender<Job>,
}

impl ClerkHandle {
    /// The jobs come out of the receiver, for [`start`].
    pub fn new() -> (Self, Receiver<Job>) {
        let (jobs, receiver) = channel();
        (Self { jobs }, receiver)
    }

    /// The code of a new name; waits for the disk. Rare: once per name for ever.
    pub fn assign(&self, name: &str) -> Option<u32> {
        let (reply, answer) = sync_channel(1);
        self.jobs.send(Job::Assign { name: name.to_owned(), reply }).ok()?;
        mohhos_locks::about_to_wait();
        answer.recv().ok().flatten()
    }

    /// Asks for a message of the log; it arrives in the inbox of the session's shard.
    pub fn fetch(&self, session: SessionId, offset: u64) {
        // The clerk ends after the shards, so somebody listens.
        let _ = self.jobs.send(Job::Fetch { session, offset });
    }

    pub fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
    }
}

pub(crate) fn start(
    jobs: Receiver<Job>,
    shared: Arc<Shared>,
    mut assign: AssignCode,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("clerk".into()).spawn(move || {
        let mut clerk = Clerk { shared, bytes: Vec::new(), unread: Vec::new(), again: Instant::now() };
        loop {
            let job = if clerk.unread.is_empty() {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                let left = clerk.again.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    clerk.fetch_again();
                    continue;
                }
                jobs.recv_timeout(left)
            };
            match job {
                Ok(Job::Assign { name, reply }) => {
                    // The shard that asked is gone if this fails.
                    let _ = reply.send(code(&clerk.shared.metrics, &mut assign, &name));
                }
                Ok(Job::Fetch { session, offset }) => clerk.fetch(Wanted { session, offset, tries: 0 }),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    })
}

/// A message of the log for a session, which waits for one at a time.
struct Wanted {
    session: SessionId,
    offset: u64,
    tries: u32,
}

struct Clerk {
    shared: Arc<Shared>,
    bytes: Vec<u8>,
    /// What the disk did not give.
    unread: Vec<Wanted>,
    /// When it is asked again.
    again: Instant,
}

impl Clerk {
    /// Reads a message. One that retention removed or that is damaged is lost. One that the disk does not give is there,
    /// perhaps: if it were given up at once, a failure that passes would lose what was acknowledged, and a client that
    /// was told to release it could get it a second time.
    fn fetch(&mut self, wanted: Wanted) {
        let Wanted { session, offset, tries } = wanted;
        let message = match read(&self.shared, offset, &mut self.bytes) {
            Ok(message) => message.map(Box::new),
            Err(error) if tries < TRIES => {
                if self.unread.is_empty() {
                    self.again = Instant::now() + RETRY;
                }
                if tries == 0 && self.unread.is_empty() {
                    let message = format!("messages wait, for {error}. Check the disk; it is asked again");
                    self.shared.alarm(UNREADABLE, message, true);
                }
                self.unread.push(Wanted { tries: tries + 1, ..wanted });
                return;
            }
            Err(_) => None,
        };
        let shard = &self.shared.shards[usize::from(session.shard)];
        shard.send(Control::Fetched { session, offset, message });
    }

    fn fetch_again(&mut self) {
        for wanted in std::mem::take(&mut self.unread) {
            self.fetch(wanted);
        }
        if self.unread.is_empty() {
            self.shared.alarm(UNREADABLE, "no message waits for the disk any more".into(), false);
        }
    }
}

fn code(metrics: &Names, assign: &mut AssignCode, name: &str) -> Option<u32> {
    // Another shard may have asked for the same name before.
    metrics.code(name).or_else(|| {
        let code = assign(name)?;
        metrics.insert(code, name);
        Some(code)
    })
}

/// The message at an offset; none if it is lost.
fn read(shared: &Shared, offset: u64, bytes: &mut Vec<u8>) -> Result<Option<Message>, ReadError> {
    bytes.clear();
    let offset = offset_of(offset);
    match shared.log.read_at(offset, bytes) {
        Err(error @ ReadError::Io { .. }) => return Err(error),
        Err(_) => return Ok(None),
        Ok(_) => {}
    }
    let view = RecordView::parse(bytes, offset).ok();
    Ok(view.map(|view| message(&view, shared.clock.wall_us(), shared.clock.mono_us())))
}

/// A logged message as it was published.
pub(crate) fn message(view: &RecordView<'_>, wall_us: i64, mono_us: u64) -> Message {
    let properties = view.properties();
    let mut message =
        Message::new(view.topic(), properties, view.payload(), SessionId::GATEWAY, view.principal().into());
    message.qos = QoS::from_u8(view.qos()).unwrap_or(QoS::AtLeastOnce);
    message.retain = view.flags().has(mohhos_log::Flags::RETAIN);
    message.offset = view.offset();
    message.at_us = view.wall_us();
    if let Some(seconds) = Properties::from_raw(properties).message_expiry() {
        let left = i64::from(seconds) * 1_000_000 - (wall_us - view.wall_us()).max(0);
        message.expires_us = mono_us.saturating_add(u64::try_from(left).unwrap_or(0));
    }
    message
}
