//! Tumbling windows: when they close, what is late, what they contain.

#![allow(clippy::unwrap_used)] // Clippy does not see that helpers of tests are tests.

mod common;

use common::*;
use serde_json::json;

fn run(engine: &mut mohhos_stream::Engine, seen: &mut Seen, rows: &[Row], now: i64) -> Vec<String> {
    engine.on_batch(&batch(rows), now, seen);
    assert_eq!(seen.failed, Vec::<String>::new());
    seen.take_messages()
}

fn started(plan: &str) -> (mohhos_stream::Engine, Seen) {
    let mut engine = engine();
    engine.deploy("r", 1, plan).unwrap();
    (engine, Seen::default())
}

fn row(device: u32, seconds: f64, num: f64) -> Row {
    (device, 1, (seconds * 1e6) as i64, Some(num))
}

#[test]
fn a_window_closes_one_millisecond_before_its_end_is_the_watermark() {
    let (mut engine, mut seen) = started(&by_device());
    assert!(
        run(&mut engine, &mut seen, &[row(1, 1.0, 5.0), row(1, 9.9, 6.0), row(1, 11.9, 1.0)], 0).is_empty()
    );
    assert!(run(&mut engine, &mut seen, &[row(1, 11.998, 1.0)], 0).is_empty());
    assert_eq!(
        run(&mut engine, &mut seen, &[row(1, 11.999, 1.0)], 0),
        [r#"{"device":"d1","n":2,"total":11.0,"window_start":"1970-01-01T00:00:00.000Z"}"#]
    );
}

#[test]
fn rows_out_of_order_count_while_their_window_is_open_and_are_late_afterwards() {
    let (mut engine, mut seen) = started(&by_device());
    let rows = [row(1, 11.0, 1.0), row(1, 3.0, 2.0), row(1, 11.5, 4.0), row(1, 9.0, 8.0)];
    assert!(run(&mut engine, &mut seen, &rows, 0).is_empty());
    // The window closes with the first row, so the second, in the same batch, is late.
    let out = run(&mut engine, &mut seen, &[row(1, 12.0, 16.0), row(1, 9.5, 32.0)], 0);
    assert_eq!(out, [r#"{"device":"d1","n":2,"total":10.0,"window_start":"1970-01-01T00:00:00.000Z"}"#]);
    assert_eq!(engine.stats()[0].late, 1);
    let out = run(&mut engine, &mut seen, &[row(1, 40.0, 0.0)], 0);
    assert_eq!(out, [r#"{"device":"d1","n":3,"total":21.0,"window_start":"1970-01-01T00:00:10.000Z"}"#]);
}

#[test]
fn a_device_far_behind_or_ahead_makes_nobody_else_late() {
    let (mut engine, mut seen) = started(&by_device());
    let far = 1_000_000_000.0;
    let rows = [row(2, far, 1.0), row(1, 1.0, 1.0), row(2, far + 30.0, 1.0), row(1, 2.0, 1.0)];
    assert_eq!(run(&mut engine, &mut seen, &rows, 0).len(), 1);
    let out = run(&mut engine, &mut seen, &[row(1, 20.0, 1.0)], 0);
    assert_eq!(out, [r#"{"device":"d1","n":2,"total":2.0,"window_start":"1970-01-01T00:00:00.000Z"}"#]);
    assert_eq!(engine.stats()[0].late, 0);
}

#[test]
fn with_scope_table_one_watermark_holds_for_all() {
    let plan = windows(json!({"delay_us": 0, "scope": "table"}), &["device"]);
    let (mut engine, mut seen) = started(&plan);
    let rows = [row(2, 1.0, 1.0), row(1, 2.0, 1.0), row(1, 15.0, 1.0), row(2, 9.0, 1.0)];
    assert_eq!(run(&mut engine, &mut seen, &rows, 0).len(), 2);
    assert_eq!(engine.stats()[0].late, 1);
    // As in Flink, it does not follow any clock.
    assert_eq!(engine.next_timer(), None);
}

#[test]
fn without_the_device_among_the_keys_the_table_s_watermark_closes() {
    let plan = windows(json!({"delay_us": 0}), &["metric"]);
    let (mut engine, mut seen) = started(&plan);
    let rows = [row(1, 1.0, 1.0), row(2, 2.0, 2.0), row(2, 15.0, 1.0)];
    assert_eq!(
        run(&mut engine, &mut seen, &rows, 0),
        [r#"{"metric":"m1","n":2,"total":3.0,"window_start":"1970-01-01T00:00:00.000Z"}"#]
    );
    let plan = windows(json!({"delay_us": 0}), &[]);
    let (mut engine, mut seen) = started(&plan);
    assert_eq!(run(&mut engine, &mut seen, &rows, 0).len(), 1);
}

#[test]
fn the_watermark_moves_by_rows_that_the_filter_drops() {
    let filter = json!({"op": "filter", "id": "f", "input": "source",
        "condition": call("=", vec![col("metric"), lit("STRING", "m1")])});
    let tumble = json!({"op": "tumble", "id": "t", "input": "f", "time": "ts", "size_us": 10 * SECOND,
        "keys": ["device"], "aggregates": [{"name": "n", "type": "BIGINT", "function": "COUNT"}]});
    let operators = vec![source(json!({"delay_us": 0})), filter, tumble];
    let (mut engine, mut seen) =
        started(&plan("r", 1, operators, topic("t", "window_time", &["device", "n"])));
    let rows = [row(1, 1.0, 1.0), (1, 2, 12 * SECOND, Some(1.0)), row(1, 2.0, 1.0)];
    assert_eq!(run(&mut engine, &mut seen, &rows, 0), [r#"{"device":"d1","n":1}"#]);
    assert_eq!(engine.stats()[0].late, 1);
}

#[test]
fn an_idle_device_s_windows_close_by_the_gateway_s_clock() {
    let (mut engine, mut seen) = started(&by_device());
    let start = 1_000_000 * SECOND;
    engine.on_batch(&batch(&[(1, 1, start, Some(1.0)), (2, 1, start, Some(1.0))]), start, &mut seen);
    assert_eq!(engine.next_timer(), Some(start + IDLE));
    engine.on_batch(&batch(&[(2, 1, start + SECOND, Some(1.0))]), start + SECOND, &mut seen);
    engine.on_timer(start + IDLE - SECOND, &mut seen);
    assert!(seen.take_messages().is_empty());
    engine.on_timer(start + IDLE, &mut seen);
    assert_eq!(seen.take_messages().len(), 1, "device 1 alone has been idle for long enough");
    engine.on_timer(start + IDLE + SECOND, &mut seen);
    assert_eq!(seen.take_messages().len(), 1);
    // Nothing is open: nothing to wait for, and what was kept on the device is not late.
    engine.on_timer(start + 3 * IDLE, &mut seen);
    assert_eq!(engine.next_timer(), None);
    engine.on_batch(&batch(&[(1, 1, start + 20 * SECOND, Some(1.0))]), start + 10 * IDLE, &mut seen);
    assert_eq!(engine.stats()[0].late, 0);
    engine.on_batch(&batch(&[(1, 1, start, Some(1.0))]), start + 10 * IDLE, &mut seen);
    assert_eq!(engine.stats()[0].late, 1, "the window that was closed stays closed");
}

#[test]
fn an_idle_window_in_the_future_waits_for_the_clock() {
    let (mut engine, mut seen) = started(&by_device());
    let start = 1_000_000 * SECOND;
    // The device's clock is four minutes ahead.
    engine.on_batch(&batch(&[(1, 1, start + 240 * SECOND, Some(1.0))]), start, &mut seen);
    let mut now = start;
    while let Some(timer) = engine.next_timer() {
        assert!(seen.messages.is_empty());
        assert!(timer > now, "the timer stands still");
        now = timer;
        engine.on_timer(now, &mut seen);
    }
    assert_eq!(seen.messages.len(), 1);
    assert!((start + 251 * SECOND..=start + 253 * SECOND).contains(&now));
}

#[test]
fn a_gateway_whose_clock_stands_at_2004_and_jumps_loses_no_window() {
    let (mut engine, mut seen) = started(&by_device());
    let (y2004, y2026) = (1_072_915_200 * SECOND, 1_767_225_600 * SECOND);
    engine.on_batch(&batch(&[(1, 1, y2026, Some(1.0)), (2, 1, y2004, Some(1.0))]), y2004, &mut seen);
    // The clock is set: the rows that come at once are not late, whoever sent them.
    let rows = [(1, 1, y2026 + SECOND, Some(2.0)), (2, 1, y2026 + SECOND, Some(2.0))];
    engine.on_batch(&batch(&rows), y2026 + SECOND, &mut seen);
    assert_eq!(
        seen.take_messages(),
        [r#"{"device":"d2","n":1,"total":1.0,"window_start":"2004-01-01T00:00:00.000Z"}"#]
    );
    engine.on_batch(&batch(&[(1, 1, y2026 + 12 * SECOND, Some(4.0))]), y2026 + 12 * SECOND, &mut seen);
    assert_eq!(
        seen.take_messages(),
        [r#"{"device":"d1","n":2,"total":3.0,"window_start":"2026-01-01T00:00:00.000Z"}"#]
    );
    assert_eq!(engine.stats()[0].late, 0);
}

#[test]
fn times_at_the_ends_of_64_bits_do_no_harm() {
    let (mut engine, mut seen) = started(&by_device());
    let rows = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX, i64::MAX - 1].map(|ts| (1, 1, ts, Some(1.0)));
    run(&mut engine, &mut seen, &rows, i64::MAX);
    run(&mut engine, &mut seen, &rows, i64::MIN);
    assert_eq!(engine.stats()[0].error, None);
}

#[test]
fn windows_before_the_epoch_and_with_an_offset_align() {
    let tumble = json!({"op": "tumble", "id": "t", "input": "source", "time": "ts", "size_us": 10 * SECOND,
        "offset_us": 3 * SECOND, "keys": ["device"], "aggregates": []});
    let sink = topic("t", "window_time", &["window_start", "window_end", "window_time"]);
    let (mut engine, mut seen) = started(&plan("r", 1, vec![source(json!({"delay_us": 0})), tumble], sink));
    let out = run(&mut engine, &mut seen, &[row(1, -6.0, 1.0), row(1, 3.0, 1.0)], 0);
    let start = r#""window_start":"1969-12-31T23:59:43.000Z""#;
    let second = r#""window_start":"1969-12-31T23:59:53.000Z""#;
    assert_eq!(out.len(), 1);
    assert!(out[0].contains(second) && !out[0].contains(start), "{out:?}");
    assert!(out[0].contains(r#""window_end":"1970-01-01T00:00:03.000Z""#));
    assert!(out[0].contains(r#""window_time":"1970-01-01T00:00:02.999Z""#));
}

fn aggregate(name: &str, function: &str, kind: &str, argument: serde_json::Value) -> serde_json::Value {
    json!({"name": name, "type": kind, "function": function, "argument": argument})
}

/// All aggregates over one window of these values.
fn aggregates(kind: &str, values: &[Option<f64>]) -> serde_json::Value {
    let argument = match kind {
        "DOUBLE" => col("num"),
        _ => json!({"e": "call", "function": "TRY_CAST", "args": [col("num")], "type": kind}),
    };
    let functions = ["SUM", "AVG", "MIN", "MAX", "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP"];
    let mut list: Vec<_> = functions.iter().map(|f| aggregate(f, f, kind, argument.clone())).collect();
    list.push(aggregate("COUNT", "COUNT", "BIGINT", argument));
    list.push(json!({"name": "ROWS", "type": "BIGINT", "function": "COUNT"}));
    let positive = call(">", vec![col("num"), lit("DOUBLE", 0)]);
    list.push(json!({"name": "POSITIVE", "type": "BIGINT", "function": "COUNT", "filter": positive}));
    let tumble = json!({"op": "tumble", "id": "t", "input": "source", "time": "ts", "size_us": 10 * SECOND,
        "keys": ["device"], "aggregates": list});
    let mut columns = functions.to_vec();
    columns.extend(["COUNT", "ROWS", "POSITIVE"]);
    let text =
        plan("r", 1, vec![source(json!({"delay_us": 0})), tumble], topic("t", "window_time", &columns));
    let (mut engine, mut seen) = started(&text);
    let mut rows: Vec<Row> = values.iter().map(|&v| (1, 1, SECOND, v)).collect();
    rows.push((1, 1, 20 * SECOND, None));
    engine.on_batch(&batch(&rows), 0, &mut seen);
    seen.messages.remove(0).1
}

#[test]
fn aggregates_skip_null_and_are_null_without_a_value() {
    assert_eq!(
        aggregates("DOUBLE", &[None, None]),
        json!({"SUM": null, "AVG": null, "MIN": null, "MAX": null, "STDDEV_POP": null, "STDDEV_SAMP": null,
            "VAR_POP": null, "VAR_SAMP": null, "COUNT": 0, "ROWS": 2, "POSITIVE": 0})
    );
    assert_eq!(
        aggregates("DOUBLE", &[Some(2.5), None]),
        json!({"SUM": 2.5, "AVG": 2.5, "MIN": 2.5, "MAX": 2.5, "STDDEV_POP": 0.0, "STDDEV_SAMP": null,
            "VAR_POP": 0.0, "VAR_SAMP": null, "COUNT": 1, "ROWS": 2, "POSITIVE": 1})
    );
    assert_eq!(
        aggregates("DOUBLE", &[Some(2.0), Some(4.0), Some(-6.0), Some(4.0)]),
        json!({"SUM": 4.0, "AVG": 1.0, "MIN": -6.0, "MAX": 4.0, "STDDEV_POP": 17f64.sqrt(),
            "STDDEV_SAMP": (68.0f64 / 3.0).sqrt(), "VAR_POP": 17.0, "VAR_SAMP": 68.0 / 3.0,
            "COUNT": 4, "ROWS": 4, "POSITIVE": 3})
    );
}

#[test]
fn nan_is_the_greatest_and_inf_leaves_no_variance() {
    let of = |values: &[f64]| aggregates("DOUBLE", &values.iter().map(|&v| Some(v)).collect::<Vec<_>>());
    let out = of(&[f64::NAN, 1.0, f64::NAN, 0.5]);
    assert_eq!((&out["MIN"], &out["MAX"], &out["SUM"]), (&json!(0.5), &json!("NaN"), &json!("NaN")));
    let out = of(&[f64::NAN, f64::NAN]);
    assert_eq!((&out["MIN"], &out["MAX"]), (&json!("NaN"), &json!("NaN")));
    let out = of(&[f64::INFINITY, 1.0]);
    assert_eq!((&out["MAX"], &out["VAR_POP"]), (&json!("Infinity"), &json!("NaN")));
    let out = of(&[f64::NEG_INFINITY]);
    assert_eq!((&out["MIN"], &out["MAX"]), (&json!("-Infinity"), &json!("-Infinity")));
    // A flat line is flat, however large.
    assert_eq!(of(&[1e15 + 0.3; 5])["STDDEV_SAMP"], json!(0.0));
}

#[test]
fn integer_aggregates_truncate_and_wrap() {
    let out = aggregates("INT", &[Some(2.0), Some(3.0), None, Some(-9.0)]);
    assert_eq!(
        (&out["SUM"], &out["AVG"], &out["MIN"], &out["MAX"]),
        (&json!(-4), &json!(-1), &json!(-9), &json!(3))
    );
    // 94 - 16 / 3 is 89; over 3 and over 2.
    assert_eq!((&out["VAR_POP"], &out["VAR_SAMP"]), (&json!(29), &json!(44)));
    assert_eq!((&out["STDDEV_POP"], &out["STDDEV_SAMP"]), (&json!(5), &json!(6)));
    let out = aggregates("INT", &[Some(2_147_483_647.0), Some(1.0)]);
    assert_eq!((&out["SUM"], &out["AVG"]), (&json!(-2_147_483_648i64), &json!(1_073_741_824)));
    let out = aggregates("BIGINT", &[Some(2_147_483_647.0), Some(1.0), Some(9e18), Some(9e18)]);
    assert_eq!(
        out["SUM"],
        json!(2_147_483_648i64.wrapping_add(9_000_000_000_000_000_000i64.wrapping_mul(2)))
    );
}

#[test]
fn keys_of_any_type_group_null_and_nan_too() {
    let tumble = json!({"op": "tumble", "id": "t", "input": "p", "time": "ts", "size_us": 10 * SECOND,
        "keys": ["device", "num", "big", "label"],
        "aggregates": [{"name": "n", "type": "BIGINT", "function": "COUNT"}]});
    let big = call(">", vec![col("num"), lit("DOUBLE", 5)]);
    let label = call("CASE", vec![big.clone(), lit("STRING", "big"), lit("STRING", serde_json::Value::Null)]);
    let project = json!({"op": "project", "id": "p", "input": "source", "columns": [
        {"name": "ts", "type": "TIMESTAMP(3)", "expr": col("ts")},
        {"name": "device", "type": "DEVICE", "expr": col("device")},
        {"name": "num", "type": "DOUBLE", "expr": col("num")},
        {"name": "big", "type": "BOOLEAN", "expr": big},
        {"name": "label", "type": "STRING", "expr": label}]});
    let sink = topic("t", "window_time", &["device", "num", "big", "label", "n"]);
    let operators = vec![source(json!({"delay_us": 0})), project, tumble];
    let (mut engine, mut seen) = started(&plan("r", 1, operators, sink));
    let values = [Some(f64::NAN), Some(9.0), None, Some(-f64::NAN), Some(9.0), None, Some(1.0)];
    let mut rows: Vec<Row> = values.iter().map(|&v| (1, 1, SECOND, v)).collect();
    rows.push((1, 1, 20 * SECOND, Some(0.0)));
    let mut out = run(&mut engine, &mut seen, &rows, 0);
    out.sort();
    let expected = [
        json!({"device": "d1", "num": 1.0, "big": false, "label": null, "n": 1}),
        json!({"device": "d1", "num": "NaN", "big": false, "label": null, "n": 2}),
        json!({"device": "d1", "num": null, "big": null, "label": null, "n": 2}),
        json!({"device": "d1", "num": 9.0, "big": true, "label": "big", "n": 2}),
    ];
    assert_eq!(out, expected.map(|line| line.to_string()));
    // Closed keys are forgotten.
    let before = engine.stats()[0].state_bytes;
    for round in 1..50 {
        let at = 20.0 * f64::from(round) + 20.0;
        let rows: Vec<Row> = (0..10).map(|i| row(1, at, f64::from(round * 100 + i))).collect();
        run(&mut engine, &mut seen, &rows, 0);
    }
    assert!(engine.stats()[0].state_bytes < before + 4_000, "state grows with keys that are gone");
}
