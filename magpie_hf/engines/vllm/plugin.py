"""The vLLM plug-in, run in each of vLLM's processes: it registers ArmoRM and our tokenizer, and ties the
process to its build.

Not here: ArmoRM itself. The entry point is `vllm.general_plugins`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from importlib.metadata import entry_points
from pathlib import Path

from magpie_hf.engines.vllm.tokenizer import register_tokenizer
from magpie_hf.errors import BadInput
from magpie_hf.models.heads import ARMORM_ARCHITECTURE

NAME = "magpie_hf"
PARENT = "MAGPIE_HF_PARENT"  # holds the process id of the build that an engine belongs to


def register() -> None:
    """Called by vLLM at start, in the main process and in those it spawns.

    The model is imported only when one is loaded.
    """
    from vllm import ModelRegistry

    ModelRegistry.register_model(
        ARMORM_ARCHITECTURE, "magpie_hf.engines.vllm.armorm:LlamaForRewardModelWithGating"
    )
    register_tokenizer()
    if os.environ.get(PARENT) == str(parent := os.getppid()):
        threading.Thread(target=_end_with, args=(parent,), name="magpie-parent", daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its build is gone (kill -9).

    Without this, vLLM's core would wait for requests for ever and hold its device. The process that balances
    several cores would too; it starts before them and loads no plug-in, so its cores end it.
    """
    beside = [pid for pid in _children(parent) if _balances(pid)]
    while os.getppid() == parent:
        time.sleep(0.5)
    for pid in filter(_balances, beside):
        with contextlib.suppress(ProcessLookupError):  # another core was first
            os.kill(pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _children(parent: int) -> list[int]:
    """The running child processes of any thread of this process."""
    found: list[int] = []
    for file in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            found += map(int, file.read_text().split())
    return found


def _balances(pid: int) -> bool:
    """Whether this process runs and balances vLLM's cores."""
    try:
        return b"DPCoordinator" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def check_plugin() -> None:
    """Raises BadInput where vLLM would not find the plug-in."""
    if NAME not in entry_points(group="vllm.general_plugins").names:
        raise BadInput(
            "vLLM does not see this package's plug-in, which loads tokenizers and ArmoRM; install magpie-hf"
            " again with pip"
        )
    allowed = os.environ.get("VLLM_PLUGINS")
    if allowed is not None and NAME not in allowed.split(","):
        raise BadInput(
            f"VLLM_PLUGINS is {allowed!r}, which keeps vLLM from this package's plug-in; add {NAME} to it, or"
            " unset it"
        )
