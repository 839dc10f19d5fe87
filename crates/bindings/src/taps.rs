//! Live views.

use std::sync::Arc;
use std::time::Duration;

use mohhos_gateway::telemetry_tap::{TapRow, TelemetryTap};
use mohhos_locks::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

/// A bounded live view on messages or on readings.
#[pyclass(frozen, module = "mohhos._native")]
pub struct Tap(Mutex<Option<Source>>);

#[derive(Clone)]
enum Source {
    Messages(Arc<mohhos_gateway::Tap>),
    Telemetry(Arc<TelemetryTap>),
}

impl Tap {
    /// Of messages.
    pub fn messages(tap: mohhos_gateway::Tap) -> Self {
        Self(Mutex::new(Some(Source::Messages(Arc::new(tap)))))
    }

    /// Of readings.
    pub fn telemetry(tap: Arc<TelemetryTap>) -> Self {
        Self(Mutex::new(Some(Source::Telemetry(tap))))
    }
}

#[pymethods]
impl Tap {
    fn next<'py>(
        &self,
        py: Python<'py>,
        max_items: usize,
        timeout_ms: u64,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let timeout = Duration::from_millis(timeout_ms);
        // The lock must not be held while the GIL is waited for: `close` has the GIL and waits for the lock.
        let source = self.0.lock().clone();
        match source {
            None => Ok(Vec::new()),
            Some(Source::Messages(tap)) => {
                let messages = py.detach(|| tap.next(max_items, timeout));
                messages.iter().map(|message| item(py, message)).collect()
            }
            Some(Source::Telemetry(tap)) => {
                let rows = py.detach(|| tap.next(max_items, timeout));
                rows.iter().map(|r| row(py, r)).collect()
            }
        }
    }

    fn dropped(&self) -> u64 {
        match &*self.0.lock() {
            None => 0,
            Some(Source::Messages(tap)) => tap.dropped(),
            Some(Source::Telemetry(tap)) => tap.dropped(),
        }
    }

    fn close(&self) {
        *self.0.lock() = None;
    }
}

fn item<'py>(py: Python<'py>, message: &mohhos_gateway::Message) -> PyResult<Bound<'py, PyAny>> {
    let payload = PyBytes::new(py, message.payload());
    Ok(PyTuple::new(
        py,
        [
            message.topic().into_pyobject(py)?.into_any(),
            payload.into_any(),
            message.principal.as_ref().into_pyobject(py)?.into_any(),
            message.at_us.into_pyobject(py)?.into_any(),
        ],
    )?
    .into_any())
}

fn row<'py>(py: Python<'py>, row: &TapRow) -> PyResult<Bound<'py, PyAny>> {
    let out = PyDict::new(py);
    out.set_item("device", &*row.device)?;
    out.set_item("metric", &*row.metric)?;
    out.set_item("ts", row.ts)?;
    out.set_item("num", row.num)?;
    out.set_item("text", row.text.as_deref())?;
    out.set_item("quality", row.quality)?;
    out.set_item("table", &*row.table)?;
    Ok(out.into_any())
}
