//! The record: what was accepted, once, from whom.
//!
//! Layout, version 1, little endian. A record is a multiple of 8 bytes long and is never changed once committed.
//!
//! | at | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | length of the whole record with padding; a multiple of 8 (so never the mark of a group, which is odd) |
//! | 4 | 4 | CRC-32C of everything from byte 8 to the end |
//! | 8 | 1 | format version |
//! | 9 | 1 | kind |
//! | 10 | 2 | flags |
//! | 12 | 2 | shard |
//! | 14 | 2 | packet id |
//! | 16 | 4 | boot id |
//! | 20 | 28 | seven lengths: principal, client, device, topic, content type, properties, payload |
//! | 48 | 8 | wall time, microseconds UTC |
//! | 56 | 8 | monotonic time, microseconds |
//! | 64 | … | the seven fields in that order, then zeros up to a multiple of 8 |
//!
//! The first five fields are UTF-8. Flags and kinds that a reader does not know are kept and ignored.

use std::fmt;

use thiserror::Error;

use crate::class::DEFAULT_CLASS;

mod buffer;

pub use buffer::RecordBuffer;

/// The version written.
pub const RECORD_VERSION: u8 = 1;
pub(crate) const HEADER: usize = 64;
/// No record is longer; a longer length is damage.
pub(crate) const MAX_RECORD: usize = 1 << 30;
const FIELDS: usize = 7;
const TEXTS: usize = 5;

/// What a record is about. Open: a reader skips kinds that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// A message on a topic.
    pub const MESSAGE: Kind = Kind(1);
    /// A session: subscriptions, acknowledgements, release of QoS 2.
    pub const SESSION: Kind = Kind(2);
    /// A start of the gateway.
    pub const BOOT: Kind = Kind(3);
    /// A name and its code.
    pub const DICTIONARY: Kind = Kind(4);
}

/// The flags of a record: QoS and yes-or-no properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// The message is to be retained.
    pub const RETAIN: Flags = Flags(1 << 2);
    /// The wall clock was synchronised when the record was made.
    pub const CLOCK_SYNCHRONISED: Flags = Flags(1 << 3);
    /// The sender is told only after the commit.
    pub const DURABLE: Flags = Flags(1 << 4);
    /// The device is the principal and not stored a second time; set by the encoder.
    pub const DEVICE_IS_PRINCIPAL: Flags = Flags(1 << 5);
    /// The message is a will.
    pub const WILL: Flags = Flags(1 << 6);

    /// No flag, and this QoS (its lowest two bits).
    pub const fn qos(qos: u8) -> Flags {
        Flags(qos as u16 & 3)
    }

    /// With these flags too.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// With these flags too if `condition`.
    #[must_use]
    pub const fn with_if(self, other: Flags, condition: bool) -> Flags {
        if condition { self.with(other) } else { self }
    }

    /// Whether all of these are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The QoS.
    pub const fn get_qos(self) -> u8 {
        (self.0 & 3) as u8
    }
}

/// What is written as one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// What the record is about.
    pub kind: Kind,
    /// QoS and flags.
    pub flags: Flags,
    /// The shard that wrote it.
    pub shard: u16,
    /// The packet id of an inbound QoS 2 message, else 0.
    pub packet_id: u16,
    /// Which start of the gateway.
    pub boot_id: u32,
    /// Microseconds UTC.
    pub wall_us: i64,
    /// Microseconds since that start.
    pub mono_us: u64,
    /// Who authenticated.
    pub principal: &'a str,
    /// The client id of the session.
    pub client: &'a str,
    /// Whom it concerns; empty if nobody. The same as the principal costs no bytes.
    pub device: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The MQTT 5 content type, or empty.
    pub content_type: &'a str,
    /// The MQTT 5 properties as they came.
    pub properties: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// The topic class, which `Log::class_of` tells. Not written: see [`crate::Classes`].
    pub class: u8,
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Fields {
            kind: Kind::MESSAGE,
            flags: Flags::default(),
            shard: 0,
            packet_id: 0,
            boot_id: 0,
            wall_us: 0,
            mono_us: 0,
            principal: "",
            client: "",
            device: "",
            topic: "",
            content_type: "",
            properties: &[],
            payload: &[],
            class: DEFAULT_CLASS,
        }
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// There are fewer bytes than the record has.
    #[error("the record is cut off: it has {needed} bytes, {present} are there")]
    Truncated {
        /// The length of the record, as far as it is known.
        needed: usize,
        /// What is there.
        present: usize,
    },
    /// The lengths contradict each other.
    #[error("the lengths in the record contradict each other")]
    Lengths,
    /// A version of the future.
    #[error("the record has format version {0}, this program reads version {RECORD_VERSION}")]
    Version(u8),
    /// The bytes are not those that were written.
    #[error("the checksum of the record does not match its bytes")]
    Checksum,
    /// A text field is not UTF-8.
    #[error("a text field of the record is not UTF-8")]
    Text,
}

/// A record, seen in the bytes that hold it.
#[derive(Clone, Copy)]
pub struct RecordView<'a> {
    bytes: &'a [u8],
    texts: &'a str,
    /// Where each field ends, from the end of the header.
    ends: [u32; FIELDS],
    offset: u64,
}

