//! `INSERT INTO alerts`.

use super::{Cells, Emitter, Sink, SinkColumn, Text};
use crate::error::RuleFailure;
use crate::outputs::{AlertOut, AlertState, OutputId};
use crate::vector::Frame;

const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];

pub(crate) struct Alerts {
    pub(crate) time: SinkColumn,
    pub(crate) device: SinkColumn,
    pub(crate) severity: Option<SinkColumn>,
    pub(crate) dedup_key: Option<SinkColumn>,
    pub(crate) state: Option<SinkColumn>,
    pub(crate) message: Option<SinkColumn>,
    pub(crate) num: Option<SinkColumn>,
}

impl Sink for Alerts {
    fn write(&mut self, frame: &Frame<'_>, emitter: &mut Emitter<'_>) -> Result<(), RuleFailure> {
        let cells = |column| Cells::of(frame, column);
        let (time, device, num) = (cells(Some(self.time)), cells(Some(self.device)), cells(self.num));
        let (severity, dedup_key) = (cells(self.severity), cells(self.dedup_key));
        let (state, message) = (cells(self.state), cells(self.message));
        for row in 0..frame.len() {
            let names = emitter.names;
            let (device, device_name) = match device.device(row, names) {
                None => (0, Text::Borrowed("")),
                Some(Ok(found)) => found,
                Some(Err(why)) => {
                    emitter
                        .fail(|| format!("{why}: register it, or insert the column `device` of the reading"));
                    continue;
                }
            };
            let text = |cells: &'_ Cells<'_>, default| -> String {
                cells.text(row, names).map_or_else(|| String::from(default), |t| String::from(&*t))
            };
            let severity = text(&severity, "warning");
            if !SEVERITIES.contains(&severity.as_str()) {
                emitter.fail(|| format!("severity `{severity}` is none of info, warning, critical"));
                continue;
            }
            let state = match text(&state, "raise").as_str() {
                "raise" => AlertState::Raise,
                "clear" => AlertState::Clear,
                other => {
                    emitter.fail(|| format!("state `{other}` is neither raise nor clear"));
                    continue;
                }
            };
            let Some(ts) = time.i64(row) else {
                emitter.fail(|| "the row has no time".into());
                continue;
            };
            let (dedup_key, message, num) = (text(&dedup_key, ""), text(&message, ""), num.f64(row));
            let number = num.map(|n| n.to_bits().to_le_bytes());
            let id = OutputId::of(
                emitter.rule,
                emitter.version,
                ts,
                &[
                    b"alert",
                    device_name.as_bytes(),
                    dedup_key.as_bytes(),
                    severity.as_bytes(),
                    state.as_str().as_bytes(),
                    message.as_bytes(),
                    number.as_ref().map_or(&[], |n| n.as_slice()),
                ],
            );
            emitter.rows += 1;
            emitter.outputs.alert(&AlertOut {
                id,
                rule: emitter.rule,
                rule_version: emitter.version,
                device,
                device_name: &device_name,
                severity: &severity,
                dedup_key: &dedup_key,
                state,
                message: &message,
                num,
                ts,
            });
        }
        Ok(())
    }
}
