"""Each system call of an apply fails in turn (strace, inject=CALL:error=E:when=N). Whatever fails, the node is left with all of
the old revision or all of the new one, what failed is said, and the next pass, in which nothing fails, is at the new one."""

import errno
import os
import subprocess

import harness
import pytest
from test_kill import ENV, files, rendered

pytestmark = pytest.mark.heavy

PAGE = "clusters/demo/services/hello/site/index.html"
# What fails with which error. A path that is opened to be made fails with a full disk.
ERRORS = {"openat": "EIO", "openat2": "EIO", "read": "EIO", "pread64": "EIO", "newfstatat": "EIO", "fstat": "EIO",
          "getdents64": "EIO", "readlink": "EIO", "flock": "ENOLCK",
          "write": "ENOSPC", "pwrite64": "ENOSPC", "ftruncate": "ENOSPC", "fallocate": "ENOSPC", "fsync": "EIO",
          "fdatasync": "EIO", "syncfs": "EIO", "rename": "ENOSPC", "renameat": "ENOSPC", "renameat2": "ENOSPC", "unlink": "EIO",
          "unlinkat": "EIO", "rmdir": "EIO", "mkdir": "ENOSPC", "mkdirat": "ENOSPC", "link": "ENOSPC", "linkat": "ENOSPC",
          "symlink": "ENOSPC", "symlinkat": "ENOSPC", "chmod": "EIO", "fchmod": "EIO", "fchmodat": "EIO", "fchown": "EIO",
          "fchownat": "EIO", "utimensat": "EIO", "copy_file_range": "EIO", "sendfile": "EIO",
          "clone": "EAGAIN", "clone3": "EAGAIN", "vfork": "EAGAIN", "pipe2": "EMFILE", "socket": "EMFILE", "socketpair": "EMFILE",
          "connect": "ECONNREFUSED", "kill": "EPERM", "wait4": "EINTR", "pidfd_open": "EMFILE"}
# A loose ref is read: 40 digits and the end of the line. What is at stake is the branch, so each of them fails.
REF_READ = ", 41) = 41"
# They change nothing: of these, every tenth.
LOOKS = ("openat", "openat2", "read", "pread64", "newfstatat", "fstat", "getdents64", "readlink", "connect", "socket")


class Chain:
    """A linear history in which two trees take turns, made in the bare repository itself: a commit costs nothing."""

    def __init__(self, site, begin, change):
        self.site, self.repository = site, site.repository
        site.use_example(commit=False)
        begin(self.repository)
        first = self.repository.commit("the one")
        change(self.repository)
        self.commits = [first, self.repository.commit("the other")]
        self.trees = [self._git("rev-parse", f"{c}^{{tree}}") for c in self.commits]
        self.rendered = {}

    def _git(self, *argv):
        return self.repository._git("-C", self.repository.bare, *argv).stdout.strip()

    @property
    def tip(self):
        return self.commits[-1]

    def next(self):
        """One more commit, with the other tree."""
        tree = self.trees[len(self.commits) % 2]
        self.commits.append(self._git("commit-tree", tree, "-p", self.tip, "-m", f"change {len(self.commits)}"))
        self._git("update-ref", "refs/heads/main", self.tip)
        return self.tip

    def files(self, node, i):
        """What a commit of this number renders to."""
        if i % 2 not in self.rendered:
            self.rendered[i % 2] = rendered(self.site, node, self.commits[i])
        return self.rendered[i % 2]


def trace_of(node):
    """The calls of a pass in order, as strace shows them, after the program was loaded."""
    trace = node.root.parent / "trace"
    harness.run("strace", "-qq", "-o", trace, "-e", "trace=" + ",".join("?" + c for c in ERRORS), *node.argv("--once"), env=ENV)
    return trace.read_text(encoding="utf-8", errors="replace").splitlines()


def faults(lines, every=10):
    """(call, number, error) of each call that is to fail, in the order in which a pass makes them."""
    every = int(os.environ.get("DYNIA_LOOKS", every))
    numbers, chosen, begun, looks = {}, [], False, 0
    for line in lines:
        call = line.split("(")[0]
        if call not in ERRORS:
            continue
        numbers[call] = numbers.get(call, 0) + 1
        begun = begun or "agent.yaml" in line
        creates = "O_CREAT" in line
        if call in LOOKS and not creates and not line.rstrip().endswith(REF_READ):
            looks += begun
            if looks % every:
                continue
        if begun:
            chosen.append((call, numbers[call], "ENOSPC" if creates else ERRORS[call]))
    return chosen


