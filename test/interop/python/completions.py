"""Measures the loss of the completions in a JSONL file, without any of Readapt's code."""

import json
from pathlib import Path
from typing import TypedDict

import torch
from tokenizers import Tokenizer

from models import load_model


class LossSpec(TypedDict):
    base: str
    adapter: str | None
    data: str


class Loss(TypedDict):
    # Mean over all completion tokens, in nats.
    loss: float
    completion_tokens: int
    examples: int


@torch.no_grad()
def mean_loss(spec: LossSpec) -> Loss:
    model = load_model(spec["base"], spec["adapter"]).eval()
    tokenizer = Tokenizer.from_file(str(Path(spec["base"]) / "tokenizer.json"))
    total, tokens, examples = 0.0, 0, 0
    # Characters that JSON leaves as they are, such as U+2028, end a line for `splitlines`.
    for line in filter(None, Path(spec["data"]).read_text(encoding="utf-8").split("\n")):
        row = json.loads(line)
        prompt = tokenizer.encode(row["prompt"]).ids
        completion = tokenizer.encode(row["completion"], add_special_tokens=False).ids
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(completion), reduction="sum")
        total, tokens, examples = total + losses.item(), tokens + len(completion), examples + 1
    return {"loss": total / tokens, "completion_tokens": tokens, "examples": examples}
