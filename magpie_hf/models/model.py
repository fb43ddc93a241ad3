"""A model's identity, and the contents of its folder or repository.

Not here: chat templates (template.py), or where a model runs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from magpie_hf.errors import BadInput, shortened
from magpie_hf.models.digest import folder_digest
from magpie_hf.models.names import named_revision, repository_or_folder

_KINDS = (".json", ".jinja", ".txt", ".model", ".tiktoken", ".safetensors", ".bin", ".md")
DTYPES = ("auto", "bfloat16", "float16", "float32")


@dataclass(frozen=True)
class Model:
    """A model as data: two equal models give the same distribution for the same prompt.

    revision: a commit of the Hub repository, or `sha256:...` over the contents of a local folder.
    max_length: bounds prompt and completion together, in tokens, where it is below the model's own limit.
    chat_options: values that its chat template is rendered with, each a name and JSON as text, as
        `switches.with_chat_options` makes them.
    settings: vLLM's arguments that change its numbers, such as kv_cache_dtype, as names and JSON.
    path: where a local folder lies; it does not compare. given: how it was named, for a recipe file; neither
        does that.
    """

    name: str
    revision: str
    dtype: str = "auto"
    max_length: int | None = None
    path: str | None = field(default=None, compare=False)
    chat_options: tuple[tuple[str, str], ...] = field(default=(), metadata={"later": True})
    settings: tuple[tuple[str, str], ...] = field(default=(), metadata={"later": True})
    given: str = field(default="", compare=False)

    @property
    def short_name(self) -> str:
        return self.name.rstrip("/").rsplit("/", 1)[-1]

    @property
    def source(self) -> str:
        """What `from_pretrained` and vLLM take as the model."""
        return self.path or self.name

    @property
    def hub_revision(self) -> str | None:
        return None if self.path else self.revision


def resolve(
    text: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    max_length: int | None = None,
    chat: bool = True,
    settings: tuple[tuple[str, str], ...] = (),
) -> Model:
    """The model that a number, a Hub repository or a local folder names, with its revision pinned.

    A repository's revision becomes a commit (from the Hub, or from the local cache when offline), a folder's
    a hash of its contents. `text` may hold a revision, see `named_revision`. chat: whether a folder needs a
    chat template; embedding models have none. settings: as in Model. Raises BadInput for no model, for two
    revisions, for a folder whose hash is another, for an unknown dtype, and for a max_length above the
    model's own.
    """
    if dtype not in DTYPES:
        raise BadInput(f"dtype is {dtype!r}; choose from {', '.join(DTYPES)}")
    source, (_, named) = repository_or_folder(text), named_revision(text)
    if named and revision and named != revision:
        raise BadInput(f"the revision of {source} is {named} in its name and {revision} beside it; give one")
    revision = named or revision
    if Path(source).is_dir():
        if revision and revision.startswith("sha256:"):
            if (digest := folder_digest(Path(source))) != revision:
                raise BadInput(
                    f"the folder {source} is another model than the one asked for (its contents are {digest},"
                    f" not {revision}); give the folder with those contents"
                )
        elif revision:
            raise BadInput(
                f"revision {revision!r} was given for the folder {source}; a revision belongs to a Hub"
                " repository"
            )
        check_model_folder(Path(source), chat)
        model = Model(
            Path(source).name,
            folder_digest(Path(source)),
            dtype,
            max_length,
            source,
            settings=settings,
            given=named_revision(text)[0],
        )
    else:
        model = Model(source, _commit(source, revision), dtype, max_length, settings=settings)
    if max_length is not None:
        if max_length < 1:
            raise BadInput(f"max length is {max_length}; give a number of tokens above 0")
        own = own_max_length(model)
        if own is not None and max_length > own:
            raise BadInput(
                f"max length {max_length} is larger than the {own} tokens of {model.name}; give at most {own}"
            )
    return model


def json_of(model: Model, name: str) -> dict[str, Any] | None:
    """A JSON file of the model, from its folder or the Hub; None where it has none.

    Raises BadInput where it cannot be read.
    """
    file = file_of(model, name)
    return None if file is None else _json(file)


def config_of(model: Model) -> dict[str, Any]:
    """The model's config.json; {} without one. Raises BadInput where a field is of another type."""
    config = json_of(model, "config.json") or {}
    for part in (config, config.get("text_config")):
        if isinstance(part, dict):
            _check_fields(part, model.name)
    return config


