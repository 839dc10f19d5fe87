//! What a listener with TLS needs for new connections, exchanged as a whole when its files change.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, RootCertStore, ServerConfig};
use webpki::{CertRevocationList, EndEntityCert, OwnedCertRevocationList};

use super::files::{Files, Material, invalid};
use super::remembered::Remembered;
use crate::clock::Clock;
use crate::config::{CertificateIdentity, ClientCertificates, TlsConfig};
use crate::error::HubError;

/// One listener's TLS.
pub struct Acceptor {
    config: TlsConfig,
    clock: Arc<dyn Clock>,
    tickets: Arc<dyn ProducesTickets>,
    current: ArcSwap<Current>,
}

/// What connections are accepted with at the moment.
pub struct Current {
    /// For rustls.
    pub server: Arc<ServerConfig>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    revocations: Vec<CertRevocationList<'static>>,
    files: Files,
}

impl Acceptor {
    /// Reads the files of a listener.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn new(config: TlsConfig, clock: Arc<dyn Clock>) -> Result<Self, HubError> {
        let tickets = aws_lc_rs::Ticketer::new().map_err(|error| invalid(&config.key, error.to_string()))?;
        let files = Files::read(&config)?;
        let current = ArcSwap::from_pointee(make(&config, files, &clock, &tickets)?);
        Ok(Self { config, clock, tickets, current })
    }

    /// Reads the files again; true if they have changed. The connections that are there go on.
    ///
    /// # Errors
    /// A file cannot be used; new connections are accepted as before.
    pub fn reload(&self) -> Result<bool, HubError> {
        let files = Files::read(&self.config)?;
        if files == self.current.load().files {
            return Ok(false);
        }
        let current = make(&self.config, files, &self.clock, &self.tickets)?;
        self.current.store(Arc::new(current));
        Ok(true)
    }

    /// What new connections are accepted with.
    pub fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Which part of a client certificate names its principal.
    pub fn identity(&self) -> CertificateIdentity {
        self.config.identity
    }

    /// Looks at a certificate again that was accepted in an earlier handshake: rustls does not when a session is
    /// resumed, and meanwhile it may have expired or been revoked.
    ///
    /// # Errors
    /// It would not be accepted now.
    pub fn verify_again(&self, chain: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        let current = self.current.load();
        let (Some(verifier), [leaf, others @ ..]) = (&current.verifier, chain) else { return Ok(()) };
        verifier.verify_client_cert(leaf, others, now(&*self.clock)).map(drop)
    }

    /// Is a certificate of this chain on a revocation list? Cheap: no signature is verified.
    pub fn is_revoked(&self, chain: &[CertificateDer<'_>]) -> bool {
        let current = self.current.load();
        if current.revocations.is_empty() {
            return false;
        }
        chain.iter().filter_map(|certificate| EndEntityCert::try_from(certificate).ok()).any(|certificate| {
            let lists = current.revocations.iter().filter(|list| list.issuer() == certificate.issuer());
            lists.into_iter().any(|list| matches!(list.find_serial(certificate.serial()), Ok(Some(_))))
        })
    }
}

fn make(
    config: &TlsConfig,
    files: Files,
    clock: &Arc<dyn Clock>,
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<Current, HubError> {
    let material = files.parse(config)?;
    let mut revocations = Vec::new();
    if let Some(path) = &config.client_revocations {
        for list in &material.revocations {
            let list =
                OwnedCertRevocationList::from_der(list).map_err(|error| invalid(path, error.to_string()))?;
            revocations.push(CertRevocationList::Owned(list));
        }
    }
    let verifier = verifier(config, &material)?;
    let versions: &[_] = if config.only_newest { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let time = Arc::new(HubTime(clock.clone()));
    let builder = ServerConfig::builder_with_details(Arc::new(provider()), time)
        .with_protocol_versions(versions)
        .map_err(|error| invalid(&config.certificate, error.to_string()))?;
    let builder = match &verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
        None => builder.with_no_client_auth(),
    };
    let mut server = builder.with_single_cert(material.chain, material.key).map_err(|error| {
        let why = format!("the gateway cannot use it with the key {}: {error}", config.key.display());
        invalid(&config.certificate, why)
    })?;
    server.ignore_client_order = true;
    // Sessions are resumed by tickets alone: nothing is kept per client.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.ticketer = tickets.clone();
    server.send_tls13_tickets = 1;
    Ok(Current { server: Arc::new(server), verifier, revocations, files })
}

/// AES-128 with SHA-256 first: SHA-384, which comes with AES-256 and which most clients ask for first, takes a tenth of a
/// handshake here, and more on a small device.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    provider
}

fn verifier(
    config: &TlsConfig,
    material: &Material,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, HubError> {
    let Some(path) = config.client_ca.as_deref().filter(|_| config.clients != ClientCertificates::Off) else {
        return Ok(None);
    };
    let mut roots = RootCertStore::empty();
    for authority in &material.authorities {
        roots
            .add(authority.clone())
            .map_err(|error| invalid(path, format!("it is no authority: {error}")))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(material.revocations.iter().cloned());
    if config.clients == ClientCertificates::Optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|error| invalid(path, error.to_string()))?;
    Ok(Some(Arc::new(Remembered::new(verifier))))
}

/// The hub's clock for rustls: a machine without a battery-backed one starts in 1970.
struct HubTime(Arc<dyn Clock>);

impl fmt::Debug for HubTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubTime")
    }
}

impl TimeProvider for HubTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(now(&*self.0))
    }
}

fn now(clock: &dyn Clock) -> UnixTime {
    let seconds = u64::try_from(clock.wall_us() / 1_000_000).unwrap_or(0);
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}
