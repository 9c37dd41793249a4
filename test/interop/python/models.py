"""Makes random models with transformers, and random adapters for them with PEFT."""

from typing import Any, NotRequired, TypedDict

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

torch.set_num_threads(1)


class BaseSpec(TypedDict):
    folder: str
    # The `model_type` and the keyword arguments of its configuration.
    config: dict[str, Any]
    seed: int
    dtype: str
    max_shard_size: NotRequired[str]
    # Folder of an earlier version. Every weight moves from there by `drift` of its own norm.
    moved_from: NotRequired[str]
    drift: NotRequired[float]


class AdapterSpec(TypedDict):
    base: str
    folder: str
    # The keyword arguments of LoraConfig.
    lora: dict[str, Any]
    seed: int
    dtype: str


def create_base(spec: BaseSpec) -> None:
    generator = torch.Generator().manual_seed(spec["seed"])
    moved_from = spec.get("moved_from")
    if moved_from is None:
        config = AutoConfig.for_model(**spec["config"])
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        randomize(model, generator)
    else:
        model = load_base(moved_from)
        move(model, spec.get("drift", 0.0), generator)
    model.to(getattr(torch, spec["dtype"]))
    model.save_pretrained(spec["folder"], max_shard_size=spec.get("max_shard_size", "1GB"))


def complete_config(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the configuration with the defaults of transformers for the fields that are left out."""
    complete: dict[str, Any] = AutoConfig.for_model(**config).to_dict()
    return complete


def create_adapter(spec: AdapterSpec) -> None:
    generator = torch.Generator().manual_seed(spec["seed"])
    model = get_peft_model(load_base(spec["base"]), LoraConfig(task_type="CAUSAL_LM", **spec["lora"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_magnitude" in name:
                parameter.mul_(1 + 0.2 * torch.randn(parameter.shape, generator=generator))
            elif "lora_" in name:
                # B is small compared with A, as in a trained adapter. A large B makes training chaotic: even
                # float32 and float64 runs of PyTorch itself then diverge within 20 steps.
                scale = 0.2 if "lora_B" in name else 1.0
                parameter.normal_(0, scale * parameter.shape[1] ** -0.5, generator=generator)
            if "lora_" in name:
                # PEFT keeps factors in memory in float32. Rounding them here makes the file hold the same values.
                parameter.copy_(parameter.to(getattr(torch, spec["dtype"])).float())
    model.to(getattr(torch, spec["dtype"])).save_pretrained(spec["folder"])


def load_base(folder: str) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    return model


def load_model(base: str, adapter: str | None, *, trainable: bool = False) -> torch.nn.Module:
    model = load_base(base)
    if adapter is None:
        return model
    adapted: torch.nn.Module = PeftModel.from_pretrained(model, adapter, is_trainable=trainable)
    return adapted


def randomize(model: PreTrainedModel, generator: torch.Generator) -> None:
    """Sets weights of unit gain and norms that differ from one, so that leaving any of them out changes the result."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                # New norms multiply by one: they are ones, or zeros if the weight is the difference from one.
                parameter.add_(torch.empty_like(parameter).uniform_(-0.5, 0.5, generator=generator))
            else:
                parameter.normal_(0, parameter.shape[-1] ** -0.5, generator=generator)


def move(model: PreTrainedModel, drift: float, generator: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            step = torch.randn(parameter.shape, generator=generator)
            parameter.add_(step * (drift * parameter.norm() / step.norm()))
