"""Continues prompts greedily with transformers and PEFT."""

from typing import TypedDict

import torch

from models import load_model


class GenerateSpec(TypedDict):
    base: str
    adapter: str | None
    prompts: list[list[int]]
    max_new_tokens: int
    end_ids: list[int]
    # Whether keys and values are cached. transformers does not turn cached keys anew where angles depend on the length.
    use_cache: bool


@torch.no_grad()
def greedy(spec: GenerateSpec) -> list[list[int]]:
    """Returns the new tokens of each prompt, with the one that ended it."""
    results = []
    for prompt in spec["prompts"]:
        # A model keeps the angles of the longest text that it has seen (`dynamic`), so each prompt gets a new one.
        model = load_model(spec["base"], spec["adapter"]).eval()
        ids = torch.tensor([prompt])
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            num_beams=1,
            max_new_tokens=spec["max_new_tokens"],
            eos_token_id=spec["end_ids"],
            pad_token_id=0,
            use_cache=spec["use_cache"],
        )
        results.append(output[0, len(prompt) :].tolist())
    return results
