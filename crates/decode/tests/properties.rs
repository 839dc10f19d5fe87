//! What must hold for any input: exact values, no panic, the same verdict as `serde_json`, all or nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests: clippy knows only the test functions themselves")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mohhos_decode::{
    BatchBuilder, ColumnSchema, ColumnType, Data, DecodeError, Decoded, Decoders, DeviceState, MAX_FUTURE_US,
    Message, MetricResolver, OffsetRange, Reason, TableBuilder, TableSchema, telemetry,
};
use proptest::prelude::*;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

#[derive(Default)]
struct Metrics(Vec<String>);

impl MetricResolver for Metrics {
    fn code(&mut self, _device: u32, name: &str) -> Option<u32> {
        let place = self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        Some(place as u32 + 1)
    }
}

#[derive(Default)]
struct Bench {
    decoders: Decoders,
    device: DeviceState,
    metrics: Metrics,
    builder: BatchBuilder,
}

fn message<'a>(payload: &'a [u8], content_type: &'a str) -> Message<'a> {
    Message {
        payload,
        content_type,
        device: 1,
        device_id: "pump-1",
        table: 0,
        arrival_us: 1_772_353_800_000_000,
        max_future_us: MAX_FUTURE_US,
    }
}

impl Bench {
    fn decode(&mut self, payload: &[u8], content_type: &str) -> Result<Decoded, DecodeError> {
        let message = message(payload, content_type);
        let before = self.builder.rows();
        let result =
            self.decoders.telemetry(&message, &mut self.device, &mut self.metrics, &mut self.builder);
        let added = result.as_ref().map_or(0, |decoded| decoded.rows);
        assert_eq!(self.builder.rows(), before + added, "all or nothing");
        result
    }

    /// The rows as JSON values by name; doubles are told apart by their bits.
    fn take(&mut self) -> HashMap<String, Value> {
        let batch = self.builder.finish(0, OffsetRange::default(), 0);
        for column in &batch.columns {
            let len = match &column.data {
                Data::F64(v) => v.len(),
                Data::I64(v) => v.len(),
                Data::Code(v) => v.len(),
                Data::Byte(v) => v.len(),
                Data::Text(v) => v.ends.len().max(if v.ends.is_empty() { batch.rows } else { 0 }),
                Data::Bool(v) => v.len(),
            };
            assert_eq!(len, batch.rows);
        }
        let Data::Text(texts) = &batch.columns[telemetry::TEXT].data else { panic!("text expected") };
        let rows = 0..batch.rows;
        rows.map(|row| {
            let code = batch.codes(telemetry::METRIC).unwrap()[row];
            let value = match batch.columns[telemetry::NUM].validity.is_valid(row) {
                true => Value::from(batch.f64s(telemetry::NUM).unwrap()[row].to_bits()),
                false => Value::from(texts.get(row)),
            };
            (self.metrics.0[code as usize - 1].clone(), value)
        })
        .collect()
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,12}", "[a-zA-Z0-9 _./\"\\\\äé温😀-]{1,20}",]
        .prop_filter("a name for a time", |name| !matches!(name.as_str(), "ts" | "time" | "timestamp"))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_filter("JSON has none", |number| number.is_finite()).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (any::<i32>(), 0..6_i32)
            .prop_map(|(digits, places)| Value::from(f64::from(digits) / 10_f64.powi(places))),
        any::<bool>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::hash_map(name(), value(), 0..12).prop_map(|members| members.into_iter().collect())
}

fn expected(object: &Map<String, Value>) -> HashMap<String, Value> {
    let stored = |value: &Value| match value {
        Value::Number(number) => Some(Value::from(number.as_f64().unwrap().to_bits())),
        Value::Bool(truth) => Some(Value::from(f64::from(u8::from(*truth)).to_bits())),
        Value::String(text) => Some(Value::from(text.as_str())),
        _ => None,
    };
    object.iter().filter_map(|(name, value)| Some((name.clone(), stored(value)?))).collect()
}

/// What `serde_json` says of a payload, with what is stated of flat JSON: only an object, no arrays, unique names
/// that are not empty or of control characters. `None` where a comparison would need more (nesting, times).
fn verdict(payload: &[u8]) -> Option<bool> {
    struct Members<'a>(&'a mut Vec<(String, Value)>);
    impl<'de> Visitor<'de> for Members<'_> {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(member) = map.next_entry()? {
                self.0.push(member);
            }
            Ok(())
        }
    }
    impl<'de> DeserializeSeed<'de> for Members<'_> {
        type Value = ();
        fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_map(self)
        }
    }
    let mut members = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let read = Members(&mut members).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if read.is_err() {
        return Some(false);
    }
    if members
        .iter()
        .any(|(name, value)| value.is_object() || matches!(name.as_str(), "ts" | "time" | "timestamp"))
    {
        return None;
    }
    let mut seen = HashSet::new();
    Some(members.iter().all(|(name, value)| {
        let good = !name.is_empty() && name.len() <= 255 && !name.chars().any(char::is_control);
        value.is_null() || (good && !value.is_array() && seen.insert(name))
    }))
}

