//! What a device keeps from one connection to the next: its certificate, and the ticket of its last session.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use mohhos_locks::Mutex;
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, NamedGroup, RootCertStore};

use super::channel::Channel;
use super::pki::{Authority, SERVER, authority, issue};

/// Makes the identities of all devices.
pub struct Clients {
    authority: Authority,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    resumes: bool,
}

impl Clients {
    /// With the authority of a directory. `resumes`: they show the ticket of their last session.
    pub fn new(directory: &Path, resumes: bool) -> Result<Self, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(directory.join("ca.pem"))?)?;
        // P-256, as small devices have it, and as it can be compared with `openssl speed`.
        let kx_groups = vec![aws_lc_rs::kx_group::SECP256R1];
        let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
        Ok(Self {
            authority: authority(directory)?,
            roots: Arc::new(roots),
            provider: Arc::new(provider),
            resumes,
        })
    }

    /// The identity of a device.
    pub fn issue(&self, name: &str) -> Result<Identity, Box<dyn Error + Send + Sync>> {
        let (certificate, key) = issue(&self.authority, name)?;
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(self.roots.clone())
            .with_client_auth_cert(vec![certificate], key)?;
        let tickets =
            Arc::new(Tickets { resumes: self.resumes, last: Mutex::default(), has_come: false.into() });
        config.resumption = Resumption::store(tickets.clone());
        Ok(Identity { config: Arc::new(config), tickets })
    }
}

/// One device's.
pub struct Identity {
    config: Arc<ClientConfig>,
    tickets: Arc<Tickets>,
}

impl Identity {
    /// A new connection comes.
    pub fn prepare(&self) {
        self.tickets.has_come.store(false, Relaxed);
    }

    /// TLS for a new connection.
    pub fn channel(&self) -> Channel {
        let name = ServerName::try_from(SERVER).ok();
        Channel::new(name.and_then(|name| ClientConnection::new(self.config.clone(), name).ok()))
    }

    /// The server has sent a ticket: its side of the handshake is done, too.
    pub fn has_ticket(&self) -> bool {
        self.tickets.has_come.load(Relaxed)
    }
}

/// A device's newest ticket.
#[derive(Debug)]
struct Tickets {
    resumes: bool,
    last: Mutex<Option<Tls13ClientSessionValue>>,
    has_come: AtomicBool,
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.has_come.store(true, Relaxed);
        if self.resumes {
            *self.last.lock() = Some(ticket);
        }
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.last.lock().take()
    }
}
