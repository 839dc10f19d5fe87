//! Each function over ordinary values, NULL, nan, inf, the ends of the integers and the empty string.

use std::sync::Arc;

use mohhos_decode::{Names, TextData};
use serde_json::{Value as Json, json};

use super::{Columns, compile};
use crate::dict::EngineNames;
use crate::java;
use crate::plan::{Expr, Type};
use crate::vector::{Frame, Scalar, TextVals, Valid, Vals, Vector, logic};

const ROWS: usize = 7;
const DAY_US: i64 = 86_400_000_000;

fn names() -> EngineNames {
    let devices = Names::new();
    devices.insert(1, "pump-1");
    devices.insert(2, "pump-2");
    devices.insert(3, "lamp-1");
    EngineNames { devices: Arc::new(devices), metrics: Arc::new(Names::new()) }
}

/// Columns d, i, l, s, b, t, dev and q; the last row is NULL throughout.
fn frame() -> Frame<'static> {
    let valid = || Valid::Mask(vec![1, 1, 1, 1, 1, 1, 0].into());
    let (max, min) = (i64::from(i32::MAX), i64::from(i32::MIN));
    let mut text = TextData::default();
    ["abc", "", " x ", "äöü", "12", "true", "junk"].iter().for_each(|t| text.push(t));
    let columns = vec![
        Vector::F64(
            Vals::Owned(vec![1.5, -2.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 9.0]),
            valid(),
        ),
        Vector::I64(Vals::Owned(vec![7, -7, max, min, 0, 3, 9]), valid()),
        Vector::I64(Vals::Owned(vec![7, -7, i64::MAX, i64::MIN, 0, 3, 9]), valid()),
        Vector::Text(TextVals::Owned(text), valid()),
        Vector::Bool(Vals::Owned(vec![
            logic::TRUE,
            logic::FALSE,
            logic::TRUE,
            logic::FALSE,
            logic::TRUE,
            logic::NULL,
            logic::NULL,
        ])),
        Vector::I64(
            Vals::Owned(vec![0, 1_999, -1, DAY_US * 59, DAY_US * 365 + 3_661_500_000, 1_000, 9]),
            valid(),
        ),
        Vector::Code(Vals::Owned(vec![1, 2, 3, 1, 2, 3, 0]), valid()),
        Vector::Code(Vals::Owned(vec![1, 2, 1, 1, 2, 1, 0]), valid()),
    ];
    Frame { rows: ROWS, columns, selection: None, before: None }
}

fn columns() -> Columns {
    let kinds = [
        ("d", Type::Double),
        ("i", Type::Int),
        ("l", Type::BigInt),
        ("s", Type::Text),
        ("b", Type::Boolean),
        ("t", Type::Timestamp),
        ("dev", Type::Device),
        ("q", Type::Quality),
    ];
    Columns { list: kinds.iter().map(|&(name, kind)| (name.to_owned(), kind)).collect() }
}

fn col(name: &str) -> Json {
    json!({"e": "column", "name": name})
}

fn lit(kind: &str, value: impl Into<Json>) -> Json {
    json!({"e": "literal", "type": kind, "value": value.into()})
}

fn int(value: i64) -> Json {
    lit("INT", value)
}

fn double(value: f64) -> Json {
    lit("DOUBLE", value)
}

fn text(value: &str) -> Json {
    lit("STRING", value)
}

fn call(function: &str, args: impl IntoIterator<Item = Json>) -> Json {
    json!({"e": "call", "function": function, "args": args.into_iter().collect::<Vec<_>>()})
}

fn cast(arg: Json, to: &str) -> Json {
    json!({"e": "call", "function": "TRY_CAST", "args": [arg], "type": to})
}

fn show(scalar: Scalar<'_>) -> String {
    match scalar {
        Scalar::Null => "NULL".into(),
        Scalar::F64(v) => {
            let mut out = String::new();
            java::push_double(&mut out, v);
            out
        }
        Scalar::I64(v) => v.to_string(),
        Scalar::Bool(v) => (if v { "T" } else { "F" }).into(),
        Scalar::Text(t) => format!("'{t}'"),
    }
}

