//! `INSERT INTO commands`.

use super::{Cells, Emitter, Sink, SinkColumn};
use crate::error::RuleFailure;
use crate::outputs::{CommandOut, OutputId, is_json};
use crate::vector::Frame;

pub(crate) struct Commands {
    pub(crate) time: SinkColumn,
    pub(crate) device: SinkColumn,
    pub(crate) name: SinkColumn,
    pub(crate) parameters: Option<SinkColumn>,
    pub(crate) deadline: Option<SinkColumn>,
}

impl Sink for Commands {
    fn write(&mut self, frame: &Frame<'_>, emitter: &mut Emitter<'_>) -> Result<(), RuleFailure> {
        let cells = |column| Cells::of(frame, column);
        let (time, device, name) = (cells(Some(self.time)), cells(Some(self.device)), cells(Some(self.name)));
        let (parameters, deadline) = (cells(self.parameters), cells(self.deadline));
        for row in 0..frame.len() {
            let names = emitter.names;
            let (device, device_name) = match device.device(row, names) {
                Some(Ok(found)) => found,
                Some(Err(why)) => {
                    emitter.fail(|| format!("{why}: a command needs a registered one"));
                    continue;
                }
                None => {
                    emitter.fail(|| {
                        "`device` is NULL: a command needs one; leave such rows out with WHERE".into()
                    });
                    continue;
                }
            };
            let Some(name) = name.text(row, names).filter(|n| !n.is_empty()) else {
                emitter.fail(|| "`name` is NULL or empty: a command needs one".into());
                continue;
            };
            let parameters = parameters.text(row, names);
            let parameters = parameters.as_deref().unwrap_or("{}");
            if !is_json(parameters) {
                emitter.fail(|| format!("`parameters` is not JSON: {}", head(parameters)));
                continue;
            }
            let Some(ts) = time.i64(row) else {
                emitter.fail(|| "the row has no time".into());
                continue;
            };
            let deadline = deadline.i64(row);
            let deadline_bytes = deadline.map(i64::to_le_bytes);
            let id = OutputId::of(
                emitter.rule,
                emitter.version,
                ts,
                &[
                    b"command",
                    device_name.as_bytes(),
                    name.as_bytes(),
                    parameters.as_bytes(),
                    deadline_bytes.as_ref().map_or(&[], |d| d.as_slice()),
                ],
            );
            emitter.rows += 1;
            emitter.outputs.command(&CommandOut {
                id,
                rule: emitter.rule,
                rule_version: emitter.version,
                device,
                device_name: &device_name,
                name: &name,
                parameters,
                deadline,
                ts,
            });
        }
        Ok(())
    }
}

/// The beginning of a text, for a message.
fn head(text: &str) -> String {
    text.chars().take(80).collect()
}
