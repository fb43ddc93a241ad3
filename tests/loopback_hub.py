"""A Hub on this machine for the tests: repositories of datasets with commits and tags, in memory, spoken to
by the real clients over LFS, or over Xet as far as uploads go.

Not here: downloads over Xet, models, spaces, pull requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

import yaml

Files = dict[str, "File"]


@dataclass(frozen=True)
class File:
    """A file in a repository: its bytes, and whether they lie in LFS."""

    content: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def blob(self) -> str:
        pointer = (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize"
            f" {len(self.content)}\n"
        )
        content = pointer.encode() if self.lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        lfs = (
            {
                "lfs": {
                    "oid": self.sha256,
                    "sha256": self.sha256,
                    "size": len(self.content),
                    "pointerSize": 130,
                }
            }
            if self.lfs
            else {}
        )
        return {"type": "file", "path": path, "size": len(self.content), "oid": self.blob, **lfs}


@dataclass(frozen=True)
class Commit:
    oid: str
    title: str
    files: Files


@dataclass
class Repository:
    """Its commits from the first to the head, its tags, and who may see it."""

    private: bool
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, title: str, files: Files) -> Commit:
        self.commits.append(
            Commit(
                hashlib.sha1(
                    f"{len(self.commits)}{title}{sorted(files)}{time.time_ns()}".encode()
                ).hexdigest(),
                title,
                files,
            )
        )
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        wanted = self.commits[-1].oid if revision == "main" else self.tags.get(revision, revision)
        return next((commit for commit in self.commits if commit.oid == wanted), None)

    @property
    def head(self) -> Commit:
        return self.commits[-1]


@dataclass
class Fault:
    """What happens to the first `times` requests whose method and path match, after `skip` that go through;
    "" is any method.

    A number is answered in place of the work; `drop` ends the connection before the work, `lost` after it;
    `drip` answers a byte at a time; `before` only runs `then`. body: of a number's answer.
    seconds: the answer comes so much later.
    """

    method: str
    path: str
    kind: int | Literal["drop", "lost", "before", "drip"]
    times: int = 1
    skip: int = 0
    retry_after: str | None = None
    said: str = "a fault"
    body: bytes = b"{}"
    then: Callable[[], None] | None = None
    seconds: float = 0.0
    seen: int = 0

    def strikes(self, method: str, path: str) -> bool:
        if self.method not in ("", method) or not re.search(self.path, path):
            return False
        self.seen += 1
        return self.skip < self.seen <= self.skip + self.times


@dataclass
class LoopbackHub:
    """The state of the Hub: who may do what, the repositories, what LFS holds, what was asked, and the
    faults to come.
    """

    tokens: dict[str, tuple[str, str]]  # token -> (user, role)
    repositories: dict[str, Repository] = field(default_factory=dict)
    store: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    endpoint: str = ""
    organisations: tuple[str, ...] = ()  # of every user
    most_requests: int = 20_000
    lock: threading.RLock = field(default_factory=threading.RLock)
    closed: threading.Event = field(default_factory=threading.Event)

    def asked(self, method: str, path: str) -> int:
        """How many requests of this kind came."""
        return sum(1 for verb, line in self.requests if verb == method and re.search(path, line))

    def commits(self, repo: str) -> list[Commit]:
        """The commits besides the first, which makes the repository."""
        return self.repositories[repo].commits[1:] if repo in self.repositories else []

    def create(self, repo: str, private: bool, files: dict[str, bytes] | None = None) -> Repository:
        made = Repository(private)
        made.add(
            "initial commit",
            {".gitattributes": File(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n", False)},
        )
        if files:
            made.add(
                "by hand",
                {**made.head.files, **{path: File(content, False) for path, content in files.items()}},
            )
        self.repositories[repo] = made
        return made


class _Refused(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which holds every answer back by 40 ms
    hub: LoopbackHub

    def do_GET(self) -> None:
        body = self._body()
        path, _, query = self.path.partition("?")
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
            fault = next((fault for fault in self.hub.faults if fault.strikes(self.command, path)), None)
            over = len(self.hub.requests) > self.hub.most_requests
        if fault is not None and fault.then is not None:
            fault.then()
        if over:
            return self._answer(500, b"too many requests for a test")
        if fault is not None and fault.kind != "lost":
            self.hub.closed.wait(fault.seconds)
        if fault is not None and fault.kind == "drop":
            return self._drop()
        if fault is not None and fault.kind == "drip":
            return self._drip()
        if fault is not None and isinstance(fault.kind, int):
            after = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
            return self._answer(fault.kind, fault.body, {"X-Error-Message": fault.said, **after})
        try:
            with self.hub.lock:
                status, answer, headers = self._work(path, query, body)
        except _Refused as refused:
            named = {"X-Error-Code": refused.code} if refused.code else {}
            status, answer, headers = refused.status, b"{}", {**named, "X-Error-Message": refused.message}
        if fault is not None and fault.kind == "lost":
            self.hub.closed.wait(fault.seconds)
            return self._drop()
        return self._answer(status, answer, headers)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _drip(self) -> None:
        self._answer(200, b"", {"Content-Length": "1000"})
        with suppress(OSError):  # the client has left
            for _ in range(1000):
                self.wfile.write(b" ")
                if self.hub.closed.wait(0.05):
                    return

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _work(self, path: str, query: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        user, role = self._who()
        if path == "/api/whoami-v2":
            if not role:
                raise _Refused(401, "", "Invalid user token.")
            return _json(
                {
                    "name": user,
                    "type": "user",
                    "orgs": [{"name": name} for name in self.hub.organisations],
                    "auth": {"accessToken": {"role": role}},
                }
            )
        if path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if path.startswith("/lfs/") and self.command == "PUT":
            if hashlib.sha256(body).hexdigest() != path.removeprefix("/lfs/"):
                raise _Refused(400, "", "other bytes than were announced")
            self.hub.store[path.removeprefix("/lfs/")] = body
            return _json({})
        if path.startswith(("/v1/", "/v2/")):
            return self._xet(path, body)
        if path == "/api/repos/create":
            return self._create(json.loads(body), user, role)
        if match := re.fullmatch(
            r"/(?:api/)?datasets/([^/]+/[^/]+?)(?:\.git/info/lfs/objects/(batch)|/(.*))?", path
        ):
            name, batch, rest = match.groups()
            return self._repository(name, f"{batch or rest or ''}".split("/"), parse_qs(query), body)
        raise _Refused(404)

    def _xet(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """The storage behind Xet: each run of whole chunks in what is uploaded may be a file."""
        if path.startswith("/v1/xorbs/"):
            chunks = list(_chunks(body))
            for first in range(len(chunks)):
                for last in range(first, len(chunks)):
                    content = b"".join(chunks[first : last + 1])
                    self.hub.store[hashlib.sha256(content).hexdigest()] = content
            return _json({"was_inserted": True})
        if path == "/v1/shards":
            return _json({"result": 1})
        if path == "/v1/telemetry":
            return _json({})
        raise _Refused(404)  # no chunk is known, and what newer clients ask for first is not here

    def _who(self) -> tuple[str, str]:
        return self.hub.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "), ("", ""))

    def _create(self, wanted: dict[str, Any], user: str, role: str) -> tuple[int, bytes, dict[str, str]]:
        owner = wanted.get("organization") or user
        if role not in ("write", "fineGrained") or owner not in (user, *self.hub.organisations):
            raise _Refused(403 if role else 401, "", "You don't have the rights to create a dataset here")
        name = f"{owner}/{wanted['name']}"
        url = {"url": f"{self.hub.endpoint}/datasets/{name}"}
        if name in self.hub.repositories:
            return _json({**url, "error": "You already created this dataset repo"}, 409)
        self.hub.create(name, wanted.get("visibility") == "private")
        return _json(url)

    def _repository(
        self, name: str, rest: list[str], query: dict[str, list[str]], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        user, role = self._who()
        repo = self.hub.repositories.get(name)
        owner = bool(role) and name.split("/")[0] in (user, *self.hub.organisations)
        if repo is None or (repo.private and not owner):
            raise _Refused(404 if role else 401, "RepoNotFound", "Repository not found")
        what, revision = rest[0], unquote(rest[1]) if len(rest) > 1 else "main"
        if (
            self.command in ("POST", "PUT")
            and what != "paths-info"
            and not (owner and role in ("write", "fineGrained"))
        ):
            raise _Refused(403, "", "You need write access")
        if what == "batch":
            return self._batch(json.loads(body))
        if what == "settings":
            repo.private = json.loads(body).get("visibility", "private") == "private"
            return _json({})
        if what == "xet-write-token":
            return _json({"accessToken": "xet", "exp": int(time.time()) + 3600, "casUrl": self.hub.endpoint})
        if what == "refs":
            branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.head.oid}
            tags = [
                {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": oid}
                for tag, oid in repo.tags.items()
            ]
            return _json({"branches": [branch], "converts": [], "tags": tags})
        commit = repo.at(revision)
        if commit is None:
            raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if what in ("", "revision"):
            siblings = [{"rfilename": path} for path in commit.files]
            return _json(
                {
                    "id": name,
                    "sha": commit.oid,
                    "private": repo.private,
                    "gated": False,
                    "tags": [],
                    "siblings": siblings,
                    "cardData": _front_matter(commit),
                }
            )
        if what == "tree":
            return self._tree(
                commit, unquote("/".join(rest[2:])), query.get("recursive", ["False"])[0].lower() == "true"
            )
        if what == "paths-info":
            paths = parse_qs(body.decode()).get("paths", [])
            return _json([commit.files[path].entry(path) for path in paths if path in commit.files])
        if what == "resolve":
            return self._resolve(commit, unquote("/".join(rest[2:])))
        if what == "preupload":
            return _json({"files": [_mode(commit, file) for file in json.loads(body)["files"]]})
        if what == "tag":
            tag = json.loads(body)["tag"]
            if tag in repo.tags:
                raise _Refused(409, "", "Tag reference exists already")
            repo.tags[tag] = commit.oid
            return _json({})
        if what == "commit":
            return self._commit(name, repo, [json.loads(line) for line in body.splitlines() if line.strip()])
        raise _Refused(404, "", f"{what} is not part of this Hub")

    def _batch(self, wanted: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        objects = []
        for one in wanted["objects"]:
            put = {"actions": {"upload": {"href": f"{self.hub.endpoint}/lfs/{one['oid']}", "header": {}}}}
            objects.append({**one, **({} if one["oid"] in self.hub.store else put)})
        return _json({"transfer": "basic", "objects": objects})

    def _tree(self, commit: Commit, under: str, recursive: bool) -> tuple[int, bytes, dict[str, str]]:
        inside = {
            path: file for path, file in commit.files.items() if not under or path.startswith(under + "/")
        }
        if under and not inside:
            raise _Refused(404, "EntryNotFound", f"{under} does not exist")
        start = len(under) + 1 if under else 0
        folders = {path[: path.index("/", start)] for path in inside if "/" in path[start:]}
        files = [
            file.entry(path) for path, file in sorted(inside.items()) if recursive or "/" not in path[start:]
        ]
        return _json(
            [
                *(
                    {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
                    for folder in sorted(folders)
                ),
                *files,
            ]
        )

    def _resolve(self, commit: Commit, path: str) -> tuple[int, bytes, dict[str, str]]:
        file = commit.files.get(path)
        if file is None:
            raise _Refused(404, "EntryNotFound", f"{path} does not exist")
        headers = {
            "X-Repo-Commit": commit.oid,
            "ETag": f'"{file.sha256 if file.lfs else file.blob}"',
            "Accept-Ranges": "bytes",
        }
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(match[1]), min(int(match[2] or len(file.content)), len(file.content) - 1)
            return (
                206,
                file.content[first : last + 1],
                {**headers, "Content-Range": f"bytes {first}-{last}/{len(file.content)}"},
            )
        return 200, file.content, headers

    def _commit(
        self, name: str, repo: Repository, lines: list[dict[str, Any]]
    ) -> tuple[int, bytes, dict[str, str]]:
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.head.oid):
            raise _Refused(412, "", "A commit has happened since. Please refresh and try again.")
        files = dict(repo.head.files)
        for line in lines[1:]:
            value, path = line["value"], line["value"]["path"]
            if line["key"] == "file":
                files[path] = File(base64.b64decode(value["content"]), False)
            elif line["key"] == "lfsFile" and value["oid"] in self.hub.store:
                files[path] = File(self.hub.store[value["oid"]], True)
            elif line["key"] == "deletedFile" and path in files:
                del files[path]
            else:
                raise _Refused(400, "", f"{line['key']} {path} cannot be committed")
        made = repo.add(header["summary"], files)
        return _json(
            {
                "success": True,
                "commitOid": made.oid,
                "commitUrl": f"{self.hub.endpoint}/datasets/{name}/commit/{made.oid}",
            }
        )


def _json(value: Any, status: int = 200) -> tuple[int, bytes, dict[str, str]]:
    return status, json.dumps(value).encode(), {}


def _front_matter(commit: Commit) -> Any:
    """The metadata at the top of a repository's card."""
    card = commit.files.get("README.md")
    parts = card.content.decode().split("---\n") if card is not None else []
    return yaml.safe_load(parts[1]) if len(parts) > 2 and not parts[0] else None


def _mode(commit: Commit, file: dict[str, Any]) -> dict[str, Any]:
    lfs = file["path"].endswith(".parquet")
    there = commit.files.get(file["path"])
    known = {} if there is None else {"oid": there.sha256 if there.lfs else there.blob}
    return {"path": file["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, **known}


def _chunks(xorb: bytes) -> Iterator[bytes]:
    """The chunks of a xorb: each has a version, its size, its compression (here none) and its whole size."""
    while len(xorb) > 8 and xorb[0] == xorb[4] == 0 and xorb[1:4] == xorb[5:8]:
        size = 8 + int.from_bytes(xorb[1:4], "little")
        yield xorb[8:size]
        xorb = xorb[size:]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed, or a connection that a fault closed, is no news."""


@contextmanager
def loopback_hub(tokens: dict[str, tuple[str, str]]) -> Iterator[LoopbackHub]:
    """A Hub on a free port, closed at the end."""
    hub = LoopbackHub(tokens)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        yield hub
    finally:
        hub.closed.set()
        server.shutdown()
        server.server_close()
        serving.join(10)