/// The values of an expression, in all rows and in a selection.
#[track_caller]
fn values(expr: Json) -> Vec<String> {
    let parsed: Expr = serde_json::from_value(expr).unwrap();
    let compiled = compile(&parsed, &columns(), &names()).unwrap();
    let mut frame = frame();
    let all: Vec<String> = {
        let vector = compiled.eval(&frame);
        (0..ROWS).map(|row| show(vector.scalar(row))).collect()
    };
    frame.selection = Some(vec![1, 4, 6]);
    let vector = compiled.eval(&frame);
    let selected: Vec<String> = (0..3).map(|row| show(vector.scalar(row))).collect();
    assert_eq!(selected, [all[1].clone(), all[4].clone(), all[6].clone()], "a selection gives other values");
    all
}

#[track_caller]
fn check(expr: Json, expected: &str) {
    assert_eq!(values(expr).join(" "), expected);
}

/// The value of an expression of constants.
#[track_caller]
fn constant(expr: Json) -> String {
    values(expr)[0].clone()
}

#[track_caller]
fn refused(expr: Json) -> String {
    let parsed: Expr = serde_json::from_value(expr).unwrap();
    compile(&parsed, &columns(), &names()).unwrap_err()
}

#[test]
fn arithmetic_wraps_integers_and_follows_ieee_for_doubles() {
    check(call("+", [col("d"), int(1)]), "2.5 -1.5 NaN Infinity -Infinity 1.0 NULL");
    check(call("+", [col("i"), int(1)]), "8 -6 -2147483648 -2147483647 1 4 NULL");
    check(call("-", [col("l"), int(1)]), "6 -8 9223372036854775806 9223372036854775807 -1 2 NULL");
    check(call("*", [col("i"), int(2)]), "14 -14 -2 0 0 6 NULL");
    check(call("/", [col("i"), int(2)]), "3 -3 1073741823 -1073741824 0 1 NULL");
    check(call("/", [col("i"), col("i")]), "1 1 1 1 NULL 1 NULL");
    check(call("/", [col("d"), double(0.0)]), "Infinity -Infinity NaN Infinity -Infinity NaN NULL");
    check(call("%", [col("i"), int(4)]), "3 -3 3 0 0 3 NULL");
    check(call("MOD", [col("d"), double(2.0)]), "1.5 -0.5 NaN NaN NaN 0.0 NULL");
    check(call("NEGATE", [col("i")]), "-7 7 -2147483647 -2147483648 0 -3 NULL");
    check(call("ABS", [col("l")]), "7 7 9223372036854775807 -9223372036854775808 0 3 NULL");
    check(call("ABS", [col("d")]), "1.5 2.5 NaN Infinity Infinity 0.0 NULL");
    check(call("SIGN", [col("d")]), "1.0 -1.0 NaN 1.0 -1.0 0.0 NULL");
    assert_eq!(constant(call("/", [int(i64::from(i32::MIN)), int(-1)])), "-2147483648");
}

#[test]
fn mathematical_functions_pass_nan_and_inf_on() {
    check(call("CEIL", [col("d")]), "2.0 -2.0 NaN Infinity -Infinity 0.0 NULL");
    check(call("FLOOR", [col("d")]), "1.0 -3.0 NaN Infinity -Infinity 0.0 NULL");
    check(call("FLOOR", [col("i")]), "7 -7 2147483647 -2147483648 0 3 NULL");
    check(call("ROUND", [col("d")]), "2.0 -3.0 NaN Infinity -Infinity 0.0 NULL");
    check(call("ROUND", [col("i"), int(-1)]), "10 -10 -2147483646 2147483646 0 0 NULL");
    check(call("TRUNCATE", [col("d"), int(0)]), "1.0 -2.0 NaN Infinity -Infinity 0.0 NULL");
    check(call("SQRT", [call("ABS", [col("i")])]).clone(), &sqrt_of_integers());
    check(call("EXP", [call("*", [col("d"), int(0)])]), "1.0 1.0 NaN NaN NaN 1.0 NULL");
    assert_eq!(constant(call("LN", [double(0.0)])), "-Infinity");
    assert_eq!(constant(call("LN", [double(-1.0)])), "NaN");
    assert_eq!(constant(call("LOG10", [int(1000)])), "3.0");
    assert_eq!(constant(call("LOG2", [int(8)])), "3.0");
    assert_eq!(constant(call("LOG", [int(2), int(8)])), "3.0");
    assert_eq!(constant(call("LOG", [double(1.0)])), "0.0");
    assert_eq!(constant(call("POWER", [int(2), int(10)])), "1024.0");
    assert_eq!(constant(call("SQRT", [double(-1.0)])), "NaN");
    assert_eq!(constant(call("ATAN2", [int(0), int(1)])), "0.0");
    assert_eq!(constant(call("PI", [])), "3.141592653589793");
    for function in ["SIN", "TAN", "ASIN", "ATAN"] {
        assert_eq!(constant(call(function, [int(0)])), "0.0");
    }
    assert_eq!(constant(call("COS", [int(0)])), "1.0");
    assert_eq!(constant(call("ACOS", [int(1)])), "0.0");
    assert_eq!(constant(call("DEGREES", [call("PI", [])])), "180.0");
    assert_eq!(constant(call("RADIANS", [int(0)])), "0.0");
}

