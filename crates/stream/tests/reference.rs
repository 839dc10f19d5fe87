//! Tumbling windows against a simple row-by-row implementation, however the rows are cut into batches, and over a
//! snapshot in the middle.

#![allow(clippy::unwrap_used)] // Clippy does not see that helpers of tests are tests.

mod common;

use std::collections::BTreeMap;

use common::*;
use mohhos_stream::Engine;
use proptest::prelude::*;
use serde_json::json;

const SIZE: i64 = 10 * SECOND;
const DELAY: i64 = 3 * SECOND;

/// Which columns group, and whose watermark closes.
#[derive(Debug, Clone, Copy)]
struct Shape {
    keys: &'static [&'static str],
    table: bool,
}

const SHAPES: [Shape; 6] = [
    Shape { keys: &["device"], table: false },
    Shape { keys: &["device", "metric"], table: false },
    Shape { keys: &["metric", "device"], table: false },
    Shape { keys: &["device", "num"], table: false },
    Shape { keys: &["metric"], table: true },
    Shape { keys: &["device"], table: true },
];

/// Window start, key and results as text: what is compared, in any order.
type Lines = Vec<String>;

fn reference(rows: &[Row], shape: Shape) -> (Lines, u64) {
    let mut watermarks: BTreeMap<u32, i64> = BTreeMap::new();
    let mut open: BTreeMap<(i64, u32, String), Vec<f64>> = BTreeMap::new();
    let (mut lines, mut late) = (Lines::new(), 0);
    for &(device, metric, ts, num) in rows {
        let group = if shape.table { 0 } else { device };
        let watermark = watermarks.entry(group).or_insert(i64::MIN);
        // The filter `num < 50` drops rows, which still move the watermark.
        if let Some(num) = num.filter(|&n| n < 50.0) {
            let start = ts.div_euclid(SIZE) * SIZE;
            if start + SIZE - 1000 <= *watermark {
                late += 1;
            } else {
                let part = |key: &&str| match *key {
                    "device" => format!("d{device}"),
                    "metric" => format!("m{metric}"),
                    _ => format!("{num:?}"),
                };
                let key = shape.keys.iter().map(part).collect::<Vec<_>>().join("/");
                open.entry((start, group, key)).or_default().push(num);
            }
        }
        *watermark = (*watermark).max(ts - DELAY);
        let closed: Vec<_> = open
            .keys()
            .filter(|(start, g, _)| *g == group && start + SIZE - 1000 <= *watermark)
            .cloned()
            .collect();
        for key in closed {
            let values = open.remove(&key).unwrap();
            lines.push(line(key.0, &key.2, &values));
        }
    }
    lines.sort();
    (lines, late)
}

fn line(start: i64, key: &str, values: &[f64]) -> String {
    let n = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let mean = sum / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!(
        "{} {key} {n} {sum:.6} {mean:.6} {least:.6} {greatest:.6} {:.6}",
        start / SECOND,
        variance.sqrt() + 0.0
    )
}

fn plan_of(shape: Shape) -> String {
    let filter = json!({"op": "filter", "id": "filter", "input": "source",
        "condition": call("<", vec![col("num"), lit("DOUBLE", 50)])});
    let aggregate = |name: &str, function: &str| json!({"name": name, "type": "DOUBLE", "function": function, "argument": col("num")});
    let tumble = json!({"op": "tumble", "id": "tumble", "input": "filter", "time": "ts", "size_us": SIZE,
        "keys": shape.keys, "aggregates": [
            {"name": "n", "type": "BIGINT", "function": "COUNT"},
            aggregate("sum", "SUM"), aggregate("mean", "AVG"), aggregate("least", "MIN"),
            aggregate("greatest", "MAX"), aggregate("stddev", "STDDEV_POP")]});
    let mut columns = shape.keys.to_vec();
    columns.extend(["n", "sum", "mean", "least", "greatest", "stddev", "window_start"]);
    let watermark = json!({"delay_us": DELAY, "scope": if shape.table { "table" } else { "device" }});
    plan("r", 1, vec![source(watermark), filter, tumble], topic("tumble", "window_time", &columns))
}

