"""The page as one HTML file that needs nothing else: scripts, styles, fonts and data inlined.

Not here: its contents.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from magpie_hf.text.language import in_use, tr

_HERE = Path(__file__).parent
_PAGE, _KATEX = _HERE / "assets", _HERE / "katex"
_SCRIPTS = (
    "blocks", "say", "text", "charts", "map", "overview", "marks", "filters", "address", "rows", "search",
    "differences", "copying", "candidates", "detail", "main",
)  # fmt: skip
_FACE = re.compile(r'src:url\(fonts/([\w-]+\.woff2)\) format\("woff2"\)[^}]*')


def write_page(sink: BinaryIO, title: str, first: Iterable[str], later: Iterable[str]) -> None:
    """Write the page.

    first: the blocks of data that the first view needs; later: all others, which a browser may read
    afterwards.
    """
    style = _styles()
    script = (
        '(() => {\n"use strict";\n' + "".join(_read(_PAGE / f"{name}.js") for name in _SCRIPTS) + "})();\n"
    )
    early, katex = _read(_PAGE / "early.js"), _read(_KATEX / "katex.min.js")
    values = {
        "language": in_use(),
        "policy": _policy(style, early, script, katex),
        "title": html.escape(title.encode("utf-8", "replace").decode()),
        "noscript": html.escape(
            tr("This page needs JavaScript. It holds all its scripts itself and makes no network requests.")
        ),
        "style": style,
        "data": "".join(first),
        "early": early,
        "worker": _read(_PAGE / "worker.js"),
        "script": script,
        "katex": katex,
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _read(_PAGE / "page.html"))
    sink.write(page.encode())
    for block in later:
        sink.write(block.encode())
    # The script takes a block as complete when an element follows it, so the last one needs one, too.
    sink.write(b"<i hidden></i>\n</body>\n</html>\n")


def _policy(style: str, *scripts: str) -> str:
    """The Content-Security-Policy: own scripts, own styles and own fonts; nothing is loaded from anywhere.

    The worker that searches is started from its text in the page, which is a blob to the browser.
    Styles of single elements are allowed, since KaTeX sets some as attributes; nothing else sets any.
    """
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; worker-src blob:; style-src-elem {_hash(style)};"
        " style-src-attr 'unsafe-inline'; font-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _styles() -> str:
    def inlined(match: re.Match[str]) -> str:
        font = base64.b64encode((_KATEX / "fonts" / match[1]).read_bytes()).decode()
        return f'src:url(data:font/woff2;base64,{font}) format("woff2")'

    return _FACE.sub(inlined, _read(_KATEX / "katex.min.css")) + _read(_PAGE / "page.css")


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")
