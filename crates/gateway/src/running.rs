//! A gateway whose listeners are open.

use std::sync::Arc;
use std::thread::JoinHandle;

use mohhos_history::HistoryError;
use mohhos_hub::Hub;
use mohhos_log::Log;

use crate::error::GatewayError;
use crate::history_thread::HistoryFeed;
use crate::stream_thread::EngineAccess;

/// The parts that run.
pub struct Running {
    /// Sessions, listeners, shards.
    pub hub: Hub,
    /// The rules.
    pub engine: EngineAccess,
    /// The way to the history thread.
    pub history: Arc<HistoryFeed>,
    /// The threads of rules and history.
    pub threads: (JoinHandle<()>, JoinHandle<Result<(), HistoryError>>),
}

impl Running {
    /// Ends everything in the order in which data flows, so that nothing is left on the way.
    ///
    /// # Errors
    /// The first of what did not end well; the rest is ended all the same.
    pub fn stop(self, log: &Log) -> Result<(), GatewayError> {
        let hub = self.hub.stop().map_err(GatewayError::from);
        let (stream, history) = self.threads;
        let stream =
            stream.join().map_err(|_| GatewayError::new("native-failed", "the stream thread has died"));
        self.history.stop();
        let history = match history.join() {
            Ok(flushed) => flushed.map_err(GatewayError::from),
            Err(_) => Err(GatewayError::new("native-failed", "the history thread has died")),
        };
        let log = log.close().map_err(|e| GatewayError::new("log-unwritable", e.to_string()));
        hub.and(stream).and(history).and(log)
    }
}
