//! From a plan to a pipeline that runs. Everything that can be wrong with a plan is found here.

use mohhos_decode::{ColumnType, TableId, TableSchema, telemetry};

use crate::dict::EngineNames;
use crate::error::PlanError;
use crate::expr::{Columns, Compiled, compile, name};
use crate::operators::tumble::{AggregateParts, TumbleParts};
use crate::operators::{Filter, Operator, Project, Tumble};
use crate::pipeline::Pipeline;
use crate::plan::{
    Aggregate, AggregateSpec, FilterSpec, OperatorSpec, PLAN_VERSION, Plan, ProjectSpec, Scope, SinkSpec,
    SourceSpec, TableSinkSpec, TopicSpec, TumbleSpec, Type,
};
use crate::sinks::{Alerts, Commands, Payload, Sink, SinkColumn, Topic, topic_fault};
use crate::source::{Grouping, Source};
use crate::watermark::Watermarks;

/// A day, the longest delay and half the longest window that make sense at an edge times a good margin.
const MAX_SPAN_US: i64 = 400 * 86_400_000_000;

/// What a plan is compiled against.
pub(crate) struct Environment<'e> {
    pub(crate) names: &'e EngineNames,
    pub(crate) tables: &'e [TableSchema],
    pub(crate) idle_timeout_us: i64,
    pub(crate) max_state_bytes: usize,
}

/// Reads the JSON of a plan and checks that it belongs to the rule that is deployed.
pub(crate) fn parse(rule: &str, version: u32, json: &str) -> Result<Plan, PlanError> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let invalid = |e: serde_json::Error| PlanError::plan(format!("the plan cannot be read: {e}"));
    let written: Version = serde_json::from_str(json).map_err(invalid)?;
    if written.version != PLAN_VERSION {
        let message = format!(
            "the plan has format version {}; this build runs version {PLAN_VERSION}",
            written.version
        );
        return Err(PlanError::plan(message));
    }
    let plan: Plan = serde_json::from_str(json).map_err(invalid)?;
    if plan.rule != rule || plan.rule_version != version {
        let message = format!(
            "the plan is of rule `{}` version {}, but deployed is `{rule}` version {version}",
            plan.rule, plan.rule_version
        );
        return Err(PlanError::plan(message));
    }
    Ok(plan)
}

/// The columns that leave an operator, and which column of the source each passes on unchanged.
#[derive(Clone)]
struct Stream {
    columns: Columns,
    origins: Vec<Option<usize>>,
}

/// Compiles a plan.
pub(crate) fn pipeline(plan: &Plan, environment: &Environment<'_>) -> Result<Pipeline, PlanError> {
    check_graph(plan)?;
    let Some((OperatorSpec::Source(spec), rest)) = plan.operators.split_first() else {
        return Err(PlanError::plan("the first operator is not a source"));
    };
    let (mut source, mut stream, device) = source(spec, environment)?;
    let mut operators: Vec<Box<dyn Operator>> = Vec::with_capacity(rest.len());
    for operator in rest {
        let at = |message: String| PlanError::new(operator.id(), message);
        operators.push(match operator {
            OperatorSpec::Source(_) => {
                return Err(at("there can be one source only, the first operator".into()));
            }
            OperatorSpec::Filter(spec) => filter(spec, &stream, environment).map_err(at)?,
            OperatorSpec::Project(spec) => {
                let (project, projected) = project(spec, &stream, environment).map_err(at)?;
                stream = projected;
                project
            }
            OperatorSpec::Tumble(spec) => {
                let (parts, windows) =
                    tumble(spec, &stream, source.rowtime, device, spec_scope(plan), environment)
                        .map_err(at)?;
                source.grouping = match (parts.device_key, device) {
                    (Some(_), Some(column)) => Grouping::Device(column),
                    _ => Grouping::Table,
                };
                stream = windows;
                Box::new(Tumble::new(parts))
            }
        });
    }
    let sink = sink(&plan.sink, &stream.columns)?;
    let idle_timeout_us = match spec.watermark.scope {
        Scope::Device => Some(spec.watermark.idle_timeout_us.unwrap_or(environment.idle_timeout_us)),
        Scope::Table => spec.watermark.idle_timeout_us,
    };
    let watermarks = Watermarks::new(spec.watermark.delay_us, idle_timeout_us);
    Ok(Pipeline { source, spec: spec.clone(), watermarks, operators, sink })
}

