"""Checks whether PEFT loads an adapter folder without differences."""

import warnings
from pathlib import Path
from typing import TypedDict

import torch
from peft import AutoPeftModelForCausalLM, PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file

from models import load_model

DEPRECATIONS = (DeprecationWarning, FutureWarning)


class LoadSpec(TypedDict):
    # None lets PEFT find the base by the name in the adapter's configuration.
    base: str | None
    adapter: str


class Loaded(TypedDict):
    # Where the base came from.
    base: str
    # Warnings while loading, except deprecations, which concern the libraries themselves.
    warnings: list[str]
    # Tensors that PEFT's model has and the file lacks, and the reverse.
    missing: list[str]
    unexpected: list[str]
    # Tensors whose values in PEFT's model differ from those in the file.
    changed: list[str]


def load(spec: LoadSpec) -> PeftModel:
    base = spec["base"]
    model: PeftModel = (
        AutoPeftModelForCausalLM.from_pretrained(spec["adapter"])
        if base is None
        else load_model(base, spec["adapter"])
    )
    return model


def load_strictly(spec: LoadSpec) -> Loaded:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = load(spec)
    held = get_peft_model_state_dict(model)
    stored = load_file(Path(spec["adapter"]) / "adapter_model.safetensors")
    return {
        "base": model.get_base_model().config.name_or_path,
        "warnings": [str(w.message) for w in caught if not issubclass(w.category, DEPRECATIONS)],
        "missing": sorted(held.keys() - stored.keys()),
        "unexpected": sorted(stored.keys() - held.keys()),
        "changed": sorted(key for key in held.keys() & stored.keys() if not torch.equal(held[key], stored[key])),
    }
