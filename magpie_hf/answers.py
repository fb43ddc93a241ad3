r"""Final answers of solutions: extraction of the last \boxed{}. Not here yet: equivalence of answers."""

from __future__ import annotations

import re

_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)  # a backslash takes the next character with it
_BOXES = (r"\boxed{", r"\fbox{")


def boxed_answer(text: str) -> str | None:
    end = len(text)
    while True:
        start, opener = max((text.rfind(opener, 0, end), opener) for opener in _BOXES)
        if start < 0:
            return None
        inside, depth = start + len(opener), 1
        for token in _BRACES.finditer(text, inside, end):
            depth += {"{": 1, "}": -1}.get(token[0], 0)
            if depth == 0:
                if answer := text[inside : token.start()].strip():
                    return answer
                break
        end = start
