//! The sink of a plan: which columns of its input it reads.

use crate::error::PlanError;
use crate::expr::{Columns, name};
use crate::plan::{SinkSpec, TableSinkSpec, TopicSpec, Type};
use crate::sinks::{Alerts, Commands, Payload, Sink, SinkColumn, Topic, topic_fault};

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

pub(super) fn sink(spec: &SinkSpec, columns: &Columns) -> Result<Box<dyn Sink>, PlanError> {
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
