"""Downloads that resume after an interruption."""

import os
import time
from pathlib import Path
from typing import BinaryIO

import httpx

from readapt_client.client import AuthenticatedClient
from readapt_client.models import AdapterVersion, Problem

from .answers import ApiProblem
from .archives import verify_archive

PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416


def download_version(
    client: AuthenticatedClient, version: AdapterVersion, path: str | Path, *, timeout: float = 60, interval: float = 2
) -> None:
    """Downloads the archive of a version to a file, and compares it with the version's `digest`.

    Until it is complete, the file is `path` with `.part` at its end. A download resumes from that file, even in another
    run of the program. `timeout` is the longest time without progress, and `interval` the delay before another attempt,
    both in seconds. Raises httpx.TransportError after the timeout, ApiProblem if the service refuses the request, and
    ChecksumError if the digest differs, after which nothing is left of the download.
    """
    part = Path(f"{path}.part")
    part.touch(mode=0o600)
    with part.open("r+b") as file:
        _receive_all(client, version, file, timeout, interval)
    try:
        verify_archive(part, version.digest)
    except BaseException:
        part.unlink()
        raise
    part.replace(path)


def _receive_all(
    client: AuthenticatedClient, version: AdapterVersion, file: BinaryIO, timeout: float, interval: float
) -> None:
    deadline = time.monotonic() + timeout
    while True:
        before = file.seek(0, os.SEEK_END)
        try:
            return _receive(client, version, file, before)
        except httpx.TransportError:
            if file.tell() > before:
                deadline = time.monotonic() + timeout
            if time.monotonic() + interval > deadline:
                raise
        time.sleep(interval)


def _receive(client: AuthenticatedClient, version: AdapterVersion, file: BinaryIO, before: int) -> None:
    """Writes the bytes after the first `before`."""
    headers = {"accept-encoding": "identity"}
    if before:
        # The ETag of an archive is the digest of its version. If it has changed, all bytes are sent.
        headers |= {"range": f"bytes={before}-", "if-range": f'"{version.digest}"'}
    url = f"/v1/adapters/{version.adapter_id}/versions/{version.id}/download"
    with client.get_httpx_client().stream("GET", url, headers=headers) as response:
        if response.status_code == RANGE_NOT_SATISFIABLE:
            if response.headers.get("content-range") == f"bytes */{before}":
                return
        elif response.is_success:
            file.truncate(file.seek(before if response.status_code == PARTIAL_CONTENT else 0))
            for chunk in response.iter_raw():
                file.write(chunk)
            return
        else:
            response.read()
            is_problem = "problem" in response.headers.get("content-type", "")
            raise ApiProblem(response.status_code, Problem.from_dict(response.json()) if is_problem else None)
    # The file is longer than the archive, so it is something else.
    file.truncate(0)
    _receive(client, version, file, 0)
