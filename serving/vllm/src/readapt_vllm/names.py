"""The names by which engines ask for adapters: `<tenant>.<adapter>`, the alias, and `<tenant>.<adapter>@<number>`."""

import re

_MAX_CHARACTERS = 1024
_ENGINE_NAME = re.compile(r"[A-Za-z0-9_%-]+\.[A-Za-z0-9_%.-]+(?:@[1-9][0-9]{0,9})?", re.ASCII)


def is_engine_name(text: str) -> bool:
    """Whether Readapt may have written this name. Nothing else is asked for, so that it costs no request."""
    return len(text) <= _MAX_CHARACTERS and _ENGINE_NAME.fullmatch(text) is not None
