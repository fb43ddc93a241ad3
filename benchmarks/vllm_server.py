"""A real vLLM server of a model on a loopback port, in a process of its own, for benchmarks and tests.

Not here: the requests.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

COMPACT_JSON = '{"backend": "xgrammar", "disable_any_whitespace": true}'


class VLLMServer:
    """A vLLM server with the settings that engines/vllm/ gives an engine on a CPU.

    It starts the module `vllm.entrypoints.openai.api_server`, since vLLM's build for CPUs has no `vllm
    serve`.
    """

    def __init__(
        self,
        folder: Path,
        log: Path,
        *more: str,
        length: int = 1024,
        rates: bool = False,
        gigabytes: float = 1.0,
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = log
        own = (
            ["--runner", "pooling", "--block-size", "32"]
            if rates
            else ["--structured-outputs-config", COMPACT_JSON]
        )
        self._command = [
            *(
                sys.executable,
                "-m",
                "vllm.entrypoints.openai.api_server",
                "--model",
                str(folder),
                "--dtype",
                "float32",
            ),
            *(
                "--host",
                "127.0.0.1",
                "--port",
                str(self.port),
                "--max-model-len",
                str(length),
                "--max-num-seqs",
                "32",
            ),
            *(
                "--enforce-eager",
                "--no-enable-chunked-prefill",
                "--max-num-batched-tokens",
                str(max(length, 4096)),
            ),
            *(
                "--kv-cache-memory-bytes",
                str(int(gigabytes * 2**30)),
                "--disable-uvicorn-access-log",
                "--uvicorn-log-level",
                "error",
            ),
            *own,
            *more,
        ]
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start to load, on the same port as before. Several servers may load at once; `ready` waits."""
        # One thread per server: servers with a thread per core each would wait for one another.
        threads = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
        environment = os.environ | threads | {"VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def ready(self, seconds: float = 240) -> Self:
        """Wait until the server answers. Raises RuntimeError with the end of its log if it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5),
            ):
                return self
            time.sleep(0.2)
        raise RuntimeError(f"the server did not start: {self.log.read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """Send SIGKILL to the server and the processes that it started."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # processes that the stopped server left behind

    def _end(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
