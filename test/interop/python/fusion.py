"""Fuses an adapter with the change of a base by dense matrices and their full SVD, in float64."""

from typing import TypedDict

import torch

from models import load_base, load_model


class FusionSpec(TypedDict):
    old_base: str
    new_base: str
    adapter: str
    alpha: float
    beta: float


class Fused(TypedDict):
    # The best approximation of the adapter's rank, [out, in], row-major.
    update: list[float]
    # Frobenius norm of the rest.
    truncation_error: float


def dense(spec: FusionSpec) -> dict[str, Fused]:
    """Returns alpha · (PEFT's merged update) + beta · (W_new - W_old) of each module, truncated to the rank."""
    adapted = load_model(spec["old_base"], spec["adapter"])
    old = dict(load_base(spec["old_base"]).named_modules())
    new = dict(load_base(spec["new_base"]).named_modules())
    result: dict[str, Fused] = {}
    for path, layer in adapted.named_modules():
        if not hasattr(layer, "lora_A"):
            continue
        name = path.removeprefix("base_model.model.")
        a, b = layer.lora_A["default"].weight.double(), layer.lora_B["default"].weight.double()
        change = new[name].weight.double() - old[name].weight.double()
        target = spec["alpha"] * layer.scaling["default"] * (b @ a) + spec["beta"] * change
        result[name] = truncate(target, rank=a.shape[0])
    return result


def truncate(target: torch.Tensor, rank: int) -> Fused:
    u, s, vh = torch.linalg.svd(target.detach(), full_matrices=False)
    update = (u[:, :rank] * s[:rank]) @ vh[:rank]
    return {"update": update.flatten().tolist(), "truncation_error": s[rank:].norm().item()}
