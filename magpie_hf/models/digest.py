"""The hash of a model's folder, which stands for its revision.

Not here: models of the Hub, which have commits (model.py).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

# The files that determine a model's outputs. Others in its folder (training states, notes) do not count.
_MODEL_FILES = re.compile(
    r"(config|generation_config|modules|sentence_bert_config|tokenizer|tokenizer_config|special_tokens_map"
    r"|added_tokens|vocab|tekken)\.json"
    r"|chat_template\.json|merges\.txt|vocab\.txt|.*\.safetensors|pytorch_model.*\.bin|.*\.index\.json"
    r"|.*\.model|.*\.jinja|.*\.tiktoken"
)
_MEBIBYTE = 1 << 20


def folder_digest(folder: Path) -> str:
    """A hash of a model folder: small files whole; of larger ones the size and 64 KiB of every MiB.

    It sees a change of any tensor of at least 1 MiB, and reads 4 GB for 70 GB of weights.
    """
    digest = hashlib.sha256()
    # The last pattern is for folders of sentence-transformers, such as 1_Pooling
    files = [
        *folder.glob("*"),
        *folder.glob("additional_chat_templates/*"),
        *folder.glob("[0-9]_*/*"),
    ]
    for file in sorted(file for file in files if file.is_file() and _MODEL_FILES.fullmatch(file.name)):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()}\0{size}\0".encode())
        with file.open("rb") as stream:
            if size <= 16 * _MEBIBYTE:
                digest.update(stream.read())
            else:
                for start in range(0, size, _MEBIBYTE):
                    stream.seek(start)
                    digest.update(stream.read(1 << 16))
    return f"sha256:{digest.hexdigest()[:40]}"
