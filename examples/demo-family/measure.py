#!/usr/bin/env python3
"""Measure the demo family with PyTorch and PEFT, independently of Readapt.

For every task: train a LoRA adapter on v1, score it on v1 and, unchanged (copy) or with
the base's change undone (revert), on v2; then train on v2, from scratch and from the copy,
and score the validation rows along the way.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

import language_model as lm
from tasks import CLASSIFICATION, INFLECTIONS, Row, read_rows

IGNORED = -100
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    for task in options.tasks:
        results[task] = measure_task(task, options)
        options.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=[*CLASSIFICATION, *INFLECTIONS])
    parser.add_argument("--family", type=Path, default=Path(__file__).parent)
    parser.add_argument("--adapters", type=Path, required=True, help="folder for the PEFT adapters trained on v1")
    parser.add_argument("--results", type=Path, required=True, help="JSON file to write or to add to")
    parser.add_argument("--reuse", action="store_true", help="take the v1 adapter from --adapters instead of training")
    parser.add_argument("--skip-v2-training", action="store_true", help="only score copy and revert on v2")
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument(
        "--warm-steps", type=int, default=60, help="steps of the training on v2 that starts from the copy"
    )
    parser.add_argument("--every", type=int, default=20, help="steps between two scores of a training on v2")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def measure_task(name: str, options: argparse.Namespace) -> dict[str, object]:
    tokenizer = Tokenizer.from_file(str(options.family / "v1" / "tokenizer.json"))
    rows = {
        split: read_rows(options.family / "data" / name / f"{split}.jsonl") for split in ("train", "validation", "test")
    }
    choices = sorted({row.completion for row in rows["train"]}) if name in CLASSIFICATION else None

    def score(model: torch.nn.Module, split: str) -> float:
        value = (
            accuracy(model, tokenizer, rows[split], choices) if choices else exact_match(model, tokenizer, rows[split])
        )
        return round(100 * value, 2)

    result: dict[str, object] = {}

    def note(label: str, model: torch.nn.Module) -> None:
        result[label] = {split: score(model, split) for split in ("validation", "test")}
        print(f"{name}  {label}: {result[label]}", flush=True)

    v1, v2 = (options.family / version for version in ("v1", "v2"))
    folder = options.adapters / name
    note("v1, no adapter", lm.load(v1))
    if options.reuse:
        model = PeftModel.from_pretrained(lm.load(v1), folder)
    else:
        model = fresh_adapter(lm.load(v1), options)
        train_adapter(model, tokenizer, rows["train"], options, options.steps)
        model.save_pretrained(folder)
    note("v1, adapter", model)
    note("v2, no adapter", lm.load(v2))
    note("v2, copy", PeftModel.from_pretrained(lm.load(v2), folder))
    note("v2, revert", reverted(v1, v2, folder))
    if options.skip_v2_training:
        return result

    trainings = (
        ("v2, scratch", fresh_adapter(lm.load(v2), options), options.steps),
        ("v2, copy + training", PeftModel.from_pretrained(lm.load(v2), folder, is_trainable=True), options.warm_steps),
    )
    for label, model, steps in trainings:
        curve: dict[int, float] = {}

        def watch(step: int, model: torch.nn.Module = model, curve: dict[int, float] = curve) -> None:
            if step % options.every == 0:
                curve[step] = score(model, "validation")

        train_adapter(model, tokenizer, rows["train"], options, steps, watch)
        note(label, model)
        result[f"{label}: validation by step"] = curve
        print(f"{name}  {label} by step: {curve}", flush=True)
    return result


def fresh_adapter(base: torch.nn.Module, options: argparse.Namespace) -> PeftModel:
    torch.manual_seed(options.seed)
    config = LoraConfig(r=options.rank, lora_alpha=2 * options.rank, target_modules=PROJECTIONS, task_type="CAUSAL_LM")
    return get_peft_model(base, config)


@torch.no_grad()
def reverted(v1: Path, v2: Path, folder: Path) -> PeftModel:
    """The adapter on v2 whose update is the old one minus the base's change, cut to its rank."""
    old = lm.load(v1).state_dict()
    model = PeftModel.from_pretrained(lm.load(v2), folder)
    for name, module in model.base_model.model.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
        scale = module.scaling["default"]
        change = module.base_layer.weight - old[f"{name}.weight"]
        left, values, right = torch.linalg.svd(scale * up @ down - change, full_matrices=False)
        rank = down.shape[0]
        root = values[:rank].sqrt()
        down.copy_(root[:, None] * right[:rank])
        up.copy_(left[:, :rank] * root / scale)
    return model.eval()


def train_adapter(
    model: PeftModel,
    tokenizer: Tokenizer,
    rows: list[Row],
    options: argparse.Namespace,
    steps: int,
    watch: Callable[[int], None] | None = None,
) -> None:
    """AdamW on the completion tokens, bf16 autocast, 10 warm-up steps, cosine to zero."""
    order = random.Random(options.seed)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=options.rate, weight_decay=0.0)
    queue: list[Row] = []
    for step in range(steps):
        if len(queue) < options.batch:
            queue += order.sample(rows, len(rows))
        batch, queue = queue[: options.batch], queue[options.batch :]
        warm = min(1.0, (step + 1) / 10)
        for group in optimizer.param_groups:
            group["lr"] = options.rate * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
        model.train()
        ids, labels = encode(tokenizer, batch)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids).logits[:, :-1].float()
        F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        model.eval()
        if watch:
            watch(step + 1)


def encode(tokenizer: Tokenizer, rows: list[Row]) -> tuple[Tensor, Tensor]:
    """Token ids, padded on the right, and labels, which are `IGNORED` outside the completions."""
    prompts = tokenizer.encode_batch([row.prompt for row in rows])
    completions = tokenizer.encode_batch([row.completion for row in rows], add_special_tokens=False)
    length = max(len(p) + len(c) for p, c in zip(prompts, completions, strict=True))
    ids = torch.full((len(rows), length), lm.PAD_ID)
    labels = torch.full((len(rows), length), IGNORED)
    for i, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        tokens = torch.tensor(prompt.ids + completion.ids)
        ids[i, : len(tokens)] = tokens
        labels[i, len(prompt) : len(tokens)] = tokens[len(prompt) :]
    return ids, labels


@torch.no_grad()
def accuracy(model: torch.nn.Module, tokenizer: Tokenizer, rows: list[Row], choices: list[str]) -> float:
    """Share of rows whose completion has the largest summed log-probability of the choices."""
    right = 0
    for start in range(0, len(rows), 64):
        part = rows[start : start + 64]
        scores = []
        for choice in choices:
            ids, labels = encode(tokenizer, [Row(row.prompt, choice) for row in part])
            logits = model(input_ids=ids).logits[:, :-1]
            losses = F.cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none")
            scores.append(-losses.sum(dim=1))
        best = torch.stack(scores).argmax(dim=0).tolist()
        right += sum(choices[i] == row.completion for i, row in zip(best, part, strict=True))
    return right / len(rows)


@torch.no_grad()
def exact_match(model: torch.nn.Module, tokenizer: Tokenizer, rows: list[Row]) -> float:
    """Share of rows whose completion's tokens are all greedy choices, as in greedy generation."""
    right = 0
    for start in range(0, len(rows), 64):
        ids, labels = encode(tokenizer, rows[start : start + 64])
        greedy, wanted = model(input_ids=ids).logits[:, :-1].argmax(dim=-1), labels[:, 1:]
        right += int(((greedy == wanted) | (wanted == IGNORED)).all(dim=1).sum())
    return right / len(rows)


if __name__ == "__main__":
    main()
