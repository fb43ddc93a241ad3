"""What lies in a build's folder is what was written there: checksums, records, and who holds the folder."""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import storm
from datasets import Dataset
from storm import SHAPES, contents

from conftest import Answers, small_recipe
from magpie_hf.building.build import build
from magpie_hf.engines import journal
from magpie_hf.engines.journal import Journal
from magpie_hf.errors import BadInput, Torn
from magpie_hf.models.model import resolve
from magpie_hf.run.status import status
from magpie_hf.store import lock
from magpie_hf.store.records import read_record, stage_record
from magpie_hf.store.rows import is_whole, open_table
from magpie_hf.store.shards import write_record


@pytest.fixture(scope="module")
def built(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answers]:
    answers = Answers(resolve(str(demo_model)), answers=3)
    out = tmp_path_factory.mktemp("built") / "out"
    build(small_recipe(answers, "algebra", count=8), out, shard_rows=4)
    return out, answers


# --- shards and journals ------------------------------------------------------------------------------------


def test_a_flipped_byte_is_made_again_and_said(
    built: tuple[Path, Answers], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, answers = built
    clean = contents(out)
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    (shard,) = copy.glob("run/algebra/candidates-*/0000000-0000004.arrow")
    content = bytearray(shard.read_bytes())
    at = content.index(b"boxed{")
    content[at] ^= 1  # "coxed": Arrow reads it without complaint
    shard.write_bytes(content)
    assert len(open_table(shard)) == 4
    asked = answers.asked()
    build(small_recipe(answers, "algebra", count=8), copy, shard_rows=4)
    assert contents(copy) == clean
    assert f"{shard} is torn" in caplog.text
    assert 0 < answers.asked() - asked <= 4 * 3, "the requests of this shard alone"


def test_a_shard_in_the_place_of_another_is_torn(built: tuple[Path, Answers], tmp_path: Path) -> None:
    """Of another stage, of other rows, and of the same stage with other fields; a renamed folder is none."""
    shutil.copytree(built[0] / "run", tmp_path / "renamed" / "run")
    folder = tmp_path / "renamed" / "run" / "algebra"
    (candidates,) = folder.glob("candidates-*")
    first, second = (candidates / f"000000{at}-000000{at + 4}.arrow" for at in (0, 4))
    assert is_whole(first)
    assert is_whole(second)
    content = first.read_bytes()
    for other in (second, next(folder.glob("score-*")) / first.name, folder / "candidates-0" / first.name):
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(content)
        assert not is_whole(other)


def test_files_without_a_checksum_still_open(
    built: tuple[Path, Answers], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As earlier versions wrote them: an Arrow stream ends with its end, and a record has no checksum."""
    out, answers = built
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    for file in copy.glob("run/*/*/*.arrow"):
        file.write_bytes(file.read_bytes()[:-16])
        assert is_whole(file)
        assert (
            Dataset.from_file(str(file)).to_list()
            == Dataset.from_file(str(out / file.relative_to(copy))).to_list()
        ), "readers of Arrow do not see the checksum"
    for file in copy.rglob("run/**/*.json"):
        record = json.loads(file.read_text())
        assert record.pop("checksum")
        file.write_text(json.dumps(record))
    asked = answers.asked()
    build(small_recipe(answers, "algebra", count=8), copy, shard_rows=4)
    assert answers.asked() == asked
    assert "torn" not in caplog.text
    # A file of another stage, which no checksum tells.
    (score,) = copy.glob("run/algebra/score-*/0000000-0000004.arrow")
    shutil.copy(next(copy.glob("run/algebra/clean-*/0000000-0000004.arrow")), score)
    build(small_recipe(answers, "algebra", count=8), copy, shard_rows=4)
    assert contents(copy) == contents(out)
    assert f"{score} is torn" in caplog.text


def test_any_flipped_byte_of_a_journal_loses_its_record_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.journal"
    book = Journal(file)
    for number in range(3):
        book.record(f"key{number}", [f"text {number}", "stop", 1, 2, []])
    book.close()
    known, whole = journal.read(file)[0], file.read_bytes()
    for at in range(len(whole)):
        content = bytearray(whole)
        content[at] ^= 1 << at % 8
        file.write_bytes(content)
        records, torn = journal.read(file)
        assert torn, at
        assert len(records) >= 1
        assert records.items() <= known.items()
    for content in SHAPES:
        file.write_bytes(content)
        assert journal.read(file)[0] == {}


# --- records ------------------------------------------------------------------------------------------------


def test_a_record_that_is_not_what_was_written_is_torn(tmp_path: Path) -> None:
    file = tmp_path / "algebra" / "score-0" / "stage.json"
    file.parent.mkdir(parents=True)
    shard = {"rows": 4, "tokens": 7, "seconds": 0.5, "reasons": {"length": 1}}
    record = {
        "stage": {"is": "Größe"},
        "reuse_key": "",
        "made_from": [],
        "reads": [],
        "shards": {"0-4": shard},
    }
    write_record(file, record)
    assert stage_record(file.parent) == record
    whole = file.read_bytes()
    for at in range(len(whole)):
        content = bytearray(whole)
        content[at] ^= 1
        file.write_bytes(content)
        found = record
        with suppress(Torn):  # not where white space, or the name of the checksum was harmed
            found = stage_record(file.parent) or {}
        assert {name: found[name] for name in record} == record, at
    for content in SHAPES:
        file.write_bytes(content)
        with pytest.raises(Torn, match="run the build again, which repairs it"):
            stage_record(file.parent)
    elsewhere = tmp_path / "algebra" / "score-1" / "stage.json"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(whole)
    with pytest.raises(Torn, match="its checksum does not fit"):
        read_record(elsewhere)


def test_a_lost_record_does_not_make_a_folder_anothers(built: tuple[Path, Answers], tmp_path: Path) -> None:
    out, answers = built
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    record = copy / "run" / "build.json"
    for harm in (record.unlink, lambda: record.write_bytes(b"\xff\xfe{")):
        harm()
        with pytest.raises(
            Torn, match=r"build\.json cannot be read .*; run the build again, which repairs it"
        ):
            status(copy)
        with pytest.raises(BadInput, match="holds another build: its seed is 0, not 1"):
            build(small_recipe(answers, "algebra", count=8, seed=1), copy, shard_rows=4)
        asked = answers.asked()
        build(small_recipe(answers, "algebra", count=8), copy, shard_rows=4)
        assert answers.asked() == asked
        assert status(copy).finished
    record.unlink()
    (copy / "run" / "provenance.json").unlink()
    with pytest.raises(BadInput, match="holds other files"):
        build(small_recipe(answers, "algebra", count=8), copy, shard_rows=4)


# --- the lock -----------------------------------------------------------------------------------------------


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes flock fail as it does on some mounts, which this machine has none of."""

    def fail_with(code: int) -> None:
        def failing(*_: object) -> None:
            raise OSError(code, errno.errorcode[code])

        monkeypatch.setattr(fcntl, "flock", failing)

    return fail_with


@pytest.mark.parametrize("code", [None, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_one_build_or_many_readers(code: int | None, no_locks: Callable[[int], None], tmp_path: Path) -> None:
    if code is not None:
        no_locks(code)
    file = tmp_path / "lock"
    assert lock.holder(file) is None
    with lock.exclusive(file):
        assert str(lock.holder(file)).startswith("pid ")
        for other in (lock.exclusive, lock.shared):
            with pytest.raises(lock.Taken, match="pid "), other(file):
                pass
    with lock.shared(file), lock.shared(file):
        assert lock.holder(file) is None
        with pytest.raises(lock.Taken), lock.exclusive(file):
            pass
    with lock.exclusive(file):
        pass
    assert list(tmp_path.iterdir()) == [file]


def test_without_locks_a_dead_process_holds_nothing(no_locks: Callable[[int], None], tmp_path: Path) -> None:
    no_locks(errno.ENOLCK)
    file, here = tmp_path / "lock", socket.gethostname()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f"lock.{here}.{dead.pid}.0").touch()
    with lock.exclusive(file):
        pass
    assert list(tmp_path.iterdir()) == [file]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        mark = tmp_path / f"lock.{here}.{living.pid}.0"
        mark.touch()
        with pytest.raises(
            lock.Taken, match=f"pid {living.pid} on {here}; if it runs no more, remove {mark}"
        ):
            lock.exclusive(file).__enter__()
        living.communicate(b"\n")
    with lock.exclusive(file):
        pass
    other = tmp_path / "lock.node-7.example.5.0"
    other.touch()
    with pytest.raises(lock.Taken, match=f"pid 5 on node-7.example; if it runs no more, remove {other}"):
        lock.exclusive(file).__enter__()
    assert sorted(tmp_path.iterdir()) == [file, other]


def test_a_mount_without_locks_that_nobody_may_write(
    no_locks: Callable[[int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its readers leave no mark, and see those that are there."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    file = tmp_path / "lock"
    file.touch()
    no_locks(errno.ENOLCK)
    monkeypatch.setattr(Path, "touch", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    assert lock.holder(file) is None
    (tmp_path / "lock.node-7.5.0").write_bytes(b"")
    assert "pid 5 on node-7" in str(lock.holder(file))


def test_a_build_runs_where_no_locks_are(
    no_locks: Callable[[int], None], built: tuple[Path, Answers], tmp_path: Path
) -> None:
    out, answers = built
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    no_locks(errno.ENOLCK)
    build(small_recipe(answers, "algebra", count=8), copy, shard_rows=4)
    other = copy / "run" / "lock.node-7.5.0"
    other.touch()
    with pytest.raises(BadInput, match=r"another build runs in .* on node-7; if it runs no more, remove"):
        build(small_recipe(answers, "algebra", count=8), copy, shard_rows=4)
    assert status(copy).running == f"pid 5 on node-7; if it runs no more, remove {other}"
    no_locks(errno.EIO)
    with pytest.raises(OSError, match="EIO"):
        build(small_recipe(answers, "algebra", count=8), copy, shard_rows=4)


# --- all at once --------------------------------------------------------------------------------------------


def test_a_short_storm_ends_in_the_clean_dataset(demo_model: Path) -> None:
    """`make storm` runs the same for half an hour."""
    command = [
        sys.executable,
        str(Path(storm.__file__)),
        str(demo_model),
        "--corruptions",
        "10",
        "--seed",
        "7",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    table = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines())
    assert (table["corruptions"], table["silent differences"], table["tracebacks"]) == ("10", "0", "0")
