"""The settings, all of which are environment variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .errors import SettingsError

_FINGERPRINT = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True)
class Settings:
    """How the resolver reaches Readapt, and what it keeps. Times are seconds."""

    url: str
    cache_dir: Path
    api_key: str | None = None
    api_key_file: Path | None = None
    cache_bytes: int = 20 * 2**30
    serving_name: str | None = None
    base_model_version: str | None = None
    base_fingerprint: str | None = None
    refresh_seconds: float = 15.0
    grace_seconds: float = 600.0
    timeout_seconds: float = 10.0
    download_seconds: float = 300.0

    def read_api_key(self) -> str | None:
        """The key. A file is read each time, so that a key can be replaced while vLLM runs.

        Raises:
            SettingsError: the file cannot be read, or is empty.
        """
        if self.api_key_file is None:
            return self.api_key
        try:
            key = self.api_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"READAPT_API_KEY_FILE: {self.api_key_file} cannot be read: {error}") from error
        if key == "":
            raise SettingsError(f"READAPT_API_KEY_FILE: {self.api_key_file} is empty, expected an API key")
        return key


def read_settings(environment: Mapping[str, str]) -> Settings | None:
    """The settings, or None where READAPT_URL is not set: then there is nothing to do.

    Raises:
        SettingsError: a variable has a value that it cannot have.
    """
    values = {name: value.strip() for name, value in environment.items() if value.strip() != ""}
    url = values.get("READAPT_URL")
    if url is None:
        return None
    if "READAPT_API_KEY" in values and "READAPT_API_KEY_FILE" in values:
        raise SettingsError("READAPT_API_KEY and READAPT_API_KEY_FILE are both set: remove one of them")
    key_file = values.get("READAPT_API_KEY_FILE")
    return Settings(
        url=_service(url),
        cache_dir=Path(values.get("READAPT_CACHE_DIR") or _default_cache(values)).expanduser().absolute(),
        api_key=values.get("READAPT_API_KEY"),
        api_key_file=None if key_file is None else Path(key_file),
        cache_bytes=int(_number(values, "READAPT_CACHE_BYTES", Settings.cache_bytes, least=1)),
        serving_name=values.get("READAPT_SERVING_NAME"),
        base_model_version=values.get("READAPT_BASE_MODEL_VERSION"),
        base_fingerprint=_fingerprint(values.get("READAPT_BASE_FINGERPRINT")),
        refresh_seconds=_number(values, "READAPT_REFRESH_SECONDS", Settings.refresh_seconds, least=0.1),
        grace_seconds=_number(values, "READAPT_GRACE_SECONDS", Settings.grace_seconds, least=0),
        timeout_seconds=_number(values, "READAPT_TIMEOUT_SECONDS", Settings.timeout_seconds, least=0.1),
        download_seconds=_number(values, "READAPT_DOWNLOAD_SECONDS", Settings.download_seconds, least=0.1),
    )


def _default_cache(values: Mapping[str, str]) -> str:
    return f"{values.get('XDG_CACHE_HOME', '~/.cache')}/readapt-vllm"


def _service(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise SettingsError(f"READAPT_URL: {url!r} is not an address of the service such as https://readapt.example")
    return url.rstrip("/")


def _fingerprint(text: str | None) -> str | None:
    if text is None:
        return None
    match = _FINGERPRINT.fullmatch(text)
    if match is None:
        raise SettingsError(
            f"READAPT_BASE_FINGERPRINT: {text!r} is not a fingerprint: `readapt inspect MODEL` prints the model's, 64 hexadecimal digits"
        )
    return match[1]


def _number(values: Mapping[str, str], name: str, default: float, least: float) -> float:
    text = values.get(name)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number < float("inf"):
        raise SettingsError(f"{name}: {text!r} is not a number of at least {least}")
    return number
