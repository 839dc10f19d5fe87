"""What a process and its children use, and that they end."""

import subprocess
import sys
from pathlib import Path

import pytest
from bench.process import child, usage
from tests.support.gateway import eventually

BUSY = """
import subprocess, sys, time
held = bytearray(64 << 20)
inner = "import time\\nheld = bytearray(32 << 20)\\nend = time.process_time() + 0.3\\n"
inner += "while time.process_time() < end: pass\\nprint('ready', flush=True); input()"
process = subprocess.Popen([sys.executable, '-c', inner], stdin=sys.stdin, stdout=subprocess.PIPE, text=True)
print(process.stdout.readline().strip(), flush=True)
process.wait()
"""


def test_a_process_and_its_children_are_counted_apart(tmp_path: Path) -> None:
    with child([sys.executable, "-c", BUSY], tmp_path / "log") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        found = usage(process.pid)
    assert found.children_cpu_s >= 0.25 > found.cpu_s
    assert found.resident > 64 << 20
    assert 32 << 20 < found.children_resident < 64 << 20


def test_a_process_ends_with_its_block_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), child(["sleep", "600"], tmp_path / "log") as process:
        1 / 0  # noqa: B018 - what happens in the block does not matter
    assert process.poll() is not None


def test_a_process_ends_with_a_benchmark_that_was_killed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal\nfrom bench.process import child\n"
        f"with child(['sleep', '600'], pathlib.Path({str(tmp_path / 'log')!r})) as process:\n"
        "    print(process.pid, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    state = Path(f"/proc/{int(done.stdout)}/status")
    # Gone, or dead and not yet collected by whoever inherited it.
    eventually(lambda: not state.exists() or "State:\tZ" in state.read_text(), what="its end")
