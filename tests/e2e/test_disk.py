"""A disk that is full, takes no writes, or loses its power in the middle of an apply: the node has the old revision or the new
one, whole, and says what is wrong."""

import contextlib
import os
import re
import shutil
import signal

import harness
import pytest
from harness import wait_for
from test_kill import assert_whole, change, files, rendered

pytestmark = pytest.mark.heavy

PAGE = "clusters/demo/services/hello/site/index.html"
HOST = "hello.demo.test"


def node_on(site, root):
    """A node whose root is a disk of its own."""
    node = harness.Node(root, "brave-panda", site.address(1), site.serve())
    site.nodes.append(node)
    return node


@contextlib.contextmanager
def mounted(node_root, *argv):
    node_root.mkdir(exist_ok=True)
    harness.run("mount", *argv, node_root)
    try:
        yield node_root
    finally:
        harness.end_processes_below(node_root)
        harness.run("umount", "--lazy", node_root)


@pytest.fixture
def small(site):
    """A node on 24 MiB and 2000 inodes, at its first revision."""
    site.use_example()
    with mounted(site.folder / "disk", "-t", "tmpfs", "-o", "size=24m,nr_inodes=2000", "tmpfs") as root:
        node = node_on(site, root)
        node.once()
        yield site, node
        node.stop()


def fill(folder, leave):
    """Takes all space but so many bytes."""
    filler = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT, 0o600)
    with contextlib.suppress(OSError):
        while True:
            os.write(filler, bytes(65536))
    os.close(filler)
    left = os.statvfs(folder)
    size = (folder / "filler").stat().st_size
    os.truncate(folder / "filler", max(0, size - max(0, leave - left.f_bavail * left.f_frsize)))


def test_a_full_disk(small):
    """However much room is left: it is enough for the new revision, or the node stays at the old one."""
    site, node = small
    old, told, taken = site.repository.git("rev-parse", "HEAD"), 0, 0
    for i, room in enumerate([0, 4, 8, 12, 20, 28, 36, 52, 200]):
        before = files(node.files())
        fill(node.root, room << 10)
        new = change(site, i + 1)
        done = node.once(check=False)
        assert files(node.files()) in (before, rendered(site, node, new)), f"{room} KiB\n{done.stderr}"
        assert node.fetch(HOST).status == 200
        if done.returncode:
            told += "No space left on device" in done.stderr
        taken += done.returncode == 0
        (node.root / "filler").unlink()
        node.once()
        assert_whole(site, node, i + 1, new)
        old = new
    assert told >= 3 and taken >= 1, (told, taken, old)


def test_no_inodes(small):
    site, node = small
    before = files(node.files())
    folder = node.root / "many"
    folder.mkdir()
    with contextlib.suppress(OSError):
        for i in range(3000):
            (folder / str(i)).touch()
    new = change(site, 1)
    done = node.once(check=False)
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert files(node.files()) == before and node.fetch(HOST).status == 200
    for i in range(100):
        (folder / str(i)).unlink()
    node.once()
    assert_whole(site, node, 1, new)
    level = site.repository.status(node.name)["health"]["infrastructure"]
    assert level["health"] == "degraded" and "inodes" in level["message"], "it works, and is told"
    shutil.rmtree(folder)
    node.once()
    assert "inodes" not in site.repository.status(node.name)["health"]["infrastructure"]["message"]


def test_a_disk_that_takes_no_writes(site):
    """/run is another file system. A program that dies meanwhile is started all the same."""
    site.use_example()
    node = site.node()
    node.once()
    new = change(site, 1)
    before = files(node.files())
    node.as_user = ["unshare", "--mount", "sh", "-c",
                    'mount --bind "$0" "$0" && mount --bind "$0/run" "$0/run" && mount -o remount,bind,ro "$0" && exec "$@"', node.root]
    done = node.once(check=False)
    assert done.returncode == 1 and "Read-only file system" in done.stderr
    assert files(node.files()) == before and node.fetch(HOST).status == 200
    os.kill(node.pid("caddy"), signal.SIGKILL)
    wait_for(lambda: node.pid("caddy") is None, what="end of caddy")
    done = node.once(check=False)
    assert done.returncode == 1 and "start caddy because drift: it was not running" in done.stderr, done.stderr
    wait_for(lambda: node.fetch(HOST).status == 200, 60, "page")
    node.as_user = []
    node.once()
    assert_whole(site, node, 1, new)


