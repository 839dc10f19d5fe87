//! Secrets and passwords.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::native;

/// HMAC-SHA-256 of a secret under the gateway's key.
#[pyfunction]
pub fn hash_secret<'py>(py: Python<'py>, gateway_key: &[u8], secret: &str) -> PyResult<Bound<'py, PyBytes>> {
    let key: &[u8; 32] = gateway_key.try_into().map_err(|_| {
        native("gateway-key-damaged", format!("the key has {} bytes, not 32", gateway_key.len()))
    })?;
    Ok(PyBytes::new(py, &mohhos_gateway::hash_secret(key, secret.as_bytes())))
}

/// Argon2id with a random salt, as a PHC string.
#[pyfunction]
pub fn hash_password(py: Python<'_>, password: &str) -> PyResult<String> {
    py.detach(|| mohhos_gateway::hash_password(password)).ok_or_else(|| {
        native("native-failed", "the system gave no random salt, so the password was not hashed")
    })
}

/// Is it the password of the PHC string?
#[pyfunction]
pub fn verify_password(py: Python<'_>, phc: &str, password: &str) -> bool {
    py.detach(|| mohhos_gateway::verify_password(phc, password.as_bytes()))
}
