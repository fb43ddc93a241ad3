"""A checkpoint's weight files: whether they are whole, and which tensors they hold, by their headers.

Not here: loading weights, and which tensors a model needs (heads.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput

INDEX = "model.safetensors.index.json"
_POINTER = b"version https://git-lfs"
_PICKLES = (b"PK\x03\x04", b"\x80")  # how torch.save begins a file, since 1.6 and before
# Its rows are the vocabulary. Other families name it otherwise, and vLLM checks those.
_EMBEDDING = "model.embed_tokens.weight"


def check_weights(folder: Path, config: Mapping[str, Any]) -> None:
    """Raises BadInput where a weight file of a folder is no such file, is torn or missing, or where the
    embedding is not of the config's vocabulary.

    Reads headers alone: vLLM ends such a start in a MemoryError, an AssertionError or not at all.
    """
    check_index(folder)
    shapes: dict[str, Any] = {}
    files = sorted(folder.glob("*.safetensors"))
    for file in files:
        shapes |= shapes_of(file)
    for file in [] if files else sorted(folder.glob("*.bin")):
        _check_start(file, _PICKLES)
    rows, vocabulary = next(iter(shapes.get(_EMBEDDING, ())), None), config.get("vocab_size")
    if None not in (rows, vocabulary) and rows != vocabulary:
        raise BadInput(
            f"the weights in {folder} have {rows} rows of embeddings, and its config.json says a vocab_size"
            f" of {vocabulary}; give the config.json and the weights of one model"
        )


def check_index(folder: Path) -> list[str]:
    """The tensors that a folder's index of weights names; [] without one.

    Raises BadInput for an index that is none, or whose files are missing.
    """
    file = folder / INDEX
    if not file.is_file():
        return []
    try:
        named = json.loads(file.read_text(encoding="utf-8"))["weight_map"]
        files = sorted({Path(folder / name) for name in named.values()})
        gone = [one.name for one in files if not one.is_file()]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise BadInput(
            f"{file} is no index of weights ({type(error).__name__}); download it again"
        ) from error
    if gone:
        raise BadInput(
            f"{folder} lacks {', '.join(gone)}, which its index of weights names; download it again"
        )
    return list(named)


def shapes_of(file: Path) -> dict[str, Any]:
    """The shape of each tensor of a safetensors file. Raises BadInput where it is none, or torn.

    Format: eight bytes with the length of a JSON object, the object, the numbers.
    """
    _check_start(file)
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            size = file.stat().st_size - 8 - length
            entries = json.loads(stream.read(length) if size >= 0 else b"")
            tensors = {name: entry for name, entry in entries.items() if name != "__metadata__"}
            end = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
            shapes = {name: list(map(int, entry["shape"])) for name, entry in tensors.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise BadInput(
            f"{file} is torn, or no safetensors file ({type(error).__name__} in its header); download it"
            " again"
        ) from error
    if size < end:
        raise BadInput(f"{file} is torn: it is shorter than its header says; download it again")
    return shapes


def _check_start(file: Path, kinds: tuple[bytes, ...] = ()) -> None:
    """Raises BadInput for a pointer of Git LFS, and for a file that begins as none of these kinds."""
    with file.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(_POINTER):
        raise BadInput(
            f"{file} is a pointer of Git LFS and no weights; run `git lfs pull` in its folder, or download it"
            " again"
        )
    if kinds and not start.startswith(kinds):
        raise BadInput(f"{file} is torn, or no file of PyTorch; download it again")
