//! What can go wrong for those who call the hub.

use std::io;
use std::path::PathBuf;

/// A failure of the hub. Each has a stable code, which names its page in the documentation.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// A listener's address cannot be used.
    #[error("cannot listen on {bind} ({name}): {source}. Choose another address or stop what uses it")]
    Listen {
        /// The listener's name.
        name: String,
        /// Its address.
        bind: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A file of a listener's TLS cannot be read.
    #[error("{} cannot be read: {source}. Correct the listener's path, or let the gateway's user read the file", .path.display())]
    TlsUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read a private key.
    #[error(
        "every user of the machine may use the private key {} (mode {mode:o}), and could pretend to be this \
         gateway. Make a new key if that was so for long, and close it: chmod 600 {}",
        .path.display(), .path.display()
    )]
    TlsKeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file of a listener's TLS does not hold what it should.
    #[error("{} is of no use for TLS: {reason}. docs/transports.md says how to make the file", .path.display())]
    TlsInvalid {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The operating system refused something that the hub needs.
    #[error("the operating system refused {what}: {source}. Check the limits with `mohhos doctor`")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why it was refused.
        source: io::Error,
    },
    /// The checkpoint cannot be read or written.
    #[error("the sessions' checkpoint {path} cannot be {action}: {reason}. {next}")]
    Checkpoint {
        /// The file.
        path: String,
        /// "read" or "written".
        action: &'static str,
        /// Why.
        reason: String,
        /// What to do.
        next: &'static str,
    },
    /// The log cannot be read while recovering.
    #[error("the log cannot be read from offset {offset}: {reason}. Restore a backup or repair the disk")]
    Log {
        /// Where.
        offset: u64,
        /// Why.
        reason: String,
    },
    /// A roles document, a topic or a filter is not valid.
    #[error("{0}")]
    Invalid(String),
    /// A publication cannot be taken now.
    #[error("the log cannot take the message: {0}")]
    Refused(String),
    /// No further trace is begun.
    #[error("{0} traces run already; stop one, or wait until one has ended")]
    TooManyTraces(usize),
    /// A thread of the hub ended with a panic.
    #[error("a thread of the hub died; look at the program's error output and report it")]
    Died,
    /// The hub has been stopped.
    #[error("the hub is stopped; start the gateway again")]
    Stopped,
}

impl HubError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            HubError::Listen { .. } => "listener-unavailable",
            HubError::TlsUnreadable { .. } => "tls-file-unreadable",
            HubError::TlsKeyExposed { .. } => "tls-key-exposed",
            HubError::TlsInvalid { .. } => "tls-file-invalid",
            HubError::System { .. } => "system-refused",
            HubError::Checkpoint { .. } => "sessions-checkpoint",
            HubError::Log { .. } => "log-unreadable",
            HubError::Invalid(_) => "invalid-argument",
            HubError::Refused(_) => "log-full",
            HubError::TooManyTraces(_) => "trace-limit",
            HubError::Died => "hub-died",
            HubError::Stopped => "hub-stopped",
        }
    }

    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> HubError {
        move |source| HubError::System { what, source }
    }
}
