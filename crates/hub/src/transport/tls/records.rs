//! TLS records of an open connection: no I/O, no buffers of its own but for a record that is not complete.

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus};

/// The payload of a record (RFC 8446, 5.1).
const RECORD: usize = 16 * 1024;
/// More than head, padding and tag of a record take.
const OVERHEAD: usize = 64;

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    Wants,
    /// The other side has said that nothing more comes.
    Closed,
}

/// Takes the records in `raw`, and puts their plaintext behind `plain` and what has to be sent behind `wire`. How much
/// of `raw` is taken: what is left is a record that is not complete. During the handshake too.
///
/// An error means that the client breaks the standard, or that its certificate is not accepted; the alert is in `wire`.
pub fn take(
    connection: &mut UnbufferedServerConnection,
    raw: &mut [u8],
    plain: &mut Vec<u8>,
    wire: &mut Vec<u8>,
) -> (usize, Result<Step, rustls::Error>) {
    let mut start = 0;
    let outcome = loop {
        let UnbufferedStatus { mut discard, state } = connection.process_tls_records(&mut raw[start..]);
        let mut ended = None;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            discard += record.discard;
                            plain.extend_from_slice(record.payload);
                        }
                        Err(error) => ended = Some(Err(error)),
                    }
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, wire),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => ended = Some(Ok(Step::Closed)),
            Ok(_) => ended = Some(Ok(Step::Wants)),
            Err(error) => ended = Some(Err(error)),
        }
        start = (start + discard).min(raw.len());
        if let Some(outcome) = ended {
            break outcome;
        }
    };
    if outcome.is_err() {
        put_alert(connection, &mut raw[start..], wire);
    }
    (start, outcome)
}

/// After an error rustls has an alert to send, which it gives out before it looks at the bytes again that it has not
/// taken. More than once it must not look at them.
fn put_alert(connection: &mut UnbufferedServerConnection, raw: &mut [u8], wire: &mut Vec<u8>) {
    if let Ok(ConnectionState::EncodeTlsData(mut data)) = connection.process_tls_records(raw).state {
        encode(&mut data, wire);
    }
}

/// Puts a handshake record or an alert behind `wire`.
fn encode(data: &mut EncodeTlsData<'_, ServerConnectionData>, wire: &mut Vec<u8>) {
    put(wire, 0, |room| match data.encode(room) {
        Ok(count) => Ok(count),
        Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
        Err(EncodeError::AlreadyEncoded) => Err(None),
    });
}

/// Encrypts `plain` behind `wire`; false if the connection cannot be written to (any more).
pub fn encrypt(
    connection: &mut UnbufferedServerConnection,
    raw: &mut [u8],
    plain: &[u8],
    wire: &mut Vec<u8>,
) -> bool {
    write(connection, raw, wire, |traffic, room| traffic.encrypt(plain, room), encrypted_size(plain.len()))
}

/// Says that nothing more comes.
pub fn say_goodbye(connection: &mut UnbufferedServerConnection, raw: &mut [u8], wire: &mut Vec<u8>) -> bool {
    write(connection, raw, wire, |traffic, room| traffic.queue_close_notify(room), OVERHEAD)
}

fn encrypted_size(plain: usize) -> usize {
    plain + plain.div_ceil(RECORD) * OVERHEAD
}

type Traffic<'a> = rustls::unbuffered::WriteTraffic<'a, ServerConnectionData>;

fn write(
    connection: &mut UnbufferedServerConnection,
    raw: &mut [u8],
    wire: &mut Vec<u8>,
    mut act: impl FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    expected: usize,
) -> bool {
    // An incomplete record may be there, for which rustls waits; a complete one is not (see `take`).
    loop {
        match connection.process_tls_records(raw).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                return put(wire, expected, |room| match act(&mut traffic, room) {
                    Ok(count) => Ok(count),
                    Err(EncryptError::InsufficientSize(size)) => Err(Some(size.required_size)),
                    Err(EncryptError::EncryptExhausted) => Err(None),
                });
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, wire),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            _ => return false,
        }
    }
}

/// Lets something write behind `wire`, with as much room as is expected, or as it says that it needs.
fn put(
    wire: &mut Vec<u8>,
    expected: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> bool {
    let start = wire.len();
    let mut room = expected;
    loop {
        wire.resize(start + room, 0);
        match write(&mut wire[start..]) {
            Ok(count) => {
                wire.truncate(start + count);
                return true;
            }
            Err(Some(needed)) if needed > room => room = needed,
            Err(_) => {
                wire.truncate(start);
                return false;
            }
        }
    }
}

/// The first record in `raw` is complete, or can be none of a handshake: rustls has something to do or to refuse.
pub fn is_worth_a_look(raw: &[u8]) -> bool {
    const HANDSHAKE: u8 = 22;
    const LARGEST: usize = RECORD + 2048;
    match raw {
        [] => false,
        [kind, ..] if !(20..=23).contains(kind) => true,
        [_, major, ..] if *major != 3 => true,
        [kind, _, _, high, low, rest @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            (*kind == HANDSHAKE && length == 0) || length > LARGEST || rest.len() >= length
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_record_or_garbage_is_worth_a_look() {
        for (raw, worth) in [
            (&b""[..], false),
            (&[22], false),
            (&[22, 3, 1, 0, 2, 1], false),
            (&[22, 3, 1, 0, 2, 1, 1], true),
            (&[22, 3, 1, 0xFF, 0xFF], true),
            (b"\x10\x0e", true),
            (b"GET / HTTP/1.1", true),
            (&[22, 2], true),
        ] {
            assert_eq!(is_worth_a_look(raw), worth, "{raw:?}");
        }
    }
}
