//! The authority, and the certificates that it issues.

use std::error::Error;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use crate::args::{Args, Outcome};

/// By which name devices know the server.
pub const SERVER: &str = "localhost";

/// A certificate and its key.
pub type Issued = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// Issues certificates.
pub type Authority = Issuer<'static, KeyPair>;

fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "bench authority");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// See the head of `main.rs`: makes an authority, and a server's certificate.
pub fn run(args: &Args) -> Outcome {
    let directory: PathBuf = args.need("directory")?;
    fs::create_dir_all(&directory)?;
    let authority = CertifiedIssuer::self_signed(authority_params()?, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let server = params(SERVER)?.signed_by(&key, &authority)?;
    fs::write(directory.join("ca.pem"), authority.pem())?;
    fs::write(directory.join("server.pem"), server.pem())?;
    write_key(&directory.join("ca.key"), &authority.key().serialize_pem())?;
    write_key(&directory.join("server.key"), &key.serialize_pem())?;
    Ok(json!({"directory": directory}))
}

/// No other users may read it.
fn write_key(path: &Path, pem: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, pem.as_bytes())
}

/// The authority of a directory.
pub fn authority(directory: &Path) -> Result<Authority, Box<dyn Error>> {
    let key = KeyPair::from_pem(&fs::read_to_string(directory.join("ca.key"))?)?;
    Ok(Issuer::new(authority_params()?, key))
}

fn params(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// A certificate that names a device.
pub fn issue(authority: &Authority, name: &str) -> Result<Issued, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = params(name)?.signed_by(&key, authority)?;
    Ok((certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
}
