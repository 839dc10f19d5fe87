"""The stream is read here by an own reader of flatbuffers, and by pyarrow where that is installed."""

import struct
from typing import Any

import pytest

from mohhos.api.arrow import Column, stream

ROWS = [0, 1, 3, 9, 1_000]


def columns(rows: int) -> list[Column]:
    texts = [f"pümp-{n}".encode() for n in range(rows)]
    ends = [sum(map(len, texts[:n])) for n in range(rows + 1)]
    bits = bytearray((rows + 7) // 8)
    for n in range(0, rows, 3):
        bits[n // 8] |= 1 << (n % 8)
    return [
        ("device", "text", [struct.pack(f"<{rows + 1}I", *ends), b"".join(texts)]),
        ("connected", "bool", [bytes(bits)]),
        ("messages_in", "count", [struct.pack(f"<{rows}q", *range(rows))]),
        ("last_seen", "time", [struct.pack(f"<{rows}q", *(10**15 + n for n in range(rows)))]),
    ]


class Table:
    """A table of a flatbuffer."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.vtable = at - struct.unpack_from("<i", data, at)[0]

    def place(self, field: int) -> int | None:
        (size,) = struct.unpack_from("<H", self.data, self.vtable)
        if 4 + 2 * field >= size:
            return None
        (offset,) = struct.unpack_from("<H", self.data, self.vtable + 4 + 2 * field)
        return self.at + offset if offset else None

    def number(self, field: int, form: str) -> int:
        place = self.place(field)
        if place is None:
            return 0
        assert place % struct.calcsize(form) == 0, "not aligned"
        return int(struct.unpack_from(form, self.data, place)[0])

    def target(self, field: int) -> int:
        place = self.place(field)
        assert place is not None
        return place + int(struct.unpack_from("<I", self.data, place)[0])

    def table(self, field: int) -> "Table":
        return Table(self.data, self.target(field))

    def text(self, field: int) -> str:
        at = self.target(field)
        (length,) = struct.unpack_from("<I", self.data, at)
        assert self.data[at + 4 + length] == 0, "a string ends with a zero"
        return self.data[at + 4 : at + 4 + length].decode()

    def vector(self, field: int) -> tuple[int, int]:
        at = self.target(field)
        return at + 4, int(struct.unpack_from("<I", self.data, at)[0])

    def tables(self, field: int) -> "list[Table]":
        at, count = self.vector(field)
        places = [at + 4 * n for n in range(count)]
        return [Table(self.data, p + struct.unpack_from("<I", self.data, p)[0]) for p in places]


def messages(data: bytes) -> list[tuple[Table, bytes]]:
    found: list[tuple[Table, bytes]] = []
    at = 0
    while True:
        mark, length = struct.unpack_from("<Ii", data, at)
        assert mark == 0xFFFFFFFF
        if length == 0:
            assert at + 8 == len(data)
            return found
        assert length % 8 == 0
        metadata = data[at + 8 : at + 8 + length]
        message = Table(metadata, struct.unpack_from("<I", metadata)[0])
        at += 8 + length
        body = message.number(3, "<q")
        found.append((message, data[at : at + body]))
        at += body


@pytest.mark.parametrize("rows", ROWS)
def test_schema_and_batch_say_what_the_columns_are(rows: int) -> None:
    given = columns(rows)
    (schema, nothing), (batch, body) = messages(stream(rows, given))
    assert (schema.number(0, "<h"), schema.number(1, "<B"), nothing) == (4, 1, b"")
    fields = schema.table(2).tables(1)
    assert [(f.text(0), f.number(2, "<B")) for f in fields] == [
        ("device", 5),
        ("connected", 6),
        ("messages_in", 2),
        ("last_seen", 10),
    ]
    assert (fields[2].table(3).number(0, "<i"), fields[2].table(3).number(1, "<B")) == (64, 1)
    assert (fields[3].table(3).number(0, "<h"), fields[3].table(3).text(1)) == (2, "UTC")
    assert (batch.number(0, "<h"), batch.number(1, "<B")) == (4, 3)
    inside = batch.table(2)
    assert inside.number(0, "<q") == rows
    at, count = inside.vector(1)
    assert [struct.unpack_from("<qq", inside.data, at + 16 * n) for n in range(count)] == [(rows, 0)] * 4
    at, count = inside.vector(2)
    places = [struct.unpack_from("<qq", inside.data, at + 16 * n) for n in range(count)]
    assert all(offset % 8 == 0 for offset, _ in places)
    values = [body[offset : offset + length] for offset, length in places]
    expected = [value for _, _, buffers in given for value in (b"", *buffers)]
    assert values == expected


@pytest.mark.parametrize("rows", ROWS)
def test_pyarrow_reads_it(rows: int) -> None:
    ipc: Any = pytest.importorskip("pyarrow.ipc")
    table = ipc.open_stream(stream(rows, columns(rows))).read_all()
    table.validate(full=True)
    assert table["device"].to_pylist() == [f"pümp-{n}" for n in range(rows)]
    assert table["connected"].to_pylist() == [n % 3 == 0 for n in range(rows)]
    assert table["messages_in"].to_pylist() == list(range(rows))


def test_an_unknown_kind_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="complex"):
        stream(0, [("z", "complex", [b""])])
