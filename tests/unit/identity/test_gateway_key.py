import stat
from pathlib import Path
from types import ModuleType

import pytest

from mohhos.errors import MohhosError
from mohhos.identity.gateway_key import FILE, GatewayKey, load_or_create


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    first = load_or_create(tmp_path)
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32
    assert load_or_create(tmp_path).reveal() == first.reveal()
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


def test_a_half_written_key_of_a_crash_is_not_taken_for_the_key(tmp_path: Path) -> None:
    (tmp_path / "gateway.new").write_bytes(b"half")
    assert len(load_or_create(tmp_path).reveal()) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    load_or_create(tmp_path)
    (tmp_path / FILE).chmod(mode)
    with pytest.raises(MohhosError) as caught:
        load_or_create(tmp_path)
    assert caught.value.code == "gateway-key-damaged"
    assert "chmod 600" in caught.value.next_step


def test_a_key_of_another_size_is_refused_and_not_replaced(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    (tmp_path / FILE).write_bytes(b"short")
    with pytest.raises(MohhosError) as caught:
        load_or_create(tmp_path)
    assert caught.value.code == "gateway-key-damaged"
    assert (tmp_path / FILE).read_bytes() == b"short"


def test_the_key_shows_nowhere() -> None:
    key = GatewayKey(b"k" * 32)
    assert "kkk" not in repr(key) + str(key)


def test_the_hash_is_the_native_one(native: ModuleType) -> None:
    key = GatewayKey(bytes(range(32)))
    for secret in ("", "secret", "ü" * 100):
        assert key.hash(secret) == native.hash_secret(key.reveal(), secret)


def test_the_hash_is_hmac_sha_256_as_openssl_computes_it() -> None:
    # By: printf 'Hi There' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0b0b…
    digest = GatewayKey(b"\x0b" * 32).hash("Hi There")
    assert digest.hex() == "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"
