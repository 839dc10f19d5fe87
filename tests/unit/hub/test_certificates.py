from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.clock import ManualClock

from mohhos.errors import MohhosError
from mohhos.hub.certificates import CertificateWatch

if TYPE_CHECKING:
    from mohhos._native import Event

pytestmark = pytest.mark.anyio


class Gateway:
    def __init__(self) -> None:
        self.reloads = 0
        self.error: MohhosError | None = None

    def reload_tls(self) -> list[str]:
        self.reloads += 1
        if self.error is not None:
            raise self.error
        return ["main"]


class Rig:
    def __init__(self, directory: Path) -> None:
        self.file = directory / "server.pem"
        self.file.write_text("one")
        self.gateway: Any = Gateway()
        self.told: list[tuple[str, bool]] = []
        self.watch = CertificateWatch(self.gateway, [self.file, directory / "absent.pem"], self._tell, ManualClock())

    async def _tell(self, events: "Sequence[Event]") -> None:
        self.told += [(event["code"], event["raised"]) for event in events]


async def test_files_are_read_when_they_change_or_when_asked_and_not_else(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    await rig.watch.check()
    assert rig.gateway.reloads == 0
    rig.file.write_text("number two")
    await rig.watch.check()
    await rig.watch.check()
    assert rig.gateway.reloads == 1
    (tmp_path / "absent.pem").write_text("now it is there")
    await rig.watch.check()
    assert rig.gateway.reloads == 2
    await rig.watch.check(forced=True)
    assert rig.gateway.reloads == 3
    assert rig.told == []


async def test_files_of_no_use_are_told_once_and_tried_until_they_can_be_used(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.gateway.error = MohhosError("tls-file-invalid", "the key", "it is another's", "Replace both")
    rig.file.write_text("number two")
    await rig.watch.check()
    await rig.watch.check()
    assert rig.told == [("tls-reload-failed", True)]
    rig.gateway.error = None
    await rig.watch.check()
    await rig.watch.check()
    assert rig.told == [("tls-reload-failed", True), ("tls-reload-failed", False)]
    assert rig.gateway.reloads == 3
