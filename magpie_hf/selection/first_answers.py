"""The first answers of a build: whether all of them are lost for one reason, before more are paid for.

Not here: reading an answer (models/chat.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

from magpie_hf.errors import LowYield
from magpie_hf.store.rows import Rows

MOST = 64  # answers that are looked at, over all domains
# Reasons that lie in the model or its chat template, and not in one hard problem.
_COMMON = ("special_tokens", "thinking_not_closed", "empty", "repetition")


class FirstAnswers:
    """Looks at answers until there are MOST of them."""

    def __init__(self, solver: str) -> None:
        self.solver = solver
        self.reasons: Counter[str | None] = Counter()
        self._seen: set[tuple[str, int]] = set()
        self._example = ""

    @property
    def count(self) -> int:
        return self.reasons.total()

    def offer(self, rows: Rows) -> None:
        """Look at the candidates of these rows.

        Rows that come again, with further columns, count once. Raises LowYield where all answers are
        incomplete for one of the reasons that more answers would not mend.
        """
        if self.count >= MOST or (rows.domain, rows.start) in self._seen:
            return
        self._seen.add((rows.domain, rows.start))
        for responses in rows.read(["candidates"])["candidates"].to_pylist():
            for response in responses or ():
                self._record(response)
        if self.count < MOST:
            return
        ((reason, count),) = self.reasons.most_common(1)
        if count == self.count and reason in _COMMON:
            self._stop(reason)

    def _record(self, response: Mapping[str, Any]) -> None:
        self.reasons[response["reason"]] += 1
        self._example = self._example or " ".join(response["text"].split())[-80:]

    def _stop(self, reason: str) -> NoReturn:
        if reason == "special_tokens":
            advice = (
                "the chat template does not show how the model marks its thinking or its turns: choose"
                " another --solver, or mend the chat_template.jinja of a local copy"
            )
        elif reason == "thinking_not_closed":
            advice = (
                "its thinking does not end: raise --max-tokens, or have it think less or not at all with"
                " --chat-option, where the plan names a switch for it"
            )
        elif reason == "repetition":
            advice = "they run in circles: raise --candidate-temperature, or choose another --solver"
        else:
            advice = "the model ends its turn at once: choose another --solver, or one made for chats"
        raise LowYield(
            f"the first {self.count} answers of {self.solver} are all incomplete for one reason ({reason});"
            f" {advice}. The answers are kept; one ends with {self._example!r}"
        )
