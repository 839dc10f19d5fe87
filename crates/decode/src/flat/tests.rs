use crate::testing::{Bench, NOW, Row, num, text};
use crate::{Decoded, Reason};

#[test]
fn each_member_is_a_reading() {
    let rows = Bench::default().rows(
        r#" { "temperature" : 21.5 , "on":true,"off":false,"state":"läuft","none":null,"big":-1e3, "e\u0301":"\n" } "#,
    );
    let expected = [
        num("temperature", 21.5, NOW),
        num("on", 1.0, NOW),
        num("off", 0.0, NOW),
        text("state", "läuft", NOW),
        num("big", -1000.0, NOW),
        text("e\u{301}", "\n", NOW),
    ];
    assert_eq!(rows, expected);
    assert!(Bench::default().rows("{}").is_empty());
}

#[test]
fn the_time_member_gives_the_time_of_all_readings() {
    for member in [
        r#""ts":1700000000"#,
        r#""time":1700000000000"#,
        r#""timestamp":1700000000000000"#,
        r#""ts":"2023-11-14T22:13:20Z""#,
        r#""ts":null,"time":1.7e9"#,
    ] {
        for payload in [format!("{{\"a\":1,{member},\"b\":2}}"), format!("{{{member},\"a\":1,\"b\":2}}")] {
            let at = 1_700_000_000_000_000;
            assert_eq!(Bench::default().rows(&payload), [num("a", 1.0, at), num("b", 2.0, at)], "{payload}");
        }
    }
}

