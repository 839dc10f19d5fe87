//! Who a client certificate is for. Certificates come here after their chain was verified.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::der::{SEQUENCE, SET, take, take_any};
use crate::config::CertificateIdentity;

/// The object identifier of a common name, 2.5.4.3, in DER.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0C;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;

/// The principal that a certificate names.
///
/// # Errors
/// It names none, or several, where the listener wants one: why, for people.
pub fn name_of(
    certificate: &CertificateDer<'_>,
    from: CertificateIdentity,
) -> Result<Option<String>, &'static str> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|_| "its certificate cannot be read")?;
    match from {
        CertificateIdentity::Nothing => Ok(None),
        CertificateIdentity::CommonName => {
            let names =
                common_names(parsed.subject()).ok_or("the subject of its certificate cannot be read")?;
            match names.as_slice() {
                [one] if !one.is_empty() => Ok(Some(one.clone())),
                [] | [_] => Err("the subject of its certificate has no common name (CN)"),
                _ => Err("the subject of its certificate has several common names"),
            }
        }
        CertificateIdentity::AlternativeName => {
            let mut names = parsed.valid_dns_names();
            match (names.next(), names.next()) {
                (Some(one), None) => Ok(Some(one.to_owned())),
                (None, _) => Err("its certificate has no DNS name in its subject alternative name (SAN)"),
                _ => Err("its certificate has several DNS names in its subject alternative name"),
            }
        }
    }
}

/// The common names of a subject: the content of a DER `Name` (RFC 5280, 4.1.2.4).
fn common_names(subject: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut sets = subject;
    while !sets.is_empty() {
        let mut attributes = take(&mut sets, SET)?;
        while !attributes.is_empty() {
            let mut attribute = take(&mut attributes, SEQUENCE)?;
            let kind = take(&mut attribute, OBJECT_IDENTIFIER)?;
            let (tag, value) = take_any(&mut attribute)?;
            if kind == COMMON_NAME && matches!(tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING) {
                names.push(std::str::from_utf8(value).ok()?.to_owned());
            }
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        match content.len() {
            0..=127 => bytes.push(content.len() as u8),
            128..=255 => bytes.extend([0x81, content.len() as u8]),
            length => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        bytes.extend(content);
        bytes
    }

    fn attribute(kind: &[u8], tag: u8, value: &str) -> Vec<u8> {
        let parts = [element(OBJECT_IDENTIFIER, kind), element(tag, value.as_bytes())].concat();
        element(SET, &element(SEQUENCE, &parts))
    }

    #[test]
    fn the_common_name_is_found_among_other_attributes() {
        let subject = [
            attribute(&[0x55, 0x04, 0x0A], UTF8_STRING, "Works"),
            attribute(COMMON_NAME, PRINTABLE_STRING, "pump-1"),
        ]
        .concat();
        assert_eq!(common_names(&subject), Some(vec!["pump-1".to_owned()]));
    }

    proptest! {
        #[test]
        fn names_of_any_length_are_read(name in "[a-z0-9-]{0,400}") {
            let subject = attribute(COMMON_NAME, UTF8_STRING, &name);
            prop_assert_eq!(common_names(&subject), Some(vec![name]));
        }

        #[test]
        fn nothing_that_comes_makes_it_panic(subject in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = common_names(&subject);
        }
    }
}
