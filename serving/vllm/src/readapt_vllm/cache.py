"""Versions of adapters on the disk, which the processes of a machine share. Its calls block: use it in a thread."""

import fcntl
import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from .answer import Answer
from .archive import FileEntry, check_files, check_folder, folder_digest, has_files, sync_folder, unpack
from .lease import Lease, read_leases

_ENTRIES = "files.json"

#: The folder of the files, beside what is known of them.
FOLDER = "adapter"


class Cache:
    """Folders of verified versions by digest: `versions/<digest>/adapter`. Each appears whole or not at all.

    Once more than `limit` bytes are kept, the versions that were asked for longest ago are removed, but none that a living process has
    handed to its engine, even where the limit is then exceeded. Only versions for the base with the fingerprint `base` are let through, if
    it is given.
    """

    def __init__(self, root: Path, limit: int, base: str | None = None) -> None:
        self._root, self._limit, self._base = root, limit, base
        self._mutex = threading.Lock()
        self._lease: Lease | None = None
        self._verified: set[str] = set()
        #: Whether more than the limit is kept, because engines may need all of it.
        self.is_crowded = False

    def hold(self, answer: Answer) -> Path | None:
        """The folder of a version, which stays until it is released; None where it is not there.

        What was there before this process began is read once, and removed if a byte of it has changed.

        Raises:
            Refused: the version is there and was made for another base than the one of the answer.
        """
        version = _version_of(answer.digest)
        folder = self._root / "versions" / version
        with self._locked() as lease:
            if not folder.is_dir():
                return None
            is_new = lease.add(version)
            os.utime(folder)
        try:
            entries = self._verify(version)
            if entries is not None:
                check_folder(folder / FOLDER, entries, answer, self._base)
                return folder / FOLDER
        except BaseException:
            if is_new:
                self.release(answer.digest)
            raise
        with self._locked() as lease:
            self._discard(folder, lease)
            lease.remove(version)
        return None

    def new_path(self) -> Path:
        """A path that nobody else uses, for what is on its way here. It is removed when this process is gone."""
        with self._locked() as lease:
            return self._root / "incoming" / f"{lease.id}.{uuid.uuid4().hex}"

    def add(self, archive: Path, answer: Answer) -> Path:
        """Unpacks and checks an archive, keeps its version, and holds it.

        Raises:
            Refused: the archive is not the version of the answer.
            OSError: the disk fails or is full.
        """
        incoming = self.new_path()
        incoming.mkdir()
        try:
            return self._keep(incoming, unpack(archive, incoming / FOLDER, answer, self._base), answer)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def add_files(self, incoming: Path, entries: list[FileEntry], answer: Answer) -> Path:
        """Checks the files in the folder `adapter` of a new path, keeps their version, and holds it.

        Raises:
            Refused: they are not the version of the answer.
            OSError: the disk fails or is full.
        """
        check_files(incoming / FOLDER, entries, answer, self._base)
        return self._keep(incoming, entries, answer)

    def _keep(self, incoming: Path, entries: list[FileEntry], answer: Answer) -> Path:
        version = _version_of(answer.digest)
        _write_durably(incoming / _ENTRIES, json.dumps([asdict(entry) for entry in entries]))
        self._make_room(sum(entry.bytes for entry in entries))
        folder = self._root / "versions" / version
        with self._locked() as lease:
            # Another process may have been faster.
            if not folder.is_dir():
                incoming.rename(folder)
                sync_folder(folder.parent)
            lease.add(version)
        self._verified.add(version)
        return folder / FOLDER

    def release(self, digest: str) -> None:
        """Says that the engine of this process needs a version no more."""
        with self._locked() as lease:
            lease.remove(_version_of(digest))

    def close(self) -> None:
        """Gives everything back that this process holds."""
        if self._lease is not None:
            with self._locked() as lease:
                lease.close()
                self._lease = None

    def _verify(self, version: str) -> list[FileEntry] | None:
        """The files of a version; None if they are not what they were."""
        folder = self._root / "versions" / version
        try:
            entries = [FileEntry(**entry) for entry in json.loads((folder / _ENTRIES).read_bytes())]
        except (OSError, ValueError, TypeError):
            return None
        if _version_of(folder_digest(entries)) != version:
            return None
        if version not in self._verified:
            if not has_files(folder / FOLDER, entries):
                return None
            self._verified.add(version)
        return entries

    def _make_room(self, incoming: int) -> None:
        with self._locked() as lease:
            needed = frozenset().union(*read_leases(self._root / "leases").values())
            versions = sorted((folder.stat().st_mtime_ns, folder) for folder in (self._root / "versions").iterdir())
            sizes = {folder: _bytes_of(folder) for _, folder in versions}
            excess = sum(sizes.values()) + incoming - self._limit
            for _, folder in versions:
                if excess <= 0:
                    break
                if folder.name not in needed:
                    self._discard(folder, lease)
                    excess -= sizes[folder]
            self.is_crowded = excess > 0

    def _discard(self, folder: Path, lease: Lease) -> None:
        """Removes a version. It is renamed first, so that nobody ever sees a part of it."""
        self._verified.discard(folder.name)
        away = self._root / "incoming" / f"{lease.id}.{uuid.uuid4().hex}"
        folder.rename(away)
        shutil.rmtree(away, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[Lease]:
        """Keeps threads and processes from each other for the moment in which names change. Also gives the lease of this process."""
        with self._mutex:
            if self._lease is None:
                for name in ("versions", "incoming", "leases"):
                    (self._root / name).mkdir(parents=True, exist_ok=True)
            with (self._root / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if self._lease is None:
                    self._lease = Lease(self._root / "leases")
                    self._remove_leftovers()
                yield self._lease

    def _remove_leftovers(self) -> None:
        living = read_leases(self._root / "leases")
        for path in (self._root / "incoming").iterdir():
            if path.name.split(".")[0] in living:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _version_of(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write_durably(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
