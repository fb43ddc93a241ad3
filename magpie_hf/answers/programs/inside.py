"""The first thing that runs inside the sandbox: it lays bounds on itself, then runs the program on stdin.

Not here: the sandbox (sandbox.py). This file imports the standard library alone, and runs as a script.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys

CPU_SECONDS, MEMORY, FILE_SIZE, FILES = 5, 512 * 2**20, 2**20, 32
READY = b"\0"  # what it says before it reads the program
# Of each kind of machine: the number by which the kernel's filter knows it, and the numbers of the system
# calls that a program gets EPERM for. clone3 alone gets ENOSYS, since then libc tries clone.
FORBIDDEN = {
    "x86_64": (
        0xC000003E,
        {
            "shmget": 29, "socket": 41, "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58,
            "semget": 64, "msgget": 68, "mkdir": 83, "link": 86, "symlink": 88, "ptrace": 101, "mknod": 133,
            "mount": 165, "add_key": 248, "keyctl": 250, "unshare": 272, "mkdirat": 258, "mknodat": 259,
            "linkat": 265, "symlinkat": 266, "perf_event_open": 298, "setns": 308, "memfd_create": 319,
            "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425, "clone3": 435,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "mknodat": 33, "mkdirat": 34, "symlinkat": 36, "linkat": 37, "mount": 40, "unshare": 97,
            "ptrace": 117, "msgget": 186, "semget": 190, "shmget": 194, "socket": 198, "socketpair": 199,
            "add_key": 217, "keyctl": 219, "clone": 220, "perf_event_open": 241, "setns": 268,
            "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425, "clone3": 435,
        },
    ),
}  # fmt: skip
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # of the kernel's filter language
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000  # numbers of x86_64's second set of calls begin here
_NO_NEW_PRIVILEGES, _FILTER = 38, 22  # of prctl


def bounds(cpu_seconds: int) -> None:
    """Of this process: CPU seconds, address space in bytes, bytes of a file, open files, no core dump."""
    for what, most in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, FILE_SIZE),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def one_process() -> None:
    """From here on the kernel refuses this process others, threads, sockets, and memory of another sort.

    Folders and links are of the last: they take the kernel's own memory, which no bound here counts.

    The number of a user's processes cannot be bounded for root, and address space counts for one process
    alone. Raises OSError where the kernel takes no filter, KeyError on another kind of machine.
    """
    machine, calls = FORBIDDEN[platform.machine()]
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    program += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    for name, number in calls.items():
        refusal = errno.ENOSYS if name == "clone3" else errno.EPERM
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | refusal)]
    program.append((_RETURN, 0, 0, _ALLOW))
    code = b"".join(struct.pack("=HBBI", *step) for step in program)
    held = ctypes.create_string_buffer(code, len(code))
    whole = struct.pack("@HP", len(program), ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_FILTER, 2, whole, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


if __name__ == "__main__":
    os.write(1, READY)
    source = sys.stdin.buffer.read()
    bounds(int(sys.argv[1]))
    one_process()
    exec(compile(source, "program", "exec", dont_inherit=True), {"__name__": "__main__"})
