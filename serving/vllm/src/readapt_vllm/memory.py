"""Remembers on the disk what the service answered last, for the time when it does not answer."""

import hashlib
import json
import os
import uuid
from pathlib import Path

from .answer import Answer
from .client import Resolved


class Memory:
    """The last answers, one small file each. Its calls block: use it in a thread."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "answers"

    def find(self, key: str) -> Resolved | None:
        try:
            stored = json.loads(self._path(key).read_bytes())
            return Resolved(Answer(**stored["answer"]), stored["etag"]) if stored["key"] == key else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(self, key: str, resolved: Resolved) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(key)
        incoming = path.with_name(f"{path.name}.{os.getpid()}.{uuid.uuid4().hex}")
        incoming.write_text(json.dumps({"key": key, "etag": resolved.etag, "answer": resolved.answer.to_json()}), encoding="utf-8")
        incoming.replace(path)

    def forget(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()
