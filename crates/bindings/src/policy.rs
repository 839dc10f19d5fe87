//! The states of devices and explanations, from and to Python.

use mohhos_gateway::{Explanation, Standing};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::native;

/// A state by its name: "allow", "throttle" with a rate, "quarantine" with topics.
pub fn standing(state: &str, rate: Option<f64>, topics: Vec<String>) -> PyResult<Standing> {
    match (state, rate) {
        ("allow", _) => Ok(Standing::Allow),
        ("throttle", Some(rate)) => Ok(Standing::Throttle(rate)),
        ("quarantine", _) => Ok(Standing::Quarantine(topics)),
        ("throttle", None) => {
            Err(native("invalid-argument", "a throttle needs a rate, in messages per second"))
        }
        _ => {
            Err(native("invalid-argument", format!("\"{state}\" is no state: allow, throttle or quarantine")))
        }
    }
}

/// Why something is permitted or not.
pub fn explanation<'py>(py: Python<'py>, of: &Explanation) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("allowed", of.allowed)?;
    out.set_item("decided_by", of.decided_by)?;
    out.set_item("role", &of.role)?;
    out.set_item("list", &of.list)?;
    out.set_item("pattern", &of.pattern)?;
    out.set_item("device", &of.device)?;
    out.set_item("reason", &of.reason)?;
    Ok(out)
}

/// The roles that are always there and cannot be replaced, as a document of the role language (JSON).
#[pyfunction]
pub fn built_in_roles() -> &'static str {
    mohhos_gateway::BUILT_IN_ROLES
}
