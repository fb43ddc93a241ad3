"""Publishing: the real clients against a Hub on this machine, with faults, rivals and kills."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
from datasets import DatasetDict, load_dataset

from conftest import ROOT, Answers, small_recipe
from loopback_hub import Fault, File, LoopbackHub, loopback_hub
from magpie_hf.building.build import build
from magpie_hf.card.card import PLACEHOLDER
from magpie_hf.cli.commands.exit_codes import BAD_INPUT, FAILED, OK
from magpie_hf.cli.main import main
from magpie_hf.errors import BadInput, HubError
from magpie_hf.hub import connection, upload
from magpie_hf.hub import retry as retrying
from magpie_hf.hub.builds import beside, builds_in
from magpie_hf.hub.local_folder import to_folder
from magpie_hf.hub.publish import preview as preview_build
from magpie_hf.hub.publish import publish
from magpie_hf.hub.push import preview, push
from magpie_hf.hub.release import released
from magpie_hf.hub.remote import check_names
from magpie_hf.models.model import resolve
from magpie_hf.run.interrupts import INTERRUPTED
from magpie_hf.store.manifest import MANIFEST, with_manifest
from magpie_hf.store.records import read_record
from magpie_hf.store.shards import write_record

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # huggingface_hub's own, for each upload over LFS

WRITER, READER = "hf_" + "writer" * 5, "hf_" + "reader" * 5
REPO = "ada/sums"
COMMIT = r"/api/datasets/ada/sums/commit/main"
PARQUET = {f"{name}/train-00000-of-00001.parquet" for name in "abc"}
CARD = b"---\nlicense: cc-by-nc-4.0\n---\n# Sums\n"


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with loopback_hub({WRITER: ("ada", "write"), READER: ("ada", "read")}) as running:
        yield running


@pytest.fixture
def client(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> LoopbackHub:
    """The clients of this process speak to `hub`, and wait little between tries."""
    from huggingface_hub import constants

    for name, value in {
        "ENDPOINT": hub.endpoint,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("HF_TOKEN", WRITER)
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.01)
    return hub


@pytest.fixture(scope="module")
def builds(
    demo_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, dict[str, DatasetDict]]]:
    """Two finished builds: the first of two domains with RL problems, the second of one domain and other
    words.
    """
    made = {}
    for name, salt, keys in (("first", "", ("algebra", "geometry")), ("second", "other", ("algebra",))):
        out = tmp_path_factory.mktemp("builds") / name
        answers = Answers(resolve(str(demo_model)), salt=salt, answers=3)
        made[name] = out, build(replace(small_recipe(answers, *keys, k=5), rl_majority_share=0.3), out)
    return made


def shards(number: int, names: str = "abc") -> dict[str, Path | bytes]:
    """Some files that look like a dataset's."""
    return {
        "README.md": CARD + str(number).encode(),
        **{f"{name}/train-00000-of-00001.parquet": f"{name}{number}".encode() * 50 for name in names},
    }


def at_head(hub: LoopbackHub) -> dict[str, bytes]:
    """The files of the newest commit, without the one that the Hub gives and the manifest."""
    files = hub.repositories[REPO].head.files
    return {path: file.content for path, file in files.items() if path not in (".gitattributes", MANIFEST)}


def rival(hub: LoopbackHub, files: dict[str, Path | bytes]) -> None:
    """Another process publishes, in the middle of everything."""
    whole, _ = with_manifest(files)
    with hub.lock:
        repo = hub.repositories[REPO]
        content = {
            path: File(bytes(one), path.endswith(".parquet"))
            for path, one in whole.items()
            if not isinstance(one, Path)
        }
        repo.add("a rival's", {".gitattributes": repo.head.files[".gitattributes"], **content})


PLOTLESS = (
    "import sys; sys.modules['matplotlib'] = None; from magpie_hf.cli.main import main; sys.exit(main())"
)


def run(
    hub: LoopbackHub, home: Path, *words: str, token: str | None = WRITER, plots: bool = True
) -> subprocess.Popen[str]:
    """magpie-hf publish, in a process of its own."""
    given = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
    }
    environment = {**os.environ, **given, **({"HF_TOKEN": token} if token else {})}
    if token is None:
        environment.pop("HF_TOKEN", None)
    program = ["-m", "magpie_hf"] if plots else ["-c", PLOTLESS]
    command = [sys.executable, *program, "publish", *words]
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str]:
    """Exit code and output, in which no token is."""
    out, error = process.communicate(timeout=seconds)
    assert WRITER not in out + error
    assert READER not in out + error
    assert "Traceback" not in error
    return process.returncode, out + error


RELOAD = """
import hashlib, json, sys
from datasets import get_dataset_config_names, load_dataset

def digest(rows):
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()

found = {}
for revision in sys.argv[2:]:
    for config in get_dataset_config_names(sys.argv[1], revision=revision):
        for split, rows in load_dataset(sys.argv[1], config, revision=revision).items():
            streamed = load_dataset(sys.argv[1], config, split=split, revision=revision, streaming=True)
            sums = digest(rows.to_list()), digest(list(streamed))
            found[f"{revision} {config} {split}"] = [len(rows), *sums]
    unnamed = load_dataset(sys.argv[1], revision=revision)
    for split, rows in unnamed.items():
        assert found[f"{revision} default {split}"][1] == digest(rows.to_list())
print(json.dumps(found))
"""


def reloaded(hub: LoopbackHub, home: Path, *revisions: str) -> dict[str, list[object]]:
    """What datasets reads of each config and split in a fresh cache: rows, and their digests, ordinary and
    streamed.
    """
    given = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": WRITER,
        "HF_HUB_DISABLE_XET": "1",
    }
    command = [sys.executable, "-c", RELOAD, REPO, *revisions]
    done = subprocess.run(
        command, env={**os.environ, **given}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[object]] = json.loads(done.stdout)
    return found


