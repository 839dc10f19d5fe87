//! Failures as Python exceptions: `args` is (code, message).

use mohhos_gateway::GatewayError;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(mohhos._native, NativeError, PyException, "Something native failed.");
create_exception!(mohhos._native, PlanError, NativeError, "A plan cannot be run.");

/// The exception for a failure.
pub fn raise(error: &GatewayError) -> PyErr {
    let args = (error.code, error.message.clone());
    if error.code == "rule-engine" { PlanError::new_err(args) } else { NativeError::new_err(args) }
}

/// A failure without an error of the gateway behind it.
pub fn native(code: &'static str, message: impl Into<String>) -> PyErr {
    NativeError::new_err((code, message.into()))
}
