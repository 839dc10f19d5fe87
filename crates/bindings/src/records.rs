//! Messages of the log as Python's dictionaries.

use mohhos_gateway::log_view::LogMessage;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// A `LogRecord`.
pub fn log_record<'py>(py: Python<'py>, message: &LogMessage) -> PyResult<Bound<'py, PyDict>> {
    let record = PyDict::new(py);
    record.set_item("offset", message.offset)?;
    record.set_item("next", message.next)?;
    record.set_item("principal", &message.principal)?;
    record.set_item("device", &message.device)?;
    record.set_item("topic", &message.topic)?;
    record.set_item("qos", message.qos)?;
    record.set_item("retain", message.retain)?;
    record.set_item("wall_us", message.wall_us)?;
    record.set_item("content_type", &message.content_type)?;
    record.set_item("payload", PyBytes::new(py, &message.payload))?;
    Ok(record)
}
