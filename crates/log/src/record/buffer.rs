//! Records on their way into the log: many are encoded one behind the other and appended at once.

use crate::class::{ClassBytes, MAX_CLASSES};

use super::{FIELDS, Fields, Flags, HEADER, RECORD_VERSION, RecordError, RecordView, padded, record_len};

/// Encoded records, in order. Kept and cleared by its owner, so that encoding allocates nothing.
#[derive(Debug, Default)]
pub struct RecordBuffer {
    bytes: Vec<u8>,
    records: u32,
    last_wall_us: Option<i64>,
    last_synchronised_us: Option<i64>,
    class_bytes: ClassBytes,
}

impl RecordBuffer {
    /// An empty buffer.
    pub fn new() -> RecordBuffer {
        RecordBuffer::default()
    }

    /// Encodes a record and returns its position, to be added to the offset that `Log::append` returns.
    ///
    /// A buffer of more than 1 GiB is refused at append, hence a position always fits.
    pub fn push(&mut self, fields: &Fields<'_>) -> u32 {
        let position = self.bytes.len();
        let same = !fields.device.is_empty() && fields.device == fields.principal;
        let device = if same { "" } else { fields.device };
        let flags =
            Flags(fields.flags.0 & !Flags::DEVICE_IS_PRINCIPAL.0).with_if(Flags::DEVICE_IS_PRINCIPAL, same);
        let parts: [&[u8]; FIELDS] = [
            fields.principal.as_bytes(),
            fields.client.as_bytes(),
            device.as_bytes(),
            fields.topic.as_bytes(),
            fields.content_type.as_bytes(),
            fields.properties,
            fields.payload,
        ];
        let unpadded = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
        let len = padded(unpadded as u64) as usize;

        let mut header = [0u8; HEADER];
        header[0..4].copy_from_slice(&(len as u32).to_le_bytes());
        header[8] = RECORD_VERSION;
        header[9] = fields.kind.0;
        header[10..12].copy_from_slice(&flags.0.to_le_bytes());
        header[12..14].copy_from_slice(&fields.shard.to_le_bytes());
        header[14..16].copy_from_slice(&fields.packet_id.to_le_bytes());
        header[16..20].copy_from_slice(&fields.boot_id.to_le_bytes());
        for (index, part) in parts.iter().enumerate() {
            header[20 + 4 * index..24 + 4 * index].copy_from_slice(&(part.len() as u32).to_le_bytes());
        }
        header[48..56].copy_from_slice(&fields.wall_us.to_le_bytes());
        header[56..64].copy_from_slice(&fields.mono_us.to_le_bytes());

        self.bytes.resize(position + len, 0);
        let record = &mut self.bytes[position..];
        record[..HEADER].copy_from_slice(&header);
        let mut at = HEADER;
        for part in parts {
            if !part.is_empty() {
                record[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
        }
        let checksum = crc32c::crc32c(&record[8..]);
        record[4..8].copy_from_slice(&checksum.to_le_bytes());

        self.records += 1;
        self.class_bytes[usize::from(fields.class) % MAX_CLASSES] += len as u64;
        self.last_wall_us = self.last_wall_us.max(Some(fields.wall_us));
        if flags.has(Flags::CLOCK_SYNCHRONISED) {
            self.last_synchronised_us = self.last_synchronised_us.max(Some(fields.wall_us));
        }
        u32::try_from(position).unwrap_or(u32::MAX)
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
        self.last_wall_us = None;
        self.last_synchronised_us = None;
        self.class_bytes = ClassBytes::default();
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records as usize
    }

    /// The encoded records.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The records, with their positions as offsets.
    pub fn iter(&self) -> impl Iterator<Item = Result<RecordView<'_>, RecordError>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = self.bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let view = RecordView::parse(rest, at as u64);
            at = record_len(rest).map_or(usize::MAX, |len| at + len);
            Some(view)
        })
    }

    /// Bytes by class.
    pub(crate) fn class_bytes(&self) -> &ClassBytes {
        &self.class_bytes
    }

    /// The newest wall time, and the newest that was taken from a synchronised clock.
    pub(crate) fn times(&self) -> (Option<i64>, Option<i64>) {
        (self.last_wall_us, self.last_synchronised_us)
    }
}
