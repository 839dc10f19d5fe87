//! Windows of a plan: time, keys and aggregates.

use super::{Environment, MAX_SPAN_US, Stream, add_column, condition};
use crate::expr::{Columns, compile, name};
use crate::operators::tumble::{AggregateParts, TumbleParts};
use crate::plan::{Aggregate, AggregateSpec, Expr, Scope, TumbleSpec, Type};

pub(super) fn tumble(
    spec: &TumbleSpec,
    stream: &Stream,
    rowtime: usize,
    device: Option<usize>,
    scope: Scope,
    environment: &Environment<'_>,
) -> Result<(TumbleParts, Stream), String> {
    let (time, _) = stream.columns.find(&spec.time)?;
    if stream.origins[time] != Some(rowtime) {
        return Err(format!("`{}` is not the source's rowtime, passed on unchanged", spec.time));
    }
    let milliseconds = spec.size_us % 1000 == 0 && spec.offset_us % 1000 == 0;
    if !(1..=MAX_SPAN_US).contains(&spec.size_us)
        || !(0..spec.size_us).contains(&spec.offset_us)
        || !milliseconds
    {
        return Err(
            "size_us is 1 ms to 400 days, offset_us at least 0 and smaller, both whole milliseconds".into()
        );
    }
    let mut windows = Stream { columns: Columns::default(), origins: Vec::new() };
    let mut keys = Vec::with_capacity(spec.keys.len());
    let mut device_key = None;
    for (position, key) in spec.keys.iter().enumerate() {
        let (index, kind) = stream.columns.find(key)?;
        add_column(&mut windows, key, kind)?;
        keys.push((index, kind));
        if scope == Scope::Device && device.is_some() && stream.origins[index] == device {
            device_key = device_key.or(Some(position));
        }
    }
    let mut aggregates = Vec::with_capacity(spec.aggregates.len());
    for aggregate in &spec.aggregates {
        let parts = aggregate_parts(aggregate, stream, environment)
            .map_err(|e| format!("column `{}`: {e}", aggregate.name))?;
        add_column(&mut windows, &aggregate.name, aggregate.kind)?;
        aggregates.push(parts);
    }
    for column in ["window_start", "window_end", "window_time"] {
        add_column(&mut windows, column, Type::Timestamp)?;
    }
    windows.origins = vec![None; windows.columns.list.len()];
    let parts = TumbleParts {
        id: spec.id.clone(),
        time,
        size_us: spec.size_us,
        offset_us: spec.offset_us,
        keys,
        device_key,
        aggregates,
    };
    Ok((parts, windows))
}

fn aggregate_parts(
    spec: &AggregateSpec,
    stream: &Stream,
    environment: &Environment<'_>,
) -> Result<AggregateParts, String> {
    let compile = |expr: &Expr| compile(expr, &stream.columns, environment.names);
    let argument = spec.argument.as_ref().map(compile).transpose()?;
    let filter = spec.filter.as_ref().map(|f| condition(f, stream, environment)).transpose()?;
    let kind = match (spec.function, argument.as_ref().map(|a| a.kind)) {
        (Aggregate::Count, _) => Type::BigInt,
        (_, Some(kind @ (Type::Double | Type::Int | Type::BigInt))) => kind,
        (Aggregate::Min | Aggregate::Max, Some(Type::Timestamp)) => Type::Timestamp,
        (function, Some(kind)) => return Err(format!("{function:?} does not take {}", name(kind))),
        (function, None) => return Err(format!("{function:?} needs an argument")),
    };
    if kind != spec.kind {
        return Err(format!(
            "planned as {}, but is {}: planner and engine disagree",
            name(spec.kind),
            name(kind)
        ));
    }
    let planned = (spec.argument.clone(), spec.filter.clone());
    Ok(AggregateParts { function: spec.function, planned, argument, filter })
}