fn spec_scope(plan: &Plan) -> Scope {
    match plan.operators.first() {
        Some(OperatorSpec::Source(spec)) => spec.watermark.scope,
        _ => Scope::Table,
    }
}

/// In version 1 the operators form one chain from the source to the sink.
fn check_graph(plan: &Plan) -> Result<(), PlanError> {
    let (sink_id, sink_input) = match &plan.sink {
        SinkSpec::Alerts(s) | SinkSpec::Commands(s) => (&s.id, &s.input),
        SinkSpec::Topic(s) => (&s.id, &s.input),
    };
    let mut before: Vec<&str> = Vec::with_capacity(plan.operators.len());
    let inputs = plan.operators.iter().map(|operator| match operator {
        OperatorSpec::Source(s) => (s.id.as_str(), None),
        OperatorSpec::Filter(s) => (s.id.as_str(), Some(s.input.as_str())),
        OperatorSpec::Project(s) => (s.id.as_str(), Some(s.input.as_str())),
        OperatorSpec::Tumble(s) => (s.id.as_str(), Some(s.input.as_str())),
    });
    for (id, input) in inputs.chain([(sink_id.as_str(), Some(sink_input.as_str()))]) {
        if id.is_empty() || before.contains(&id) {
            return Err(PlanError::new(id, "the id is empty or given twice"));
        }
        if let Some(input) = input {
            if !before.contains(&input) {
                return Err(PlanError::new(id, format!("its input `{input}` does not stand before it")));
            }
            if before.last() != Some(&input) {
                let message =
                    format!("its input `{input}` is read by another operator too; this build runs chains");
                return Err(PlanError::new(id, message));
            }
        }
        before.push(id);
    }
    Ok(())
}

/// The columns of a table as the engine sees them: name, type, position in the batch.
fn table_columns(table: TableId, tables: &[TableSchema]) -> Result<Vec<(String, Type, usize)>, String> {
    if table == 0 {
        return Ok([
            ("device", Type::Device, telemetry::DEVICE),
            ("metric", Type::Metric, telemetry::METRIC),
            ("ts", Type::Timestamp, telemetry::TS),
            ("num", Type::Double, telemetry::NUM),
            ("text", Type::Text, telemetry::TEXT),
            ("quality", Type::Quality, telemetry::QUALITY),
            ("table", Type::Metric, telemetry::TABLE),
        ]
        .map(|(name, kind, position)| (name.to_owned(), kind, position))
        .into());
    }
    let Some(schema) = tables.iter().find(|t| t.id == table) else {
        return Err(format!("there is no table {table}; declare it before the rule"));
    };
    let kind = |kind| match kind {
        ColumnType::Double => Type::Double,
        ColumnType::BigInt => Type::BigInt,
        ColumnType::Int => Type::Int,
        ColumnType::Boolean => Type::Boolean,
        ColumnType::Text => Type::Text,
        ColumnType::Timestamp => Type::Timestamp,
        ColumnType::Device => Type::Device,
        ColumnType::Metric => Type::Metric,
        ColumnType::Quality => Type::Quality,
    };
    Ok(schema.columns.iter().enumerate().map(|(i, c)| (c.name.clone(), kind(c.kind), i)).collect())
}

/// Where the columns of a source are in the table's batches.
pub(crate) fn resolve(spec: &SourceSpec, tables: &[TableSchema]) -> Result<Vec<(usize, Type)>, PlanError> {
    let at = |message: String| PlanError::new(&spec.id, message);
    let known = table_columns(spec.table, tables).map_err(at)?;
    let mut columns = Vec::with_capacity(spec.columns.len());
    for (index, column) in spec.columns.iter().enumerate() {
        if spec.columns[..index].iter().any(|c| c.name == column.name) {
            return Err(at(format!("column `{}` is listed twice", column.name)));
        }
        match known.iter().find(|(name, ..)| *name == column.name) {
            Some(&(_, kind, position)) if kind == column.kind => columns.push((position, kind)),
            Some((_, kind, _)) => {
                let message =
                    format!("column `{}` is {}, not {}", column.name, name(*kind), name(column.kind));
                return Err(at(message));
            }
            None => return Err(at(format!("table {} has no column `{}`", spec.table, column.name))),
        }
    }
    Ok(columns)
}

