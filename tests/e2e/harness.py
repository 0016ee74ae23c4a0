"""What the end-to-end tests and the demo stand on: a repository with a real git server, and nodes that live below a
folder with --root. Everything that is started is ended by its pid."""

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = SOURCE / "examples" / "repo"
DYNIA = pathlib.Path(os.environ.get("DYNIA", SOURCE / "build" / "dynia")).resolve()

HTTP, HTTPS, CADDY, STATS, HEALTH = 18080, 18443, 18081, 18404, 18405

USAGE, INVALID, TO_DO = 2, 3, 4


class Failed(AssertionError):
    """A command that did not do what it should; the message holds what it said."""


def wait_for(condition, seconds=20, what="condition"):
    """Returns the first true value of condition(); an error of it counts as false."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
        except (OSError, http.client.HTTPException, Failed, ValueError, KeyError) as error:
            last = error
        time.sleep(0.02)
    raise TimeoutError(f"no {what} within {seconds} s" + (f": {last!r}" if last else ""))


@dataclasses.dataclass
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: str


class _Connection(http.client.HTTPSConnection):
    """HTTPS to an address, with another name in SNI and Host; the placeholder is nobody's certificate."""

    def __init__(self, address, port, name):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().__init__(address, port, timeout=5, context=context)
        self.name, self.tls = name, context

    def connect(self):
        raw = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self.tls.wrap_socket(raw, server_hostname=self.name)


def fetch(address, host, path="/", port=HTTPS, headers=None):
    """One request. TLS where the port is one of HTTPS."""
    if port in (HTTPS, 443):
        connection = _Connection(address, port, host)
    else:
        connection = http.client.HTTPConnection(address, port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Host": host, **(headers or {})})
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read().decode("utf-8", "replace"))


def run(*argv, check=True, **options):
    """A command to its end, with its output as text."""
    options.setdefault("timeout", 120)
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def dynia(*argv, check=True, **options):
    return run(DYNIA, *argv, check=check, **options)


def another_version(program):
    """Changes a program's file: in the version that it says it has, and in nothing else."""
    version = run(program, "version").stdout.split()[1]
    other = version[:-1] + ("8" if version.endswith("9") else "9")
    program.write_bytes(program.read_bytes().replace(version.encode(), other.encode()))
    assert run(program, "version").stdout == f"dynia {other}\n"


GIT_ENV = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "Ada",
           "GIT_AUTHOR_EMAIL": "ada@example.com", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com"}


class Repository:
    """A work tree, and the bare repository that it pushes to."""

    def __init__(self, folder):
        self.bare = pathlib.Path(folder) / "infra.git"
        self.tree = pathlib.Path(folder) / "infra"
        self._git("init", "--quiet", "--bare", "--initial-branch=main", self.bare)
        self._git("init", "--quiet", "--initial-branch=main", self.tree)
        self.git("remote", "add", "origin", self.bare)
        for key in ("name", "email"):
            self.git("config", f"user.{key}", GIT_ENV[f"GIT_AUTHOR_{key.upper()}"])

    @staticmethod
    def _git(*argv, **options):
        return run("git", *argv, env={**os.environ, **GIT_ENV}, **options)

    def git(self, *argv):
        """Runs git in the work tree; gives back what it printed."""
        return self._git("-C", self.tree, *argv).stdout.strip()

    def write(self, path, text):
        file = self.tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def read(self, path):
        return (self.tree / path).read_text(encoding="utf-8")

    def replace(self, path, old, new):
        text = self.read(path)
        assert old in text, f"{old!r} is not in {path}"
        self.write(path, text.replace(old, new))

    def commit(self, message="change"):
        """Commits and pushes all that is in the work tree; returns the commit's id."""
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        self.git("push", "--quiet", "--force", "origin", "main")
        return self.git("rev-parse", "HEAD")

    def second(self, name="status.git"):
        """A bare repository beside this one, for the status refs."""
        other = object.__new__(Repository)
        other.tree, other.bare = None, self.bare.with_name(name)
        self._git("init", "--quiet", "--bare", "--initial-branch=main", other.bare)
        return other

    def refs(self):
        return self._git("-C", self.bare, "for-each-ref", "--format=%(refname)").stdout.split()

    def status(self, node, cluster="demo", rev=""):
        """status.json of a node, as it was pushed."""
        return json.loads(self._git("-C", self.bare, "show", f"status/{cluster}/{node}{rev}:status.json").stdout)

    def log(self, node, cluster="demo"):
        """Subjects of a node's status commits, newest first."""
        return self._git("-C", self.bare, "log", "--format=%s", f"status/{cluster}/{node}").stdout.splitlines()

    def has_status(self, node, cluster="demo"):
        return f"refs/heads/status/{cluster}/{node}" in self.refs()


class Daemon:
    """git daemon with pushing allowed, on an address of its own."""

    PORT = 19418

    def __init__(self, repository, address, port=PORT):
        self.url = f"git://{address}:{port}/{repository.bare.name}"
        self.process = subprocess.Popen(
            ["git", "daemon", "--reuseaddr", f"--listen={address}", f"--port={port}", "--export-all",
             "--enable=receive-pack", "--informative-errors", f"--base-path={repository.bare.parent}"],
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: socket.create_connection((address, port), 1).close() is None, 10, "git daemon")
        except BaseException:
            self.stop()
            raise

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)


