"""A model hub on a socket: one repository, served with the hub's protocol."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """`files` by name, at one commit; every path that was asked for, and the header that came with
    it.
    """

    repository: str
    commit: str
    files: dict[str, bytes]
    url: str = ""
    asked: list[str] = field(default_factory=list[str])

    def find(self, path: str) -> bytes | None:
        """Return the file at /owner/name/resolve/revision/file; None if there is none."""
        head, _, tail = path.partition("/resolve/")
        revision, _, name = tail.partition("/")
        ours = head == f"/{self.repository}" and revision in ("main", self.commit)
        return self.files.get(name) if ours else None


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve it at `hub.url` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            content = hub.find(self.path)
            self.send_response(200 if content is not None else 404)
            if content is None:
                self.send_header(
                    "X-Error-Code",
                    "EntryNotFound" if hub.repository in self.path else "RepoNotFound",
                )
            self.send_header("X-Repo-Commit", hub.commit)
            self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if with_body and content:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
