"""Tokenizes rows and conversations as transformers does, with tokenizers of every supported family."""

import json
from pathlib import Path
from typing import TypedDict

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

# The splitting rule of Llama 3 and, but for the number of digits, of Qwen.
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIALS = ["<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>", "<|tool|>", "<|end|>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
BYTE_LEVEL = ("llama3", "qwen2")


class TrainSpec(TypedDict):
    folder: str
    style: str
    texts: list[str]
    vocab_size: int
    chat_template: str


class Row(TypedDict):
    prompt: str
    completion: str


class RowsSpec(TypedDict):
    folder: str
    rows: list[Row]


class TokenizedRow(TypedDict):
    ids: list[int]
    # Index of the first token that has text of the completion.
    label_start: int


class ChatSpec(TypedDict):
    folder: str
    chats: list[dict[str, object]]


class TokenizedChat(TypedDict):
    ids: list[int]
    # 1 for each token that the assistant says.
    mask: list[int]
    # The conversation without its last turn, with the generation prompt.
    prompt_ids: list[int]


def train(spec: TrainSpec) -> None:
    """Trains a tokenizer on the texts and writes it as a model folder has it."""
    style = spec["style"]
    tokenizer = untrained(style)
    byte_level = style in BYTE_LEVEL
    trainer = trainers.BpeTrainer(
        vocab_size=spec["vocab_size"],
        special_tokens=SPECIALS + ([] if byte_level else BYTES),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if byte_level else [],
        show_progress=False,
    )
    tokenizer.train_from_iterator(spec["texts"], trainer)
    document = json.loads(tokenizer.to_str())
    if not byte_level:
        # Bytes are ordinary tokens of the vocabulary, and merges were learnt within words.
        document["added_tokens"] = [token for token in document["added_tokens"] if token["content"] not in BYTES]
        document["pre_tokenizer"] = final_pre_tokenizer(style)
    folder = Path(spec["folder"])
    (folder / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    fast = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    fast.chat_template = spec["chat_template"]
    fast.save_pretrained(folder)


def untrained(style: str) -> Tokenizer:
    """The steps of a family; those with byte fallback are trained on single words."""
    byte_level = style in BYTE_LEVEL
    fallback = not byte_level
    unknown = "<unk>" if fallback else None
    tokenizer = Tokenizer(models.BPE(byte_fallback=fallback, fuse_unk=fallback, unk_token=unknown))
    bos = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    match style:
        case "llama3" | "qwen2":
            split = pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated")
            bytes_step = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_step])
            tokenizer.decoder = decoders.ByteLevel()
            level = processors.ByteLevel(trim_offsets=False)
            tokenizer.post_processor = processors.Sequence([level, bos]) if style == "llama3" else level
            if style == "qwen2":
                tokenizer.normalizer = normalizers.NFC()
        case "llama-legacy":
            tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁"), behavior="merged_with_next")
            tokenizer.decoder = sentencepiece_decoder(strip=1)
            tokenizer.post_processor = bos
        case "llama-metaspace":
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=True)
            tokenizer.decoder = sentencepiece_decoder(strip=1)
            tokenizer.post_processor = bos
        case "gemma":
            tokenizer.normalizer = normalizers.Replace(" ", "▁")
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁"), behavior="merged_with_next")
            tokenizer.decoder = sentencepiece_decoder(strip=0)
            tokenizer.post_processor = bos
        case _:
            raise ValueError(f"style is {style!r}")
    return tokenizer


def final_pre_tokenizer(style: str) -> object:
    match style:
        case "llama-metaspace":
            return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
        case "gemma":
            return {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
        case _:
            return None


def sentencepiece_decoder(strip: int) -> decoders.Decoder:
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*steps, decoders.Strip(" ", strip, 0)] if strip else steps)


def tokenize(spec: RowsSpec) -> list[TokenizedRow]:
    """Tokenizes the whole text of each row."""
    tokenizer = AutoTokenizer.from_pretrained(spec["folder"])
    return [tokenize_row(tokenizer, row) for row in spec["rows"]]


def tokenize_row(tokenizer: PreTrainedTokenizerFast, row: Row) -> TokenizedRow:
    encoded = tokenizer(row["prompt"] + row["completion"], return_offsets_mapping=True, return_special_tokens_mask=True)
    ends = [end for _, end in encoded["offset_mapping"]]
    start = next((at for at, end in enumerate(ends) if end > len(row["prompt"])), len(ends))
    return {"ids": encoded["input_ids"], "label_start": start}


def chats(spec: ChatSpec) -> list[TokenizedChat]:
    """Renders and tokenizes conversations with the base's chat template."""
    tokenizer = AutoTokenizer.from_pretrained(spec["folder"])
    return [tokenize_chat(tokenizer, chat) for chat in spec["chats"]]


def tokenize_chat(tokenizer: PreTrainedTokenizerFast, chat: dict[str, object]) -> TokenizedChat:
    tools = chat.get("tools")
    messages = chat["messages"]
    whole = tokenizer.apply_chat_template(messages, tools=tools, return_dict=True, return_assistant_tokens_mask=True)
    prompt = tokenizer.apply_chat_template(messages[:-1], tools=tools, add_generation_prompt=True, return_dict=True)
    return {"ids": whole["input_ids"], "mask": whole["assistant_masks"], "prompt_ids": prompt["input_ids"]}
