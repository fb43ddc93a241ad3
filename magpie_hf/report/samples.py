"""Samples of a build from the shards of its stages, also while it runs: what was sampled, what the cleaning
made of it, its labels.

Not here: what the filtering decided, which needs all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sampled:
    """The folders of the stages that one domain's samples went through; `tag` is None where nobody labels
    them.
    """

    instruct: Path
    clean: Path
    tag: Path | None

    @staticmethod
    def of(folder: Path, stages: Mapping[str, str]) -> Sampled:
        """By the record: the stages' folders under the domain's."""
        return Sampled(
            folder / stages["instruct"],
            folder / stages["clean"],
            folder / stages["tag"] if "tag" in stages else None,
        )

    def files(self) -> list[Path]:
        """The finished shards of the cleaning whose samples lie beside them, cut alike."""
        shards = sorted(file for file in self.clean.glob("*-*.arrow") if file.stem.replace("-", "").isdigit())
        return [file for file in shards if (self.instruct / file.name).exists()]

    def rows(self, file: Path, wanted: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """These rows of a shard. Raises pyarrow.ArrowInvalid or OSError where it is torn."""
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

    def ids(self, file: Path) -> list[str]:
        """The samples' ids in a shard, in order. Raises as `rows` does."""
        return list(_table(self.instruct / file.name)["id"].to_pylist())


def length(file: Path) -> int:
    """How many rows a shard holds, by its name."""
    start, stop = map(int, file.stem.split("-"))
    return stop - start


def _table(file: Path) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
