"""Tells every process on a machine which versions one process has handed to its engine.

Engines read a folder again whenever they need its adapter and have dropped it from memory, and fail where it is gone. A process writes into
a file of its own what must stay, and holds a lock on that file for as long as it lives; where nobody holds the lock, nobody needs anything.
"""

import fcntl
import os
import uuid
from pathlib import Path
from typing import IO


class Lease:
    """The versions that this process needs. All calls are made under the cache's own lock."""

    def __init__(self, folder: Path) -> None:
        self.id = f"{os.getpid()}-{uuid.uuid4().hex}"
        self._versions: dict[str, None] = {}
        self._file: IO[str] = (folder / self.id).open("x", encoding="ascii")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def add(self, version: str) -> bool:
        """Returns whether it was not needed before."""
        if version in self._versions:
            return False
        self._versions[version] = None
        self._file.write(f"{version}\n")
        self._file.flush()
        return True

    def remove(self, version: str) -> None:
        if version in self._versions:
            del self._versions[version]
            self._file.seek(0)
            self._file.truncate()
            self._file.write("".join(f"{each}\n" for each in self._versions))
            self._file.flush()

    def close(self) -> None:
        """Gives everything back."""
        Path(self._file.name).unlink(missing_ok=True)
        self._file.close()


def read_leases(folder: Path) -> dict[str, frozenset[str]]:
    """What living processes need, by lease. The leases of processes that are gone are removed."""
    leases = {}
    for path in folder.iterdir():
        with path.open("r", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                leases[path.name] = frozenset(file.read().split())
            else:
                path.unlink()
    return leases
