"""A running gateway for the tests of a module."""

from collections.abc import Iterator
from types import ModuleType

import pytest
from tests.support.gateway import RunningGateway, running


@pytest.fixture(scope="module")
def gateway(native: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running(tmp_path_factory.mktemp("gateway")) as started:
        yield started
