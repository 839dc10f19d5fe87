//! Any bytes as a WebSocket client's: the opening handshake and frames say the same however the bytes are cut, hand on no
//! more than came, and answer with frames of a server.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mohhos_hub::fuzzing::{Decoder, Request, Wrong, answer};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    request: &'a [u8],
    /// Where the frames are cut.
    cuts: [u8; 4],
    frames: &'a [u8],
}

/// Payload, answers, and how it ended.
type Outcome = (Vec<u8>, Vec<u8>, Result<bool, Wrong>);

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::default();
    let (mut payload, mut replies) = (Vec::new(), Vec::new());
    for piece in pieces {
        let from = payload.len();
        payload.extend_from_slice(piece);
        match decoder.decode(&mut payload, from, &mut replies) {
            Ok(count) => {
                assert!(count <= piece.len(), "payload comes from nowhere");
                payload.truncate(from + count);
            }
            Err(wrong) => {
                // How much of the last piece is in place is not told.
                payload.truncate(from);
                return (payload, replies, Err(wrong));
            }
        }
    }
    (payload, replies, Ok(decoder.is_closed()))
}

/// A server's frames are whole, not masked, and here only pong and close.
fn check_replies(mut replies: &[u8]) {
    while let [first, second, rest @ ..] = replies {
        assert!(matches!(first, 0x88 | 0x8a), "{first:#x} is no answer");
        let length = usize::from(*second);
        assert!(length <= 125 && length <= rest.len());
        replies = &rest[length..];
    }
    assert!(replies.is_empty());
}

fuzz_target!(|input: Input<'_>| {
    let origins = ["https://a".to_owned()];
    let whole = answer(input.request, &origins);
    if let Request::Granted { length, .. } = &whole {
        assert!(*length <= input.request.len());
        assert_eq!(answer(&input.request[..*length], &origins), whole);
    }
    for end in 0..input.request.len() {
        match (answer(&input.request[..end], &origins), &whole) {
            // Why it is refused may be told better when more is there.
            (Request::Incomplete, _) | (Request::Refused { .. }, Request::Refused { .. }) => {}
            (earlier, later) => assert_eq!(&earlier, later, "it changes with more bytes"),
        }
    }

    let (payload, replies, end) = decode([input.frames].into_iter());
    check_replies(&replies);
    let mut rest = input.frames;
    let mut pieces = Vec::new();
    for cut in input.cuts {
        let (piece, tail) = rest.split_at(usize::from(cut).min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces.push(rest);
    let (cut_payload, cut_replies, cut_end) = decode(pieces.into_iter());
    assert_eq!((&cut_replies, cut_end), (&replies, end));
    if end.is_ok() {
        assert_eq!(cut_payload, payload);
    }
});
