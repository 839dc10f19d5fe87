//! The PROXY protocol, version 2 (HAProxy's specification, section 2.2): what a load balancer says of a client's
//! address, before the client's own bytes. Whoever may send it may claim any address, so only listeners that expect it
//! read it, and these refuse connections without it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;
/// A longer header is refused; those of load balancers, TLS facts included, have some hundred bytes.
const MAX_HEADER: usize = 4096;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// A complete header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The client's address; `None` if the load balancer speaks for itself (health checks) or of no internet address.
    pub client: Option<SocketAddr>,
    /// How many bytes the header has.
    pub length: usize,
}

/// Reads a header; `None` if it is not complete yet.
///
/// # Errors
/// It is none: why, for people.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, &'static str> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(if bytes.starts_with(b"PROXY") {
            "it sent version 1 of the PROXY protocol; have the load balancer send version 2"
        } else {
            "it sent no PROXY protocol header; have the load balancer send it, or remove proxy_protocol from the listener"
        });
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Ok(None) };
    let (version, command, family) = (fixed[12] >> 4, fixed[12] & 15, fixed[13]);
    if version != 2 || command > PROXY {
        return Err("its PROXY protocol header has an unknown version or command");
    }
    let body = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let length = FIXED + body;
    if length > MAX_HEADER {
        return Err("its PROXY protocol header is longer than 4096 bytes");
    }
    let Some(body) = rest.get(..body) else { return Ok(None) };
    let client = match (command, family) {
        (LOCAL, _) => None,
        (_, TCP4) => Some(v4(body)),
        (_, TCP6) => Some(v6(body)),
        _ => None,
    };
    match client {
        Some(None) => Err("its PROXY protocol header is too short for the addresses that it announces"),
        client => Ok(Some(Header { client: client.flatten(), length })),
    }
}

/// Source and destination address, source and destination port.
fn v4(body: &[u8]) -> Option<SocketAddr> {
    let fields = body.first_chunk::<12>()?;
    let address = Ipv4Addr::new(fields[0], fields[1], fields[2], fields[3]);
    Some(SocketAddr::new(IpAddr::V4(address), u16::from_be_bytes([fields[8], fields[9]])))
}

fn v6(body: &[u8]) -> Option<SocketAddr> {
    let fields = body.first_chunk::<36>()?;
    let address = Ipv6Addr::from(*fields.first_chunk::<16>()?);
    Some(SocketAddr::new(IpAddr::V6(address), u16::from_be_bytes([fields[32], fields[33]])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn v4_body() -> Vec<u8> {
        let mut body = vec![203, 0, 113, 7, 10, 0, 0, 1];
        body.extend(51_000u16.to_be_bytes());
        body.extend(1883u16.to_be_bytes());
        body
    }

    #[test]
    fn an_address_is_read_and_what_follows_is_left() {
        let mut bytes = header(PROXY, TCP4, &v4_body());
        let length = bytes.len();
        bytes.extend(b"\x10CONNECT");
        let client = "203.0.113.7:51000".parse().ok();
        assert_eq!(parse(&bytes), Ok(Some(Header { client, length })));
    }

    #[test]
    fn an_address_of_version_six_is_read_with_its_extensions_passed_over() {
        let mut body: Vec<u8> = "2001:db8::9".parse::<Ipv6Addr>().unwrap().octets().to_vec();
        body.extend([0; 16]);
        body.extend(40_000u16.to_be_bytes());
        body.extend([0, 1]);
        body.extend([0x04, 0, 3, 0, 0, 0]);
        let bytes = header(PROXY, TCP6, &body);
        let client = "[2001:db8::9]:40000".parse().ok();
        assert_eq!(parse(&bytes), Ok(Some(Header { client, length: bytes.len() })));
    }

    #[test]
    fn a_health_check_keeps_the_address_of_the_load_balancer() {
        for bytes in [header(LOCAL, 0, &[]), header(PROXY, 0, &[1, 2, 3])] {
            assert_eq!(parse(&bytes), Ok(Some(Header { client: None, length: bytes.len() })));
        }
    }

    #[test]
    fn what_is_no_header_is_told_from_one_of_version_one() {
        assert!(parse(b"PROXY TCP4 1.2.3.4 ").unwrap_err().contains("version 1"));
        assert!(parse(&[0x10, 0x0c]).unwrap_err().contains("no PROXY"));
        assert!(parse(&header(PROXY, TCP4, &[0; 11])).unwrap_err().contains("too short"));
        assert!(parse(&header(3, TCP4, &v4_body())).unwrap_err().contains("unknown"));
        assert!(parse(&header(PROXY, TCP4, &[0; 5000])).unwrap_err().contains("4096"));
    }

    proptest! {
        #[test]
        fn every_beginning_of_a_header_waits_for_the_rest(extensions in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut body = v4_body();
            body.extend(&extensions);
            let bytes = header(PROXY, TCP4, &body);
            for end in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..end]), Ok(None));
            }
            prop_assert_eq!(parse(&bytes).unwrap().unwrap().length, bytes.len());
        }

        #[test]
        fn nothing_that_comes_makes_it_panic(tail in prop::collection::vec(any::<u8>(), 0..80), signed: bool) {
            let mut bytes = if signed { SIGNATURE.to_vec() } else { Vec::new() };
            bytes.extend(tail);
            if let Ok(Some(header)) = parse(&bytes) {
                prop_assert!(header.length <= bytes.len());
            }
        }
    }
}
