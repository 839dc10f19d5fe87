"""Live views of the native gateway, used by several Python threads at once."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

# In a process of its own, for what it looks for would hold the whole interpreter for ever.
PROGRAM = """
import dataclasses, sys, threading
from pathlib import Path
from mohhos import _native
from mohhos.config import Config, Listener, MqttSection, native_json

config = Config()
config = dataclasses.replace(
    config,
    gateway=dataclasses.replace(config.gateway, data_dir=sys.argv[1], shards=1),
    mqtt=MqttSection((Listener(bind="127.0.0.1:0"),)),
)
gateway = _native.Gateway(native_json(config, build_time_us=0, gateway_key=bytes(32)))
gateway.start()
tap = gateway.tap_messages("#", 10)
reader = threading.Thread(target=lambda: [tap.next(1, 1) for _ in range(100)])
reader.start()
while reader.is_alive():
    tap.dropped()
tap.close()
gateway.stop()
"""


def test_a_view_is_looked_at_while_another_thread_waits_for_its_next_message(
    native: ModuleType, tmp_path: Path
) -> None:
    assert native.VERSION
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
