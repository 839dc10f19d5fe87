"""What the API stands on: the areas, wired by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from mohhos.alerts.alerts import Alerts
from mohhos.clock import Clock
from mohhos.config import Config
from mohhos.defence.states import DeviceStates
from mohhos.devices.commands import Commands
from mohhos.devices.registry import DeviceRegistry
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.current import Conditions, Refusals
from mohhos.hub.flow import FlowMeter
from mohhos.identity.applications import Applications
from mohhos.identity.operators import Operators
from mohhos.identity.policy import PrincipalPolicy
from mohhos.identity.roles import Roles
from mohhos.identity.sessions import Sessions
from mohhos.storage.backup import Backup
from mohhos.storage.history import HistoryQueries
from mohhos.stream.rules import RuleRegistry

if TYPE_CHECKING:
    from mohhos._native import Gateway

__all__ = ["Services", "ServicesOf"]


@dataclass(frozen=True)
class Services:
    """Every part that a request may need. `config` gives the present configuration, after live changes."""

    config: Callable[[], Config]
    clock: Clock
    gateway: "Gateway"
    devices: DeviceRegistry
    commands: Commands
    alerts: Alerts
    rules: RuleRegistry
    history: HistoryQueries
    operators: Operators
    sessions: Sessions
    applications: Applications
    roles: Roles
    policy: PrincipalPolicy
    states: DeviceStates
    refusals: Refusals
    conditions: Conditions
    flow: FlowMeter
    broadcast: Broadcast
    backup: Backup
    started_us: int
    version: str


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]
