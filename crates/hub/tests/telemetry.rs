//! Readings become rows for the stream thread, and nothing is dropped when it is slow.

mod common;

use std::time::{Duration, Instant};

use common::{Got, Rig, Setup};
use mohhos_decode::{Batch, ColumnSchema, ColumnType, Data, TableSchema, telemetry};
use mohhos_hub::{Event, Limits, Publication};
use mohhos_log::RecordView;
use mohhos_mqtt::{QoS, ReasonCode};

/// Batches until there are so many rows of a table.
fn rows(rig: &mut Rig, table: u32, count: usize) -> Vec<Batch> {
    let signal = rig.receivers[0].signal();
    let deadline = Instant::now() + common::PATIENCE;
    let mut batches = Vec::new();
    while batches.iter().map(|batch: &Batch| batch.rows).sum::<usize>() < count {
        assert!(Instant::now() < deadline, "{batches:?}");
        signal.wait(Duration::from_millis(100));
        for receiver in &mut rig.receivers {
            while let Some(batch) = receiver.pop() {
                assert_eq!(batch.shard, receiver.shard());
                if batch.table == table {
                    batches.push(batch);
                }
            }
        }
    }
    batches
}

#[test]
fn readings_arrive_as_columns_with_the_offsets_of_their_records() {
    let mut rig = Rig::start();
    let mut pump = rig.connect("pump-3", "c");
    pump.publish_acked("devices/pump-3/telemetry", r#"{"pressure": 2.5, "state": "on"}"#);
    pump.publish_acked("devices/pump-3/telemetry/motor", r#"{"pressure": 3.5}"#);
    pump.publish("devices/pump-3/telemetry", r#"{"pressure": 4.5}"#, QoS::AtMostOnce);
    let batches = rows(&mut rig, 0, 4);
    let all =
        |column: usize| batches.iter().flat_map(|b| b.codes(column).unwrap().to_vec()).collect::<Vec<_>>();
    let pressure = rig.metrics.code("pressure").unwrap();
    let (state, motor) = (rig.metrics.code("state").unwrap(), rig.metrics.code("motor").unwrap());
    assert_eq!(all(telemetry::DEVICE), [4; 4], "the registered code");
    assert_eq!(all(telemetry::METRIC), [pressure, state, pressure, pressure]);
    assert_eq!(all(telemetry::TABLE), [0, 0, motor, 0]);
    let ts: Vec<i64> = batches.iter().flat_map(|b| b.i64s(telemetry::TS).unwrap().to_vec()).collect();
    assert!(ts[1] < ts[2] && ts[2] < ts[3], "arrivals differ");
    // The offsets name the records, whose time is the arrival.
    let logged: Vec<&Batch> = batches.iter().filter(|batch| !batch.offsets.is_empty()).collect();
    let mut reader = rig.log.reader(logged[0].offsets.first);
    let mut times = Vec::new();
    let is_reading = |record: &RecordView<'_>| record.topic().contains("/telemetry");
    while let Some(record) = reader.next().unwrap() {
        if is_reading(&record) {
            assert!(
                logged
                    .iter()
                    .any(|b| b.offsets.first <= record.offset() && record.next_offset() <= b.offsets.end)
            );
            times.push(record.wall_us());
        }
    }
    assert_eq!(times, [ts[0], ts[2]]);
}

#[test]
fn declared_tables_get_a_row_for_each_matching_message() {
    let mut rig = Rig::start();
    let column = |name: &str, kind| ColumnSchema { name: name.into(), kind };
    rig.hub.put_tables(vec![TableSchema {
        id: 9,
        name: "motors".into(),
        filter: "devices/+/telemetry/motor".into(),
        columns: vec![
            column("device", ColumnType::Device),
            column("speed", ColumnType::Double),
            column("ts", ColumnType::Timestamp),
        ],
        rowtime: 2,
    }]);
    let mut pump = rig.connect("pump-0", "c");
    pump.publish_acked("devices/pump-0/telemetry/motor", r#"{"speed": 1500, "ts": 1700000000}"#);
    pump.publish_acked("devices/pump-0/telemetry/valve", r#"{"speed": 1}"#);
    let batches = rows(&mut rig, 9, 1);
    assert_eq!(batches[0].rows, 1);
    assert_eq!(batches[0].columns[1].data, Data::F64(vec![1500.0]));
    assert_eq!(batches[0].columns[2].data, Data::I64(vec![1_700_000_000_000_000]));
    assert!(!batches[0].offsets.is_empty());
}

#[test]
fn what_cannot_be_decoded_is_a_dead_letter_and_still_a_message() {
    let mut rig = Rig::start();
    let mut watcher = rig.connect("app", "w");
    watcher.subscribe("devices/+/telemetry", QoS::AtMostOnce);
    let mut pump = rig.connect("pump-0", "c");
    pump.publish_acked("devices/pump-0/telemetry", "{broken");
    assert_eq!(watcher.message().text(), "{broken");
    let letters = rig.hub.dead_letters();
    assert_eq!(
        (letters[0].device.as_str(), letters[0].topic.as_str()),
        ("pump-0", "devices/pump-0/telemetry")
    );
    assert_eq!((letters[0].head.as_slice(), letters[0].reason.is_empty()), (&b"{broken"[..], false));
    let connection = rig.hub.connection("pump-0").unwrap();
    assert_eq!((connection.dead_letters, connection.messages_in, connection.bytes_in), (1, 1, 7));
    pump.publish_acked("devices/pump-0/telemetry", r#"{"good": 1}"#);
    assert_eq!(rows(&mut rig, 0, 1)[0].rows, 1);
}

#[test]
fn a_device_has_no_more_metrics_than_permitted() {
    let limits = Limits { metrics_per_device: 3, ..Limits::default() };
    let mut rig = Setup { limits, ..Setup::default() }.start();
    let mut pump = rig.connect("pump-0", "c");
    for n in 0..10 {
        pump.publish_acked("devices/pump-0/telemetry", format!(r#"{{"m{n}": 1}}"#));
    }
    rows(&mut rig, 0, 3);
    assert_eq!(rig.hub.stats().total("metrics_refused"), 7);
    assert!(rig.metrics.code("m5").is_none(), "a refused name takes no code");
    let mut other = rig.connect("pump-1", "c");
    other.publish_acked("devices/pump-1/telemetry", r#"{"m0": 1}"#);
    assert_eq!(rows(&mut rig, 0, 1)[0].rows, 1);
}

#[test]
fn a_slow_stream_thread_holds_devices_back_and_loses_nothing() {
    let mut rig = Setup { batch_ring: 1, ..Setup::default() }.start();
    let mut pump = rig.connect("pump-0", "c");
    let count = 5000_u32;
    let writer = std::thread::spawn(move || {
        for n in 0..count {
            pump.publish("devices/pump-0/telemetry", format!(r#"{{"n": {n}}}"#), QoS::AtMostOnce);
        }
        pump.nothing_came();
        pump
    });
    rig.eventually("paused", |hub| hub.stats().total("pauses") > 0);
    let batches = rows(&mut rig, 0, count as usize);
    let numbers: Vec<f64> = batches.iter().flat_map(|b| b.f64s(telemetry::NUM).unwrap().to_vec()).collect();
    assert!(numbers.iter().zip(0..count).all(|(&got, n)| got == f64::from(n)));
    assert_eq!(numbers.len(), count as usize);
    writer.join().unwrap().disconnect();
}

#[test]
fn results_published_on_a_telemetry_topic_are_readings_too() {
    let mut rig = Rig::start();
    rig.hub.publish(Publication::new("devices/pump-5/telemetry/derived", r#"{"mean": 1.5}"#)).unwrap();
    let batches = rows(&mut rig, 0, 1);
    assert_eq!(batches[0].codes(telemetry::DEVICE), Some(&[6][..]));
}

#[test]
fn devices_that_send_are_seen_and_coming_and_going_is_told() {
    let clock = std::sync::Arc::new(mohhos_hub::ManualClock::new(1_000_000));
    let rig = Setup { clock: clock.clone(), ..Setup::default() }.start();
    let mut pump = rig.connect("pump-0", "c");
    let id = pump.publish("devices/pump-0/events/e", "x", QoS::AtLeastOnce);
    assert_eq!(pump.next(), Got::PubAck(id, ReasonCode::Success));
    clock.advance(3_000_000);
    let seen = rig.event(|event| match event {
        Event::Seen { devices } => Some(devices.clone()),
        Event::Connected { principal, protocol, .. } => {
            assert_eq!((&**principal, *protocol), ("pump-0", 5));
            None
        }
        _ => None,
    });
    assert_eq!((&*seen[0].0, seen[0].1), ("pump-0", 1_000_000));
    pump.disconnect();
    let (clean, last) = rig.event(|event| match event {
        Event::Disconnected { clean, last, .. } => Some((*clean, *last)),
        _ => None,
    });
    assert!(clean && last);
}
