"""What the service answers when it is asked which version of an adapter is to be served."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .errors import Refused
from .names import is_engine_name

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
# No backslash, no host of its own, no way up.
_PATH = re.compile(r"/v1/[A-Za-z0-9_./-]+")

#: More than the files of an adapter may have together.
MAX_BYTES = 3 * 2**30


@dataclass(frozen=True)
class Answer:
    """A version that is to be served on a base. `bytes` is the size of its files."""

    adapter_id: str
    name: str
    alias: str
    number: int
    digest: str
    bytes: int
    download: str
    base_model_version_id: str
    serving_name: str | None
    base_fingerprint: str | None
    #: Where the service says where each file is. An older service does not.
    files: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Changes:
    """What has changed on a base since a position: what is served now, and the adapters of which nothing is."""

    answers: tuple[Answer, ...]
    removed: frozenset[str]
    position: str


def parse_answer(body: Any) -> Answer:
    """Reads the body of an answer. Fields that are not needed here are not looked at.

    Raises:
        Refused: a field is missing or is not what it should be. The message names it.
    """
    if not isinstance(body, Mapping):
        raise Refused("the service's answer is not a JSON object")
    return Answer(
        adapter_id=_text(body, "adapter_id", bool),
        name=_text(body, "name", is_engine_name),
        alias=_text(body, "alias", is_engine_name),
        number=_count(body, "number", 2**31 - 1),
        digest=_text(body, "digest", lambda text: _DIGEST.fullmatch(text) is not None),
        bytes=_count(body, "bytes", MAX_BYTES),
        download=_text(body, "download", _is_path),
        files=None if body.get("files") is None else _text(body, "files", _is_path),
        base_model_version_id=_text(body, "base_model_version_id", lambda text: _ID.fullmatch(text) is not None),
        serving_name=None if body.get("serving_name") is None else _text(body, "serving_name", bool),
        base_fingerprint=parse_fingerprint(body.get("base_model_fingerprint"), "base_model_fingerprint of the answer"),
    )


def parse_changes(body: Any) -> Changes:
    """Reads a page of changes.

    Raises:
        Refused: it is not one.
    """
    if not isinstance(body, Mapping) or not isinstance(body.get("data"), list) or not isinstance(body.get("removed"), list):
        raise Refused("the service's list of changes is not one")
    return Changes(
        answers=tuple(parse_answer(each) for each in body["data"]),
        removed=frozenset(str(each) for each in body["removed"]),
        position=_text(body, "next_changed_after", bool),
    )


def parse_fingerprint(value: Any, what: str) -> str | None:
    """The 64 digits of a fingerprint, with or without `sha256:` before them; None where there is none.

    Raises:
        Refused: it is something else.
    """
    if value is None:
        return None
    match = _FINGERPRINT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Refused(f"{what} is {str(value)[:100]!r}, expected 64 hexadecimal digits")
    return match[1]


def _is_path(text: str) -> bool:
    return _PATH.fullmatch(text) is not None and "/.." not in text


def _text(body: Mapping[str, Any], field: str, is_valid: Any) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not is_valid(value):
        raise Refused(f"{field} of the service's answer is {str(value)[:100]!r}, which it cannot be")
    return value


def _count(body: Mapping[str, Any], field: str, most: int) -> int:
    value = body.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise Refused(f"{field} of the service's answer is {str(value)[:100]!r}, expected 1 to {most}")
    return value
