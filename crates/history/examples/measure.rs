//! What the history costs: `cargo run --release -p mohhos-history --example measure [rows] [directory]`.
//!
//! 10,000 devices with two metrics each that wander with two and three decimals; time of arrival is event time.
//! Prints nanoseconds of processor time per row for push and flush, and bytes per row on disk.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use mohhos_decode::batch::{Batch, Column, Data, OffsetRange, TextData, Validity};
use mohhos_history::{Filter, History, HistoryConfig};
use mohhos_log::fs::OsFs;

const DEVICES: u32 = 10_000;
const BATCH: usize = 8192;

struct Fleet {
    seed: u64,
    message: u32,
    now_us: i64,
    values: Vec<f64>,
}

impl Fleet {
    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % below
    }

    fn batch(&mut self) -> Batch {
        let (mut device, mut metric, mut ts, mut num) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..BATCH / 2 {
            let code = self.message.wrapping_mul(7919) % DEVICES;
            self.message += 1;
            self.now_us += self.random(3) as i64;
            for which in 0..2 {
                let step = (self.random(2001) as f64 - 1000.0) / 5000.0;
                let value = &mut self.values[(code * 2 + which) as usize];
                *value += step;
                let scale = if which == 0 { 100.0 } else { 1000.0 };
                num.push((*value * scale).round() / scale);
                device.push(code + 1);
                metric.push(which + 1);
                ts.push(self.now_us);
            }
        }
        let column = |data| Column { data, validity: Validity::All };
        let columns = vec![
            column(Data::Code(device)),
            column(Data::Code(metric)),
            column(Data::I64(ts)),
            column(Data::F64(num)),
            Column { data: Data::Text(TextData::default()), validity: Validity::None },
            column(Data::Byte(vec![0; BATCH])),
            column(Data::Code(vec![0; BATCH])),
        ];
        let offsets = OffsetRange::default();
        Batch { table: 0, shard: 0, offsets, arrival_us: self.now_us, rows: BATCH, columns }
    }
}

/// Processor time of this thread: other work on the machine does not count.
fn cpu_ns() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let rows: usize = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let dir = args.next().map_or_else(|| std::env::temp_dir().join("mohhos-history-measure"), PathBuf::from);
    let fs = Arc::new(OsFs::open(&dir)?);
    let (mut history, _) = History::open(fs, &dir, HistoryConfig::default())?;
    let mut fleet =
        Fleet { seed: 88_172_645_463_325_252, message: 0, now_us: 1_700_000_000_000_000, values: Vec::new() };
    fleet.values.resize(DEVICES as usize * 2, 20.0);
    for round in 0..5 {
        let batches: Vec<Arc<Batch>> = (0..rows.div_ceil(BATCH)).map(|_| Arc::new(fleet.batch())).collect();
        let rows = (batches.len() * BATCH) as f64;
        let before = history.reader().stats().bytes;
        let start = cpu_ns()?;
        for batch in &batches {
            history.push(batch, 0)?;
        }
        drop(batches);
        let pushed = (cpu_ns()? - start) as f64;
        let start = cpu_ns()?;
        let cut = history.reader().cut(&Filter { devices: vec![17], ..Filter::default() })?;
        let cut_us = (cpu_ns()? - start) / 1000;
        let start = cpu_ns()?;
        history.flush(0)?;
        let flushed = (cpu_ns()? - start) as f64;
        history.reader().release(cut.lease);
        let bytes = (history.reader().stats().bytes - before) as f64;
        println!(
            "round {round}: push {:.1} ns/row, flush {:.1} ns/row, {:.2} bytes/row, a cut of one device {cut_us} us",
            pushed / rows,
            flushed / rows,
            bytes / rows,
        );
    }
    Ok(())
}