# --- power cuts -----------------------------------------------------------------------------------------------------------------


class Disk:
    """ext4 in a file. What was not synced is in the page cache of the file system and not in the file: a copy of the file is
    what a power cut leaves."""

    # Nothing is written back by itself, and a rename without a sync loses the content.
    OPTIONS = "loop,commit=300,noauto_da_alloc"

    def __init__(self, folder):
        self.file, self.root = folder / "disk.img", folder / "disk"
        self.root.mkdir()
        with open(self.file, "wb") as file:
            file.truncate(96 << 20)
        harness.run("mkfs.ext4", "-q", "-F", "-O", "^resize_inode", "-E", "lazy_itable_init=0", self.file)
        self.mount()

    def mount(self):
        harness.run("mount", "-o", self.OPTIONS, self.file, self.root)

    def umount(self):
        harness.end_processes_below(self.root)
        wait_for(lambda: harness.run("umount", self.root), 20, "end of the mount")

    def cut(self):
        """The power fails, and comes back."""
        copy = self.file.with_suffix(".copy")
        harness.run("cp", "--sparse=always", self.file, copy)
        self.umount()
        copy.replace(self.file)
        self.mount()


@pytest.fixture
def powered(site):
    site.use_example()
    disk = Disk(site.folder)
    try:
        node = node_on(site, disk.root)
        change(site, 1)
        # The administrator's files; from here on it is the agent that has to sync.
        os.sync()
        node.once()
        yield site, node, disk
        node.stop()
    finally:
        disk.umount()


CALLS = "fsync,renameat,unlinkat,mkdirat,fdatasync,kill"


def calls_of(node):
    """All of them, and those from the journal on until it goes: the apply itself."""
    trace = node.root.parent / "trace"
    harness.run("strace", "-qq", "-o", trace, "-e", f"trace={CALLS}", *node.argv("--once"))
    numbers, found, journal = {}, [], []
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        call = re.match(r"[a-z0-9]*", line)[0]
        if call in CALLS.split(","):
            numbers[call] = numbers.get(call, 0) + 1
            found.append((call, numbers[call]))
            if '"journal"' in line:
                journal.append(len(found) - 1)
    return found, found[journal[0] + 1:journal[-1] + 1]


def spread(calls, most):
    step = max(1, len(calls) // most)
    return calls[step // 2::step]


def test_power_cuts(powered):
    site, node, disk = powered
    change(site, 2)
    every, apply = calls_of(node)
    cuts = int(os.environ.get("DYNIA_CUTS", 10))
    cut_off = 0
    for i, (call, n) in enumerate(spread(every, cuts * 2 // 3) + spread(apply, cuts // 3), 3):
        commit = change(site, i)
        harness.run("strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}",
                    *node.argv("--once"), check=False)
        disk.cut()
        try:
            done = node.once()
            cut_off += "was cut off" in done.stderr
            assert_whole(site, node, i, commit)
        except AssertionError as error:
            raise AssertionError(f"after a power cut at {call} {n}") from error
    assert cut_off > 0, "some cuts must have been between the journal and its end"


def test_a_power_cut_in_the_first_pass(site):
    site.use_example()
    commit = change(site, 1)
    disk = Disk(site.folder)
    try:
        node = node_on(site, disk.root)
        os.sync()
        harness.run("strace", "-qq", "-o", "/dev/null", "-e", "trace=renameat", "-e", "inject=renameat:signal=KILL:when=6",
                    *node.argv("--once"), check=False)
        disk.cut()
        node.once()
        assert_whole(site, node, 1, commit)
        node.stop()
    finally:
        disk.umount()
