"""Readers of the freely licensed text that the demo bases are trained on.

Every reader returns a list of documents: short, self-contained pieces of text
(a dictionary entry, a paragraph, a section). Nothing is downloaded: the text
comes from Debian packages, and a missing one is named in the error.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")
AUSTEN = Path("/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb")
DEBIAN_HANDBOOK = Path("/usr/share/doc/debian-handbook/html/en-US")
PYTHON_DOCS = Path("/usr/share/doc/python3.11/html")
PYTHON_SECTIONS = ("tutorial", "library", "reference", "howto", "using", "faq")


@dataclass(frozen=True)
class Synset:
    """One WordNet sense: its words, part of speech and gloss."""

    words: tuple[str, ...]
    part_of_speech: str
    gloss: str


def require(path: Path, package: str) -> Path:
    """Return `path`, or fail with the name of the Debian package that has it."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: apt-get install {package}")
    return path


def wordnet_synsets() -> list[Synset]:
    """Every synset of WordNet 3.0, in file order."""
    require(WORDNET, "wordnet-base")
    synsets: list[Synset] = []
    for part_of_speech in ("noun", "verb", "adj", "adv"):
        for line in (WORDNET / f"data.{part_of_speech}").read_text("utf-8").splitlines():
            if line.startswith(" "):  # the licence
                continue
            fields, _, gloss = line.partition(" | ")
            columns = fields.split(" ")
            count = int(columns[3], 16)
            words = [columns[4 + 2 * i] for i in range(count)]
            words = [re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in words]
            synsets.append(Synset(tuple(words), part_of_speech, gloss.strip()))
    return synsets


def wordnet_entries() -> list[str]:
    """WordNet as dictionary entries: `frail, weak: wanting in strength`."""
    return [f"{', '.join(s.words)}: {s.gloss}" for s in wordnet_synsets()]


def wordnet_lemmas(part_of_speech: str) -> dict[str, int]:
    """Lower-case single words, each with its count in WordNet's sense-tagged texts."""
    folder = require(WORDNET, "wordnet-base")
    counts: dict[str, int] = {}
    for line in (folder / f"index.{part_of_speech}").read_text().splitlines():
        lemma = line.partition(" ")[0]
        if re.fullmatch(r"[a-z]{3,12}", lemma):
            counts[lemma] = 0
    digit = {"noun": "1", "verb": "2"}[part_of_speech]
    for line in (folder / "cntlist.rev").read_text().splitlines():
        sense, _, count = line.split(" ")
        lemma, _, rest = sense.partition("%")
        if rest.startswith(digit) and lemma in counts:
            counts[lemma] += int(count)
    return counts


def austen_paragraphs() -> list[str]:
    """The paragraphs of Jane Austen's six novels."""
    data = require(AUSTEN, "r-cran-janeaustenr").read_bytes()
    paragraphs: list[str] = []
    for lines in _r_string_vectors(data):
        text = "\n".join(lines).replace("_", "")
        blocks = (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))
        paragraphs += [block for block in blocks if len(block) >= 40]
    return paragraphs


def _r_string_vectors(data: bytes) -> list[list[str]]:
    """The character vectors of an R lazy-load database.

    Each record is a big-endian length and a zlib stream that holds one object in R's XDR
    serialization, version 3: a 14-byte header, the native encoding, then the object.
    """
    vectors: list[list[str]] = []
    position = 0
    while position < len(data):
        inflater = zlib.decompressobj()
        record = inflater.decompress(data[position + 4 :])
        position = len(data) - len(inflater.unused_data)

        (encoding_length,) = struct.unpack_from(">i", record, 14)
        offset = 18 + encoding_length
        flags, count = struct.unpack_from(">ii", record, offset)
        if flags & 0xFF != 16:  # STRSXP
            continue
        offset += 8
        strings: list[str] = []
        for _ in range(count):
            _, length = struct.unpack_from(">ii", record, offset)
            offset += 8
            strings.append(record[offset : offset + max(length, 0)].decode("utf-8"))
            offset += max(length, 0)
        vectors.append(strings)
    return vectors


class _Paragraphs(HTMLParser):
    """Collects the running text and the code blocks of a documentation page."""

    BLOCKS = frozenset({"p", "pre", "dt", "h1", "h2", "h3", "li", "dd", "td", "div"})
    SKIPPED = frozenset({"script", "style", "head", "nav"})

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: list[str] = []
        self._buffer: list[str] = []
        self._skipping = 0
        self._verbatim = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.SKIPPED:
            self._skipping += 1
        elif tag in self.BLOCKS:
            self.flush()
            self._verbatim = tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in self.SKIPPED:
            self._skipping = max(0, self._skipping - 1)
        elif tag in self.BLOCKS:
            self.flush()
            self._verbatim = False

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._buffer.append(data)

    def flush(self) -> None:
        text = "".join(self._buffer).replace("¶", "")
        text = text.strip("\n") if self._verbatim else " ".join(text.split())
        if len(text) >= 60:
            self.paragraphs.append(text)
        self._buffer = []


def html_paragraphs(pages: list[Path]) -> list[str]:
    """The paragraphs of HTML pages, in order, each one once."""
    paragraphs: dict[str, None] = {}
    for page in pages:
        parser = _Paragraphs()
        parser.feed(page.read_text("utf-8", errors="replace"))
        parser.flush()
        paragraphs.update(dict.fromkeys(parser.paragraphs))
    return list(paragraphs)


def technical_paragraphs() -> list[str]:
    """The Python 3.11 documentation and the Debian Administrator's Handbook."""
    require(PYTHON_DOCS, "python3.11-doc")
    require(DEBIAN_HANDBOOK, "debian-handbook")
    pages = [page for name in PYTHON_SECTIONS for page in sorted((PYTHON_DOCS / name).rglob("*.html"))]
    pages += sorted(DEBIAN_HANDBOOK.glob("*.html"))
    return html_paragraphs(pages)
