"""kill -9 of the agent at any moment: the next pass finds, or makes, a node that is at one whole revision."""

import os
import random
import re
import signal
import time

import pytest

import harness
from harness import wait_for

pytestmark = pytest.mark.heavy
PLACEHOLDER = "placeholder.pem"
ENV = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
# Every way in which a pass changes the node, or has another process do it.
CALLS = ["fsync", "fdatasync", "renameat2", "renameat", "rename", "unlinkat", "unlink", "mkdirat", "mkdir", "openat2", "openat",
         "clone", "clone3", "vfork", "execve", "kill", "connect", "sendto", "fchmod"]


def change(site, i):
    """Another page, another service, one less, and another configuration of both programs."""
    repository = site.repository
    repository.write("clusters/demo/services/hello/site/index.html", f"<h1>page {i}</h1>\n")
    repository.write(f"clusters/demo/services/s{i}.yaml",
                     f"version: 1\nhosts: [s{i}.demo.test]\nrespond: {{body: \"{i}\"}}\n")
    (repository.tree / f"clusters/demo/services/s{i - 1}.yaml").unlink(missing_ok=True)
    text = re.sub(r"max_connections: \d+\n  ", "", repository.read("clusters/demo/cluster.yaml"))
    repository.write("clusters/demo/cluster.yaml",
                     text.replace("runtime: process", f"max_connections: {100 + i}\n  runtime: process"))
    return repository.commit(f"change {i}")


def rendered(site, node, commit):
    """What `dynia render` makes for a revision, as Node.files() gives it."""
    out = site.folder / f"want-{commit[:12]}"
    if not out.exists():
        harness.dynia("render", "--cluster", "demo", "--node", node.name, "--root", node.root, "--out", out,
                      f"{site.repository.bare}@{commit}")
    return files(harness.Node.files(type("Rendered", (), {"root": out})()))


def files(found):
    return {path: entry for path, entry in found.items() if PLACEHOLDER not in path and "/data/" not in path}


def assert_whole(site, node, i, commit):
    """The node is at this revision: files, what is served, and what it reports."""
    assert files(node.files()) == rendered(site, node, commit)
    left = [path for path in map(str, node.root.rglob("*.dynia-tmp")) if "/var/lib/dynia/" not in path]
    assert left == [], "a temporary file beside a managed one"
    assert not (node.root / "var/lib/dynia/journal").exists()
    page = wait_for(lambda: (r := node.fetch("hello.demo.test")).status == 200 and r, what="page")
    assert page.body == f"<h1>page {i}</h1>\n"
    assert node.fetch(f"s{i}.demo.test").body == str(i)
    assert site.repository.status(node.name)["revision"]["applied"] == commit
    assert len([p for p in node.pids().values() if p]) == 2
    assert set(harness.processes_below(node.root)) == set(node.pids().values()) | workers(node)


def workers(node):
    """HAProxy's workers, the children of its master."""
    with open(f"/proc/{node.pid('haproxy')}/task/{node.pid('haproxy')}/children", encoding="ascii") as file:
        return set(map(int, file.read().split()))


def pass_again(node):
    """The next pass. The server may still be busy with the dead agent's push: then the status waits for another pass."""
    done = node.once(check=False)
    if done.returncode != 0:
        assert "push the status" in done.stderr, done.stderr
        node.once()


@pytest.fixture
def one(site):
    site.use_example()
    node = site.node()
    node.once()
    return site, node


def test_killed_after_random_delays(one):
    site, node = one
    seed = int(os.environ.get("DYNIA_SEED", time.time_ns() % 2**32))
    print(f"DYNIA_SEED={seed}")
    rng = random.Random(seed)
    began = time.monotonic()
    change(site, 1)
    node.once()
    whole = time.monotonic() - began
    for i in range(2, 27):
        commit = change(site, i)
        node.start()
        time.sleep(rng.uniform(0, whole * 1.2))
        node.stop_agent(signal.SIGKILL)
        pass_again(node)
        assert_whole(site, node, i, commit)


def count_calls(node):
    """How often a pass makes each of the calls."""
    trace = node.root.parent / "count"
    harness.run("strace", "-qq", "-o", trace, "-e", "trace=" + ",".join("?" + c for c in CALLS), *node.argv("--once"), env=ENV)
    counts = {}
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        name = line.split("(")[0]
        counts[name] = counts.get(name, 0) + 1
    return counts


def moments(counts, most):
    """Pairs of a call and its number, spread over all of them."""
    every = [(call, n) for call in CALLS for n in range(1, counts.get(call, 0) + 1)
             if call not in ("openat", "openat2", "connect", "sendto") or n % 7 == 1]
    step = max(1, -(-len(every) // most))
    return every[::step]


def test_killed_at_each_kind_of_call(one):
    """The moments are chosen by system call: before each rename, each fsync, each fork, ..."""
    site, node = one
    commit = change(site, 1)
    counts = count_calls(node)
    assert counts.get("fsync", 0) + counts.get("fdatasync", 0) > 5 and any("rename" in c for c in counts), counts
    assert_whole(site, node, 1, commit)
    chosen = moments(counts, int(os.environ.get("DYNIA_KILLS", 60)))
    killed = 0
    for i, (call, n) in enumerate(chosen, 2):
        commit = change(site, i)
        done = harness.run("strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                           f"inject={call}:signal=KILL:when={n}", *node.argv("--once"), check=False, env=ENV)
        killed += done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        try:
            pass_again(node)
            assert_whole(site, node, i, commit)
        except AssertionError as error:
            raise AssertionError(f"after a kill at {call} {n}") from error
    print(f"{killed} of {len(chosen)} moments were reached")
    assert killed > len(chosen) * 0.8


@pytest.mark.parametrize("call,n", [("renameat2,renameat,rename", 1), ("renameat2,renameat,rename", 4), ("fsync", 2),
                                    ("fsync", 12), ("mkdirat", 3), ("clone,clone3,vfork", 2)])
def test_killed_in_the_first_pass_of_all(site, call, n):
    site.use_example()
    commit = change(site, 1)
    node = site.node()
    calls = ",".join("?" + c for c in call.split(","))
    done = harness.run("strace", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e",
                       f"inject={calls}:signal=KILL:when={n}", *node.argv("--once"), check=False, env=ENV)
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    node.once()
    assert_whole(site, node, 1, commit)
