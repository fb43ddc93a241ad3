"""Programs of a model in the sandbox: good ones print, hostile ones are contained, and none is left over.

Not here: what a program's output is worth as an answer.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT
from magpie_hf.answers.programs import sandbox
from magpie_hf.answers.programs.inside import CPU_SECONDS
from magpie_hf.answers.programs.sandbox import MOST_OUTPUT, Sandbox
from magpie_hf.errors import BadInput

# What a program prints where it did what it must not
DONE = "done"
FORBIDDEN = {
    "fork": "import os; os.fork()",
    "fork bomb": "import os\nwhile True: os.fork()",
    "a process": "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])",
    "a shell": "import os\nif os.system('true'): raise SystemExit(1)",
    "spawn": "import os; os.posix_spawn('/usr/bin/env', ['env'], {})",
    "processes": "import multiprocessing as m; m.get_context('fork').Process(target=int).start()",
    "a thread": "import threading; threading.Thread(target=int).start()",
    "threads": "import threading\nfor _ in range(10_000): threading.Thread(target=input).start()",
    "2 GB": "x = bytearray(2 * 2**30)",
    "2 GB in pieces": "x = [bytearray(2**20) for _ in range(2048)]",
    "a huge power": "x = 7 ** 10 ** 10",
    "2 GB in a file": "f = open('x', 'wb')\nfor _ in range(2048): f.write(bytes(2**20)); f.flush()",
    "folders": "import os\nfor i in range(1000): os.mkdir(str(i))",
    "links": "import os\nopen('x', 'w').close()\nfor i in range(1000): os.link('x', str(i))",
    "2 GB in files": "for i in range(2048): open(str(i), 'wb').write(bytes(2**20))",
    "memory without an address": "import os; os.memfd_create('x')",
    "memory of the system": "import ctypes\nif ctypes.CDLL(None).shmget(1, 2**30, 0o1666) < 0: raise OSError",
    "a server of this machine": "import socket; socket.create_connection(('127.0.0.1', PORT), 2)",
    "the net": "import socket; socket.create_connection(('1.1.1.1', 53), 2)",
    "a datagram": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53))",
    "a local socket": "import socket; socket.socket(socket.AF_UNIX).bind('s')",
    "a name": "import socket; socket.gethostbyname('localhost')",
    "a page": "import urllib.request as u; u.urlopen('http://127.0.0.1:PORT', timeout=2)",
    "/etc": "open('/etc/passwd').read()",
    "/etc by hand": "import os; os.listdir('/etc')",
    "the home": (
        "import os\nif all(PYTHON.startswith(HOME + '/' + n) for n in os.listdir(HOME)): raise OSError"
    ),
    "the tests": "open(TESTS).read()",
    "through a symlink": "import os; os.symlink('/etc', 'e'); open('e/passwd').read()",
    "through /proc": "open('/proc/1/root/etc/passwd').read()",
    "up from here": "open('../../../../etc/passwd').read()",
    "this machine's processes": "import os\nif not os.path.exists('/proc/9'): 1 / 0",
    "the environment": "import os; print(os.environ['SECRET'])",
    "the environment of the first": "print(open('/proc/1/environ').read().split('SECRET=')[1])",
    "write beside Python": "import os; open(os.__file__, 'a')",
    "write above": "open('/x', 'w')",
    "write in /tmp": "open('/tmp/x', 'w')",
    "write in the home": "open(HOME + '/x', 'w')",
    "delete Python": "import shutil, os; shutil.rmtree(os.path.dirname(os.__file__))",
    "mount": "import ctypes\nif ctypes.CDLL(None).mount(b'x', b'/scratch', b'tmpfs', 0, None): raise OSError",
    "a namespace": "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000): raise OSError",
    "trace": "import ctypes\nif ctypes.CDLL(None).ptrace(16, 1, 0, 0) < 0: raise OSError",
    "be root": "import os; os.setuid(0)",
    "be left alone": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (99, 99))",
    "files without end": "x = [open('/dev/null') for _ in range(5000)]",
    "no end of depth": "def f(): f()\nf()",
    "a crash": "import ctypes; ctypes.string_at(0)",
    "a hang up": "import os, signal; os.kill(1, signal.SIGKILL); os.kill(-1, signal.SIGKILL)",
}
ENDLESS = {
    "endless": ("while True: pass", "time"),
    "endless, signals ignored": (
        "from signal import *\nfor n in set(Signals) - {9, 19}: signal(n, SIG_IGN)\nwhile True: pass",
        "time",
    ),
    "asleep": ("import time; time.sleep(10**6)", "time"),
    "asleep and silent": ("import os, time\nfor n in (0, 1, 2): os.close(n)\ntime.sleep(10**6)", "time"),
    "10^9 characters": ("for _ in range(10**6): print('x' * 1000)", "output"),
    "10^9 characters of errors": ("import sys\nwhile True: print('x' * 1000, file=sys.stderr)", "output"),
}


@pytest.fixture(scope="module")
def box() -> Sandbox:
    try:
        return Sandbox.find()
    except BadInput as refusal:  # as a build would say it
        pytest.skip(str(refusal))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server of this machine that would answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def left(cpu_seconds: int = CPU_SECONDS) -> list[str]:
    """The processes of this machine that run the sandbox's first file, for so many seconds of a processor."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if [b"/inside.py", str(cpu_seconds).encode()] == words[-3:-1]:
            found.append(folder.name)
    return found


