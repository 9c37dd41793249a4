"""Trains and runs byte-level BPE tokenizers with the reference library."""

from typing import NotRequired, TypedDict

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

# The splitting rule of Llama 3's tokenizer.json.
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BOS = "<|begin_of_text|>"
EOS = "<|end_of_text|>"


class TrainSpec(TypedDict):
    # Path of the tokenizer.json to write.
    file: str
    style: str
    texts: list[str]
    vocab_size: int
    strings: NotRequired[list[str]]


class Encoded(TypedDict):
    # Ids with the post-processor's special tokens, and without them.
    with_special: list[list[int]]
    without_special: list[list[int]]
    # The text of the ids with special tokens.
    decoded: list[str]


def train(spec: TrainSpec) -> Encoded:
    """Trains on the texts, writes tokenizer.json, and encodes the strings."""
    tokenizer = untrained(spec["style"])
    trainer = trainers.BpeTrainer(
        vocab_size=spec["vocab_size"],
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(spec["texts"], trainer)
    bos = (BOS, tokenizer.token_to_id(BOS))
    if spec["style"] == "llama3":
        template = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[bos])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    tokenizer.save(spec["file"])
    strings = spec.get("strings", [])
    return {
        "with_special": [tokenizer.encode(text).ids for text in strings],
        "without_special": [tokenizer.encode(text, add_special_tokens=False).ids for text in strings],
        "decoded": [tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) for text in strings],
    }


def untrained(style: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.decoder = decoders.ByteLevel()
    match style:
        case "gpt2":
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        case "prefix-space":
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        case "digits":
            digits = pre_tokenizers.Digits(individual_digits=True)
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
            )
        case "llama3":
            tokenizer.normalizer = normalizers.NFC()
            split = pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated")
            byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
        case _:
            raise ValueError(f"style is {style!r}, expected gpt2, prefix-space, digits or llama3")
    return tokenizer
