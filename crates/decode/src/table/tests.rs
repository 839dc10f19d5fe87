use std::sync::Arc;

use super::*;
use crate::testing::{NOW, message};
use crate::{ColumnSchema, Data, Decoded, Decoders, DeviceState, Reason, Validity};

fn builder(columns: &[(&str, ColumnType)], rowtime: &str) -> TableBuilder {
    let columns: Vec<_> =
        columns.iter().map(|(name, kind)| ColumnSchema { name: (*name).to_owned(), kind: *kind }).collect();
    let rowtime = columns.iter().position(|column| column.name == rowtime).unwrap();
    let schema =
        TableSchema { id: 3, name: "pumps".to_owned(), filter: "pumps/+".to_owned(), columns, rowtime };
    TableBuilder::new(Arc::new(schema))
}

fn pumps() -> TableBuilder {
    builder(
        &[
            ("device", ColumnType::Device),
            ("ts", ColumnType::Timestamp),
            ("d", ColumnType::Double),
            ("b", ColumnType::BigInt),
            ("i", ColumnType::Int),
            ("t", ColumnType::Boolean),
            ("s", ColumnType::Text),
            ("w", ColumnType::Timestamp),
            ("quality", ColumnType::Quality),
        ],
        "ts",
    )
}

fn row(builder: &mut TableBuilder, payload: &str) -> Result<Decoded, Reason> {
    let mut device = DeviceState::default();
    Decoders::new().row(&message(payload.as_bytes()), &mut device, builder).map_err(|error| error.reason)
}

/// The only row of a column, as text; `None` for NULL.
fn cell(batch: &Batch, column: usize, row: usize) -> Option<String> {
    let column = &batch.columns[column];
    column.validity.is_valid(row).then(|| match &column.data {
        Data::F64(v) => v[row].to_string(),
        Data::I64(v) => v[row].to_string(),
        Data::Bool(v) => v[row].to_string(),
        Data::Code(v) => v[row].to_string(),
        Data::Byte(v) => v[row].to_string(),
        Data::Text(v) => v.get(row).to_owned(),
    })
}

#[test]
fn a_message_is_one_row_with_columns_picked_by_name() {
    let mut builder = pumps();
    let payload = r#"{"s":"on","x":[1,{"y":null}],"d":1.5,"b":-7,"i":8,"t":true,"w":"1970-01-01 00:00:01",
                      "ts":1700000000,"device":"other","quality":9}"#;
    assert_eq!(row(&mut builder, payload), Ok(Decoded { rows: 1, ..Decoded::default() }));
    let batch = builder.finish(1, OffsetRange { first: 1, end: 2 }, NOW);
    assert_eq!((batch.table, batch.rows, batch.shard), (3, 1, 1));
    let cells: Vec<_> = (0..9).map(|column| cell(&batch, column, 0).unwrap()).collect();
    assert_eq!(cells, ["7", "1700000000000000", "1.5", "-7", "8", "true", "on", "1000000", "0"]);
    assert!(builder.is_empty());
}

