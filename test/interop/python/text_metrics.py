"""Writes the golden values of text metrics: `text_metrics.py FILE` (needs the package rouge-score).

ROUGE-L is that of Google's rouge-score with its default tokenizer, without stemming. F1 follows SQuAD 1.1's official
evaluate-v1.1.py: its normalization of answers, and the F1 of their words.
"""

import importlib.metadata
import json
import random
import re
import string
import sys
from collections import Counter
from pathlib import Path

from rouge_score import rouge_scorer

PAIRS = [
    ("the cat sat on the mat", "the cat sat on the mat"),
    ("The Cat, sat on   the mat!", "the cat sat on the mat."),
    ("a dog", "the dog"),
    ("", "something"),
    ("something", ""),
    ("", ""),
    ("...", "the"),
    ("the", "the"),
    ("a an the", "an"),
    ("police killed the gunman", "the gunman police killed"),
    ("police kill the gunman", "police killed the gunman"),
    ("x_y z", "x y_z"),
    ("it's 3.14 (about)", "its 314 about"),
    ("naïve café", "naive cafe"),
    ("théâtre à an-a", "the atre a"),
    ("aé the_end thé an1", "é end"),
    ("12:30 p.m. on May 5th, 1999", "5 May 1999 at 12:30"),
    ("你好 world", "你好 world"),
    ("İstanbul K Å", "i̇stanbul k å"),
    ("a\u00a0b\u2003c\u0085d\ufeffe\x1cf", "a b c d e f"),
    ("b c b c a b", "c b a b c"),
    ("repeat repeat repeat", "repeat"),
    ("\tfirst line\nsecond line\n", "first line second line"),
    ("$5.00 — “quoted” ‘text’", "5 00 quoted text"),
]
WORDS = ["the", "a", "An", "cat", "Cat.", "dog", "ran,", "runs", "it's", "42", "é", "x-y", "—", "end!"]


def normalize_answer(text: str) -> str:
    without_punctuation = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", without_punctuation).split())


def f1_score(prediction: str, ground_truth: str) -> float:
    found, expected = normalize_answer(prediction).split(), normalize_answer(ground_truth).split()
    same = sum((Counter(found) & Counter(expected)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(found), same / len(expected)
    return (2 * precision * recall) / (precision + recall)


def random_pairs(count: int) -> list[tuple[str, str]]:
    source = random.Random(1)

    def text() -> str:
        return " ".join(source.choices(WORDS, k=source.randint(0, 14)))

    return [(text(), text()) for _ in range(count)]


def main(file: str) -> None:
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    cases = [
        {
            "text": text,
            "reference": reference,
            "rouge_l": scorer.score(target=reference, prediction=text)["rougeL"].fmeasure,
            "token_f1": f1_score(text, reference),
        }
        for text, reference in PAIRS + random_pairs(60)
    ]
    document = {"made_with": {"rouge-score": importlib.metadata.version("rouge-score")}, "cases": cases}
    Path(file).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
