import json
from pathlib import Path

import pytest

from mohhos.config import load, native_json, parse
from mohhos.config_listener import tls_files
from mohhos.errors import MohhosError

WSS = """
[[mqtt.listeners]]
transport = "wss"
tls_certificate = "tls/server.pem"
tls_key = "/etc/mohhos/server.key"
tls_min_version = "1.3"
client_certificates = "required"
client_ca = "tls/ca.pem"
client_revocations = "tls/crl.pem"
client_identity = "san"
websocket_origins = "https://a.example https://b.example"
proxy_protocol = true
"""


def test_a_whole_listener_reaches_the_native_gateway_with_its_paths_resolved(tmp_path: Path) -> None:
    file = tmp_path / "mohhos.toml"
    file.write_text(WSS)
    config = load(file, {})
    made = json.loads(native_json(config, build_time_us=0, gateway_key=b"\0" * 32))["listeners"][0]
    assert made == {
        "name": "mqtt",
        "bind": "127.0.0.1:1883",
        "anonymous_role": None,
        "proxy_protocol": True,
        "websocket_origins": ["https://a.example", "https://b.example"],
        "tls": {
            "certificate": str(tmp_path / "tls/server.pem"),
            "key": "/etc/mohhos/server.key",
            "only_newest": True,
            "clients": "required",
            "client_ca": str(tmp_path / "tls/ca.pem"),
            "client_revocations": str(tmp_path / "tls/crl.pem"),
            "identity": "san",
        },
    }
    names = [path.name for path in tls_files(config.mqtt.listeners[0])]
    assert names == ["server.pem", "server.key", "ca.pem", "crl.pem"]


def test_plain_websocket_needs_no_files() -> None:
    config = parse('[[mqtt.listeners]]\ntransport = "ws"\n')
    made = json.loads(native_json(config, build_time_us=0, gateway_key=b"\0" * 32))["listeners"][0]
    assert (made["websocket_origins"], made["tls"]) == ([], None)


@pytest.mark.parametrize(
    ("keys", "path", "word"),
    [
        ('transport = "tls"', "tls_certificate", "is missing"),
        ('transport = "tls"\ntls_certificate = "a"', "tls_key", "is missing"),
        ('tls_certificate = "a"', "tls_certificate", "nothing would be encrypted"),
        ('transport = "ws"\nclient_certificates = "required"', "client_certificates", "nothing would be encrypted"),
        (
            'transport = "tls"\ntls_certificate = "a"\ntls_key = "b"\nclient_certificates = "optional"',
            "client_ca",
            "no authority",
        ),
        ('transport = "tls"\ntls_certificate = "a"\ntls_key = "b"\nclient_ca = "c"', "client_ca", "off"),
        ('websocket_origins = "https://a.example"', "websocket_origins", "transport is"),
    ],
)
def test_keys_that_do_not_fit_each_other_are_refused(keys: str, path: str, word: str) -> None:
    with pytest.raises(MohhosError) as caught:
        parse(f"[[mqtt.listeners]]\n{keys}\n")
    assert caught.value.code == "config-transport"
    assert caught.value.fields["path"] == f"mqtt.listeners[0].{path}"
    assert word in str(caught.value)
