"""Where the files of a version are, as far as the service does not send them itself, and how they are fetched from there."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import aiohttp
from yarl import URL

from .answer import Answer
from .archive import FileEntry, folder_digest, has_files, is_kept, limit_of
from .errors import Refused

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"https?://[!-~]+")
_MAX_FILES = 16
_PAUSE_SECONDS = 0.25
_ATTEMPTS = 10


class BrokenOff(Exception):
    """The place where a file is does not give it, or not all of it, or gives something else. The message names no address.

    What has arrived of it is kept. `of_version` says whether that is about this version alone, so that others may be had from there.
    """

    def __init__(self, message: str, of_version: bool = False) -> None:
        super().__init__(message)
        self.of_version = of_version


@dataclass(frozen=True)
class Link:
    """A file, and an address of it that takes no key. Whoever knows the address can read the file, so it is never shown."""

    entry: FileEntry
    url: str = field(repr=False)


#: Asks the service for addresses.
Ask = Callable[[], Awaitable[list[Link] | None]]


def parse_links(body: Any, answer: Answer) -> list[Link] | None:
    """The files of a version; None where the service sends them itself.

    Raises:
        Refused: they are not the files of the version.
    """
    files = body.get("files") if isinstance(body, Mapping) else None
    if not isinstance(files, list) or len(files) > _MAX_FILES or not all(isinstance(each, Mapping) for each in files):
        raise Refused(f"what the service says of the files of {answer.name} is not a list of files")
    if not all(isinstance(each.get("expires_at"), str) for each in files):
        return None
    links = [_parse_link(each, answer) for each in files]
    digest = folder_digest([link.entry for link in links])
    if digest != answer.digest:
        raise Refused(f"the files that the service names for {answer.name} have the digest {digest}, expected {answer.digest}")
    return links


def _parse_link(file: Mapping[str, Any], answer: Answer) -> Link:
    name, size, sha256, url = (file.get(key) for key in ("name", "bytes", "sha256", "url"))
    limit = limit_of(name) if isinstance(name, str) else None
    if limit is None:
        raise Refused(f"the service names {str(name)[:100]!r} for {answer.name}, which is not a file of an adapter")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= limit:
        raise Refused(f"the service names {name} of {answer.name} with {str(size)[:100]} bytes, expected at most {limit}")
    if not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
        raise Refused(f"the service names {name} of {answer.name} without its SHA-256")
    if not isinstance(url, str) or _ADDRESS.fullmatch(url) is None:
        raise Refused(f"the service names no address of {name} of {answer.name}")
    return Link(FileEntry(name, size, sha256), url)


async def fetch_files(session: aiohttp.ClientSession, ask: Ask, folder: Path) -> list[FileEntry] | None:
    """Fetches the files that an engine needs into a folder, and gives all files of the version; None where the service sends them itself.

    What breaks off goes on where it was, by addresses that are asked for anew, for as long as each attempt brings something.

    Raises:
        BrokenOff: the files cannot be had from where they are, or are others there.
        OSError: the disk fails or is full.
    """
    entries = await _fetch_all(session, ask, folder)
    if entries is not None and not await asyncio.to_thread(has_files, folder, entries):
        raise BrokenOff("the files are not what their SHA-256 says", of_version=True)
    return entries


async def _fetch_all(session: aiohttp.ClientSession, ask: Ask, folder: Path) -> list[FileEntry] | None:
    for attempt in range(1, _ATTEMPTS + 1):
        links = await ask()
        if links is None:
            return None
        before = _bytes_in(folder)
        try:
            for link in links:
                if is_kept(link.entry.path):
                    await _fetch_rest(session, link, folder / link.entry.path)
            return [link.entry for link in links]
        except BrokenOff:
            if attempt == _ATTEMPTS or _bytes_in(folder) <= before:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError("there is an attempt at least")


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


async def _fetch_rest(session: aiohttp.ClientSession, link: Link, path: Path) -> None:
    with path.open("ab") as to:
        if to.tell() == link.entry.bytes:
            return
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={to.tell()}-"} if to.tell() > 0 else {})
        try:
            # The address is signed as it is written. The service's key is for the service alone.
            async with session.get(URL(link.url, encoded=True), headers=headers, allow_redirects=False) as response:
                await _take(response, link.entry, to)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            # The words of these errors may hold the address.
            raise BrokenOff(type(error).__name__) from None
        if to.tell() < link.entry.bytes:
            raise BrokenOff(f"{link.entry.path} has ended early")


async def _take(response: aiohttp.ClientResponse, entry: FileEntry, to: IO[bytes]) -> None:
    if response.status == 200:
        to.seek(0)
        to.truncate()
    elif response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {to.tell()}-"):
        raise BrokenOff(f"the answer was {response.status}", of_version=response.status == 404)
    async for chunk in response.content.iter_any():
        if to.tell() + len(chunk) > entry.bytes:
            # None of it is the file, so it is not gone on with.
            to.truncate(0)
            raise BrokenOff(f"{entry.path} has more than the {entry.bytes} bytes that the service names")
        await asyncio.to_thread(to.write, chunk)
