//! Constants: those of the plan, and calls of constants, whose value is computed once.

use std::sync::Arc;

use serde_json::Value as Json;

use super::super::{Compiled, Node, Value};
use super::types::name;
use crate::plan::Type;
use crate::vector::{Frame, Scalar};

pub(super) fn literal(kind: Type, value: &Json) -> Result<Compiled, String> {
    let wrong = || format!("{value} is no literal of type {}", name(kind));
    let value = match (kind, value) {
        (Type::Device | Type::Metric | Type::Quality, _) => {
            return Err(format!("there are no literals of type {}; use STRING", name(kind)));
        }
        (_, Json::Null) => Value::Null,
        (Type::Boolean, Json::Bool(b)) => Value::Bool(*b),
        (Type::Int, Json::Number(n)) => {
            Value::I64(n.as_i64().and_then(|v| i32::try_from(v).ok()).map(i64::from).ok_or_else(wrong)?)
        }
        (Type::BigInt | Type::Timestamp, Json::Number(n)) => Value::I64(n.as_i64().ok_or_else(wrong)?),
        (Type::Double, Json::Number(n)) => Value::F64(n.as_f64().ok_or_else(wrong)?),
        (Type::Double, Json::String(s)) => Value::F64(match s.as_str() {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => return Err(wrong()),
        }),
        (Type::Text, Json::String(s)) => Value::Text(Arc::from(s.as_str())),
        _ => return Err(wrong()),
    };
    Ok(Compiled { kind, node: Node::Constant(value) })
}

/// The value of a call of constants, once and for all.
pub(super) fn folded(call: Compiled) -> Compiled {
    let row = Frame { rows: 1, columns: Vec::new(), selection: None, before: None };
    let vector = call.eval(&row);
    let value = match vector.scalar(0) {
        Scalar::Null => Value::Null,
        Scalar::F64(v) => Value::F64(v),
        Scalar::I64(v) => Value::I64(v),
        Scalar::Bool(v) => Value::Bool(v),
        Scalar::Text(t) => Value::Text(Arc::from(t)),
    };
    let kind = call.kind;
    drop(vector);
    Compiled { kind, node: Node::Constant(value) }
}
