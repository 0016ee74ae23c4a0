"""A real dockerd for the tests, one for each pytest process, with images that are made here: there is no registry.

Each pytest process lives in a network namespace of its own (isolate()), so that bridges, iptables rules and published ports of two
daemons, and the loopback addresses of two test processes, cannot meet. The daemon also has a pid and a mount namespace, with an init
of its own: where that init ends, containers, shims and mounts are gone with it, however the tests end.

    host = DockerHost(folder)
    host.start()
    host.engine.get("/containers/json")
    host.stop()
"""

import collections
import contextlib
import ctypes
import http.client
import io
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tarfile
import threading
import urllib.parse

import cgroups
from harness import run, wait_for

BUSYBOX = "/bin/busybox"  # of busybox-static

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


outside = None  # the network namespace that this process came from, where packages are installed from


def isolate():
    """Moves this process, and what it starts from now on, into a network namespace of its own that holds loopback alone."""
    if os.geteuid() != 0:
        return
    global outside
    outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
    run("ip", "link", "set", "lo", "up")


def run_outside(*argv, **options):
    """A command to its end, where packages are installed from."""
    if outside:
        argv, options = ("nsenter", f"--net=/proc/self/fd/{outside}", *argv), {**options, "pass_fds": [outside]}
    return run(*argv, **options)


def die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# --- the Engine API ------------------------------------------------------------------------------------------------------


class EngineError(AssertionError):
    """An answer that is no success."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    """The Engine API of a daemon, as Docker documents it."""

    def __init__(self, path):
        self.path = str(path)

    def call(self, method, path, body=None, timeout=60, headers=None, **query):
        if query:
            path += "?" + urllib.parse.urlencode({k: v if isinstance(v, str) else json.dumps(v) for k, v in query.items()})
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        elif body is not None:
            headers["Content-Type"] = "application/x-tar"
        with contextlib.closing(_UnixConnection(self.path, timeout)) as connection:
            connection.request(method, "/v1.41" + path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        if answer.status >= 400:
            raise EngineError(answer.status, text)
        with contextlib.suppress(ValueError):
            return json.loads(text)
        return text

    def get(self, path, **query):
        return self.call("GET", path, **query)

    def post(self, path, body=None, **query):
        return self.call("POST", path, body, **query)

    def delete(self, path, **query):
        return self.call("DELETE", path, **query)

    def containers(self, *labels, everything=True):
        """The list's own form of every container that has all of these labels ("key" or "key=value")."""
        return self.get("/containers/json", all=everything, filters={"label": list(labels)})

    def inspect(self, name):
        return self.get(f"/containers/{name}/json")

    def run(self, image, name, **options):
        """Starts a container as a stranger would; returns its id."""
        made = self.post("/containers/create", {"Image": image, **options}, name=name)
        self.post(f"/containers/{made['Id']}/start")
        return made["Id"]

    def remove_all(self):
        """Containers, networks and volumes; the images stay."""
        for container in self.get("/containers/json", all=True):
            with contextlib.suppress(EngineError):
                self.delete(f"/containers/{container['Id']}", force=True, v=True)
        for network in self.get("/networks"):
            if network["Name"] not in ("bridge", "host", "none"):
                with contextlib.suppress(EngineError):
                    self.delete(f"/networks/{network['Id']}")
        for volume in self.get("/volumes")["Volumes"] or []:
            with contextlib.suppress(EngineError):
                self.delete(f"/volumes/{volume['Name']}")


# --- images --------------------------------------------------------------------------------------------------------------


