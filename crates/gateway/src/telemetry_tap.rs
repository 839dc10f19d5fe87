//! Live readings for people: bounded views of what passes the stream thread, the oldest dropped first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mohhos_decode::batch::quality;
use mohhos_decode::{Batch, Data, Names, telemetry};
use mohhos_locks::{Condvar, Mutex};

/// One reading.
#[derive(Debug, Clone, PartialEq)]
pub struct TapRow {
    /// The device.
    pub device: Arc<str>,
    /// The metric.
    pub metric: Arc<str>,
    /// Event time, microseconds.
    pub ts: i64,
    /// The number, if it is one.
    pub num: Option<f64>,
    /// The text, if it is one.
    pub text: Option<String>,
    /// "good" or "clock".
    pub quality: &'static str,
    /// The last level of the topic; empty for none.
    pub table: Arc<str>,
}

/// One view.
pub struct TelemetryTap {
    /// 0 for all.
    device: u32,
    capacity: usize,
    queue: Mutex<VecDeque<TapRow>>,
    arrived: Condvar,
    dropped: AtomicU64,
}

impl TelemetryTap {
    /// The next readings, at most `max`; waits up to `timeout` for the first.
    pub fn next(&self, max: usize, timeout: Duration) -> Vec<TapRow> {
        let mut queue = self.queue.lock();
        if queue.is_empty() && !timeout.is_zero() {
            self.arrived.wait_for(&mut queue, timeout);
        }
        let count = queue.len().min(max);
        queue.drain(..count).collect()
    }

    /// How many readings were dropped because nobody fetched them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn offer(&self, rows: Vec<TapRow>) {
        let mut queue = self.queue.lock();
        for row in rows {
            if queue.len() >= self.capacity {
                queue.pop_front();
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            queue.push_back(row);
        }
        self.arrived.notify_one();
    }
}

/// All views. One that nobody holds any more is forgotten.
#[derive(Default)]
pub struct TelemetryTaps {
    taps: Mutex<Vec<Weak<TelemetryTap>>>,
}

impl TelemetryTaps {
    /// A view of a device's readings (0: of all), of at most `capacity` that wait.
    pub fn open(&self, device: u32, capacity: usize) -> Arc<TelemetryTap> {
        let tap = Arc::new(TelemetryTap {
            device,
            capacity: capacity.max(1),
            queue: Mutex::default(),
            arrived: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        self.taps.lock().push(Arc::downgrade(&tap));
        tap
    }

    /// Shows a batch of `telemetry` to all views.
    pub fn show(&self, batch: &Batch, devices: &Names, metrics: &Names) {
        let mut taps = self.taps.lock();
        if taps.is_empty() {
            return;
        }
        taps.retain(|tap| tap.strong_count() > 0);
        let open: Vec<_> = taps.iter().filter_map(Weak::upgrade).collect();
        drop(taps);
        let Some(codes) = batch.codes(telemetry::DEVICE) else { return };
        for tap in open {
            let wanted = |row: &usize| tap.device == 0 || codes[*row] == tap.device;
            let matching: Vec<usize> = (0..batch.rows).filter(wanted).collect();
            // Of more than the view can hold only the newest are worth their names.
            let skipped = matching.len().saturating_sub(tap.capacity);
            tap.dropped.fetch_add(skipped as u64, Ordering::Relaxed);
            if !matching.is_empty() {
                // Names are looked up before the view is locked.
                let rows = matching[skipped..].iter().filter_map(|&row| read(batch, row, devices, metrics));
                tap.offer(rows.collect());
            }
        }
    }
}

fn read(batch: &Batch, row: usize, devices: &Names, metrics: &Names) -> Option<TapRow> {
    let (num, text) = (&batch.columns[telemetry::NUM], &batch.columns[telemetry::TEXT]);
    let string = match &text.data {
        Data::Text(strings) if text.validity.is_valid(row) => Some(strings.get(row).to_owned()),
        _ => None,
    };
    let table = batch.codes(telemetry::TABLE)?[row];
    Some(TapRow {
        device: devices.name(batch.codes(telemetry::DEVICE)?[row])?,
        metric: metrics.name(batch.codes(telemetry::METRIC)?[row])?,
        ts: batch.i64s(telemetry::TS)?[row],
        num: num.validity.is_valid(row).then(|| batch.f64s(telemetry::NUM).map(|v| v[row])).flatten(),
        text: string,
        quality: quality::NAMES
            .get(usize::from(batch.bytes(telemetry::QUALITY)?[row]))
            .copied()
            .unwrap_or(""),
        table: metrics.name(table).unwrap_or_else(|| Arc::from("")),
    })
}
