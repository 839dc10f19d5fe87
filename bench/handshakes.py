"""TLS handshakes with client certificates, beside what `openssl speed` says of the machine."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.gateway import Gateway, gateway
from bench.hold import config, make_pki
from bench.load import BenchError, LoadRun, load
from bench.measure import THREADS
from bench.process import threads_cpu_s, usage

__all__ = ["Handshakes", "OpenSsl", "Shaken", "measure_handshakes"]

CLIENTS: Final = 5_000
WINDOW: Final = 50
"""Handshakes at a time, on each of the generator's threads."""

ROUNDS: Final = 3
SPEED_S: Final = 3
_ROW: Final = re.compile(r"256 bits (?P<what>ecdsa|ecdh) \(nistp256\)(?P<figures>.*)")


@dataclass(frozen=True)
class OpenSsl:
    """Operations with P-256 in a second of one core, by `openssl speed ecdsap256 ecdhp256`."""

    sign: float
    verify: float
    derive: float

    def predicts(self, verifications: int) -> float:
        """Handshakes of a server in a second of one core, if it did nothing but what OpenSSL measures.

        1 / (2 / sign + n / verify + 1 / derive): it makes an ephemeral key (which takes as long as the
        multiplication in a signature, so it is counted as one), derives the shared secret, signs, and verifies the
        client's signature; of a chain that it has not seen, the authority's signature as well.
        """
        return 1 / (2 / self.sign + verifications / self.verify + 1 / self.derive)


@dataclass(frozen=True)
class Shaken:
    """Handshakes of one kind, and the gateway's processor time for them."""

    what: str
    handshakes: int
    resumed: int
    seconds: float
    tls_threads_s: float
    process_s: float
    predicted: float | None
    """Per second of one core."""

    @property
    def per_core(self) -> float:
        """Handshakes in a second of a core of the threads that make them."""
        return self.handshakes / self.tls_threads_s

    @property
    def share(self) -> float | None:
        """Of what is predicted."""
        return self.per_core / self.predicted if self.predicted is not None else None


@dataclass(frozen=True)
class Handshakes:
    """All kinds."""

    openssl: OpenSsl
    shaken: list[Shaken]


def measure_handshakes(work: Path) -> Handshakes:
    """Clients connect, shake hands and leave again, without a word of MQTT: chains never seen, seen, and tickets."""
    openssl = _speed()
    pki = make_pki(work)
    with gateway(work / "gateway", config(CLIENTS, pki)) as server:
        shaken = []
        options: dict[str, object] = {
            "to": server.address_of("tls"),
            "tls": pki,
            "connections": CLIENTS,
            "threads": THREADS,
            "window": WINDOW,
            "shake-only": "true",
        }
        with load(work / "load.log", "hold", resume="false", **options) as run:
            new = _Clock(server)
            run.expect("held")
            shaken.append(new.stop("full, chain not seen before", [run.answer()], openssl.predicts(2)))
            shaken.append(_again(server, run, "full, chain seen before", openssl.predicts(1)))
        with load(work / "load.log", "hold", resume="true", **options) as run:
            run.expect("held")
            run.answer()
            shaken.append(_again(server, run, "resumed", None))
    return Handshakes(openssl, shaken)


class _Clock:
    def __init__(self, server: Gateway) -> None:
        self._pid = server.pid
        self._begin = self._read()

    def _read(self) -> tuple[float, float]:
        return threads_cpu_s(self._pid, "tls-"), usage(self._pid).cpu_s

    def stop(self, what: str, reports: list[dict[str, Any]], predicted: float | None) -> Shaken:
        threads_s, process_s = (end - begin for begin, end in zip(self._begin, self._read(), strict=True))
        lost = sum(report["refused"] + report["timed_out"] + report["given_up"] for report in reports)
        if lost:
            raise BenchError(f"{lost} handshakes did not come about: {what}")
        return Shaken(
            what=what,
            handshakes=sum(report["through"] for report in reports),
            resumed=sum(report["resumed"] for report in reports),
            seconds=sum(report["seconds"] for report in reports),
            tls_threads_s=threads_s,
            process_s=process_s,
            predicted=predicted,
        )


def _again(server: Gateway, run: LoadRun, what: str, predicted: float | None) -> Shaken:
    clock = _Clock(server)
    reports = [run.ask(f"storm {WINDOW}") for _ in range(ROUNDS)]
    return clock.stop(what, reports, predicted)


def _speed() -> OpenSsl:
    words = ["openssl", "speed", "-seconds", str(SPEED_S), "ecdsap256", "ecdhp256"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    # Seconds per operation, then operations per second; for ECDSA two of each.
    found = {row["what"]: row["figures"].split() for row in _ROW.finditer(done.stdout)}
    if set(found) != {"ecdsa", "ecdh"}:
        raise BenchError(f"openssl speed said something else than expected: {done.stdout[-500:]}")
    sign, verify = found["ecdsa"][-2:]
    return OpenSsl(sign=float(sign), verify=float(verify), derive=float(found["ecdh"][-1]))
