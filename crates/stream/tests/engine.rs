//! Rules while the engine runs: deployed, replaced, removed, failed; and what sinks make of rows.

#![allow(clippy::unwrap_used)] // Clippy does not see that helpers of tests are tests.

mod common;

use common::*;
use mohhos_decode::{Batch, Column, ColumnSchema, ColumnType, Data, OffsetRange, TableSchema, Validity};
use mohhos_stream::{AlertState, Engine, EngineConfig, SnapshotError};
use serde_json::json;

fn above(limit: f64) -> serde_json::Value {
    json!({"op": "filter", "id": "filter", "input": "source",
        "condition": call(">", vec![col("num"), lit("DOUBLE", limit)])})
}

fn alerts_above(version: u32, limit: f64) -> String {
    let sink = json!({"kind": "alerts", "id": "sink", "input": "filter", "time": "ts"});
    plan("r", version, vec![source(json!({"delay_us": 0})), above(limit)], sink)
}

#[test]
fn a_filter_rule_raises_an_alert_per_row_with_the_same_id_at_every_replay() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (mut engine, mut seen) = (engine(), Seen::default());
        engine.deploy("r", 1, &alerts_above(1, 50.0)).unwrap();
        let rows = [
            (1, 1, 1_500_000, Some(60.0)),
            (2, 1, 5, Some(50.0)),
            (3, 2, 7, None),
            (2, 1, 9, Some(f64::NAN)),
        ];
        engine.on_batch(&batch(&rows), 99, &mut seen);
        assert_eq!(seen.alerts.len(), 1);
        let alert = &seen.alerts[0];
        assert_eq!((alert.device.as_str(), alert.num, alert.ts), ("d1", Some(60.0), 1_500_000));
        assert_eq!((alert.severity.as_str(), alert.state), ("warning", AlertState::Raise));
        let id = alert.id.to_string();
        assert_eq!(id.len(), 32);
        assert_eq!(
            alert.json,
            json!({"id": id, "rule": "r", "version": 1, "device": "d1", "ts": 1_500_000, "severity": "warning",
                "dedup_key": "", "state": "raise", "message": "", "num": 60.0})
        );
        let stats = &engine.stats()[0];
        assert_eq!((stats.rows_in, stats.rows_out, stats.last_output_us), (4, 1, Some(99)));
        ids.push(id);
    }
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn ids_differ_by_version_time_device_and_content() {
    let mut ids = std::collections::BTreeSet::new();
    for version in [1, 2] {
        let (mut engine, mut seen) = (engine(), Seen::default());
        engine.deploy("r", version, &alerts_above(version, 0.0)).unwrap();
        let rows = [(1, 1, 1, Some(1.0)), (2, 1, 1, Some(1.0)), (1, 1, 2, Some(1.0)), (1, 1, 1, Some(2.0))];
        engine.on_batch(&batch(&rows), 0, &mut seen);
        ids.extend(seen.alerts.iter().map(|a| a.id));
    }
    assert_eq!(ids.len(), 8);
}

#[test]
fn a_rule_is_replaced_at_the_next_batch_and_a_wrong_one_leaves_the_old() {
    let (mut engine, mut seen) = (engine(), Seen::default());
    let rows = batch(&[(1, 1, 1, Some(60.0))]);
    engine.deploy("r", 1, &alerts_above(1, 50.0)).unwrap();
    engine.on_batch(&rows, 0, &mut seen);
    let error = engine.deploy("r", 2, &alerts_above(2, 50.0).replace("\"num\"}", "\"nom\"}")).unwrap_err();
    assert_eq!(error.operator, "filter");
    assert!(error.message.contains("there is no column `nom`"), "{error}");
    engine.on_batch(&rows, 0, &mut seen);
    assert_eq!((seen.alerts.len(), engine.stats()[0].version), (2, 1));
    engine.deploy("r", 2, &alerts_above(2, 70.0)).unwrap();
    engine.on_batch(&rows, 0, &mut seen);
    assert_eq!((seen.alerts.len(), engine.stats()[0].version, engine.stats()[0].rows_in), (2, 2, 1));
    assert!(engine.remove("r"));
    assert!(!engine.remove("r"));
    engine.on_batch(&rows, 0, &mut seen);
    assert!(engine.stats().is_empty());
}

