import pytest

from mohhos.errors import KINDS, MohhosError, from_native


def test_an_error_says_what_why_and_what_next() -> None:
    error = MohhosError("device-unknown", '"p" is not known', "no such device", "Register it", device="p")
    assert str(error) == '"p" is not known: no such device. Register it. [device-unknown]'
    assert error.status == 404


def test_an_error_as_problem_details_has_the_members_of_rfc_9457() -> None:
    problem = MohhosError("device-unknown", "what", "why", "next", device="p").problem("/api/v1/devices/p")
    assert problem == {
        "type": "/errors/device-unknown",
        "title": "There is no such device",
        "status": 404,
        "detail": "what: why.",
        "instance": "/api/v1/devices/p",
        "code": "device-unknown",
        "next_step": "next",
        "device": "p",
    }


def test_a_code_that_is_not_in_the_table_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        MohhosError("no-such-code", "what", "why", "next")


def test_a_native_error_keeps_its_code_if_the_table_has_it() -> None:
    assert from_native(Exception("data_dir_locked", "words")).code == "data-dir-locked"
    other = from_native(Exception("strange", "words"))
    assert (other.code, other.why) == ("native-failed", "words (strange)")
    assert from_native(Exception("just words")).why == "just words"


def test_every_status_is_one_of_an_error() -> None:
    assert all(400 <= kind.status < 600 for kind in KINDS.values())
