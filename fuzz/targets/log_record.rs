//! Any bytes as a record of the log whose length and checksum are right: an error, or a record within them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mohhos_log::RecordView;

fuzz_target!(|bytes: &[u8]| {
    let _ = RecordView::parse(bytes, 0);
    let mut record = bytes.to_vec();
    if record.len() < 8 {
        return;
    }
    let length = (record.len() as u32).to_le_bytes();
    record[..4].copy_from_slice(&length);
    let checksum = crc32c::crc32c(&record[8..]).to_le_bytes();
    record[4..8].copy_from_slice(&checksum);
    if let Ok(view) = RecordView::parse(&record, 4096) {
        assert_eq!(view.as_bytes(), record);
        // Every field is looked at: each is a view that could reach too far.
        // The device can be the principal, which is there once.
        let _ = view.device();
        let texts = [view.principal(), view.client(), view.topic(), view.content_type()];
        let length: usize = texts.iter().map(|text| text.len()).sum();
        assert!(64 + length + view.properties().len() + view.payload().len() <= record.len());
    }
});
