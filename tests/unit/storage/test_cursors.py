import pytest
from hypothesis import given
from hypothesis import strategies as st

from mohhos.errors import MohhosError
from mohhos.storage import cursors


@given(st.text(), st.integers())
def test_a_cursor_is_read_back_as_it_was_written(text: str, number: int) -> None:
    assert cursors.decode(cursors.encode(text, number), str, int) == (text, number)


@given(st.text())
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    try:
        cursors.decode(text, str, int, int)
    except MohhosError as error:
        assert error.code == "cursor-invalid"


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(MohhosError):
        cursors.decode(cursors.encode("device"), int)
    with pytest.raises(MohhosError):
        cursors.decode(cursors.encode(True), int)


def test_a_page_has_at_least_one_and_at_most_a_thousand_items() -> None:
    assert [cursors.page_size(n) for n in (-1, 0, 1, 1000, 10**9)] == [1, 1, 1, 1000, 1000]