#[test]
fn the_same_plan_again_keeps_the_state_and_a_new_version_starts_empty() {
    let (mut engine, mut seen) = (engine(), Seen::default());
    engine.deploy("r", 1, &by_device()).unwrap();
    engine.on_batch(&batch(&[(1, 1, SECOND, Some(1.0))]), 0, &mut seen);
    engine.deploy("r", 1, &by_device()).unwrap();
    engine.on_batch(&batch(&[(1, 1, 2 * SECOND, Some(1.0))]), 0, &mut seen);
    let bytes = engine.snapshot();
    engine.on_batch(&batch(&[(1, 1, 20 * SECOND, Some(1.0))]), 0, &mut seen);
    assert_eq!(seen.messages[0].1["n"], 2);

    let newer = by_device().replace("\"rule_version\":1", "\"rule_version\":2");
    let mut second = common::engine();
    second.deploy("r", 2, &newer).unwrap();
    second.restore(&bytes).unwrap();
    let mut seen = Seen::default();
    second.on_batch(&batch(&[(1, 1, 3 * SECOND, Some(1.0)), (1, 1, 20 * SECOND, Some(1.0))]), 0, &mut seen);
    assert_eq!(seen.messages[0].1["n"], 1);
}

#[test]
fn a_snapshot_of_another_format_is_refused_with_words() {
    let mut engine = engine();
    assert_eq!(engine.restore(b"PK\x03\x04"), Err(SnapshotError::NotASnapshot));
    let mut bytes = engine.snapshot();
    bytes[4] = 9;
    assert_eq!(engine.restore(&bytes), Err(SnapshotError::Version(9, 1)));
}

#[test]
fn a_rule_that_exceeds_its_bound_on_state_fails_and_the_others_go_on() {
    let mut engine = Engine::new(names(), EngineConfig { idle_timeout_us: IDLE, max_state_bytes: 4_000 });
    let mut seen = Seen::default();
    engine.deploy("r", 1, &windows(json!({"delay_us": 0}), &["device", "num"])).unwrap();
    engine.deploy("s", 1, &alerts_above(1, -1.0).replace("\"rule\":\"r\"", "\"rule\":\"s\"")).unwrap();
    let rows: Vec<Row> = (0..100).map(|i| (1, 1, SECOND, Some(f64::from(i)))).collect();
    engine.on_batch(&batch(&rows), 0, &mut seen);
    engine.on_batch(&batch(&rows[..1]), 0, &mut seen);
    assert_eq!((seen.failed.len(), seen.alerts.len()), (1, 101));
    assert!(seen.failed[0].starts_with("r: its state has"), "{:?}", seen.failed);
    let stats = engine.stats();
    assert!(stats[0].error.as_ref().unwrap().contains("raise the bound") && stats[0].state_bytes == 0);
    // A code far beyond all others must not make it reserve memory for those between.
    engine.deploy("t", 1, &by_device().replace("\"rule\":\"r\"", "\"rule\":\"t\"")).unwrap();
    engine.on_batch(&batch(&[(4_000_000_000, 1, 0, None)]), 0, &mut seen);
    assert!(engine.stats()[2].error.as_ref().unwrap().contains("bound on state"));
}

fn command_plan(device: serde_json::Value, parameters: &str) -> String {
    let kind = if device["e"] == "column" { "DEVICE" } else { "STRING" };
    let project = json!({"op": "project", "id": "p", "input": "source", "columns": [
        {"name": "ts", "type": "TIMESTAMP(3)", "expr": col("ts")},
        {"name": "device", "type": kind, "expr": device},
        {"name": "name", "type": "STRING", "expr": lit("STRING", "stop")},
        {"name": "parameters", "type": "STRING", "expr": lit("STRING", parameters)},
        {"name": "deadline", "type": "TIMESTAMP(3)", "expr": call("TIMESTAMPADD_MS", vec![col("ts"), lit("BIGINT", 5)])}]});
    let sink = json!({"kind": "commands", "id": "sink", "input": "p", "time": "ts"});
    plan("r", 1, vec![source(json!({"delay_us": 0})), project], sink)
}

