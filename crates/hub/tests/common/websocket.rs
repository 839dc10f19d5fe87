//! A client's side of WebSocket over any stream.

use std::io::{self, Read, Write};

/// What comes besides binary frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    Pong(Vec<u8>),
    Close(Vec<u8>),
}

pub struct WebSocket<S> {
    pub stream: S,
    buffer: Vec<u8>,
    payload: Vec<u8>,
    /// Control frames that came.
    pub controls: Vec<Control>,
    /// Frames are divided into fragments of so many bytes.
    pub fragment: usize,
}

impl<S: Read + Write> WebSocket<S> {
    pub fn open(stream: S) -> Self {
        let (socket, answer) = Self::ask(stream, "Sec-WebSocket-Protocol: mqtt\r\n");
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        assert!(answer.contains("Sec-WebSocket-Protocol: mqtt\r\n"), "{answer}");
        socket
    }

    /// Sends a request with these headers beside the usual ones; the answer's head.
    pub fn ask(mut stream: S, headers: &str) -> (Self, String) {
        let request = format!(
            "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream.flush().unwrap();
        let mut buffer = Vec::new();
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let mut chunk = [0; 1024];
            let count = stream.read(&mut chunk).unwrap();
            assert_ne!(count, 0, "it ended within the answer: {}", String::from_utf8_lossy(&buffer));
            buffer.extend_from_slice(&chunk[..count]);
        };
        let answer = String::from_utf8(buffer.drain(..end).collect()).unwrap();
        let socket = Self { stream, buffer, payload: Vec::new(), controls: Vec::new(), fragment: usize::MAX };
        (socket, answer)
    }

    /// Sends one frame.
    pub fn frame(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        const MASK: [u8; 4] = [0xA1, 0x52, 0x03, 0xF4];
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..=125 => bytes.push(0x80 | length as u8),
            length @ 126..=0xFFFF => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&bytes)
    }

    /// Reads until a whole frame was there; false at the end of the stream.
    pub fn receive(&mut self) -> io::Result<bool> {
        loop {
            if let Some((opcode, payload, used)) = parse(&self.buffer) {
                self.buffer.drain(..used);
                match opcode {
                    2 => self.payload.extend(payload),
                    8 => self.controls.push(Control::Close(payload)),
                    10 => self.controls.push(Control::Pong(payload)),
                    other => panic!("a frame with opcode {other} from a server"),
                }
                return Ok(true);
            }
            let mut chunk = [0; 65_536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
    assert_eq!((first & 0xF0, second & 0x80), (0x80, 0), "a server's frame is whole and not masked");
    let (length, head) = match second {
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
        length => (usize::from(length), 2),
    };
    let payload = bytes.get(head..head + length)?;
    Some((first & 15, payload.to_vec(), head + length))
}

impl<S: Read + Write> Read for WebSocket<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.payload.is_empty() {
            if !self.receive()? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.payload.len());
        buffer[..count].copy_from_slice(&self.payload[..count]);
        self.payload.drain(..count);
        Ok(count)
    }
}

impl<S: Read + Write> Write for WebSocket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut parts = bytes.chunks(self.fragment.min(bytes.len().max(1))).peekable();
        let mut opcode = 2;
        while let Some(part) = parts.next() {
            let last = if parts.peek().is_none() { 0x80 } else { 0 };
            self.frame(opcode | last, part)?;
            opcode = 0;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
