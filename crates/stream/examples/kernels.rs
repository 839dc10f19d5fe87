//! Measures the two rules that the design gives figures for: `cargo run --release -p mohhos-stream --example kernels`.
//!
//! Prints nanoseconds per row, the best of several runs on batches of 1,000 rows: other work on the machine can only
//! add to a run.

use std::sync::Arc;
use std::time::Instant;

use mohhos_decode::{Batch, Column, Data, Names, OffsetRange, TextData, Validity, telemetry};
use mohhos_stream::{AlertOut, CommandOut, Engine, EngineConfig, EngineNames, MessageOut, Outputs};

const ROWS: usize = 1_000;
const DEVICES: u32 = 10_000;
const BATCHES: usize = 200;
const RUNS: usize = 15;

const FILTER: &str = r#"{"version":1,"rule":"r","rule_version":1,"operators":[
 {"op":"source","id":"s","table":0,"rowtime":"ts","watermark":{"delay_us":5000000},"columns":[
  {"name":"device","type":"DEVICE"},{"name":"metric","type":"METRIC"},{"name":"ts","type":"TIMESTAMP(3)"},
  {"name":"num","type":"DOUBLE"}]},
 {"op":"filter","id":"f","input":"s","condition":{"e":"call","function":"AND","args":[
  {"e":"call","function":">","args":[{"e":"column","name":"num"},{"e":"literal","type":"DOUBLE","value":100}]},
  {"e":"call","function":"=","args":[{"e":"column","name":"metric"},{"e":"literal","type":"STRING","value":"x"}]}]}}],
 "sink":{"kind":"alerts","id":"k","input":"f","time":"ts"}}"#;

const WINDOW: &str = r#"{"version":1,"rule":"r","rule_version":1,"operators":[
 {"op":"source","id":"s","table":0,"rowtime":"ts","watermark":{"delay_us":5000000},"columns":[
  {"name":"device","type":"DEVICE"},{"name":"metric","type":"METRIC"},{"name":"ts","type":"TIMESTAMP(3)"},
  {"name":"num","type":"DOUBLE"}]},
 {"op":"tumble","id":"t","input":"s","time":"ts","size_us":60000000,"keys":[KEYS],"aggregates":[
  {"name":"n","type":"BIGINT","function":"COUNT"},
  {"name":"a","type":"DOUBLE","function":"SUM","argument":{"e":"column","name":"num"}},
  {"name":"b","type":"DOUBLE","function":"AVG","argument":{"e":"column","name":"num"}},
  {"name":"c","type":"DOUBLE","function":"MIN","argument":{"e":"column","name":"num"}},
  {"name":"d","type":"DOUBLE","function":"MAX","argument":{"e":"column","name":"num"}}STDDEV]}],
 "sink":{"kind":"topic","id":"k","input":"t","time":"window_time","topic":"x","columns":[]}}"#;

const STDDEV: &str =
    r#",{"name":"e","type":"DOUBLE","function":"STDDEV_SAMP","argument":{"e":"column","name":"num"}}"#;

#[derive(Default)]
struct Count(u64);

impl Outputs for Count {
    fn alert(&mut self, _: &AlertOut<'_>) {
        self.0 += 1;
    }
    fn command(&mut self, _: &CommandOut<'_>) {
        self.0 += 1;
    }
    fn message(&mut self, _: &MessageOut<'_>) {
        self.0 += 1;
    }
    fn failed(&mut self, rule: &str, message: &str) {
        eprintln!("{rule}: {message}");
    }
    fn rows_failed(&mut self, rule: &str, count: u64, message: &str) {
        eprintln!("{rule}: {count} rows: {message}");
    }
}

/// Batches of messages of random devices with this many metrics each; a million rows per second of event time.
fn batches(metrics: usize) -> Vec<Batch> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let column = |data| Column { data, validity: Validity::All };
    let batch = |index: usize| Batch {
        table: 0,
        shard: 0,
        offsets: OffsetRange::default(),
        arrival_us: 0,
        rows: ROWS,
        columns: {
            let mut columns = vec![column(Data::Byte(Vec::new())); telemetry::WIDTH];
            let mut device = 0;
            let devices = (0..ROWS).map(|row| {
                if row % metrics == 0 {
                    device = (random() % u64::from(DEVICES)) as u32 + 1;
                }
                device
            });
            columns[telemetry::DEVICE] = column(Data::Code(devices.collect()));
            let metric = |row| (row % metrics) as u32 + 1;
            columns[telemetry::METRIC] = column(Data::Code((0..ROWS).map(metric).collect()));
            let times = (0..ROWS).map(|row| index as i64 * 1_000 + row as i64).collect();
            columns[telemetry::TS] = column(Data::I64(times));
            columns[telemetry::NUM] = column(Data::F64((0..ROWS).map(|_| (random() % 101) as f64).collect()));
            columns[telemetry::TEXT] =
                Column { data: Data::Text(TextData::default()), validity: Validity::None };
            columns[telemetry::QUALITY] = column(Data::Byte(vec![0; ROWS]));
            columns[telemetry::TABLE] = column(Data::Code(vec![0; ROWS]));
            columns
        },
    };
    (0..BATCHES).map(batch).collect()
}

fn measure(what: &str, plan: &str, batches: &mut [Batch]) -> Result<(), Box<dyn std::error::Error>> {
    let metrics = Names::new();
    metrics.insert(1, "x");
    metrics.insert(2, "y");
    let devices = Names::new();
    (1..=DEVICES).for_each(|code| devices.insert(code, &format!("device-{code}")));
    let names = EngineNames { devices: Arc::new(devices), metrics: Arc::new(metrics) };
    let config = EngineConfig { idle_timeout_us: 60_000_000, max_state_bytes: 1 << 30 };
    let mut engine = Engine::new(names, config);
    engine.deploy("r", 1, plan)?;
    let mut outputs = Count::default();
    let mut best = f64::MAX;
    for run in 0..RUNS {
        let begin = Instant::now();
        for (index, batch) in batches.iter().enumerate() {
            engine.on_batch(batch, (run * BATCHES + index) as i64 * 1_000, &mut outputs);
        }
        best = best.min(begin.elapsed().as_nanos() as f64 / (BATCHES * ROWS) as f64);
        // Event time goes on from run to run.
        for batch in batches.iter_mut() {
            if let Data::I64(times) = &mut batch.columns[telemetry::TS].data {
                times.iter_mut().for_each(|t| *t += BATCHES as i64 * 1_000);
            }
        }
    }
    println!("{what}: {best:.2} ns/row, {} outputs", outputs.0);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let by_device = WINDOW.replace("KEYS", "\"device\"");
    let by_both = WINDOW.replace("KEYS", "\"device\",\"metric\"").replace("STDDEV", STDDEV);
    for metrics in [1, 2] {
        println!("{metrics} metrics per message, {DEVICES} devices at random");
        let mut batches = batches(metrics);
        measure("  filter num > 100 AND metric = 'x'", FILTER, &mut batches)?;
        measure("  tumble by device: COUNT SUM AVG MIN MAX", &by_device.replace("STDDEV", ""), &mut batches)?;
        measure("  tumble by device: … and STDDEV", &by_device.replace("STDDEV", STDDEV), &mut batches)?;
        measure("  tumble by device, metric: … and STDDEV", &by_both, &mut batches)?;
    }
    Ok(())
}
