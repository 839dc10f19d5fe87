import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mohhos.storage.history import framing
from mohhos.storage.history.worker import OUT_OF_MEMORY

LARGE = "SELECT count(*) FROM (SELECT range, count(*) FROM range(3000000) GROUP BY range)"
FOREVER = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range = 7"


@contextmanager
def started(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", BinaryIO, BinaryIO]]:
    settings = {"directory": str(tmp_path), "temp": str(tmp_path / "spill"), "memory": 64 << 20, "idle": False}
    command = [sys.executable, "-m", "mohhos.storage.history.worker", json.dumps(settings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        framing.write(worker.stdin, {"op": "select", "sql": "SELECT 1", "limit": 1})
        replies = [framing.read(worker.stdout) for _ in range(3)]
        assert replies == [{"columns": ["1"]}, {"rows": [[1]]}, {"end": True, "truncated": False}]
        yield worker, worker.stdin, worker.stdout


def test_the_process_ends_with_the_gateway_in_the_middle_of_a_query(tmp_path: Path) -> None:
    with started(tmp_path) as (worker, to, _):
        framing.write(to, {"op": "select", "sql": FOREVER, "limit": 1})
        to.close()
        assert worker.wait(30) == 0


def test_a_process_that_gets_no_more_memory_ends_so_that_another_is_asked(tmp_path: Path) -> None:
    with started(tmp_path) as (worker, to, answers):
        mapped = re.search(r"VmData:\s*(\d+)", Path(f"/proc/{worker.pid}/status").read_text())
        assert mapped is not None
        most = (int(mapped[1]) << 10) + (4 << 20)
        resource.prlimit(worker.pid, resource.RLIMIT_DATA, (most, most))
        framing.write(to, {"op": "select", "sql": LARGE, "limit": 1})
        assert framing.read(answers) is None
        assert worker.wait(30) == OUT_OF_MEMORY
