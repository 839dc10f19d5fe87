//! What one shard writes to the log, and who waits for the commit.
//!
//! All records of one round of the event loop are appended at once: a *batch*, numbered from 1. The number is the
//! token that answers wait for, for it is known before the offset. Batches are committed in their order.

use std::collections::VecDeque;

use mohhos_log::{AppendError, Fields, Flags, Kind, Log, RecordBuffer};

use crate::session::SessionKey;
use crate::session::record::Change;

/// A connection: its slot and which use of it.
pub type ConnectionRef = (u32, u32);

/// When and where records are made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stamp {
    /// The shard.
    pub shard: u16,
    /// Which start of the gateway.
    pub boot_id: u32,
    /// Microseconds UTC.
    pub wall_us: i64,
    /// Microseconds since the start.
    pub mono_us: u64,
    /// Is the wall clock known to be right?
    pub synchronised: bool,
}

/// The records of one shard on their way to the disk.
pub struct Journal {
    buffer: RecordBuffer,
    scratch: Vec<u8>,
    /// The stamp of new records.
    pub stamp: Stamp,
    current: u64,
    last_position: u32,
    last_offset: u64,
    waiters: Vec<ConnectionRef>,
    appended: VecDeque<Appended>,
    committed: u64,
}

struct Appended {
    batch: u64,
    last_offset: u64,
    /// When the round began in which it was read.
    mono_us: u64,
    waiters: Vec<ConnectionRef>,
}

impl Journal {
    /// Nothing written yet.
    pub fn new(stamp: Stamp) -> Self {
        Self {
            buffer: RecordBuffer::new(),
            scratch: Vec::new(),
            stamp,
            current: 1,
            last_position: 0,
            last_offset: 0,
            waiters: Vec::new(),
            appended: VecDeque::new(),
            committed: 0,
        }
    }

    /// The token of what is written now.
    #[inline]
    pub fn token(&self) -> u64 {
        self.current
    }

    /// The token up to which everything is on disk.
    #[inline]
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// The bytes of records that are not appended yet.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.buffer.as_bytes().len()
    }

    /// The position of the latest record in the batch.
    #[inline]
    pub fn position(&self) -> u32 {
        self.last_position
    }

    /// Adds a message; its position in the batch. Flags and stamp are completed.
    pub fn message(&mut self, fields: &Fields<'_>, flags: Flags) -> u32 {
        let stamp = self.stamp;
        self.last_position = self.buffer.push(&Fields {
            flags: flags.with_if(Flags::CLOCK_SYNCHRONISED, stamp.synchronised),
            shard: stamp.shard,
            boot_id: stamp.boot_id,
            mono_us: stamp.mono_us,
            ..*fields
        });
        self.last_position
    }

    /// Adds a change of a session; the token of its commit.
    pub fn change(&mut self, key: &SessionKey, change: &Change<'_>) -> u64 {
        let stamp = self.stamp;
        change.encode(&mut self.scratch);
        self.last_position = self.buffer.push(&Fields {
            kind: Kind::SESSION,
            flags: Flags::default().with_if(Flags::CLOCK_SYNCHRONISED, stamp.synchronised),
            shard: stamp.shard,
            boot_id: stamp.boot_id,
            wall_us: stamp.wall_us,
            mono_us: stamp.mono_us,
            principal: &key.principal,
            client: &key.client,
            payload: &self.scratch,
            ..Fields::default()
        });
        self.current
    }

    /// The connection wants to be told of the commit of the current batch.
    pub fn register(&mut self, connection: ConnectionRef) {
        self.waiters.push(connection);
    }

    /// Appends the batch. `Ok(Some)`: the offset to which positions are to be added, and how many records there are.
    /// After an error everything is as it was: try again.
    pub fn append(&mut self, log: &Log) -> Result<Option<(u64, usize)>, AppendError> {
        let mut base = None;
        if !self.buffer.is_empty() {
            let offset = log.append(&self.buffer)?;
            base = Some((offset, self.buffer.len()));
            self.last_offset = offset + u64::from(self.last_position);
            self.buffer.clear();
        }
        if base.is_some() || !self.waiters.is_empty() {
            let waiters = std::mem::take(&mut self.waiters);
            let (batch, last_offset, mono_us) = (self.current, self.last_offset, self.stamp.mono_us);
            self.appended.push_back(Appended { batch, last_offset, mono_us, waiters });
            self.current += 1;
        }
        Ok(base)
    }

    /// Takes note of how far the log is; the connections to tell, batch by batch, and when their records were made.
    pub fn commit(&mut self, committed: u64) -> Option<(u64, Vec<ConnectionRef>)> {
        if self.appended.front().is_none_or(|first| first.last_offset >= committed && first.last_offset != 0)
        {
            return None;
        }
        let first = self.appended.pop_front()?;
        self.committed = first.batch;
        Some((first.mono_us, first.waiters))
    }

    /// Is something appended and not committed?
    pub fn is_waiting(&self) -> bool {
        !self.appended.is_empty()
    }

    /// How many connections wait for the commit of what is appended.
    pub fn waiting(&self) -> usize {
        self.appended.iter().map(|appended| appended.waiters.len()).sum()
    }
}
