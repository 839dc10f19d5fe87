"""Whether two packets say the same, as far as MQTT 5 leaves it to the server how to say it.

Left to the server, and so not compared:
- what it says of its own limits in a CONNACK (3.2.2.3): maximum packet size, receive maximum, and so on;
- reason strings (3.2.2.3.9 and others: "The Server uses this value to give additional information to the Client");
- in a PUBACK or PUBREC, whether it uses 0x10 (3.4.2.1: "If the Server knows that there are no matching subscribers, it
  MAY use this Reason Code instead of 0x00");
- in a PUBCOMP, 0x92 instead of 0x00 where PUBREL is sent once more (3.7.2.1: "The Packet Identifier is not known. This
  is not an error during recovery");
- the order of properties of different kinds (2.2.2.2: "There is no significance in the order of Properties with
  different Identifiers");
- which reason code at or above 0x80 it has for an error, and whether it tells it before it closes the connection
  (4.13.1: "it SHOULD send a DISCONNECT packet containing the Reason Code before it closes the Network Connection").
"""

import contextlib
import socket

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x20, 0x30, 0x40, 0x50, 0x60, 0x70
SUBACK, UNSUBACK, DISCONNECT, AUTH = 0x90, 0xB0, 0xE0, 0xF0
NO_SUBSCRIBERS, ERROR, UNKNOWN_ID = 0x10, 0x80, 0x92
REASON_STRING, USER_PROPERTY = 0x1F, 0x26
#: Properties of a CONNACK that say what this server can or permits.
LIMITS = {0x11, 0x13, 0x21, 0x22, 0x24, 0x25, 0x27, 0x28, 0x29, 0x2A}
SIZES = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x18: 4, 0x19: 1, 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1}
SIZES |= {0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
VARIABLE = 0x0B
#: The scripts have a `recv` of their own.
RECV = socket.socket.recv

Said = tuple[object, ...]


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < ERROR:
            return value, at


def exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes, or what came before the end."""
    got = b""
    while len(got) < size and (part := RECV(sock, size - len(got))):
        got += part
    return got


def read(sock: socket.socket) -> bytes:
    """One packet, or what came of it before the end."""
    got = exactly(sock, 2)
    while len(got) > 1 and got[-1] >= ERROR and (byte := exactly(sock, 1)):
        got += byte
    return got + exactly(sock, varint(got, 1)[0]) if len(got) > 1 else got


def read_to_end(sock: socket.socket) -> bytes:
    """All that comes before the other side closes."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while part := RECV(sock, 4096):
            got += part
    return got


def split(data: bytes) -> list[bytes]:
    """The packets in a row."""
    packets = []
    while data:
        length, start = varint(data, 1)
        packets.append(data[: start + length])
        data = data[start + length :]
    return packets


def is_refusal(received: bytes) -> bool:
    """Nothing, or one packet that says why the connection is closed."""
    if not received:
        return True
    body = received[2:]
    code = body[1:2] if received[0] == CONNACK else body[:1]
    return received[0] in {CONNACK, DISCONNECT} and len(split(received)) == 1 and code != b"\0"


def properties(data: bytes) -> tuple[Said, bytes]:
    """Properties without those that are not compared, in a fixed order, and what follows them."""
    if not data:
        return (), b""
    length, at = varint(data, 0)
    end = at + length
    kept: list[tuple[int, bytes]] = []
    while at < end:
        kind, start = data[at], at + 1
        if kind == VARIABLE:
            at = varint(data, start)[1]
        elif kind in SIZES:
            at = start + SIZES[kind]
        else:
            at = start
            for _ in range(2 if kind == USER_PROPERTY else 1):
                at += 2 + int.from_bytes(data[at : at + 2], "big")
        if kind != REASON_STRING:
            kept.append((kind, data[start:at]))
    return tuple(sorted(kept, key=lambda each: each[0])), data[end:]


def says(packet: bytes) -> Said:
    """What a packet of MQTT 5 says."""
    kind, (_, start) = packet[0] & 0xF0, varint(packet, 1)
    body = packet[start:]
    if kind == CONNACK:
        said, _ = properties(body[2:])
        kept = tuple(each for each in said if isinstance(each, tuple) and each[0] not in LIMITS)
        return packet[0], body[0], code(body[1]), kept
    if kind == PUBLISH:
        end = 2 + int.from_bytes(body[:2], "big") + (2 if packet[0] & 0x06 else 0)
        return packet[0], body[:end], *properties(body[end:])
    if kind in {PUBACK, PUBREC, PUBREL, PUBCOMP}:
        reason = body[2] if len(body) > 2 else 0
        fine = reason == NO_SUBSCRIBERS or (kind == PUBCOMP and reason == UNKNOWN_ID)
        return packet[0], body[:2], 0 if fine else code(reason), properties(body[3:])[0]
    if kind in {SUBACK, UNSUBACK}:
        said, codes = properties(body[2:])
        return packet[0], body[:2], said, tuple(code(each) for each in codes)
    if kind in {DISCONNECT, AUTH}:
        return packet[0], code(body[0]) if body else 0, properties(body[1:])[0]
    return (packet,)


def code(reason: int) -> int:
    """A reason code; of errors only that they are errors."""
    return min(reason, ERROR)


def same(received: bytes, expected: bytes, is_v5: bool) -> bool:
    """Whether two packets say the same."""
    if received == expected:
        return True
    if not is_v5 or not received or not expected:
        return False
    try:
        return says(received) == says(expected)
    except IndexError:
        return False
