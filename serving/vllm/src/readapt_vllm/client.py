"""Asks the service, over HTTP. It knows the API and how to wait; what an answer means to an engine is none of its business."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from logging import Logger
from pathlib import Path
from typing import Any

import aiohttp

from .answer import Answer, Changes, parse_answer, parse_changes
from .archive import ARCHIVE_OVERHEAD_BYTES, FileEntry
from .errors import Refused, SettingsError, Unavailable
from .links import BrokenOff, Link, fetch_files, parse_links
from .settings import Settings

#: The service says so where there is nothing to be served. A 404 with another code, or without one, comes from something on the way.
_NOTHING = ("no_current_version", "not_found")
#: The service says so where the engine's settings do not fit: asking again does not help.
_REFUSALS = (400, 409, 422)
_EXPIRED = 410

_ANSWER_LIMIT_BYTES = 2**20
_PAGE = 100
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0
#: The longest pause that the service can ask for.
_LONGEST_RETRY_AFTER_SECONDS = 300.0
_STALL_SECONDS = 30.0
#: A key that is refused may be about to be replaced.
_KEY_PAUSE_SECONDS = 5.0
_DOWNLOAD_ATTEMPTS = 5
#: Where an engine cannot reach the bucket, or there is none, it does not ask for files at each download.
_NO_LINKS_SECONDS = 300.0


@dataclass(frozen=True)
class Resolved:
    """An answer with the tag by which the service knows it again."""

    answer: Answer
    etag: str | None


class NotModified:
    """The answer with the tag that was sent is still right."""


class Client:
    """Asks one service. While it does not answer, it is left alone for longer and longer, up to half a minute.

    It is used in one event loop.
    """

    def __init__(self, settings: Settings, logger: Logger) -> None:
        self._settings, self._logger = settings, logger
        self._session: aiohttp.ClientSession | None = None
        self._failures = 0
        self._closed_until = 0.0
        self._problem = ""
        self._no_links_until = 0.0

    async def resolve(self, name: str, serving_name: str, etag: str | None = None, attempts: int = 1) -> Resolved | NotModified | None:
        """Which version is to be served by this name on the base; None if none is.

        Raises:
            Unavailable: the service did not answer in the time that there is.
            Refused: it answered something that is not an answer.
        """
        query = {"name": name}
        if self._settings.base_model_version is not None:
            query["base_model_version"] = self._settings.base_model_version
        else:
            query["serving_name"] = serving_name
        async with self._in_time():
            return await self._ask_often(query, etag, attempts)

    async def download(self, answer: Answer, file: Path) -> None:
        """Downloads the archive of a version. What breaks off goes on where it was.

        Raises:
            Unavailable: the service, or what is on the way, broke off too often or took too long.
            Refused: there is more than there should be, or it is gone.
            OSError: the disk fails or is full.
        """
        limit = answer.bytes + ARCHIVE_OVERHEAD_BYTES
        etag: str | None = None
        async with self._in_download_time(answer):
            with file.open("xb") as to:
                for attempt in range(1, _DOWNLOAD_ATTEMPTS + 1):
                    try:
                        return await self._download_rest(answer, to, etag, limit)
                    except _BrokenOff as error:
                        etag = error.etag
                        if attempt == _DOWNLOAD_ATTEMPTS:
                            raise self._away(f"broke off the download of {answer.name}: {error}") from error
                        await asyncio.sleep(error.pause or _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))

    async def download_files(self, answer: Answer, folder: Path) -> list[FileEntry] | None:
        """Downloads the files of a version from where the service says they are, into a new folder; None where they cannot be had so.

        Then the archive is left, which the service sends itself. Where that is so for all versions, this is not tried again for a while.

        Raises:
            Unavailable: it took too long.
            Refused: the service names other files.
            OSError: the disk fails or is full.
        """
        if answer.files is None or time.monotonic() < self._no_links_until:
            return None
        await asyncio.to_thread(folder.mkdir, parents=True)
        async with self._in_download_time(answer):
            try:
                return await fetch_files(self._connect(), lambda: self._links(answer), folder)
            except BrokenOff as error:
                if not error.of_version:
                    self._leave_links()
                self._logger.warning(
                    "Readapt: %s is downloaded through the service, because the bucket does not give it: %s", answer.name, error
                )
                return None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def changes(self, base_model_version_id: str, after: str) -> Changes | None:
        """A page of what has changed on a base after a position; None where the service remembers that position no more.

        Raises:
            Unavailable: the service did not answer in the time that there is.
            Refused: it answered something that is not a list of changes.
        """
        path = f"/v1/base-model-versions/{base_model_version_id}/current"
        async with self._in_time():
            status, body, _ = await self._get(path, {"changed_after": after, "limit": str(_PAGE)}, None)
            if status == _EXPIRED:
                return None
            self._require(status == 200, status, body)
            return parse_changes(body)

    async def _ask_often(self, query: Mapping[str, str], etag: str | None, attempts: int) -> Resolved | NotModified | None:
        for attempt in range(1, attempts + 1):
            try:
                return await self._ask(query, etag)
            except Unavailable as error:
                # Who was told to come back later does not come back at once.
                if attempt == attempts or error.retry_after is not None:
                    raise
                await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        raise AssertionError("attempts is at least 1")

    async def _ask(self, query: Mapping[str, str], etag: str | None) -> Resolved | NotModified | None:
        status, body, tag = await self._get("/v1/serving/resolve", query, etag)
        if status == 304 and etag is not None:
            return NotModified()
        if status == 404 and _field(body, "code") in _NOTHING:
            self._logger.info("Readapt: %s", _field(body, "detail"))
            return None
        self._require(status == 200, status, body)
        return Resolved(parse_answer(body), tag)

    async def _get(self, path: str, query: Mapping[str, str], etag: str | None) -> tuple[int, Any, str | None]:
        """Status, JSON and tag of an answer. Answers by which the service is away are raised."""
        left_alone_for = self._closed_until - time.monotonic()
        if left_alone_for > 0:
            raise Unavailable(f"Readapt at {self._settings.url} {self._problem}", left_alone_for)
        headers = {**self._headers(), **({} if etag is None else {"If-None-Match": etag})}
        url = f"{self._settings.url}{path}"
        try:
            async with self._connect().get(url, params=query, headers=headers, allow_redirects=False) as response:
                if response.status == 429 or response.status >= 500:
                    raise self._away(f"answered {response.status}", _retry_after(response))
                body = _parse(await _read(response))
                self._failures, self._closed_until = 0, 0.0
                return response.status, body, response.headers.get("ETag")
        except (aiohttp.ClientError, ConnectionError, ssl.SSLError) as error:
            raise self._away(f"cannot be reached: {error}") from error

    def _require(self, condition: bool, status: int, body: Any) -> None:
        """Says what is wrong where an answer is not the one that was hoped for."""
        if condition:
            return
        if status in (401, 403):
            raise self._away(f"answered {status}: READAPT_API_KEY is not a key with the scope serving:read", _KEY_PAUSE_SECONDS)
        code, detail = _field(body, "code"), _field(body, "detail")
        if status in _REFUSALS and code is not None:
            raise Refused(f"Readapt at {self._settings.url} answered {status} {code}: {detail}")
        raise self._away(f"answered {status}{'' if code is None else f' {code}'}, so that READAPT_URL may be another address")

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                yield
        except TimeoutError as error:
            raise self._away(f"did not answer within {self._settings.timeout_seconds:g} s") from error

    @asynccontextmanager
    async def _in_download_time(self, answer: Answer) -> AsyncIterator[None]:
        seconds = self._settings.download_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise Unavailable(
                f"the download of {answer.name} took more than the {seconds:g} s that READAPT_DOWNLOAD_SECONDS allows"
            ) from error

    async def _download_rest(self, answer: Answer, to: Any, etag: str | None, limit: int) -> None:
        if etag is None:
            to.seek(0)
            to.truncate()
        headers = self._headers()
        if to.tell() > 0:
            headers |= {"Range": f"bytes={to.tell()}-", "If-Range": etag or ""}
        try:
            # The archive may lie in a store of its own. aiohttp sends the key to no other host.
            async with self._connect().get(f"{self._settings.url}{answer.download}", headers=headers, max_redirects=3) as response:
                await self._take(response, answer, to, etag, limit)
        except (aiohttp.ClientError, ConnectionError, ssl.SSLError) as error:
            raise _BrokenOff(str(error) or type(error).__name__, etag) from error

    async def _take(self, response: aiohttp.ClientResponse, answer: Answer, to: Any, etag: str | None, limit: int) -> None:
        if response.status in (404, 410):
            raise Refused(f"{answer.name} cannot be downloaded: Readapt answered {response.status}")
        if response.status not in (200, 206):
            raise _BrokenOff(f"the answer was {response.status}", etag, _retry_after(response))
        tag = response.headers.get("ETag")
        if response.status == 200:
            to.seek(0)
            to.truncate()
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {to.tell()}-"):
            raise _BrokenOff("the answer was another part than the one that was asked for", None)
        try:
            async for chunk in response.content.iter_any():
                if to.tell() + len(chunk) > limit:
                    raise Refused(f"the archive of {answer.name} has more than {limit} bytes, but its files have {answer.bytes}")
                await asyncio.to_thread(to.write, chunk)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise _BrokenOff(str(error) or type(error).__name__, tag) from error

    async def _links(self, answer: Answer) -> list[Link] | None:
        """Where the files of a version are; None where the service does not say so now: whoever asks for the archive is told why."""
        url = f"{self._settings.url}{answer.files}"
        try:
            async with self._connect().get(url, headers=self._headers(), allow_redirects=False) as response:
                if response.status != 200:
                    return None
                links = parse_links(_parse(await _read(response)), answer)
        except (aiohttp.ClientError, ConnectionError, ssl.SSLError):
            return None
        if links is None:
            # The service has no bucket. It may have to read a whole version to list its files.
            self._leave_links()
        return links

    def _leave_links(self) -> None:
        self._no_links_until = time.monotonic() + _NO_LINKS_SECONDS

    def _connect(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._settings.timeout_seconds, sock_read=_STALL_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        return self._session

    def _headers(self) -> dict[str, str]:
        try:
            key = self._settings.read_api_key()
        except SettingsError as error:
            raise Unavailable(str(error)) from error
        # Whole archives, byte for byte: compressed ones could not be gone on with.
        return {"Accept-Encoding": "identity"} | ({} if key is None else {"Authorization": f"Bearer {key}"})

    def _away(self, problem: str, retry_after: float | None = None) -> Unavailable:
        """Remembers that the service did not answer, so that it is left alone for a while."""
        pause = retry_after
        if pause is None:
            # A few failures may be somebody else's, such as a process that is being replaced.
            pause = 0 if self._failures < 3 else min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
        self._failures = min(self._failures + 1, 10)
        self._closed_until = time.monotonic() + pause
        self._problem = problem
        return Unavailable(f"Readapt at {self._settings.url} {problem}", retry_after)


class _BrokenOff(Exception):
    """A download ended early. With a tag, what is there already can be gone on with."""

    def __init__(self, message: str, etag: str | None, pause: float | None = None) -> None:
        super().__init__(message)
        self.etag, self.pause = etag, pause


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, as far as an answer may be long."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_ANSWER_LIMIT_BYTES):
        body += chunk
        if len(body) > _ANSWER_LIMIT_BYTES:
            raise Refused(f"the service's answer has more than {_ANSWER_LIMIT_BYTES} bytes")
    return bytes(body)


def _parse(body: bytes) -> Any:
    """The JSON of a body; None where it is none, as proxies answer."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _field(body: Any, name: str) -> str | None:
    """A text in the body of a problem."""
    value = body.get(name) if isinstance(body, Mapping) else None
    return value[:500] if isinstance(value, str) else None


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """The seconds of `Retry-After`, a few minutes at most. The service never writes a date there."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_RETRY_AFTER_SECONDS) if text.isascii() and text.isdigit() else None
