"""Samples of a build, read from the shards of its stages, also while it runs.

Not here: what the filtering decided, which needs all samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Sampled:
    """The folders of the stages that one domain's samples went through; `tag` is None without a tagger, and
    `embed` without a model of embeddings.
    """

    instruct: Path
    clean: Path
    tag: Path | None
    embed: Path | None = None

    @staticmethod
    def of(folder: Path, stages: Mapping[str, str]) -> Sampled:
        """From the build's record: the folder of each stage, below the domain's."""
        return Sampled(
            folder / (stages["take"] if "take" in stages else stages["instruct"]),
            folder / stages["clean"],
            folder / stages["tag"] if "tag" in stages else None,
            folder / stages["embed"] if "embed" in stages else None,
        )

    def files(self) -> list[Path]:
        """The finished shards of the cleaning that have a shard of the sampling with the same rows."""
        shards = sorted(file for file in self.clean.glob("*-*.arrow") if file.stem.replace("-", "").isdigit())
        return [file for file in shards if (self.instruct / file.name).exists()]

    def rows(self, file: Path, wanted: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """These rows of a shard. Raises pyarrow.ArrowInvalid or OSError if it is torn."""
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

    def so_far(self, file: Path, domain: str) -> list[dict[str, Any]]:
        """The samples of a shard with the columns of dropped ones; `reason` is null unless the cleaning gave
        one. Raises as `rows` does.
        """
        tagged = self.tag is not None and (self.tag / file.name).exists()
        columns = {
            name: table[name].to_pylist()
            for table, names in (
                (_table(self.instruct / file.name), ("id", "raw_instruction", "raw_finish_reason")),
                (_table(file), ("problem", "language", "dropped")),
                *(((_table(self.tag / file.name), ("tags",)),) if self.tag is not None and tagged else ()),
            )
            for name in names
        }
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [{**row, "domain": domain, "reason": row.pop("dropped")} for row in rows]

    def embeddings(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """The ids and embeddings of the samples that have one, shard by shard. Raises as `rows` does."""
        for file in sorted(self.embed.glob("*-*.arrow")) if self.embed is not None else ():
            if (self.instruct / file.name).exists():
                vectors, names = _table(file)["embedding"].combine_chunks(), self.ids(file)
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


def length(file: Path) -> int:
    """The number of rows in a shard, from its name."""
    start, stop = map(int, file.stem.split("-"))
    return stop - start


def _table(file: Path) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
