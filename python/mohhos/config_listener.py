"""`[[mqtt.listeners]]`: ports for MQTT clients, and what lies between TCP and MQTT there."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mohhos.config_keys import key
from mohhos.errors import MohhosError

__all__ = ["Listener", "check", "native_listener", "resolved", "tls_files"]

_FILES: Final = ("tls_certificate", "tls_key", "client_ca", "client_revocations")
_ENCRYPTED: Final = ("tls", "wss")
_WEB: Final = ("ws", "wss")


@dataclass(frozen=True)
class Listener:
    """One port for MQTT clients. docs/transports.md shows how to make certificates and what each transport costs.

    Files of certificates, keys and revocation lists are read again on SIGHUP and when they change; connections go on.
    """

    name: str = key("mqtt", "The listener's name, in messages and metrics.", pattern=r"[\w.-]{1,64}")
    bind: str = key("127.0.0.1:1883", "Address and port. 0.0.0.0 listens on all networks of the machine.", kind="bind")
    transport: str = key(
        "tcp",
        "What MQTT goes over: plain TCP, TLS, WebSocket (`ws`), or WebSocket within TLS (`wss`).",
        one_of=("tcp", "tls", "ws", "wss"),
    )
    anonymous_role: str = key(
        "", "The role of clients that connect without credentials; empty refuses them. Needs the next key."
    )
    dangerously_allow_anonymous: bool = key(
        False, "Says that you know that anybody who reaches the port gets the role above."
    )
    tls_certificate: str = key(
        "",
        "PEM file of the server's certificate, followed by those of intermediate authorities. "
        "A relative path starts at the configuration file, here and below.",
    )
    tls_key: str = key("", "PEM file of its private key. Other users of the machine must not be able to read it.")
    tls_min_version: str = key("1.2", "The oldest version of TLS that clients may speak.", one_of=("1.2", "1.3"))
    client_certificates: str = key(
        "off",
        "Whether clients show certificates: they are not asked, they may, or nobody gets in without.",
        one_of=("off", "optional", "required"),
    )
    client_ca: str = key("", "PEM file of the authorities that issue client certificates.")
    client_revocations: str = key(
        "",
        "PEM file of revocation lists, one of each authority in a client's chain. Who is on one is refused, and "
        "disconnected.",
    )
    client_identity: str = key(
        "cn",
        "What of a client certificate names the device (or application): the common name, the DNS name in the subject "
        "alternative name, or nothing (then user name and password do).",
        one_of=("cn", "san", "none"),
    )
    websocket_origins: str = key(
        "",
        "Origins of web pages that may connect by WebSocket, such as `https://dashboard.example`, separated by spaces. "
        "Pages of the gateway's own host and programs always may.",
    )
    proxy_protocol: bool = key(
        False,
        "A load balancer stands before the port and sends the client's address first (PROXY protocol version 2). "
        "Whoever reaches the port is believed: let nobody else reach it.",
    )


def check(listeners: Sequence[Listener]) -> None:
    """What the keys of one listener say together. Raises MohhosError config-out-of-range, -anonymous, -transport."""
    names = [listener.name for listener in listeners]
    for index, listener in enumerate(listeners):
        path = f"mqtt.listeners[{index}]"
        if names.index(listener.name) != index:
            raise MohhosError(
                "config-out-of-range",
                f'{path}.name is "{listener.name}"',
                "another listener has that name",
                "Give every listener a name of its own",
                path=f"{path}.name",
            )
        _check_anonymous(listener, path)
        _check_transport(listener, path)


def _check_anonymous(listener: Listener, path: str) -> None:
    if listener.anonymous_role and not listener.dangerously_allow_anonymous:
        raise MohhosError(
            "config-anonymous",
            f'{path}.anonymous_role is "{listener.anonymous_role}"',
            f"anybody who reaches {listener.bind} could do all that this role allows, without any password",
            "Remove anonymous_role and give each client credentials (mohhos applications add NAME), or, if the "
            f"network is closed, say dangerously_allow_anonymous = true in {path}",
            path=f"{path}.anonymous_role",
        )
    if listener.dangerously_allow_anonymous and not listener.anonymous_role:
        raise MohhosError(
            "config-anonymous",
            f"{path}.dangerously_allow_anonymous is true",
            "no anonymous_role says what such clients may do",
            'Add anonymous_role = "observer" (or another role), or remove the key',
            path=f"{path}.dangerously_allow_anonymous",
        )


def _check_transport(listener: Listener, path: str) -> None:
    encrypted = listener.transport in _ENCRYPTED
    for name in ("tls_certificate", "tls_key"):
        if encrypted and not getattr(listener, name):
            raise _transport(
                path, name, "is missing", f'transport is "{listener.transport}"', "Name the PEM file", listener
            )
    for name in (*_FILES, "client_certificates"):
        if not encrypted and getattr(listener, name) != getattr(Listener(), name):
            raise _transport(
                path,
                name,
                "is set",
                f'transport is "{listener.transport}", and nothing would be encrypted',
                'Say transport = "tls" (or "wss"), or remove the key',
                listener,
            )
    if listener.client_certificates != "off" and not listener.client_ca:
        raise _transport(
            path,
            "client_ca",
            "is missing",
            f'client_certificates is "{listener.client_certificates}", and no authority says which are good',
            "Name the PEM file of the authority that issues the clients' certificates",
            listener,
        )
    for name in ("client_ca", "client_revocations"):
        if listener.client_certificates == "off" and getattr(listener, name):
            raise _transport(
                path,
                name,
                "is set",
                "client_certificates is off, so that no client is asked for a certificate",
                'Say client_certificates = "required" (or "optional"), or remove the key',
                listener,
            )
    if listener.websocket_origins and listener.transport not in _WEB:
        raise _transport(
            path,
            "websocket_origins",
            "is set",
            f'transport is "{listener.transport}"',
            'Say transport = "wss" (or "ws"), or remove the key',
            listener,
        )


def _transport(path: str, name: str, state: str, why: str, next_step: str, listener: Listener) -> MohhosError:
    return MohhosError(
        "config-transport",
        f'{path}.{name} of the listener "{listener.name}" {state}',
        why,
        next_step,
        path=f"{path}.{name}",
    )


def resolved(listener: Listener, base: Path) -> Listener:
    """The listener with absolute paths."""

    def absolute(path: str) -> str:
        return str(base / path) if path else ""

    return dataclasses.replace(
        listener,
        tls_certificate=absolute(listener.tls_certificate),
        tls_key=absolute(listener.tls_key),
        client_ca=absolute(listener.client_ca),
        client_revocations=absolute(listener.client_revocations),
    )


def tls_files(listener: Listener) -> list[Path]:
    """The files that are read again when they change."""
    return [Path(path) for path in (getattr(listener, name) for name in _FILES) if path]


def native_listener(listener: Listener) -> dict[str, Any]:
    """The listener as the native gateway takes it."""
    return {
        "name": listener.name,
        "bind": listener.bind,
        "anonymous_role": listener.anonymous_role or None,
        "proxy_protocol": listener.proxy_protocol,
        "websocket_origins": listener.websocket_origins.split() if listener.transport in _WEB else None,
        "tls": _native_tls(listener) if listener.transport in _ENCRYPTED else None,
    }


def _native_tls(listener: Listener) -> dict[str, Any]:
    return {
        "certificate": listener.tls_certificate,
        "key": listener.tls_key,
        "only_newest": listener.tls_min_version == "1.3",
        "clients": listener.client_certificates,
        "client_ca": listener.client_ca or None,
        "client_revocations": listener.client_revocations or None,
        "identity": listener.client_identity,
    }
