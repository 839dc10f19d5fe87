//! Records come back as they were pushed, and bytes that are none are refused.

use mohhos_log::{Fields, Flags, Kind, RecordBuffer, RecordError, RecordView};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Owned {
    kind: u8,
    flags: u16,
    shard: u16,
    packet_id: u16,
    boot_id: u32,
    wall_us: i64,
    mono_us: u64,
    texts: [String; 5],
    properties: Vec<u8>,
    payload: Vec<u8>,
}

impl Owned {
    fn fields(&self) -> Fields<'_> {
        let [principal, client, device, topic, content_type] = &self.texts;
        Fields {
            kind: Kind(self.kind),
            flags: Flags(self.flags & !Flags::DEVICE_IS_PRINCIPAL.0),
            shard: self.shard,
            packet_id: self.packet_id,
            boot_id: self.boot_id,
            wall_us: self.wall_us,
            mono_us: self.mono_us,
            principal,
            client,
            device,
            topic,
            content_type,
            properties: &self.properties,
            payload: &self.payload,
            class: mohhos_log::DEFAULT_CLASS,
        }
    }
}

fn owned() -> impl Strategy<Value = Owned> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    // Few and short names, so that device and principal are often the same.
    let texts = || prop::array::uniform5("[aé/]{0,3}");
    (any::<(u8, u16, u16, u16, u32, i64, u64)>(), texts(), bytes(), bytes()).prop_map(
        |((kind, flags, shard, packet_id, boot_id, wall_us, mono_us), texts, properties, payload)| Owned {
            kind,
            flags,
            shard,
            packet_id,
            boot_id,
            wall_us,
            mono_us,
            texts,
            properties,
            payload,
        },
    )
}

fn seen<'a>(view: &RecordView<'a>) -> Fields<'a> {
    Fields {
        kind: view.kind(),
        flags: Flags(view.flags().0 & !Flags::DEVICE_IS_PRINCIPAL.0),
        shard: view.shard(),
        packet_id: view.packet_id(),
        boot_id: view.boot_id(),
        wall_us: view.wall_us(),
        mono_us: view.mono_us(),
        principal: view.principal(),
        client: view.client(),
        device: view.device(),
        topic: view.topic(),
        content_type: view.content_type(),
        properties: view.properties(),
        payload: view.payload(),
        class: mohhos_log::DEFAULT_CLASS,
    }
}

proptest! {
    #[test]
    fn records_come_back_as_they_were_pushed(records in prop::collection::vec(owned(), 1..8)) {
        let mut buffer = RecordBuffer::new();
        let positions: Vec<u32> = records.iter().map(|record| buffer.push(&record.fields())).collect();
        for (position, record) in positions.iter().zip(&records) {
            let view = RecordView::parse(&buffer.as_bytes()[*position as usize..], 77).unwrap();
            prop_assert_eq!(seen(&view), record.fields());
            prop_assert_eq!(view.offset(), 77);
        }
        let views: Result<Vec<_>, _> = buffer.iter().collect();
        let views = views.unwrap();
        prop_assert_eq!(views.iter().map(|view| view.offset() as u32).collect::<Vec<_>>(), positions);
        prop_assert_eq!(views.last().unwrap().next_offset() as usize, buffer.as_bytes().len());
    }

    #[test]
    fn any_changed_byte_is_noticed(record in owned(), at in any::<prop::sample::Index>(), change in 1..=255u8) {
        let mut buffer = RecordBuffer::new();
        buffer.push(&record.fields());
        let mut bytes = buffer.as_bytes().to_vec();
        bytes[at.index(buffer.as_bytes().len())] ^= change;
        prop_assert!(RecordView::parse(&bytes, 0).is_err());
    }

    #[test]
    fn a_record_that_is_cut_off_is_refused(record in owned(), keep in any::<prop::sample::Index>()) {
        let mut buffer = RecordBuffer::new();
        buffer.push(&record.fields());
        let kept = &buffer.as_bytes()[..keep.index(buffer.as_bytes().len())];
        let refused = matches!(RecordView::parse(kept, 0), Err(RecordError::Truncated { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn arbitrary_bytes_with_a_right_checksum_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 64..400),
        lengths in prop::array::uniform7(0..60u32),
    ) {
        let len = bytes.len() / 8 * 8;
        bytes.truncate(len);
        bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
        bytes[8] = 1;
        for (index, length) in lengths.iter().enumerate() {
            bytes[20 + 4 * index..24 + 4 * index].copy_from_slice(&length.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        if let Ok(view) = RecordView::parse(&bytes, 0) {
            let _ = format!("{view:?} {:?}", seen(&view));
        }
    }
}

#[test]
fn a_device_that_is_the_principal_costs_no_bytes() {
    let mut buffer = RecordBuffer::new();
    let name = "a-device-with-a-long-name";
    buffer.push(&Fields { principal: name, ..Fields::default() });
    let without = buffer.as_bytes().len();
    buffer.clear();
    buffer.push(&Fields { principal: name, device: name, ..Fields::default() });
    assert_eq!(buffer.as_bytes().len(), without);
    assert_eq!(buffer.iter().next().unwrap().unwrap().device(), name);
}

#[test]
fn a_record_of_a_later_version_is_refused_by_its_version() {
    let mut buffer = RecordBuffer::new();
    buffer.push(&Fields::default());
    let mut bytes = buffer.as_bytes().to_vec();
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[8..]);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(RecordView::parse(&bytes, 0).unwrap_err(), RecordError::Version(2));
}

#[test]
fn flags_keep_qos_and_bits_apart() {
    let flags = Flags::qos(2).with(Flags::RETAIN).with_if(Flags::WILL, false).with_if(Flags::DURABLE, true);
    assert_eq!(flags.get_qos(), 2);
    assert!(flags.has(Flags::RETAIN) && flags.has(Flags::DURABLE) && !flags.has(Flags::WILL));
}
