"""Makes three later versions of SmolLM2-135M by full fine-tuning, to carry adapters over to.

mild and strong read technical prose (the docstrings of Python's standard library), strong at a higher rate and for
longer. helpful learns sentiment from reviews that no tenant of lab/experiments/main.yaml has, so that undoing it costs what
it brought. The embeddings stay as they are: no adapter could carry a change of theirs. Each version is a Hugging Face
folder with a model card (README.md) that says how it was made, what it lost and won, and how far it drifted.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import math
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # on a busy machine spinning threads are many times slower

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from docstrings import stdlib_docstrings

HERE = Path(__file__).parent
DATA = HERE.parent / "demo-family" / "data"
IGNORED = -100
HELD_OUT_ROWS = 64

Row = tuple[list[int], list[int]]  # input ids, labels


@dataclasses.dataclass(frozen=True)
class Version:
    """Training of a version; a step has `batch` rows of at most `length` tokens."""

    text: str
    steps: int
    rate: float
    batch: int = 8
    length: int = 128


VERSIONS = {
    "mild": Version(text="docstrings", steps=32, rate=2e-4),
    "strong": Version(text="docstrings", steps=64, rate=5e-4),
    "helpful": Version(text="reviews", steps=64, rate=1e-4, batch=32),
}


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    for name in options.versions:
        version = VERSIONS[name]
        if options.steps is not None:
            version = dataclasses.replace(version, steps=options.steps)
        make_version(name, version, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="the folder that make_model.py wrote")
    parser.add_argument("out", type=Path, help="folder to write mild/, strong/ and helpful/ to")
    parser.add_argument("--versions", nargs="+", choices=list(VERSIONS), default=list(VERSIONS))
    parser.add_argument("--steps", type=int, help="steps of every version, to try the script (default: its own)")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--threads", type=int, default=2, help="PyTorch threads (default: 2)")
    return parser.parse_args()


def make_version(name: str, version: Version, options: argparse.Namespace) -> None:
    """Train one version and write it with its model card."""
    begun = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(options.base)
    model = AutoModelForCausalLM.from_pretrained(options.base, dtype=torch.float32)
    model.get_input_embeddings().weight.requires_grad_(False)
    rows, held_out = split_rows(version, tokenizer, options.seed)
    before = {text: held_out_loss(model, some) for text, some in held_out.items()}
    print(f"{name}: {len(rows)} rows, {version.steps} steps; losses {shown(before)}", flush=True)
    losses = train(model, rows, version, options.seed)
    out = options.out / name
    # Rounds to the format in which the base is stored, so that the measurements hold for the written weights.
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    after = {text: held_out_loss(model, some) for text, some in held_out.items()}
    facts = {
        "version": dataclasses.asdict(version),
        "seed": options.seed,
        "threads": options.threads,
        "training_losses": losses,
    }
    facts |= {"held_out_before": before, "held_out_after": after, "seconds": round(time.monotonic() - begun)}
    write_card(out, name, version, facts, drift_of(options.base, out))
    print(f"{name}: losses {shown(after)}, {facts['seconds']} s, in {out}", flush=True)


def split_rows(
    version: Version, tokenizer: PreTrainedTokenizerBase, seed: int
) -> tuple[list[Row], dict[str, list[Row]]]:
    """Training rows in random order, and held-out rows of every kind of text."""
    prose = list(packed(stdlib_docstrings(), tokenizer, version.length))
    random.Random(f"{seed}/docstrings").shuffle(prose)
    held_out = {"technical prose": prose[:HELD_OUT_ROWS]}
    for task in ("sst2", "agnews"):
        held_out[f"{task} completions"] = task_rows(DATA / task / "test.jsonl", tokenizer, version.length)[
            :HELD_OUT_ROWS
        ]
    if version.text == "docstrings":
        return prose[HELD_OUT_ROWS:], held_out
    reviews = task_rows(HERE / "data" / "more-reviews.jsonl", tokenizer, version.length)
    random.Random(f"{seed}/reviews").shuffle(reviews)
    return reviews, held_out


def packed(texts: list[str], tokenizer: PreTrainedTokenizerBase, length: int) -> Iterator[Row]:
    """All texts one after the other, cut into rows of `length` tokens."""
    ids = [token for text in texts for token in [*tokenizer.encode(text), tokenizer.eos_token_id]]
    for start in range(0, len(ids) - length, length):
        row = ids[start : start + length]
        yield row, row


def task_rows(file: Path, tokenizer: PreTrainedTokenizerBase, length: int) -> list[Row]:
    """Rows of a task, with the loss on their completions."""
    rows = []
    # Characters that JSON leaves as they are, such as U+2028, end a line for `splitlines`.
    for line in filter(None, file.read_text(encoding="utf-8").split("\n")):
        row = json.loads(line)
        prompt = tokenizer.encode(row["prompt"])
        completion = tokenizer.encode(row["completion"], add_special_tokens=False)
        if len(prompt) + len(completion) <= length:
            rows.append((prompt + completion, [IGNORED] * len(prompt) + completion))
    return rows


def train(model: PreTrainedModel, rows: list[Row], version: Version, seed: int) -> list[float]:
    """AdamW with a tenth of the steps as warm-up and a cosine down to a tenth of the rate. Returns the losses."""
    torch.manual_seed(seed)
    model.train()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=version.rate, betas=(0.9, 0.95), weight_decay=0.0
    )
    losses = []
    for step in range(version.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, version)
        start = step * version.batch % max(1, len(rows) - version.batch)
        loss = batch_loss(model, rows[start : start + version.batch])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(round(loss.item(), 4))
        if (step + 1) % 8 == 0:
            print(f"  step {step + 1}: loss {sum(losses[-8:]) / 8:.3f}", flush=True)
    return losses


def rate_at(step: int, version: Version) -> float:
    warm_up = math.ceil(version.steps / 10)
    if step < warm_up:
        return version.rate * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, version.steps - warm_up)
    return version.rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def batch_loss(model: PreTrainedModel, rows: list[Row]) -> torch.Tensor:
    """Mean over the labelled tokens, in nats; rows are padded on the right, where a causal model does not look."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in rows])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=ids).logits
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
    )