#[test]
fn values_convert_by_flinks_json_rules_or_are_null_and_counted() {
    // Column, JSON value, what is stored.
    let cases: &[(usize, &str, Option<&str>)] = &[
        (2, "5", Some("5")),
        (2, r#"" 2.5 ""#, Some("2.5")),
        (2, r#""NaN""#, Some("NaN")),
        (2, r#""inf""#, None),
        (2, r#""x""#, None),
        (2, "true", None),
        (2, "{}", None),
        (3, "9223372036854775807", Some("9223372036854775807")),
        (3, "9223372036854775808", None),
        (3, "-9223372036854775808", Some("-9223372036854775808")),
        (3, "12.9", Some("12")),
        (3, "-1e3", Some("-1000")),
        (3, "1e19", None),
        (3, r#"" 12 ""#, Some("12")),
        (3, r#""12.5""#, None),
        (3, "false", None),
        (3, "[1]", None),
        (4, "2147483647", Some("2147483647")),
        (4, "2147483648", None),
        (4, r#""-2147483648""#, Some("-2147483648")),
        (5, "false", Some("false")),
        (5, r#""TRUE""#, Some("true")),
        (5, r#""yes""#, None),
        (5, "1", None),
        (6, "1.50", Some("1.50")),
        (6, "true", Some("true")),
        (6, r#""a\nb""#, Some("a\nb")),
        (6, r#"[1, {"a":"ä"}]"#, Some(r#"[1, {"a":"ä"}]"#)),
        (6, "{}", Some("{}")),
        (7, "1700000000123", Some("1700000000123000")),
        (7, r#""1970-01-01T00:00:00.5Z""#, Some("500000")),
        (7, r#""yesterday""#, None),
        (7, "true", None),
    ];
    let names = ["", "", "d", "b", "i", "t", "s", "w"];
    for (column, value, expected) in cases {
        let mut builder = pumps();
        let decoded = row(&mut builder, &format!(r#"{{"{}":{value}}}"#, names[*column])).unwrap();
        let batch = builder.finish(0, OffsetRange::default(), NOW);
        assert_eq!(cell(&batch, *column, 0).as_deref(), *expected, "{value} in {}", names[*column]);
        assert_eq!(decoded.misfits, usize::from(expected.is_none()), "{value}");
    }
}

#[test]
fn null_and_missing_members_are_null_and_not_counted() {
    let mut builder = pumps();
    for n in 0..130 {
        let payload = if n % 2 == 0 { format!(r#"{{"d":{n},"s":null}}"#) } else { "{}".to_owned() };
        assert_eq!(row(&mut builder, &payload).map(|decoded| decoded.misfits), Ok(0));
    }
    let batch = builder.finish(0, OffsetRange::default(), NOW);
    assert_eq!(batch.columns[6].validity, Validity::None);
    assert_eq!(batch.columns[1].validity, Validity::All, "the rowtime is never NULL");
    for n in 0..130 {
        assert_eq!(cell(&batch, 2, n), (n % 2 == 0).then(|| n.to_string()));
    }
}

#[test]
fn nulls_may_begin_at_any_row() {
    for first in [0, 1, 63, 64, 65, 127, 128] {
        let mut builder = pumps();
        for n in 0..200 {
            row(&mut builder, if n == first { "{}" } else { r#"{"b":1}"# }).unwrap();
        }
        let batch = builder.finish(0, OffsetRange::default(), NOW);
        let nulls: Vec<_> = (0..200).filter(|&n| cell(&batch, 3, n).is_none()).collect();
        assert_eq!(nulls, [first]);
    }
}

#[test]
fn the_rowtime_comes_from_its_member_or_the_message_or_the_arrival() {
    let cases: &[(&str, &str, i64, usize)] = &[
        ("at_time", r#"{"at_time":1700000000}"#, 1_700_000_000_000_000, 0),
        ("at_time", r#"{"at_time":1700000000,"ts":1600000000}"#, 1_700_000_000_000_000, 0),
        ("at_time", r#"{"timestamp":"2023-11-14T22:13:20Z"}"#, 1_700_000_000_000_000, 0),
        ("at_time", r#"{"at_time":null}"#, NOW, 0),
        ("at_time", "{}", NOW, 0),
        ("at_time", r#"{"at_time":4000000000}"#, NOW, 1),
        (
            "at_time",
            r#"[{"n":"d","v":1,"t":-5},{"n":"d","v":2,"t":-1},{"n":"b","v":3,"t":-3}]"#,
            NOW - 1_000_000,
            0,
        ),
    ];
    for (rowtime, payload, expected, corrected) in cases {
        let mut builder = builder(
            &[(rowtime, ColumnType::Timestamp), ("d", ColumnType::Double), ("q", ColumnType::Quality)],
            rowtime,
        );
        assert_eq!(
            row(&mut builder, payload).map(|decoded| decoded.clock_corrected),
            Ok(*corrected),
            "{payload}"
        );
        let batch = builder.finish(0, OffsetRange::default(), NOW);
        assert_eq!(cell(&batch, 0, 0), Some(expected.to_string()), "{payload}");
        assert_eq!(cell(&batch, 2, 0), Some(corrected.to_string()), "{payload}");
    }
}

#[test]
fn nested_members_fill_columns_with_dotted_names() {
    let mut builder = builder(&[("ts", ColumnType::Timestamp), ("motor.rpm", ColumnType::Int)], "ts");
    assert!(
        row(&mut builder, r#"{"motor":{"rpm":900,"x":[1]},"other":{"a":{"b":{"c":{"d":{"e":1}}}}}}"#).is_ok()
    );
    let batch = builder.finish(0, OffsetRange::default(), NOW);
    assert_eq!(cell(&batch, 1, 0).as_deref(), Some("900"));
}

#[test]
fn a_refused_message_leaves_no_trace() {
    let mut builder = pumps();
    for (payload, reason) in [
        (r#"{"d":1,"s":"gone","b":2"#, Reason::Truncated),
        (r#"{"d":1,"d":2}"#, Reason::DuplicateName),
        (r#"{"d":1,"ts":"now"}"#, Reason::BadTime),
        (r#"{"a":1,"timestamp":1,"time":2}"#, Reason::TwoTimes),
        (r#"{"d":1} x"#, Reason::Trailing),
    ] {
        assert_eq!(row(&mut builder, payload).map(|_| ()), Err(reason), "{payload}");
    }
    row(&mut builder, r#"{"i":3}"#).unwrap();
    let batch = builder.finish(0, OffsetRange::default(), NOW);
    assert_eq!(batch.rows, 1);
    assert_eq!(
        (cell(&batch, 2, 0), cell(&batch, 4, 0), cell(&batch, 6, 0)),
        (None, Some("3".to_owned()), None)
    );
}

#[test]
fn members_in_another_order_still_find_their_columns() {
    let mut builder = pumps();
    let mut decoders = Decoders::new();
    let mut device = DeviceState::default();
    for payload in [
        r#"{"d":1,"s":"x","i":2}"#,
        r#"{"d":1,"s":"x","i":2}"#,
        r#"{"i":2,"d":1,"s":"x"}"#,
        r#"{"s":"x","\u0069":2,"d":1}"#,
        r#"{"a\"b":0,"s":"x","i":2,"d":1}"#,
        r#"{"a\"b":0,"s":"x","i":2,"d":1}"#,
    ] {
        decoders.row(&message(payload.as_bytes()), &mut device, &mut builder).unwrap();
    }
    let unquoted = br#"{"a"b":0,"s":"x"}"#;
    assert!(decoders.row(&message(unquoted), &mut device, &mut builder).is_err());
    let batch = builder.finish(0, OffsetRange::default(), NOW);
    for n in 0..6 {
        let cells = (cell(&batch, 2, n).unwrap(), cell(&batch, 4, n).unwrap(), cell(&batch, 6, n).unwrap());
        assert_eq!(cells, ("1".to_owned(), "2".to_owned(), "x".to_owned()), "row {n}");
    }
}
