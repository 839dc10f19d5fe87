//! The opening handshake of WebSocket (RFC 6455, section 4.2) with the subprotocol `mqtt` (MQTT 5, section 6).

use sha1::{Digest, Sha1};

/// A longer request is refused.
pub const MAX_REQUEST: usize = 8192;
/// What RFC 6455 appends to the client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const SUBPROTOCOL: &str = "mqtt";

/// What a request comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// It is not complete yet.
    Incomplete,
    /// It is granted: the answer, and how many bytes the request had.
    Granted {
        /// To be sent.
        answer: Vec<u8>,
        /// What follows belongs to frames.
        length: usize,
    },
    /// It is refused: the answer, and why for operators.
    Refused {
        /// To be sent before closing.
        answer: Vec<u8>,
        /// Why.
        why: &'static str,
    },
}

/// Reads a request. `origins` are the web pages' origins that may connect; pages of the host that the request names
/// always may, and so may programs, which send no origin. A page of another site could otherwise use the browser's
/// client certificate, or its place within the network.
pub fn answer(bytes: &[u8], origins: &[String]) -> Request {
    let Some(end) = find_end(&bytes[..bytes.len().min(MAX_REQUEST)]) else {
        let plausible = bytes.len() < MAX_REQUEST && b"GET ".iter().zip(bytes).all(|(a, b)| a == b);
        return if plausible {
            Request::Incomplete
        } else {
            refused(400, "it sent no HTTP request for WebSocket")
        };
    };
    let Ok(text) = std::str::from_utf8(&bytes[..end]) else {
        return refused(400, "its HTTP request is not text");
    };
    match check(text, origins) {
        Ok(key) => Request::Granted { answer: granted(key), length: end },
        Err((status, why)) => refused(status, why),
    }
}

/// Where the empty line ends.
fn find_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The client's key, if everything is as it must be.
fn check<'a>(text: &'a str, origins: &[String]) -> Result<&'a str, (u16, &'static str)> {
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    if (first.next(), first.nth(1), first.next()) != (Some("GET"), Some("HTTP/1.1"), None) {
        return Err((400, "its request is not GET with HTTP/1.1"));
    }
    let headers: Vec<(&str, &str)> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(':').map(|(name, value)| (name, value.trim())))
        .collect::<Option<_>>()
        .ok_or((400, "a line of its request is no header"))?;
    let all = |wanted: &'static str| {
        headers.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
    };
    let has = |name, word: &str| {
        all(name).flat_map(|value| value.split(',')).any(|each| each.trim().eq_ignore_ascii_case(word))
    };
    if !has("upgrade", "websocket") || !has("connection", "upgrade") {
        return Err((426, "it asks for a web page, not for WebSocket"));
    }
    if !all("sec-websocket-version").any(|value| value == "13") {
        return Err((426, "it asks for another version of WebSocket than 13"));
    }
    let key = all("sec-websocket-key").next().filter(|key| is_key(key));
    let key = key.ok_or((400, "its Sec-WebSocket-Key is missing or no 16 bytes in base64"))?;
    let mut offered = all("sec-websocket-protocol").flat_map(|value| value.split(','));
    if !offered.any(|each| each.trim() == SUBPROTOCOL) {
        return Err((400, "it does not offer the subprotocol mqtt"));
    }
    let host = all("host").next().ok_or((400, "its request has no Host header"))?;
    if let Some(origin) = all("origin").next()
        && !may_come(origin, host, origins)
    {
        return Err((
            403,
            "a web page of another origin wants to connect; add it to websocket_origins if it may",
        ));
    }
    Ok(key)
}

fn may_come(origin: &str, host: &str, origins: &[String]) -> bool {
    let own = origin.split_once("://").is_some_and(|(_, its)| its.eq_ignore_ascii_case(host));
    own || origins.iter().any(|each| each.eq_ignore_ascii_case(origin))
}

