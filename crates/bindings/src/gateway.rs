//! The class `Gateway`.

use std::path::PathBuf;
use std::time::Duration;

use mohhos_gateway::{Action, Config, GatewayError, Publication, QoS, TraceOptions, properties};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{native, raise};
use crate::taps::Tap;
use crate::{events, observed, policy, principal, records};

/// One running native gateway.
#[pyclass(frozen, module = "mohhos._native")]
pub struct Gateway(mohhos_gateway::Gateway);

impl Gateway {
    /// Runs native work without the GIL.
    fn free<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mohhos_gateway::Gateway) -> Result<R, GatewayError> + Send,
    ) -> PyResult<R> {
        py.detach(|| work(&self.0)).map_err(|error| raise(&error))
    }
}

#[pymethods]
impl Gateway {
    #[new]
    fn new(py: Python<'_>, config: &str) -> PyResult<Self> {
        let made = py.detach(|| Config::parse(config).and_then(mohhos_gateway::Gateway::new));
        made.map(Self).map_err(|error| raise(&error))
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.free(py, |gateway| gateway.start().map(drop))
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.free(py, mohhos_gateway::Gateway::stop)
    }

    fn ports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let ports = PyDict::new(py);
        for (name, port) in self.free(py, mohhos_gateway::Gateway::ports)? {
            ports.set_item(name, port)?;
        }
        Ok(ports)
    }

    fn reload_tls(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.free(py, mohhos_gateway::Gateway::reload_tls)
    }

    fn put_devices(&self, py: Python<'_>, codes: Vec<(String, u32)>) -> PyResult<()> {
        self.free(py, |gateway| gateway.put_devices(&codes))
    }

    fn remove_devices(&self, py: Python<'_>, devices: Vec<String>) -> PyResult<()> {
        self.free(py, |gateway| gateway.remove_devices(&devices))
    }

    fn put_principals(&self, py: Python<'_>, principals: Vec<Bound<'_, PyDict>>) -> PyResult<()> {
        let read = principals.iter().map(principal::read).collect::<PyResult<Vec<_>>>()?;
        self.free(py, |gateway| gateway.put_principals(read))
    }

    fn remove_principals(&self, py: Python<'_>, names: Vec<String>) -> PyResult<()> {
        self.free(py, |gateway| gateway.remove_principals(&names))
    }

    fn put_roles(&self, py: Python<'_>, roles: &str) -> PyResult<()> {
        self.free(py, |gateway| gateway.put_roles(roles))
    }

    #[pyo3(signature = (principal, text = "disconnected by an operator", will = false))]
    fn kick(&self, py: Python<'_>, principal: &str, text: &str, will: bool) -> PyResult<usize> {
        self.free(py, |gateway| gateway.kick(principal, text, will))
    }

    #[pyo3(signature = (device, state, rate = None, topics = Vec::new()))]
    fn set_state(
        &self,
        py: Python<'_>,
        device: &str,
        state: &str,
        rate: Option<f64>,
        topics: Vec<String>,
    ) -> PyResult<()> {
        let standing = policy::standing(state, rate, topics)?;
        self.free(py, |gateway| gateway.set_standing(device, &standing))
    }

    #[pyo3(signature = (principal, action, topic, client = ""))]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        principal: &str,
        action: &str,
        topic: &str,
        client: &str,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let action =
            Action::from_name(action).filter(|action| *action != Action::Connect).ok_or_else(|| {
                native(
                    "invalid-argument",
                    format!("\"{action}\" is no action: publish, subscribe or receive"),
                )
            })?;
        let found = self.free(py, |gateway| gateway.explain(principal, client, action, topic))?;
        found.map(|explanation| policy::explanation(py, &explanation)).transpose()
    }

    #[pyo3(signature = (topic, payload, qos = 1, retain = false, content_type = "", device = "", expiry_s = None))]
    #[allow(clippy::too_many_arguments, reason = "they are the parts of a message, by name")]
    fn publish(
        &self,
        py: Python<'_>,
        topic: String,
        payload: Vec<u8>,
        qos: u8,
        retain: bool,
        content_type: &str,
        device: &str,
        expiry_s: Option<u32>,
    ) -> PyResult<u64> {
        let mut publication = Publication::new(topic, payload);
        publication.qos =
            QoS::from_u8(qos).ok_or_else(|| native("invalid-argument", format!("qos {qos}: 0, 1 or 2")))?;
        publication.retain = retain;
        publication.device = device.to_owned();
        publication.properties =
            properties(content_type, expiry_s).map_err(|e| native("invalid-argument", e.to_string()))?;
        self.free(py, |gateway| gateway.publish(publication))
    }

    fn wait_committed(&self, py: Python<'_>, offset: u64, timeout_ms: u64) -> bool {
        py.detach(|| self.0.log().wait_committed(offset, Duration::from_millis(timeout_ms)))
    }

    fn tap_messages(&self, py: Python<'_>, topic_filter: &str, capacity: usize) -> PyResult<Tap> {
        self.free(py, |gateway| gateway.tap_messages(topic_filter, capacity)).map(Tap::messages)
    }

    fn tap_telemetry(&self, py: Python<'_>, device: &str, capacity: usize) -> PyResult<Tap> {
        self.free(py, |gateway| gateway.tap_telemetry(device, capacity)).map(Tap::telemetry)
    }

    fn put_tables(&self, py: Python<'_>, tables: &str) -> PyResult<()> {
        self.free(py, |gateway| gateway.put_tables(tables))
    }

    fn deploy_rule(&self, py: Python<'_>, name: &str, version: u32, plan: &str) -> PyResult<()> {
        self.free(py, |gateway| gateway.deploy_rule(name, version, plan))
    }

    fn remove_rule(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        self.free(py, |gateway| gateway.remove_rule(name))
    }

    fn rules<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let rules = self.free(py, mohhos_gateway::Gateway::rules)?;
        rules.iter().map(|rule| observed::rule(py, rule)).collect()
    }

    fn now_us(&self) -> i64 {
        self.0.now_us()
    }

    fn committed(&self) -> u64 {
        self.0.log().committed()
    }

    fn read_log<'py>(
        &self,
        py: Python<'py>,
        offset: u64,
        topic_prefixes: Vec<String>,
        max_records: usize,
    ) -> PyResult<(Vec<Bound<'py, PyDict>>, u64)> {
        let (messages, next) = py
            .detach(|| self.0.read_log(offset, &topic_prefixes, max_records))
            .map_err(|error| native("log-unreadable", error.to_string()))?;
        let found = messages.iter().map(|m| records::log_record(py, m)).collect::<PyResult<_>>()?;
        Ok((found, next))
    }

    fn wait_log(&self, py: Python<'_>, offset: u64, timeout_ms: u64) -> bool {
        py.detach(|| self.0.log().wait_committed(offset, Duration::from_millis(timeout_ms)))
    }

    fn hold_log(&self, projection: &str, offset: u64) {
        self.0.log().hold(projection, offset);
    }

    fn history_cut(
        &self,
        py: Python<'_>,
        devices: Vec<String>,
        metrics: Vec<String>,
        from_us: i64,
        to_us: i64,
    ) -> PyResult<String> {
        let cut = self.free(py, |gateway| gateway.history_cut(&devices, &metrics, from_us, to_us))?;
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        Ok(serde_json::json!({
            "files": cut.files.iter().map(text).collect::<Vec<_>>(),
            "tail": cut.tail_file.as_ref().map(text),
            "rows_in_tail": cut.rows_in_tail,
            "lease": cut.lease,
        })
        .to_string())
    }

    fn history_release(&self, py: Python<'_>, lease: u64) {
        py.detach(|| self.0.history().release(lease));
    }

    fn history_flush(&self, py: Python<'_>) -> PyResult<()> {
        self.free(py, mohhos_gateway::Gateway::history_flush)
    }

    #[allow(clippy::type_complexity, reason = "two lists of pairs")]
    fn codes(&self) -> (Vec<(String, u32)>, Vec<(String, u32)>) {
        let (devices, metrics) = self.0.codes();
        let pairs = |entries: Vec<(u32, std::sync::Arc<str>)>| {
            entries.into_iter().map(|(code, name)| (name.to_string(), code)).collect()
        };
        (pairs(devices), pairs(metrics))
    }

    fn next_events<'py>(
        &self,
        py: Python<'py>,
        max_events: usize,
        timeout_ms: u64,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let timeout = Duration::from_millis(timeout_ms);
        let (found, failures) = self.free(py, |gateway| gateway.next_events(max_events, timeout))?;
        let failed = failures.iter().map(|failure| events::rule_failed(py, failure));
        failed.chain(found.iter().map(|event| events::event(py, event))).collect()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        observed::stats(py, &self.free(py, mohhos_gateway::Gateway::stats)?)
    }

    fn connection<'py>(&self, py: Python<'py>, device: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.free(py, |gateway| {
            let Some(connection) = gateway.connection(device)? else { return Ok(None) };
            Ok(Some((connection, gateway.sessions(device)?, gateway.visits(device)?)))
        })?;
        found.map(|(of, sessions, visits)| observed::connection(py, &of, &sessions, &visits)).transpose()
    }

    fn latencies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (commit, delivery) = self.free(py, mohhos_gateway::Gateway::latencies)?;
        observed::latencies(py, &[("commit", &commit), ("delivery", &delivery)])
    }

    fn device_table<'py>(&self, py: Python<'py>) -> PyResult<(usize, observed::Columns<'py>)> {
        let table = self.free(py, mohhos_gateway::Gateway::device_table)?;
        Ok((table.rows, observed::device_table(py, &table)?))
    }

    fn begin_trace<'py>(
        &self,
        py: Python<'py>,
        principal: &str,
        seconds: u32,
        max_bytes: usize,
        max_per_second: u32,
        payload_bytes: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let options = TraceOptions { seconds, max_bytes, max_per_second, payload_bytes };
        let trace = self.free(py, |gateway| gateway.begin_trace(principal, options))?;
        observed::trace_part(py, &trace.read(0, 0, Duration::ZERO))
    }

    fn read_trace<'py>(
        &self,
        py: Python<'py>,
        principal: &str,
        after: u64,
        max_packets: usize,
        timeout_ms: u64,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(trace) = self.free(py, |gateway| gateway.trace(principal))? else { return Ok(None) };
        let part = py.detach(|| trace.read(after, max_packets, Duration::from_millis(timeout_ms)));
        Ok(Some(observed::trace_part(py, &part)?))
    }

    fn end_trace(&self, py: Python<'_>, principal: &str) -> PyResult<bool> {
        self.free(py, |gateway| gateway.end_trace(principal))
    }

    fn dead_letters<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let letters = self.free(py, mohhos_gateway::Gateway::dead_letters)?;
        letters.iter().map(|letter| observed::dead_letter(py, letter)).collect()
    }

    fn backup(&self, py: Python<'_>, directory: PathBuf) -> PyResult<()> {
        self.free(py, |gateway| gateway.backup(&directory))
    }
}
