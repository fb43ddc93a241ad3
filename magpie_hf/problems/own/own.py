"""Problems of one's own, by their source and columns.

Not here: reading them (loading.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from magpie_hf.errors import BadInput
from magpie_hf.problems.own.files import SUFFIXES

_HUB_NAME = re.compile(r"(?P<name>[\w-][\w.-]*/[\w.-]+)(?::(?P<config>[\w.-]+))?")
PROBLEM = "problem"  # the column of the problems, unless another is named
SPLIT = "train"  # of a dataset on the Hub, unless another is named


@dataclass(frozen=True)
class OwnProblems:
    """Problems that one has, in place of sampled ones.

    source: a file (.jsonl, .json, .parquet, .csv), a folder of such files, or `user/name[:config]` on the
        Hub. That of files does not compare, since `revision` says what was read.
    column: of the problems. answer: of the reference answers, each a final answer or a solution that ends
        with one; None for problems without. domain: of the domains; None where all are of one domain, or the
        tagger sorts them.
    split: of a dataset on the Hub; None for "train". Files have none.
    where: (column, value) pairs; a row is read where all are equal, as texts.
    revision: on the Hub, or `sha256:...` over the files; None until `load` pins it.
    as_given: nothing is dropped but empty problems, exact doubles, and what would break a chat.
    use_reference: an answer is right where it equals the reference, in place of the majority's answer.
    licence: of the source, an id of the Hub's list; None for what its card on the Hub states.

    Raises BadInput for a source that is neither file nor folder nor a name on the Hub, and for fields that
    contradict one another.
    """

    version: ClassVar[int] = 1

    source: str = field(compare=False)
    column: str = PROBLEM
    answer: str | None = None
    domain: str | None = None
    split: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    revision: str | None = None
    as_given: bool = False
    use_reference: bool = False
    licence: str | None = None
    # The source on the Hub, where a commit holds several configurations; None for files.
    on_hub: str | None = field(default=None, init=False, repr=False, metadata={"later": True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "on_hub", None if self.is_local else self.source)
        if not self.is_local and self.path.suffix.lower() in SUFFIXES:
            raise BadInput(f"there is no file {self.source}; check the path")
        if not self.is_local and not _HUB_NAME.fullmatch(self.source):
            raise BadInput(
                f"the problems {self.source!r} are no file, no folder and no dataset on the Hub; give a path,"
                " or user/name"
            )
        if self.use_reference and self.answer is None:
            raise BadInput(
                "reference answers are to be used, and no column holds them; name it with --answer-column"
            )
        if self.is_local and self.split is not None:
            raise BadInput(
                f"a split is for datasets on the Hub, and {self.source} is a file or a folder; leave out"
                " --problems-split"
            )
        columns = [name for name in (self.column, self.answer, self.domain) if name is not None]
        if len(set(columns)) < len(columns):
            raise BadInput(
                f"one column cannot be two of problem, answer and domain ({', '.join(columns)}); name"
                " different ones"
            )

    @property
    def is_local(self) -> bool:
        return self.path.exists()

    @property
    def path(self) -> Path:
        return Path(self.source).expanduser()

    def holds(self, folder: Path) -> bool:
        """Whether a folder is that of the problems, or below it."""
        return self.path.is_dir() and folder.resolve().is_relative_to(self.path.resolve())

    @property
    def name(self) -> str:
        """What the source is called in a card: its name on the Hub, or that of the file or folder."""
        return self.path.resolve().name if self.is_local else self.source

    @property
    def repository(self) -> tuple[str, str | None]:
        """The name on the Hub, and the configuration."""
        match = _HUB_NAME.fullmatch(self.source)
        assert match is not None
        return match["name"], match["config"]


def parse_where(text: str) -> tuple[str, str]:
    """COLUMN=VALUE. Raises BadInput for anything else."""
    column, equals, value = text.partition("=")
    if not equals or not column.strip():
        raise BadInput(f"--problems-where {text!r} is no COLUMN=VALUE; give one, as in level=hard")
    return column.strip(), value
