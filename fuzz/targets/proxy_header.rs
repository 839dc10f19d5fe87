//! Any bytes where a load balancer's header is expected: a header within the bytes, an error, or more is needed; and the
//! answer does not depend on how the bytes come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mohhos_hub::fuzzing::proxy::parse;

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    if let Ok(Some(header)) = whole {
        assert!(header.length <= bytes.len());
        assert_eq!(parse(&bytes[..header.length]), whole, "what follows the header has a say");
    }
    for end in 0..bytes.len() {
        match (parse(&bytes[..end]), whole) {
            (Ok(None), _) => {}
            (Ok(Some(header)), Ok(Some(known))) => assert_eq!(header, known),
            (Err(_), Err(_)) => {}
            (earlier, later) => panic!("{earlier:?} becomes {later:?} with more bytes"),
        }
    }
});