#[test]
fn a_time_member_of_a_nested_object_is_a_reading() {
    assert_eq!(Bench::default().rows(r#"{"a":{"ts":5}}"#), [num("a.ts", 5.0, NOW)]);
}

#[test]
fn a_clock_ahead_is_corrected_and_reported() {
    let mut bench = Bench::default();
    let decoded = bench.decode(br#"{"a":1,"b":"x","ts":4000000000}"#);
    assert_eq!(decoded, Ok(Decoded { rows: 2, clock_corrected: 2, ..Decoded::default() }));
    let expected = [Row { quality: 1, ..num("a", 1.0, NOW) }, Row { quality: 1, ..text("b", "x", NOW) }];
    assert_eq!(bench.take(), expected);
}

#[test]
fn messages_without_time_that_arrive_together_stay_distinct() {
    let mut bench = Bench::default();
    for expected in [NOW, NOW + 1, NOW + 2] {
        assert_eq!(bench.rows(r#"{"a":1}"#), [num("a", 1.0, expected)]);
    }
}

#[test]
fn nested_objects_are_flattened_to_a_depth_of_four() {
    let rows = Bench::default().rows(r#"{"a":{"b":1,"c":{"d":{"e":2}},"f":{}},"g":3}"#);
    assert_eq!(rows, [num("a.b", 1.0, NOW), num("a.c.d.e", 2.0, NOW), num("g", 3.0, NOW)]);
    assert_eq!(Bench::default().reason(r#"{"a":{"b":{"c":{"d":{"e":1}}}}}"#), Some(Reason::TooDeep));
}

#[test]
fn what_is_not_a_flat_object_is_refused_with_the_reason_and_leaves_no_row() {
    let cases: &[(&str, Reason)] = &[
        ("", Reason::Empty),
        ("  \n", Reason::Empty),
        ("21.5", Reason::UnknownFormat),
        ("{", Reason::Truncated),
        (r#"{"a":1"#, Reason::Truncated),
        (r#"{"a":1}}"#, Reason::Trailing),
        (r#"{"a":1,}"#, Reason::ExpectedName),
        (r#"{"a" 1}"#, Reason::ExpectedColon),
        (r#"{"a":1 "b":2}"#, Reason::ExpectedComma),
        (r#"{"a":}"#, Reason::ExpectedValue),
        (r#"{"a":NaN}"#, Reason::ExpectedValue),
        (r#"{"a":[1]}"#, Reason::Array),
        (r#"{"a":{"b":[1]}}"#, Reason::Array),
        (r#"{"a":1,"a":2}"#, Reason::DuplicateName),
        (r#"{"a.b":1,"a":{"b":2}}"#, Reason::DuplicateName),
        (r#"{"":1}"#, Reason::EmptyName),
        (r#"{"a\u0000":1}"#, Reason::BadName),
        (r#"{"a":1,"ts":"now"}"#, Reason::BadTime),
        (r#"{"a":1,"ts":true}"#, Reason::BadTime),
        (r#"{"a":1,"ts":{}}"#, Reason::BadTime),
        (r#"{"a":1,"ts":1e30}"#, Reason::TimeRange),
        (r#"{"a":1,"ts":1,"time":1}"#, Reason::TwoTimes),
        (r#"{"a":1e999}"#, Reason::NumberRange),
    ];
    for (payload, expected) in cases {
        let mut bench = Bench::default();
        // Once as a new shape, once after a good message of the same beginning.
        assert_eq!(bench.reason(payload), Some(*expected), "{payload}");
        bench.rows(r#"{"a":1,"b":2}"#);
        assert_eq!(bench.reason(payload), Some(*expected), "{payload}");
        assert!(bench.take().is_empty(), "{payload}");
    }
    let long = format!(r#"{{"{}":1}}"#, "x".repeat(256));
    assert_eq!(Bench::default().reason(&long), Some(Reason::LongName));
}

#[test]
fn an_error_says_where_and_what_to_do() {
    let error = Bench::default().decode(br#"{"a":1,"b":[2]}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "byte 11: arrays are not accepted in telemetry; send one member per value, or SenML for several readings"
    );
}

#[test]
fn a_known_shape_asks_for_no_codes_and_a_changed_one_asks_again() {
    let mut bench = Bench::default();
    bench.rows(r#"{"a":1,"b":2,"c":3}"#);
    assert_eq!(bench.metrics.asked, 3);
    bench.rows(r#"{"a":4,"ts":1700000000,"b":5,"c":"x"}"#);
    bench.rows(r#"{"a":4,"b":null,"c":6}"#);
    bench.rows(r#"{"a":4}"#);
    assert_eq!(bench.metrics.asked, 3);
    assert_eq!(bench.rows(r#"{"a":1,"c":3,"b":2}"#).len(), 3);
    assert_eq!(bench.metrics.asked, 5);
    assert_eq!(bench.rows(r#"{"c":1,"a":3,"b":2}"#)[0].metric, "c");
}

#[test]
fn a_shape_is_shared_only_after_each_device_asked() {
    let mut bench = Bench::default();
    bench.rows(r#"{"a":1,"b":2}"#);
    let first = std::mem::take(&mut bench.device);
    bench.rows(r#"{"a":1,"b":2}"#);
    assert_eq!(bench.metrics.asked, 4);
    assert_eq!(bench.device.shape, first.shape);
}

#[test]
fn metrics_beyond_the_cap_are_dropped_and_counted_each_time() {
    let mut bench = Bench::default();
    bench.metrics.limit = 2;
    for _ in 0..3 {
        let decoded = bench.decode(br#"{"a":1,"b":2,"c":3,"d":4}"#);
        assert_eq!(decoded, Ok(Decoded { rows: 2, dropped: 2, ..Decoded::default() }));
    }
    bench.metrics.limit = 10;
    assert_eq!(bench.decode(br#"{"a":1,"b":2,"c":3,"d":4}"#).map(|decoded| decoded.rows), Ok(4));
}

#[test]
fn a_name_with_a_quote_is_never_compared_with_raw_bytes() {
    let mut bench = Bench::default();
    let good = r#"{"a\"b":1}"#;
    bench.rows(good);
    bench.rows(good);
    assert_eq!(bench.reason(r#"{"a"b":1}"#), Some(Reason::ExpectedColon));
}

#[test]
fn a_metric_called_time_in_senml_does_not_hide_the_time_in_json() {
    let mut bench = Bench::default();
    assert_eq!(bench.rows(r#"[{"n":"time","v":5}]"#), [num("time", 5.0, NOW)]);
    assert_eq!(bench.rows(r#"{"time":1700000000,"a":1}"#), [num("a", 1.0, 1_700_000_000_000_000)]);
}

#[test]
fn the_content_type_decides_before_the_first_byte() {
    let mut bench = Bench { content_type: "Application/SenML+JSON; charset=utf-8", ..Bench::default() };
    assert_eq!(bench.reason(r#"{"a":1}"#), Some(Reason::ExpectedArray));
    assert_eq!(bench.rows(r#"[{"n":"a","v":1}]"#).len(), 1);
    bench.content_type = "application/json";
    assert_eq!(bench.rows(r#"{"a":1}"#).len(), 1);
    assert_eq!(bench.rows(r#"[{"n":"a","v":1}]"#).len(), 1, "SenML is JSON too");
    assert_eq!(bench.reason("5"), Some(Reason::ExpectedObject));
    bench.content_type = "text/plain";
    assert_eq!(bench.rows(r#"{"a":1}"#).len(), 1);
    assert_eq!(bench.reason("5"), Some(Reason::UnknownFormat));
}
