"""Distance between two versions of a base."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import torch
from safetensors.torch import load_file


def describe_drift(old: Path, new: Path, rank: int = 8) -> str:
    """Relative Frobenius drift by module type, and the share of it that `rank` directions hold.

    Drift is the norm of new - old over the norm of old; the share is the squared norm of the
    best rank-`rank` approximation of a matrix's difference over the squared norm of the difference.
    """
    before, after = load_file(old / "model.safetensors"), load_file(new / "model.safetensors")
    changed, norm, captured = defaultdict(float), defaultdict(float), defaultdict(float)
    for name, tensor in before.items():
        difference = (after[name].float() - tensor.float()).double()
        kind = name.removesuffix(".weight").rpartition(".")[2]
        for group in (kind, "all"):
            changed[group] += difference.square().sum().item()
            norm[group] += tensor.double().square().sum().item()
        if difference.ndim == 2 and ".layers." in name:
            top = torch.linalg.svdvals(difference)[:rank].square().sum().item()
            captured[kind] += top
    lines = []
    for kind in sorted(changed, key=lambda group: (group != "all", group)):
        share = f"  rank {rank} holds {captured[kind] / changed[kind]:.0%}" if kind in captured else ""
        lines.append(f"{kind}: drift {(changed[kind] / norm[kind]) ** 0.5:.1%}{share}")
    return "\n".join(lines)
