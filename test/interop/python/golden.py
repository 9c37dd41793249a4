"""Writes the golden cases: `golden.py FOLDER` makes FOLDER/gemma2 and so on (test/fixtures/golden/README.md)."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import safetensors
import torch
import transformers
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from models import create_adapter, create_base, load_model
from passes import IGNORED, Example, collate, factors

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 44,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 61,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Settings that have an effect within a dozen positions.
GEMMA = SMALL | {"head_dim": 12, "query_pre_attn_scalar": 20, "sliding_window": 4, "final_logit_softcapping": 4.0}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 100.0,
    "partial_rotary_factor": 0.75,
    "original_max_position_embeddings": 7,
    "short_factor": [1.0, 1.1, 1.2],
    "long_factor": [1.5, 2.0, 3.0],
}
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]

# By name: the purpose of the case, the configuration of the base, and that of the adapter.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "gemma2": (
        "norms around both blocks, 1 + w; capped scores and logits; windows in every other layer",
        GEMMA | {"model_type": "gemma2", "attn_logit_softcapping": 3.0},
        {"target_modules": ALL},
    ),
    "gemma3": (
        "head norms; windows in two layers of three, which turn at a base of their own; the third scaled; DoRA",
        GEMMA
        | {
            "model_type": "gemma3_text",
            "num_hidden_layers": 3,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            },
        },
        {"target_modules": ALL, "use_dora": True},
    ),
    "phi3": (
        "fused projections; longrope, all rows beyond the original length, on three quarters of each head",
        SMALL
        | {
            "model_type": "phi3",
            "rope_parameters": LONGROPE,
            "original_max_position_embeddings": 7,
            "sliding_window": 7,
        },
        {"target_modules": FUSED},
    ),
    "olmo2": (
        "norms after both blocks only; queries and keys normalized over all heads together; not shipped",
        SMALL | {"model_type": "olmo2", "tie_word_embeddings": True},
        {"target_modules": ALL},
    ),
}

STEPS = 5
MERGED = "model.layers.1.mlp.down_proj"

Tensors = dict[str, torch.Tensor]


class Float64(TorchFunctionMode):
    """Gives float64 to code of a model that asks for float32."""

    def __torch_function__(
        self, func: Callable[..., Any], _types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        wide = {key: widened(value) for key, value in (kwargs or {}).items()}
        return (torch.Tensor.double if func is torch.Tensor.float else func)(*map(widened, args), **wide)


def widened(argument: object) -> object:
    return torch.float64 if argument is torch.float32 else argument


def main(folder: Path) -> None:
    for name, (about, config, lora) in CASES.items():
        write_case(folder / name, about, config, {"r": 2, "lora_alpha": 4} | lora)


def write_case(folder: Path, about: str, config: dict[str, Any], lora: dict[str, Any]) -> None:
    base, adapter = folder / "base", folder / "adapter"
    create_base({"folder": str(base), "config": config, "seed": 1, "dtype": "float32"})
    create_adapter({"base": str(base), "folder": str(adapter), "lora": lora, "seed": 1, "dtype": "float32"})
    for extra in [base / "generation_config.json", adapter / "README.md"]:
        extra.unlink(missing_ok=True)
    stored = adapter / "adapter_config.json"
    settings = json.loads(stored.read_text()) | {"base_model_name_or_path": "base"}
    settings["target_modules"].sort()
    stored.write_text(json.dumps(settings, indent=1) + "\n")

    results = measure(load_model(str(base), None), load_model(str(base), str(adapter), trainable=True))
    wide = [load_model(str(base), path, trainable=True).double() for path in (None, str(adapter))]
    with Float64():
        exact = measure(*wide)
    batch = collate(examples())
    save_file({key: value.contiguous() for key, value in (batch | results).items()}, folder / "golden.safetensors")
    document = {
        "case": folder.name,
        "versions": versions(),
        "about": about,
        "checks": {
            "float32_vs_float64_max_abs": gaps(results, exact, lambda a, b: (a - b).abs().max()),
            "float32_vs_float64_relative_l2": gaps(results, exact, lambda a, b: (a - b).norm() / b.norm()),
        },
    }
    (folder / "golden.json").write_text(json.dumps(document, indent=1) + "\n")


def measure(base: torch.nn.Module, adapted: torch.nn.Module) -> Tensors:
    batch = collate(examples())
    mask = batch["attention_mask"].unsqueeze(-1)
    tensors: Tensors = {}
    for which, model in [("base", base), ("adapter", adapted)]:
        with torch.no_grad():
            output = model(**batch)
        tensors |= {f"{which}.logits": output.logits * mask, f"{which}.loss": output.loss.reshape(1)}
    tensors["adapter.token_nll"] = token_nll(tensors["adapter.logits"], batch["labels"])
    merged = copy.deepcopy(adapted).merge_and_unload().get_submodule(MERGED).weight
    return tensors | {f"merged.{MERGED}.weight": merged.detach()} | train(adapted)


def token_nll(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Returns the loss of each position but the last; 0 if it has no label."""
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none"
    )


def train(model: torch.nn.Module) -> Tensors:
    batch = collate(examples())
    trained = factors(model)
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2, weight_decay=0.01)
    gradients: Tensors = {}
    losses: list[torch.Tensor] = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        gradients = gradients or {f"grad.{key}": value.grad.clone() for key, value in trained.items()}
        optimizer.step()
        losses.append(loss.detach())
    after = {f"train.{key}": value.detach() for key, value in trained.items()}
    with torch.no_grad():
        final = model(**batch).loss.reshape(1)
    return gradients | after | {"train.losses": torch.stack(losses), "train.final_loss": final}


def gaps(
    results: Tensors, exact: Tensors, gap: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> dict[str, float]:
    """Returns the largest gap to the exact values in each group of tensors."""
    largest: dict[str, float] = {}
    for key, value in results.items():
        name = group(key)
        largest[name] = max(largest.get(name, 0.0), gap(value.double(), exact[key]).item())
    return largest


def group(key: str) -> str:
    if "loss" in key or "nll" in key:
        return "loss"
    return "logits" if key.endswith("logits") else key.split(".")[0]


def examples() -> list[Example]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(61, (3, 13), generator=generator).tolist()
    lengths = [(9, 13), (5, 11), (3, 8)]
    return [
        {"promptIds": row[:start], "completionIds": row[start:end]}
        for row, (start, end) in zip(ids, lengths, strict=True)
    ]


def versions() -> dict[str, str]:
    of = {"torch": torch, "transformers": transformers, "peft": peft, "safetensors": safetensors}
    return {name: module.__version__.split("+")[0] for name, module in of.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
