"""Publishing a build: what the library and the command line do before and around the commit. The Hub's own
faults: test_hub.py.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import DatasetDict, load_dataset
from test_hub import READER, REPO, WRITER, ended, expected, reloaded, rows_in, run

import magpie_hf
from conftest import ROOT, Answers, small_recipe
from loopback_hub import Fault, File, LoopbackHub, loopback_hub
from magpie_hf.building.build import build
from magpie_hf.card.metadata import metadata
from magpie_hf.card.own_words import BEGIN, END
from magpie_hf.card.stats import Samples
from magpie_hf.card.wording import Wording
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, OK
from magpie_hf.cli.main import main
from magpie_hf.dataset.folder import Folder
from magpie_hf.dataset.readme import UNDER_WAY
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.hub.lint.numbers import lint_numbers
from magpie_hf.models.model import resolve
from magpie_hf.problems.heldout import HeldOut
from magpie_hf.store.manifest import MANIFEST, with_manifest
from magpie_hf.store.records import read_record
from magpie_hf.store.shards import write_record

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # huggingface_hub's own, for each upload over LFS
LICENCE = ("--model-license", "apache-2.0")
Build = tuple[Path, dict[str, DatasetDict]]


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with loopback_hub({WRITER: ("ada", "write"), READER: ("ada", "read")}) as running:
        yield running


@pytest.fixture
def client(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> LoopbackHub:
    """The clients of this process speak to `hub`."""
    from huggingface_hub import constants

    for name, value in {
        "ENDPOINT": hub.endpoint,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("HF_TOKEN", WRITER)
    return hub


@pytest.fixture(scope="module")
def unlicensed(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model without the card that names its licence."""
    folder = tmp_path_factory.mktemp("models") / "Nameless"
    folder.mkdir()
    for file in demo_model.iterdir():
        if file.name != "README.md":
            (folder / file.name).symlink_to(file.resolve())
    return folder


