//! Nanoseconds per message on one thread, payload to columns: `cargo bench -p mohhos-decode --bench decode [-- NAME]`.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use mohhos_decode::{
    BatchBuilder, Decoders, DeviceState, MAX_FUTURE_US, Message, MetricResolver, OffsetRange,
};

/// Devices take turns, as on a shard.
const DEVICES: usize = 10_000;
/// The best of so many rounds counts: others may use the machine.
const ROUNDS: usize = 30;
const BATCH_ROWS: usize = 8192;
const MESSAGES: usize = 200_000;

#[derive(Default)]
struct Metrics(HashMap<String, u32>);

impl MetricResolver for Metrics {
    fn code(&mut self, _device: u32, name: &str) -> Option<u32> {
        let next = self.0.len() as u32 + 1;
        Some(*self.0.entry(name.to_owned()).or_insert(next))
    }
}

fn measure(name: &str, payloads: &[String]) {
    if std::env::args().skip(1).any(|wanted| !wanted.starts_with("--") && !name.contains(&wanted)) {
        return;
    }
    let mut decoders = Decoders::new();
    let mut builder = BatchBuilder::with_capacity(BATCH_ROWS + 64);
    let mut devices = vec![DeviceState::default(); DEVICES];
    let mut metrics = Metrics::default();
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut rows = 0;
        for n in 0..MESSAGES {
            let device = n % DEVICES;
            let message = Message {
                payload: black_box(payloads[n % payloads.len()].as_bytes()),
                content_type: "",
                device: device as u32 + 1,
                device_id: "pump-1",
                table: 0,
                arrival_us: 1_772_353_800_000_000 + n as i64,
                max_future_us: MAX_FUTURE_US,
            };
            match decoders.telemetry(&message, &mut devices[device], &mut metrics, &mut builder) {
                Ok(decoded) => rows += decoded.rows,
                Err(error) => eprintln!("{name}: {error}"),
            }
            if builder.rows() >= BATCH_ROWS {
                black_box(builder.finish(0, OffsetRange::default(), 0));
            }
        }
        black_box(rows);
        best = best.min(start.elapsed().as_nanos() as f64 / MESSAGES as f64);
    }
    println!("{name:<28} {best:6.1} ns/message");
}

fn main() {
    measure("two metrics, one payload", &[r#"{"temperature":21.53,"pressure":3.207}"#.to_owned()]);
    let varying: Vec<_> = (0..997)
        .map(|n: u32| {
            let (temperature, pressure) =
                (f64::from(n * 37 % 5000) / 100.0, f64::from(n * 91 % 7000) / 1000.0);
            format!(r#"{{"temperature":{temperature},"pressure":{pressure}}}"#)
        })
        .collect();
    measure("two metrics, varying", &varying);
    measure(
        "two metrics and a time",
        &[r#"{"ts":1772353800123,"temperature":21.53,"pressure":3.207}"#.to_owned()],
    );
    measure("number and text", &[r#"{"temperature":21.53,"state":"running"}"#.to_owned()]);
    let senml = r#"[{"bn":"pump-1/","bt":1772353800,"n":"temperature","u":"Cel","v":21.53},{"n":"pressure","v":3.207}]"#;
    measure("SenML, two records", &[senml.to_owned()]);
}
