//! Any bytes as an MQTT packet: an error or a packet within the bytes, which encodes to bytes that mean the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mohhos_mqtt::Version;
use mohhos_mqtt::packet::decode;

fuzz_target!(|bytes: &[u8]| {
    for version in [Version::V4, Version::V5] {
        let Ok(Some((packet, size))) = decode(bytes, version, 1 << 20) else { continue };
        assert!(size <= bytes.len());
        for end in 0..size {
            assert_eq!(decode(&bytes[..end], version, 1 << 20), Ok(None), "a part of it is something");
        }
        let mut encoded = Vec::new();
        packet.encode(version, &mut encoded).expect("what was decoded can be encoded");
        let again = decode(&encoded, version, u32::MAX).expect("what was encoded can be decoded");
        assert_eq!(again, Some((packet, encoded.len())));
    }
});
