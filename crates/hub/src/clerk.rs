//! The clerk: the thread that does for the shards what needs files. A shard has a descriptor table of its own, in
//! which the numbers of others' files mean nothing.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use mohhos_decode::Names;
use mohhos_log::RecordView;
use mohhos_mqtt::{Properties, QoS};

use crate::shared::{Control, Shared};
use crate::topics::message::{Message, SessionId};
use crate::topics::share::offset_of;

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
        let mut bytes = Vec::new();
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Assign { name, reply } => {
                    // The shard that asked is gone if this fails.
                    let _ = reply.send(code(&shared.metrics, &mut assign, &name));
                }
                Job::Fetch { session, offset } => {
                    let message = fetch(&shared, offset, &mut bytes).map(Box::new);
                    shared.shards[usize::from(session.shard)].send(Control::Fetched {
                        session,
                        offset,
                        message,
                    });
                }
                Job::Stop => return,
            }
        }
    })
}

fn code(metrics: &Names, assign: &mut AssignCode, name: &str) -> Option<u32> {
    // Another shard may have asked for the same name before.
    metrics.code(name).or_else(|| {
        let code = assign(name)?;
        metrics.insert(code, name);
        Some(code)
    })
}

fn fetch(shared: &Shared, offset: u64, bytes: &mut Vec<u8>) -> Option<Message> {
    bytes.clear();
    let offset = offset_of(offset);
    shared.log.read_at(offset, bytes).ok()?;
    let view = RecordView::parse(bytes, offset).ok()?;
    Some(message(&view, shared.clock.wall_us(), shared.clock.mono_us()))
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