impl<'a> RecordView<'a> {
    /// The record at the head of `bytes`, which was read at `offset`.
    ///
    /// # Errors
    /// Whatever the bytes are, an error says why they are no record.
    pub fn parse(bytes: &'a [u8], offset: u64) -> Result<RecordView<'a>, RecordError> {
        RecordView::of_checked(checked(bytes)?, offset)
    }

    /// The record in exactly these bytes, whose length and checksum were found right.
    pub(crate) fn of_checked(bytes: &'a [u8], offset: u64) -> Result<RecordView<'a>, RecordError> {
        if bytes[8] != RECORD_VERSION {
            return Err(RecordError::Version(bytes[8]));
        }
        let mut ends = [0; FIELDS];
        let mut end = 0u64;
        for (index, slot) in ends.iter_mut().enumerate() {
            end += u64::from(u32_at(bytes, 20 + 4 * index));
            // A record is shorter than 4 GiB, and a sum that is longer is refused below.
            *slot = end.min(u64::from(u32::MAX)) as u32;
        }
        if padded(HEADER as u64 + end) != bytes.len() as u64 {
            return Err(RecordError::Lengths);
        }
        let texts = std::str::from_utf8(&bytes[HEADER..HEADER + ends[TEXTS - 1] as usize])
            .map_err(|_| RecordError::Text)?;
        if !ends[..TEXTS].iter().all(|end| texts.is_char_boundary(*end as usize)) {
            return Err(RecordError::Text);
        }
        Ok(RecordView { bytes, texts, ends, offset })
    }

    /// Where it is in the log.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The first position behind it; reading can go on there.
    pub fn next_offset(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    /// All its bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What it is about.
    pub fn kind(&self) -> Kind {
        Kind(self.bytes[9])
    }

    /// QoS and flags.
    pub fn flags(&self) -> Flags {
        Flags(u16_at(self.bytes, 10))
    }

    /// The QoS of the message.
    pub fn qos(&self) -> u8 {
        self.flags().get_qos()
    }

    /// The shard that wrote it.
    pub fn shard(&self) -> u16 {
        u16_at(self.bytes, 12)
    }

    /// The packet id of an inbound QoS 2 message, else 0.
    pub fn packet_id(&self) -> u16 {
        u16_at(self.bytes, 14)
    }

    /// Which start of the gateway.
    pub fn boot_id(&self) -> u32 {
        u32_at(self.bytes, 16)
    }

    /// Microseconds UTC.
    pub fn wall_us(&self) -> i64 {
        u64_at(self.bytes, 48) as i64
    }

    /// Microseconds since the start of the gateway.
    pub fn mono_us(&self) -> u64 {
        u64_at(self.bytes, 56)
    }

    /// Who authenticated.
    pub fn principal(&self) -> &'a str {
        self.text(0)
    }

    /// The client id of the session.
    pub fn client(&self) -> &'a str {
        self.text(1)
    }

    /// Whom it concerns; empty if nobody.
    pub fn device(&self) -> &'a str {
        self.text(if self.flags().has(Flags::DEVICE_IS_PRINCIPAL) { 0 } else { 2 })
    }

    /// The topic.
    pub fn topic(&self) -> &'a str {
        self.text(3)
    }

    /// The MQTT 5 content type, or empty.
    pub fn content_type(&self) -> &'a str {
        self.text(4)
    }

    /// The MQTT 5 properties as they came.
    pub fn properties(&self) -> &'a [u8] {
        self.raw(5)
    }

    /// The payload.
    pub fn payload(&self) -> &'a [u8] {
        self.raw(6)
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }

    fn text(&self, index: usize) -> &'a str {
        &self.texts[self.start(index)..self.ends[index] as usize]
    }

    fn raw(&self, index: usize) -> &'a [u8] {
        &self.bytes[HEADER + self.start(index)..HEADER + self.ends[index] as usize]
    }
}

impl fmt::Debug for RecordView<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Record")
            .field("offset", &self.offset)
            .field("kind", &self.kind())
            .field("flags", &self.flags())
            .field("principal", &self.principal())
            .field("client", &self.client())
            .field("device", &self.device())
            .field("topic", &self.topic())
            .field("payload_bytes", &self.payload().len())
            .finish_non_exhaustive()
    }
}

/// The length that the head of a record claims, checked for plausibility alone.
pub(crate) fn record_len(bytes: &[u8]) -> Result<usize, RecordError> {
    if bytes.len() < HEADER {
        return Err(RecordError::Truncated { needed: HEADER, present: bytes.len() });
    }
    let len = u32_at(bytes, 0) as usize;
    if !len.is_multiple_of(8) || !(HEADER..=MAX_RECORD).contains(&len) {
        return Err(RecordError::Lengths);
    }
    Ok(len)
}

/// The bytes of the record at the head of `bytes`, if they are those that were written.
pub(crate) fn checked(bytes: &[u8]) -> Result<&[u8], RecordError> {
    let len = record_len(bytes)?;
    let record = bytes.get(..len).ok_or(RecordError::Truncated { needed: len, present: bytes.len() })?;
    if crc32c::crc32c(&record[8..]) != u32_at(record, 4) {
        return Err(RecordError::Checksum);
    }
    Ok(record)
}

fn padded(len: u64) -> u64 {
    len.next_multiple_of(8)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
