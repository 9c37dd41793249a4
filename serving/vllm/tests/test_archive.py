import io
import tarfile
from pathlib import Path

import pytest
from service import Service, archive_of, files_of

from readapt_vllm.answer import parse_answer
from readapt_vllm.archive import unpack
from readapt_vllm.errors import Refused


def unpack_files(tmp_path: Path, files: dict[str, bytes], archive: bytes | None = None, base: str | None = None) -> set[str]:
    """Unpacks an archive as the version with these files, and returns the names of what is kept."""
    service = Service(versions={1: files})
    answer = service.answer(1) | ({} if base is None else {"base_model_fingerprint": base})
    path = tmp_path / "archive.tar"
    path.write_bytes(archive_of(files) if archive is None else archive)
    unpack(path, tmp_path / "folder", parse_answer(answer))
    return {each.name for each in (tmp_path / "folder").iterdir()}


def test_keeps_only_what_an_engine_reads(tmp_path: Path):
    kept = {"adapter_config.json", "adapter_model.safetensors", "readapt.json"}
    assert unpack_files(tmp_path, files_of() | {"README.md": b"# Support\n"}) == kept
    assert (tmp_path / "folder" / "adapter_model.safetensors").read_bytes() == b"weights"


def test_takes_an_adapter_of_another_tool(tmp_path: Path):
    assert "readapt.json" not in unpack_files(tmp_path, files_of(fingerprint=None))


@pytest.mark.parametrize("name", ["adapter_model.bin", "a/adapter_config.json", "../evil", "/etc/evil", "x.py"])
def test_refuses_other_files(tmp_path: Path, name: str):
    with pytest.raises(Refused, match="is not a file of an adapter"):
        unpack_files(tmp_path, files_of() | {name: b"x"})
    assert {path.name for path in tmp_path.rglob("*")} <= {"archive.tar", "folder", *files_of()}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_refuses_links_and_devices(tmp_path: Path, kind: bytes):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("support-1/adapter_config.json")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(Refused, match="is not a file of an adapter"):
        unpack_files(tmp_path, files_of(), buffer.getvalue())


def test_refuses_a_file_that_is_too_large(tmp_path: Path):
    with pytest.raises(Refused, match="1048577 bytes, expected at most 1048576"):
        unpack_files(tmp_path, files_of() | {"adapter_config.json": b" " * (2**20 + 1)})


def test_refuses_other_bytes_than_the_digest_tells_of(tmp_path: Path):
    with pytest.raises(Refused, match="have the digest sha256:.*, expected sha256:"):
        unpack_files(tmp_path, files_of(), archive_of(files_of(weights=b"Weights")))


def test_refuses_what_is_not_an_archive(tmp_path: Path):
    whole = archive_of(files_of(weights=b"w" * 4096))
    for broken in (b"", b"<html>", whole[:2000]):
        with pytest.raises(Refused):
            unpack_files(tmp_path, files_of(), broken)
        (tmp_path / "folder").rename(tmp_path / f"folder-{len(broken)}")


def test_refuses_an_archive_without_weights(tmp_path: Path):
    with pytest.raises(Refused, match="holds no adapter_model.safetensors"):
        unpack_files(tmp_path, {"adapter_config.json": b"{}"})


def test_refuses_an_adapter_for_another_base(tmp_path: Path):
    with pytest.raises(Refused, match=f"was made for the base {'ab' * 32}"):
        unpack_files(tmp_path, files_of(fingerprint="ab" * 32))


def test_refuses_a_manifest_that_tells_of_other_files(tmp_path: Path):
    with pytest.raises(Refused, match="adapter_model.safetensors of acme.support@1 is not the file that readapt.json tells of"):
        unpack_files(tmp_path, files_of() | {"adapter_model.safetensors": b"others"})


@pytest.mark.parametrize("config", [b"[]", b"{", b'{"peft_type": "IA3"}', b"\xff"])
def test_refuses_what_is_no_lora_adapter(tmp_path: Path, config: bytes):
    with pytest.raises(Refused, match="adapter_config.json"):
        unpack_files(tmp_path, files_of(fingerprint=None) | {"adapter_config.json": config})
