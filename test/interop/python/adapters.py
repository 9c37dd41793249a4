"""Checks whether PEFT loads an adapter folder without differences."""

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
    # Warnings while loading, except deprecations, which concern the libraries themselves.
    warnings: list[str]
    # Tensors that PEFT's model has and the file lacks, and the reverse.
    missing: list[str]
    unexpected: list[str]
    # Tensors whose values in PEFT's model differ from those in the file.
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
