import pytest
from hypothesis import given
from hypothesis import strategies as st

from mohhos.units import DURATIONS, SIZES, format_quantity, parse_bind, parse_duration, parse_size


@pytest.mark.parametrize(("text", "size"), [("64 MiB", 64 << 20), ("1KB", 1000), ("0 B", 0), (" 2  GiB ", 2 << 30)])
def test_a_size_is_a_number_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["64", "MiB", "1.5 GiB", "-1 B", "1 mib", "1 GiB 2 MiB", "9999999999999999 B", "1 d"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        parse_size(text)


@given(st.integers(0, 10**14))
def test_a_quantity_written_out_is_read_back_the_same(value: int) -> None:
    assert parse_size(format_quantity(value, SIZES)) == value
    assert parse_duration(format_quantity(value, DURATIONS)) == value


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:1883", ("127.0.0.1", 1883)), ("[::1]:0", ("::1", 0)), ("0.0.0.0:65535", ("0.0.0.0", 65535))],
)
def test_an_address_has_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_bind(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "localhost:1883",
        "::1:1883",
        "127.0.0.1",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        ":1883",
        "[127.0.0.1]:1",
        "127.0.0.1:²",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_bind(text)