@pytest.fixture(scope="module")
def built(unlicensed: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A build of two domains with every kind of configuration and split."""
    out = tmp_path_factory.mktemp("built") / "out"
    recipe = small_recipe(Answers(resolve(str(unlicensed)), answers=3), count=40, k=5)
    return out, build(replace(recipe, rl_majority_share=0.3, held_out=HeldOut(0.3)), out)


def test_every_configuration_and_split_loads_again(hub: LoopbackHub, built: Build, tmp_path: Path) -> None:
    code, said = ended(run(hub, tmp_path / "home", str(built[0]), REPO, *LICENCE))
    assert code == OK, said
    assert len(hub.commits(REPO)) == 1
    wanted = expected("main", *built)
    assert set(wanted) == {
        *(
            f"main {domain} {side}_{text}"
            for domain in ("default", "algebra", "geometry")
            for side in ("train", "test")
            for text in ("sft", "prefs")
        ),
        *(
            f"main {config} {side}"
            for config in ("algebra_rl", "geometry_rl", "candidates")
            for side in ("train", "test")
        ),
    }
    assert reloaded(hub, tmp_path / "reader", "main") == wanted


def test_without_a_name_all_rows_of_all_domains_are_loaded(built: Build, tmp_path: Path) -> None:
    folder, datasets = built
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train_sft", "train_prefs", "test_sft", "test_prefs"] == list(datasets["default"])
    for split, rows in loaded.items():
        every = [row for domain in ("algebra", "geometry") for row in datasets[domain][split]]
        assert rows.to_list() == every == datasets["default"][split].to_list()
        assert list(load_dataset(str(folder), split=split, streaming=True)) == every
        assert len({row["id"] for row in every}) == len(every) > 1
    config, *_ = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])["configs"]
    named = [path for one in config["data_files"] for path in one["path"]]
    assert all((folder / path).is_file() for path in named)
    assert not (folder / "default").exists(), "no file is stored twice"


def test_a_folder_is_read_anew_where_but_a_score_differs(built: Build, tmp_path: Path) -> None:
    """`datasets` knows a folder by its name and its card: two builds whose rows have the same sizes are two
    all the same.
    """
    scores = []
    for number, made in enumerate(("one", "other")):
        folder = tmp_path / made / "out"
        shutil.copytree(built[0], folder)
        (file,) = (folder / "candidates").glob("train-*.parquet")
        table = pq.read_table(file)
        rows = table.to_pylist()
        rows[0]["candidates"][0]["score"] = 3.25 + number / 4
        pq.write_table(pa.Table.from_pylist(rows, table.schema), file)
        contents = Folder(folder).contents(folder.glob("*/*-of-*.parquet"))
        (folder / "README.md").write_text(f"---\n{metadata(contents)}\n---\n")
        loaded = load_dataset(str(folder), "candidates", split="train", cache_dir=str(tmp_path / "cache"))
        scores.append(loaded[0]["candidates"][0]["score"])
    assert scores == [3.25, 3.5]


def test_the_library_publishes_too(client: LoopbackHub, built: Build, tmp_path: Path) -> None:
    lines: list[str] = []
    wording = Wording(licences=("apache-2.0",))
    change, rows = magpie_hf.preview(built[0], REPO, wording=wording, say=lines.append)
    assert not client.repositories
    assert sum(rows.values()) == rows_in(expected("main", *built))
    pushed = magpie_hf.publish(built[0], REPO, tag="v1", wording=wording, say=lines.append)
    assert pushed.committed
    assert set(pushed.changes.added) == set(change.added)
    assert any(re.fullmatch(r"uploaded \d+ of \d+ files, [\d,]+ of [\d,]+ bytes", line) for line in lines)
    assert not magpie_hf.publish(built[0], REPO, tag="v1", wording=wording).committed
    to, _ = magpie_hf.publish_to_folder(built[0], REPO, tmp_path / "to", wording=wording)
    assert to.added == change.added


def test_a_model_whose_licence_is_not_known_needs_one(
    client: LoopbackHub, built: Build, tmp_path: Path
) -> None:
    for wording, message in (
        (None, r"the licence of Nameless is not known; give it with --model-license"),
        (Wording(licences=("apache2",)), r"'apache2' is none of the Hub's ids.*apache-2\.0"),
        (Wording(licences=("else/model=mit",)), r"else/model"),
    ):
        with pytest.raises(BadInput, match=message):
            magpie_hf.publish(built[0], REPO, wording=wording)
    assert not client.repositories
    magpie_hf.publish_to_folder(
        built[0], REPO, tmp_path / "to", wording=Wording(licences=("Nameless=gemma",))
    )
    assert "gemma" in (tmp_path / "to" / "README.md").read_text()


def _edited(text: str, words: str, rest: str = "") -> str:
    """A card with these words in the place for them, and `rest` at its end."""
    before, _, after = text.partition(f"{BEGIN}\n")
    return f"{before}{BEGIN}\n{words}\n{END}{after.partition(END)[2]}{rest}"


def test_own_words_in_the_card_are_kept(
    client: LoopbackHub, built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those written on the Hub, and those in the folder; other edits are refused or named, never lost."""
    folder, wording = tmp_path / "copy", Wording(licences=("mit",))
    shutil.copytree(built[0], folder)
    heard: list[str] = []

    def publish(**how: bool) -> bool:
        heard.clear()
        return magpie_hf.publish(folder, REPO, wording=wording, say=heard.append, **how).committed

    def there() -> str:
        return client.repositories[REPO].head.files["README.md"].content.decode()

    def edit(words: str, rest: str = "") -> None:
        repo = client.repositories[REPO]
        new = File(_edited(there(), words, rest).replace("\n", "\r\n").encode(), False)
        repo.add("by hand", {**repo.head.files, "README.md": new})

    publish()
    assert f"{BEGIN}\n{END}" in there()
    edit("Written on the Hub.\n\nTwo paragraphs, with é.")
    assert publish()
    assert f"{BEGIN}\nWritten on the Hub.\n\nTwo paragraphs, with é.\n{END}\n" in there()
    assert not publish()
    kept = "the card has your own words from {}; to publish it without, remove them in {} and in {}"
    assert kept.format(REPO, folder / "README.md", REPO) in heard
    mine = folder / "README.md"
    mine.write_text(_edited(mine.read_text(), "Written in the folder."))
    assert publish()
    assert f"the own words in the card of {REPO} are replaced by those of the folder" in heard
    assert f"{BEGIN}\nWritten in the folder.\n{END}\n" in there()
    edit("")
    publish()
    assert kept.format(folder / "README.md", folder / "README.md", REPO) in heard
    edit("Both were written.")
    with pytest.raises(BadInput, match=r"your own words in the card of ada/sums and in .* differ; make them"):
        publish()
    publish(overwrite=True)
    edit("Written in the folder.", "an edit elsewhere")
    before = there()
    with pytest.raises(BadInput, match=r"^README\.md of ada/sums was edited on the Hub outside its place"):
        publish()
    assert there() == before
    publish(overwrite=True)
    client.faults[:] = [Fault("POST", "/commit/", "before", then=lambda: edit("Written meanwhile."))]
    mine.write_text(_edited(mine.read_text(), "Newer.", "and an edit elsewhere"))
    with pytest.raises(
        BadInput, match=r"own words in the card of ada/sums were changed there meanwhile; run"
    ):
        publish()
    assert "Written meanwhile." in there()
    assert [line for line in heard if line.startswith(f"{mine} was changed outside the place for your own ")]


def test_a_card_edited_in_the_folder_and_numbers_that_do_not_add_up(
    demo_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A build keeps the own words, also after a kill, and a card that was edited elsewhere."""
    out, answers = tmp_path / "out", Answers(resolve(str(demo_model)))
    recipe = small_recipe(answers, "algebra", count=8)
    build(recipe, out)
    readme, samples, record = out / "README.md", out / "run" / "samples.json", out / "run" / "build.json"
    assert not (out / "run" / "own_words.md").exists()
    readme.write_text(_edited(readme.read_text(), "Mine.", "an edit elsewhere\n"))
    build(recipe, out)
    assert f"{BEGIN}\nMine.\n{END}\n" in readme.read_text()
    assert "an edit elsewhere" not in readme.read_text()
    assert "an edit elsewhere" in (out / "run" / "README.edited.md").read_text()
    assert [one for one in caplog.messages if "was changed outside the place for your own words" in one]
    readme.write_text(UNDER_WAY)  # as a build that is killed leaves it
    caplog.clear()
    build(recipe, out)
    assert f"{BEGIN}\nMine.\n{END}\n" in readme.read_text()
    assert not caplog.messages
    known = read_record(record)
    for number, lost in ((2, ()), (3, ("card",)), (4, tuple(known))):
        readme.write_text(_edited(readme.read_text(), "Mine.", f"edit {number}\n"))
        if lost:
            write_record(
                record, {key: value for key, value in read_record(record).items() if key not in lost}
            )
        build(recipe, out)
        assert f"edit {number}\n" in (out / "run" / f"README.edited.{number}.md").read_text()
        assert "edit " not in readme.read_text()
    assert "an edit elsewhere" in (out / "run" / "README.edited.md").read_text(), "the first copy stays"
    whole = readme.read_bytes()
    readme.write_bytes(_edited(whole.decode(), "日本語の説明").encode("cp932", "replace"))
    for call in (
        lambda: build(recipe, out),
        lambda: magpie_hf.publish_to_folder(out, REPO, tmp_path / "to"),
    ):
        with pytest.raises(BadInput, match=r"README\.md is no UTF-8 text; save it as UTF-8"):
            call()
    readme.write_bytes(whole)
    for rotten in (out / "LICENSE", *out.glob("*_ins*.json")):
        content = rotten.read_bytes()
        rotten.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
        build(recipe, out)
        assert rotten.read_bytes() == content, rotten
    counts, whole = read_record(samples), samples.read_bytes()
    counts["algebra"]["sampled"] += 1
    write_record(samples, counts)
    with pytest.raises(BadInput, match=r"samples\.json was changed since it was built; run the build again"):
        magpie_hf.publish_to_folder(out, REPO, tmp_path / "to")
    stated = read_record(record)
    write_record(record, {**stated, "samples": hashlib.sha256(samples.read_bytes()).hexdigest()})
    with pytest.raises(BadInput, match=r"algebra: \d+ samples less .* make 9 problems, and 8 are published"):
        magpie_hf.publish_to_folder(out, REPO, tmp_path / "to")
    write_record(record, stated)
    build(recipe, out)
    assert samples.read_bytes() == whole
    magpie_hf.publish_to_folder(out, REPO, tmp_path / "to")
    odd = Samples(10, {"contaminated": 2}, {"a": 1}, 0, 0, 4, 5)
    assert [line.partition(";")[0] for line in lint_numbers({"algebra": odd}, {"algebra": 8})] == [
        "algebra: 2 samples were dropped as contaminated, and the benchmarks count 1",
        "algebra: of 10 samples 4 are tagged, and 5 of these are on the domain",
    ]


def test_a_licence_that_the_models_own_card_states_is_enough(demo_model: Path, tmp_path: Path) -> None:
    build(small_recipe(Answers(resolve(str(demo_model))), "algebra", count=8), tmp_path / "out")
    magpie_hf.publish_to_folder(tmp_path / "out", REPO, tmp_path / "to")
    assert "apache-2.0" in (tmp_path / "to" / "README.md").read_text()


def test_a_japanese_card_and_a_template_of_ones_own(
    client: LoopbackHub, built: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish = ["publish", str(built[0]), REPO, *LICENCE]
    assert main([*publish, "--card-lang", "ja", "--to", str(tmp_path / "ja")]) == OK
    assert "です" in (tmp_path / "ja" / "README.md").read_text()
    mine = tmp_path / "mine.jinja"
    mine.write_text("---\n{{ metadata }}\n---\n# Mine: {{ provenance.k }} candidates\n")
    publish += ["--card-template", str(mine)]
    assert main([*publish, "--to", str(tmp_path / "own")]) == OK
    assert (tmp_path / "own" / "README.md").read_text().endswith("# Mine: 5 candidates\n")
    for text, message in (
        ("{{ no_such_thing }}", "no_such_thing"),
        ("{% if %}", "template"),
        ("# no metadata", "does not begin with the metadata"),
    ):
        mine.write_text(text)
        capsys.readouterr()
        assert main(publish) == BAD_INPUT
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert message in said
    assert not client.repositories


def test_the_documented_way_with_push_to_hub(hub: LoopbackHub, built: Build, tmp_path: Path) -> None:
    """The DatasetDicts, pushed one by one with the card first: all of it loads again."""
    (code,) = re.findall(
        r"```python\n(# Without magpie_hf's own.*?)```",
        (ROOT / "docs" / "publishing.md").read_text(),
        re.DOTALL,
    )
    code = code.replace("user/name", REPO).replace("data/mine", str(built[0]))
    given = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": WRITER,
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert hub.repositories[REPO].private
    assert reloaded(hub, tmp_path / "reader", "main") == expected("main", *built)


def test_push_is_checked_before_anything_is_built(
    hub: LoopbackHub,
    unlicensed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from huggingface_hub import constants

    for name, value in {"ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": False}.items():
        monkeypatch.setattr(constants, name, value)
    hub.create("ada/public", private=False)
    hub.create("ada/foreign", private=True, files={"notes.txt": b"mine"})
    writer = {"name": "x", "revision": "y", "steps": ["problems"]}
    other = {"provenance": {"models": [writer], "seed": 7, "domains": [], "versions": {}}}
    manifest, _ = with_manifest({"a": b"a"}, more={"builds": [other]})
    hub.create("ada/other", private=True, files={"a": b"a", MANIFEST: bytes(manifest[MANIFEST])})
    for words, token, message in (
        (["--push", "sums", *LICENCE], WRITER, "'sums' is no name that the Hub allows"),
        (["--push", REPO, *LICENCE], READER, "the token of ada may only read"),
        (["--push", REPO, *LICENCE], None, "no token of the Hub is on this machine"),
        (["--push", "ada/public", *LICENCE], WRITER, "ada/public is public; give --public"),
        (
            ["--push", "ada/foreign", *LICENCE],
            WRITER,
            "ada/foreign holds what this project did not put there (notes.txt)",
        ),
        (
            ["--push", "ada/other", *LICENCE],
            WRITER,
            "holds another build (its model is x at y, not ",
        ),
        (["--push", "bob/sums", *LICENCE], WRITER, "bob is neither you nor an organisation of yours"),
        (["--push", REPO, *LICENCE, "--tag", "v 1"], WRITER, "tag 'v 1' is no name for a tag"),
        (["--push", REPO], WRITER, "the licence of Nameless is not known"),
        (["--push", REPO, "--model-license", "apache2"], WRITER, "'apache2' is none of the Hub's ids"),
        (
            ["--push", REPO, *LICENCE, "--card-template", str(tmp_path / "none")],
            WRITER,
            "none cannot be read",
        ),
        (["--tag", "v1"], WRITER, "--tag is an option of publishing and --push is missing; give --push, too"),
        ([*LICENCE], WRITER, "--model-license is an option of publishing"),
        (["--test-share", "1.5"], WRITER, "the share of the test splits is 1.5"),
    ):
        monkeypatch.setenv("HF_TOKEN", token or "")
        if token is None:
            monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        assert (
            main(
                ["build", "--model", str(unlicensed), "--count", "4", "--out", str(tmp_path / "out"), *words]
            )
            == BAD_INPUT
        )
        said = capsys.readouterr()
        assert said.err.count("\n") == 1
        assert message in said.err
        assert WRITER not in said.out + said.err
        assert not (tmp_path / "out").exists()
    assert set(hub.repositories) == {"ada/public", "ada/foreign", "ada/other"}


def test_a_build_that_another_interrupted_is_finished_by_running_it_again(
    demo_model: Path, tmp_path: Path
) -> None:
    answers = Answers(resolve(str(demo_model)))
    small, out = small_recipe(answers, "algebra", count=8), tmp_path / "out"
    build(small, out)
    engine = replace(small.generator, reply=lambda *_: (_ for _ in ()).throw(EngineError("it dies")))
    larger = replace(
        small_recipe(answers, "algebra", count=30),
        generator=engine,
        solver=engine,
        scorer=replace(small.scorer, engine=engine),
    )
    with pytest.raises(EngineError):
        build(larger, out)
    with pytest.raises(BadInput, match="is not finished"):
        magpie_hf.publish_to_folder(out, REPO, tmp_path / "to")
    build(small, out)
    magpie_hf.publish_to_folder(out, REPO, tmp_path / "to")


def test_a_bit_that_flipped_is_noticed(built: Build, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built[0], copy)
    file = copy / "algebra" / "train_sft-00000-of-00001.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BadInput, match=r"train_sft-00000-of-00001.parquet is missing or was changed"):
        magpie_hf.publish_to_folder(copy, REPO, tmp_path / "to", wording=Wording(licences=("mit",)))


def test_a_copy_in_odd_places(built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wording = Wording(licences=("mit",))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    magpie_hf.publish_to_folder(built[0], REPO, tmp_path / "link", wording=wording)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "README.md").is_file()
    torn = tmp_path / ".magpie-real-killed"
    busy = tmp_path / ".magpie-real-busy"
    for folder in (torn, busy):
        folder.mkdir()
    lock = (busy / "lock").open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)  # another process is at work there
    (tmp_path / "real").rename(torn / "old")  # as a process leaves it that was killed between the two renames
    change, _ = magpie_hf.publish_to_folder(built[0], REPO, tmp_path / "real", wording=wording)
    assert change.none
    assert not torn.exists()
    assert busy.exists()
    lock.close()
    shutil.rmtree(busy)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"cannot be written \((Not a directory|File exists)\)"):
        magpie_hf.publish_to_folder(built[0], REPO, tmp_path / "file" / "to", wording=wording)
    assert not list(tmp_path.glob(".magpie-*"))
    monkeypatch.chdir(tmp_path / "real")
    with pytest.raises(BadInput, match="is the folder that you are in"):
        magpie_hf.publish_to_folder(built[0], REPO, ".", wording=wording)
    monkeypatch.chdir(tmp_path)
    for words, message in ((["--to", ""], "--to is empty"), (["--card-template", ""], "cannot be read")):
        assert main(["publish", str(built[0]), REPO, *LICENCE, *words]) == BAD_INPUT, message


def test_a_record_of_another_version_is_said(built: Build, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built[0], copy)
    for name, content, message in (
        ("provenance.json", "{}", "provenance.json is of another version"),
        ("provenance.json", "[]", r"provenance.json cannot be read \(no JSON object\)"),
        ("samples.json", "{}", "samples.json is not what this version writes"),
        ("build.json", "[]", r"build.json cannot be read \(no JSON object\); run the build again"),
        ("selection.json", "[]", r"selection.json cannot be read \(no JSON object\); run the build again"),
    ):
        before = (copy / "run" / name).read_text()
        (copy / "run" / name).write_text(content)
        with pytest.raises(BadInput, match=message):
            magpie_hf.publish_to_folder(copy, REPO, tmp_path / "to", wording=Wording(licences=("mit",)))
        (copy / "run" / name).write_text(before)
    record = read_record(copy / "run" / "build.json")
    write_record(copy / "run" / "build.json", {key: value for key, value in record.items() if key != "sums"})
    with pytest.raises(BadInput, match="lists no files"):
        magpie_hf.publish_to_folder(copy, REPO, tmp_path / "to", wording=Wording(licences=("mit",)))


def test_a_changed_file_is_no_part_of_a_build(built: Build, tmp_path: Path) -> None:
    stray = built[0] / "algebra" / "extra-00000-of-00001.parquet"
    stray.write_bytes((built[0] / "algebra" / "train_sft-00000-of-00001.parquet").read_bytes())
    try:
        magpie_hf.publish_to_folder(built[0], REPO, tmp_path / "to", wording=Wording(licences=("mit",)))
    finally:
        stray.unlink()
    assert not list((tmp_path / "to").rglob("extra*")), "what lies there besides is left alone"
