"""Stoplight Prism between the program and a double: it holds each request and each answer against the published description, and
answers in the double's place where one of them is not as described.

    with Prism(description, double) as prism:
        run(..., env={"DIGITALOCEAN_API_URL": prism.url, ...})
        assert not prism.problems

The way of a call: the program, a Tap, which takes down what comes back, Prism, the double. All of it is on loopback.
"""

import contextlib
import dataclasses
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse

import docker_host
from harness import Failed, SOURCE, run, wait_for

VERSION = "5.14.2"
PACKAGE = f"@stoplight/prism-cli@{VERSION}"
NODE = 18  # Debian 12's
# What it depends on is taken as it was on this day, soon after it was published: the same in each checkout.
BEFORE = "2025-10-10"
FOLDER = SOURCE / "build" / "prism"
PROGRAM = "node_modules/@stoplight/prism-cli/dist/index.js"
SHOWN = 1000  # characters; of a record that is wrong Prism says what is wrong with it as one of each type
HOP_BY_HOP = ("connection", "host", "content-length", "transfer-encoding", "keep-alive")


def install():
    """Prism's program, from npm's registry where it is not in build/prism yet."""
    folder = FOLDER / VERSION
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Failed(f"{program} is not installed, which Prism needs: tests/packages.sh check")
    node = run("node", "--version").stdout.strip()
    if int(node.removeprefix("v").split(".")[0]) < NODE:
        raise Failed(f"node {node} is too old for Prism: it takes {NODE}")
    if not folder.exists():
        unfinished = FOLDER / f"unfinished-{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        try:
            done = docker_host.run_outside(
                "npm", "install", "--prefix", unfinished, "--before", BEFORE, "--no-audit", "--no-fund", "--ignore-scripts",
                "--no-package-lock", "--no-update-notifier", "--fetch-retries=1", "--loglevel=error", PACKAGE, check=False, timeout=600)
            if done.returncode != 0:
                raise Failed(f"Prism cannot be installed: npm does not get {PACKAGE} from its registry: {' '.join(done.stderr.split())[:300]}")
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder / PROGRAM


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclasses.dataclass
class Passed:
    """One call, and what came back."""

    method: str
    path: str  # with its query
    body: bytes
    status: int
    problem: str | None  # what Prism has against it


def problem_of(answer, text):
    """Prism's own answers are problem documents (RFC 7807); what it has against one that it passed on is in a header."""
    if answer.getheader("Content-Type", "").startswith("application/problem+json"):
        document = json.loads(text)
        found = [v["message"] for v in document.get("validation", [])]
        return "; ".join(found)[:SHOWN] or document["title"]
    return answer.getheader("sl-violations")


class Tap:
    """Hands each call on to a port, and takes it down."""

    def __init__(self, port):
        self.passed = []
        tap = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as onwards:
                    onwards.request(self.command, self.path, body or None, {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP})
                    answer = onwards.getresponse()
                    text = answer.read()
                tap.passed.append(Passed(self.command, self.path, body, answer.status, problem_of(answer, text)))
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in (*HOP_BY_HOP, "server", "date", "sl-violations"):
                        self.send_header(name, value)
                if answer.status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


class Prism:
    """`description`: a file; `upstream`: where the API is, with the path that the description's server has."""

    def __init__(self, description, upstream, log):
        self.port = free_port()
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                ["node", install(), "proxy", "--errors", "--cors=false", "--verboseLevel=warn", "--host=127.0.0.1", f"--port={self.port}",
                 description, upstream], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self.tap = Tap(self.port)
        try:
            wait_for(self.answers, 120, f"Prism at {description}: {log}")
        except BaseException:
            self.close()
            raise

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Prism has ended: {self.log.read_text(encoding='utf-8')[-2000:]}")
        return socket.create_connection(("127.0.0.1", self.port), 5).close() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.tap.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    @property
    def url(self):
        return self.tap.url

    @property
    def passed(self):
        return self.tap.passed

    @property
    def problems(self):
        return [f"{p.method} {urllib.parse.unquote(p.path)} {p.status}: {p.problem}" for p in self.passed if p.problem]

    def ask(self, method, path, body=None, token=None):
        """One call; what Prism has against it."""
        with contextlib.closing(http.client.HTTPConnection(*self.tap.server.server_address[:2], timeout=120)) as connection:
            headers = {"Authorization": f"Bearer {token}", **({} if body is None else {"Content-Type": "application/json"})}
            connection.request(method, path, body, headers)
            connection.getresponse().read()
        return self.passed[-1].problem
