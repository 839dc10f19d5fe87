//! What can go wrong, with the stable codes of `docs/errors`.

use mohhos_history::HistoryError;
use mohhos_hub::HubError;
use mohhos_log::{DataDirError, DictionaryError, OpenError};
use mohhos_stream::PlanError;

/// A failure: a stable code, and words for people.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message} [{code}]")]
pub struct GatewayError {
    /// The stable code, a page of `docs/errors`.
    pub code: &'static str,
    /// What happened, why, and what to do.
    pub message: String,
}

impl GatewayError {
    /// A failure with a code and words.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn config(message: String) -> Self {
        Self::new("native-failed", format!("the native configuration is not usable: {message}"))
    }

    /// It is a call out of order: before `start`, or after `stop`.
    pub(crate) fn not_running() -> Self {
        Self::new("native-failed", "the gateway does not run: it is not started yet, or stopped already")
    }
}

impl From<DataDirError> for GatewayError {
    fn from(error: DataDirError) -> Self {
        let code = match error {
            DataDirError::Locked { .. } => "data-dir-locked",
            DataDirError::Newer { .. } => "data-dir-newer",
            DataDirError::Unknown { .. } | DataDirError::Io { .. } => "data-dir-unusable",
        };
        Self::new(code, error.to_string())
    }
}

impl From<OpenError> for GatewayError {
    fn from(error: OpenError) -> Self {
        Self::new("log-unusable", error.to_string())
    }
}

impl From<DictionaryError> for GatewayError {
    fn from(error: DictionaryError) -> Self {
        Self::new("dictionary-unusable", error.to_string())
    }
}

impl From<HistoryError> for GatewayError {
    fn from(error: HistoryError) -> Self {
        let code = if error.is_disk_full() { "history-stalled" } else { "history-unusable" };
        Self::new(code, error.to_string())
    }
}

impl From<PlanError> for GatewayError {
    fn from(error: PlanError) -> Self {
        Self::new("rule-engine", error.to_string())
    }
}

impl From<HubError> for GatewayError {
    fn from(error: HubError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<std::io::Error> for GatewayError {
    fn from(error: std::io::Error) -> Self {
        Self::new("data-dir-unusable", format!("the data directory cannot be used: {error}"))
    }
}
