//! Frames of WebSocket (RFC 6455, section 5), as a server reads and writes them.
//!
//! Payload is passed on as it comes: no frame is kept whole, so its length bounds no memory. Only the payload of a
//! control frame (125 bytes at most) is gathered.

/// The payload of a control frame is not longer (5.5).
const MAX_CONTROL: usize = 125;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Why a connection is closed (7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The purpose is fulfilled.
    Normal = 1000,
    /// The standard was broken.
    ProtocolError = 1002,
    /// A frame that MQTT does not use: text.
    Unsupported = 1003,
}

/// A frame that breaks the standard: what the client is told, and what operators are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// The status of the close frame.
    pub status: Status,
    /// For people.
    pub why: &'static str,
}

const fn wrong(why: &'static str) -> Wrong {
    Wrong { status: Status::ProtocolError, why }
}

/// Reads a client's frames.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a frame that is not complete.
    head: [u8; 14],
    head_length: u8,
    opcode: u8,
    mask: [u8; 4],
    /// Where in the mask the next byte is.
    phase: u8,
    /// How much of the frame's payload is to come.
    left: u64,
    /// A message is not complete: continuation frames follow.
    fragmented: bool,
    closed: bool,
    control: Vec<u8>,
}

impl Decoder {
    /// Takes bytes of frames from `bytes[from..]` and leaves the payload of binary messages there, in order and without
    /// gaps; returns how much that is. Answers to control frames go to `replies`. After the client's close frame
    /// everything is passed over, and [`Decoder::is_closed`] is true.
    ///
    /// # Errors
    /// The client breaks the standard. What came before is in place, but its length is not told: the connection ends.
    pub fn decode(&mut self, bytes: &mut [u8], from: usize, replies: &mut Vec<u8>) -> Result<usize, Wrong> {
        let (mut read, mut write) = (from, from);
        while read < bytes.len() && !self.closed {
            if self.left == 0 && !self.is_in_control() {
                read += self.read_head(&bytes[read..])?;
                if self.left == 0 && self.is_in_control() {
                    self.end_of_control(replies)?;
                }
                continue;
            }
            let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - read);
            self.unmask(&mut bytes[read..read + count]);
            if self.is_in_control() {
                self.control.extend_from_slice(&bytes[read..read + count]);
            } else {
                bytes.copy_within(read..read + count, write);
                write += count;
            }
            read += count;
            self.left -= count as u64;
            if self.left == 0 && self.is_in_control() {
                self.end_of_control(replies)?;
            }
        }
        Ok(write - from)
    }

    /// The client has sent a close frame.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn is_in_control(&self) -> bool {
        self.opcode & 8 != 0
    }

    /// Takes what the head of a frame needs; how many bytes.
    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, Wrong> {
        let mut taken = 0;
        for &byte in bytes {
            self.head[usize::from(self.head_length)] = byte;
            self.head_length += 1;
            taken += 1;
            if self.head_length == 2 {
                self.check_head()?;
            }
            if self.head_length >= 2 && self.head_length == self.head_size() {
                self.begin()?;
                break;
            }
        }
        Ok(taken)
    }

    fn head_size(&self) -> u8 {
        match self.head[1] & 127 {
            126 => 8,
            127 => 14,
            _ => 6,
        }
    }

    /// Looks at the first two bytes.
    fn check_head(&self) -> Result<(), Wrong> {
        let [first, second, ..] = self.head;
        let (opcode, is_last) = (first & 15, first & FIN != 0);
        if first & 0x70 != 0 {
            return Err(wrong("a frame uses an extension that was not agreed"));
        }
        if second & MASKED == 0 {
            return Err(wrong("a frame is not masked"));
        }
        match opcode {
            TEXT => Err(Wrong {
                status: Status::Unsupported,
                why: "a text frame came; MQTT goes in binary frames",
            }),
            BINARY if self.fragmented => Err(wrong("a message began within another")),
            CONTINUATION if !self.fragmented => Err(wrong("a frame continues nothing")),
            BINARY | CONTINUATION => Ok(()),
            CLOSE | PING | PONG if !is_last => Err(wrong("a control frame is fragmented")),
            CLOSE | PING | PONG if usize::from(second & 127) > MAX_CONTROL => {
                Err(wrong("a control frame is longer than 125 bytes"))
            }
            CLOSE | PING | PONG => Ok(()),
            _ => Err(wrong("a frame has an unknown opcode")),
        }
    }

    /// The head is complete.
    fn begin(&mut self) -> Result<(), Wrong> {
        let head = &self.head[..usize::from(self.head_length)];
        let (sizes, mask) = head.split_at(head.len() - 4);
        let length = match sizes.len() {
            4 => u64::from(u16::from_be_bytes([sizes[2], sizes[3]])),
            10 => sizes[2..].iter().fold(0, |length, &byte| length << 8 | u64::from(byte)),
            _ => u64::from(sizes[1] & 127),
        };
        if length >> 63 != 0 {
            return Err(wrong("a frame has a negative length"));
        }
        self.mask.copy_from_slice(mask);
        self.phase = 0;
        self.head_length = 0;
        self.opcode = head[0] & 15;
        if !self.is_in_control() {
            self.fragmented = head[0] & FIN == 0;
        }
        self.left = length;
        Ok(())
    }

    fn unmask(&mut self, bytes: &mut [u8]) {
        let mut mask = self.mask;
        mask.rotate_left(usize::from(self.phase));
        // Eight at a time: the loop over words is what the compiler makes wide.
        let wide = [mask, mask].concat();
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            for (byte, mask) in word.iter_mut().zip(&wide) {
                *byte ^= mask;
            }
        }
        for (byte, mask) in rest.iter_mut().zip(&wide) {
            *byte ^= mask;
        }
        self.phase = (self.phase + (bytes.len() & 3) as u8) & 3;
    }

    fn end_of_control(&mut self, replies: &mut Vec<u8>) -> Result<(), Wrong> {
        let opcode = std::mem::replace(&mut self.opcode, CONTINUATION);
        let payload = std::mem::take(&mut self.control);
        match opcode {
            PING => put_frame(PONG, &payload, replies),
            CLOSE => {
                self.closed = true;
                let status = match payload.as_slice() {
                    [] => Status::Normal as u16,
                    [high, low, ..] => u16::from_be_bytes([*high, *low]),
                    _ => return Err(wrong("a close frame has half a status")),
                };
                put_frame(CLOSE, &status.to_be_bytes(), replies);
            }
            // Nobody asked for a pong; the standard permits one (5.5.3).
            _ => {}
        }
        Ok(())
    }
}