# The fields that are read here, by what they are; null is as good as none. Gemma 3n and Hunyuan list the
# sizes of their feed-forward layers.
_NUMBERS = (
    "hidden_size", "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "num_kv_heads",
    "multi_query_group_num", "head_dim", "vocab_size", "max_position_embeddings", "n_positions",
    "max_seq_len", "seq_length",
)  # fmt: skip
_MAY_BE_ZERO = ("sliding_window", "kv_lora_rank", "qk_rope_head_dim", "num_labels", "gating_n_hidden")
_LISTED = ("intermediate_size", "moe_intermediate_size")
_OBJECTS = ("text_config", "quantization_config", "id2label")
_TEXTS = ("architectures", "layer_types")
_MOST = 2**31  # of any number of a config


def _check_fields(config: Mapping[str, Any], name: str) -> None:
    for field_name in (*_NUMBERS, *_MAY_BE_ZERO, *_LISTED):
        said = config.get(field_name)
        least = 0 if field_name in (*_MAY_BE_ZERO, *_LISTED) else 1
        numbers = said if isinstance(said, list) and said and field_name in _LISTED else [said]
        if said is not None and not all(type(one) is int and least <= one < _MOST for one in numbers):
            raise _wrong(name, field_name, said, f"a whole number of at least {least}")
    for field_name in _OBJECTS:
        if not isinstance(said := config.get(field_name), dict | None):
            raise _wrong(name, field_name, said, "an object")
    for field_name in _TEXTS:
        said = config.get(field_name)
        if said is not None and not (isinstance(said, list) and all(isinstance(one, str) for one in said)):
            raise _wrong(name, field_name, said, "a list of texts")
    if not isinstance(said := config.get("model_type"), str | None):
        raise _wrong(name, "model_type", said, "a text")


def _wrong(name: str, field_name: str, said: Any, what: str) -> BadInput:
    return BadInput(
        f"{field_name} in the config.json of {name} is {shortened(said)}, which is not {what}; give the"
        " config.json that came with the weights"
    )


def text_of(model: Model, name: str) -> str | None:
    """A text file of the model, as `json_of`."""
    file = file_of(model, name)
    return None if file is None else file.read_text(encoding="utf-8", errors="replace")


def is_there(file: Path) -> bool:
    """Whether a model has this file. Raises BadInput for a pipe, a folder or a broken link in its place."""
    if file.is_file():
        return True
    if not os.path.lexists(file):
        return False
    link = " (a broken link)" if file.is_symlink() and not os.path.exists(file) else ""
    raise BadInput(f"{file} is no file{link}; remove it, or put the model's own in its place")


def file_of(model: Model, name: str) -> Path | None:
    """A file of the model, from its folder or the Hub; None where it has none.

    Where the Hub cannot be reached, a file that the cached snapshot lacks is absent. Raises BadInput where
    there is no snapshot, or the Hub refuses.
    """
    if model.path:
        file = Path(model.path) / name
        return file if is_there(file) else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RemoteEntryNotFoundError

    try:
        return Path(hf_hub_download(model.name, name, revision=model.revision))
    except RemoteEntryNotFoundError:
        return None
    except HfHubHTTPError as error:  # a gated repository, most often
        raise BadInput(
            f"the Hub does not give {name} of {model.name} ({type(error).__name__}); accept the terms on the"
            " model's page, and check `hf auth whoami`"
        ) from error
    except LocalEntryNotFoundError as error:
        if _is_cached(model):
            return None
        raise BadInput(
            f"{name} of {model.name} is not in the cache and the Hub cannot be reached; go online, or give a"
            " local folder"
        ) from error