/// The source, what leaves it, and which of its columns is the device.
fn source(
    spec: &SourceSpec,
    environment: &Environment<'_>,
) -> Result<(Source, Stream, Option<usize>), PlanError> {
    let at = |message: String| PlanError::new(&spec.id, message);
    let positions = resolve(spec, environment.tables)?;
    let columns = Columns { list: spec.columns.iter().map(|c| (c.name.clone(), c.kind)).collect() };
    let (rowtime, kind) = columns.find(&spec.rowtime).map_err(at)?;
    if kind != Type::Timestamp {
        return Err(at(format!("the rowtime `{}` is {}, not TIMESTAMP(3)", spec.rowtime, name(kind))));
    }
    if !(0..=MAX_SPAN_US).contains(&spec.watermark.delay_us) {
        return Err(at("the watermark's delay_us is negative or beyond 400 days".into()));
    }
    if spec.watermark.idle_timeout_us.is_some_and(|t| t <= 0) {
        return Err(at("the watermark's idle_timeout_us has to be greater than 0".into()));
    }
    let device = columns.list.iter().position(|&(_, kind)| kind == Type::Device);
    let stream = Stream { origins: (0..columns.list.len()).map(Some).collect(), columns };
    let source = Source {
        id: spec.id.clone(),
        table: spec.table,
        columns: positions,
        rowtime,
        grouping: Grouping::Unused,
        max_state_bytes: environment.max_state_bytes,
    };
    Ok((source, stream, device))
}

fn filter(
    spec: &FilterSpec,
    stream: &Stream,
    environment: &Environment<'_>,
) -> Result<Box<dyn Operator>, String> {
    let condition = condition(&spec.condition, stream, environment)?;
    Ok(Box::new(Filter::new(spec.id.clone(), condition)))
}

fn condition(
    expr: &crate::plan::Expr,
    stream: &Stream,
    environment: &Environment<'_>,
) -> Result<Compiled, String> {
    let compiled = compile(expr, &stream.columns, environment.names)?;
    if compiled.kind != Type::Boolean {
        return Err(format!("the condition is {}, not BOOLEAN", name(compiled.kind)));
    }
    Ok(compiled)
}

fn project(
    spec: &ProjectSpec,
    stream: &Stream,
    environment: &Environment<'_>,
) -> Result<(Box<dyn Operator>, Stream), String> {
    let mut projected = Stream { columns: Columns::default(), origins: Vec::new() };
    let mut compiled = Vec::with_capacity(spec.columns.len());
    for column in &spec.columns {
        let expr = compile(&column.expr, &stream.columns, environment.names)
            .map_err(|e| format!("column `{}`: {e}", column.name))?;
        if expr.kind != column.kind {
            return Err(disagreement(&column.name, column.kind, expr.kind));
        }
        add_column(&mut projected, &column.name, column.kind)?;
        projected.origins.push(expr.as_column().and_then(|index| stream.origins[index]));
        compiled.push(expr);
    }
    Ok((Box::new(Project::new(spec.id.clone(), compiled)), projected))
}

fn disagreement(column: &str, planned: Type, found: Type) -> String {
    format!(
        "column `{column}` is planned as {}, but is {}: planner and engine disagree, please report it",
        name(planned),
        name(found)
    )
}

fn add_column(stream: &mut Stream, name: &str, kind: Type) -> Result<(), String> {
    if stream.columns.list.iter().any(|(n, _)| n == name) {
        return Err(format!("column `{name}` is there twice"));
    }
    stream.columns.list.push((name.to_owned(), kind));
    Ok(())
}

fn tumble(
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
    let compile = |expr: &crate::plan::Expr| compile(expr, &stream.columns, environment.names);
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

/// Finds columns for a sink.
struct Finder<'f> {
    id: &'f str,
    columns: &'f Columns,
}

