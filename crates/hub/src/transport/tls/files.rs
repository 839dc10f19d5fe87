//! Certificates, keys and revocation lists out of PEM files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::config::TlsConfig;
use crate::error::HubError;

/// Permission bits of all other users.
const OTHERS: u32 = 0o007;
/// No such file is larger; one that is was named by mistake.
const MAX_FILE: u64 = 64 << 20;

/// What a listener's files hold.
pub struct Material {
    /// The server's certificate, then those of intermediate authorities.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// The authorities of client certificates.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The revocation lists.
    pub revocations: Vec<CertificateRevocationListDer<'static>>,
}

/// The bytes of the files, to see whether they changed.
#[derive(PartialEq, Eq)]
pub struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
    revocations: Option<Vec<u8>>,
}

impl Files {
    /// Reads the files.
    ///
    /// # Errors
    /// One cannot be read, or others may read the key.
    pub fn read(config: &TlsConfig) -> Result<Self, HubError> {
        let optional = |path: &Option<_>| path.as_deref().map(read).transpose();
        Ok(Self {
            certificate: read(&config.certificate)?,
            key: read_key(&config.key)?,
            authorities: optional(&config.client_ca)?,
            revocations: optional(&config.client_revocations)?,
        })
    }

    /// What they hold.
    ///
    /// # Errors
    /// One is no PEM file of what it should hold.
    pub fn parse(&self, config: &TlsConfig) -> Result<Material, HubError> {
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| invalid(&config.key, format!("it holds no private key: {error}")))?;
        let several = |bytes: &Option<Vec<u8>>, path: &Option<std::path::PathBuf>| match (bytes, path) {
            (Some(bytes), Some(path)) => certificates(bytes, path),
            _ => Ok(Vec::new()),
        };
        let mut revocations = Vec::new();
        if let (Some(bytes), Some(path)) = (&self.revocations, &config.client_revocations) {
            revocations = CertificateRevocationListDer::pem_slice_iter(bytes)
                .collect::<Result<_, _>>()
                .map_err(|error| invalid(path, error.to_string()))?;
            if revocations.is_empty() {
                return Err(invalid(path, "it holds no revocation list (X509 CRL)".into()));
            }
        }
        Ok(Material {
            chain: certificates(&self.certificate, &config.certificate)?,
            key,
            authorities: several(&self.authorities, &config.client_ca)?,
            revocations,
        })
    }
}

fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, HubError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(path, error.to_string()))?;
    if found.is_empty() {
        return Err(invalid(path, "it holds no certificate".into()));
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, HubError> {
    let unreadable = |source| HubError::TlsUnreadable { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
        return Err(unreadable(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    fs::read(path).map_err(unreadable)
}

fn read_key(path: &Path) -> Result<Vec<u8>, HubError> {
    let metadata = fs::metadata(path);
    let mode = metadata.map_err(|source| HubError::TlsUnreadable { path: path.to_owned(), source })?;
    let mode = mode.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(HubError::TlsKeyExposed { path: path.to_owned(), mode: mode & 0o777 });
    }
    read(path)
}

/// A file that does not hold what it should.
pub fn invalid(path: &Path, reason: String) -> HubError {
    HubError::TlsInvalid { path: path.to_owned(), reason }
}
