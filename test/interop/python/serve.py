"""Answers the interop suite's questions with PyTorch, transformers, PEFT and tokenizers.

Each line on stdin is a request, `{"method": "passes.measure", "params": {...}}`, and each line on stdout an answer,
`{"result": ...}` or `{"error": "traceback"}`. The first line on stdout is `{"missing": [...]}`, with the packages that
are not installed. The first method that needs a library imports it, and whatever libraries print goes to stderr.
"""

import importlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any, TextIO

PACKAGES = ("torch", "transformers", "peft", "safetensors", "tokenizers")
METHODS = (
    "models.complete_config",
    "models.create_base",
    "models.create_adapter",
    "passes.measure",
    "passes.train",
    "adapters.load_strictly",
    "byte_level_bpe.train",
    "fusion.dense",
    "completions.mean_loss",
    "generation.greedy",
    "rows.train",
    "rows.tokenize",
    "rows.chats",
)


def resolve(method: str) -> Callable[[Any], object]:
    if method not in METHODS:
        raise ValueError(f"method is {method!r}, expected one of {', '.join(METHODS)}")
    module, function = method.split(".")
    resolved: Callable[[Any], object] = getattr(importlib.import_module(module), function)
    return resolved


def answer(line: str) -> dict[str, object]:
    try:
        request = json.loads(line)
        return {"result": resolve(request["method"])(request["params"])}
    except Exception:  # Whatever went wrong belongs to the one who asked.
        return {"error": traceback.format_exc()}


def main(requests: TextIO, answers: TextIO) -> None:
    def send(message: dict[str, object]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    send({"missing": [name for name in PACKAGES if importlib.util.find_spec(name) is None]})
    for line in requests:
        send(answer(line))


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr
    main(sys.stdin, answers)