fn mutate(payload: &mut Vec<u8>, mutations: &[(u8, prop::sample::Index, u8)]) {
    for (kind, place, byte) in mutations {
        if payload.is_empty() {
            return;
        }
        let place = place.index(payload.len());
        match kind % 4 {
            0 => payload[place] = *byte,
            1 => payload.insert(place, *byte),
            2 => drop(payload.remove(place)),
            _ => payload.truncate(place),
        }
    }
}

fn mutations() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    let byte =
        prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\-+.eE0123456789utfn \n\x00\x1f".to_vec())];
    prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), byte), 1..4)
}

fn table() -> TableBuilder {
    let kinds = [
        ("ts", ColumnType::Timestamp),
        ("a", ColumnType::Text),
        ("b", ColumnType::Double),
        ("c", ColumnType::Int),
        ("d.e", ColumnType::Boolean),
        ("device", ColumnType::Device),
    ];
    let columns = kinds.map(|(name, kind)| ColumnSchema { name: name.to_owned(), kind }).to_vec();
    TableBuilder::new(Arc::new(TableSchema {
        id: 1,
        name: String::new(),
        filter: String::new(),
        columns,
        rowtime: 0,
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_flat_object_decodes_to_the_same_values(objects in prop::collection::vec(object(), 1..4), pretty: bool) {
        let mut bench = Bench::default();
        for object in &objects {
            let payload = if pretty { serde_json::to_vec_pretty(object) } else { serde_json::to_vec(object) }.unwrap();
            // Twice: as a new shape, and as a known one.
            for _ in 0..2 {
                prop_assert_eq!(bench.decode(&payload, "").map(|d| d.rows), Ok(expected(object).len()));
                prop_assert_eq!(bench.take(), expected(object));
            }
        }
    }

    #[test]
    fn mutated_json_is_accepted_only_if_serde_json_accepts_it(object in object(), mutations in mutations()) {
        let mut bench = Bench::default();
        let mut payload = serde_json::to_vec(&object).unwrap();
        bench.decode(&payload, "").unwrap();
        mutate(&mut payload, &mutations);
        if let Some(accepted) = verdict(&payload) {
            // With the shape of the good message known, and without.
            for bench in [&mut bench, &mut Bench::default()] {
                let result = bench.decode(&payload, "application/json");
                let senml = payload.trim_ascii_start().starts_with(b"[");
                prop_assert!(senml || result.is_ok() == accepted, "{:?} {result:?}", String::from_utf8_lossy(&payload));
            }
        }
    }

    #[test]
    fn a_deep_or_wide_object_is_flattened_or_refused(depth in 0..40_usize, width in 1..200_usize) {
        let inner: Vec<_> = (0..width).map(|n| format!("\"m{n}\":{n}")).collect();
        let payload = format!("{}{{{}}}{}", "{\"o\":".repeat(depth), inner.join(","), "}".repeat(depth));
        let result = Bench::default().decode(payload.as_bytes(), "");
        match depth {
            0..4 => prop_assert_eq!(result.map(|d| d.rows), Ok(width)),
            _ => prop_assert_eq!(result.map_err(|e| e.reason).map(|_| ()), Err(Reason::TooDeep)),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..200), brace in 0..3_usize) {
        let mut payload = payload;
        payload.splice(0..0, [&b""[..], b"{\"a\":", b"[{\"n\":"][brace].iter().copied());
        let mut bench = Bench::default();
        let mut table = table();
        for content_type in ["", "application/json", "application/senml+json"] {
            let _ = bench.decode(&payload, content_type);
            let message = message(&payload, content_type);
            let accepted = Decoders::new().row(&message, &mut DeviceState::default(), &mut table).is_ok();
            prop_assert_eq!(table.rows(), usize::from(accepted));
            let _ = table.finish(0, OffsetRange::default(), 0);
        }
    }

    #[test]
    fn mutated_senml_never_panics_and_leaves_all_or_nothing(mutations in mutations(), known: bool) {
        let mut payload = br#"[{"bn":"pump-1/","bt":1.3e9,"bu":"A","bv":1,"bs":2,"bver":10,"n":"a","v":1.5,"s":3,"ut":9},
            {"n":"b","vs":"t\u00e9xt","t":-5},{"n":"c","vb":true},{"n":"d","vd":"aGkg"}]"#.to_vec();
        let mut bench = Bench::default();
        if known {
            bench.decode(&payload, "").unwrap();
        }
        mutate(&mut payload, &mutations);
        let accepted = bench.decode(&payload, "application/senml+json").is_ok();
        let valid = serde_json::from_slice::<IgnoredAny>(&payload).is_ok();
        prop_assert!(valid || !accepted, "{:?}", String::from_utf8_lossy(&payload));
    }
}
