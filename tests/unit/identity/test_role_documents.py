from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mohhos.errors import MohhosError
from mohhos.hub.directory import role_document
from mohhos.identity.role_documents import check_pattern, role_of


@pytest.mark.parametrize(
    "text",
    [
        *["#", "+", "a/b", "a/+/c", "a/#", "/a", "a//b", "devices/${device}/#", "${device}/x"],
        *["${principal}", "${child}/x", "up/${parent}", "g/${group}/#", "c/${client}"],
    ],
)
def test_topic_filters_with_variables_are_taken(text: str) -> None:
    assert check_pattern(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *["", "a#", "a/#/b", "#/a", "a+/b", "+a", "a/$x", "x${device}", "$SYS/#", "${devices}", "a\0b", "a" * 1025],
        *[None, 7, ["a"]],
    ],
)
def test_what_is_no_pattern_is_refused(text: Any) -> None:
    with pytest.raises(MohhosError) as caught:
        check_pattern(text)
    assert caught.value.code == "role-invalid"


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"publishes": []}, "publishes"),
        ({"publish": {"allows": []}}, "allows"),
        ({"publish": "a"}, "list"),
        ({"publish": ["a"] * 65}, "64"),
        ({"publish": {"deny": ["a"] * 65}}, "64"),
        ({"receive": {"deny": ["a/#/b"]}}, "a/#/b"),
        ({"limits": {"per_s": 1}}, "per_s"),
        ({"limits": {"messages_per_s": 0}}, "messages_per_s"),
        ({"limits": {"messages_per_s": True}}, "messages_per_s"),
        ({"limits": {"bytes_per_s": float("nan")}}, "bytes_per_s"),
        ({"limits": {"inflight": 0}}, "inflight"),
        ({"limits": {"inflight": 65536}}, "inflight"),
        ({"limits": {"connections": 1.5}}, "connections"),
        ({"limits": {"payload_bytes": -1}}, "payload_bytes"),
        ({"limits": []}, "limits"),
        ({"description": "a\nb"}, "description"),
        ({"description": "a" * 513}, "description"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_words(document: dict[str, Any], word: str) -> None:
    with pytest.raises(MohhosError) as caught:
        role_of("r", document)
    assert caught.value.code == "role-invalid"
    assert word in str(caught.value)


PATTERNS = st.lists(st.sampled_from(["a/#", "b/+", "devices/${device}/x", "${group}"]), max_size=3)
ACCESS = st.one_of(PATTERNS, st.fixed_dictionaries({}, optional={"allow": PATTERNS, "deny": PATTERNS}))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "publish": ACCESS,
            "subscribe": ACCESS,
            "receive": ACCESS,
            "limits": st.fixed_dictionaries(
                {}, optional={"messages_per_s": st.floats(0.001, 1e6), "connections": st.integers(1, 100)}
            ),
        },
    )
)
def test_a_role_and_its_document_are_the_same(document: dict[str, Any]) -> None:
    role = role_of("r", document)
    assert role_of("r", role_document(role)) == role
