//! Statistics, connections, dead letters and rules as Python's dictionaries.

use mohhos_gateway::{Connection, DeadLetter, RuleStats, Stats};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// Counters and gauges by part and name.
pub fn stats<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for (part, counters) in stats {
        let inner = PyDict::new(py);
        for (name, value) in counters {
            inner.set_item(name, value)?;
        }
        out.set_item(part, inner)?;
    }
    Ok(out)
}

/// What is known of a device's connection.
pub fn connection<'py>(py: Python<'py>, of: &Connection) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("connected", of.connected)?;
    out.set_item("clients", of.clients.iter().map(|c| c.to_string()).collect::<Vec<_>>())?;
    out.set_item("address", of.address.map(|a| a.to_string()))?;
    out.set_item("since_us", of.since_us)?;
    out.set_item("messages_in", of.messages_in)?;
    out.set_item("messages_out", of.messages_out)?;
    out.set_item("bytes_in", of.bytes_in)?;
    out.set_item("bytes_out", of.bytes_out)?;
    out.set_item("dropped", of.dropped)?;
    out.set_item("dead_letters", of.dead_letters)?;
    out.set_item("clock_corrections", of.clock_corrections)?;
    out.set_item("last_seen_us", of.last_seen_us)?;
    Ok(out)
}

/// A payload that could not be decoded.
pub fn dead_letter<'py>(py: Python<'py>, letter: &DeadLetter) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("device", &letter.device)?;
    out.set_item("topic", &letter.topic)?;
    out.set_item("reason", &letter.reason)?;
    out.set_item("head", PyBytes::new(py, &letter.head))?;
    out.set_item("at_us", letter.at_us)?;
    Ok(out)
}

/// How a rule runs.
pub fn rule<'py>(py: Python<'py>, rule: &RuleStats) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("name", &rule.name)?;
    out.set_item("version", rule.version)?;
    out.set_item("state", if rule.error.is_some() { "failed" } else { "running" })?;
    let row_error =
        rule.row_error.as_ref().map(|e| format!("{} rows were not taken, the last: {e}", rule.rows_failed));
    out.set_item("error", rule.error.clone().or(row_error).unwrap_or_default())?;
    out.set_item("rows_in", rule.rows_in)?;
    out.set_item("rows_out", rule.rows_out)?;
    out.set_item("late", rule.late)?;
    out.set_item("state_bytes", rule.state_bytes)?;
    out.set_item("last_output_us", rule.last_output_us)?;
    Ok(out)
}
