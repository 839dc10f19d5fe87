//! From a plan to a pipeline that runs. Everything that can be wrong with a plan is found here.

mod sink;
mod table;
mod tumble;

use mohhos_decode::TableSchema;

use crate::dict::EngineNames;
use crate::error::PlanError;
use crate::expr::{Columns, Compiled, compile, name};
use crate::operators::{Filter, Operator, Project, Tumble};
use crate::pipeline::Pipeline;
use crate::plan::{
    Expr, FilterSpec, OperatorSpec, PLAN_VERSION, Plan, ProjectSpec, Scope, SinkSpec, SourceSpec, Type,
};
use crate::source::{Grouping, Source};
use crate::watermark::Watermarks;
use sink::sink;
pub(crate) use table::resolve;
use tumble::tumble;

/// The longest delay and the longest window: beyond it somebody mistook the unit.
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

fn condition(expr: &Expr, stream: &Stream, environment: &Environment<'_>) -> Result<Compiled, String> {
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
