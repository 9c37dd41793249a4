"""Moves aliases in a running server, as Readapt publishes, takes back and withdraws versions.

vLLM asks a resolver once for a name, and answers with what it got for as long as it runs. Only what vLLM offers to everybody is
used here to change that: it resolves the new version by its own name, which shows whether the engine can load it, and only then
forgets the alias.
"""

import asyncio
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException
from starlette.datastructures import State
from vllm.engine.protocol import EngineClient
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.entrypoints.serve.lora.protocol import UnloadLoRAAdapterRequest
from vllm.logger import init_logger
from vllm.lora.request import LoRARequest

from .answer import Answer, Changes
from .errors import Refused, Unavailable
from .resolver import ReadaptResolver, VersionRequest

_FROM_THE_START = "0"

logger = init_logger("vllm.readapt")


class Follower:
    """An endpoint plugin of vLLM, because those are given the server's models. It adds no endpoint."""

    name = "readapt"
    required_tasks = None

    def __init__(self, find_resolver: Callable[[], Any]) -> None:
        self._find_resolver = find_resolver
        self._task: asyncio.Task[None] | None = None

    def attach_router(self, app: FastAPI) -> None:
        """There are no routes."""

    async def init_state(self, engine_client: EngineClient | None, state: State, args: Namespace) -> None:
        """Begins to follow, where there is an engine and READAPT_URL is set."""
        resolver = self._find_resolver()
        models = getattr(state, "openai_serving_models", None)
        if engine_client is None or not isinstance(resolver, ReadaptResolver) or not isinstance(models, OpenAIServingModels):
            return
        self._task = asyncio.create_task(Following(resolver, models).run())


class Following:
    """Keeps the names that one server has resolved where Readapt has them."""

    def __init__(self, resolver: ReadaptResolver, models: OpenAIServingModels) -> None:
        self._resolver, self._models = resolver, models
        self._position = _FROM_THE_START
        #: Whether something could not be moved that can be moved later.
        self._must_repeat = False
        #: Versions that no name stands for any more, by the time at which that was seen.
        self._left: dict[str, float] = {}
        self._is_away = False

    async def run(self) -> None:
        """Goes on until the server ends."""
        logger.info("Readapt: aliases follow what is current, every %g s", self._resolver.settings.refresh_seconds)
        while True:
            await asyncio.sleep(self._resolver.settings.refresh_seconds)
            try:
                await self.turn()
            except Exception:
                # A server that answers is worth more than an alias that moves.
                logger.exception(
                    "Readapt: aliases could not be moved; they are tried again in %g s", self._resolver.settings.refresh_seconds
                )

    async def turn(self) -> None:
        """Moves what has changed since the last turn, and gives back what nobody needs any more."""
        try:
            await self._follow()
            self._is_away = False
        except (Unavailable, Refused) as error:
            if not self._is_away:
                logger.warning("Readapt: aliases stay where they are until the service answers again: %s", error)
            self._is_away = True
        await self._forget_unused()
        await self._release()

    async def _follow(self) -> None:
        base = self._resolver.base_model_version_id
        if base is None:
            return
        if self._must_repeat or self._resolver.has_given_stale:
            self._position, self._must_repeat, self._resolver.has_given_stale = _FROM_THE_START, False, False
        while True:
            changes = await self._resolver.adapters.changes(base, self._position)
            if changes is None:
                # The position is too old to be known, and the next turn begins from the start.
                self._position = _FROM_THE_START
                return
            await self._apply(changes)
            if changes.position == self._position:
                return
            self._position = changes.position

    async def _apply(self, changes: Changes) -> None:
        for answer in changes.answers:
            for name in self._names_of(answer.alias):
                await self._move(name, answer)
        for name, request in self._loaded().items():
            given = self._resolver.given.get(request.lora_name)
            if given is not None and given.answer.adapter_id in changes.removed:
                await self._unload(name)
                logger.info("Readapt: %s is withdrawn", name)

    async def _move(self, name: str, answer: Answer) -> None:
        """Lets a name stand for another version, if the engine can load it. Requests that have begun end with the one before."""
        request = self._models.lora_requests.get(name)
        if request is None or request.lora_name == answer.name:
            return
        was_loaded = answer.name in self._models.lora_requests
        try:
            result = await self._models.resolve_lora(answer.name)
        except HTTPException as error:
            logger.warning("Readapt: %s stays at %s for now: %s", name, request.lora_name, error.__cause__)
            self._must_repeat = True
            return
        if not isinstance(result, LoRARequest):
            logger.error("Readapt: %s stays at %s: %s", name, request.lora_name, result.error.message)
            return
        await self._unload(name)
        result = await self._models.resolve_lora(name)
        if not was_loaded:
            await self._unload(answer.name)
        logger.info("Readapt: %s moves from %s to %s", name, request.lora_name, getattr(result, "lora_name", "nothing"))

    async def _unload(self, name: str) -> None:
        await self._models.unload_lora_adapter(UnloadLoRAAdapterRequest(lora_name=name))

    async def _forget_unused(self) -> None:
        """Where the disk is full of what vLLM has resolved once, lets it forget what it has not used for long."""
        if not self._resolver.adapters.is_crowded():
            return
        used = await self._models.engine_client.list_loras()
        for name, request in self._loaded().items():
            if request.lora_int_id not in used:
                await self._unload(name)

    async def _release(self) -> None:
        """Gives versions back to the disk's cache, once requests that began with them have surely ended."""
        needed = {request.lora_name for request in self._loaded().values()}
        now, grace = time.monotonic(), self._resolver.settings.grace_seconds
        for name, given in list(self._resolver.given.items()):
            if name in needed:
                self._left.pop(name, None)
            elif now - max(self._left.setdefault(name, now), given.at) >= grace:
                del self._resolver.given[name], self._left[name]
                # Adapters with the same files share a folder.
                if all(given.answer.digest != each.answer.digest for each in self._resolver.given.values()):
                    await self._resolver.adapters.release(given.answer.digest)

    def _loaded(self) -> dict[str, VersionRequest]:
        """The names that vLLM has resolved here."""
        return {name: request for name, request in self._models.lora_requests.items() if isinstance(request, VersionRequest)}

    def _names_of(self, alias: str) -> list[str]:
        """The names that follow an alias: the alias itself, and numbers that are gone, by which the current version is served."""
        return [name for name, request in self._loaded().items() if name.split("@")[0] == alias and name != request.lora_name]
