"""Texts of models as safe Markdown: escaped, quoted with their formulas, fenced, in tables.

Not here: what a card says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

NONE = "—"  # a cell without a value
# Entities, not backslashes: an entity is never markup in CommonMark. The Hub looks for formulas before it
# reads Markdown, and would read an escaped backslash before a bracket as the start of one.
_ENTITIES = {char: f"&#{ord(char)};" for char in "\\$`|*_[]~#!@"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKUP = re.compile("[" + re.escape("".join(_ENTITIES)) + "]|(?<=:)//|(?<=www)\\.")
_LINE_START = re.compile(r"([-+=:])|(\d{1,9})([.)])")  # a list, a rule, the underline of a heading, a table
# Control characters, and marks that change the direction of all text after them.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)

_ENVIRONMENTS = "equation|align|gather|alignat|multline|eqnarray"
_WITHIN = r"(?:(?!\n\s*\n).)+?"  # no formula spans a blank line
_FORMULA = re.compile(
    rf"(?<![\\$])\$\$(?P<dollars>{_WITHIN})\$\$(?!\$)"
    rf"|(?<!\\)\\\[(?P<brackets>{_WITHIN})\\\]"
    rf"|(?P<environment>(?<!\\)\\begin\{{(?P<name>{_ENVIRONMENTS})(?P<star>\*?)\}}{_WITHIN}"
    r"\\end\{(?P=name)(?P=star)\})"
    rf"|(?<!\\)\\\((?P<round>{_WITHIN})\\\)"
    r"|(?<![\\$])\$(?P<dollar>[^\s$](?:[^$\n]*?[^\s$\\])?)\$(?![\d$])",
    re.DOTALL,
)
# Commands that define, load or link; no problem needs them.
_COMMANDS = re.compile(
    r"\\(?:href|url|html\w*|include\w*|[egx]?def|let|futurelet|global|\w*command|require|catcode|input|write)"
    r"(?![a-z])|://|www\.|`|\$\$"
)


def escape(text: str) -> str:
    """The text in one line, with no character left as markup, also inside a table."""
    return _escape_line(" ".join(_plain(text).split()))


def final(text: str, most: int) -> str:
    """A final answer in one line, as a formula if it looks like one; cut after `most` characters."""
    if len(text) > most:
        return f"{escape(text[:most])} …"
    return (re.search(r"[\\^_{}]", text) and _formula(_plain(text), display=False)) or escape(text)


def code(text: str) -> str:
    """A name as inline code; with unusual characters, as escaped text."""
    return f"`{text}`" if re.fullmatch(r"[\w.:/@+={}][\w.:/@+={}, -]*(?<! )", text) else escape(text)


def link(text: str, address: str | None) -> str:
    """The text as a link, if the address is a plain https URL."""
    return (
        f"[{escape(text)}]({address})"
        if address and re.fullmatch(r"https://[\w./%#?=&~+-]+", address)
        else escape(text)
    )


def bibtex(text: str) -> str:
    """The text as a value of BibTeX within braces, in one line; other characters than plain ones are gone."""
    return re.sub(r"([_&#%])", r"\\\1", re.sub(r"[^\w .,:;()/+@#%&-]", "", " ".join(text.split())))


def fence(text: str) -> str:
    """The text as a code block, with a fence longer than any in the text."""
    text = _plain(text)
    ticks = "`" * max(3, *(len(run) + 1 for run in ["", *re.findall("`+", text)]))
    return f"{ticks}text\n{text}\n{ticks}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; columns of numbers are right-aligned."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(head)
    marks = [
        (
            "---:"
            if any(cell[:1].isdigit() for cell in cells) and all(_is_number(cell) for cell in cells)
            else "---"
        )
        for cells in columns
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, marks, *rows))


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[-\d.,% /()–—…]*", cell) is not None


def quote(text: str, most: int) -> tuple[str, int]:
    """The text as a quotation in which the Hub renders formulas, and the number of characters shown.

    A text of more than `most` characters is cut between two words, never within a formula. A formula that
    is not safe, such as one that defines or links something, is shown as text.
    """
    text = _plain(text).strip()
    parts: list[str] = []
    shown = 0
    for part, formula in _parts(text[: 2 * most]):
        if len(part) > most - shown:
            part = _whole_words(part[: most - shown]) if formula is None else ""
            parts = [("".join(parts) + _escape_lines(part)).rstrip(), " …"]
            shown += len(part)
            break
        parts.append(_escape_lines(part) if formula is None else formula)
        shown += len(part)
    lines = [line.strip() for line in "".join(parts).split("\n")]  # an indented line would be code
    return "\n".join(f"> {line}  " if line else ">" for line in lines), shown


def _whole_words(text: str) -> str:
    """The text without its last word, which may be cut; unchanged if it is one word."""
    return re.sub(r"(?<=\s)\S*\Z", "", text).rstrip()


def _parts(text: str) -> Iterator[tuple[str, str | None]]:
    """The text in pieces (source, formula): formula is its Markdown, or None for plain text."""
    place = 0
    for match in _FORMULA.finditer(text):
        body = next(
            match[name]
            for name in ("dollars", "brackets", "environment", "round", "dollar")
            if match[name] is not None
        )
        formula = _formula(body, match["round"] is None and match["dollar"] is None)
        if formula is not None:
            yield text[place : match.start()], None
            yield match[0], formula
            place = match.end()
    yield text[place:], None


def _formula(body: str, display: bool) -> str | None:
    """A formula as the Hub renders it in cards; None where it is not safe or not balanced."""
    body = " ".join(re.sub(r"(?<!\\)%[^\n]*", "", body).split())
    if not body or _COMMANDS.search(body) or not _is_balanced(body):
        return None
    for char, command in (("<", "lt"), (">", "gt")):  # they are HTML where formulas are not rendered
        body = re.sub(rf" ?{char} ?", rf" \\{command} ", body).strip()
    body = body.replace("](", "] (").replace("![", "! [")
    body = re.sub(r"\\\\(?=[()])", r"\\\\ ", body) + (" " if body.endswith("\\") else "")
    return f"$$ {body} $$" if display else rf"\\({body}\\)"


def _is_balanced(body: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", body):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def _escape_lines(text: str) -> str:
    return "\n".join(_escape_line(line) for line in text.split("\n"))


def _escape_line(line: str) -> str:
    escaped = _MARKUP.sub(
        lambda match: _ENTITIES.get(match[0], "".join(f"&#{ord(char)};" for char in match[0])), line
    )
    lead = len(escaped) - len(escaped.lstrip())
    if (start := _LINE_START.match(escaped, lead)) is None:
        return escaped
    mark = start[1] or start[3]
    return f"{escaped[:lead]}{start[2] or ''}&#{ord(mark)};{escaped[start.end() :]}"


def _plain(text: str) -> str:
    """The text with line feeds and spaces alone as white space, and without control characters."""
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    "))
