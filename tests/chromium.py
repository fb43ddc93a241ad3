"""Debian's Chromium, and a report opened in it.

Not here: what a report must show.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.fail(
            "Chromium is missing: run the tests with `make test`, which installs Debian's, or install it"
            " yourself"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page, with what a browser complained of and asked for while it was open."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @classmethod
    def at(cls, browser: Browser, file: Path, view: str = "rows", at: str = "", **how: Any) -> Opened:
        """Open a report, and one of its views as soon as it works.

        at: what stands behind `#` of the address, in place of the view.
        """
        one = cls(browser.new_page(**how))
        one.page.on("console", lambda message: one.said.append(message.text))
        one.page.on("pageerror", lambda error: one.said.append(str(error)))
        one.page.on("request", lambda request: one.asked.append(request.url.partition(":null/")[0]))
        one.page.goto(f"{file.as_uri()}#{at}")
        one.page.wait_for_selector("html[data-ready]")
        if not at:
            one.page.click(f"#tab-{view}")
        return one

    def open(self, row: str) -> str:
        """Open the row of an id, and wait until all of it is sampled; its text."""
        self.page.fill("#search", row)
        self.page.press("#search", "Enter")
        self.page.wait_for_function("() => document.querySelectorAll('.item').length === 1")
        self.page.click(".item")
        number = self.page.get_attribute(".item", "data-row")
        self.page.wait_for_selector(f"#rows[data-rendered='{number}']")
        return self.page.text_content("#detail") or ""

    def close(self) -> None:
        """The page must have been silent, and must have asked for nothing but itself."""
        assert self.said == []
        # A blob is made by the page itself: its worker.
        assert {*self.asked} <= {self.page.url.partition("#")[0], "blob"}
        self.page.close()
