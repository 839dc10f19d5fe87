"""The composition root: the only place that wires everything.

`running(config)` starts a gateway and stops it cleanly. The order matters: the native gateway is made first, for it
locks the data directory; everything that it must know is put before it starts; what it reports is read as soon as it
runs; and the API comes last and goes first.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mohhos import _native
from mohhos import config as configuration
from mohhos.alerts.alerts import Alerts
from mohhos.alerts.effect import AlertEffect
from mohhos.clock import Clock
from mohhos.config import Config
from mohhos.config_listener import tls_files
from mohhos.defence.states import DeviceStates
from mohhos.devices.command_effect import CommandEffect
from mohhos.devices.commands import Commands
from mohhos.devices.deliveries import Deliveries
from mohhos.devices.presence import Presence
from mohhos.devices.registry import DeviceRegistry
from mohhos.errors import MohhosError
from mohhos.hub import native
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.certificates import CertificateWatch
from mohhos.hub.directory import Directory
from mohhos.hub.events import EventPump
from mohhos.hub.flow import FlowMeter
from mohhos.identity import gateway_key
from mohhos.identity.applications import Applications
from mohhos.identity.gateway_key import GatewayKey
from mohhos.identity.operators import Operators
from mohhos.identity.policy import PrincipalPolicy
from mohhos.identity.roles import Roles
from mohhos.identity.sessions import Sessions
from mohhos.model import Scope
from mohhos.storage.backup import REGISTRY, Backup
from mohhos.storage.database import Database
from mohhos.storage.history import HistoryQueries, QuerySettings
from mohhos.storage.projection import Projection
from mohhos.stream.rules import RuleRegistry

__all__ = ["GatewayApp", "Registry", "open_registry", "prepare_data_dir", "running"]

NATIVE_THREADS: Final = 48
"""Native calls that may wait at once: two pumps, and a live view per browser."""

HISTORY: Final = "history"
"""Where the native gateway keeps the history's files, in the data directory."""

PYTHON_NICE: Final = 5
"""How far the control plane steps back behind the native threads."""

_log = logging.getLogger(__name__)