#[test]
fn commands_go_to_the_reading_s_device_or_to_one_by_name() {
    for (device, receiver) in [(col("device"), "d1"), (lit("STRING", "d7"), "d7")] {
        let (mut engine, mut seen) = (engine(), Seen::default());
        engine.deploy("r", 1, &command_plan(device, r#"{"hard":true}"#)).unwrap();
        engine.on_batch(&batch(&[(1, 1, 1_000, None)]), 0, &mut seen);
        let (to, json) = &seen.commands[0];
        assert_eq!(to, receiver);
        assert_eq!(json["parameters"], json!({"hard": true}));
        assert_eq!(
            (&json["name"], &json["deadline"], &json["ts"]),
            (&json!("stop"), &json!(6_000), &json!(1_000))
        );
    }
}

#[test]
fn rows_a_sink_cannot_take_are_counted_and_reported_and_the_rule_goes_on() {
    let null_device = call("NULLIF", vec![col("device"), lit("STRING", "d2")]);
    let null_device =
        json!({"e": "call", "function": "COALESCE", "args": [null_device, lit("STRING", "nobody")]});
    let (mut engine, mut seen) = (engine(), Seen::default());
    engine.deploy("r", 1, &command_plan(null_device, "{}")).unwrap();
    engine.on_batch(
        &batch(&[(1, 1, 1, None), (2, 1, 1, None), (2, 1, 2, None), (3, 1, 1, None)]),
        0,
        &mut seen,
    );
    assert_eq!((seen.commands.len(), seen.rows_failed.len(), seen.rows_failed[0].0), (2, 1, 2));
    assert!(seen.rows_failed[0].1.contains("there is no device `nobody`"), "{:?}", seen.rows_failed);
    let stats = &engine.stats()[0];
    assert_eq!((stats.rows_failed, stats.error.as_ref()), (2, None));

    engine.deploy("r", 1, &command_plan(col("device"), "{oops")).unwrap();
    engine.on_batch(&batch(&[(1, 1, 1, None)]), 0, &mut seen);
    assert!(seen.rows_failed[1].1.contains("not JSON"));
}

#[test]
fn a_topic_can_come_from_the_row_and_must_be_valid() {
    let topic_of =
        call("CONCAT", vec![lit("STRING", "site/"), col("device"), lit("STRING", "/"), col("num")]);
    let bad =
        call("CASE", vec![call("=", vec![col("num"), lit("DOUBLE", 2)]), lit("STRING", "a/#"), topic_of]);
    let project = json!({"op": "project", "id": "p", "input": "source", "columns": [
        {"name": "ts", "type": "TIMESTAMP(3)", "expr": col("ts")},
        {"name": "device", "type": "DEVICE", "expr": col("device")},
        {"name": "q", "type": "QUALITY", "expr": col("quality")},
        {"name": "num", "type": "DOUBLE", "expr": col("num")},
        {"name": "t", "type": "STRING", "expr": bad}]});
    let member = |c: &str| json!({"column": c, "as": c});
    let sink = json!({"kind": "topic", "id": "sink", "input": "p", "time": "ts", "topic_column": "t",
        "device_column": "device", "qos": 0, "columns": [member("ts"), member("device"), member("q"), member("num")]});
    let (mut engine, mut seen) = (engine(), Seen::default());
    engine.deploy("r", 1, &plan("r", 1, vec![source(json!({"delay_us": 0})), project], sink)).unwrap();
    engine.on_batch(&batch(&[(1, 1, 0, Some(1.0)), (1, 1, 0, Some(2.0)), (1, 1, 0, None)]), 0, &mut seen);
    assert_eq!(seen.messages.len(), 1);
    let (topic, payload, _) = &seen.messages[0];
    assert_eq!(topic, "site/d1/1.0");
    assert_eq!(*payload, json!({"ts": "1970-01-01T00:00:00.000Z", "device": "d1", "q": "good", "num": 1.0}));
    assert_eq!(seen.rows_failed[0].0, 2);
    assert!(seen.rows_failed[0].1.contains("a/#"), "{:?}", seen.rows_failed);
}

fn table() -> TableSchema {
    let column = |name: &str, kind| ColumnSchema { name: name.into(), kind };
    TableSchema {
        id: 3,
        name: "pumps".into(),
        filter: "devices/+/telemetry/pumps".into(),
        columns: vec![
            column("device", ColumnType::Device),
            column("at", ColumnType::Timestamp),
            column("rpm", ColumnType::Int),
            column("on", ColumnType::Boolean),
        ],
        rowtime: 1,
    }
}

fn table_plan() -> String {
    let source = json!({"op": "source", "id": "source", "table": 3, "rowtime": "at", "watermark": {"delay_us": 0},
        "columns": [{"name": "on", "type": "BOOLEAN"}, {"name": "rpm", "type": "INT"},
            {"name": "at", "type": "TIMESTAMP(3)"}, {"name": "device", "type": "DEVICE"}]});
    let filter = json!({"op": "filter", "id": "f", "input": "source", "condition": col("on")});
    plan("r", 1, vec![source, filter], topic("f", "at", &["device", "rpm", "at"]))
}

fn table_batch() -> Batch {
    let columns = vec![
        Column { data: Data::Code(vec![1, 2, 3]), validity: Validity::All },
        Column { data: Data::I64(vec![1_000, 2_000, 3_000]), validity: Validity::Bits(vec![0b011]) },
        Column { data: Data::I64(vec![10, 20, 30]), validity: Validity::Bits(vec![0b110]) },
        Column { data: Data::Bool(vec![true, false, true]), validity: Validity::All },
    ];
    Batch { table: 3, shard: 0, offsets: OffsetRange::default(), arrival_us: 9_000, rows: 3, columns }
}

#[test]
fn a_rule_over_a_declared_table_sees_its_columns_and_no_other_table_s_rows() {
    let (mut engine, mut seen) = (engine(), Seen::default());
    assert!(engine.deploy("r", 1, &table_plan()).unwrap_err().message.contains("there is no table 3"));
    engine.put_tables(vec![table()], &mut seen);
    engine.deploy("r", 1, &table_plan()).unwrap();
    engine.on_batch(&table_batch(), 0, &mut seen);
    engine.on_batch(&batch(&[(1, 1, 0, None)]), 0, &mut seen);
    assert_eq!(
        seen.take_messages(),
        [
            json!({"device": "d1", "rpm": null, "at": "1970-01-01T00:00:00.001Z"}).to_string(),
            json!({"device": "d3", "rpm": 30, "at": "1970-01-01T00:00:00.009Z"}).to_string(),
        ]
    );
    assert_eq!(engine.stats()[0].rows_in, 3);
    // Declared anew with more columns it goes on; without one it needs, it fails.
    let mut wider = table();
    wider.columns.insert(0, ColumnSchema { name: "extra".into(), kind: ColumnType::Double });
    engine.put_tables(vec![wider], &mut seen);
    assert_eq!(engine.stats()[0].error, None);
    engine.put_tables(vec![], &mut seen);
    assert!(seen.failed[0].contains("declared anew"), "{:?}", seen.failed);
}

#[test]
fn wrong_plans_are_refused_with_the_operator_and_the_reason() {
    let engine = engine();
    let good = by_device();
    let topic_bad = |from: &str, to: &str| good.replace(from, to);
    for (plan, operator, words) in [
        ("{".to_owned(), "plan", "cannot be read"),
        (topic_bad("\"version\":1", "\"version\":7"), "plan", "format version 7"),
        (topic_bad("\"rule\":\"r\"", "\"rule\":\"x\""), "plan", "the plan is of rule `x`"),
        (topic_bad("\"keys\"", "\"kees\""), "plan", "unknown field `kees`"),
        (topic_bad("\"op\":\"tumble\"", "\"op\":\"jumble\""), "plan", "unknown variant `jumble`"),
        (
            topic_bad("\"input\":\"source\"", "\"input\":\"sauce\""),
            "tumble",
            "`sauce` does not stand before it",
        ),
        (topic_bad("\"id\":\"tumble\"", "\"id\":\"source\""), "source", "given twice"),
        (topic_bad("\"keys\":[\"device\"]", "\"keys\":[\"gadget\"]"), "tumble", "no column `gadget`"),
        (topic_bad("\"size_us\":10000000", "\"size_us\":10000001"), "tumble", "whole milliseconds"),
        (topic_bad("\"time\":\"ts\"", "\"time\":\"num\""), "tumble", "not the source's rowtime"),
        (topic_bad("\"type\":\"DOUBLE\"}", "\"type\":\"INT\"}"), "source", "column `num` is DOUBLE, not INT"),
        (topic_bad("\"type\":\"BIGINT\"", "\"type\":\"INT\""), "tumble", "planned as INT, but is BIGINT"),
        (topic_bad("\"column\":\"n\"", "\"column\":\"m\""), "sink", "no column `m`"),
        (topic_bad("\"topic\":\"out\"", "\"topic\":\"out/+\""), "sink", "contains +, #"),
        (topic_bad("\"time\":\"window_time\"", "\"time\":\"n\""), "sink", "column `n` is BIGINT"),
        (topic_bad("\"table\":0", "\"table\":4"), "source", "there is no table 4"),
        (topic_bad("\"delay_us\":2000000", "\"delay_us\":-1"), "source", "negative"),
    ] {
        assert_ne!(plan, good, "{words}: the plan was not changed");
        let error = engine.check("r", 1, &plan).unwrap_err();
        assert_eq!(error.operator, operator, "{error}");
        assert!(error.message.contains(words), "{error} lacks `{words}`");
    }
    engine.check("r", 1, &good).unwrap();
}
