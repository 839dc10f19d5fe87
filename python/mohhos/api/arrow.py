"""Columns as an Arrow IPC stream (format version V5), written without the Arrow libraries.

An import of pyarrow would cost the gateway 40 MB of memory for one answer. What is needed of the format is little:

    stream  = schema message, record batch message, end-of-stream (0xFFFFFFFF 0x00000000)
    message = 0xFFFFFFFF, length of the metadata (int32), metadata (a flatbuffer, padded to 8 bytes), body
    body    = the buffers one after the other, each padded to 8 bytes

The metadata are flatbuffers of the tables Message, Schema, Field and RecordBatch of Arrow's Message.fbs and Schema.fbs.
All columns are without nulls: their validity buffers are empty.
"""

import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["MEDIA_TYPE", "Column", "stream"]

MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"

#: Name, kind ("text", "bool", "count", "time"), and the buffers of the values.
Column = tuple[str, str, Sequence[bytes]]

_V5: Final = 4
_SCHEMA, _RECORD_BATCH = 1, 3
_INT, _UTF8, _BOOL, _TIMESTAMP = 2, 5, 6, 10
_MICROSECOND: Final = 2


class _Builder:
    """A flatbuffer, from its end to its beginning; a place is the distance from the end."""

    def __init__(self) -> None:
        self._bytes = b""

    def _put(self, data: bytes, align: int) -> int:
        """Puts bytes before all others, so that they begin at a multiple of `align` from the end."""
        padding = -(len(self._bytes) + len(data)) % align
        self._bytes = data + b"\0" * padding + self._bytes
        return len(self._bytes)

    def text(self, text: str) -> int:
        """A string."""
        data = text.encode()
        return self._put(struct.pack("<I", len(data)) + data + b"\0" * (4 - len(data) % 4), 4)

    def structs(self, packed: Sequence[bytes]) -> int:
        """A vector of structs of 64-bit numbers."""
        place = self._put(b"".join(packed), 8)
        return self._put_before(struct.pack("<I", len(packed)), place)

    def _put_before(self, data: bytes, place: int) -> int:
        """Puts bytes directly before the last ones."""
        if place != len(self._bytes):
            raise ValueError("something lies between")
        self._bytes = data + self._bytes
        return len(self._bytes)

    def offsets(self, places: Sequence[int]) -> int:
        """A vector of references."""
        self._put(b"", 4)
        end = len(self._bytes)
        size = 4 * len(places)
        references = [end + size - 4 * n - place for n, place in enumerate(places)]
        data = struct.pack(f"<{len(places) + 1}I", len(places), *references)
        return self._put(data, 4)

    def table(self, fields: Sequence[tuple[str, int] | None]) -> int:
        """A table of fields: kind ("b" 1 byte, "h" 2, "i" 4, "q" 8, "o" a reference) and value; None: the default."""
        sizes = {"b": 1, "h": 2, "i": 4, "o": 4, "q": 8}
        self._put(b"", 8)
        end = len(self._bytes)
        # The largest first behind the reference to the vtable (4 bytes), so that each is aligned.
        order = sorted((n for n, f in enumerate(fields) if f), key=lambda n: -sizes[(fields[n] or ("b", 0))[0]])
        at = 8 if any(f and f[0] == "q" for f in fields) else 4
        places: dict[int, int] = {}
        for n in order:
            field = fields[n]
            if field is not None:
                places[n] = at
                at += sizes[field[0]]
        size = at + -at % 8
        body = bytearray(size)
        for n, place in places.items():
            kind, value = fields[n] or ("b", 0)
            # A reference is the distance from where it stands to what it means.
            stored = end + size - place - value if kind == "o" else value
            struct.pack_into({"b": "<B", "h": "<h", "i": "<i", "o": "<I", "q": "<q"}[kind], body, place, stored)
        vtable = struct.pack(
            f"<{2 + len(fields)}H", 4 + 2 * len(fields), size, *(places.get(n, 0) for n in range(len(fields)))
        )
        vtable_padding = b"\0" * (-len(vtable) % 8)
        struct.pack_into("<i", body, 0, len(vtable) + len(vtable_padding))
        table = self._put(bytes(body), 8)
        self._bytes = vtable + vtable_padding + self._bytes
        return table

    def finish(self, root: int) -> bytes:
        """The buffer, which begins with the reference to its root."""
        self._put(b"", 8)
        total = len(self._bytes) + 8
        return struct.pack("<II", total - root, 0) + self._bytes


def stream(rows: int, columns: Sequence[Column]) -> bytes:
    """The whole stream: the schema and one record batch."""
    return b"".join([_message(_schema(columns), b""), *_batch(rows, columns), struct.pack("<II", 0xFFFFFFFF, 0)])


def _message(metadata: bytes, body: bytes) -> bytes:
    return struct.pack("<Ii", 0xFFFFFFFF, len(metadata)) + metadata + body


def _schema(columns: Sequence[Column]) -> bytes:
    builder = _Builder()
    fields = [_field(builder, name, kind) for name, kind, _ in columns]
    schema = builder.table([None, ("o", builder.offsets(fields))])
    return builder.finish(builder.table([("h", _V5), ("b", _SCHEMA), ("o", schema)]))


def _field(builder: _Builder, name: str, kind: str) -> int:
    match kind:
        case "text":
            number, described = _UTF8, builder.table([])
        case "bool":
            number, described = _BOOL, builder.table([])
        case "count":
            # Signed: some readers know no unsigned numbers, and no counter gets so far.
            number, described = _INT, builder.table([("i", 64), ("b", 1)])
        case "time":
            number, described = _TIMESTAMP, builder.table([("h", _MICROSECOND), ("o", builder.text("UTC"))])
        case _:
            raise ValueError(f"{kind!r} is no kind of column")
    children = builder.offsets([])
    # name, nullable, type, type's table, dictionary, children
    return builder.table([("o", builder.text(name)), None, ("b", number), ("o", described), None, ("o", children)])


def _batch(rows: int, columns: Sequence[Column]) -> list[bytes]:
    nodes, buffers, body = [], [], []
    at = 0
    for _, _, values in columns:
        nodes.append(struct.pack("<qq", rows, 0))
        buffers.append(struct.pack("<qq", at, 0))
        for value in values:
            buffers.append(struct.pack("<qq", at, len(value)))
            padded = bytes(value) + b"\0" * (-len(value) % 8)
            body.append(padded)
            at += len(padded)
    builder = _Builder()
    buffers_at = builder.structs(buffers)
    nodes_at = builder.structs(nodes)
    batch = builder.table([("q", rows), ("o", nodes_at), ("o", buffers_at)])
    metadata = builder.finish(builder.table([("h", _V5), ("b", _RECORD_BATCH), ("o", batch), ("q", at)]))
    return [_message(metadata, b""), *body]
