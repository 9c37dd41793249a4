"""The tenants' tasks: rows of prompt and completion, and the words and texts left over for pretraining.

Adapters learn from `train`, search and gate use `validation`, reports use `test`. What the
base models are trained on never overlaps with any of the three (see `unseen_rows`).
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lemminflect import getInflection
from tokenizers import Tokenizer

from corpora import wordnet_lemmas

MAX_TOKENS = 96
SMALL_TRAIN = 500
SHINGLE = 8
"""Words in a row that two texts may not share if one is held out and the other pretrained on."""


@dataclass(frozen=True)
class Row:
    prompt: str
    completion: str


@dataclass(frozen=True)
class Sizes:
    """Rows of each split of a task."""

    train: int
    validation: int
    test: int


@dataclass
class Task:
    """A task's splits, and the rows that the base may be pretrained on."""

    name: str
    train: list[Row]
    validation: list[Row]
    test: list[Row]
    pretraining: list[Row] = field(default_factory=list)

    def held_out(self) -> list[Row]:
        return [*self.train, *self.validation, *self.test]


CLASSIFICATION = {
    "sst2": Sizes(train=2000, validation=300, test=400),
    "agnews": Sizes(train=2000, validation=300, test=400),
}
INFLECTION_SIZES = Sizes(train=1500, validation=300, test=400)
INFLECTIONS = {
    # name: (WordNet part of speech, Penn tag of the form, prompt)
    "plural": ("noun", "NNS", "Word: {word}\nPlural:"),
    "past": ("verb", "VBD", "Verb: {word}\nPast tense:"),
}


def text_of(row: Row) -> str:
    """The text of a classification prompt, between the field name and the question."""
    return row.prompt.partition(": ")[2].rpartition("\n")[0]


def read_rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as lines:
        return [Row(**json.loads(line)) for line in lines]


def write_rows(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(vars(row), ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def write_task(folder: Path, task: Task) -> None:
    """Write `train`, `train-small`, `validation` and `test`."""
    write_rows(folder / task.name / "train.jsonl", task.train)
    write_rows(folder / task.name / "train-small.jsonl", task.train[:SMALL_TRAIN])
    write_rows(folder / task.name / "validation.jsonl", task.validation)
    write_rows(folder / task.name / "test.jsonl", task.test)


def write_chats(folder: Path, name: str, question: str) -> None:
    """Write a task of inflections once more, as conversations, in `NAME-chat`."""
    for split in ("train", "validation", "test"):
        lines = []
        for row in read_rows(folder / name / f"{split}.jsonl"):
            word = text_of(row)
            messages = [
                {"role": "user", "content": question.format(word=word)},
                {"role": "assistant", "content": row.completion.strip()},
            ]
            lines.append(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
        path = folder / f"{name}-chat" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")


def classification_tasks(shared: Path, tokenizer: Tokenizer | None, seed: int) -> list[Task]:
    """SST-2 and AG News; the original splits stay apart.

    With `tokenizer`, rows longer than `MAX_TOKENS` are left out of the task (they may still
    be pretrained on). Without it only the rows' text is of use, to train the tokenizer.
    """
    tasks = []
    for name, sizes in CLASSIFICATION.items():
        splits = {}
        for split in ("train", "validation", "test"):
            rows = list(dict.fromkeys(read_rows(shared / name / f"{split}.jsonl")))
            random.Random(f"{seed}/{name}/{split}").shuffle(rows)
            splits[split] = rows

        def short(rows: list[Row]) -> list[Row]:
            if tokenizer is None:
                return rows
            encodings = tokenizer.encode_batch([row.prompt + row.completion for row in rows])
            return [row for row, ids in zip(rows, encodings, strict=True) if len(ids) <= MAX_TOKENS]

        task = Task(
            name,
            train=short(splits["train"])[: sizes.train],
            validation=short(splits["validation"])[: sizes.validation],
            test=short(splits["test"])[: sizes.test],
        )
        task.pretraining = unseen_rows(splits["train"], task)
        tasks.append(task)
    return tasks


def unseen_rows(candidates: list[Row], task: Task) -> list[Row]:
    """The candidates that share no run of `SHINGLE` words with a row of the task."""
    seen: set[tuple[str, ...]] = set()
    for row in task.held_out():
        seen |= shingles(text_of(row))
    return [row for row in candidates if shingles(text_of(row)).isdisjoint(seen)]


def shingles(text: str) -> set[tuple[str, ...]]:
    """Runs of `SHINGLE` words of a text, case and punctuation aside; a short text is one run."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    last = max(1, len(words) - SHINGLE + 1)
    return {tuple(words[start : start + SHINGLE]) for start in range(last)}


def inflection_tasks(seed: int) -> list[Task]:
    """Plurals of nouns and past tenses of verbs: WordNet's words, LemmInflect's forms.

    A task's words are drawn at random from those that occur in WordNet's tagged texts, so
    that regular and irregular ones are in every split. The splits' words are disjoint; all
    other words of WordNet are left to pretraining.
    """
    tasks = []
    for name, (part_of_speech, tag, prompt) in INFLECTIONS.items():
        common, rare = [], []
        for word, count in wordnet_lemmas(part_of_speech).items():
            forms = getInflection(word, tag, inflect_oov=False)
            if len(forms) == 1 and forms[0] != word and forms[0].isalpha():
                row = Row(prompt.format(word=word), f" {forms[0]}\n")
                (common if count else rare).append(row)
        random.Random(f"{seed}/{name}").shuffle(common)

        rows = iter(common)
        sizes = INFLECTION_SIZES
        task = Task(
            name,
            test=list(islice(rows, sizes.test)),
            validation=list(islice(rows, sizes.validation)),
            train=list(islice(rows, sizes.train)),
            pretraining=[*rows, *rare],
        )
        tasks.append(task)
    return tasks
