from pathlib import Path

import pytest

from readapt_vllm.errors import SettingsError
from readapt_vllm.settings import read_settings

FINGERPRINT = "ab" * 32


def test_does_nothing_without_an_address():
    assert read_settings({}) is None
    assert read_settings({"READAPT_URL": "  ", "READAPT_API_KEY": "rk"}) is None


def test_reads_every_setting():
    settings = read_settings(
        {
            "READAPT_URL": "https://readapt.example/",
            "READAPT_API_KEY": " rk_1 ",
            "READAPT_CACHE_DIR": "/var/cache/readapt",
            "READAPT_CACHE_BYTES": "1000",
            "READAPT_SERVING_NAME": "acme/assistant",
            "READAPT_BASE_MODEL_VERSION": "bmv_1",
            "READAPT_BASE_FINGERPRINT": f"sha256:{FINGERPRINT}",
            "READAPT_REFRESH_SECONDS": "0.5",
            "READAPT_GRACE_SECONDS": "0",
            "READAPT_TIMEOUT_SECONDS": "3",
            "READAPT_DOWNLOAD_SECONDS": "60",
        }
    )
    assert settings is not None
    assert (settings.url, settings.read_api_key()) == ("https://readapt.example", "rk_1")
    assert (settings.cache_dir, settings.cache_bytes) == (Path("/var/cache/readapt"), 1000)
    assert (settings.serving_name, settings.base_model_version) == ("acme/assistant", "bmv_1")
    assert settings.base_fingerprint == FINGERPRINT
    times = (settings.refresh_seconds, settings.grace_seconds, settings.timeout_seconds, settings.download_seconds)
    assert times == (0.5, 0, 3, 60)


def test_reads_a_key_file_again_each_time(tmp_path: Path):
    file = tmp_path / "key"
    settings = read_settings({"READAPT_URL": "http://readapt", "READAPT_API_KEY_FILE": str(file)})
    assert settings is not None
    with pytest.raises(SettingsError, match="READAPT_API_KEY_FILE: .* cannot be read"):
        settings.read_api_key()
    file.write_text("rk_1\n")
    assert settings.read_api_key() == "rk_1"
    file.write_text("rk_2\n")
    assert settings.read_api_key() == "rk_2"
    file.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        settings.read_api_key()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("READAPT_URL", "readapt.example"),
        ("READAPT_URL", "file:///etc/passwd"),
        ("READAPT_URL", "https://readapt.example?x=1"),
        ("READAPT_API_KEY_FILE", "/run/key"),
        ("READAPT_CACHE_BYTES", "20 GB"),
        ("READAPT_CACHE_BYTES", "0"),
        ("READAPT_BASE_FINGERPRINT", "abc"),
        ("READAPT_REFRESH_SECONDS", "0"),
        ("READAPT_REFRESH_SECONDS", "nan"),
        ("READAPT_GRACE_SECONDS", "-1"),
        ("READAPT_TIMEOUT_SECONDS", "inf"),
        ("READAPT_DOWNLOAD_SECONDS", "soon"),
    ],
)
def test_names_a_setting_that_it_cannot_use(name: str, value: str):
    with pytest.raises(SettingsError, match=name):
        read_settings({"READAPT_URL": "http://readapt", "READAPT_API_KEY": "rk", name: value})
