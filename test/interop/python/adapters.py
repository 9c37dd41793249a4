"""Whether PEFT takes an adapter folder as one of its own."""

import warnings
from pathlib import Path
from typing import TypedDict

import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file

from models import load_model

DEPRECATIONS = (DeprecationWarning, FutureWarning)


class LoadSpec(TypedDict):
    base: str
    adapter: str


class Loaded(TypedDict):
    # What was said while loading, but for deprecations, which the libraries tell each other.
    warnings: list[str]
    # Tensors that PEFT's model has and the file has not, and the other way round.
    missing: list[str]
    unexpected: list[str]
    # Tensors of the file that PEFT holds with other values.
    changed: list[str]


def load_strictly(spec: LoadSpec) -> Loaded:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = load_model(spec["base"], spec["adapter"])
    held = get_peft_model_state_dict(model)
    stored = load_file(Path(spec["adapter"]) / "adapter_model.safetensors")
    return {
        "warnings": [str(w.message) for w in caught if not issubclass(w.category, DEPRECATIONS)],
        "missing": sorted(held.keys() - stored.keys()),
        "unexpected": sorted(stored.keys() - held.keys()),
        "changed": sorted(key for key in held.keys() & stored.keys() if not torch.equal(held[key], stored[key])),
    }
