"""A listener of every transport, with certificates for those that have TLS."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from tests.support.gateway import running
from tests.support.pki import Pki

LISTENERS = """
[[mqtt.listeners]]
name = "tls"
bind = "127.0.0.1:0"
transport = "tls"
tls_certificate = "{directory}/server.pem"
tls_key = "{directory}/server.key"
client_certificates = "optional"
client_ca = "{directory}/ca.pem"
client_revocations = "{directory}/crl.pem"

[[mqtt.listeners]]
name = "ws"
bind = "127.0.0.1:0"
transport = "ws"

[[mqtt.listeners]]
name = "wss"
bind = "127.0.0.1:0"
transport = "wss"
tls_certificate = "{directory}/server.pem"
tls_key = "{directory}/server.key"

[[mqtt.listeners]]
name = "balanced"
bind = "127.0.0.1:0"
proxy_protocol = true
"""


@contextmanager
def gateway_of_all_transports(directory: Path, *devices: str) -> Iterator[SimpleNamespace]:
    """A running gateway with these devices: `gateway`, `pki`, and `secrets` by device."""
    pki = Pki(directory / "pki")
    with running(directory, LISTENERS.format(directory=pki.directory)) as gateway:
        secrets = {name: gateway.add_device(name) for name in devices}
        yield SimpleNamespace(gateway=gateway, pki=pki, secrets=secrets)


def port(rig: SimpleNamespace, listener: str) -> int:
    """Where a listener is; `tcp` is the default one."""
    return int(rig.gateway.endpoints["mqtt"]["default" if listener == "tcp" else listener])


def trusting(pki: Pki, identity: str = "") -> ssl.SSLContext:
    """What a client needs to trust the gateway, and to show a certificate."""
    context = ssl.create_default_context(cafile=pki["ca.pem"])
    if identity:
        context.load_cert_chain(pki[f"{identity}.pem"], pki[f"{identity}.key"])
    return context
