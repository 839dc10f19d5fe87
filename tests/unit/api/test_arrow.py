"""What is written is read by Arrow's own library."""

import struct
from datetime import UTC, datetime, timedelta

import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from mohhos.api.arrow import Column, stream

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START_US = 10**15


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
        ("last_seen", "time", [struct.pack(f"<{rows}q", *(START_US + n for n in range(rows)))]),
    ]


@pytest.mark.parametrize("rows", [0, 1, 3, 9, 1_000])
def test_arrow_reads_every_kind_of_column(rows: int) -> None:
    table = pa.ipc.open_stream(stream(rows, columns(rows))).read_all()
    table.validate(full=True)
    assert table.schema == pa.schema(
        [
            pa.field("device", pa.utf8(), nullable=False),
            pa.field("connected", pa.bool_(), nullable=False),
            pa.field("messages_in", pa.int64(), nullable=False),
            pa.field("last_seen", pa.timestamp("us", tz="UTC"), nullable=False),
        ]
    )
    assert table["device"].to_pylist() == [f"pümp-{n}" for n in range(rows)]
    assert table["connected"].to_pylist() == [n % 3 == 0 for n in range(rows)]
    assert table["messages_in"].to_pylist() == list(range(rows))
    assert table["last_seen"].to_pylist() == [EPOCH + timedelta(microseconds=START_US + n) for n in range(rows)]


def test_buffers_are_aligned_as_the_format_asks() -> None:
    """Readers that map the stream into memory use the buffers where they are."""
    data = pa.py_buffer(stream(9, columns(9)))
    batch = pa.ipc.open_stream(data).read_next_batch()
    buffers = [buffer for column in batch.columns for buffer in column.buffers() if buffer is not None]
    assert len(buffers) == 5
    assert [(buffer.address - data.address) % 8 for buffer in buffers] == [0] * 5


def test_an_unknown_kind_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="complex"):
        stream(0, [("z", "complex", [b""])])
