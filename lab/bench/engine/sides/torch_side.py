"""PyTorch's side of the engine benchmark: LoRA steps with transformers, PEFT and PyTorch.

Each line on stdin is a request, `{"method": "step", "params": {...}}`, and is answered by one line on stdout:
`{"result": ...}` or `{"error": "traceback"}`. The argument is the precision: f32, bf16 (weights of the base in
bfloat16; PEFT keeps the factors in float32) or autocast (weights in float32, products in bfloat16).
"""

import contextlib
import functools
import json
import platform
import resource
import sys
import time
import traceback
from typing import Any, TextIO

import peft
import torch
import transformers

IGNORED = -100
PAD = 0

# {"tokenIds": [tokens], "labelSpans": [[start, end], ...]}
Example = dict[str, list[Any]]


class Side:
    def __init__(self, precision: str) -> None:
        self.precision = precision

    def load(
        self, base: str, adapter: str, generation_adapter: str, threads: int, learning_rate: float
    ) -> dict[str, str]:
        torch.set_num_threads(threads)
        self.base = base
        self.generation_adapter = generation_adapter
        model = self.load_base()
        model.config.use_cache = False
        self.model = peft.PeftModel.from_pretrained(model, adapter, is_trainable=True).train()
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=learning_rate, weight_decay=0.01, fused=True)
        return {"precision": self.precision}

    def load_base(self) -> transformers.PreTrainedModel:
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        return transformers.AutoModelForCausalLM.from_pretrained(self.base, dtype=dtype, attn_implementation="sdpa")

    def step(self, examples: list[Example]) -> dict[str, float]:
        begun = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            batch = collate(examples)
            loss = self.model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        return {"loss": loss.item(), "tokens": count(batch), "seconds": time.perf_counter() - begun}

    @torch.inference_mode()
    def evaluate(self, examples: list[Example]) -> dict[str, float]:
        begun = time.perf_counter()
        with self.autocast():
            batch = collate(examples)
            loss = self.model(**batch).loss.item()
        return {"loss": loss, "tokens": count(batch), "seconds": time.perf_counter() - begun}

    @functools.cached_property
    def generator(self) -> torch.nn.Module:
        """Separate model with the adapter merged into the weights, which generates faster than both apart."""
        base = self.load_base()
        # Nothing of the base's own settings is used: no token ends a text, and none is made less probable.
        base.generation_config = transformers.GenerationConfig(do_sample=False, use_cache=True, pad_token_id=PAD)
        return peft.PeftModel.from_pretrained(base, self.generation_adapter).merge_and_unload().eval()

    def generate(self, prompts: list[list[int]], new_tokens: int) -> dict[str, object]:
        generator = self.generator
        begun = time.perf_counter()
        with torch.inference_mode(), self.autocast():
            batch = pad_left(prompts)
            output = generator.generate(**batch, min_new_tokens=new_tokens, max_new_tokens=new_tokens)
            token_ids = output[:, batch["input_ids"].shape[1] :].tolist()
        seconds = time.perf_counter() - begun
        return {"tokenIds": token_ids, "tokens": sum(map(len, token_ids)), "seconds": seconds}

    def peak_memory(self) -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def versions(self) -> dict[str, str]:
        found = {"torch": torch, "transformers": transformers, "peft": peft}
        return {"python": platform.python_version()} | {name: str(module.__version__) for name, module in found.items()}

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16) if self.precision == "autocast" else contextlib.nullcontext()


def collate(examples: list[Example]) -> dict[str, torch.Tensor]:
    """Pads on the right to the longest row, as transformers' data collators do."""
    sequences = [example["tokenIds"] for example in examples]
    shape = (len(examples), max(map(len, sequences)))
    input_ids = torch.full(shape, PAD)
    attention_mask = torch.zeros_like(input_ids)
    labels = torch.full_like(input_ids, IGNORED)
    for row, (example, sequence) in enumerate(zip(examples, sequences, strict=True)):
        input_ids[row, : len(sequence)] = torch.tensor(sequence)
        attention_mask[row, : len(sequence)] = 1
        for start, end in example["labelSpans"]:
            labels[row, start:end] = input_ids[row, start:end]
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}


def pad_left(prompts: list[list[int]]) -> dict[str, torch.Tensor]:
    """Pads on the left to the longest prompt, so that all texts go on at the same position."""
    input_ids = torch.full((len(prompts), max(map(len, prompts))), PAD)
    attention_mask = torch.zeros_like(input_ids)
    for row, prompt in enumerate(prompts):
        input_ids[row, -len(prompt) :] = torch.tensor(prompt)
        attention_mask[row, -len(prompt) :] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}


def count(batch: dict[str, torch.Tensor]) -> int:
    """Counts the tokens from which a token is predicted: all but the last of each row, and no padding."""
    return int(batch["attention_mask"].sum()) - len(batch["attention_mask"])


def answer(side: Side, line: str) -> dict[str, object]:
    try:
        request: dict[str, Any] = json.loads(line)
        if request["method"] not in ("load", "step", "evaluate", "generate", "peak_memory", "versions"):
            raise ValueError(f"this side has no method {request['method']!r}")
        return {"result": getattr(side, request["method"])(**request["params"])}
    except Exception:  # The process that asked reports the error.
        return {"error": traceback.format_exc()}


def main(requests: TextIO, answers: TextIO, precision: str) -> None:
    side = Side(precision)
    for line in requests:
        answers.write(json.dumps(answer(side, line)) + "\n")
        answers.flush()


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr
    main(sys.stdin, answers, sys.argv[1])
