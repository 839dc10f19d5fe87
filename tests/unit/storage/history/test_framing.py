import asyncio
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mohhos.storage.history import framing

pytestmark = pytest.mark.anyio

messages = st.dictionaries(
    st.text(max_size=8), st.one_of(st.none(), st.integers(), st.text(), st.floats(allow_nan=False))
)


@given(st.lists(messages, max_size=4), st.integers(0, 3))
async def test_messages_are_read_as_they_were_written(sent: list[framing.Message], torn: int) -> None:
    data = b"".join(framing.encode(message) for message in sent) + b"\0\0\0\5{}"[:torn]
    stream, received = io.BytesIO(data), asyncio.StreamReader()
    received.feed_data(data)
    received.feed_eof()
    for message in sent:
        assert framing.read(stream) == message
        assert await framing.receive(received) == message
    assert framing.read(stream) is None
    assert await framing.receive(received) is None


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\0\0\0\1{", b"\0\0\0\2[]", b"\0\0\0\1\xff"])
async def test_what_is_no_message_is_refused(data: bytes) -> None:
    received = asyncio.StreamReader()
    received.feed_data(data)
    received.feed_eof()
    with pytest.raises(ValueError):
        framing.read(io.BytesIO(data))
    with pytest.raises(ValueError):
        await framing.receive(received)
