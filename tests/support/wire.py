"""MQTT by hand, for what no client library would send, and for clients that do not read."""

import contextlib
import socket
import struct
from collections.abc import Iterator

CONNACK, PUBLISH, SUBACK, PINGRESP, DISCONNECT = 0x20, 0x30, 0x90, 0xD0, 0xE0
WITHIN_S = 20.0


def length(value: int) -> bytes:
    """A variable byte integer (MQTT 5, 1.5.5)."""
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def text(value: str | bytes) -> bytes:
    """A string or binary data with its length."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(raw)) + raw


def packet(first: int, body: bytes) -> bytes:
    """A control packet."""
    return bytes([first]) + length(len(body)) + body


class Wire:
    """A socket to the gateway that speaks exactly what it is told."""

    def __init__(self, port: int, version: int = 5, receive_buffer: int | None = None) -> None:
        self.version = version
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WITHIN_S)
        self.socket.connect(("127.0.0.1", port))
        self._read = bytearray()

    def send(self, data: bytes) -> None:
        """Sends bytes as they are. Whoever broke the protocol may be gone before all of them are out."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def connect(self, user: str | None, password: str | None, client_id: str = "wire") -> int:
        """CONNECT; gives the reason code (MQTT 5) or the return code (3.1.1) of the CONNACK."""
        flags = 0x02 | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
        body = text("MQTT") + bytes([self.version, flags]) + struct.pack(">H", 300)
        body += b"\0" if self.version == 5 else b""
        body += text(client_id)
        body += b"".join(text(each) for each in (user, password) if each is not None)
        self.send(packet(0x10, body))
        first, answer = self.next()
        assert first == CONNACK, f"{first:#x} instead of a CONNACK"
        return answer[1]

    def subscribe(self, topic: str, qos: int = 0) -> None:
        """SUBSCRIBE, and waits for the SUBACK."""
        properties = b"\0" if self.version == 5 else b""
        self.send(packet(0x82, b"\0\1" + properties + text(topic) + bytes([qos])))
        first, _ = self.next()
        assert first == SUBACK, f"{first:#x} instead of a SUBACK"

    def next(self) -> tuple[int, bytes]:
        """The next packet: its first byte and its body. Raises EOFError at the end."""
        while (whole := self._whole()) is None:
            try:
                got = self.socket.recv(1 << 16)
            except ConnectionResetError:
                got = b""
            if not got:
                raise EOFError
            self._read += got
        return whole

    def _whole(self) -> tuple[int, bytes] | None:
        size = shift = 0
        for at, byte in enumerate(self._read[1:5], 1):
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                end = at + 1 + size
                if len(self._read) < end:
                    return None
                found = self._read[0], bytes(self._read[at + 1 : end])
                del self._read[:end]
                return found
        return None

    def message(self) -> tuple[str, bytes]:
        """The topic and payload of the next PUBLISH of QoS 0; other packets are passed over."""
        while True:
            first, body = self.next()
            if first & 0xF0 == PUBLISH:
                end = 2 + struct.unpack_from(">H", body)[0]
                start = end + (1 if self.version == 5 else 0)
                return body[2:end].decode(), body[start:]

    def ended(self) -> int | None:
        """Reads to the end; gives the reason of the DISCONNECT, if there was one."""
        reason = None
        with contextlib.suppress(EOFError):
            while True:
                first, body = self.next()
                if first == DISCONNECT:
                    reason = body[0] if body else 0
        return reason

    def close(self) -> None:
        """Closes the socket without a word."""
        self.socket.close()


@contextlib.contextmanager
def wire(port: int, version: int = 5, receive_buffer: int | None = None) -> Iterator[Wire]:
    """A socket for the length of the block."""
    opened = Wire(port, version, receive_buffer)
    try:
        yield opened
    finally:
        opened.close()