fn sqrt_of_integers() -> String {
    let roots =
        [7.0f64, 7.0, 2_147_483_647.0, -2_147_483_648.0, 0.0, 3.0].map(|v| show(Scalar::F64(v.sqrt())));
    format!("{} NULL", roots.join(" "))
}

#[test]
fn comparisons_are_three_valued_and_nan_equals_nothing() {
    check(call("=", [col("d"), col("d")]), "T T F T T T NULL");
    check(call("<>", [col("d"), col("d")]), "F F T F F F NULL");
    check(call(">", [col("d"), int(0)]), "T F F T F F NULL");
    check(call("<=", [col("i"), col("l")]), "T T T F T T NULL");
    check(call("<", [col("i"), lit("INT", Json::Null)]), "NULL NULL NULL NULL NULL NULL NULL");
    check(call(">=", [col("s"), text("abc")]), "T F F T F T NULL");
    check(call("=", [col("b"), lit("BOOLEAN", true)]), "T F T F T NULL NULL");
    check(call("BETWEEN", [col("i"), int(-7), int(7)]), "T T F F T T NULL");
}

#[test]
fn timestamps_compare_by_milliseconds() {
    check(call("=", [col("t"), lit("TIMESTAMP(3)", 1_000)]), "F T F F F T NULL");
    check(call("<", [col("t"), lit("TIMESTAMP(3)", 0)]), "F F T F F F NULL");
}

#[test]
fn logic_follows_the_truth_tables() {
    let null = || lit("BOOLEAN", Json::Null);
    check(call("AND", [col("b"), null()]), "NULL F NULL F NULL NULL NULL");
    check(call("OR", [col("b"), null()]), "T NULL T NULL T NULL NULL");
    check(call("OR", [col("b"), lit("BOOLEAN", true), null()]), "T T T T T T T");
    check(call("AND", [col("b"), col("b"), col("b")]), "T F T F T NULL NULL");
    check(call("NOT", [col("b")]), "F T F T F NULL NULL");
    check(call("IS TRUE", [col("b")]), "T F T F T F F");
    check(call("IS FALSE", [col("b")]), "F T F T F F F");
    check(call("IS NOT TRUE", [col("b")]), "F T F T F T T");
    check(call("IS NOT FALSE", [col("b")]), "T F T F T T T");
    check(call("IS NULL", [col("b")]), "F F F F F T T");
    check(call("IS NULL", [col("s")]), "F F F F F F T");
    check(call("IS NOT NULL", [col("d")]), "T T T T T T F");
}

#[test]
fn in_finds_members_and_a_null_member_makes_absence_unknown() {
    check(call("IN", [col("i"), int(7), int(3)]), "T F F F F T NULL");
    check(call("IN", [col("i"), int(7), int(3), int(0), int(1)]), "T F F F T T NULL");
    let null = lit("INT", Json::Null);
    check(call("IN", [col("i"), int(7), int(3), int(0), null.clone()]), "T NULL NULL NULL T T NULL");
    check(call("IN", [col("i"), int(7), null]), "T NULL NULL NULL NULL NULL NULL");
    let doubles = [double(1.5), lit("DOUBLE", "NaN"), lit("DOUBLE", "Infinity"), double(-0.0)];
    check(call("IN", [col("d")].into_iter().chain(doubles)), "T F F T F T NULL");
    check(call("IN", [col("s"), text("abc"), text(""), text("x"), text("y")]), "T T F F F F NULL");
    check(call("IN", [col("dev"), text("pump-1"), text("a"), text("b"), text("lamp-1")]), "T F T T F T NULL");
    check(call("IN", [col("i"), double(7.0), double(1.0), double(2.0), double(3.0)]), "T F F F F T NULL");
}

