"""Waits for the end of a rollout by polling with its ETag, which costs the service little while nothing changes."""

import asyncio
import time
from typing import Any

import httpx

from readapt_client.api.rollouts import get_rollout
from readapt_client.client import AuthenticatedClient
from readapt_client.models import Rollout
from readapt_client.types import UNSET, Response, Unset

from .answers import answer

ASK_AGAIN = frozenset({429, 503})


class RolloutNotCompletedError(Exception):
    """Rollout that has failed or was cancelled."""

    def __init__(self, rollout: Rollout) -> None:
        super().__init__(f"rollout {rollout.id} has ended without being completed: {rollout.state}")
        self.rollout = rollout


def wait_for_rollout(
    client: AuthenticatedClient, rollout_id: str, *, timeout: float = 86_400, interval: float = 2
) -> Rollout:
    """Returns the rollout when it is completed. All its jobs have ended then; its `summary` counts the ready ones.

    `timeout` and `interval` are seconds. Raises RolloutNotCompletedError when it has failed or was cancelled,
    TimeoutError when it has not ended in time, for example because it is paused, and ApiProblem when the service
    refuses the request. While the service cannot be reached, it keeps polling.
    """
    polling = _Polling(rollout_id, timeout, interval)
    while True:
        try:
            response = get_rollout.sync_detailed(rollout_id, client=client, if_none_match=polling.etag)
        except httpx.TransportError:
            response = None
        if polling.take(response):
            return polling.rollout
        time.sleep(polling.pause)


async def wait_for_rollout_async(
    client: AuthenticatedClient, rollout_id: str, *, timeout: float = 86_400, interval: float = 2
) -> Rollout:
    """Waits for a rollout like `wait_for_rollout`, in programs that use asyncio."""
    polling = _Polling(rollout_id, timeout, interval)
    while True:
        try:
            response = await get_rollout.asyncio_detailed(rollout_id, client=client, if_none_match=polling.etag)
        except httpx.TransportError:
            response = None
        if polling.take(response):
            return polling.rollout
        await asyncio.sleep(polling.pause)


class _Polling:
    """State between two polls: the last answer, its ETag, and the seconds until the next poll."""

    rollout: Any = None
    etag: str | Unset = UNSET

    def __init__(self, rollout_id: str, timeout: float, interval: float) -> None:
        self._rollout_id = rollout_id
        self._deadline = time.monotonic() + timeout
        self._interval = interval
        self.pause = interval

    def take(self, response: Response[Any] | None) -> bool:
        """Takes an answer, or None without one, and returns whether the rollout is completed."""
        self.pause = self._interval
        if response is None or response.status_code == 304:
            pass
        elif response.status_code in ASK_AGAIN and "retry-after" in response.headers:
            self.pause = float(response.headers["retry-after"])
        else:
            self.rollout = answer(response)
            self.etag = response.headers.get("etag", UNSET)
        state = None if self.rollout is None else self.rollout.state
        if state == "completed":
            return True
        if state in ("failed", "cancelled"):
            raise RolloutNotCompletedError(self.rollout)
        if time.monotonic() + self.pause > self._deadline:
            raise TimeoutError(f"rollout {self._rollout_id} has not ended in time; its state is {state or 'not known'}")
        return False