def prepare_data_dir(path: Path) -> None:
    """Makes the data directory, closed to other users. Raises MohhosError data-dir-unusable."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MohhosError(
            "data-dir-unusable",
            f"{path} cannot be used",
            str(error),
            "Name another directory as gateway.data_dir, or give this user the right to write there",
        ) from error


@dataclass(frozen=True)
class Registry:
    """The part that needs no running gateway: also for commands that work on the data directory alone."""

    database: Database
    clock: Clock
    key: GatewayKey
    directory: Directory
    devices: DeviceRegistry
    applications: Applications
    roles: Roles
    policy: PrincipalPolicy
    operators: Operators


@contextlib.asynccontextmanager
async def open_registry(data_dir: Path, clock: Clock) -> AsyncIterator[Registry]:
    """The registry of a data directory, open for the length of the block.

    Raises MohhosError: data-dir-unusable, data-dir-newer, gateway-key-damaged, storage-damaged.
    """
    prepare_data_dir(data_dir)
    key = gateway_key.load_or_create(data_dir)
    async with await Database.open(data_dir / REGISTRY) as database:
        directory = Directory()
        yield Registry(
            database=database,
            clock=clock,
            key=key,
            directory=directory,
            devices=DeviceRegistry(database, clock, key.hash, directory),
            applications=Applications(database, clock, key, directory, _native.hash_password),
            roles=Roles(database, clock, directory),
            policy=PrincipalPolicy(database, clock, directory),
            operators=Operators(database, clock, key),
        )


class GatewayApp:
    """A running gateway: all its parts, for the API and for tests. Made by `running`."""

    def __init__(self, config: Config, registry: Registry, gateway: _native.Gateway) -> None:
        self.config = config
        self.registry = registry
        self.gateway = gateway
        self.clock = registry.clock
        self.started_us = registry.clock.now_us()
        self.version = _native.VERSION
        self.first_token: str | None = None
        database, clock = registry.database, registry.clock
        self.broadcast = Broadcast()
        self.presence = Presence(database, clock, self.broadcast)
        self.states = DeviceStates(database, clock, registry.directory, self.broadcast)
        self.events = EventPump(self.presence.note, self.broadcast, clock, self._delivered)
        files = [path for listener in config.mqtt.listeners for path in tls_files(listener)]
        self.certificates = CertificateWatch(gateway, files, self.events.handle, clock)
        self.flow = FlowMeter(gateway, clock)
        self.rules = RuleRegistry(database, clock, gateway, self.broadcast)
        self.alerts = Alerts(database, clock, self.broadcast)
        self.projection = Projection(
            "registry",
            database,
            [AlertEffect(), CommandEffect()],
            self.broadcast,
            conditions=self.events.conditions,
            clock=clock,
        )
        self.deliveries = Deliveries(database, self.broadcast, self.projection.wait_applied)
        # Query processes spill below the data directory: the system's /tmp may be memory.
        self.history = HistoryQueries(
            gateway, clock, config.data_dir / HISTORY, config.data_dir / "run" / "queries", self._query_settings
        )
        self.commands = Commands(
            database,
            clock,
            self.broadcast,
            self.projection,
            gateway=gateway,
            default_deadline_us=lambda: self.config.commands.default_deadline,
        )
        self.sessions = Sessions(database, clock, registry.key, lambda: self.config.api.session_lifetime)
        self.backup = Backup(
            database, gateway, clock, files=[config.data_dir / gateway_key.FILE], program=f"mohhos {self.version}"
        )

    def _delivered(self, receipts: list[tuple[str, str, int, int]]) -> None:
        # Made after the pump: it waits for the projection, whose conditions the pump keeps.
        self.deliveries.note(receipts)

    def _query_settings(self) -> QuerySettings:
        history = self.config.history
        return QuerySettings(history.query_memory, history.query_timeout, history.query_idle)

    async def _put_everything(self) -> None:
        """Tells the native gateway what it must know before it starts.

        Raises MohhosError role-unknown for a listener whose anonymous role does not exist.
        """
        registry = self.registry
        registry.directory.attach(self.gateway)
        await registry.roles.put_all()
        for listener in self.config.mqtt.listeners:
            if listener.anonymous_role:
                await registry.roles.get(listener.anonymous_role)
        devices = await registry.devices.put_all()
        await registry.applications.put_all()
        restricted = await self.states.put_all()
        await self.presence.nobody_is_connected()
        await self.projection.hold(self.gateway)
        rules = await self.rules.deploy_all()
        _log.info("%d devices are registered (%d throttled or in quarantine), %d rules run", devices, restricted, rules)

    async def _first_operator(self) -> None:
        """A gateway without any operator gets one, whose token is shown once."""
        if not await self.registry.operators.list():
            _, self.first_token = await self.registry.operators.create("first operator", Scope.ADMIN)

    def reload(self, new: Config) -> tuple[list[str], list[str]]:
        """Takes over what may change while running; returns the paths that changed, and those that need a restart.

        Certificates and revocation lists are read again, whatever their paths were at the start.
        """
        self.certificates.wake()
        live, restart = configuration.changes(self.config, new)
        self.config = configuration.with_live(self.config, new)
        if live:
            _log.info("changed: %s", ", ".join(live))
        if restart:
            _log.warning("these changes wait for a restart: %s", ", ".join(restart))
        return live, restart


@contextlib.asynccontextmanager
async def running(
    config: Config,
    clock: Clock | None = None,
    serve: Callable[[GatewayApp], Awaitable[None]] | None = None,
) -> AsyncIterator[GatewayApp]:
    """A running gateway for the length of the block. `serve` runs beside it (the API) until it is cancelled.

    If one of its tasks fails, the block is cancelled and the failure comes out. Raises MohhosError: what the registry
    and the native gateway raise at their start.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(NATIVE_THREADS, thread_name_prefix="native"))
    prepare_data_dir(config.data_dir)
    key = gateway_key.load_or_create(config.data_dir)
    text = configuration.native_json(config, build_time_us=_native.BUILD_TIME_US, gateway_key=key.reveal())
    gateway = await native.call(_native.Gateway, text)
    clock = clock or native.NativeClock(gateway)
    async with open_registry(config.data_dir, clock) as registry:
        app = GatewayApp(config, registry, gateway)
        try:
            await app._put_everything()
            await app._first_operator()
            await native.call(gateway.start)
            _give_way()
            async with _tasks(app), _server(app, serve):
                yield app
        finally:
            registry.directory.detach()
            await asyncio.shield(native.call(gateway.stop))


def _give_way() -> None:
    """Lets the native threads, which answer devices within milliseconds, run before those of Python.

    A thread inherits the niceness of the one that starts it: the native ones are there already, and later ones are
    Python's.
    """
    for thread in threading.enumerate():
        if thread.native_id is not None:
            os.setpriority(os.PRIO_PROCESS, thread.native_id, PYTHON_NICE)


@contextlib.asynccontextmanager
async def _tasks(app: GatewayApp) -> AsyncIterator[None]:
    """What runs beside the native gateway as long as the block does."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(app.events.run(app.gateway), name="events"),
            group.create_task(app.projection.run(app.gateway), name="projection"),
            group.create_task(app.commands.run(), name="deadlines"),
            group.create_task(app.deliveries.run(), name="deliveries"),
            group.create_task(app.flow.run(), name="flow"),
            group.create_task(app.certificates.run(), name="certificates"),
            group.create_task(app.history.run(), name="queries"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(MohhosError):
                await app.presence.flush()


@contextlib.asynccontextmanager
async def _server(app: GatewayApp, serve: Callable[[GatewayApp], Awaitable[None]] | None) -> AsyncIterator[None]:
    if serve is None:
        yield
        return
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_awaited(serve(app)), name="api")
        try:
            yield
        finally:
            task.cancel()


async def _awaited(work: Awaitable[None]) -> None:
    await work