@torch.no_grad()
def held_out_loss(model: PreTrainedModel, rows: list[Row]) -> float:
    """Nats a labelled token, mean over batches of eight rows."""
    model.eval()
    losses = [batch_loss(model, rows[start : start + 8]).item() for start in range(0, len(rows), 8)]
    return round(sum(losses) / len(losses), 4)


def drift_of(old: Path, new: Path) -> str:
    """Drift in the wording of examples/demo-family."""
    spec = importlib.util.spec_from_file_location("drift", HERE.parent / "demo-family" / "drift.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.describe_drift(old, new)


def write_card(out: Path, name: str, version: Version, facts: dict, drift: str) -> None:
    losses = [
        f"| {text} | {facts['held_out_before'][text]} | {after} |" for text, after in facts["held_out_after"].items()
    ]
    tenth = max(1, version.steps // 10)
    first, last = (
        sum(part) / len(part) for part in (facts["training_losses"][:tenth], facts["training_losses"][-tenth:])
    )
    card = [
        f"# SmolLM2-135M, {name}",
        "",
        f"A later version of the model that `make_model.py` wrote (SmolLM2-135M-Instruct, Apache-2.0), "
        f"made by `make_versions.py`: {version.steps} steps of {version.batch} rows of at most {version.length} "
        f"tokens of {version.text}, AdamW at {version.rate}, "
        f"cosine, embeddings frozen, bf16 autocast over f32 weights, seed {facts['seed']}, "
        f"{facts['threads']} threads, {facts['seconds']} s "
        f"(Python {sys.version.split()[0]}, torch {torch.__version__}, transformers {transformers.__version__}). "
        f"Only for experiments.",
        "",
        f"Training loss: {first:.3f} in the first {tenth} steps, {last:.3f} in the last.",
        "",
        f"| held out, {HELD_OUT_ROWS} rows, nats a token | before | after |",
        "|---|---|---|",
        *losses,
        "",
        "Drift from the base, ‖W₂ − W₁‖ / ‖W₁‖:",
        "",
        "```",
        drift,
        "```",
    ]
    (out / "README.md").write_text("\n".join(card) + "\n", encoding="utf-8")
    (out / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def shown(losses: dict[str, float]) -> str:
    return ", ".join(f"{text} {loss:.3f}" for text, loss in losses.items())


if __name__ == "__main__":
    main()
