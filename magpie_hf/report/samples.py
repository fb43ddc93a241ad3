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

CLEANED = ("problem", "language", "dropped")  # what the cleaning makes of a sample


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
        """The finished shards of the sampling."""
        return shards(self.instruct)

    def rows(self, file: Path, wanted: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """These rows of a shard, as far as they came: the cleaning's columns are null before it. Raises
        BadInput if a shard is torn.
        """
        sampled, (start, _) = _table(file), span(file)
        cleaned, tagged = _Found(self.clean), _Found(self.tag)
        for number in wanted:
            row = {**sampled.slice(number, 1).to_pylist()[0], **dict.fromkeys(CLEANED)}
            row |= cleaned.row(start + number)
            yield number, {**row, "tags": tagged.row(start + number).get("tags")}

    def so_far(self, domain: str) -> Iterator[dict[str, Any]]:
        """All samples of finished shards with the columns of dropped ones, as far as they came; `reason` is
        null unless the cleaning gave one. Raises as `rows` does.
        """
        cleaned, tagged = _Found(self.clean), _Found(self.tag)
        for file in shards(self.instruct):
            sampled = _table(file).select(["id", "raw_instruction", "raw_finish_reason"]).to_pylist()
            for number, row in enumerate(sampled, span(file)[0]):
                known = cleaned.row(number)
                row |= {"domain": domain, **{name: known.get(name) for name in CLEANED}}
                row["reason"] = row.pop("dropped")
                yield row | {"tags": tagged.row(number).get("tags")}

    def embeddings(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """The ids and embeddings of the samples that have one, shard by shard. Raises as `rows` does."""
        sampled = _Found(self.named, ("id",))
        for file in shards(self.embed) if self.embed is not None else ():
            vectors = _table(file)["embedding"].combine_chunks()
            there = vectors.is_valid().to_pylist()
            ids = [sampled.row(number).get("id") for number in range(*span(file))]
            known = [at for at, valid in enumerate(there) if valid]
            good = [(row, str(ids[at])) for row, at in enumerate(known) if ids[at] is not None]
            if good:
                flat = vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(known), -1)
                yield [name for _, name in good], flat[[row for row, _ in good]]

    def ids(self, file: Path) -> list[str]:
        """The ids of the samples in a shard, in order. Raises as `rows` does."""
        return list(_table(self.instruct / file.name)["id"].to_pylist())


def shards(folder: Path) -> list[Path]:
    """The finished shards of a stage, in order."""
    return sorted(file for file in folder.glob("*-*.arrow") if file.stem.replace("-", "").isdigit())


def length(file: Path) -> int:
    """The number of rows in a shard, from its name."""
    start, stop = span(file)
    return stop - start


def span(file: Path) -> tuple[int, int]:
    """The first row of a shard and the one after its last, from its name."""
    start, stop = map(int, file.stem.split("-"))
    return start, stop


class _Found:
    """The finished rows of a stage by their numbers, however they were cut into shards; None has none.

    columns: those that are read; None for all.
    """

    def __init__(self, folder: Path | None, columns: Sequence[str] | None = None) -> None:
        self._columns = columns
        self._files = [] if folder is None else [(*span(file), file) for file in shards(folder)]
        self._start, self._rows = 0, list[dict[str, Any]]()  # of the shard that was read last

    def row(self, number: int) -> dict[str, Any]:
        """The columns of a row; {} where it is not finished."""
        if not self._start <= number < self._start + len(self._rows):
            place = next((one for one in self._files if one[0] <= number < one[1]), None)
            if place is None:
                return {}
            table = _table(place[2])
            self._rows = (table if self._columns is None else table.select(self._columns)).to_pylist()
            self._start = place[0]
        return self._rows[number - self._start]


def _table(file: Path) -> Any:
    """A shard. Raises BadInput if it is torn, or was removed meanwhile."""
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
    except (OSError, pa.ArrowException) as error:
        raise BadInput(
            f"{file} cannot be read ({type(error).__name__}); run the build again, which writes it anew"
        ) from error
