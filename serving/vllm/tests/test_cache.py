"""What is on the disk, with real folders and, where processes matter, real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from service import Service, archive_of, files_of

from readapt_vllm.answer import Answer, parse_answer
from readapt_vllm.cache import Cache

ROOM_FOR_TWO = 3500


class Versions:
    """Versions of about a kilobyte each, by number."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.service = folder, Service()

    def answer(self, number: int) -> Answer:
        self.service.versions[number] = files_of(weights=bytes([number]) * 1000)
        return parse_answer(self.service.answer(number))

    def add(self, cache: Cache, number: int) -> Path:
        answer = self.answer(number)
        archive = self.folder / f"{number}.tar"
        archive.write_bytes(archive_of(self.service.versions[number]))
        return cache.add(archive, answer)

    def kept(self, cache: Cache, numbers: range) -> list[int]:
        """Which versions are there. Looking holds nothing."""
        folder = self.folder / "cache" / "versions"
        return [number for number in numbers if (folder / self.answer(number).digest.removeprefix("sha256:")).exists()]


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path)


def test_removes_what_was_asked_for_longest_ago(versions: Versions, tmp_path: Path):
    cache = Cache(tmp_path / "cache", ROOM_FOR_TWO)
    for number in (1, 2):
        os.utime(versions.add(cache, number).parent, ns=(number, number))
    assert cache.hold(versions.answer(1)) is not None
    for number in (1, 2):
        cache.release(versions.answer(number).digest)
    versions.add(cache, 3)
    assert versions.kept(cache, range(1, 4)) == [1, 3]
    assert not cache.is_crowded


def test_never_removes_what_an_engine_holds(versions: Versions, tmp_path: Path):
    cache = Cache(tmp_path / "cache", ROOM_FOR_TWO)
    for number in (1, 2, 3):
        versions.add(cache, number)
    assert versions.kept(cache, range(1, 4)) == [1, 2, 3]
    assert cache.is_crowded


def test_never_removes_what_another_process_holds_while_it_lives(versions: Versions, tmp_path: Path):
    mine = Cache(tmp_path / "cache", ROOM_FOR_TWO)
    versions.add(mine, 1)
    versions.add(mine, 2)
    mine.release(versions.answer(1).digest)
    mine.release(versions.answer(2).digest)
    program = (
        "import pathlib, sys\n"
        "from readapt_vllm.cache import Cache\n"
        "from readapt_vllm.answer import Answer\n"
        "cache = Cache(pathlib.Path(sys.argv[1]), 1)\n"
        "print(cache.hold(eval(sys.argv[2])), flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "cache"), repr(versions.answer(1))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip().endswith("/adapter")
        versions.add(mine, 3)
        assert versions.kept(mine, range(1, 4)) == [1, 3]
        other.kill()
    mine.release(versions.answer(3).digest)
    os.utime(versions.add(mine, 4).parent)
    assert versions.kept(mine, range(1, 5)) == [3, 4]


def test_notices_a_byte_that_changed_on_the_disk(versions: Versions, tmp_path: Path):
    folder = versions.add(Cache(tmp_path / "cache", ROOM_FOR_TWO), 1)
    (folder / "adapter_model.safetensors").write_bytes(b"\x02" * 1000)
    later = Cache(tmp_path / "cache", ROOM_FOR_TWO)
    assert later.hold(versions.answer(1)) is None
    assert versions.kept(later, range(1, 2)) == []
    assert versions.add(later, 1).is_dir()


def test_removes_what_a_process_left_behind(versions: Versions, tmp_path: Path):
    gone, living = Cache(tmp_path / "cache", ROOM_FOR_TWO), Cache(tmp_path / "cache", ROOM_FOR_TWO)
    for cache in (gone, living):
        cache.new_path().write_bytes(b"half")
    gone.close()
    next_one = Cache(tmp_path / "cache", ROOM_FOR_TWO)
    next_one.new_path()
    assert len(list((tmp_path / "cache" / "incoming").iterdir())) == 1
    living.close()
