"""Rows of a sheet through the models of Argilla's client, as its server would give them back.

Not here: a server; one that says who asks is enough for the client. `make argilla` installs the client into
build/argilla, and runs these tests.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID, uuid4

import argilla as rg
import pytest

from magpie_hf.review.argilla_records import marks, records, settings
from magpie_hf.review.marks import read_marks, write_marks

ROWS = [
    {"id": "algebra-1", "mark": "", "note": "", "domain": "algebra", "majority_share": 0.6, "pair": "score"},
    {
        "id": "algebra-2",
        "mark": "",
        "note": "",
        "domain": "algebra",
        "majority_share": None,
        "pair": "none: x",
    },
]
ROWS = [
    row | {"problem": "Solve $x + 1 = 2$.", "solution": "$x = 1$" if at else None}
    for at, row in enumerate(ROWS)
]
ONE, OTHER = UUID(int=1), UUID(int=2)


class Me(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"id": str(ONE), "username": "one", "role": "owner"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dataset() -> Iterator[rg.Dataset]:
    """A dataset with our settings, of a client that is logged in."""
    with HTTPServer(("127.0.0.1", 0), Me) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = rg.Argilla(f"http://127.0.0.1:{server.server_port}", "key", timeout=10, retries=1)
        made = rg.Dataset("rows", settings=settings(), client=client)
        for question in made.settings.questions:
            question._model.id = uuid4()  # which a server gives when it creates the dataset
        yield made
        server.shutdown()


def there_and_back(record: rg.Record, dataset: rg.Dataset) -> rg.Record:
    """A record as the client reads it from the model that it sends to a server."""
    record.dataset = dataset
    return rg.Record.from_model(record.api_model(), dataset)


def test_records_fit_the_settings_and_suggest_what_the_build_says(dataset: rg.Dataset) -> None:
    assert dataset.settings.questions["mark"].labels == ["good", "bad"]
    first, second = (there_and_back(record, dataset).to_dict() for record in records(ROWS))
    for record, row in zip((first, second), ROWS, strict=True):
        assert record["id"] == row["id"]
        shown = {name: row[name] for name in ("problem", "solution") if row[name] is not None}
        assert record["fields"] == shown
        assert set(shown) <= {field.name for field in dataset.settings.fields}
        assert set(record["metadata"]) <= {one.name for one in dataset.settings.metadata}
    assert first["suggestions"] == {"mark": {"value": "good", "score": 0.6, "agent": "magpie_hf"}}
    assert second["suggestions"] == {}


def test_responses_come_back_as_marks(dataset: rg.Dataset, tmp_path: Path) -> None:
    found = records(ROWS)
    for question, value, user, status in [
        ("mark", "bad", ONE, "submitted"),
        ("note", "wrong sign", ONE, "submitted"),
        ("mark", "good", OTHER, "submitted"),
    ]:
        found[0].responses.add(rg.Response(question, value, user, status))
    found[1].responses.add(rg.Response("mark", "good", ONE, "draft"))
    made = marks(there_and_back(record, dataset) for record in found)
    assert [(mark.id, mark.mark, mark.note, mark.by) for mark in made] == [
        ("algebra-1", "good", "", str(OTHER)),
        ("algebra-1", "bad", "wrong sign", str(ONE)),
    ], "drafts are no marks, and bad comes last"
    write_marks(tmp_path / "marks.jsonl", made)
    assert [mark for _, mark in read_marks(tmp_path / "marks.jsonl")] == made