def _is_cached(model: Model) -> bool:
    """Whether the cache holds a snapshot of the model's revision; each begins with a config."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model.name, "config.json", revision=model.revision), str)


def card_of(model: Model) -> str | None:
    """The text of the model's own README.md; None without one.

    Also None where the Hub cannot be reached and the cache holds none.
    """
    if model.path:
        file = Path(model.path) / "README.md"
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        file = Path(hf_hub_download(model.name, "README.md", revision=model.revision))
    except (HfHubHTTPError, LocalEntryNotFoundError):
        return None
    return file.read_text(encoding="utf-8", errors="replace")


def longest(model: Model) -> int | None:
    """The bound on prompt and completion together, in tokens: the lower of the set one and the model's own.

    None without either.
    """
    return min(
        (limit for limit in (model.max_length, own_max_length(model)) if limit is not None), default=None
    )


@lru_cache(maxsize=32)
def own_max_length(model: Model) -> int | None:
    """The longest context that the model's config states, in tokens; None where it states none.

    For an encoder without a head, sentence-transformers' bound comes first: vLLM accepts no longer text.
    """
    config = config_of(model)
    if any(name.endswith("Model") for name in config.get("architectures") or ()):
        bound = (json_of(model, "sentence_bert_config.json") or {}).get("max_seq_length")
        if isinstance(bound, int):
            return bound
    for part in (config, config.get("text_config") or {}):
        for key in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
            if part.get(key) is not None:
                return int(part[key])
    return None


@lru_cache(maxsize=32)
def vocabulary(model: Model) -> int | None:
    """How many tokens the model has by its config; None where it states none."""
    config = config_of(model)
    rows: int | None = config.get("vocab_size") or (config.get("text_config") or {}).get("vocab_size")
    return rows


def check_files(folder: Path) -> None:
    """Raises BadInput where something else is in a file's place, or a field of the config is of another type.

    Whoever opened a pipe would wait for ever.
    """
    for file in sorted(folder.iterdir()):
        if file.suffix in _KINDS:
            is_there(file)
    config_of(Model(folder.name, "", path=str(folder)))


def check_model_folder(folder: Path, chat: bool = True) -> None:
    """Raises BadInput unless the folder holds a config, weights and a tokenizer, in files.

    chat: whether the tokenizer needs a chat template.
    """
    check_files(folder)
    if not (folder / "config.json").is_file():
        raise BadInput(
            f"{folder} is not a model: it has no config.json; give a folder that save_pretrained wrote"
        )
    config = _json(folder / "config.json")
    if not config.get("model_type") and not config.get("architectures"):
        raise BadInput(
            f"{folder} is not a model: its config.json names no model_type; give a folder that"
            " save_pretrained wrote"
        )
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise BadInput(f"{folder} is not a model: it holds no weights (*.safetensors or *.bin)")
    if not any(
        (folder / name).is_file()
        for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "tekken.json")
    ):
        raise BadInput(
            f"{folder} has no tokenizer; save the tokenizer beside the weights with save_pretrained"
        )
    tokenizer = (
        _json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    )
    # mistral-common knows the chat format that goes with a tekken.json
    in_files = any(
        (folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json", "tekken.json")
    )
    if chat and not (
        in_files or (folder / "additional_chat_templates").is_dir() or tokenizer.get("chat_template")
    ):
        raise BadInput(
            f"{folder} has no chat template, so it has no user turn to open; give an aligned (instruct) model"
        )


def _commit(repository: str, revision: str | None) -> str:
    if revision and re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    import httpx2
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        sha = HfApi().model_info(repository, revision=revision).sha
    except HFValidationError as error:
        raise BadInput(
            f"{repository!r} is no name that the Hub allows ({str(error).splitlines()[0]})"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        what = (
            f"revision {revision!r} of {repository}"
            if isinstance(error, RevisionNotFoundError)
            else repository
        )
        raise BadInput(
            f"the Hub has no {what}, or your token may not see it; check the name and `hf auth whoami`"
        ) from error
    except (OfflineModeIsEnabled, HfHubHTTPError, httpx2.TransportError) as error:
        cached = try_to_load_from_cache(repository, "config.json", revision=revision)
        if not isinstance(cached, str):
            raise BadInput(
                f"cannot reach the Hub to pin the revision of {repository}, and it is not in the cache"
                f" ({type(error).__name__}); go online, or give a local folder"
            ) from error
        sha = Path(cached).parent.name
    if not sha:
        raise BadInput(f"the Hub names no commit for {repository}; give --revision with a full commit")
    return sha


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{file} cannot be read as JSON ({error}); mend or replace the file") from error
    if not isinstance(content, dict):
        raise BadInput(f"{file} holds no JSON object; mend or replace the file")
    return content
