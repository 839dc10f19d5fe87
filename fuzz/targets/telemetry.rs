//! Any payload under any content type: an error and nothing added, or as many rows as it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mohhos_decode::{BatchBuilder, Decoders, DeviceState, MAX_FUTURE_US, Message, MetricResolver, OffsetRange};

const CONTENT_TYPES: [&str; 5] =
    ["", "application/json", "application/senml+json", "application/senml+cbor", "text/plain"];

/// At most 100 metrics.
#[derive(Default)]
struct Metrics(Vec<String>);

impl MetricResolver for Metrics {
    fn code(&mut self, _device: u32, name: &str) -> Option<u32> {
        let at = self.0.iter().position(|known| known == name);
        let at = at.or_else(|| (self.0.len() < 100).then(|| self.0.push(name.to_owned())).map(|()| self.0.len() - 1));
        Some(at? as u32 + 1)
    }
}

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (content_type, first, second) = input;
    let mut decoders = Decoders::new();
    let mut device = DeviceState::default();
    let mut metrics = Metrics::default();
    let mut builder = BatchBuilder::with_capacity(16);
    // The decoder remembers shapes from payload to payload.
    for payload in [first, second, first] {
        let message = Message {
            payload,
            content_type: CONTENT_TYPES[usize::from(content_type) % CONTENT_TYPES.len()],
            device: 1,
            device_id: "pump-1",
            table: 0,
            arrival_us: 1_772_353_800_000_000,
            max_future_us: MAX_FUTURE_US,
        };
        let before = builder.rows();
        let decoded = decoders.telemetry(&message, &mut device, &mut metrics, &mut builder);
        let added = decoded.map_or(0, |decoded| decoded.rows);
        assert_eq!(builder.rows(), before + added, "all or nothing");
    }
    let rows = builder.rows();
    let batch = builder.finish(0, OffsetRange::default(), 1_772_353_800_000_000);
    assert_eq!(batch.rows, rows);
});
