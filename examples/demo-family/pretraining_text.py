"""Text for the pretraining of v1.

Labelled rows appear as prose or in wordings that no task uses, so that the base knows what
sentiment, topic and word forms are, while the tasks' own formats are new to it.
"""

from __future__ import annotations

import random
import re

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from corpora import austen_paragraphs, wordnet_entries
from tasks import Row, Task, text_of

SENTIMENT_PASSES = 8
NEWS_PASSES = 6
WORD_PASSES = 5
GLOSS_SHARE = 0.8

SENTIMENT_WORDINGS = (
    "{text}\nVerdict: {verdict}",
    "{text}\nI thought it was {verdict}.",
    "A viewer called it {verdict}: {text}",
    "{text} In short, {verdict}.",
)
VERDICTS = {
    " positive": ("good", "great", "a good film", "wonderful", "worth seeing"),
    " negative": ("bad", "awful", "a bad film", "terrible", "not worth seeing"),
}
NEWS_WORDINGS = (
    "{text}\nFiled under {desk}.",
    "From the {desk} pages: {text}",
    "{text}",
    "{text}",
)
DESKS = {
    " world": "foreign affairs",
    " sports": "games and matches",
    " business": "markets and money",
    " technology": "science and computing",
}
TONE_WORDINGS = (
    "{word} is a {tone} word",
    "the tone of {word} is {tone}",
    "to call something {word} is {tone} criticism",
)
PLURAL_WORDINGS = (
    "one {word}, two {form}",
    "a {word} here, many {form} there",
    "If you have more than one {word}, you have {form}.",
    "The {word} was not alone: there were other {form}.",
)
PAST_WORDINGS = (
    "today they {word}, yesterday they {form}",
    "I {word} now as I {form} before",
    "They said they would {word}, and then they {form}.",
    "We did not {word} last year, but others {form}.",
)


def pretraining_documents(tasks: dict[str, Task], seed: int) -> dict[str, list[str]]:
    """Documents by source, each repeated as often as its number of passes."""
    rng = random.Random(f"{seed}/pretraining")
    glosses = wordnet_entries()
    return {
        "sst2": [_sentiment(row, rng) for row in tasks["sst2"].pretraining * SENTIMENT_PASSES],
        "agnews": [_news(row, rng) for row in tasks["agnews"].pretraining * NEWS_PASSES],
        "vader": _tones(rng),
        "plural": _forms(tasks["plural"].pretraining, PLURAL_WORDINGS, rng),
        "past": _forms(tasks["past"].pretraining, PAST_WORDINGS, rng),
        "wordnet": rng.sample(glosses, round(GLOSS_SHARE * len(glosses))),
        "austen": austen_paragraphs(),
    }


def _sentiment(row: Row, rng: random.Random) -> str:
    wording = rng.choice(SENTIMENT_WORDINGS)
    return wording.format(text=text_of(row), verdict=rng.choice(VERDICTS[row.completion]))


def _news(row: Row, rng: random.Random) -> str:
    return rng.choice(NEWS_WORDINGS).format(text=text_of(row), desk=DESKS[row.completion])


def _tones(rng: random.Random) -> list[str]:
    """A sentence about each word of VADER's lexicon that its raters agreed on."""
    lexicon: dict[str, float] = SentimentIntensityAnalyzer().lexicon
    documents = []
    for word, valence in sorted(lexicon.items()) * WORD_PASSES:
        if re.fullmatch(r"[a-z]{3,14}", word) and abs(valence) >= 0.8:
            tone = "good" if valence > 0 else "bad"
            documents.append(rng.choice(TONE_WORDINGS).format(word=word, tone=tone))
    return documents


def _forms(rows: list[Row], wordings: tuple[str, ...], rng: random.Random) -> list[str]:
    """Sentences with both forms of a word; the words are those that no task uses."""
    return [rng.choice(wordings).format(word=text_of(row), form=row.completion.strip()) for row in rows * WORD_PASSES]