class Root:
    """The files of an image, as a tar archive in memory."""

    def __init__(self):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w")
        self.seen = set()

    def folder(self, path, mode=0o755):
        path = path.strip("/")
        if not path or path in self.seen:
            return
        self.folder(os.path.dirname(path))
        self.seen.add(path)
        info = tarfile.TarInfo(path)
        info.type, info.mode = tarfile.DIRTYPE, mode
        self.tar.addfile(info)

    def file(self, path, data, mode=0o644):
        data = data.encode() if isinstance(data, str) else data
        self.folder(os.path.dirname(path))
        info = tarfile.TarInfo(path.strip("/"))
        info.size, info.mode = len(data), mode
        self.tar.addfile(info, io.BytesIO(data))
        self.seen.add(path.strip("/"))

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        info = tarfile.TarInfo(path.strip("/"))
        info.type, info.linkname = tarfile.SYMTYPE, target
        self.tar.addfile(info)

    def busybox(self):
        self.file("bin/busybox", pathlib.Path(BUSYBOX).read_bytes(), 0o755)
        for applet in run(BUSYBOX, "--list").stdout.split():
            if applet != "busybox":
                self.link(f"bin/{applet}", "busybox")
        for folder in ("etc", "proc", "sys", "dev", "run"):
            self.folder(folder)
        self.folder("tmp", 0o1777)
        self.file("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
        self.file("etc/group", "root:x:0:\n")

    def program(self, path):
        """A program of this machine, and the libraries that it needs (ldd)."""
        needed = [path]
        for line in run("ldd", path).stdout.splitlines():
            found = re.search(r"(/\S+)", line)
            if found:
                needed.append(found.group(1))
        for item in needed:
            if item.strip("/") not in self.seen:
                self.file(item, pathlib.Path(item).read_bytes(), 0o755)

    def finish(self):
        self.tar.close()
        return self.buffer.getvalue()


# A pid 1 takes no SIGTERM that it did not ask for: without the trap each stop would last its whole grace period.
UNTIL_STOPPED = "trap 'exit 0' TERM; %s & wait"


def web(text, start=UNTIL_STOPPED % "httpd -f -p 80 -h /www", check=None):
    """An image that serves /www on port 80: the text at / and /health, its environment at /env."""
    root = Root()
    root.busybox()
    for name in ("www/index.html", "www/health"):
        root.file(name, text + "\n")
    root.file("start", f"#!/bin/sh\nenv > /www/env\n{start}\n", 0o755)
    changes = ['CMD ["/start"]', "EXPOSE 80"]
    if check:
        changes.append(f"HEALTHCHECK --interval=1s --timeout=2s --retries=2 CMD {check}")
    return root.finish(), changes


ASK = "wget -q -O /dev/null http://127.0.0.1/health"

# name: what makes it. All are dynia.test/NAME.
IMAGES = {
    "web:1": lambda: web("web 1"),
    "web:2": lambda: web("web 2"),
    "well:1": lambda: web("well 1", check=ASK),  # with a health check of its own
    "well:2": lambda: web("well 2", check=ASK),
    "slow:1": lambda: web("slow 1", "sleep 3; " + UNTIL_STOPPED % "httpd -f -p 80 -h /www", ASK),  # healthy after a while
    "exits:1": lambda: web("exits", "echo it ends at once; exit 3"),
    "never:1": lambda: web("never", check="false"),  # answers, and its check never passes
    "deaf:1": lambda: web("deaf", UNTIL_STOPPED % "sleep 100000"),  # runs, and listens nowhere
    # Healthy, and dies after so many seconds: of its environment, 10 by default.
    "fades:1": lambda: web("fades", "trap 'exit 0' TERM; httpd -p 80 -h /www; sleep ${AFTER:-10} & wait $!; echo it fades; exit 1", ASK),
}


# --- the daemon ----------------------------------------------------------------------------------------------------------


class DockerHost:
    """One dockerd, and everything below a folder of its own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.socket = self.folder / "docker.sock"
        self.log = self.folder / "dockerd.log"
        self.group = f"dynia-test-{os.getpid()}"
        self.engine = Engine(self.socket)
        self.init = self.init_pid = self.daemon = None
        self.options = []

    @property
    def env(self):
        """For docker and compose."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    def start(self):
        for program in ("dockerd", "docker-init", "unshare", "nsenter"):
            run("sh", "-c", 'command -v "$0"', program)
        self.init = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
             "docker-init", "-s", "--", "sleep", "infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
        children = pathlib.Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children")
        # The child has its namespaces, and its own /proc, once it has become the init.
        self.init_pid = int(wait_for(lambda: children.read_text(encoding="ascii").split(), 30, "init")[0])
        wait_for(lambda: "docker-init" in pathlib.Path(f"/proc/{self.init_pid}/comm").read_text(encoding="ascii"), 30, "init")
        try:
            self.start_daemon()
            for name, make in IMAGES.items():
                self.image(f"dynia.test/{name}", *make())
        except BaseException:
            self.stop()
            raise

    def start_daemon(self):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(
                ["nsenter", "-t", str(self.init_pid), "-m", "-p", "--no-fork", "--", "sh", "-c", 'exec "$@" & wait $!', "sh",
                 "dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec",
                 "--pidfile", self.folder / "pid", "--host", f"unix://{self.socket}",
                 "--cgroup-parent", f"/{self.group}", "--shutdown-timeout", "5", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_ready()

    def wait_ready(self):
        def ready():
            assert self.daemon.poll() is None, f"dockerd ended:\n{self.tail()}"
            return self.engine.get("/_ping")

        try:
            wait_for(ready, 240, "dockerd")
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def tail(self):
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])

    def daemon_pid(self):
        """The pid of dockerd as this process sees it."""
        inner = int((self.folder / "pid").read_text(encoding="ascii"))
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                pids = re.search(r"^NSpid:\s+(.*)$", status.read_text(encoding="utf-8"), re.MULTILINE)
                numbers = pids.group(1).split() if pids else []
                if len(numbers) == 2 and numbers[1] == str(inner) and self._is_inside(status.parent):
                    return int(numbers[0])
        raise AssertionError("dockerd does not run")

    def _is_inside(self, process):
        return os.readlink(process / "ns/pid") == os.readlink(f"/proc/{self.init_pid}/ns/pid")

    def stop_daemon(self, sig=signal.SIGTERM):
        """dockerd alone; with SIGKILL its containers go on running."""
        os.kill(self.daemon_pid(), sig)
        self.daemon.wait(60)

    @contextlib.contextmanager
    def hanging(self):
        """In it dockerd takes connections and answers nothing."""
        pid = self.daemon_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self):
        """The init's end is the end of all that runs in its namespaces, and of their mounts."""
        if self.init_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.init_pid, signal.SIGKILL)
        if self.init:
            self.init.kill()
            self.init.wait()
        if self.daemon:
            self.daemon.wait(30)
        self.init = self.init_pid = self.daemon = None
        for hierarchy in pathlib.Path("/sys/fs/cgroup").glob(f"**/{self.group}"):
            cgroups.remove(hierarchy)

    def image(self, name, tar, changes=()):
        """docker import."""
        repository, _, tag = name.rpartition(":")
        query = urllib.parse.urlencode([("fromSrc", "-"), ("repo", repository), ("tag", tag),
                                        *(("changes", change) for change in changes)])
        said = self.engine.post(f"/images/create?{query}", tar)
        assert "error" not in str(said), said


# --- a look at what is asked of it -----------------------------------------------------------------------------------------


class Proxy:
    """A unix socket before the daemon's that writes down each request: (method, path). With `hold` set it takes connections and
    passes nothing on."""

    REQUEST = re.compile(rb"(?:^|\n)(GET|HEAD|POST|PUT|DELETE) (/\S*) HTTP/1\.1\r\n")

    def __init__(self, path, target):
        self.path, self.target = str(path), str(target)
        self.requests = []
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source, sink, note):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if note:
                    with self.lock:
                        self.requests += [(m.decode(), p.decode()) for m, p in self.REQUEST.findall(data)]
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def take(self):
        """The requests since the last time."""
        with self.lock:
            taken, self.requests = self.requests, []
        return taken

    def counts(self):
        """The same, as a count of each method and path without version and query."""
        return collections.Counter((m, re.sub(r"^/v[0-9.]+", "", p).split("?")[0]) for m, p in self.take())

    def close(self):
        # shutdown() wakes the thread that accepts; close() alone would not.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
