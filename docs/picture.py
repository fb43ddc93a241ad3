"""Takes docs/images/report.png: `python docs/picture.py`. Needs Chromium; no model, no engine.

Not here: the report. Its build is that of benchmarks/report.py, whose rows are constructed, so it names no
real model.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
FILE = ROOT / "docs" / "images" / "report.png"
PROBLEMS = 4400
NAME = "a constructed build"


def take(file: Path = FILE) -> None:
    """Write a build of constructed rows, its report, and a picture of the report's first view."""
    from report import CHROMIUM, build_folder, written

    with tempfile.TemporaryDirectory() as place:
        folder, page = Path(place) / "example", Path(place) / "report.html"
        build_folder(folder, PROBLEMS)
        record = folder / "run" / "build.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "name": NAME}))
        written(folder, page)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
            view = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
            view.goto(page.as_uri())
            view.wait_for_selector("html[data-ready]")
            view.click("#tab-overview")
            view.screenshot(path=str(file))
            browser.close()


if __name__ == "__main__":
    take()
