"""The composition root with the real native gateway."""

import dataclasses
import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mohhos.config import Config, Listener, MqttSection, parse
from mohhos.errors import MohhosError
from mohhos.model import DeviceStatus, NewDevice

pytestmark = pytest.mark.anyio

Running = Callable[[Config], AbstractAsyncContextManager[Any]]


@pytest.fixture
def running(native: ModuleType) -> Running:
    """`mohhos.app.running`, which needs the native module."""
    assert native.VERSION
    started: Running = importlib.import_module("mohhos.app").running
    return started


def configuration(data: Path, **listener: object) -> Config:
    config = Config()
    listeners = (dataclasses.replace(Listener(bind="127.0.0.1:0"), **listener),)  # type: ignore[arg-type]
    return dataclasses.replace(
        config,
        gateway=dataclasses.replace(config.gateway, data_dir=str(data), shards=2),
        mqtt=MqttSection(listeners),
    )


async def test_what_was_registered_is_there_after_a_restart_and_the_token_is_shown_once(
    running: Running, tmp_path: Path
) -> None:
    async with running(configuration(tmp_path)) as app:
        assert app.first_token is not None
        assert (await app.registry.operators.authenticate(app.first_token)).name == "first operator"
        device, _ = await app.registry.devices.create(NewDevice("pump-1"))
        assert app.gateway.ports()["mqtt"] > 0
        assert app.gateway.connection("pump-1") is not None
    async with running(configuration(tmp_path)) as app:
        assert app.first_token is None
        assert (await app.registry.devices.get("pump-1")).code == device.code
        assert app.gateway.connection("pump-1") is not None
        assert app.gateway.connection("pump-2") is None


async def test_a_command_for_an_absent_device_is_in_the_log_when_it_is_answered(
    running: Running, tmp_path: Path
) -> None:
    async with running(configuration(tmp_path)) as app:
        await app.registry.devices.create(NewDevice("pump-1"))
        with app.broadcast.subscribe(["command"]) as subscription:
            command = await app.commands.send("pump-1", "open", {"by": 3}, issuer="anna")
            assert (command.state, command.issuer, command.parameters) == ("queued", "anna", {"by": 3})
            assert (await subscription.next()).data == command
    async with running(configuration(tmp_path)) as app:
        assert (await app.commands.get(command.id)).created_us == command.created_us
        assert (await app.registry.devices.get("pump-1")).status is DeviceStatus.NEVER


async def test_a_second_gateway_on_the_same_data_is_refused_and_the_first_goes_on(
    running: Running, tmp_path: Path
) -> None:
    async with running(configuration(tmp_path)) as app:
        with pytest.raises(MohhosError) as caught:
            async with running(configuration(tmp_path)):
                pass
        assert caught.value.code == "data-dir-locked"
        await app.registry.devices.create(NewDevice("pump-1"))


async def test_an_anonymous_role_that_does_not_exist_is_refused_at_the_start(running: Running, tmp_path: Path) -> None:
    listener = {"anonymous_role": "nothing", "dangerously_allow_anonymous": True}
    with pytest.raises(MohhosError) as caught:
        async with running(configuration(tmp_path, **listener)):
            pass
    assert caught.value.code == "role-unknown"


async def test_a_reload_takes_live_keys_and_names_those_that_wait(running: Running, tmp_path: Path) -> None:
    async with running(configuration(tmp_path)) as app:
        changed = parse('[api]\nsession_lifetime = "1 h"\n')
        live, restart = app.reload(dataclasses.replace(app.config, api=changed.api, limits=Config().limits))
        assert (live, restart) == (["api.session_lifetime"], [])
        assert app.config.api.session_lifetime == 3_600_000_000
