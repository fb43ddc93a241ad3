"""A real build, pushed by the command that makes it: the real engine and the real clients, against a Hub on
this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_hub import REPO, WRITER, ended, expected, reloaded

from conftest import FAST, ROOT
from loopback_hub import LoopbackHub, loopback_hub
from magpie_hf.cli.commands.exit_codes import INCOMPLETE, OK

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.filterwarnings("ignore"),
]  # vLLM and torch warn at import; that is theirs

# A model of this size labels by chance, and hardly ever agrees with itself.
SMALL = [
    "--domains",
    "algebra,geometry",
    "--count",
    "8",
    "--k",
    "2",
    "--instruction-max-tokens",
    "96",
    "--max-tokens",
    "192",
    *FAST,
]
LENIENT = [
    "--off-topic",
    "keep",
    "--min-quality",
    "very poor",
    "--unsolvable",
    "keep",
    "--rl-majority-share",
    "0.3",
    "--test-share",
    "0.3",
]


def build(hub: LoopbackHub, home: Path, model: Path, out: Path, *words: str) -> tuple[int, str]:
    given = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": WRITER,
    }
    command = [
        sys.executable,
        "-m",
        "magpie_hf",
        "build",
        "--model",
        str(model),
        "--out",
        str(out),
        *SMALL,
        *LENIENT,
        *words,
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, **given},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return ended(process, 550)


def test_a_real_build_is_pushed_and_loads_again(tiny_model: Path, tmp_path: Path) -> None:
    out, push = tmp_path / "out", ["--push", REPO, "--tag", "v1"]
    with loopback_hub({WRITER: ("ada", "write")}) as hub:
        code, said = build(hub, tmp_path / "home", tiny_model, out, *push)
        assert code in (OK, INCOMPLETE), said
        assert (
            f"published: {hub.endpoint}/datasets/{REPO} at commit {hub.repositories[REPO].head.oid}, tag v1"
            in said
        )
        assert len(hub.commits(REPO)) == 1
        assert hub.repositories[REPO].private
        wanted = expected("v1", out, {})
        assert {
            "v1 algebra train_sft",
            "v1 geometry train_sft",
            "v1 candidates train",
            "v1 candidates test",
        } <= set(wanted)
        assert reloaded(hub, tmp_path / "reader", "v1") == wanted
        code, said = build(hub, tmp_path / "home", tiny_model, out, *push)
        assert "unchanged: " in said
        assert len(hub.commits(REPO)) == 1
        card = hub.repositories[REPO].head.files["README.md"].content.decode()
        assert (
            card.count("](plots/")
            == len([path for path in hub.repositories[REPO].head.files if path.endswith(".svg")])
            > 0
        )
        assert tiny_model.name in card
