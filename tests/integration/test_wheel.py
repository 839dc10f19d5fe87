"""A wheel in a clean environment, without a Rust toolchain: the gateway starts, with page and error pages."""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.gateway import CONFIG, RunningGateway

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clean(native: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of an environment with the wheel and its pinned requirements alone."""
    directory = tmp_path_factory.mktemp("wheel")
    tools = Path(sys.executable).parent
    subprocess.run(
        [tools / "maturin", "build", "--release", "--quiet", "--out", directory],
        cwd=ROOT,
        check=True,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
    )
    (wheel,) = directory.glob("*.whl")
    venv.create(directory / "venv", with_pip=True)
    python = directory / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    without_rust = {**os.environ, "PATH": "/usr/bin:/bin"}
    requirements = ROOT / "requirements" / "base.txt"
    subprocess.run([*pip, "--require-hashes", "-r", requirements], check=True, env=without_rust)
    subprocess.run([*pip, "--no-deps", wheel], check=True, env=without_rust)
    yield python


def test_the_wheel_works_without_a_toolchain(clean: Path, tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, environment={"PATH": "/usr/bin:/bin", "PYTHONPATH": ""})
    gateway.config.write_text(CONFIG.format(data=gateway.data))
    found = subprocess.run(
        [clean, "-c", "import mohhos; print(mohhos.__file__)"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert str(clean.parents[1]) in found.stdout, "it is not the one of this checkout"
    gateway.python = str(clean)
    try:
        gateway.start()
        base = gateway.endpoints["api"]
        assert "MOHHOS" in httpx.get(f"{base}/").text
        assert httpx.get(f"{base}/ui/messages/fr.json").status_code == 200
        assert "device" in httpx.get(f"{base}/errors/device-unknown").text
        gateway.add_device("pump")
        assert "pump" in gateway.run("devices", "ls", "--format", "csv")
        assert gateway.stop() == 0
    finally:
        gateway.kill()