def spread(chosen, most):
    """So many of them, as far apart as they can be."""
    return chosen[::max(1, -(-len(chosen) // most))]


def fail(node, call, n, error):
    """A pass in which one call fails. What was injected, and the pass's result."""
    trace = node.root.parent / "injected"
    done = harness.run("strace", "-qq", "-o", trace, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={n}",
                       *node.argv("--once"), check=False, env=ENV)
    hit = [line for line in trace.read_text(encoding="utf-8", errors="replace").splitlines() if "(INJECTED)" in line]
    return (hit[0] if hit else None), done


def assert_one_revision(chain, node, served, revisions):
    """Files and pages are those of one of these commits; which."""
    found = files(node.files())
    for i in revisions:
        if found == chain.files(node, i):
            break
    else:
        want = chain.files(node, revisions[-1])
        differs = [p for p in {*found, *want} if found.get(p) != want.get(p)]
        raise AssertionError(f"the files are of no one revision: {differs}")
    for host, pages in served.items():
        answer = node.fetch(host)
        assert (answer.status, answer.body) == pages[i % 2], (host, "not that of the files' revision")
    return i


def assert_nothing_is_left(node):
    assert not (node.root / "var/lib/dynia/journal").exists()
    left = [str(path) for path in node.root.rglob("*.dynia-tmp") if "/var/lib/dynia/" not in str(path)]
    assert not left, "a temporary file beside a managed one"


def check_one(chain, node, served, fault):
    """One fault, and the pass after it. True where the call was reached, and whether the pass went on without it."""
    call, n, error = fault
    new = len(chain.commits)
    chain.next()
    hit, done = fail(node, call, n, error)
    try:
        at = assert_one_revision(chain, node, served, (new - 1, new))
        if done.returncode == 0:
            assert at == new, "a pass that ends well is at the new revision"
        else:
            assert hit, "nothing had failed"
            assert os.strerror(getattr(errno, error)) in done.stderr, "it is not said what failed"
        node.once()
        assert_one_revision(chain, node, served, (new,))
        assert_nothing_is_left(node)
    except (AssertionError, OSError, subprocess.SubprocessError) as failure:
        raise AssertionError(f"{call} {n} {error}: {hit}\n{done.stderr}{failure}") from failure
    return hit, done.returncode == 0


def fail_each(chain, node, served, chosen):
    """Every one of the faults, each from a whole node. How many passes ended at theirs."""
    results, failures = [], []
    for fault in chosen:
        try:
            results.append(check_one(chain, node, served, fault))
        except AssertionError as failure:
            failures.append(str(failure))
            # Once more, so that the next one begins at a whole node.
            chain.next()
            node.once(check=False)
    reached = [hit for hit, _ in results if hit]
    print(f"{len(reached)} of {len(chosen)} calls failed; the passes that went on without:")
    for hit, went_on in results:
        if hit and went_on:
            print("  ", hit[:150])
    assert not failures, f"{len(failures)} of {len(chosen)}\n" + "\n\n".join(failures)
    assert len(reached) > len(chosen) * 0.9
    return sum(not went_on for _, went_on in results)


@pytest.fixture
def files_only(site):
    """Two trees that differ in pages alone, and need the same calls either way: a page changed, one moved to a new folder."""
    def begin(repository):
        repository.write("clusters/demo/services/hello/site/left/deep/page.html", "page\n")

    def change(repository):
        repository.write(PAGE, "<h1>the other</h1>\n")
        repository.git("mv", "clusters/demo/services/hello/site/left", "clusters/demo/services/hello/site/right")
    chain = Chain(site, begin, change)
    return chain, site.node()


def test_each_call_that_changes_files_fails_once(files_only):
    chain, node = files_only
    node.once()
    chain.next()
    chosen = faults(trace_of(node))
    assert len({c for c, _, _ in chosen} & {"fsync", "renameat", "unlinkat", "mkdirat", "write", "fchmod"}) == 6, chosen
    served = {"hello.demo.test": [(200, node.fetch("hello.demo.test").body), (200, "<h1>the other</h1>\n")]}
    assert fail_each(chain, node, served, chosen) > 50


@pytest.fixture
def programs_too(site):
    """Two trees that differ in routes and in a limit: both programs are checked and reloaded."""
    cluster = "clusters/demo/cluster.yaml"

    def begin(repository):
        repository.write("clusters/demo/services/turn.yaml", "version: 1\nhosts: [turn.demo.test]\nrespond: {body: one}\n")

    def change(repository):
        repository.write("clusters/demo/services/turn.yaml", "version: 1\nhosts: [turn.demo.test]\nrespond: {body: other}\n")
        repository.replace(cluster, "runtime: process", "max_connections: 100\n  runtime: process")
    chain = Chain(site, begin, change)
    return chain, site.node()


def test_calls_that_change_programs_fail(programs_too):
    chain, node = programs_too
    node.once()
    chain.next()
    lines = trace_of(node)
    # What concerns files alone is another test's.
    chosen = [fault for fault in faults(lines, every=5) if fault[0] not in ("getdents64", "newfstatat", "fstat", "openat", "link")]
    assert {"clone", "kill", "pipe2", "connect"} <= {c for c, _, _ in chosen}, chosen
    chain.next()
    node.once()
    fail_each(chain, node, {"turn.demo.test": [(200, "one"), (200, "other")]}, spread(chosen, int(os.environ.get("DYNIA_FAULTS", 40))))