#[test]
fn devices_and_qualities_are_strings_to_every_function() {
    check(call("=", [col("dev"), text("pump-1")]), "T F F T F F NULL");
    check(call("<>", [text("pump-1"), col("dev")]), "F T T F T T NULL");
    check(call("=", [col("dev"), text("not there")]), "F F F F F F NULL");
    check(call("<>", [col("dev"), text("not there")]), "T T T T T T NULL");
    check(call("LIKE", [col("dev"), text("pump%")]), "T T F T T F NULL");
    check(call("<", [col("dev"), text("m")]), "F F T F F T NULL");
    check(call("=", [call("UPPER", [col("dev")]), text("LAMP-1")]), "F F T F F T NULL");
    check(call("=", [call("COALESCE", [col("dev"), text("?")]), text("?")]), "F F F F F F T");
    check(call("=", [col("q"), text("clock")]), "F T F F T F NULL");
    check(call("=", [col("dev"), col("dev")]), "T T T T T T NULL");
    check(call("=", [col("dev"), col("s")]), "F F F F F F NULL");
    check(
        call("||", [col("dev"), text("/"), col("i")]),
        "'pump-1/7' 'pump-2/-7' 'lamp-1/2147483647' 'pump-1/-2147483648' 'pump-2/0' 'lamp-1/3' NULL",
    );
    check(call("GREATEST", [col("dev"), text("m")]), "'pump-1' 'pump-2' 'm' 'pump-1' 'pump-2' 'm' NULL");
}

#[test]
fn a_name_counts_from_when_it_becomes_known() {
    let names = names();
    let compiled = |expr: Json| {
        let parsed: Expr = serde_json::from_value(expr).unwrap();
        compile(&parsed, &columns(), &names).unwrap()
    };
    let equal = compiled(call("=", [col("dev"), text("new")]));
    let like = compiled(call("LIKE", [col("dev"), text("n%")]));
    let mut frame = frame();
    frame.columns[6] = Vector::Code(Vals::Owned(vec![9; ROWS]), Valid::All);
    let is = |e: &super::Compiled| show(e.eval(&frame).scalar(0));
    assert_eq!((is(&equal), is(&like)), ("F".into(), "NULL".into()));
    names.devices.insert(9, "new");
    assert_eq!((is(&equal), is(&like)), ("T".into(), "T".into()));
}

#[test]
fn choices_take_the_first_that_holds_and_widen_numbers() {
    let null = || lit("INT", Json::Null);
    check(call("CASE", [col("b"), int(1), null()]), "1 NULL 1 NULL 1 NULL NULL");
    check(call("CASE", [col("b"), col("i"), col("d")]), "7.0 -2.5 2.147483647E9 Infinity 0.0 0.0 NULL");
    check(call("CASE", [col("b"), col("s"), col("dev")]), "'abc' 'pump-2' ' x ' 'pump-1' '12' 'lamp-1' NULL");
    check(call("IF", [col("b"), col("dev"), col("dev")]), "1 2 3 1 2 3 NULL");
    check(call("COALESCE", [col("b"), lit("BOOLEAN", false)]), "T F T F T F F");
    check(call("COALESCE", [null(), col("i"), int(5)]), "7 -7 2147483647 -2147483648 0 3 5");
    check(call("COALESCE", [col("s"), text("-")]), "'abc' '' ' x ' 'äöü' '12' 'true' '-'");
    check(call("NULLIF", [col("i"), int(7)]), "NULL -7 2147483647 -2147483648 0 3 NULL");
    check(call("NULLIF", [col("d"), col("d")]), "NULL NULL NaN NULL NULL NULL NULL");
    check(call("NULLIF", [col("s"), text("")]), "'abc' NULL ' x ' 'äöü' '12' 'true' NULL");
    check(call("GREATEST", [col("d"), int(1)]), "1.5 1.0 NaN Infinity 1.0 1.0 NULL");
    check(call("LEAST", [col("d"), int(1)]), "1.0 -2.5 1.0 1.0 -Infinity 0.0 NULL");
    check(call("LEAST", [col("i"), null()]), "NULL NULL NULL NULL NULL NULL NULL");
}

