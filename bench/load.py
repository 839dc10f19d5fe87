"""The load generator, bench/load, as a process."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.process import child

__all__ = ["BenchError", "LoadRun", "load", "run_load"]

ROOT = Path(__file__).parent.parent


class BenchError(Exception):
    """A measurement could not be taken, in words for whoever runs the benchmark."""


def _binary() -> str:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = target / "release" / "mohhos-load"
    if not path.exists():
        raise BenchError("mohhos-load is not built: cargo build --release -p mohhos-load, or make bench")
    return str(path)


@dataclass(frozen=True)
class LoadRun:
    """A `mohhos-load` command that runs."""

    command: str
    process: "subprocess.Popen[str]"
    log: Path

    def expect(self, word: str) -> None:
        """Waits until it says the word."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if line != word:
            raise BenchError(f"mohhos-load {self.command} ended before it said {word!r}: {self._last_words()}")

    def answer(self) -> dict[str, Any]:
        """The JSON of its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"mohhos-load {self.command} ended without an answer: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, words: str) -> dict[str, Any]:
        """Tells it to do something, and waits for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        return self.answer()

    def report(self, within_s: float | None = None) -> dict[str, Any]:
        """Closes its input, waits for its end, and gives the JSON of its last line."""
        try:
            output, _ = self.process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            raise BenchError(f"mohhos-load {self.command} did not end within {within_s} s") from None
        if self.process.returncode != 0:
            raise BenchError(f"mohhos-load {self.command} failed: {self._last_words()}")
        report: dict[str, Any] = json.loads(output.splitlines()[-1])
        return report

    def _last_words(self) -> str:
        lines = self.log.read_text().splitlines()
        return lines[-1] if lines else "it said nothing"


@contextmanager
def load(log: Path, command: str, **options: object) -> Iterator[LoadRun]:
    """Starts `mohhos-load COMMAND`; options that are None are left out. It is ended with the block."""
    words = [_binary(), command]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    with child(words, log) as process:
        yield LoadRun(command, process, log)


def run_load(log: Path, command: str, **options: object) -> dict[str, Any]:
    """Runs a command to its end and gives its report."""
    with load(log, command, **options) as running:
        return running.report()
