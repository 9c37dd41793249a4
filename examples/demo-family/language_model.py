"""The small Llama: its shape, its tokenizer, its training loop, and its Hugging Face folder."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

PAD, END = "<|pad|>", "<|endoftext|>"
PAD_ID, END_ID = 0, 1
VOCABULARY = 4096
SEQUENCE = 128

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": True,
    "initializer_range": 0.02,
    "pad_token_id": PAD_ID,
    "bos_token_id": END_ID,
    "eos_token_id": END_ID,
    "torch_dtype": "bfloat16",
}
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'assistant' %}"
    "{{ 'Assistant:' }}{% generation %}{{ ' ' + message.content + eos_token }}{% endgeneration %}"
    "{% else %}{{ message.role | capitalize + ': ' + message.content + '\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": END,
    "eos_token": END,
    "pad_token": PAD,
    "unk_token": None,
    "model_max_length": CONFIG["max_position_embeddings"],
    "clean_up_tokenization_spaces": False,
    "chat_template": CHAT_TEMPLATE,
}


@dataclass(frozen=True)
class Schedule:
    """A run over text: `steps` batches of `batch` sequences, warm-up, then a cosine."""

    steps: int
    batch: int
    rate: float
    warmup: int
    final_rate: float
    weight_decay: float
    muon: bool
    embeddings: bool
    """Whether the embeddings, which are also the head, are trained."""

    cosine_steps: int | None = None
    """Steps of the whole cosine, of which the run takes the first `steps` (default: all)."""

    def rate_at(self, step: int) -> float:
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, (self.cosine_steps or self.steps) - self.warmup)
        return self.final_rate + (self.rate - self.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """A byte-level BPE tokenizer that adds no special token by itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(PAD, special=True), AddedToken(END, special=True)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def pack(tokenizer: Tokenizer, documents: list[str], sequence: int = SEQUENCE) -> Tensor:
    """Documents end to end, `END` after each, cut into rows of `sequence + 1` tokens."""
    ids: list[int] = []
    for encoding in tokenizer.encode_batch(documents):
        ids.extend(encoding.ids)
        ids.append(END_ID)
    rows = len(ids) // (sequence + 1)
    return torch.from_numpy(np.array(ids[: rows * (sequence + 1)], dtype=np.int64)).view(rows, sequence + 1)


def new_model(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**CONFIG)).float()


def train(
    model: LlamaForCausalLM,
    rows: Tensor,
    schedule: Schedule,
    *,
    seed: int,
    compiled: bool,
    checkpoint: Callable[[int], None] | None = None,
) -> None:
    """Train the model in place, over the rows in a seeded order, with bf16 autocast."""
    model.get_input_embeddings().requires_grad_(schedule.embeddings)
    generator = torch.Generator().manual_seed(seed)
    passes = math.ceil(schedule.steps * schedule.batch / len(rows))
    order = torch.cat([torch.randperm(len(rows), generator=generator) for _ in range(passes)])
    optimizers = _optimizers(model, schedule)
    loss_of = torch.compile(_loss) if compiled else _loss
    model.train()
    started, recent = time.monotonic(), []
    for step in range(schedule.steps):
        batch = rows[order[step * schedule.batch : (step + 1) * schedule.batch]]
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate_at(step)
            optimizer.step()
            optimizer.zero_grad()
        recent.append(loss.item())
        if (step + 1) % 20 == 0 or step + 1 == schedule.steps:
            speed = (step + 1) * batch.numel() / (time.monotonic() - started)
            print(f"step {step + 1}/{schedule.steps}  loss {np.mean(recent):.3f}  {speed:,.0f} tokens/s", flush=True)
            recent = []
        if checkpoint and ((step + 1) % 200 == 0 or step + 1 == schedule.steps):
            checkpoint(step + 1)
    model.eval()


def _optimizers(model: LlamaForCausalLM, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices and AdamW for the rest, or AdamW for all."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_matrix = parameter.ndim == 2 and ".layers." in name
        (matrices if is_matrix and schedule.muon else others).append(parameter)
    settings = {"lr": schedule.rate, "weight_decay": schedule.weight_decay}
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, betas=(0.9, 0.95), **settings)]
    if matrices:
        optimizers.append(torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw", **settings))
    return optimizers


def _loss(model: LlamaForCausalLM, rows: Tensor) -> Tensor:
    """Mean next-token cross-entropy in nats."""
    logits = model(input_ids=rows[:, :-1]).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model: LlamaForCausalLM, rows: Tensor) -> float:
    """Mean next-token cross-entropy in nats, in f32."""
    losses = [_loss(model, part).item() * len(part) for part in rows.split(32)]
    return sum(losses) / len(rows)


def save(folder: Path, model: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
    """Write a Hugging Face folder: bf16 weights, without the tied head."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in (("config.json", CONFIG), ("tokenizer_config.json", TOKENIZER_CONFIG)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