def expected(revision: str, folder: Path, datasets: dict[str, DatasetDict]) -> dict[str, list[object]]:
    """What was built: the domains' datasets as `build` handed them out, the rest as it lies in the folder."""
    configs = dict(datasets)
    for config in {"default", *(file.parent.name for file in folder.glob("*/*.parquet"))} - set(datasets):
        configs[config] = load_dataset(str(folder), config)
    found = {}
    for config, splits in configs.items():
        for split, rows in splits.items():
            digest = hashlib.sha256(json.dumps(rows.to_list(), sort_keys=True).encode()).hexdigest()
            found[f"{revision} {config} {split}"] = [len(rows), digest, digest]
    return found


def rows_in(wanted: dict[str, list[object]]) -> int:
    """The rows in the files, where those of `default` are the domains'."""
    return sum(int(str(count)) for name, (count, *_) in wanted.items() if name.split()[1] != "default")


def test_a_build_is_published_in_one_commit_and_loads_again(
    hub: LoopbackHub, builds: dict[str, tuple[Path, dict[str, DatasetDict]]], tmp_path: Path
) -> None:
    (first, one), (second, other) = builds["first"], builds["second"]
    code, said = ended(run(hub, tmp_path / "home", str(first), REPO, "--tag", "v1"))
    assert code == OK, said
    assert (
        f"published: {hub.endpoint}/datasets/{REPO} at commit {hub.repositories[REPO].head.oid}, tag v1"
        in said
    )
    assert len(hub.commits(REPO)) == 1
    assert hub.repositories[REPO].private
    files = at_head(hub)
    parquet = {
        file.relative_to(first).as_posix(): file.read_bytes() for file in first.glob("*/*-of-*.parquet")
    }
    assert {path: content for path, content in files.items() if not path.startswith("plots/")} == {
        **parquet,
        "README.md": files["README.md"],
        "LICENSE": (first / "LICENSE").read_bytes(),
        "recipe.yaml": (first / "recipe.yaml").read_bytes(),
    }
    assert f'load_dataset("{REPO}", split="train_sft")'.encode() in files["README.md"]
    assert PLACEHOLDER.encode() not in files["README.md"]
    wanted = expected("v1", first, one)
    assert {
        "v1 default train_sft",
        "v1 algebra train_sft",
        "v1 algebra train_prefs",
        "v1 geometry train_sft",
        "v1 algebra_rl train",
    } <= set(wanted)
    assert reloaded(hub, tmp_path / "reader", "v1") == wanted

    code, said = ended(run(hub, tmp_path / "home", str(first), REPO, "--tag", "v1"))
    assert (code, len(hub.commits(REPO))) == (OK, 1)
    assert "unchanged" in said

    code, said = ended(run(hub, tmp_path / "home", str(second), REPO, "--tag", "v2"))
    assert code == BAD_INPUT
    assert said == (
        f"magpie-hf: {REPO} holds another build (its domains geometry are not in this one); give --add to"
        " publish both, --overwrite to replace it, or another name\n"
    )
    code, said = ended(run(hub, tmp_path / "home", str(second), REPO, "--tag", "v1", "--overwrite"))
    assert code == BAD_INPUT
    assert "tag v1 of ada/sums names another version" in said
    assert len(hub.commits(REPO)) == 1
    code, said = ended(run(hub, tmp_path / "home", str(second), REPO, "--dry-run", "--overwrite"))
    assert code == OK
    assert re.search(r"^delete +[\d,]+ bytes +geometry/train_sft-00000-of-00001.parquet$", said, re.MULTILINE)
    assert re.search(
        rf"^change +[\d,]+ bytes +{len(other['algebra']['train_sft'])} rows  algebra/train_sft-",
        said,
        re.MULTILINE,
    )
    whole = rows_in(expected("main", second, other))
    sizes = re.findall(r"^(?:add|change) +([0-9]+) bytes", said.replace(",", ""), re.MULTILINE)
    assert f"1 the same; {sum(map(int, sizes)):,} bytes" in said
    assert f"{whole} rows in all" in said
    assert len(hub.commits(REPO)) == 1
    code, said = ended(run(hub, tmp_path / "home", str(second), REPO, "--tag", "v2", "--overwrite"))
    assert code == OK, said
    assert re.search(r"^delete +[\d,]+ bytes +geometry/train_sft-00000-of-00001.parquet$", said, re.MULTILINE)
    assert len(hub.commits(REPO)) == 2
    assert not [path for path in at_head(hub) if path.startswith("geometry")]
    both = {**expected("main", second, other), **wanted}
    assert reloaded(hub, tmp_path / "reader2", "main", "v1") == both


