"""Clean root file systems of the distributions that the package is built for: nothing is in them but apt and make.

Each is made once with mmdebstrap and kept in the cache; each use is an overlay on it. What is mounted and started for it lives in
mount and process namespaces of its own, and goes with them, however the test ends.

    with Root("debian-12") as root:
        root.run("apt-get", "update", network=True)
"""

import contextlib
import dataclasses
import inspect
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import docker_host
import images
from harness import run, wait_for

KEY = pathlib.Path(__file__).with_name("ubuntu-archive.asc")  # by which Ubuntu signs; Debian's is in debian-archive-keyring
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}


@dataclasses.dataclass(frozen=True)
class Distribution:
    suite: str
    libgit2: str
    ubuntu: bool = False


DISTRIBUTIONS = {
    "ubuntu-22.04": Distribution("jammy", "1.1", ubuntu=True),
    "ubuntu-24.04": Distribution("noble", "1.7", ubuntu=True),
    "debian-12": Distribution("bookworm", "1.5"),
    "debian-13": Distribution("trixie", "1.9"),
}


def _make(distribution, root):
    """Ten to twenty seconds."""
    options = ["--components=main,universe", f"--keyring={KEY}"] if distribution.ubuntu else []
    docker_host.run_outside("mmdebstrap", "--variant=minbase", "--quiet", "--include=apt,make", "--aptopt=Acquire::Retries \"5\"",
                            "--dpkgopt=force-unsafe-io", *options, distribution.suite, root, *images.sources(distribution.suite),
                            timeout=1200)


# The first process of the namespaces: mounts what is needed, and then collects what has ended.
FIRST = """
import os, subprocess, sys, time
base, folder = sys.argv[1:]
root = folder + "/root"
layers = f"lowerdir={base},upperdir={folder}/upper,workdir={folder}/work"
for mount in (("-t", "overlay", "overlay", "-o", layers, root), ("-t", "proc", "proc", root + "/proc"),
              ("--rbind", "/dev", root + "/dev"), ("--rbind", "/sys", root + "/sys")):
    subprocess.run(["mount", *mount], check=True)
open(folder + "/ready", "w").close()
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.1)
"""


class Root:
    """A clean root file system, until the block ends."""

    def __init__(self, name):
        self.distribution = DISTRIBUTIONS[name]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dyr", dir="/var/tmp"))
        self.first = None
        try:
            base = images.cached([self.distribution, inspect.getsource(_make)], lambda folder: _make(self.distribution, folder))
            for part in ("root", "upper", "work"):
                (self.folder / part).mkdir()
            self.folder.chmod(0o755)
            (self.folder / "upper").chmod(0o755)
            self._start(base)
        except BaseException:
            self.close()
            raise

    def _start(self, base):
        self.first = subprocess.Popen(
            ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child",
             sys.executable, "-c", FIRST, base, self.folder],
            stdin=subprocess.DEVNULL, preexec_fn=docker_host.die_with_parent)
        wait_for(lambda: (self.folder / "ready").exists() or self.first.poll() is not None, 30, "mounts")
        assert self.first.poll() is None, "the first process has ended"
        children = pathlib.Path(f"/proc/{self.first.pid}/task/{self.first.pid}/children").read_text(encoding="utf-8")
        self.init = int(children)
        shutil.copy("/etc/resolv.conf", self.path("/etc/resolv.conf"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """All that ran inside ends with the first process, and the mounts with them."""
        if self.first:
            self.first.kill()
            self.first.wait(30)
        with contextlib.suppress(TimeoutError):
            wait_for(self._is_removed, 30, "end of what ran inside")
        assert not self.folder.exists(), f"{self.folder} is left"

    def _is_removed(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()

    def path(self, path):
        """A file inside, from here, while the block runs."""
        return pathlib.Path(f"/proc/{self.init}/root{self.folder}/root") / str(path).lstrip("/")

    def exists(self, path):
        return os.path.lexists(self.path(path))

    def copy(self, file, path):
        shutil.copy(file, self.path(path))
        return path

    def bind(self, folder):
        """A folder of this machine, at the same path inside."""
        self.path(folder).mkdir(parents=True, exist_ok=True)
        run("nsenter", f"--target={self.init}", "--mount", "mount", "--bind", folder, f"{self.folder}/root{folder}")

    def run(self, *argv, network=False, **options):
        """A program inside; with network=True it reaches what this machine reaches, else the test process's loopback."""
        inside = ["nsenter", f"--target={self.init}", "--mount", "--pid", "chroot", self.folder / "root", *argv]
        proxies = {name: value for name, value in os.environ.items() if name.lower() in ("http_proxy", "https_proxy", "no_proxy")}
        if network:
            return docker_host.run_outside(*inside, env={**ENV, **proxies}, **options)
        return run(*inside, env=ENV, **options)

    def apt(self, *argv):
        return self.run("apt-get", "-q", "-y", "-o", "Acquire::Retries=5", *argv, network=True, timeout=1200)