fn lines_of(seen: &Seen, shape: Shape) -> Lines {
    let line = |json: &serde_json::Value| {
        let part = |key: &&str| match &json[*key] {
            serde_json::Value::String(text) => text.clone(),
            number => format!("{:?}", number.as_f64().unwrap()),
        };
        let key = shape.keys.iter().map(part).collect::<Vec<_>>().join("/");
        let number = |name: &str| json[name].as_f64().unwrap() + 0.0;
        let start = json["window_start"].as_str().unwrap();
        let seconds: i64 = start[14..16].parse::<i64>().unwrap() * 60 + start[17..19].parse::<i64>().unwrap();
        format!(
            "{seconds} {key} {} {:.6} {:.6} {:.6} {:.6} {:.6}",
            number("n"),
            number("sum"),
            number("mean"),
            number("least"),
            number("greatest"),
            number("stddev")
        )
    };
    let mut lines: Lines = seen.messages.iter().map(|(_, json, _)| line(json)).collect();
    lines.sort();
    lines
}

fn start(plan: &str) -> Engine {
    let mut engine = engine();
    engine.deploy("r", 1, plan).unwrap();
    engine
}

/// Times that mostly go on, by up to 8 minutes in all, with devices apart from one another.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row =
        (1u32..5, 1u32..3, 0i64..14_000_000, prop::option::weighted(0.9, (0i32..70).prop_map(f64::from)));
    prop::collection::vec(row, 0..200).prop_map(|rows| {
        let step = |(index, (device, metric, jitter, num)): (usize, Row)| {
            let at = index as i64 * 2 * SECOND + i64::from(device) * 7 * SECOND;
            (device, metric, at + jitter, num)
        };
        rows.into_iter().enumerate().map(step).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn windows_are_those_of_the_reference_wherever_batches_are_cut(
        rows in rows(),
        shape in prop::sample::select(&SHAPES[..]),
        size in 1usize..80,
    ) {
        let mut engine = start(&plan_of(shape));
        let mut seen = Seen::default();
        for chunk in rows.chunks(size) {
            engine.on_batch(&batch(chunk), 0, &mut seen);
        }
        let (lines, late) = reference(&rows, shape);
        prop_assert_eq!(lines_of(&seen, shape), lines);
        prop_assert_eq!(engine.stats()[0].late, late);
    }

    #[test]
    fn a_snapshot_in_the_middle_changes_nothing(
        rows in rows(),
        shape in prop::sample::select(&SHAPES[..]),
        cut in 0usize..200,
        restore_first in any::<bool>(),
    ) {
        let (before, after) = rows.split_at(cut.min(rows.len()));
        let plan = plan_of(shape);
        let mut whole = Seen::default();
        let mut engine = start(&plan);
        engine.on_batch(&batch(before), 0, &mut whole);
        let bytes = engine.snapshot();
        let mut parts = whole.clone();
        engine.on_batch(&batch(after), 0, &mut whole);
        engine.on_timer(SECOND, &mut whole);

        let mut second = common::engine();
        if restore_first {
            second.restore(&bytes).unwrap();
            second.deploy("r", 1, &plan).unwrap();
        } else {
            second.deploy("r", 1, &plan).unwrap();
            second.restore(&bytes).unwrap();
        }
        second.on_batch(&batch(after), 0, &mut parts);
        second.on_timer(SECOND, &mut parts);
        prop_assert_eq!(parts, whole);
        prop_assert_eq!(second.stats()[0].late, engine.stats()[0].late);
    }

    #[test]
    fn a_damaged_snapshot_is_refused_and_never_panics(rows in rows(), shape in prop::sample::select(&SHAPES[..]), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let plan = plan_of(shape);
        let mut engine = start(&plan);
        engine.on_batch(&batch(&rows), 0, &mut Seen::default());
        let mut bytes = engine.snapshot();
        let at = at.index(bytes.len());
        let mut second = start(&plan);
        prop_assert!(second.restore(&bytes[..at]).is_err());
        bytes[at] = byte;
        let _ = second.restore(&bytes);
        second.on_batch(&batch(&rows), 0, &mut Seen::default());
    }
}
