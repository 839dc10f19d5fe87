use crate::Reason;
use crate::testing::{Bench, NOW, Row, num, text};

const URN: &str = "urn:dev:ow:10e2073a01080063";

fn bench(device_id: &'static str) -> Bench {
    Bench { device_id, ..Bench::default() }
}

/// RFC 8428, section 5.1.1.
#[test]
fn a_single_datapoint() {
    let payload = r#"[ {"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1} ]"#;
    assert_eq!(bench("other").rows(payload), [num(URN, 23.1, NOW)]);
    assert_eq!(bench(URN).rows(payload), [num("Cel", 23.1, NOW)], "the device itself: named by the unit");
}

/// RFC 8428, section 5.1.2, first example.
#[test]
fn multiple_datapoints_now() {
    let rows = bench(URN).rows(
        r#"[
  {"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},
  {"n":"current","u":"A","v":1.2}
]"#,
    );
    assert_eq!(rows, [num("voltage", 120.1, NOW), num("current", 1.2, NOW)]);
}

/// RFC 8428, section 5.1.2, second example.
#[test]
fn multiple_datapoints_relative_to_the_base_time() {
    let rows = bench("urn:dev:ow:10e2073a0108006").rows(
        r#"[
  {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,
   "bu":"A","bver":5,
   "n":"voltage","u":"V","v":120.1},
  {"n":"current","t":-5,"v":1.2},
  {"n":"current","t":-4,"v":1.3},
  {"n":"current","t":-3,"v":1.4},
  {"n":"current","t":-2,"v":1.5},
  {"n":"current","t":-1,"v":1.6},
  {"n":"current","v":1.7}
]"#,
    );
    let at = 1_276_020_076_001_000;
    let mut expected = vec![num("voltage", 120.1, at)];
    for (ago, value) in [(5, 1.2), (4, 1.3), (3, 1.4), (2, 1.5), (1, 1.6), (0, 1.7)] {
        expected.push(num("current", value, at - ago * 1_000_000));
    }
    assert_eq!(rows, expected);
}

const MOVING: &str = r#"[
  {"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,
   "bu":"%RH","v":20},
  {"u":"lon","v":24.30621},
  {"u":"lat","v":60.07965},
  {"t":60,"v":20.3},
  {"u":"lon","t":60,"v":24.30622},
  {"u":"lat","t":60,"v":60.07965},
  {"t":120,"v":20.7},
  {"u":"lon","t":120,"v":24.30623},
  {"u":"lat","t":120,"v":60.07966},
  {"u":"%EL","t":150,"v":98},
  {"t":180,"v":21.2},
  {"u":"lon","t":180,"v":24.30628},
  {"u":"lat","t":180,"v":60.07967}
]"#;

fn moving(names: [&str; 4]) -> Vec<Row> {
    let [humidity, lon, lat, battery] = names;
    let at = |seconds: i64| (1_320_067_464 + seconds) * 1_000_000;
    vec![
        num(humidity, 20.0, at(0)),
        num(lon, 24.30621, at(0)),
        num(lat, 60.07965, at(0)),
        num(humidity, 20.3, at(60)),
        num(lon, 24.30622, at(60)),
        num(lat, 60.07965, at(60)),
        num(humidity, 20.7, at(120)),
        num(lon, 24.30623, at(120)),
        num(lat, 60.07966, at(120)),
        num(battery, 98.0, at(150)),
        num(humidity, 21.2, at(180)),
        num(lon, 24.30628, at(180)),
        num(lat, 60.07967, at(180)),
    ]
}

/// RFC 8428, section 5.1.3: one name, four units.
#[test]
fn multiple_measurements_of_one_name_stay_apart_by_their_units() {
    assert_eq!(bench(URN).rows(MOVING), moving(["%RH", "lon", "lat", "%EL"]));
    let suffixed = [".lon", ".lat", ".%EL"].map(|suffix| format!("{URN}{suffix}"));
    assert_eq!(bench("van-1").rows(MOVING), moving([URN, &suffixed[0], &suffixed[1], &suffixed[2]]));
}

