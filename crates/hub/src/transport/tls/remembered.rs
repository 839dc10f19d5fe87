//! Client certificates that were verified before: a fleet that comes back at once shows the same ones again, and to verify
//! an authority's signature is a quarter of a handshake.
//!
//! What is remembered is that this chain, byte for byte, leads to the authorities and is on no revocation list. Both are
//! fixed for one verifier: new files make a new one. Dates are looked at each time. That the client has the key is proved
//! anew in every handshake.

use std::fmt;
use std::sync::Arc;

use mohhos_locks::Mutex;
use rustc_hash::FxHashMap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use sha2::{Digest, Sha256};

use super::validity::Validity;

/// Of more chains than this none is remembered any more, and it begins anew: 48 bytes each.
const MAX_CHAINS: usize = 131_072;

/// Verifies by another verifier, and remembers what was right.
pub struct Remembered {
    verifier: Arc<dyn ClientCertVerifier>,
    chains: Mutex<FxHashMap<[u8; 32], Validity>>,
}

impl Remembered {
    /// Remembers what this verifier finds right.
    pub fn new(verifier: Arc<dyn ClientCertVerifier>) -> Self {
        Self { verifier, chains: Mutex::default() }
    }
}

fn fingerprint(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for certificate in std::iter::once(leaf).chain(others) {
        // With their lengths, so that no two chains are the same bytes.
        hash.update((certificate.len() as u64).to_be_bytes());
        hash.update(certificate);
    }
    hash.finalize().into()
}

impl ClientCertVerifier for Remembered {
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let key = fingerprint(leaf, others);
        let known = self.chains.lock().get(&key).copied();
        if known.is_some_and(|validity| validity.holds(now.as_secs())) {
            return Ok(ClientCertVerified::assertion());
        }
        let verified = self.verifier.verify_client_cert(leaf, others, now)?;
        let validity = others.iter().fold(Validity::of(leaf), |validity, other| {
            validity.and_then(|validity| Some(validity.and(Validity::of(other)?)))
        });
        if let Some(validity) = validity {
            let mut chains = self.chains.lock();
            if chains.len() >= MAX_CHAINS {
                chains.clear();
            }
            chains.insert(key, validity);
        }
        Ok(verified)
    }

    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remembered")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
    use rustls::RootCertStore;
    use rustls::crypto::aws_lc_rs;
    use rustls::server::WebPkiClientVerifier;

    use super::*;

    const START: u64 = 20_454 * 86_400;

    fn at(second: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(second))
    }

    fn issuer() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn issue(issuer: &CertifiedIssuer<'static, KeyPair>) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["x".into()]).unwrap();
        // From 2026-01-01 for one day.
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 1, 2));
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
    }

    fn remembered(issuer: &CertifiedIssuer<'static, KeyPair>) -> Remembered {
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Remembered::new(builder.build().unwrap())
    }

    #[test]
    fn a_chain_is_remembered_and_its_dates_are_looked_at_all_the_same() {
        let issuer = issuer();
        let (verifier, leaf) = (remembered(&issuer), issue(&issuer));
        let verify = |second| verifier.verify_client_cert(&leaf, &[], at(second)).is_ok();
        assert!(!verify(START - 1) && verifier.chains.lock().is_empty());
        assert!(verify(START) && verifier.chains.lock().len() == 1);
        assert!(verify(START + 86_400));
        assert!(!verify(START + 86_401) && !verify(START - 1));
    }

    #[test]
    fn what_is_wrong_is_never_remembered_and_a_changed_byte_is_another_chain() {
        let (ours, foreign) = (issuer(), issuer());
        let (verifier, leaf) = (remembered(&ours), issue(&ours));
        let forged = issue(&foreign);
        for _ in 0..2 {
            assert!(verifier.verify_client_cert(&forged, &[], at(START)).is_err());
        }
        verifier.verify_client_cert(&leaf, &[], at(START)).unwrap();
        let mut changed = leaf.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert!(verifier.verify_client_cert(&changed.into(), &[], at(START)).is_err());
        assert_ne!(fingerprint(&leaf, std::slice::from_ref(&forged)), fingerprint(&forged, &[leaf]));
    }
}