/// The head of a binary frame with a payload of this length.
pub fn binary_head(length: usize, out: &mut Vec<u8>) {
    put_head(BINARY, length, out);
}

/// A close frame.
pub fn close(status: Status, out: &mut Vec<u8>) {
    put_frame(CLOSE, &(status as u16).to_be_bytes(), out);
}

fn put_frame(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    put_head(opcode, payload.len(), out);
    out.extend_from_slice(payload);
}

fn put_head(opcode: u8, length: usize, out: &mut Vec<u8>) {
    out.push(FIN | opcode);
    match length {
        0..=125 => out.push(length as u8),
        126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_head(0, payload.len(), &mut bytes);
        bytes[0] = first;
        bytes[1] |= MASKED;
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// Decodes in pieces: the payload, and the replies.
    fn decode(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<u8>, bool), Wrong> {
        let (mut decoder, mut payload, mut replies) = (Decoder::default(), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece.max(1)) {
            let from = payload.len();
            payload.extend_from_slice(piece);
            let count = decoder.decode(&mut payload, from, &mut replies)?;
            payload.truncate(from + count);
        }
        Ok((payload, replies, decoder.is_closed()))
    }

    fn fails(bytes: &[u8]) -> Wrong {
        decode(bytes, usize::MAX).unwrap_err()
    }

    #[test]
    fn fragments_with_a_ping_between_them_come_out_whole_and_the_ping_is_answered() {
        let mut bytes = frame(BINARY, b"ab", [1, 2, 3, 4]);
        bytes.extend(frame(FIN | PING, b"are you there", [9, 8, 7, 6]));
        bytes.extend(frame(CONTINUATION, b"cd", [5, 5, 5, 5]));
        bytes.extend(frame(FIN | CONTINUATION, b"", [0; 4]));
        bytes.extend(frame(FIN | PONG, b"nobody asked", [1; 4]));
        bytes.extend(frame(FIN | BINARY, b"ef", [0, 255, 0, 255]));
        for piece in 1..=bytes.len() {
            let (payload, replies, closed) = decode(&bytes, piece).unwrap();
            assert_eq!((payload.as_slice(), closed), (b"abcdef".as_slice(), false));
            assert_eq!(replies, [&[FIN | PONG, 13][..], b"are you there"].concat());
        }
    }

    #[test]
    fn a_close_frame_is_answered_with_its_status_and_nothing_after_it_counts() {
        let mut bytes = frame(FIN | BINARY, b"x", [3; 4]);
        bytes.extend(frame(FIN | CLOSE, &[0x03, 0xE9, b'b', b'y', b'e'], [1, 2, 3, 4]));
        bytes.extend(frame(FIN | BINARY, b"late", [3; 4]));
        let (payload, replies, closed) = decode(&bytes, 3).unwrap();
        assert_eq!(
            (payload.as_slice(), replies.as_slice(), closed),
            (&b"x"[..], &[0x88, 2, 0x03, 0xE9][..], true)
        );
        let (_, replies, closed) = decode(&frame(FIN | CLOSE, b"", [0; 4]), 1).unwrap();
        assert_eq!((replies.as_slice(), closed), (&[0x88, 2, 0x03, 0xE8][..], true));
    }

    #[test]
    fn what_breaks_the_standard_is_refused() {
        let masked = |first: u8| frame(first, b"a", [1; 4]);
        for (bytes, word) in [
            (masked(FIN | BINARY | 0x40), "extension"),
            (vec![FIN | BINARY, 1, b'a'], "not masked"),
            (masked(FIN | CONTINUATION), "continues nothing"),
            ([masked(BINARY), masked(FIN | BINARY)].concat(), "within another"),
            (masked(PING), "fragmented"),
            (frame(FIN | PING, &[0; 126], [1; 4]), "125"),
            (masked(FIN | 3), "opcode"),
            (masked(FIN | CLOSE), "half a status"),
            (vec![FIN | BINARY, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1], "negative"),
        ] {
            let wrong = fails(&bytes);
            assert!(wrong.why.contains(word) && wrong.status == Status::ProtocolError, "{word}: {wrong:?}");
        }
        assert_eq!(fails(&masked(FIN | TEXT)).status, Status::Unsupported);
    }

    #[test]
    fn heads_of_all_three_lengths_are_written_as_the_standard_says() {
        for (length, head) in [
            (125usize, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            binary_head(length, &mut out);
            assert_eq!(out, head);
        }
    }

    proptest! {
        #[test]
        fn payload_survives_any_division_into_frames_and_reads(
            payload in prop::collection::vec(any::<u8>(), 0..70_000),
            cuts in prop::collection::vec(1usize..40_000, 1..6),
            mask: [u8; 4],
            piece in 1usize..9_000,
        ) {
            let mut bytes = Vec::new();
            let mut rest = payload.as_slice();
            let mut opcode = BINARY;
            for cut in cuts {
                let (part, later) = rest.split_at(cut.min(rest.len()));
                bytes.extend(frame(opcode, part, mask));
                (opcode, rest) = (CONTINUATION, later);
            }
            bytes.extend(frame(FIN | opcode, rest, mask));
            prop_assert_eq!(decode(&bytes, piece).unwrap().0, payload);
        }

        #[test]
        fn nothing_that_comes_makes_it_panic_or_grow(bytes in prop::collection::vec(any::<u8>(), 0..400), piece in 1usize..50) {
            if let Ok((payload, _, _)) = decode(&bytes, piece) {
                prop_assert!(payload.len() <= bytes.len());
            }
        }
    }
}
