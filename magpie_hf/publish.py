"""A build's folder: whose it is, and its published files, each written whole or not at all. Not here yet: the Hub."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from magpie_hf import card, legacy
from magpie_hf.domains import Domain
from magpie_hf.errors import BadInput
from magpie_hf.recipe import Recipe
from magpie_hf.runners import write_json
from magpie_hf.stage import fingerprint, identity
from magpie_hf.stats import Funnel

SHARD_BYTES = 500_000_000  # what the Hub's own clients write at most into one parquet file


@dataclass(frozen=True)
class Built:
    """A domain's finished rows: all stage columns (`table`), what is published of them, and the funnel."""

    domain: Domain
    table: Dataset
    published: DatasetDict
    funnel: Funnel

    @property
    def splits(self) -> dict[str, Dataset]:
        """The published splits that hold rows: `load_dataset` refuses an empty one, so none is written."""
        return {split: rows for split, rows in self.published.items() if len(rows)}


@dataclass(frozen=True)
class Folder:
    """The folder of one build: `run/` holds the stages' shards and the record, the rest is what is published."""

    path: Path

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def _record_file(self) -> Path:
        return self.run / "build.json"

    def check(self, recipe: Recipe) -> None:
        """Raises BadInput where the folder holds something else, another build, or cannot be written. Leaves nothing behind."""
        ground = next(path for path in (self.path.absolute(), *self.path.absolute().parents) if path.exists())
        if not ground.is_dir():
            raise BadInput(f"{ground} is a file, so {self.path} cannot be a folder; choose another --out")
        try:
            Path(tempfile.mkdtemp(prefix=".magpie-", dir=ground)).rmdir()
        except OSError as error:
            raise BadInput(f"{ground} cannot be written ({error.strerror}); choose another --out") from error
        if not self._record_file.exists():
            if self.path.is_dir() and any(self.path.iterdir()):
                raise BadInput(f"{self.path} holds other files; choose an empty or a new folder for --out")
            return
        record = self._record()
        for what, mine, theirs in (
            ("model", _model(recipe), record["generator"]),
            ("seed", recipe.seed, record["seed"]),
        ):
            if mine != theirs:
                raise BadInput(f"{self.path} holds another build ({what} {_short(theirs)}, not {_short(mine)}); choose another --out")

    def claim(self, recipe: Recipe) -> None:
        """Make the folder this build's."""
        if not self._record_file.exists():
            self.run.mkdir(parents=True, exist_ok=True)
            record = {"magpie_hf": version("magpie-hf"), "created": int(time.time())}
            write_json(self._record_file, {**record, "generator": _model(recipe), "seed": recipe.seed})

    def is_finished(self, recipe: Recipe) -> bool:
        """Whether the last build here was this one, to the end."""
        return self._record_file.exists() and self._record().get("finished") == fingerprint(recipe)

    def write(self, recipe: Recipe, built: list[Built]) -> None:
        """Write what is published of the build; nothing where it is there already. The README comes last.

        Files of an earlier state of the build that are not part of this one are removed.
        """
        record = self._record()
        content = fingerprint(recipe, [split._fingerprint for one in built for split in one.published.values()], card.VERSION)
        if record.get("content") == content and all((self.path / file).exists() for file in record["files"]):
            return
        write_json(self._record_file, {key: value for key, value in record.items() if key not in ("finished", "content")})
        staging = self.run / "publishing"
        shutil.rmtree(staging, ignore_errors=True)
        for one in built:
            self._stage(recipe, one, staging, record["created"])
        legacy.write_combined(recipe, built, staging, record["created"])
        (staging / "README.md").write_text(card.render(recipe, built, staging), encoding="utf-8")
        files = sorted(
            (file.relative_to(staging).as_posix() for file in staging.rglob("*") if file.is_file()),
            key=lambda f: (f == "README.md", f),
        )
        for file in files:
            (self.path / file).parent.mkdir(parents=True, exist_ok=True)
            (staging / file).replace(self.path / file)
        for file in set(record.get("files", [])) - set(files):
            (self.path / file).unlink(missing_ok=True)
        shutil.rmtree(staging)
        write_json(self._record_file, {**record, "files": files, "content": content, "finished": fingerprint(recipe)})

    def _stage(self, recipe: Recipe, one: Built, staging: Path, created: int) -> None:
        folder = staging / one.domain.key
        folder.mkdir(parents=True)
        for split, rows in one.splits.items():
            shards = max(1, -(-rows.data.nbytes // SHARD_BYTES))
            for number in range(shards):
                shard = rows.shard(shards, number, contiguous=True)
                shard.to_parquet(folder / f"{split}-{number:05d}-of-{shards:05d}.parquet")
        legacy.write_domain(recipe, one, staging, created)

    def _record(self) -> dict[str, Any]:
        try:
            record = json.loads(self._record_file.read_text(encoding="utf-8"))
            if not isinstance(record, dict) or not {"created", "generator", "seed"} <= set(record):
                raise ValueError("it lacks created, generator or seed")
        except (OSError, ValueError) as error:
            raise BadInput(f"{self._record_file} cannot be read ({error}); restore it or choose another --out") from error
        return record


def _model(recipe: Recipe) -> dict[str, Any]:
    model: dict[str, Any] = identity(recipe.generator)
    return model


def _short(value: Any) -> str:
    return f"{value['name']}@{value['revision'][:15]}" if isinstance(value, dict) else str(value)
