"""Signature: the hashes by which a problem is compared with others.

Not here: comparing (problems/near_duplicates/).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from datasets import Features

from magpie_hf.problems.near_duplicates.minhash import signature_of
from magpie_hf.schema import SIGNATURE
from magpie_hf.stage import Batch, Stage


@dataclass(frozen=True)
class Signature(Stage):
    """A problem's signature: hashes of what it says and of its symbols, and its words' MinHash.

    No model is asked.
    """

    name: ClassVar[str] = "signature"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("problem",)

    @property
    def adds(self) -> Features:
        return Features(SIGNATURE)

    def run(self, batch: Batch) -> Batch:
        signed = [signature_of(problem) for problem in batch["problem"]]
        return {
            "normal_hash": [one.normal_hash for one in signed],
            "signature": [one.words.tolist() for one in signed],
            "symbols_hash": [one.symbols_hash for one in signed],
            "num_symbols": [one.num_symbols for one in signed],
        }
