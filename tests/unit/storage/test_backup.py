import io
import json
import sqlite3
import tarfile
from pathlib import Path

import pytest

from mohhos.errors import MohhosError
from mohhos.storage.backup import REGISTRY, restore, set_back
from mohhos.storage.database import Database
from mohhos.storage.projection import apply, position

pytestmark = pytest.mark.anyio


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


GOOD = {
    "backup.json": json.dumps({"version": 1, "program": "mohhos 0.1.0", "at_us": 1}).encode(),
    "registry.db": b"registry",
    "gateway.key": b"k" * 32,
    "native/log/1": b"segment",
}


def test_a_restore_fills_an_empty_directory_and_closes_it_to_others(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    restore(archive(tmp_path / "b.tar", GOOD), target)
    assert (target / "registry.db").read_bytes() == b"registry"
    assert (target / "log" / "1").read_bytes() == b"segment"
    assert sorted(each.name for each in target.iterdir()) == ["gateway.key", "log", "registry.db"]
    assert (target / "gateway.key").stat().st_mode & 0o077 == 0


def test_a_directory_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "mine").write_text("x")
    with pytest.raises(MohhosError) as caught:
        restore(archive(tmp_path / "b.tar", GOOD), target)
    assert caught.value.code == "data-dir-unusable"
    assert [each.name for each in target.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"backup.json": b"{}"},
        {"backup.json": b"no json"},
        {"registry.db": b""},
        {**GOOD, "backup.json": json.dumps({"version": 2, "program": "mohhos 9"}).encode()},
        {**GOOD, "../outside": b"x"},
        {**GOOD, "/absolute": b"x", "../../outside": b"x"},
    ],
)
def test_what_is_no_backup_is_refused_and_nothing_is_left(tmp_path: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(MohhosError) as caught:
        restore(archive(tmp_path / "b.tar", members), tmp_path / "data")
    assert caught.value.code == "backup-unusable"
    assert [each.name for each in tmp_path.iterdir()] == ["b.tar"]


def test_half_an_archive_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    whole = archive(tmp_path / "b.tar", {**GOOD, "native/log/2": b"x" * 100_000}).read_bytes()
    (tmp_path / "b.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MohhosError) as caught:
        restore(tmp_path / "b.tar", tmp_path / "data")
    assert caught.value.code == "backup-unusable"
    assert [each.name for each in tmp_path.iterdir()] == ["b.tar"]


async def test_projections_in_a_copied_registry_are_not_ahead_of_the_copied_log(
    database: Database, tmp_path: Path
) -> None:
    await database.write(lambda c: apply(c, "p", [], [], 900))
    await database.write(lambda c: apply(c, "q", [], [], 200))
    await database.backup(tmp_path / REGISTRY.replace("registry", "copy"))
    set_back(tmp_path / "copy.db", 500)
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert (position(copy, "p"), position(copy, "q")) == (500, 200)
    copy.close()