KINDS = {
    "503": (503, None),
    "429": (429, "0"),
    "429 later": (429, "1"),
    "409": (409, None),
    "drop": ("drop", None),
    "lost": ("lost", None),
}
STEPS = {
    "whoami": ("GET", "/whoami-v2"),
    "state": ("GET", r"/api/datasets/ada/sums$"),
    "create": ("POST", "/repos/create"),
    "tree": ("GET", "/tree/"),
    "card": ("POST", "/validate-yaml"),
    "commit": ("POST", "/commit/"),
    "refs": ("GET", "/refs"),
    "tag": ("POST", "/tag/"),
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_faults_at_every_step(client: LoopbackHub, kind: str, times: int, tmp_path: Path) -> None:
    """Each step fails; there is one commit, whole, and its tag."""
    what, after = KINDS[kind]
    for number, (step, (method, path)) in enumerate(STEPS.items()):
        if kind == "409" and step == "create":  # which says that it exists
            continue
        if kind == "429 later" and step not in ("commit", "tag"):
            continue
        if step == "tree" and (
            kind not in ("503", "drop") or times > 1
        ):  # the client's own tries, which take seconds
            continue
        client.faults[:] = [Fault(method, path, what, times, retry_after=after)]
        client.repositories.clear()
        heard: list[str] = []
        pushed = push(shards(number), REPO, tag="v1", say=heard.append)
        # A commit or a tag that is there is not asked for again.
        assert client.faults[0].seen >= (1 if kind == "lost" and step in ("commit", "tag") else times), step
        assert at_head(client) == shards(number), step
        assert [commit.oid for commit in client.commits(REPO)] == [pushed.commit], step
        assert client.repositories[REPO].tags == {"v1": pushed.commit}, step
        assert WRITER not in "".join(heard)
        if step not in ("tree",):
            assert any("trying again" in line for line in heard), (step, heard)


@pytest.mark.parametrize("kind", [503, "drop", "lost"])
def test_faults_of_uploads(client: LoopbackHub, kind: int) -> None:
    """These the client tries again by itself, a second later."""
    client.faults[:] = [
        Fault("PUT", "/lfs/", kind),
        Fault("POST", "/objects/batch", kind),
        Fault("POST", "/preupload/", kind),
    ]
    push(shards(1), REPO)
    assert at_head(client) == shards(1)
    assert len(client.commits(REPO)) == 1


def test_a_hub_that_stays_away(client: LoopbackHub) -> None:
    push(shards(1), REPO)
    for kind, words in (
        (503, "the Hub answered 503 (a fault)"),
        ("drop", "the connection failed (RemoteProtocolError); run the same command"),
    ):
        client.faults[:] = [Fault("POST", "/commit/", kind, times=99)]
        with pytest.raises(HubError, match=r"^the commit to ada/sums failed 6 times: ") as caught:
            push(shards(2), REPO)
        assert words in str(caught.value)
        assert client.faults[0].seen == 6
        assert "\n" not in str(caught.value)
        assert at_head(client) == shards(1)
    client.faults.clear()
    before = client.asked("PUT", "/lfs/")
    push(shards(2), REPO)
    assert client.asked("PUT", "/lfs/") == before, "what was uploaded is not sent again"
    assert len(client.commits(REPO)) == 2


def test_a_hub_that_never_answers(client: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a while, with a line for each try; a late answer is waited for."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    monkeypatch.setattr(connection, "WRITE_WAIT", 1.0)
    monkeypatch.setattr(connection, "PATIENCE", 1.2)
    client.faults[:] = [Fault("GET", "", "drop", times=99, seconds=60)]
    heard: list[str] = []
    began = time.monotonic()
    with pytest.raises(
        HubError, match=r"^the Hub did not answer 4 requests in a row, the last within 0\.3 s"
    ):
        push(shards(1), REPO, say=heard.append)
    assert time.monotonic() - began < 20
    asked = "asking the Hub who you are: the Hub did not answer in time; trying again in"
    assert len(heard) >= 2
    assert all(line.startswith(asked) for line in heard)
    client.faults[:] = [
        Fault("GET", "/whoami-v2", "before", seconds=0.1),
        Fault("POST", "/preupload/", "drop", seconds=3),
        Fault("POST", "/commit/", "lost", seconds=3),
    ]
    push(shards(1), REPO)
    assert at_head(client) == shards(1)
    assert len(client.commits(REPO)) == 1, "a commit whose answer is late is not made twice"


def test_a_hub_that_drips_and_a_login_page(client: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers in the Hub's place, and however slowly, it ends in one line."""
    monkeypatch.setattr(connection, "WHOLE", 0.3)
    monkeypatch.setattr(connection, "PATIENCE", 0.5)
    client.faults[:] = [Fault("GET", "", "drip", times=99)]
    with pytest.raises(
        HubError, match=r"^the Hub did not answer 2 requests in a row, the last within 0\.3 s"
    ):
        push(shards(1), REPO)
    page = b"<html>Log in, \xff</html>"
    for path, what, bodies in (
        ("/whoami-v2", "asking the Hub who you are", (page, b"{}", b"[]", b"null", b'{"name":"a","orgs":3}')),
        ("/api/datasets/ada/sums$", "reading ada/sums", (page, b"[]", b"null")),
    ):
        for body in bodies:
            client.faults[:] = [Fault("GET", path, 200, times=99, body=body)]
            with pytest.raises(HubError, match=f"^{what} failed: what answered is not the Hub; log in to"):
                push(shards(1), REPO)
    client.faults[:] = [Fault("GET", "/whoami-v2", 200, body=b'{"name":"ada","orgs":null}')]
    assert push(shards(1), REPO).committed


def test_an_upload_says_its_bytes(client: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "EVERY", 0.2)
    client.faults[:] = [Fault("PUT", "/lfs/", "before", times=3, seconds=1)]
    heard: list[str] = []
    push(shards(1), REPO, say=heard.append)
    said = [re.fullmatch(r"uploading for \d s: ([\d,]+) of ([\d,]+) bytes", line) for line in heard]
    counts = [int(one[1].replace(",", "")) for one in said if one]
    assert counts
    assert counts[-1] == sum(len(content) for path, content in at_head(client).items() if path in PARQUET)


def test_storage_that_is_used_up(client: LoopbackHub) -> None:
    for method, path, status, said in (
        ("POST", "/commit/", 403, "Private repository storage limit reached"),
        ("PUT", "/lfs/", 413, "too large"),
        ("POST", "/objects/batch", 507, "a fault"),
    ):
        client.faults[:] = [Fault(method, path, status, times=99, said=said)]
        with pytest.raises(HubError, match=rf"the storage there is used up, .*{said}.*; delete what is not"):
            push(shards(status), REPO)
    assert not client.commits(REPO)


@pytest.fixture
def xet(client: LoopbackHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """As `client`, over Xet, whose own tries end at once."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _xet

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    for name, value in {
        "CACHE": str(tmp_path / "xet"),
        "XORB_COMPRESSION_POLICY": "none",
        "CLIENT_RETRY_MAX_ATTEMPTS": "1",
        "CLIENT_RETRY_BASE_DELAY": "10ms",
    }.items():
        monkeypatch.setenv(f"HF_XET_{name}", value)
    _xet.abort_xet_session()
    yield client
    _xet.abort_xet_session()


def test_over_xet(xet: LoopbackHub, tmp_path: Path) -> None:
    """Paths and bytes; the same content again is no second commit."""
    content = random.Random(5).randbytes(300_000)
    (tmp_path / "large.parquet").write_bytes(content)
    files: dict[str, Path | bytes] = {**shards(1), "d/train.parquet": tmp_path / "large.parquet"}
    heard: list[str] = []
    push(files, REPO, say=heard.append)
    assert at_head(xet) == {**shards(1), "d/train.parquet": content}
    assert not xet.asked("PUT", "/lfs/")
    assert [line for line in heard if line.startswith("uploaded 6 of 6 files")]
    assert not push(files, REPO).committed


@pytest.mark.parametrize(
    ("path", "status", "kind", "message"),
    [
        (
            "/xet-write-token/",
            401,
            BadInput,
            "the Hub does not accept the token; log in with `hf auth login`",
        ),
        ("/xet-write-token/", 403, BadInput, "the token may not do that; log in with"),
        ("/v1/xorbs/", 401, BadInput, "the Hub does not accept the token; log in with"),
        ("/v1/xorbs/", 403, BadInput, "the token may not do that; log in with"),
        ("/v1/xorbs/", 402, HubError, "the storage there is used up"),
        ("/v1/shards", 413, HubError, "the storage there is used up"),
        ("/v1/xorbs/", 503, HubError, r"in Xet, .*\(status 503\), .*, or with HF_HUB_DISABLE_XET=1$"),
        ("/v1/xorbs/", "drop", HubError, r"in Xet, .*, or with HF_HUB_DISABLE_XET=1$"),
    ],
)
def test_what_xet_refuses(xet: LoopbackHub, path: str, status: int, kind: type, message: str) -> None:
    xet.faults[:] = [Fault("", path, status, times=99)]
    with pytest.raises(kind, match=rf"^the upload to ada/sums failed.*{message}") as caught:
        push(shards(1), REPO)
    assert "\n" not in str(caught.value)
    assert not xet.commits(REPO)


@pytest.mark.parametrize("disabled", [None, True])
def test_xet_alone_is_silent(
    xet: LoopbackHub, disabled: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So, too, where HF_HUB_DISABLE_PROGRESS_BARS is set."""
    from huggingface_hub.utils import tqdm

    monkeypatch.setattr(sys.modules[tqdm.__module__], "HF_HUB_DISABLE_PROGRESS_BARS", disabled)
    for name, value in {"EVERY": 0.3, "QUIET": 0.6, "GIVEN_UP": 2.0}.items():
        monkeypatch.setattr(upload, name, value)
    xet.faults[:] = [Fault("", "/v1/xorbs/", "drop", times=99, seconds=60)]
    heard: list[str] = []
    with pytest.raises(HubError, match=r"took nothing for 2 s, .*, or with HF_HUB_DISABLE_XET=1$"):
        push(shards(1), REPO, say=heard.append)
    assert [line for line in heard if line.startswith("Xet, the Hub's storage, has taken nothing for 1 s; ")]
    assert [line for line in heard if re.fullmatch(r"uploading for \d s: [\d,]+ of [\d,]+ bytes", line)]
    xet.faults.clear()
    push(shards(1), REPO)
    assert at_head(xet) == shards(1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_rival_commits_first(client: LoopbackHub, times: int) -> None:
    """Only the README differs, and the rival replaced everything: the last one wins, whole."""
    push(shards(1), REPO)
    old = client.repositories[REPO].head
    mine = {**shards(1), "README.md": CARD + b"mine"}
    turns = iter(range(5, 9))
    client.faults[:] = [
        Fault("POST", COMMIT, "before", times, then=lambda: rival(client, shards(next(turns), "abd")))
    ]
    heard: list[str] = []
    pushed = push(mine, REPO, say=heard.append)
    assert [line.split()[-1] for line in heard if line.startswith("delete")] == [
        "d/train-00000-of-00001.parquet"
    ]
    assert at_head(client) == mine, "no file of the rival's is left, and none of ours is missing"
    assert [commit.title for commit in client.commits(REPO)][1:] == ["a rival's"] * times + [
        "Publish with magpie_hf"
    ]
    assert pushed.commit == client.repositories[REPO].head.oid
    assert old.files["README.md"].content == shards(1)["README.md"]


def test_somebody_edits_the_card_meanwhile(client: LoopbackHub) -> None:
    push(shards(1), REPO)

    def edit() -> None:
        repo = client.repositories[REPO]
        repo.add("by hand", {**repo.head.files, "README.md": File(b"my words", False)})

    client.faults[:] = [Fault("POST", COMMIT, "before", then=edit)]
    with pytest.raises(
        BadInput, match=r"^README.md of ada/sums was edited on the Hub outside its place for own words; undo"
    ):
        push(shards(2), REPO)
    assert at_head(client) == {**shards(1), "README.md": b"my words"}
    push(shards(2), REPO, overwrite=True)
    assert at_head(client) == shards(2)


def test_others_files_are_left_alone(client: LoopbackHub) -> None:
    push(shards(1), REPO)
    repo = client.repositories[REPO]
    repo.add("by hand", {**repo.head.files, "CITATION.cff": File(b"cite me", False)})
    change = preview(shards(2, "ab"), REPO)
    assert (set(change.added), set(change.deleted)) == (set(), {"c/train-00000-of-00001.parquet"})
    assert set(change.changed) == {*shards(2, "ab"), MANIFEST}
    pushed = push(shards(2, "ab"), REPO)
    assert pushed.changes == change
    assert at_head(client) == {**shards(2, "ab"), "CITATION.cff": b"cite me"}
    assert not push(shards(2, "ab"), REPO).committed
    assert len(repo.commits) == 4


def test_foreign_and_public_repositories(client: LoopbackHub) -> None:
    client.create(REPO, private=True, files={"README.md": b"mine", "notes.txt": b"notes"})
    with pytest.raises(
        BadInput,
        match=(
            r"ada/sums holds what this project did not put there \(README.md, notes.txt\); give --overwrite"
        ),
    ):
        push(shards(1), REPO)
    with pytest.raises(BadInput, match="did not put there"):
        preview(shards(1), REPO)
    assert at_head(client) == {"README.md": b"mine", "notes.txt": b"notes"}
    push(shards(1), REPO, overwrite=True)
    assert at_head(client) == {**shards(1), "notes.txt": b"notes"}
    client.create(REPO, private=False)
    with pytest.raises(BadInput, match="ada/sums is public; give --public to publish there"):
        push(shards(1), REPO)
    assert not client.commits(REPO)
    push(shards(1), REPO, private=False)
    assert not client.repositories[REPO].private
    client.create(REPO, private=True)
    push(shards(1), REPO, private=False)
    assert not client.repositories[REPO].private
    client.repositories.clear()
    assert set(preview(shards(1), REPO).added) == {*shards(1), MANIFEST}
    assert not client.repositories


def test_tags(client: LoopbackHub) -> None:
    one = push(shards(1), REPO, tag="v1")
    assert push(shards(1), REPO, tag="v1").commit == one.commit
    uploads = client.asked("POST", "/preupload/")
    with pytest.raises(BadInput, match="tag v1 of ada/sums names another version"):
        push(shards(2), REPO, tag="v1")
    assert client.asked("POST", "/preupload/") == uploads
    push(shards(1), REPO, tag="v1.1")
    assert client.repositories[REPO].tags == {"v1": one.commit, "v1.1": one.commit}


@pytest.mark.parametrize(
    "name",
    [
        "sums",
        "ada/sums/more",
        "ada/",
        "/sums",
        "ada/su ms",
        "ada/-sums",
        "ada/su--ms",
        "ada/s..ms",
        "ada/x.git",
        "",
        "a/" + "b" * 96,
    ],
)
def test_bad_names(name: str) -> None:
    with pytest.raises(BadInput, match="is no name that the Hub allows"):
        check_names(name, None)


@pytest.mark.parametrize(
    "tag",
    [
        *("", "main", "HEAD", "a b", "-v", "v..1", "v1.lock", "v/1", "/v", "v/", ".v", "v.", "@{", "v@{1"),
        *("v" * 256, "f" * 40, "refs", "refsv1"),
        *(f"v{character}1" for character in "~^:?*[\\\n\x07\x7f"),
    ],
)
def test_bad_tags(tag: str) -> None:
    with pytest.raises(BadInput, match="is no name for a tag"):
        check_names(REPO, tag)


def test_who_may_not_write(client: LoopbackHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    for publishing in (push, preview):
        with pytest.raises(
            BadInput, match=r"^bob is neither you nor an organisation of yours, .* give one of ada in front"
        ):
            publishing(shards(1), "bob/sums")
    client.organisations = ("bob",)
    client.faults[:] = [Fault("POST", "/repos/create", 403)]
    with pytest.raises(BadInput, match=r"creating bob/sums failed: the token may not do that \(a fault\)"):
        push(shards(1), "bob/sums")
    monkeypatch.setenv("HF_TOKEN", READER)
    with pytest.raises(BadInput, match="the token of ada may only read; log in with `hf auth login`"):
        push(shards(1), REPO)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(BadInput, match="the Hub does not accept the token") as caught:
        push(shards(1), REPO)
    assert "hf_wrong" not in str(caught.value)
    for odd in ("hf_トークン", "hf_a b"):
        monkeypatch.setenv("HF_TOKEN", odd)
        with pytest.raises(BadInput, match=r"the token of the Hub holds characters that no token has"):
            push(shards(1), REPO)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(BadInput, match="no token of the Hub is on this machine; log in with `hf auth login`"):
        push(shards(1), REPO)
    assert not client.repositories


@pytest.fixture(scope="module")
def apart(
    builds: dict[str, tuple[Path, dict[str, DatasetDict]]],
    demo_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Two domains, each built in a folder of its own, as the same recipe says."""
    out = tmp_path_factory.mktemp("apart") / "geometry"
    answers = Answers(resolve(str(demo_model)), salt="other", answers=3)
    build(replace(small_recipe(answers, "geometry", k=5), rl_majority_share=0.3), out)
    return {"algebra": builds["second"][0], "geometry": out}


def test_another_build_is_published_beside_the_first(
    client: LoopbackHub, apart: dict[str, Path], tmp_path: Path
) -> None:
    """Two domains of two folders: the first one's files stay, and card, default and manifest count both."""
    one, other = apart["algebra"], apart["geometry"]
    heard: list[str] = []
    publish(one, REPO, add=True)
    first = at_head(client)
    for publishing in (publish, preview_build):
        with pytest.raises(BadInput, match=r"^ada/sums holds another build \(its domains algebra are not in"):
            publishing(other, REPO)
    assert at_head(client) == first
    change, rows = preview_build(other, REPO, add=True)
    assert not change.deleted
    reading = r"/resolve/.*/train_sft-"
    client.faults[:] = [
        Fault("GET", reading, 503),
        Fault("GET", reading, "lost"),
    ]
    pushed = publish(other, REPO, add=True, tag="both", say=heard.append)
    assert [line for line in heard if "trying again" in line]
    assert pushed.changes == change
    both = at_head(client)
    data = {path: content for path, content in first.items() if path.endswith(".parquet")}
    assert {path: both[path] for path in data} == data, "the other build's files stay as they are"
    renamed = {path for path in both if path.startswith("candidates/")} - set(data)
    assert renamed == {"candidates/train.geometry-00000-of-00001.parquet"}
    folder = tmp_path / "both"
    for path, content in both.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    for config, split in (("default", "train_sft"), ("candidates", "train")):
        loaded = load_dataset(str(folder), config, split=split, cache_dir=str(tmp_path / "cache"))
        each = [
            load_dataset(str(apart[key]), config, split=split, cache_dir=str(tmp_path / "cache")).to_list()
            for key in apart
        ]
        assert loaded.to_list() == [*each[0], *each[1]]
        assert each[0]
        assert each[1]
    problems = sum(count for path, count in rows.items() if path.startswith("candidates/"))
    card = both["README.md"].decode()
    assert f"{problems} mathematics problems in 2 domains" in card
    assert "The domains were built apart" in card
    manifest = client.repositories[REPO].head.files[MANIFEST].content
    assert [one.identity.domains for one in builds_in(manifest)] == [("algebra",), ("geometry",)]
    for folder in (one, other):
        assert not publish(folder, REPO, add=True).committed
        with pytest.raises(BadInput, match="holds another build"):
            publish(folder, REPO)
    stays, mine = builds_in(manifest)
    for key, value, message in (
        ("k", 7, r"was made otherwise \(its k is 5, not 7\)"),
        ("domains", [*stays.provenance["domains"], *mine.provenance["domains"][:0], {"key": "x"}], None),
        ("seed", 9, r"was made otherwise \(its seed is 0, not 9\)"),
        ("licence", {"id": "mit"}, r"under another licence .*; give its --license, or publish under another"),
    ):
        changed = replace(mine, provenance={**mine.provenance, key: value})
        if message is None:
            assert beside(REPO, [stays], changed) == [], "an earlier version of the same build"
            continue
        with pytest.raises(BadInput, match=message):
            beside(REPO, [stays], changed)
    read = replace(mine, provenance={**mine.provenance, "reviewed": {"read": 40, "good": 36}})
    assert beside(REPO, [stays], read) == [stays], "each build has marks of its own"
    twice = replace(stays, provenance={**stays.provenance, "domains": [{"key": "algebra"}, {"key": "y"}]})
    with pytest.raises(BadInput, match="holds algebra of another build; --add takes builds of other domains"):
        beside(REPO, [twice], stays)
    publish(one, REPO, overwrite=True, say=heard.append)
    assert {path for path in at_head(client) if path.startswith("geometry")} == set()
    deleted = [line.split()[-1] for line in heard if line.startswith("delete")]
    assert sorted(deleted) == sorted(set(both) - set(first)), "what a publish deletes is said"


def test_a_build_of_another_model_or_seed_is_kept(client: LoopbackHub, apart: dict[str, Path]) -> None:
    publish(apart["algebra"], REPO)
    before = at_head(client)
    (mine,) = builds_in(client.repositories[REPO].head.files[MANIFEST].content)
    writer, *others = mine.provenance["models"]
    for change, message in (
        ({"seed": 7}, r"holds another build \(its seed is 7, not 0\); give --overwrite"),
        (
            {"models": [{**writer, "name": "Else/Model", "revision": "f" * 40}, *others]},
            r"holds another build \(its model is Else/Model at ffffffff, not ",
        ),
        (None, r"holds another build \(its manifest does not say of which model\)"),
    ):
        listed = [] if change is None else [asdict(replace(mine, provenance={**mine.provenance, **change}))]
        files, _ = with_manifest(
            {**before, "README.md": before["README.md"] + b"\n"}, more={"builds": listed}
        )
        repo = client.repositories[REPO]
        content = {path: File(bytes(one), path.endswith(".parquet")) for path, one in files.items()}
        repo.add("another's", content)
        with pytest.raises(BadInput, match=message):
            publish(apart["algebra"], REPO)
        assert repo.head.title == "another's"
    publish(apart["algebra"], REPO, overwrite=True)
    assert at_head(client) == before


def test_a_manifest_that_somebody_else_wrote(
    client: LoopbackHub, apart: dict[str, Path], tmp_path: Path
) -> None:
    """Its paths lead to no file of this machine, and what it says otherwise is refused in one line."""
    publish(apart["geometry"], REPO)
    repo = client.repositories[REPO]
    manifest = json.loads(repo.head.files[MANIFEST].content)
    (build_there,) = manifest["builds"]
    victim = tmp_path / "victim.parquet"
    victim.write_text("mine")
    wrong = "a build in it is not what this version writes"
    samples, provenance = build_there["samples"]["geometry"], build_there["provenance"]
    for change, message in (
        ({"files": [str(victim)]}, wrong),
        ({"files": [f"../../../..{victim}"]}, wrong),
        ({"files": ["../victim.parquet"]}, wrong),
        ({"files": ["geometry/not_listed.parquet"]}, wrong),
        ({"files": None}, wrong),
        ({"samples": {}}, wrong),
        ({"samples": {"geometry": {**samples, "sampled": "9"}}}, wrong),
        ({"samples": {"geometry": {**samples, "rare": 9}}}, "a newer version of magpie_hf wrote it"),
        ({"rare": 9}, "a newer version of magpie_hf wrote it"),
        ({"unfinished": {"geometry": 3}}, wrong),
        ({"provenance": {**provenance, "versions": None}}, wrong),
        ({"provenance": {**provenance, "seed": "0"}}, wrong),
        ({"provenance": {**provenance, "domains": [3]}}, wrong),
    ):
        more = [path for path in change.get("files") or () if "not_listed" not in path]
        listed = {**manifest["files"], **dict.fromkeys(more, manifest["files"]["README.md"])}
        stated = {**manifest, "files": listed, "builds": [{**build_there, **change}]}
        written = {**repo.head.files, MANIFEST: File(json.dumps(stated).encode(), False)}
        repo.add("another's", {**written, **dict.fromkeys(more, repo.head.files["README.md"])})
        with pytest.raises(BadInput, match=rf"\(its manifest cannot be read: {message}\); give --over"):
            preview_build(apart["algebra"], REPO, add=True)
    for text in (b"[" * 100_000, b"[]", b"{", b'{"builds": 3}'):
        repo.add("another's", {**repo.head.files, MANIFEST: File(text, False)})
        with pytest.raises(BadInput, match="holds what this project did not put there"):
            preview_build(apart["algebra"], REPO, add=True)
    assert victim.read_text() == "mine"


def test_a_new_dataset_is_made_public_once_its_files_are_there(client: LoopbackHub) -> None:
    heard: list[str] = []
    preview(shards(1), REPO, private=False, say=heard.append)
    assert heard == [
        "ada/sums would be created, private",
        "ada/sums would be made public once its files are there",
    ]
    seen: list[bool] = []
    client.faults[:] = [
        Fault("POST", "/commit/", 400, then=lambda: seen.append(client.repositories[REPO].private))
    ]
    with pytest.raises(HubError, match="answered 400"):
        push(shards(1), REPO, private=False, say=heard.append)
    assert client.repositories[REPO].private, "a push that fails leaves nothing public"
    client.faults[0] = replace(client.faults[0], kind="before", seen=0)
    push(shards(1), REPO, private=False, say=heard.append)
    assert seen == [True, True]
    assert not client.repositories[REPO].private
    assert heard[-1] == "ada/sums was made public"
    heard.clear()
    preview(shards(2), REPO, private=False, say=heard.append)
    push(shards(2), REPO, private=False, say=heard.append)
    assert not [line for line in heard if "public" in line]


def test_killed_at_ten_moments(
    hub: LoopbackHub, builds: dict[str, tuple[Path, dict[str, DatasetDict]]], tmp_path: Path
) -> None:
    """SIGKILL when the n-th request arrives, which then is worked off or not; again: the new version, whole,
    in one commit.
    """
    first, second = (builds[name][0] for name in ("first", "second"))
    ended(run(hub, tmp_path, str(first), REPO, plots=False))
    old, old_files = at_head(hub), hub.repositories[REPO].head.files
    seen = len(hub.requests)
    newer = partial(run, hub, tmp_path, str(second), REPO, "--overwrite", "--tag", plots=False)
    assert ended(newer("v0"))[0] == OK
    requests, new = len(hub.requests) - seen, at_head(hub)
    choose = random.Random(6)
    for round_, number in enumerate(choose.sample(range(requests), 10)):
        hub.repositories[REPO].add("the old version again", old_files)
        hub.store.clear()  # so that everything is to be uploaded again
        before = len(hub.commits(REPO))
        victim: list[subprocess.Popen[str]] = []

        def kill(victim: list[subprocess.Popen[str]] = victim) -> None:
            victim[0].kill()
            victim[0].wait()

        hub.faults[:] = [Fault("", "", choose.choice(["before", "drop"]), skip=number, then=kill)]
        victim.append(newer(f"v{round_ + 1}"))
        assert victim[0].wait(120) == -9
        victim[0].communicate()
        hub.faults.clear()
        assert at_head(hub) in (old, new), number
        code, said = ended(newer(f"v{round_ + 1}"))
        assert code == OK, said
        assert at_head(hub) == new
        assert len(hub.commits(REPO)) == before + 1, number
        assert hub.repositories[REPO].tags[f"v{round_ + 1}"] == hub.repositories[REPO].head.oid


def test_two_publishers_at_once(
    hub: LoopbackHub, builds: dict[str, tuple[Path, dict[str, DatasetDict]]], tmp_path: Path
) -> None:
    def wait() -> None:
        deadline = time.monotonic() + 60
        while hub.asked("POST", "/commit/") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)

    hub.faults[:] = [Fault("POST", "/commit/", "before", times=2, then=wait)]
    both = [
        run(hub, tmp_path, str(builds[name][0]), REPO, "--overwrite", plots=False)
        for name in ("first", "second")
    ]
    for process in both:
        code, said = ended(process)
        assert code == OK, said
    assert len(hub.commits(REPO)) == 2
    assert hub.asked("POST", "/commit/") == 3, "one of them met the other's commit"
    wholes = []
    for name in ("first", "second"):
        with released(builds[name][0], REPO) as (files, *_):
            wholes.append(
                {path: one.read_bytes() if isinstance(one, Path) else one for path, one in files.items()}
            )
    assert at_head(hub) in wholes


def test_ctrl_c(
    hub: LoopbackHub, builds: dict[str, tuple[Path, dict[str, DatasetDict]]], tmp_path: Path
) -> None:
    running: list[subprocess.Popen[str]] = []

    def interrupt() -> None:
        running[0].send_signal(signal.SIGINT)
        running[0].wait(30)

    hub.faults[:] = [Fault("POST", "/commit/", "drop", then=interrupt)]
    running.append(run(hub, tmp_path, str(builds["first"][0]), REPO))
    code, said = ended(running[0])
    assert code == INTERRUPTED
    assert said.splitlines()[-1].startswith(
        "magpie-hf: stopped; the Hub holds either the previous version or the whole new one"
    )
    assert not hub.commits(REPO)


def test_publishing_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom magpie_hf import cli\nfrom magpie_hf.hub import publish,"
        " remote\nremote.check_names('a/b', 'v1')\nfrom huggingface_hub import HfApi, RepoFile,"
        " CommitOperationAdd, DatasetCard\nassert not {'torch', 'vllm', 'ray', 'transformers'} &"
        " set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_words_that_are_refused(
    client: LoopbackHub,
    builds: dict[str, tuple[Path, dict[str, DatasetDict]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    out = str(builds["first"][0])
    for words, token, line in (
        ((out, "sums"), WRITER, "'sums' is no name that the Hub allows; give user/name"),
        ((out, REPO, "--add", "--overwrite"), WRITER, "--add keeps the other builds there, and --overwrite"),
        ((out, REPO, "--tag", "main"), WRITER, "tag 'main' is no name for a tag"),
        ((out, REPO), None, "no token of the Hub is on this machine; log in with `hf auth login`"),
        ((out, REPO), READER, "the token of ada may only read"),
        ((str(tmp_path / "none"), REPO), WRITER, "does not exist; give the --out folder of a build"),
        ((out, REPO, "--to", str(tmp_path / "to"), "--public"), WRITER, "--to writes a folder"),
        ((out, REPO, "--to", str(ROOT)), WRITER, "holds other files; choose an empty or a new folder"),
    ):
        monkeypatch.setenv("HF_TOKEN", str(token))
        if token is None:
            monkeypatch.delenv("HF_TOKEN")
        assert main(["publish", *words]) == BAD_INPUT
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert line in said
        assert token is None or token not in said
    assert not client.repositories
    client.faults[:] = [Fault("GET", "/whoami-v2", 400)]
    monkeypatch.setenv("HF_TOKEN", WRITER)
    assert main(["publish", out, REPO]) == FAILED
    said = capsys.readouterr().err
    assert said == "magpie-hf: asking the Hub who you are failed: the Hub answered 400 (a fault)\n"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HF_HUB_DOWNLOAD_TIMEOUT", "abc", "is 'abc' and no whole number of seconds"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "-1", "is '-1' and no whole number of seconds"),
        ("HF_ENDPOINT", "http://[bad", "is 'http://[bad' and no URL; give one with https://"),
        ("HF_ENDPOINT", "localhost:1", "is 'localhost:1' and no URL; give one with https://"),
    ],
)
def test_settings_of_the_hub_that_cannot_be_read(name: str, value: str, message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "magpie_hf", "publish", "none", REPO],
        env={**os.environ, name: value},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (BAD_INPUT, 1), done.stderr
    assert f"{name} {message}" in done.stderr


def test_a_build_that_is_not_finished(
    builds: dict[str, tuple[Path, dict[str, DatasetDict]]], demo_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(builds["first"][0], out)
    shard = next(out.glob("geometry/train_sft-*.parquet"))
    content = shard.read_bytes()
    shard.write_bytes(content[:-9])
    with (
        pytest.raises(BadInput, match=r"train_sft-00000-of-00001.parquet is missing or was changed"),
        released(out, REPO),
    ):
        pass
    shard.unlink()
    with (
        pytest.raises(BadInput, match=r"train_sft-00000-of-00001.parquet is missing or was changed"),
        released(out, REPO),
    ):
        pass
    shard.write_bytes(content)
    record = read_record(out / "run" / "build.json")
    write_record(
        out / "run" / "build.json", {key: value for key, value in record.items() if key != "finished"}
    )
    with (
        pytest.raises(
            BadInput, match="is not finished \\(its files are not written yet\\); run it again, then publish"
        ),
        released(out, REPO),
    ):
        pass
    selection = read_record(out / "run" / "selection.json")
    selection["geometry"]["accepted"] = 5
    write_record(out / "run" / "selection.json", selection)
    with (
        pytest.raises(BadInput, match="is not finished \\(geometry: 5 of 12 problems accepted"),
        released(out, REPO),
    ):
        pass
    write_record(out / "run" / "build.json", record)
    with released(out, REPO), released(out, REPO) as (files, *_):
        assert "README.md" in files
        with pytest.raises(BadInput, match="another build runs"):
            build(small_recipe(Answers(resolve(str(demo_model)))), out)


def test_the_same_as_a_folder(
    builds: dict[str, tuple[Path, dict[str, DatasetDict]]], hub: LoopbackHub, tmp_path: Path
) -> None:
    first, datasets = builds["first"]
    to = tmp_path / "published"
    assert ended(run(hub, tmp_path / "home", str(first), REPO, "--to", str(to), token=None))[0] == OK
    assert not hub.requests
    assert (
        load_dataset(str(to), "geometry", split="train_prefs").to_list()
        == datasets["geometry"]["train_prefs"].to_list()
    )
    ended(run(hub, tmp_path / "home", str(first), REPO))
    here = {file.relative_to(to).as_posix(): file.read_bytes() for file in to.rglob("*") if file.is_file()}
    there = {
        path: file.content
        for path, file in hub.repositories[REPO].head.files.items()
        if path != ".gitattributes"
    }
    assert here == there, "the same bytes as on the Hub"
    with released(builds["second"][0], REPO) as (files, sums, *_):
        to_folder(files, to, sums)
        assert not list(to.glob("geometry*"))
        assert to_folder(files, to).none
        (to / "notes.txt").write_text("mine")
        with pytest.raises(BadInput, match=r"holds other files, such as notes\.txt"):
            to_folder(files, to)
        (to / "notes.txt").unlink()
        (to / "README.md").write_text("mine")
        with pytest.raises(BadInput, match=r"was changed since it was written \(README.md\)"):
            to_folder(files, to)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published"], "nothing is left beside it"


def test_the_manifest_says_what_is_there(client: LoopbackHub) -> None:
    push(shards(1), REPO)
    provenance = json.loads(client.repositories[REPO].head.files[MANIFEST].content)
    assert {path: one["sha256"] for path, one in provenance["files"].items()} == {
        path: hashlib.sha256(bytes(content)).hexdigest()
        for path, content in shards(1).items()
        if isinstance(content, bytes)
    }
    assert WRITER not in json.dumps(provenance)
    with pytest.raises(BadInput, match="cannot be published"):
        push({MANIFEST: b"{}"}, REPO)
