"""make bench-fleet: many agents against one git server on this machine, each writing a status ref of its own, and the same number of
status commits with all nodes writing one branch. AGENTS=200 ROUNDS=20 AT_ONCE=4.

Each agent is real, with HAProxy and Caddy on a loopback address of its own: 200 of them need 15 GB of memory. They are clusters of four
in one repository: each HAProxy of a cluster asks each Caddy of it whether it is there, and 200 times 200 are too many for one machine."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import harness  # noqa: E402
from bench import machine  # noqa: E402
from harness import GIT_ENV, run  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
CLUSTER = 4


def cluster(names):
    nodes = "".join(f"  {name}: {{address: {address}}}\n" for name, address in names)
    return (f"version: 1\nnodes:\n{nodes}ingress:\n  runtime: process\n  tls: {{mode: 'off'}}\n  http_port: {harness.HTTP}\n"
            f"  caddy_port: {harness.CADDY}\n  stats: {{port: {harness.STATS}}}\n")


def server_cpu(pid):
    """Seconds of a git daemon, of what it runs (`git` runs git-daemon, and that a program for each call), and of all that has ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return sum(int(field) for field in fields[11:15]) / TICKS + sum(server_cpu(child) for child in children)


def size_after_gc(bare):
    run("git", "-C", bare, "gc", "--quiet", "--prune=now", timeout=600)
    return sum(path.stat().st_size for path in pathlib.Path(bare).rglob("*") if path.is_file())


def progress(what, i, rounds):
    if sys.stderr.isatty():
        print(f"\r{what}: round {i + 1} of {rounds} ", end="\n" if i + 1 == rounds else "", file=sys.stderr, flush=True)


def one(node):
    """A pass: exit status and what was said. Nothing may be tried twice."""
    done = node.once(check=False, timeout=600)
    return done.returncode, done.stderr


def own_refs(agents, rounds, at_once):
    """Gives seconds, seconds of the server, bytes; fails where an agent does not converge, or a push does."""
    with harness.Site() as site:
        base = site.network.rsplit(".", 1)[0]
        names = [(f"n{i}", f"{base}.{250 + i // 200}.{1 + i % 200}") for i in range(agents)]
        nodes = []
        for i in range(0, agents, CLUSTER):
            name = f"c{i // CLUSTER}"
            site.repository.write(f"clusters/{name}/cluster.yaml", cluster(names[i:i + CLUSTER]))
            for node, address in names[i:i + CLUSTER]:
                nodes.append(site.node(node, 1, cluster=name))
                nodes[-1].address = address
        commit(site.repository, nodes, "first")
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            check(pool.map(one, nodes), "first")
            progress("started", 0, 1)
            began, cpu = time.monotonic(), server_cpu(site.daemon.process.pid)
            for i in range(rounds):
                head = commit(site.repository, nodes, f"round {i}")
                check(pool.map(one, nodes), f"round {i}")
                for node in nodes:
                    revision = site.repository.status(node.name, node.cluster)["revision"]
                    assert revision["applied"] == head, (node.name, i, revision)
                progress("a ref each", i, rounds)
        wall, cpu = time.monotonic() - began, server_cpu(site.daemon.process.pid) - cpu
        commits = len(site.repository.log(nodes[0].name, nodes[0].cluster))
        assert commits >= rounds + 1, commits
        return wall, cpu, size_after_gc(site.repository.bare), commits * agents


def commit(repository, nodes, text):
    """A commit that changes a page of every cluster."""
    for name in {node.cluster for node in nodes}:
        repository.write(f"clusters/{name}/services/page.yaml",
                         f'version: 1\nhosts: [page.{name}.test]\nrespond: {{status: 200, body: "{text}"}}\n')
    return repository.commit(text)


def check(results, what):
    for status, said in results:
        assert status == 0, f"{what}: {said}"
        for word in ("push", "trying", " error ", " warning "):
            assert word not in said, f"{what}: {said}"


class Writer:
    """A node as it would be with one branch for all: commit on its tip, push, and again where somebody was quicker."""

    def __init__(self, folder, url, name, status):
        self.repo, self.url, self.name, self.status, self.refused = folder / name, url, name, status, 0
        run("git", "init", "-q", "--bare", self.repo)

    def git(self, *argv, check=True, **options):
        return run("git", "-C", self.repo, *argv, check=check, env={**os.environ, **GIT_ENV}, timeout=600, **options)

    def write(self, i):
        text = self.status.replace('"cluster"', f'"round": {i},\n "cluster"', 1)
        while True:
            self.git("fetch", "-q", self.url, "+refs/heads/status:refs/heads/status", check=False)
            blob = self.git("hash-object", "-w", "--stdin", input=text).stdout.strip()
            tip = self.git("rev-parse", "-q", "--verify", "refs/heads/status", check=False).stdout.strip()
            old = self.git("ls-tree", tip, check=False).stdout if tip else ""
            lines = [line for line in old.splitlines() if not line.endswith(f"\t{self.name}.json")]
            tree = self.git("mktree", input="\n".join([*lines, f"100644 blob {blob}\t{self.name}.json"]) + "\n").stdout.strip()
            commit = self.git("commit-tree", "-m", f"{self.name}: round {i}", *(("-p", tip) if tip else ()), tree).stdout.strip()
            if self.git("push", "-q", self.url, f"{commit}:refs/heads/status", check=False).returncode == 0:
                return
            self.refused += 1


def one_branch(agents, rounds, at_once, status):
    """The same number of status commits, on one branch."""
    with harness.Site() as site:
        site.repository.commit("first")
        url = site.serve()
        folder = site.folder / "writers"
        folder.mkdir()
        writers = [Writer(folder, url, f"n{i}", status) for i in range(agents)]
        began, cpu = time.monotonic(), server_cpu(site.daemon.process.pid)
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            for i in range(rounds):
                list(pool.map(lambda writer, i=i: writer.write(i), writers))
                progress("one branch", i, rounds)
        wall, cpu = time.monotonic() - began, server_cpu(site.daemon.process.pid) - cpu
        return wall, cpu, size_after_gc(site.repository.bare), sum(writer.refused for writer in writers)


def sample_status():
    with harness.Site() as site:
        site.use_example()
        site.node("brave-panda", 1).once()
        return subprocess.run(["git", "-C", site.repository.bare, "show", "status/demo/brave-panda:status.json"], check=True,
                              capture_output=True, text=True).stdout


def main():
    agents, rounds, at_once = (int(os.environ.get(key, default)) for key, default in (("AGENTS", 200), ("ROUNDS", 20), ("AT_ONCE", 4)))
    assert shutil.which("git")
    status = sample_status()
    own = own_refs(agents, rounds, at_once)
    shared = one_branch(agents, rounds, at_once, status)
    print(f"{agents} agents, {rounds} rounds, {at_once} at once; {machine()}, {run('git', '--version').stdout.strip()}")
    print("| writing | time | server's processor time | repository after gc | pushes refused |")
    print("| a ref each (dynia: fetch, apply, observe, push) | "
          f"{own[0]:.1f} s | {own[1]:.1f} s | {own[2] / 1024:.0f} KiB | 0 |")
    print(f"| one branch (git: fetch, commit, push) | {shared[0]:.1f} s | {shared[1]:.1f} s | {shared[2] / 1024:.0f} KiB | {shared[3]} |")


if __name__ == "__main__":
    main()