const TEXTS: [Type; 4] = [Type::Text, Type::Device, Type::Metric, Type::Quality];
const DEVICES: [Type; 2] = [Type::Device, Type::Text];
const NUMBERS: [Type; 3] = [Type::Double, Type::Int, Type::BigInt];

impl Finder<'_> {
    fn optional(&self, column: &str, kinds: &[Type]) -> Result<Option<SinkColumn>, PlanError> {
        let Ok((index, kind)) = self.columns.find(column) else { return Ok(None) };
        if kinds.contains(&kind) {
            return Ok(Some(SinkColumn { index, kind }));
        }
        let wanted: Vec<&str> = kinds.iter().map(|&k| name(k)).collect();
        let message = format!("column `{column}` is {}; the sink takes {}", name(kind), wanted.join(", "));
        Err(PlanError::new(self.id, message))
    }

    fn required(&self, column: &str, kinds: &[Type]) -> Result<SinkColumn, PlanError> {
        self.optional(column, kinds)?.ok_or_else(|| {
            let message =
                self.columns.find(column).err().unwrap_or_else(|| format!("column `{column}` is missing"));
            PlanError::new(self.id, message)
        })
    }
}

fn sink(spec: &SinkSpec, columns: &Columns) -> Result<Box<dyn Sink>, PlanError> {
    match spec {
        SinkSpec::Alerts(spec) => alerts(spec, columns),
        SinkSpec::Commands(spec) => commands(spec, columns),
        SinkSpec::Topic(spec) => topic(spec, columns),
    }
}

fn alerts(spec: &TableSinkSpec, columns: &Columns) -> Result<Box<dyn Sink>, PlanError> {
    let find = Finder { id: &spec.id, columns };
    Ok(Box::new(Alerts {
        time: find.required(&spec.time, &[Type::Timestamp])?,
        device: find.required("device", &DEVICES)?,
        severity: find.optional("severity", &TEXTS)?,
        dedup_key: find.optional("dedup_key", &TEXTS)?,
        state: find.optional("state", &TEXTS)?,
        message: find.optional("message", &TEXTS)?,
        num: find.optional("num", &NUMBERS)?,
    }))
}

fn commands(spec: &TableSinkSpec, columns: &Columns) -> Result<Box<dyn Sink>, PlanError> {
    let find = Finder { id: &spec.id, columns };
    Ok(Box::new(Commands {
        time: find.required(&spec.time, &[Type::Timestamp])?,
        device: find.required("device", &DEVICES)?,
        name: find.required("name", &TEXTS)?,
        parameters: find.optional("parameters", &TEXTS)?,
        deadline: find.optional("deadline", &[Type::Timestamp])?,
    }))
}

fn topic(spec: &TopicSpec, columns: &Columns) -> Result<Box<dyn Sink>, PlanError> {
    let at = |message: String| PlanError::new(&spec.id, message);
    let find = Finder { id: &spec.id, columns };
    let topic_column = spec.topic_column.as_deref().map(|c| find.required(c, &TEXTS)).transpose()?;
    let topic = match (&spec.topic, topic_column) {
        (Some(topic), None) => topic.clone(),
        (None, Some(_)) => String::new(),
        _ => return Err(at("exactly one of topic and topic_column says where rows go".into())),
    };
    if let (Some(fault), None) = (topic_fault(&topic), topic_column) {
        return Err(at(format!("the topic `{topic}` {fault}")));
    }
    if spec.qos > 2 {
        return Err(at(format!("qos {} is none of 0, 1, 2", spec.qos)));
    }
    let mut payload: Vec<Payload> = Vec::with_capacity(spec.columns.len());
    for column in &spec.columns {
        if payload.iter().any(|p| p.member == column.member) {
            return Err(at(format!("member `{}` is there twice", column.member)));
        }
        let (index, kind) = columns.find(&column.column).map_err(at)?;
        payload.push(Payload { member: column.member.clone(), column: SinkColumn { index, kind } });
    }
    Ok(Box::new(Topic {
        time: find.required(&spec.time, &[Type::Timestamp])?,
        topic,
        topic_column,
        device: spec.device_column.as_deref().map(|c| find.required(c, &DEVICES)).transpose()?,
        payload,
        qos: spec.qos,
        retain: spec.retain,
    }))
}