#[test]
fn casts_follow_java_and_try_cast_gives_null() {
    check(cast(col("d"), "INT"), "1 -2 0 2147483647 -2147483648 0 NULL");
    check(cast(col("d"), "BIGINT"), "1 -2 0 9223372036854775807 -9223372036854775808 0 NULL");
    check(cast(col("l"), "INT"), "7 -7 -1 0 0 3 NULL");
    check(cast(col("d"), "STRING"), "'1.5' '-2.5' 'NaN' 'Infinity' '-Infinity' '0.0' NULL");
    check(cast(col("b"), "STRING"), "'TRUE' 'FALSE' 'TRUE' 'FALSE' 'TRUE' NULL NULL");
    check(cast(col("s"), "INT"), "NULL NULL NULL NULL 12 NULL NULL");
    check(cast(col("s"), "DOUBLE"), "NULL NULL NULL NULL 12.0 NULL NULL");
    check(cast(col("s"), "BOOLEAN"), "NULL NULL NULL NULL NULL T NULL");
    check(cast(col("i"), "BOOLEAN"), "T T T T F T NULL");
    check(cast(col("b"), "INT"), "1 0 1 0 1 NULL NULL");
    check(cast(col("dev"), "STRING"), "'pump-1' 'pump-2' 'lamp-1' 'pump-1' 'pump-2' 'lamp-1' NULL");
    check(
        cast(cast(col("t"), "STRING"), "TIMESTAMP(3)"),
        "0 1000 -1000 5097600000000 31539661500000 1000 NULL",
    );
    assert_eq!(constant(cast(text("2147483648"), "INT")), "NULL");
    assert!(refused(cast(col("d"), "TIMESTAMP(3)")).contains("cannot be cast"));
    assert!(refused(cast(col("s"), "DEVICE")).contains("STRING to SQL"));
}

#[test]
fn strings_are_counted_in_code_points_from_one() {
    check(call("UPPER", [col("s")]), "'ABC' '' ' X ' 'ÄÖÜ' '12' 'TRUE' NULL");
    check(call("TRIM", [col("s")]), "'abc' '' 'x' 'äöü' '12' 'true' NULL");
    check(call("CHAR_LENGTH", [col("s")]), "3 0 3 3 2 4 NULL");
    check(call("SUBSTRING", [col("s"), int(2)]), "'bc' '' 'x ' 'öü' '2' 'rue' NULL");
    check(call("SUBSTRING", [col("s"), int(-2), int(1)]), "'b' '' 'x' 'ö' '1' 'u' NULL");
    check(call("SUBSTRING", [col("s"), int(1), int(-1)]), "NULL NULL NULL NULL NULL NULL NULL");
    check(call("LEFT", [col("s"), int(2)]), "'ab' '' ' x' 'äö' '12' 'tr' NULL");
    check(call("RIGHT", [col("s"), int(2)]), "'bc' '' 'x ' 'öü' '12' 'ue' NULL");
    check(call("POSITION", [text("ü"), col("s")]), "0 0 0 3 0 0 NULL");
    check(call("REVERSE", [col("s")]), "'cba' '' ' x ' 'üöä' '21' 'eurt' NULL");
    check(call("STARTSWITH", [col("s"), text("a")]), "T F F F F F NULL");
    check(call("ENDSWITH", [col("s"), text("")]), "T T T T T T NULL");
    check(call("LIKE", [col("s"), text("_b%")]), "T F F F F F NULL");
    check(call("CONCAT_WS", [text("-"), col("s"), col("s")]), {
        "'abc-abc' '-' ' x - x ' 'äöü-äöü' '12-12' 'true-true' ''"
    });
    for (expr, value) in [
        (call("LOWER", [text("ÄB")]), "'äb'"),
        (call("LTRIM", [text("  a ")]), "'a '"),
        (call("RTRIM", [text(" a  ")]), "' a'"),
        (call("TRIM BOTH", [text("xxaxx"), text("x")]), "'a'"),
        (call("TRIM LEADING", [text("xxaxx"), text("x")]), "'axx'"),
        (call("TRIM TRAILING", [text("xxaxx"), text("")]), "'xxaxx'"),
        (call("REPLACE", [text("aXbX"), text("X"), text("--")]), "'a--b--'"),
        (call("REPEAT", [text("ab"), int(2)]), "'abab'"),
        (call("REPEAT", [text("ab"), int(-1)]), "''"),
        (call("REPEAT", [text("ab"), int(2_000_000_000)]), "NULL"),
        (call("LPAD", [text("7"), int(3), text("0")]), "'007'"),
        (call("RPAD", [text("abcd"), int(2), text("0")]), "'ab'"),
        (call("LPAD", [text("7"), int(3), text("")]), "NULL"),
        (call("CONCAT", [text("a"), double(1e7), lit("BOOLEAN", true)]), "'a1.0E7TRUE'"),
        (call("CONCAT", [text("a"), lit("STRING", Json::Null)]), "NULL"),
        (call("LIKE", [text("50%"), text("50!%"), text("!")]), "T"),
        (call("LIKE", [text("501"), text("50!%"), text("!")]), "F"),
        (call("LIKE", [text("abcabd"), text("%ab_")]), "T"),
        (call("LIKE", [text(""), text("%")]), "T"),
        (call("LIKE", [text(""), text("_")]), "F"),
        (call("LIKE", [text("a\nb"), text("a%b")]), "T"),
    ] {
        assert_eq!(constant(expr.clone()), value, "{expr}");
    }
}

