"""Computes loss, logits, gradients and AdamW steps with transformers, PEFT and PyTorch."""

from typing import TypedDict

import torch
from safetensors.torch import save_file

from models import load_model

IGNORED = -100


class Example(TypedDict):
    promptIds: list[int]
    completionIds: list[int]


class MeasureSpec(TypedDict):
    base: str
    adapter: str | None
    examples: list[Example]


class Measured(TypedDict):
    # Mean over the completion tokens, in nats.
    loss: float
    # Logits, [completion tokens, vocabulary], row-major, example by example.
    logits: list[float]
    # Gradients by the tensor's key in the adapter's file; empty without an adapter.
    gradients: dict[str, list[float]]


class TrainSpec(TypedDict):
    base: str
    adapter: str
    batches: list[list[Example]]
    # One learning rate for each batch.
    learning_rates: list[float]
    weight_decay: float
    max_norm: float
    # File for the trained factors.
    out: str


class Batch(TypedDict):
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor


def measure(spec: MeasureSpec) -> Measured:
    # PEFT creates modules in training mode, in which dropout is active.
    model = load_model(spec["base"], spec["adapter"], trainable=True).eval()
    loss, logits = mean_loss(model, spec["examples"])
    gradients: dict[str, list[float]] = {}
    if spec["adapter"] is not None:
        loss.backward()
        gradients = {name: flat(value.grad) for name, value in factors(model).items() if value.grad is not None}
    return {"loss": loss.item(), "logits": flat(logits), "gradients": gradients}


def train(spec: TrainSpec) -> list[float]:
    """Trains the adapter, writes its factors to `out` and returns the loss of each step before its update."""
    model = load_model(spec["base"], spec["adapter"], trainable=True)
    trained = factors(model)
    optimizer = torch.optim.AdamW(trained.values(), weight_decay=spec["weight_decay"])
    losses: list[float] = []
    for examples, learning_rate in zip(spec["batches"], spec["learning_rates"], strict=True):
        optimizer.param_groups[0]["lr"] = learning_rate
        optimizer.zero_grad()
        loss, _ = mean_loss(model, examples)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), spec["max_norm"])
        optimizer.step()
        losses.append(loss.item())
    save_file({name: value.detach() for name, value in trained.items()}, spec["out"])
    return losses


def mean_loss(model: torch.nn.Module, examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns loss and logits of the completion tokens of all examples; logits are [completion tokens, vocabulary]."""
    losses: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    for group in groups(model, examples):
        forget_lengths(model)
        batch = collate(group)
        output = model(**batch)
        # Position t predicts token t + 1.
        labelled = batch["labels"][:, 1:] != IGNORED
        losses.append(output.loss * labelled.sum())
        logits.append(output.logits[:, :-1][labelled])
    every = torch.cat(logits)
    return torch.stack(losses).sum() / len(every), every


def groups(model: torch.nn.Module, examples: list[Example]) -> list[list[Example]]:
    """Groups rows that go through the model together. Rows go alone if their rotary angles depend on the longest."""
    alone = model.config.rope_parameters.get("rope_type") in ("dynamic", "longrope")
    return [[example] for example in examples] if alone else [examples]


def forget_lengths(model: torch.nn.Module) -> None:
    """Resets dynamic rotary scaling, which remembers the longest row that it has seen."""
    for module in model.modules():
        if getattr(module, "rope_type", None) == "dynamic":
            module.max_seq_len_cached = module.original_max_seq_len
            module.inv_freq = module.original_inv_freq.clone()


def collate(examples: list[Example]) -> Batch:
    """Pads whole sequences on the right. Only the completions are labels."""
    sequences = [example["promptIds"] + example["completionIds"] for example in examples]
    length = max(map(len, sequences))
    input_ids = torch.zeros(len(examples), length, dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    labels = torch.full_like(input_ids, IGNORED)
    for row, (example, sequence) in enumerate(zip(examples, sequences, strict=True)):
        ids = torch.tensor(sequence)
        input_ids[row, : len(sequence)] = ids
        attention_mask[row, : len(sequence)] = 1
        start = len(example["promptIds"])
        labels[row, start : len(sequence)] = ids[start:]
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}


def factors(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Returns the adapter's factors and magnitudes by their keys in an adapter file."""
    return {file_key(name): parameter for name, parameter in model.named_parameters() if "lora_" in name}


def file_key(name: str) -> str:
    return name.replace(".default.", ".").replace("lora_magnitude_vector.weight", "lora_magnitude_vector")


def flat(tensor: torch.Tensor) -> list[float]:
    values: list[float] = tensor.detach().flatten().tolist()
    return values
