//! Bytes that are no packet, and the reason code that the standard prescribes for each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

use mohhos_mqtt::Version::{V4, V5};
use mohhos_mqtt::packet::decode;
use mohhos_mqtt::{ReasonCode, Version};

/// Version, bytes, reason code, what is wrong.
const CASES: &[(Version, &str, u8, &str)] = &[
    // Fixed header
    (V5, "00 00", 0x81, "packet type 0"),
    (V4, "f0 00", 0x81, "AUTH in 3.1.1"),
    (V5, "36 00", 0x81, "PUBLISH QoS 3"),
    (V5, "38 05 0001 61 00 78", 0x81, "PUBLISH QoS 0 with DUP"),
    (V5, "60 02 0001", 0x81, "PUBREL without its fixed flags"),
    (V5, "80 06 0001 00 0001 61", 0x81, "SUBSCRIBE without its fixed flags"),
    (V5, "a0 06 0001 00 0001 61", 0x81, "UNSUBSCRIBE without its fixed flags"),
    (V5, "c1 00", 0x81, "PINGREQ with flags"),
    (V5, "c0 ff ff ff ff", 0x81, "remaining length of more than four bytes"),
    (V5, "c0 80 00", 0x81, "remaining length longer than needed"),
    (V5, "c0 01 00", 0x81, "PINGREQ with a body"),
    (V5, "d0 01 00", 0x81, "PINGRESP with a body"),
    (V5, "30 ff ff ff 7f", 0x95, "larger than the maximum, known from the header alone"),
    (V4, "30 ff ff 7f", 0x95, "larger than the maximum in 3.1.1"),
    // CONNECT
    (V5, "10 00", 0x81, "empty CONNECT"),
    (V5, "10 0e 0005 4d51545454 05 02 003c 00 0000", 0x84, "another protocol name"),
    (V5, "10 0e 0006 4d5149736470 03 02 003c 0000", 0x84, "MQTT 3.1"),
    (V5, "10 0d 0004 4d515454 06 02 003c 00 0000", 0x84, "a version to come"),
    (V5, "10 0c 0004 4d515454 83 02 003c 0000", 0x84, "3.1 of a bridge, under the name of 3.1.1"),
    (V5, "10 0e 0006 4d5149736470 83 02 003c 0000", 0x84, "MQTT 3.1 of a bridge"),
    (V5, "10 0d 0004 4d515454 05 03 003c 00 0000", 0x81, "reserved flag"),
    (V5, "10 0d 0004 4d515454 05 22 003c 00 0000", 0x81, "will retain without will"),
    (V5, "10 0d 0004 4d515454 05 0a 003c 00 0000", 0x81, "will QoS without will"),
    (V5, "10 13 0004 4d515454 05 1e 003c 00 0000 00 0001 61 0000", 0x81, "will QoS 3"),
    (V4, "10 0e 0004 4d515454 04 42 003c 0000 0000", 0x81, "3.1.1: password without user name"),
    (V5, "10 0d 0004 4d515454 05 02 003c 00 0001", 0x81, "client id ends too soon"),
    (V5, "10 0e 0004 4d515454 05 02 003c 00 0000 00", 0x81, "bytes after the end"),
    (V5, "10 0e 0004 4d515454 05 02 003c 00 0001 00", 0x81, "U+0000 in the client id"),
    (V5, "10 10 0004 4d515454 05 02 003c 00 0003 eda080", 0x81, "a surrogate in the client id"),
    (V5, "10 0f 0004 4d515454 05 02 003c 02 2101 0000", 0x81, "property ends too soon"),
    (V5, "10 10 0004 4d515454 05 02 003c 03 210000 0000", 0x82, "receive maximum 0"),
    (V5, "10 12 0004 4d515454 05 02 003c 05 2700000000 0000", 0x82, "maximum packet size 0"),
    (V5, "10 0f 0004 4d515454 05 02 003c 02 1702 0000", 0x82, "request problem information 2"),
    (V5, "10 11 0004 4d515454 05 02 003c 04 1701 1701 0000", 0x82, "a property twice"),
    (V5, "10 10 0004 4d515454 05 02 003c 03 230001 0000", 0x81, "topic alias in CONNECT"),
    (V5, "10 11 0004 4d515454 05 02 003c 04 16000161 0000", 0x82, "authentication data without method"),
    (V5, "10 13 0004 4d515454 05 06 003c 00 0000 00 0001 23 0000", 0x81, "wildcard in the will topic"),
    (V5, "10 12 0004 4d515454 05 06 003c 00 0000 00 0000 0000", 0x81, "empty will topic"),
    (V5, "10 15 0004 4d515454 05 06 003c 00 0000 02 2701 0001 61 0000", 0x81, "foreign will property"),
    // CONNACK
    (V5, "20 03 02 00 00", 0x81, "reserved acknowledge flags"),
    (V5, "20 03 00 01 00", 0x81, "a code that CONNACK does not have"),
    (V4, "20 02 00 06", 0x81, "3.1.1: return code 6"),
    (V4, "20 03 00 00 00", 0x81, "3.1.1: too long"),
    // PUBLISH
    (V5, "30 00", 0x81, "no topic"),
    (V5, "30 03 0005 61", 0x81, "topic ends too soon"),
    (V5, "30 03 0000 00", 0x82, "empty topic without alias"),
    (V4, "30 02 0000", 0x81, "3.1.1: empty topic"),
    (V5, "30 04 0001 2b 00", 0x81, "+ in the topic"),
    (V4, "30 05 0003 612f23", 0x81, "# in the topic"),
    (V5, "30 04 0001 00 00", 0x81, "U+0000 in the topic"),
    (V4, "30 03 0001 ff", 0x81, "topic is not UTF-8"),
    (V5, "32 06 0001 61 0000 00", 0x82, "packet id 0"),
    (V4, "32 04 0001 61 00", 0x81, "packet id ends too soon"),
    (V5, "30 03 0001 61", 0x81, "no property length"),
    (V5, "30 05 0001 61 02 01", 0x81, "properties end too soon"),
    (V5, "30 06 0001 61 02 0102", 0x82, "payload format 2"),
    (V5, "30 06 0001 61 02 7f01", 0x81, "unknown property"),
    (V5, "30 06 0001 61 02 8001", 0x81, "unknown property beyond 127"),
    (V5, "30 06 0001 61 02 1800", 0x81, "will delay in PUBLISH"),
    (V5, "30 07 0001 61 03 230000", 0x94, "topic alias 0"),
    (V5, "30 0a 0001 61 06 230001 230001", 0x82, "topic alias twice"),
    (V5, "30 06 0001 61 02 0b00", 0x82, "subscription identifier 0"),
    (V5, "30 09 0001 61 05 0bffffffff", 0x81, "subscription identifier of five bytes"),
    (V5, "30 08 0001 61 04 08 0001 2b", 0x81, "wildcard in the response topic"),
    (V5, "30 09 0001 61 05 26 0001 61 00", 0x81, "user property without value"),
    // PUBACK and the like
    (V5, "40 01 00", 0x81, "PUBACK ends too soon"),
    (V5, "40 02 0000", 0x82, "PUBACK for packet id 0"),
    (V5, "40 03 0001 01", 0x81, "a code that PUBACK does not have"),
    (V5, "50 03 0001 92", 0x81, "a code that PUBREC does not have"),
    (V5, "62 03 0001 87", 0x81, "a code that PUBREL does not have"),
    (V5, "70 03 0001 10", 0x81, "a code that PUBCOMP does not have"),
    (V5, "40 07 0001 00 03 230001", 0x81, "topic alias in PUBACK"),
    (V5, "40 05 0001 00 00 00", 0x81, "bytes after the end of PUBACK"),
    (V4, "40 03 0001 00", 0x81, "3.1.1: PUBACK with a code"),
    // SUBSCRIBE, SUBACK
    (V5, "82 03 0001 00", 0x82, "no filter"),
    (V4, "82 02 0001", 0x82, "3.1.1: no filter"),
    (V5, "82 07 0000 00 0001 61 00", 0x82, "SUBSCRIBE with packet id 0"),
    (V5, "82 07 0001 00 0001 61 03", 0x82, "QoS 3"),
    (V5, "82 07 0001 00 0001 61 30", 0x82, "retain handling 3"),
    (V5, "82 07 0001 00 0001 61 40", 0x81, "reserved option bit"),
    (V4, "82 06 0001 0001 61 04", 0x81, "3.1.1: no local"),
    (V5, "82 06 0001 00 0001 61", 0x81, "no options"),
    (V5, "82 08 0001 00 0002 6123 00", 0x81, "misplaced #"),
    (V5, "82 06 0001 00 0000 00", 0x81, "empty filter"),
    (V5, "82 0e 0001 00 0008 2473686172652f67 00", 0x81, "shared without a filter"),
    (V5, "82 10 0001 00 000a 2473686172652f672f61 04", 0x82, "shared with no local"),
    (V5, "82 0b 0001 04 0b01 0b02 0001 61 00", 0x82, "two subscription identifiers"),
    (V5, "90 03 0001 00", 0x82, "SUBACK without a code"),
    (V5, "90 04 0001 00 03", 0x81, "SUBACK granting QoS 3"),
    (V4, "90 03 0001 87", 0x81, "3.1.1: SUBACK with 0x87"),
    // UNSUBSCRIBE, UNSUBACK
    (V5, "a2 03 0001 00", 0x82, "no filter"),
    (V5, "a2 07 0001 00 0001 23 61", 0x81, "bytes after the end"),
    (V4, "a2 06 0001 0002 2b2b", 0x81, "misplaced +"),
    (V5, "b0 04 0001 00 01", 0x81, "a code that UNSUBACK does not have"),
    (V4, "b0 03 0001 00", 0x81, "3.1.1: UNSUBACK with a code"),
    // DISCONNECT, AUTH
    (V4, "e0 01 00", 0x81, "3.1.1: DISCONNECT with a code"),
    (V5, "e0 01 01", 0x81, "a code that DISCONNECT does not have"),
    (V5, "e0 05 00 03 210001", 0x81, "receive maximum in DISCONNECT"),
    (V5, "f0 01 00", 0x81, "AUTH without properties"),
    (V5, "f0 02 01 00", 0x81, "a code that AUTH does not have"),
];

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn each_malformed_packet_is_refused_with_its_reason_code() {
    let mut wrong = Vec::new();
    for &(version, text, code, what) in CASES {
        let bytes = hex(text);
        // A case must fail by what it is about, not because its length does not fit.
        let length_fits = bytes.len() < 2 || bytes[1] & 0x80 != 0 || usize::from(bytes[1]) + 2 == bytes.len();
        assert!(length_fits, "{what}: the case has a wrong length");
        let found = decode(&bytes, version, 1024).map(|_| ()).map_err(|e| e.code);
        let expected = Err(ReasonCode::from_u8(code).unwrap());
        if found != expected {
            wrong.push(format!("{what}: {text}: {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_broken_connect_says_in_which_version_to_answer() {
    for (text, connack) in [
        ("10 0d 0004 4d515454 05 03 003c 00 0000", Some(V5)),
        ("10 0c 0004 4d515454 04 03 003c 0000", Some(V4)),
        ("10 0e 0006 4d5149736470 03 02 003c 0000", Some(V4)),
        ("10 0e 0006 4d5149736470 83 02 003c 0000", Some(V4)),
        ("10 0c 0004 4d515454 84 03 003c 0000", Some(V4)),
        ("10 0d 0004 4d515454 06 02 003c 00 0000", Some(V5)),
        ("10 0e 0005 4d51545454 05 02 003c 00 0000", None),
    ] {
        assert_eq!(decode(&hex(text), V5, 1024).unwrap_err().connack, connack, "{text}");
    }
}

#[test]
fn size_and_type_are_judged_before_the_packet_is_there() {
    assert_eq!(decode(&hex("30 81 08"), V5, 1024).unwrap_err().code, ReasonCode::PacketTooLarge);
    assert_eq!(decode(&hex("30 fd 07"), V5, 1024), Ok(None));
    assert_eq!(decode(&hex("00"), V5, 1024).unwrap_err().code, ReasonCode::MalformedPacket);
}