def start_time(pid):
    """Field 22 of /proc/PID/stat, or None where there is no such process, or a dead one."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def processes_below(folder):
    """The pids of all that was started with a path below the folder among its arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if os.fsencode(f"{folder}/") in file.read() and start_time(pid) and int(pid) != os.getpid():
                found.append(int(pid))
    return found


def end_processes_below(folder):
    """Nothing is left there where the program works; where it does not, nothing may be left either."""
    with contextlib.suppress(TimeoutError):
        wait_for(lambda: not processes_below(folder), 3, "end of what runs")
    for pid in processes_below(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Node:
    """A node below a folder: its files, its agent, and the programs that the agent starts."""

    PROGRAMS = ("haproxy", "caddy")

    def __init__(self, root, name, address, repository, cluster="demo", interval="1s"):
        self.root, self.name, self.address, self.cluster = pathlib.Path(root), name, address, cluster
        self.agent = None
        self.program = DYNIA
        self.env = dict(os.environ)
        self.as_user = []  # a prefix that drops privileges
        self.write("etc/dynia/agent.yaml",
                   f"version: 1\nrepository: {repository}\ncluster: {cluster}\nnode: {name}\ninterval: {interval}\n"
                   f"deadline: 10s\nlisten: {address}:9797\n")

    def write(self, path, text, mode=0o644):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)

    def argv(self, *more):
        return [*self.as_user, str(self.program), "reconcile", "--root", str(self.root), *more]

    def once(self, *more, check=True, **options):
        return run(*self.argv("--once", *more), check=check, env=self.env, **options)

    @property
    def log(self):
        return self.root.parent / f"{self.root.name}.log"

    def start(self):
        """The agent, as a loop."""
        with open(self.log, "ab") as log:
            self.agent = subprocess.Popen(self.argv(), env=self.env, stdout=log, stderr=log,
                                          stdin=subprocess.DEVNULL, start_new_session=True)

    def stop_agent(self, sig=signal.SIGTERM):
        if self.agent:
            with contextlib.suppress(ProcessLookupError):
                self.agent.send_signal(sig)
            try:
                self.agent.wait(20)
            except subprocess.TimeoutExpired:
                self.agent.kill()
                self.agent.wait()
                raise
            finally:
                self.agent = None

    def pid(self, program):
        """The running program's pid, or None. The file holds "PID STARTTIME": a pid that came again is not it."""
        try:
            pid, started = (self.root / "run/dynia" / f"{program}.pid").read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return None
        return int(pid) if start_time(pid) == started else None

    def pids(self):
        return {program: self.pid(program) for program in self.PROGRAMS}

    def stop_programs(self):
        running = [pid for pid in self.pids().values() if pid]
        for sig, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            for pid in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sig)
            end = time.monotonic() + seconds
            while running and time.monotonic() < end:
                running = [pid for pid in running if start_time(pid)]
                time.sleep(0.02)

    def stop(self):
        try:
            self.stop_agent()
        finally:
            self.stop_programs()

    def fetch(self, host, path="/", port=HTTPS, **options):
        return fetch(self.address, host, path, port, **options)

    def files(self, *folders):
        """Content and mode of every file below these folders (default: what Dynia manages)."""
        found = {}
        for folder in folders or ("opt", "etc/keepalived", "etc/logrotate.d", "etc/haproxy", "etc/caddy"):
            for file in sorted((self.root / folder).rglob("*")):
                if file.is_file() and not file.is_symlink():
                    found[str(file.relative_to(self.root))] = (file.stat().st_mode & 0o7777, file.read_bytes())
        return found

    def stamps(self):
        """Inode, size and times of everything below the root but logs, which the programs write."""
        found = {}
        for folder, folders, files in os.walk(self.root):
            if folder == str(self.root / "var/log"):
                folders.clear()
                continue
            for name in [*folders, *files]:
                path = os.path.join(folder, name)
                st = os.lstat(path)
                found[os.path.relpath(path, self.root)] = (st.st_ino, st.st_mode, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
        return found


class Site:
    """A folder with a repository, its server, and nodes: `with Site() as site:` leaves nothing behind."""

    def __init__(self, network=None):
        # Short: the path of a unix socket has 107 bytes at most.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dy", dir="/tmp"))
        self.folder.chmod(0o755)
        self.network = network or f"127.{20 + os.getpid() % 200}.{Site.count % 250}"
        Site.count += 1
        self.nodes = []
        self.daemon = None
        self.repository = Repository(self.folder)

    count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def address(self, i):
        return f"{self.network}.{i}"

    def use_example(self, cluster="demo", commit=True):
        """Puts the example's cluster into the repository, on this site's addresses."""
        for part in (f"clusters/{cluster}", ".github"):
            shutil.copytree(EXAMPLES / part, self.repository.tree / part)
        if cluster == "demo":
            for i in (1, 2):
                self.repository.replace("clusters/demo/cluster.yaml", f"127.0.10.{i}", self.address(i))
        return self.repository.commit("first") if commit else None

    def serve(self):
        """The repository's URL, behind git daemon."""
        if not self.daemon:
            self.daemon = Daemon(self.repository, self.address(250))
        return self.daemon.url

    def node(self, name="brave-panda", i=1, cluster="demo", **options):
        """A node that pulls from the daemon."""
        root = self.folder / f"n{len(self.nodes)}"
        root.mkdir()
        node = Node(root, name, self.address(i), self.serve(), cluster, **options)
        self.nodes.append(node)
        return node

    def close(self):
        try:
            for node in self.nodes:
                node.stop()
        finally:
            if self.daemon:
                self.daemon.stop()
            end_processes_below(self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)
