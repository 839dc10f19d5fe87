//! `INSERT INTO` a topic table: a JSON object per row.

use super::{Cells, Emitter, Sink, SinkColumn, Text};
use crate::dict::EngineNames;
use crate::error::RuleFailure;
use crate::outputs::{JsonObject, MessageOut, OutputId};
use crate::plan::Type;
use crate::vector::{Frame, Scalar};

/// A member of the object.
pub(crate) struct Payload {
    pub(crate) member: String,
    pub(crate) column: SinkColumn,
}

pub(crate) struct Topic {
    pub(crate) time: SinkColumn,
    /// The topic of all rows; else it is in `topic_column`.
    pub(crate) topic: String,
    pub(crate) topic_column: Option<SinkColumn>,
    pub(crate) device: Option<SinkColumn>,
    pub(crate) payload: Vec<Payload>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

/// Why a topic cannot be published to (MQTT 5, 4.7); `None` if it can.
pub(crate) fn topic_fault(topic: &str) -> Option<&'static str> {
    if topic.is_empty() || topic.len() > 65_535 {
        Some("has no characters, or more than 65,535 bytes")
    } else if topic.contains(['+', '#', '\0']) {
        Some("contains +, # or a null character")
    } else if topic.starts_with('$') {
        Some("begins with $, which is the hub's own")
    } else {
        None
    }
}

impl Sink for Topic {
    fn write(&mut self, frame: &Frame<'_>, emitter: &mut Emitter<'_>) -> Result<(), RuleFailure> {
        let (time, device) = (Cells::of(frame, Some(self.time)), Cells::of(frame, self.device));
        let topics = Cells::of(frame, self.topic_column);
        let members: Vec<(&str, Cells<'_>)> =
            self.payload.iter().map(|p| (p.member.as_str(), Cells::of(frame, Some(p.column)))).collect();
        for row in 0..frame.len() {
            let names = emitter.names;
            let topic = match self.topic_column {
                None => Some(Text::Borrowed(self.topic.as_str())),
                Some(_) => topics.text(row, names),
            };
            let Some(topic) = topic else {
                emitter.fail(|| "the topic is NULL".into());
                continue;
            };
            if let Some(fault) = topic_fault(&topic) {
                emitter.fail(|| format!("the topic `{}` {fault}", &*topic));
                continue;
            }
            let (device, device_name) = match device.device(row, names) {
                None => (0, Text::Borrowed("")),
                Some(Ok(found)) => found,
                Some(Err(why)) => {
                    emitter.fail(|| why);
                    continue;
                }
            };
            let Some(ts) = time.i64(row) else {
                emitter.fail(|| "the row has no time".into());
                continue;
            };
            let mut json = JsonObject::new();
            members.iter().for_each(|(name, cells)| write_member(&mut json, name, cells, row, names));
            let payload = json.finish();
            let parts: [&[u8]; 4] = [b"message", topic.as_bytes(), device_name.as_bytes(), &payload];
            let id = OutputId::of(emitter.rule, emitter.version, ts, &parts);
            emitter.rows += 1;
            emitter.outputs.message(&MessageOut {
                id,
                rule: emitter.rule,
                topic: &topic,
                device,
                device_name: &device_name,
                payload: &payload,
                qos: self.qos,
                retain: self.retain,
                ts,
            });
        }
        Ok(())
    }
}

fn write_member(json: &mut JsonObject, name: &str, cells: &Cells<'_>, row: usize, names: &EngineNames) {
    match (cells.scalar(row), cells.kind) {
        (Scalar::Null, _) => json.null(name),
        (Scalar::F64(v), _) => json.double(name, v),
        (Scalar::Bool(v), _) => json.boolean(name, v),
        (Scalar::Text(v), _) => json.string(name, v),
        (Scalar::I64(v), Type::Timestamp) => json.time(name, v),
        (Scalar::I64(_), Type::Device | Type::Metric | Type::Quality) => match cells.text(row, names) {
            Some(text) => json.string(name, &text),
            None => json.null(name),
        },
        (Scalar::I64(v), _) => json.integer(name, v),
    }
}
