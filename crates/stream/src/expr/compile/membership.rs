//! IN: a set where there are many constants, comparisons otherwise.

use super::super::compare::{Comparison, InSet, Members, double_key};
use super::super::{Compiled, Node, Value};
use super::types::{is_coded, is_text};
use super::{Compiler, boolean, take};
use crate::plan::Type;

impl Compiler<'_> {
    pub(super) fn in_list(&self, mut args: Vec<Compiled>) -> Result<Compiled, String> {
        if args.len() < 2 {
            return Err("IN needs a value and at least one member".into());
        }
        let list = args.split_off(1);
        let [value] = take("IN", args)?;
        if let Some(set) = self.in_set(&value, &list)? {
            return Ok(set);
        }
        let mut parts = Vec::with_capacity(list.len());
        for member in list {
            parts.push(self.compare(Comparison::Equal, value.clone(), member)?);
        }
        match parts.len() {
            1 => parts.pop().ok_or_else(|| "IN needs at least one member".into()),
            _ => Ok(boolean(Node::Or(parts))),
        }
    }

    /// A set, if there are many constants of the value's type.
    fn in_set(&self, value: &Compiled, list: &[Compiled]) -> Result<Option<Compiled>, String> {
        let kind = value.kind;
        if list.len() < 4 || !matches!(kind, Type::Double | Type::Int | Type::BigInt) && !is_text(kind) {
            return Ok(None);
        }
        let mut constants = Vec::with_capacity(list.len());
        for member in list {
            match &member.node {
                Node::Constant(Value::I64(v)) if kind == Type::Double => {
                    constants.push(Value::F64(*v as f64))
                }
                Node::Constant(Value::F64(_)) if kind != Type::Double => return Ok(None),
                Node::Constant(value) => constants.push(value.clone()),
                _ => return Ok(None),
            }
        }
        let has_null = constants.contains(&Value::Null);
        let arg = if is_coded(kind) { self.text(value.clone())? } else { value.clone() };
        let fits = |c: &Value| {
            matches!(
                (c, kind),
                (Value::Null, _)
                    | (Value::F64(_), Type::Double)
                    | (Value::I64(_), Type::Int | Type::BigInt)
                    | (Value::Text(_), Type::Text | Type::Device | Type::Metric | Type::Quality)
            )
        };
        if !constants.iter().all(fits) {
            return Ok(None);
        }
        let members = match kind {
            Type::Double => Members::F64(
                constants
                    .iter()
                    .filter_map(|c| if let Value::F64(v) = c { Some(*v) } else { None })
                    .filter(|v| !v.is_nan())
                    .map(double_key)
                    .collect(),
            ),
            Type::Int | Type::BigInt => Members::I64(
                constants
                    .iter()
                    .filter_map(|c| if let Value::I64(v) = c { Some(*v) } else { None })
                    .collect(),
            ),
            _ => Members::Text(
                constants
                    .iter()
                    .filter_map(|c| if let Value::Text(t) = c { Some(t.clone()) } else { None })
                    .collect(),
            ),
        };
        Ok(Some(boolean(Node::InSet(Box::new(InSet { arg, members, has_null })))))
    }
}