#[test]
fn json_values_are_scalars_or_null() {
    let document = r#"{"a":{"b":[1,2.50,"x",null,true]},"c d":1e30}"#;
    for (path, value) in [
        ("$.a.b[0]", "'1'"),
        ("$.a.b[1]", "'2.5'"),
        ("$.a.b[2]", "'x'"),
        ("$.a.b[3]", "NULL"),
        ("$.a.b[4]", "'true'"),
        ("$.a.b[9]", "NULL"),
        ("$.a.b", "NULL"),
        ("$['c d']", "'1.0E30'"),
        ("$.none", "NULL"),
        ("a", "NULL"),
        ("$x", "NULL"),
    ] {
        assert_eq!(constant(call("JSON_VALUE", [text(document), text(path)])), value, "{path}");
    }
    check(call("JSON_VALUE", [col("s"), text("$")]), "NULL NULL NULL NULL '12' 'true' NULL");
}

#[test]
fn times_are_taken_apart_in_utc() {
    check(call("EXTRACT", [text("DAY"), col("t")]), "1 1 31 1 1 1 NULL");
    check(call("EXTRACT", [text("MONTH"), col("t")]), "1 1 12 3 1 1 NULL");
    check(call("EXTRACT", [text("MILLISECOND"), col("t")]), "0 1 59999 0 1500 1 NULL");
    check(call("EXTRACT", [text("DOW"), col("t")]), "5 5 4 1 6 5 NULL");
    check(call("EXTRACT", [text("EPOCH"), col("t")]), "0 0 -1 5097600 31539661 0 NULL");
    check(call("FLOOR_TO", [col("t"), text("HOUR")]), "0 0 -3600000000 5097600000000 31539600000000 0 NULL");
    check(
        call("CEIL_TO", [col("t"), text("DAY")]),
        "0 86400000000 0 5097600000000 31622400000000 86400000000 NULL",
    );
    check(call("EPOCH_MS", [col("t")]), "0 1 -1 5097600000 31539661500 1 NULL");
    check(
        call("TIMESTAMPADD_MS", [col("t"), int(1)]),
        "1000 2999 999 5097600001000 31539661501000 2000 NULL",
    );
    check(
        call("TIMESTAMPDIFF_MS", [lit("TIMESTAMP(3)", 0), col("t")]),
        "0 1 -1 5097600000 31539661500 1 NULL",
    );
    check(call("TO_TIMESTAMP_LTZ", [col("i"), int(0)]), {
        "7000000 -7000000 2147483647000000 -2147483648000000 0 3000000 NULL"
    });
    assert!(refused(call("EXTRACT", [text("CENTURY"), col("t")])).contains("unit"));
}

#[test]
fn what_does_not_fit_is_refused_with_words() {
    for (expr, words) in [
        (col("nope"), "there is no column `nope`; its input has d, i, l"),
        (call("=", [col("s"), col("d")]), "STRING and DOUBLE cannot be compared"),
        (call("+", [col("s"), int(1)]), "+ takes numbers, not (STRING, INT)"),
        (call("AND", [col("b"), col("i")]), "AND does not take (BOOLEAN, INT)"),
        (call("FROB", [col("b")]), "there is no function FROB"),
        (call("UPPER", [col("d")]), "argument 1 is DOUBLE, not STRING"),
        (call("UPPER", []), "UPPER does not take 0 arguments"),
        (call("SQRT", [col("s")]), "SQRT takes a number, not STRING"),
        (call("CASE", [col("b"), int(1)]), "odd number"),
        (call("CASE", [col("b"), int(1), text("x")]), "no common type"),
        (lit("INT", 3_000_000_000i64), "is no literal of type INT"),
        (lit("DOUBLE", "many"), "is no literal of type DOUBLE"),
        (lit("DEVICE", "x"), "use STRING"),
        (json!({"e": "call", "function": "ABS", "args": [col("d")], "type": "INT"}), "belongs to CAST"),
    ] {
        let message = refused(expr.clone());
        assert!(message.contains(words), "{expr}: {message}");
    }
}
