from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from service import KEY, Service

from readapt_vllm.adapters import Adapters
from readapt_vllm.settings import Settings


@pytest.fixture
async def service() -> Service:
    return Service()


@pytest.fixture
async def settings(service: Service, tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings by which a server that runs the service is reached. Times are short, so that tests are."""
    server = TestServer(service.app())
    await server.start_server()
    url = str(server.make_url("")).rstrip("/")
    yield Settings(url=url, cache_dir=tmp_path / "cache", api_key=KEY, timeout_seconds=2, download_seconds=5, grace_seconds=0)
    await server.close()


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[Callable[..., Adapters]]:
    """Makes what a process of an engine has; with changes to the settings if need be."""
    started = []

    def make(**changes: object) -> Adapters:
        started.append(Adapters(replace(settings, **changes)))
        return started[-1]

    yield make
    for each in started:
        await each.close()