/// 16 bytes in base64: 22 digits and two signs that fill up.
fn is_key(key: &str) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with("==") && key.as_bytes()[..22].iter().all(digit)
}

fn granted(key: &str) -> Vec<u8> {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
        base64(&hash.finalize())
    )
    .into_bytes()
}

fn refused(status: u16, why: &'static str) -> Request {
    let words = match status {
        403 => "Forbidden",
        426 => "Upgrade Required",
        _ => "Bad Request",
    };
    let answer = format!(
        "HTTP/1.1 {status} {words}\r\nConnection: close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\nMQTT over WebSocket: {why}\n",
        why.len() + 22
    );
    Request::Refused { answer: answer.into_bytes(), why }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(lines: &[&str]) -> Vec<u8> {
        let mut text = String::from("GET /mqtt HTTP/1.1\r\n");
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    const GOOD: [&str; 6] = [
        "Host: gateway:9001",
        "upgrade: WebSocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: mqttv3.1, mqtt",
    ];

    fn refusal(lines: &[&str], origins: &[String]) -> (u16, &'static str) {
        match answer(&request(lines), origins) {
            Request::Refused { answer, why } => {
                let text = String::from_utf8(answer).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
                (head[9..12].parse().unwrap(), why)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_example_of_the_standard_gets_the_answer_of_the_standard() {
        let mut bytes = request(&GOOD);
        let whole = bytes.len();
        bytes.extend([0x82, 0x80]);
        let Request::Granted { answer, length } = answer(&bytes, &[]) else { panic!() };
        let text = String::from_utf8(answer).unwrap();
        assert_eq!(length, whole);
        assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
        assert!(text.contains("Sec-WebSocket-Protocol: mqtt\r\n"));
    }

    #[test]
    fn each_part_that_is_missing_or_wrong_is_refused_with_its_reason() {
        for (missing, status, word) in [
            (0, 400, "Host"),
            (1, 426, "web page"),
            (2, 426, "web page"),
            (3, 426, "version"),
            (4, 400, "Key"),
            (5, 400, "subprotocol"),
        ] {
            let mut lines = GOOD.to_vec();
            lines.remove(missing);
            let (got, why) = refusal(&lines, &[]);
            assert!(got == status && why.contains(word), "{missing}: {got} {why}");
        }
        let mut lines = GOOD.to_vec();
        lines[4] = "Sec-WebSocket-Key: short==";
        assert!(refusal(&lines, &[]).1.contains("Key"));
    }

    #[test]
    fn pages_of_other_sites_are_refused_unless_they_are_listed() {
        let from = |origin: &'static str| [&GOOD[..], &[origin]].concat();
        let granted = |lines: &[&str], origins: &[String]| {
            matches!(answer(&request(lines), origins), Request::Granted { .. })
        };
        assert!(granted(&from("Origin: http://gateway:9001"), &[]));
        assert_eq!(refusal(&from("Origin: https://evil.example"), &[]).0, 403);
        assert_eq!(refusal(&from("Origin: null"), &[]).0, 403);
        let listed = ["https://dashboard.example".to_owned()];
        assert!(granted(&from("Origin: https://dashboard.example"), &listed));
        assert_eq!(refusal(&from("Origin: https://dashboard.example.evil"), &listed).0, 403);
    }

    #[test]
    fn what_is_no_request_is_refused_before_it_is_complete() {
        assert_eq!(answer(b"GE", &[]), Request::Incomplete);
        assert!(matches!(answer(&[0x10, 0x20, 0], &[]), Request::Refused { .. }));
        let endless = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'a'; MAX_REQUEST]].concat();
        assert!(matches!(answer(&endless, &[]), Request::Refused { .. }));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(tail in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = b"GET ".to_vec();
            bytes.extend(tail);
            bytes.extend(b"\r\n\r\n");
            let _ = answer(&bytes, &[]);
        }
    }
}
