"""Uncompressed tar archives of PEFT folders, the format in which adapters are uploaded."""

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from readapt_client.types import File

CHUNK_BYTES = 1 << 16


class ChecksumError(Exception):
    """Archive whose content has another digest than expected."""


def adapter_archive(folder: str | Path) -> io.BytesIO:
    """Packs the files of a PEFT folder into an archive for the upload."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for file in sorted(Path(folder).iterdir()):
            tar.add(file, arcname=file.name, recursive=False)
    archive.seek(0)
    return archive


def async_file(content: BinaryIO) -> File:
    """Wraps an open file for an upload with asyncio, which cannot send the file as it is."""
    return File(payload=_AsyncContent(content))  # type: ignore[arg-type]


class _AsyncContent:
    def __init__(self, content: BinaryIO) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await asyncio.to_thread(self._content.read, CHUNK_BYTES):
            yield chunk


def verify_archive(path: str | Path, digest: str) -> None:
    """Compares a downloaded archive with the `digest` of its adapter version. Raises ChecksumError if they differ."""
    found = _folder_digest(Path(path))
    if found != digest:
        raise ChecksumError(f"{path} has the digest {found}, expected {digest}")


def _folder_digest(path: Path) -> str:
    """Computes SHA-256 of a heading and a line `["path",bytes,"sha256"]` for each file, in the order of the paths."""
    lines = []
    with tarfile.open(path, mode="r:") as tar:
        for entry in (member for member in tar if member.isfile()):
            name = entry.name.split("/", 1)[-1]
            sha256 = hashlib.file_digest(tar.extractfile(entry), "sha256").hexdigest()
            lines.append(
                (name, json.dumps([name, entry.size, sha256], separators=(",", ":"), ensure_ascii=False) + "\n")
            )
    text = "readapt folder 1\n" + "".join(line for _, line in sorted(lines))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
