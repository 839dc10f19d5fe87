//! Statistics, connections, dead letters and rules as Python's dictionaries.

use mohhos_gateway::{
    BOUNDS_US, Column, Connection, DeadLetter, DeviceTable, Latencies, RuleStats, SessionView, Stats,
    TracePart, Visit,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::json;

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

/// What is known of a device's connection, its sessions, and its connections that have ended.
pub fn connection<'py>(
    py: Python<'py>,
    of: &Connection,
    sessions: &[SessionView],
    visits: &[Visit],
) -> PyResult<Bound<'py, PyAny>> {
    let mut told = serde_json::to_value(of).unwrap_or_default();
    told["sessions"] = serde_json::to_value(sessions).unwrap_or_default();
    told["history"] = serde_json::to_value(visits).unwrap_or_default();
    told["latency_bounds_us"] = serde_json::to_value(BOUNDS_US).unwrap_or_default();
    json::object(py, &told)
}

/// Histograms of latencies by name.
pub fn latencies<'py>(py: Python<'py>, named: &[(&'static str, &Latencies)]) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for (name, latencies) in named {
        let inner = PyDict::new(py);
        inner.set_item("bounds_us", BOUNDS_US.to_vec())?;
        inner.set_item("counts", latencies.counts.to_vec())?;
        inner.set_item("sum_us", latencies.sum_us)?;
        out.set_item(name, inner)?;
    }
    Ok(out)
}

/// Columns: name, kind, and the buffers as Arrow lays them out.
pub type Columns<'py> = Vec<(String, &'static str, Vec<Bound<'py, PyBytes>>)>;

/// The columns of a table.
pub fn device_table<'py>(py: Python<'py>, table: &DeviceTable) -> PyResult<Columns<'py>> {
    let columns = table.columns.iter().map(|(name, column)| {
        let (kind, buffers): (&str, Vec<&[u8]>) = match column {
            Column::Text { offsets, bytes } => ("text", vec![offsets, bytes]),
            Column::Bool(bits) => ("bool", vec![bits]),
            Column::Count(values) => ("count", vec![values]),
            Column::Time(values) => ("time", vec![values]),
        };
        (name.clone(), kind, buffers.into_iter().map(|bytes| PyBytes::new(py, bytes)).collect())
    });
    Ok(columns.collect())
}

/// A part of a trace.
pub fn trace_part<'py>(py: Python<'py>, part: &TracePart) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    let packets: Vec<(u64, &str)> = part.packets.iter().map(|(number, text)| (*number, &**text)).collect();
    out.set_item("packets", packets)?;
    out.set_item("left_out", part.left_out)?;
    out.set_item("ended", part.ended)?;
    out.set_item("until_us", part.until_us)?;
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
