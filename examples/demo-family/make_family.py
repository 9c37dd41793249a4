#!/usr/bin/env python3
"""Make the demo family: tokenizer, v1, v2 and the tenants' data.

Stages, in order: `data` (tokenizer and rows), `v1` (pretraining), `v2` (continued training
on technical prose). `all` runs them one after the other. README.md names the packages.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer

import language_model as lm
from corpora import austen_paragraphs, technical_paragraphs, wordnet_entries
from drift import describe_drift
from pretraining_text import pretraining_documents
from tasks import Task, classification_tasks, inflection_tasks, text_of, write_chats, write_task

V1_SETTINGS = {"batch": 64, "rate": 3e-3, "final_rate": 1e-4, "weight_decay": 0.02, "muon": True, "embeddings": True}
V1_PHASES = (
    lm.Schedule(steps=400, warmup=80, cosine_steps=1300, **V1_SETTINGS),  # high rate
    lm.Schedule(steps=480, warmup=20, **V1_SETTINGS),  # down to the final rate
)
V2 = lm.Schedule(
    steps=30, batch=32, rate=1e-3, warmup=5, final_rate=2e-4, weight_decay=0.0, muon=False, embeddings=False
)
TECHNICAL_HELD_OUT = 0.05


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    stages = {"data": make_data, "v1": make_v1, "v2": make_v2}
    for name in stages if options.stage == "all" else [options.stage]:
        print(f"== {name}", flush=True)
        stages[name](options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", nargs="?", default="all", choices=["all", "data", "v1", "v2"])
    parser.add_argument("--shared", type=Path, required=True, help="folder with sst2/ and agnews/ (JSONL splits)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write (default: this one)")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--threads", type=int, default=2, help="PyTorch threads (default: 2)")
    parser.add_argument(
        "--v1-phase", type=int, choices=[1, 2], default=1, help="phase of v1 to begin with (default: 1)"
    )
    parser.add_argument(
        "--no-compile", action="store_true", help="train without torch.compile: slower, no C++ compiler"
    )
    return parser.parse_args()


def make_data(options: argparse.Namespace) -> None:
    """Train the tokenizer on all text but the held-out rows, then write the rows that fit."""
    texts = [
        text_of(row) for task in classification_tasks(options.shared, None, options.seed) for row in task.pretraining
    ]
    texts += wordnet_entries() + austen_paragraphs() + technical_paragraphs()
    tokenizer = lm.train_tokenizer(texts)
    for version in ("v1", "v2"):
        (options.out / version).mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(options.out / version / "tokenizer.json"))
    for task in all_tasks(options, tokenizer).values():
        write_task(options.out / "data", task)
        print(f"{task.name}: {len(task.train)} train, {len(task.validation)} validation, {len(task.test)} test")
    write_chats(options.out / "data", "past", "What is the past tense of {word}?")


def make_v1(options: argparse.Namespace) -> None:
    tokenizer = read_tokenizer(options)
    tasks = all_tasks(options, tokenizer)
    sources = pretraining_documents(tasks, options.seed)
    for name, documents in sources.items():
        tokens = sum(len(encoding) + 1 for encoding in tokenizer.encode_batch(documents))
        print(f"{name}: {len(documents):,} documents, {tokens:,} tokens")
    documents = [document for part in sources.values() for document in part]
    random.Random(f"{options.seed}/v1").shuffle(documents)

    rows, general = lm.pack(tokenizer, documents), general_rows(tokenizer, tasks)

    def checkpoint(step: int) -> None:
        print(f"step {step}: loss on held-out general text {lm.held_out_loss(model, general):.3f}", flush=True)
        lm.save(options.out / "v1", model, tokenizer)

    for number, schedule in enumerate(V1_PHASES[options.v1_phase - 1 :], options.v1_phase):
        print(f"phase {number}", flush=True)
        model = lm.new_model(options.seed) if number == 1 else lm.load(options.out / "v1")
        seed = options.seed + number - 1
        lm.train(model, rows, schedule, seed=seed, compiled=not options.no_compile, checkpoint=checkpoint)


def make_v2(options: argparse.Namespace) -> None:
    tokenizer = read_tokenizer(options)
    tasks = all_tasks(options, tokenizer)
    paragraphs = technical_paragraphs()
    random.Random(f"{options.seed}/v2").shuffle(paragraphs)
    held_out = round(TECHNICAL_HELD_OUT * len(paragraphs))
    own, general = lm.pack(tokenizer, paragraphs[:held_out]), general_rows(tokenizer, tasks)

    model = lm.load(options.out / "v1")
    before = lm.held_out_loss(model, own), lm.held_out_loss(model, general)
    rows = lm.pack(tokenizer, paragraphs[held_out:])
    lm.train(model, rows, V2, seed=options.seed, compiled=not options.no_compile)
    lm.save(options.out / "v2", model, tokenizer)
    model = lm.load(options.out / "v2")
    after = lm.held_out_loss(model, own), lm.held_out_loss(model, general)
    print(
        f"loss on held-out technical text {before[0]:.3f} -> {after[0]:.3f}, general {before[1]:.3f} -> {after[1]:.3f}"
    )
    print(describe_drift(options.out / "v1", options.out / "v2"))


def read_tokenizer(options: argparse.Namespace) -> Tokenizer:
    return Tokenizer.from_file(str(options.out / "v1" / "tokenizer.json"))


def all_tasks(options: argparse.Namespace, tokenizer: Tokenizer) -> dict[str, Task]:
    tasks = classification_tasks(options.shared, tokenizer, options.seed) + inflection_tasks(options.seed)
    return {task.name: task for task in tasks}


def general_rows(tokenizer: Tokenizer, tasks: dict[str, Task]) -> torch.Tensor:
    """Held-out text like v1's: the reviews and the news of the test splits."""
    return lm.pack(tokenizer, [text_of(row) for name in ("sst2", "agnews") for row in tasks[name].test])


if __name__ == "__main__":
    main()
