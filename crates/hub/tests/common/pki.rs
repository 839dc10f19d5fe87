//! A certificate authority of the test's own, and clients that trust it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mohhos_hub::{CertificateIdentity, ClientCertificates, TlsConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::PATIENCE;

/// An authority with its files in a directory of its own.
pub struct Pki {
    pub directory: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// A client's certificate and key, in PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Pki {
    /// With a certificate of the server, number 1, and an empty revocation list.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { directory: tempfile::tempdir().unwrap(), authority };
        fs::write(pki.path("ca.pem"), pki.authority.pem()).unwrap();
        pki.renew_server(1);
        pki.revoke(&[]);
        pki
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a server's certificate with this number.
    pub fn renew_server(&self, serial: u64) {
        let Identity { certificate, key } = self.issue("gateway", "localhost", serial);
        fs::write(self.path("server.pem"), certificate).unwrap();
        write_key(&self.path("server.key"), &key, 0o600);
    }

    /// A certificate for a common name and a DNS name.
    pub fn issue(&self, common_name: &str, dns_name: &str, serial: u64) -> Identity {
        let mut params = CertificateParams::new(vec![dns_name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes the revocation list.
    pub fn revoke(&self, serials: &[u64]) {
        let revoked = |&serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2040, 1, 1),
            crl_number: SerialNumber::from(serials.len() as u64 + 1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        fs::write(self.path("crl.pem"), list.signed_by(&self.authority).unwrap().pem().unwrap()).unwrap();
    }

    /// A listener's TLS with these files.
    pub fn tls(&self, clients: ClientCertificates) -> TlsConfig {
        TlsConfig {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            only_newest: false,
            clients,
            client_ca: Some(self.path("ca.pem")),
            client_revocations: Some(self.path("crl.pem")),
            identity: CertificateIdentity::CommonName,
        }
    }

    /// What a client needs; the same one resumes its sessions.
    pub fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        self.client_of(identity, &[&rustls::version::TLS13])
    }

    pub fn client_of(
        &self,
        identity: Option<&Identity>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

pub fn write_key(path: &Path, key: &str, mode: u32) {
    fs::write(path, key).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub type TlsStream<S> = StreamOwned<ClientConnection, S>;

/// TLS on a stream; the handshake is made by the first read or write.
pub fn tls<S: Read + Write>(config: &Arc<ClientConfig>, stream: S) -> TlsStream<S> {
    let name = "localhost".try_into().unwrap();
    StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), stream)
}

/// A TCP connection to a port of this machine.
pub fn dial(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Makes the handshake; with TLS 1.3 a client's certificate is judged after it, so what the server says then is read.
pub fn shake<S: Read + Write>(stream: &mut TlsStream<S>) -> std::io::Result<()> {
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(())
}
