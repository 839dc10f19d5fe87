//! What the control plane should know, as Python's dictionaries.

use mohhos_gateway::{Event, RuleFailure};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// An `Event`.
pub fn event<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    match event {
        Event::Connected { principal, client, at_us, address, protocol } => {
            out.set_item("kind", "connected")?;
            out.set_item("principal", &**principal)?;
            out.set_item("client", &**client)?;
            out.set_item("at_us", at_us)?;
            out.set_item("address", address.to_string())?;
            out.set_item("protocol", protocol)?;
        }
        Event::Disconnected { principal, client, at_us, reason, clean, will, last } => {
            out.set_item("kind", "disconnected")?;
            out.set_item("principal", &**principal)?;
            out.set_item("client", &**client)?;
            out.set_item("at_us", at_us)?;
            out.set_item("reason", reason)?;
            out.set_item("clean", clean)?;
            out.set_item("will", will)?;
            out.set_item("last", last)?;
        }
        Event::Presence { principals } => {
            out.set_item("kind", "presence")?;
            let principals: Vec<(&str, bool, i64)> =
                principals.iter().map(|(name, online, since_us)| (&**name, *online, *since_us)).collect();
            out.set_item("principals", principals)?;
        }
        Event::Seen { devices } => {
            out.set_item("kind", "seen")?;
            let seen: Vec<(&str, i64)> = devices.iter().map(|(id, at_us)| (&**id, *at_us)).collect();
            out.set_item("devices", seen)?;
        }
        Event::Delivered { commands } => {
            out.set_item("kind", "delivered")?;
            let receipts: Vec<(&str, &str, u64, i64)> =
                commands.iter().map(|r| (&*r.device, &*r.command, r.offset, r.at_us)).collect();
            out.set_item("commands", receipts)?;
        }
        Event::Refused(refusal) => {
            out.set_item("kind", "refused")?;
            out.set_item("principal", &*refusal.principal)?;
            out.set_item("client", &*refusal.client)?;
            out.set_item("at_us", refusal.at_us)?;
            out.set_item("address", refusal.address.to_string())?;
            out.set_item("reason_code", refusal.reason_code)?;
            out.set_item("reason", &refusal.reason)?;
            out.set_item("action", refusal.action.name())?;
            out.set_item("topic", &refusal.topic)?;
            out.set_item("count", refusal.count)?;
        }
        Event::Alarm { code, message, at_us, raised } => {
            out.set_item("kind", "alarm")?;
            out.set_item("code", code)?;
            out.set_item("message", message)?;
            out.set_item("at_us", at_us)?;
            out.set_item("raised", raised)?;
        }
    }
    Ok(out)
}

/// An `Event` of kind "rule_failed".
pub fn rule_failed<'py>(py: Python<'py>, failure: &RuleFailure) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("kind", "rule_failed")?;
    out.set_item("rule", &failure.rule)?;
    out.set_item("message", &failure.message)?;
    out.set_item("stopped", failure.stopped)?;
    out.set_item("at_us", failure.at_us)?;
    Ok(out)
}
