//! Any text as a plan, and any bytes as a snapshot of the engine: an error, or a rule that takes a batch.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mohhos_decode::{Batch, BatchBuilder, Names, OffsetRange, TelemetryRow, TelemetryValue};
use mohhos_stream::{AlertOut, CommandOut, Engine, EngineConfig, EngineNames, MessageOut, Outputs};

struct Nowhere;

impl Outputs for Nowhere {
    fn alert(&mut self, _alert: &AlertOut<'_>) {}
    fn command(&mut self, _command: &CommandOut<'_>) {}
    fn message(&mut self, _message: &MessageOut<'_>) {}
    fn failed(&mut self, _rule: &str, _message: &str) {}
    fn rows_failed(&mut self, _rule: &str, _count: u64, _message: &str) {}
}

fn engine() -> Engine {
    let (devices, metrics) = (Names::new(), Names::new());
    for code in 1..4 {
        devices.insert(code, &format!("d{code}"));
        metrics.insert(code, &format!("m{code}"));
    }
    let names = EngineNames { devices: Arc::new(devices), metrics: Arc::new(metrics) };
    Engine::new(names, EngineConfig { idle_timeout_us: 60_000_000, max_state_bytes: 1 << 20 })
}

fn batch() -> Batch {
    let mut builder = BatchBuilder::with_capacity(8);
    for n in 0..8_u32 {
        builder.push(&TelemetryRow {
            device: 1 + n % 3,
            metric: 1 + n % 2,
            table: 0,
            ts: 1_772_353_800_000_000 + i64::from(n) * 1_000_000,
            value: if n == 3 { TelemetryValue::Text("x") } else { TelemetryValue::Number(f64::from(n)) },
            quality: 0,
        });
    }
    builder.finish(0, OffsetRange::default(), 1_772_353_810_000_000)
}

fuzz_target!(|input: (&str, &[u8])| {
    let (plan, snapshot) = input;
    let mut engine = engine();
    let _ = engine.restore(snapshot);
    if engine.deploy("r", 1, plan).is_ok() {
        engine.on_batch(&batch(), 1_772_353_820_000_000, &mut Nowhere);
        engine.on_timer(1_772_353_900_000_000, &mut Nowhere);
        let saved = engine.snapshot();
        engine.restore(&saved).expect("what was saved can be restored");
    }
});
