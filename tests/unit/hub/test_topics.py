import pytest
from hypothesis import given
from hypothesis import strategies as st

from mohhos.hub.topics import json_object, levels_match


@pytest.mark.parametrize(
    ("prefix", "topic", "matches"),
    [
        ("gateway/alerts/", "gateway/alerts/hot/a", True),
        ("gateway/alerts/", "gateway/alert/hot/a", False),
        ("devices/+/commands/", "devices/a/commands/c1", True),
        ("devices/+/commands/", "devices/a/commands/c1/result", True),
        ("devices/+/commands/", "devices/a/telemetry", False),
        ("devices/+/commands/", "devices/a/b/commands/c1", False),
        ("devices/+/commands/", "devices/a/commands", False),
        ("a/b", "a/bc", True),
        ("", "anything", True),
    ],
)
def test_a_plus_in_a_prefix_stands_for_one_level(prefix: str, topic: str, matches: bool) -> None:
    assert levels_match(prefix, topic) is matches


@given(st.text("ab/", max_size=8), st.text("ab/", max_size=8))
def test_without_a_plus_it_is_a_plain_prefix(prefix: str, topic: str) -> None:
    assert levels_match(prefix, topic) is topic.startswith(prefix)


@given(st.binary(max_size=64))
def test_no_payload_makes_the_json_reader_raise(payload: bytes) -> None:
    json_object(payload)


def test_only_an_object_is_taken() -> None:
    assert json_object(b'{"a": 1}') == {"a": 1}
    assert json_object(b"[1]") is None
    assert json_object(b"[" * 100_000) is None
