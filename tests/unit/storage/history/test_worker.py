import json
import subprocess
import sys
from pathlib import Path

from mohhos.storage.history import framing

FOREVER = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range = 7"


def test_the_process_ends_with_the_gateway_in_the_middle_of_a_query(tmp_path: Path) -> None:
    settings = {"directory": str(tmp_path), "temp": str(tmp_path / "spill"), "memory": 64 << 20, "idle": False}
    command = [sys.executable, "-m", "mohhos.storage.history.worker", json.dumps(settings)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        framing.write(worker.stdin, {"op": "select", "sql": "SELECT 1", "limit": 1})
        replies = [framing.read(worker.stdout) for _ in range(3)]
        assert replies == [{"columns": ["1"]}, {"rows": [[1]]}, {"end": True, "truncated": False}]
        framing.write(worker.stdin, {"op": "select", "sql": FOREVER, "limit": 1})
        worker.stdin.close()
        assert worker.wait(30) == 0
