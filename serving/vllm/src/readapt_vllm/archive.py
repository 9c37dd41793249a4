"""Unpacks the archive of an adapter version, and checks that it is that version and nothing else."""

import hashlib
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .answer import Answer, parse_fingerprint
from .errors import Refused

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
MANIFEST = "readapt.json"

#: The files that are kept, with their limits in bytes. The service has the same limits.
_KEPT = {CONFIG: 2**20, WEIGHTS: 2 * 2**30, MANIFEST: 2**20}
#: The files that count for the digest and are of no use to an engine.
_LEFT_OUT = {"README.md": 2**20, "readapt-outcomes.json": 64 * 2**20}
_MAX_ENTRIES = 16
_CHUNK_BYTES = 2**20

#: More than an archive has beside its files: a header and padding for each entry, and the end.
ARCHIVE_OVERHEAD_BYTES = 64 * 2**10


@dataclass(frozen=True)
class FileEntry:
    """A file of a version, whether it was kept or not."""

    path: str
    bytes: int
    sha256: str


def limit_of(name: str) -> int | None:
    """The most bytes that a file of an adapter may have; None where an adapter has no such file."""
    return _KEPT.get(name, _LEFT_OUT.get(name))


def is_kept(name: str) -> bool:
    """Whether an engine needs the file."""
    return name in _KEPT


def folder_digest(entries: list[FileEntry]) -> str:
    """The digest of a version with these files, as the service computes it."""
    text = hashlib.sha256(b"readapt folder 1\n")
    for entry in sorted(entries, key=lambda each: each.path):
        line = json.dumps([entry.path, entry.bytes, entry.sha256], separators=(",", ":"), ensure_ascii=False)
        text.update(f"{line}\n".encode())
    return f"sha256:{text.hexdigest()}"


def unpack(archive: Path, folder: Path, answer: Answer, base: str | None = None) -> list[FileEntry]:
    """Unpacks an archive into a new folder, checks it, and leaves it safely on the disk. `base` is as in `check_folder`.

    Raises:
        Refused: it is not the version of the answer, or holds what an adapter cannot.
        OSError: the disk fails or is full.
    """
    folder.mkdir()
    try:
        with tarfile.open(archive, mode="r:") as tar:
            entries = _unpack_entries(tar, folder)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise Refused(f"the archive of {answer.name} cannot be read: {error}") from error
    digest = folder_digest(entries)
    if digest != answer.digest:
        raise Refused(f"the files of {answer.name} have the digest {digest}, expected {answer.digest}")
    check_folder(folder, entries, answer, base)
    sync_folder(folder)
    return entries


def _unpack_entries(tar: tarfile.TarFile, folder: Path) -> list[FileEntry]:
    entries: dict[str, FileEntry] = {}
    for count, member in enumerate(tar, start=1):
        if count > _MAX_ENTRIES:
            raise Refused(f"the archive holds more than {_MAX_ENTRIES} entries")
        if member.isdir():
            continue
        # The service puts the files into one folder, whose name is of no interest.
        name = member.name.split("/", 1)[-1]
        limit = limit_of(name)
        shown = repr(member.name[:200])
        if limit is None or not member.isreg():
            raise Refused(f"the archive holds {shown}, which is not a file of an adapter")
        if name in entries:
            raise Refused(f"the archive holds {shown} twice")
        if member.size > limit:
            raise Refused(f"the archive holds {shown} with {member.size} bytes, expected at most {limit}")
        content = tar.extractfile(member)
        assert content is not None  # Regular files have content.
        entries[name] = _copy(content, name, folder / name if name in _KEPT else None)
    missing = [name for name in (CONFIG, WEIGHTS) if name not in entries]
    if missing:
        raise Refused(f"the archive holds no {' and no '.join(missing)}")
    return list(entries.values())


def _copy(content: IO[bytes], name: str, to: Path | None) -> FileEntry:
    """Hashes a file of an archive, and writes it where it is kept."""
    sha256, size = hashlib.sha256(), 0
    with open(os.devnull if to is None else to, "wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            sha256.update(chunk)
            size += len(chunk)
            file.write(chunk)
        file.flush()
        if to is not None:
            os.fsync(file.fileno())
    return FileEntry(name, size, sha256.hexdigest())


def has_files(folder: Path, entries: list[FileEntry]) -> bool:
    """Whether the folder still holds, byte for byte, the files that were kept of these."""
    for entry in entries:
        if entry.path not in _KEPT:
            continue
        path = folder / entry.path
        try:
            if path.is_symlink() or path.stat().st_size != entry.bytes:
                return False
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return False
        if found != entry.sha256:
            return False
    return True


def check_files(folder: Path, entries: list[FileEntry], answer: Answer, base: str | None = None) -> None:
    """Checks files that were fetched one by one and have the bytes of the entries, and leaves them safely on the disk.

    `base` is as in `check_folder`.

    Raises:
        Refused: they are not the version of the answer, or not an adapter.
        OSError: the disk fails or is full.
    """
    names = {entry.path for entry in entries}
    missing = [name for name in (CONFIG, WEIGHTS) if name not in names]
    if missing or len(names) < len(entries) or folder_digest(entries) != answer.digest:
        raise Refused(f"what the service names for {answer.name} are not the files of that version")
    check_folder(folder, entries, answer, base)
    for entry in entries:
        if is_kept(entry.path):
            sync_file(folder / entry.path)
    sync_folder(folder)


def check_folder(folder: Path, entries: list[FileEntry], answer: Answer, base: str | None = None) -> None:
    """Checks what the files say of themselves: a LoRA adapter, unchanged since it was made, for the base of the answer.

    Where the answer does not know the fingerprint of its base, which nobody has computed yet, it has to be `base`, if that is given.

    Raises:
        Refused: they say otherwise.
    """
    config = _read_json(folder / CONFIG)
    if config.get("peft_type") != "LORA":
        raise Refused(f"{CONFIG} of {answer.name} has peft_type {str(config.get('peft_type'))[:100]!r}, expected 'LORA'")
    # An adapter that another tool has made has none.
    if not (folder / MANIFEST).exists():
        if base is not None and answer.base_fingerprint is None:
            raise Refused(f"nothing says that {answer.name} was made for the base {base} of READAPT_BASE_FINGERPRINT")
        return
    manifest = _read_json(folder / MANIFEST)
    made_for = parse_fingerprint(manifest.get("base_fingerprint"), f"base_fingerprint in {MANIFEST} of {answer.name}")
    if made_for is None:
        raise Refused(f"base_fingerprint is missing in {MANIFEST} of {answer.name}")
    expected = answer.base_fingerprint or base
    if expected is not None and made_for != expected:
        raise Refused(f"{answer.name} was made for the base {made_for}, and is to be served on {expected}")
    files = manifest.get("files")
    for entry in entries:
        said = files.get(entry.path) if isinstance(files, dict) else None
        if entry.path in (CONFIG, WEIGHTS) and (not isinstance(said, dict) or said.get("sha256") != entry.sha256):
            raise Refused(f"{entry.path} of {answer.name} is not the file that {MANIFEST} tells of")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path.name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused(f"{path.name} is not a JSON object")
    return value


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder outlive a power cut, as their contents do."""
    sync_file(folder)


def sync_file(path: Path) -> None:
    """Makes the content of a file outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
