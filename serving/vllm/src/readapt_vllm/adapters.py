"""Finds what an engine is to load for a name. It knows nothing of any engine."""

import asyncio
import shutil
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from logging import Logger, getLogger
from pathlib import Path

from .answer import Answer, Changes
from .cache import FOLDER, Cache
from .client import Client, NotModified, Resolved
from .errors import Refused, Unavailable
from .memory import Memory
from .settings import Settings

_NOTHING_SECONDS = 2.0
_MAX_REMEMBERED_NOTHING = 10_000
_ATTEMPTS = 3
_DOWNLOADS_AT_ONCE = 8


@dataclass(frozen=True)
class Found:
    """A version that is on this machine and can be loaded from the folder."""

    answer: Answer
    folder: Path
    #: Whether the service did not say so now, but some time before.
    is_stale: bool = False


class Adapters:
    """Asks the service for versions, keeps them on the disk, and goes on with what is there while the service is away.

    It is used in one event loop, which it never blocks.
    """

    def __init__(self, settings: Settings, logger: Logger | None = None) -> None:
        self._settings = settings
        self._logger = logger or getLogger(__name__)
        self._client = Client(settings, self._logger)
        self._cache = Cache(settings.cache_dir, settings.cache_bytes, settings.base_fingerprint)
        self._memory = Memory(settings.cache_dir)
        self._turns = asyncio.Semaphore(_DOWNLOADS_AT_ONCE)
        self._downloads: dict[str, asyncio.Task[Path]] = {}
        self._nothing: OrderedDict[str, float] = OrderedDict()

    async def find(self, model: str, name: str) -> Found | None:
        """What to load for a name on the engine's model, or None where the service has nothing for it.

        Raises:
            Unavailable: the service is away, and nothing of this name was kept.
            Refused: what the service has must not be served, and nothing older of this name was kept.
        """
        if self._is_nothing(name):
            return None
        key = self._key(model, name)
        known = await asyncio.to_thread(self._memory.find, key)
        try:
            resolved = await self._resolve(model, name, known)
            if resolved is None:
                await asyncio.to_thread(self._memory.forget, key)
                self._remember_nothing(name)
                return None
            found = Found(resolved.answer, await self._fetch(resolved.answer))
        except (Unavailable, Refused) as error:
            return await self._go_on_with(known, model, name, error)
        try:
            await asyncio.to_thread(self._memory.keep, key, resolved)
        except OSError as error:
            self._logger.warning("Readapt: %s will not be known after a restart, if the service is away then: %s", name, error)
        return found

    async def changes(self, base_model_version_id: str, after: str) -> Changes | None:
        """A page of what has changed on a base after a position; None where that position is too old.

        Raises:
            Unavailable: the service is away.
            Refused: its answer is not a list of changes.
        """
        return await self._client.changes(base_model_version_id, after)

    def is_crowded(self) -> bool:
        """Whether the disk keeps more than it should, because everything on it was handed to an engine."""
        return self._cache.is_crowded

    async def release(self, digest: str) -> None:
        """Says that the engine needs a version no more, so that it may leave the disk."""
        await asyncio.to_thread(self._cache.release, digest)

    async def close(self) -> None:
        """Waits for what is going on, and gives back what is held."""
        await asyncio.gather(*self._downloads.values(), return_exceptions=True)
        await self._client.close()
        await asyncio.to_thread(self._cache.close)

    async def _resolve(self, model: str, name: str, known: Resolved | None) -> Resolved | None:
        serving_name = self._settings.serving_name or model
        # Who has something to go on with waits for nobody.
        attempts = _ATTEMPTS if known is None else 1
        answer = await self._client.resolve(name, serving_name, None if known is None else known.etag, attempts)
        resolved = known if isinstance(answer, NotModified) else answer
        if resolved is not None:
            self._check_base(resolved.answer, serving_name)
        return resolved

    def _check_base(self, answer: Answer, serving_name: str) -> None:
        """Checks that a version is for the base that this engine serves, as far as the engine's settings say which that is.

        Raises:
            Refused: it is for another.
        """
        expected = self._settings.base_model_version
        if expected is not None and answer.base_model_version_id != expected:
            raise Refused(f"{answer.name} is for {answer.base_model_version_id}, but READAPT_BASE_MODEL_VERSION is {expected}")
        # A tenant's key is not told a name that is a path of the engine's machine; the service has compared it.
        if expected is None and answer.serving_name not in (None, serving_name):
            raise Refused(f"{answer.name} is for the model {answer.serving_name!r}, but this engine serves {serving_name!r}")
        fingerprint = self._settings.base_fingerprint
        if fingerprint is not None and answer.base_fingerprint not in (None, fingerprint):
            raise Refused(f"{answer.name} is for the base {answer.base_fingerprint}, but READAPT_BASE_FINGERPRINT is {fingerprint}")

    async def _go_on_with(self, known: Resolved | None, model: str, name: str, error: Unavailable | Refused) -> Found:
        """What was served by this name before, if it is still here. Otherwise the error is raised."""
        folder = None
        if known is not None:
            try:
                self._check_base(known.answer, self._settings.serving_name or model)
                folder = await asyncio.to_thread(self._cache.hold, known.answer)
            except (Refused, OSError):
                folder = None
        if known is None or folder is None:
            self._logger.error("Readapt: %s cannot be loaded: %s", name, error)
            raise error
        self._logger.warning("Readapt: %s goes on with %s, which is on this machine: %s", name, known.answer.name, error)
        return Found(known.answer, folder, is_stale=True)

    async def _fetch(self, answer: Answer) -> Path:
        """The folder of a version, which is downloaded once however many ask for it, and also if they all leave."""
        return await self._once(answer.digest, lambda: self._load(answer))

    async def _once(self, digest: str, load: Callable[[], Awaitable[Path]]) -> Path:
        task = self._downloads.get(digest)
        if task is None:
            task = asyncio.ensure_future(load())
            self._downloads[digest] = task
            task.add_done_callback(lambda done: self._ended(digest, done))
        return await asyncio.shield(task)

    def _ended(self, digest: str, task: asyncio.Task[Path]) -> None:
        self._downloads.pop(digest, None)
        # An error that nobody waited for is not reported a second time.
        if not task.cancelled():
            task.exception()

    async def _load(self, answer: Answer) -> Path:
        try:
            folder = await asyncio.to_thread(self._cache.hold, answer)
            if folder is not None:
                return folder
            async with self._turns:
                folder = await self._download(answer)
        except OSError as error:
            raise Unavailable(f"READAPT_CACHE_DIR: {answer.name} cannot be kept in {self._settings.cache_dir}: {error}") from error
        self._logger.info("Readapt: %s (%d bytes, %s) is in %s", answer.name, answer.bytes, answer.digest, folder)
        return folder

    async def _download(self, answer: Answer) -> Path:
        incoming = await asyncio.to_thread(self._cache.new_path)
        try:
            entries = await self._client.download_files(answer, incoming / FOLDER)
            if entries is not None:
                return await asyncio.to_thread(self._cache.add_files, incoming, entries, answer)
        finally:
            await asyncio.to_thread(shutil.rmtree, incoming, ignore_errors=True)
        return await self._download_archive(answer)

    async def _download_archive(self, answer: Answer) -> Path:
        archive = await asyncio.to_thread(self._cache.new_path)
        try:
            await self._client.download(answer, archive)
            return await asyncio.to_thread(self._cache.add, archive, answer)
        finally:
            await asyncio.to_thread(archive.unlink, missing_ok=True)

    def _key(self, model: str, name: str) -> str:
        base = self._settings.base_model_version or self._settings.serving_name or model
        return f"{self._settings.url}\n{base}\n{name}"

    def _is_nothing(self, name: str) -> bool:
        return self._nothing.get(name, 0) > time.monotonic()

    def _remember_nothing(self, name: str) -> None:
        """Nobody's name is asked for again for a moment, so that whoever sends many requests with it costs the service few."""
        self._nothing[name] = time.monotonic() + _NOTHING_SECONDS
        self._nothing.move_to_end(name)
        if len(self._nothing) > _MAX_REMEMBERED_NOTHING:
            self._nothing.popitem(last=False)