def gone(cpu_seconds: int = CPU_SECONDS) -> bool:
    """Whether none is left; the kernel ends the last of them just after the first."""
    deadline = time.monotonic() + 20
    while left(cpu_seconds) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not left(cpu_seconds)


def test_programs_print(box: Sandbox) -> None:
    ran = box.run_all(
        ["print(2**10)", "import sympy\nprint(sympy.factorint(360))", "print('é', '数')", "1 / 0"]
    )
    assert [one.output for one in ran] == ["1024\n", "{2: 3, 3: 2, 5: 1}\n", "é 数\n", ""]
    assert [one.ending for one in ran] == ["ok", "ok", "ok", "error"]
    assert ran[3].error == "ZeroDivisionError: division by zero"
    scratch = "import os; open('x', 'w').write('9'); print(open('x').read(), os.listdir('.'))"
    assert [box.run(scratch).output for _ in "12"] == ["9 ['x']\n"] * 2, "each has a folder of its own"
    assert box.run("x" * 200_000).error == "a program of 200,000 bytes"
    assert box.run("print('\ud800'").ending == "error"
    assert gone()


@pytest.mark.parametrize("what", FORBIDDEN)
def test_contained(
    box: Sandbox, port: int, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "a key")
    names = f"PORT, HOME, TESTS, PYTHON = {port}, {str(Path.home())!r}, {__file__!r}, {sys.base_prefix!r}\n"
    ran = box.run(names + FORBIDDEN[what].replace(":PORT", f":{port}") + f"\nprint({DONE!r})", seconds=60)
    assert DONE not in ran.output
    assert "a key" not in ran.output
    assert ran.ending in ("error", "time")
    assert gone()


@pytest.mark.parametrize("what", ENDLESS)
def test_ended(box: Sandbox, what: str) -> None:
    source, ending = ENDLESS[what]
    ran = box.run(source, seconds=60 if "asleep" not in what else 1)
    assert ran.ending == ending
    assert len(ran.output) <= MOST_OUTPUT
    assert gone()


@pytest.mark.parametrize(("late", "killed_after"), [(0, 0), (0, 1), (1, 0), (1, 0.5)])
def test_none_is_left_over_when_this_process_is_killed(
    box: Sandbox, tmp_path: Path, late: int, killed_after: float
) -> None:
    """Also where bubblewrap has not come so far that it would end with this process."""
    bwrap = tmp_path / "bwrap"
    bwrap.write_text(f'#!/bin/sh\nsleep {late}\nexec {box.bwrap} "$@"\n')
    bwrap.chmod(0o755)
    mine = 7  # seconds of a processor that no other test gives
    code = (
        "from magpie_hf.answers.programs.sandbox import Sandbox\n"
        f"Sandbox({str(bwrap)!r}).run('import time; time.sleep(60)', {mine}, seconds=60)"
    )
    victim = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 30
    while not left(mine) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left(mine)
    time.sleep(killed_after)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert gone(mine)


def test_no_sandbox_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sandbox, "_of_the_extra", lambda: None)
    with pytest.raises(BadInput, match="this machine has no bubblewrap; install it"):
        Sandbox.find()
    refuses = tmp_path / "bwrap"
    refuses.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    refuses.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(refuses))
    with pytest.raises(BadInput, match=r"none here \(\S+: No permissions to create new namespace\); allow"):
        Sandbox.find()
    monkeypatch.setattr(shutil, "which", lambda name: str(tmp_path / "nothing"))
    with pytest.raises(BadInput, match=r"none here \(\S+nothing: No such file or directory\); allow"):
        Sandbox.find()
    lax = tmp_path / "lax"  # runs what it is given, without any wall
    lax.write_text(f"#!/bin/sh\nprintf '\\0'\nexec {sys.executable} -\n")
    lax.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(lax))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="of 7 refused"):
        Sandbox.find()


def test_a_bubblewrap_that_is_too_old_hides_no_better_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, box: Sandbox
) -> None:
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho 'bwrap: Unknown option --disable-userns' >&2\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(old))
    monkeypatch.setattr(sandbox, "_of_the_extra", lambda: box.bwrap)
    assert Sandbox.find() == box