/// RFC 8428, section 5.1.4: the same, resolved.
#[test]
fn resolved_records_give_the_same_rows() {
    let payload = r#"[
  {"n":"urn:dev:ow:10e2073a01080063","u":"%RH","t":1.320067464e+09,"v":20},
  {"n":"urn:dev:ow:10e2073a01080063","u":"lon","t":1.320067464e+09,"v":24.30621},
  {"n":"urn:dev:ow:10e2073a01080063","u":"lat","t":1.320067464e+09,"v":60.07965}
]"#;
    assert_eq!(bench(URN).rows(payload), moving(["%RH", "lon", "lat", "%EL"])[..3]);
}

/// RFC 8428, section 5.1.5.
#[test]
fn multiple_data_types() {
    let rows = bench(URN).rows(
        r#"[
  {"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},
  {"n":"label","vs":"Machine Room"},
  {"n":"open","vb":false},
  {"n":"nfc-reader","vd":"aGkgCg"}
]"#,
    );
    let expected = [
        num("temp", 23.1, NOW),
        text("label", "Machine Room", NOW),
        num("open", 0.0, NOW),
        text("nfc-reader", "aGkgCg", NOW),
    ];
    assert_eq!(rows, expected);
}

/// RFC 8428, section 5.1.6.
#[test]
fn a_collection_of_resources() {
    let rows = bench("2001:db8::2").rows(
        r#"[
  {"bn":"2001:db8::2/","bt":1.320078429e+09,
   "n":"temperature","u":"Cel","v":25.2},
  {"n":"humidity","u":"%RH","v":30},
  {"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3},
  {"n":"humidity","u":"%RH","v":67}
]"#,
    );
    let at = 1_320_078_429_000_000;
    let expected = [
        num("temperature", 25.2, at),
        num("humidity", 30.0, at),
        num("2001:db8::1/temperature", 12.3, at),
        num("2001:db8::1/humidity", 67.0, at),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn base_values_and_sums_are_added() {
    let rows = Bench::default().rows(
        r#"[{"bn":"m/","bv":100,"bs":1000,"n":"a","v":1,"s":5},{"n":"b","v":-100},{"n":"c","s":7},{"n":"d","vs":"x"},
            {"bv":0.5,"n":"e","v":0.25}]"#,
    );
    let expected = [
        num("m/a", 101.0, NOW),
        num("m/a.sum", 1005.0, NOW),
        num("m/b", 0.0, NOW),
        num("m/b.sum", 1000.0, NOW),
        num("m/c.sum", 1007.0, NOW),
        text("m/d", "x", NOW),
        num("m/d.sum", 1000.0, NOW),
        num("m/e", 0.75, NOW),
        num("m/e.sum", 1000.0, NOW),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn times_below_2_to_the_28_are_relative_to_the_arrival() {
    let rows = Bench::default().rows(
        r#"[{"n":"a","v":1,"t":-90},{"n":"b","v":2,"t":0},{"n":"c","v":3,"t":2.5},{"n":"d","v":4,"t":268435455},
            {"n":"e","v":5,"t":268435456},{"bt":-10,"n":"f","v":6,"t":-1}]"#,
    );
    let expected = [
        num("a", 1.0, NOW - 90_000_000),
        num("b", 2.0, NOW),
        num("c", 3.0, NOW + 2_500_000),
        Row { quality: 1, ..num("d", 4.0, NOW) },
        num("e", 5.0, 268_435_456_000_000),
        num("f", 6.0, NOW - 11_000_000),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn only_a_whole_prefix_of_the_device_id_is_cut() {
    for (name, metric) in [
        ("pump-1/t", "t"),
        ("pump-1:t", "t"),
        ("pump-1.t", "t"),
        ("pump-1", "value"),
        ("pump-1/", "value"),
        ("pump-12/t", "pump-12/t"),
        ("pump-1-t", "pump-1-t"),
        ("t", "t"),
    ] {
        let payload = format!(r#"[{{"n":"{name}","v":1}}]"#);
        assert_eq!(Bench::default().rows(&payload), [num(metric, 1.0, NOW)], "{name}");
    }
}

#[test]
fn what_the_rfc_forbids_is_refused_with_the_reason() {
    let cases: &[(&str, Option<Reason>)] = &[
        ("[]", None),
        (r#"[{"n":"a","v":1,"unknown":{"x":[1]}}]"#, None),
        (r#"[{"n":"a","v":1,"ut":60}]"#, None),
        (r#"[{"n":"a","v":1,"bver":10}]"#, None),
        (r#"[{"n":"\u0061","v":1}]"#, None),
        (r#"[{"n":"a","v":1,"must_":1}]"#, Some(Reason::SenmlMustUnderstand)),
        (r#"[{"n":"a","v":1,"bver":11}]"#, Some(Reason::SenmlVersion)),
        (r#"[{"n":"a","v":1,"bver":0}]"#, Some(Reason::SenmlVersion)),
        (r#"[{"n":"a","v":1,"bver":5.5}]"#, Some(Reason::SenmlVersion)),
        (r#"[{"n":"a","v":1,"bver":5},{"n":"b","v":1,"bver":6}]"#, Some(Reason::SenmlVersion)),
        (r#"[{"n":"a","v":1},{"n":"b","v":1,"bver":5}]"#, Some(Reason::SenmlVersion)),
        (r#"[{"n":"a"}]"#, Some(Reason::SenmlNoValue)),
        (r#"[{"bn":"a","bv":5}]"#, Some(Reason::SenmlNoValue)),
        (r#"[{"n":"a","v":1,"vs":"x"}]"#, Some(Reason::SenmlTwoValues)),
        (r#"[{"n":"a","v":1,"v":2}]"#, Some(Reason::SenmlTwoValues)),
        (r#"[{"n":"a","n":"b","v":1}]"#, Some(Reason::SenmlTwice)),
        (r#"[{"v":1}]"#, Some(Reason::SenmlName)),
        (r#"[{"n":"","v":1}]"#, Some(Reason::SenmlName)),
        (r#"[{"n":"-a","v":1}]"#, Some(Reason::SenmlName)),
        (r#"[{"n":"a b","v":1}]"#, Some(Reason::SenmlName)),
        (r#"[{"n":"ä","v":1}]"#, Some(Reason::SenmlName)),
        (r#"[{"n":"a","v":"1"}]"#, Some(Reason::SenmlType)),
        (r#"[{"n":"a","v":null}]"#, Some(Reason::SenmlType)),
        (r#"[{"n":"a","vs":1}]"#, Some(Reason::SenmlType)),
        (r#"[{"n":"a","vb":1}]"#, Some(Reason::SenmlType)),
        (r#"[{"n":"a","vb":"true"}]"#, Some(Reason::SenmlType)),
        (r#"[{"n":1,"v":1}]"#, Some(Reason::SenmlType)),
        (r#"[{"n":"a","vd":"aGk="}]"#, Some(Reason::SenmlData)),
        (r#"[{"n":"a","vd":"a+/b"}]"#, Some(Reason::SenmlData)),
        (r#"[{"n":"a","vd":"aGkgC"}]"#, Some(Reason::SenmlData)),
        (r#"[{"n":"a","v":1,"t":1e300}]"#, Some(Reason::TimeRange)),
        (r#"[{"bv":1e308,"n":"a","v":1e308}]"#, Some(Reason::NumberRange)),
        (r#"[{"n":"a","v":1},]"#, Some(Reason::ExpectedObject)),
        (r#"[{"n":"a","v":1}"#, Some(Reason::Truncated)),
        (r#"[{"n":"a","v":1}] x"#, Some(Reason::Trailing)),
        (r#"[1]"#, Some(Reason::ExpectedObject)),
    ];
    for (payload, expected) in cases {
        let mut bench = Bench::default();
        assert_eq!(bench.reason(payload), *expected, "{payload}");
        if expected.is_some() {
            assert!(bench.take().is_empty(), "a refused pack leaves no row: {payload}");
        }
    }
}

#[test]
fn the_second_message_of_a_shape_asks_for_no_code() {
    let mut bench = bench(URN);
    bench.rows(MOVING);
    let payload = r#"[{"bn":"a/","n":"b","v":1},{"n":"c","v":1}]"#;
    bench.rows(payload);
    let asked = bench.metrics.asked;
    assert_eq!(bench.rows(payload), [num("a/b", 1.0, NOW + 1), num("a/c", 1.0, NOW + 1)]);
    assert_eq!(bench.metrics.asked, asked);
}
