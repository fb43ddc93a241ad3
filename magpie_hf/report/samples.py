"""Samples of a build, read from the shards of its stages, also while it runs.

Not here: what the filtering decided, which needs all samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magpie_hf.errors import BadInput

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Sampled:
    """The folders of the stages that one domain's samples went through; `tag` is None without a tagger, and
    `embed` without a model of embeddings. `named`: the one that gave the samples of `embed` their ids.
    """

    instruct: Path
    clean: Path
    tag: Path | None
    embed: Path | None = None
    named: Path | None = None

    @staticmethod
    def of(folder: Path, stages: Mapping[str, str]) -> Sampled:
        """From the build's record: the folder of each stage, below the domain's.

        Embeddings and ids are those after the last round that made problems harder.
        """
        rounds = sum(label.startswith("adopt_round") for label in stages)
        embed = f"embed_round{rounds}" if rounds else "embed"
        first = folder / (stages["take"] if "take" in stages else stages["instruct"])
        return Sampled(
            first,
            folder / stages["clean"],
            folder / stages["tag"] if "tag" in stages else None,
            folder / stages[embed] if embed in stages else None,
            folder / stages[f"adopt_round{rounds}"] if rounds else first,
        )

    def files(self) -> list[Path]:
        """The finished shards of the cleaning that have a shard of the sampling with the same rows."""
        return [file for file in shards(self.clean) if (self.instruct / file.name).exists()]

    def rows(self, file: Path, wanted: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """These rows of a shard. Raises BadInput if it is torn."""
        sampled, cleaned = _table(self.instruct / file.name), _table(file)
        tags = (
            _table(self.tag / file.name) if self.tag is not None and (self.tag / file.name).exists() else None
        )
        for number in wanted:
            row = {**sampled.slice(number, 1).to_pylist()[0], **cleaned.slice(number, 1).to_pylist()[0]}
            yield (
                number,
                {**row, "tags": tags.slice(number, 1).to_pylist()[0]["tags"] if tags is not None else None},
            )

    def so_far(self, domain: str) -> Iterator[dict[str, Any]]:
        """All samples of finished shards with the columns of dropped ones, as far as they came; `reason` is
        null unless the cleaning gave one. Raises as `rows` does.
        """
        for file in shards(self.instruct):
            columns = {"domain": [domain] * length(file)}
            for folder, names in (
                (self.instruct, ("id", "raw_instruction", "raw_finish_reason")),
                (self.clean, ("problem", "language", "dropped")),
                (self.tag, ("tags",)),
            ):
                if folder is not None and (folder / file.name).exists():
                    table = _table(folder / file.name)
                    columns |= {name: table[name].to_pylist() for name in names}
            for values in zip(*columns.values(), strict=True):
                row = dict(zip(columns, values, strict=True))
                yield {**row, "reason": row.pop("dropped", None)}

    def embeddings(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """The ids and embeddings of the samples that have one, shard by shard. Raises as `rows` does."""
        for file in shards(self.embed) if self.embed is not None else ():
            if self.named is not None and (self.named / file.name).exists():
                vectors = _table(file)["embedding"].combine_chunks()
                names = _table(self.named / file.name)["id"].to_pylist()
                known = vectors.is_valid().to_numpy(zero_copy_only=False)
                if known.any():
                    flat = vectors.flatten().to_numpy(zero_copy_only=False)
                    yield (
                        [name for name, there in zip(names, known, strict=True) if there],
                        flat.reshape(int(known.sum()), -1),
                    )

    def ids(self, file: Path) -> list[str]:
        """The ids of the samples in a shard, in order. Raises as `rows` does."""
        return list(_table(self.instruct / file.name)["id"].to_pylist())


def shards(folder: Path) -> list[Path]:
    """The finished shards of a stage, in order."""
    return sorted(file for file in folder.glob("*-*.arrow") if file.stem.replace("-", "").isdigit())


def length(file: Path) -> int:
    """The number of rows in a shard, from its name."""
    start, stop = map(int, file.stem.split("-"))
    return stop - start


def _table(file: Path) -> Any:
    """A shard. Raises BadInput if it is torn, or was removed meanwhile."""
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
    except (OSError, pa.ArrowException) as error:
        raise BadInput(
            f"{file} cannot be read ({type(error).__name__}); run the build again, which writes it anew"
        ) from error
