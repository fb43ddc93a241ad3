r"""Final answers of solutions: extraction of the last \boxed{}. Not here yet: equivalence of answers."""

from __future__ import annotations

_BOXES = (r"\boxed{", r"\fbox{")


def boxed_answer(text: str) -> str | None:
    r"""The contents of the last balanced \boxed{...} of a text; None where there is none, or an empty one."""
    start, opener = max((text.rfind(opener), opener) for opener in _BOXES)
    if start < 0:
        return None
    depth = 0
    for position in range(start + len(opener) - 1, len(text)):
        if text[position - 1] == "\\" and text[position] in "{}":
            continue
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start + len(opener) : position].strip() or None
    return boxed_answer(text[:start])
