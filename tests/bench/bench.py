"""make bench: what Dynia costs, beside its budget and beside the floor, all measured in this run.

The floor is the same bytes written, synced and renamed by a bare loop (floor.c) on the same file system."""

import os
import pathlib
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import docker_host  # noqa: E402
import generate  # noqa: E402
import git_servers  # noqa: E402
import harness  # noqa: E402
import latency  # noqa: E402
from harness import DYNIA, wait_for  # noqa: E402

BENCH = pathlib.Path(os.environ.get("BENCH", "build/bench"))
SERVICES, NODES = 1000, 100
ROUNDS = 5
rows = []


def row(what, measured, budget="", floor="", ratio=""):
    rows.append((what, measured, budget, floor, ratio))
    print(f"  {what}: {measured}", file=sys.stderr, flush=True)


def ms(seconds):
    return f"{seconds * 1000:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


def measured(argv, **options):
    """A command to its end: wall seconds, user and system seconds, most memory in KiB."""
    began = time.monotonic()
    process = subprocess.Popen([str(a) for a in argv], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise AssertionError(f"{argv}: {process.returncode}\n{said.decode()}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def floor(source, folder):
    """Median seconds of the bare loop over these files."""
    times = []
    for i in range(ROUNDS):
        to = folder / f"floor{i}"
        to.mkdir()
        times.append(float(harness.run(BENCH / "floor", source, to).stdout.split()[2]))
        shutil.rmtree(to)
    return statistics.median(times)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def binary(folder):
    stripped = folder / "stripped"
    harness.run("strip", "-o", stripped, DYNIA)
    row("the binary, stripped", f"{stripped.stat().st_size / 2**20:.2f} MiB", "1 MiB")


def rendering(folder):
    repo = folder / "mixed"
    generate.generate(repo, SERVICES, NODES, "mixed")
    loaded, one, every, files, size, memory = map(float, harness.run(
        BENCH / "render_bench", repo, "big", 21, timeout=600).stdout.split())
    row(f"load and check {SERVICES} services", ms(loaded))
    row(f"render {SERVICES} services, memory to memory", ms(one), "20 ms")
    row(f"render {SERVICES} services for {NODES} nodes, memory to memory", f"{every:.2f} s, {memory / 1024:.0f} MiB")
    out = folder / "out"
    walls, rss = [], 0
    for i in range(NODES):
        shutil.rmtree(out, ignore_errors=True)
        wall, _, peak = measured([DYNIA, "render", "--cluster", "big", "--node", f"node-{i}", "--out", out, repo])
        walls.append(wall)
        rss = max(rss, peak)
    base = floor(out, folder)
    row(f"dynia render, {SERVICES} services × {NODES} nodes, to disk",
        f"{sum(walls):.1f} s, {rss / 1024:.0f} MiB", "", f"{base * NODES:.1f} s", f"{sum(walls) / (base * NODES):.2f}")
    print(f"  ({files:.0f} files, {size / 2**20:.1f} MiB a node)", file=sys.stderr)


def converged(site, services):
    """One node with this many static services."""
    generate.generate(site.repository.tree, services, 1, "static", site.network)
    site.repository.commit("first")
    node = site.node("node-0", 1, "big")
    node.once(timeout=600)
    return node


def nothing_to_do():
    with harness.Site() as site:
        node = converged(site, SERVICES)
        runs = [measured(node.argv("--once")) for _ in range(21)]
        row(f"a pass over {SERVICES} services on disk, nothing to do", ms(statistics.median(r[0] for r in runs)), "30 ms")
        row("  of which processor time", ms(statistics.median(r[1] for r in runs)))
        convergence(site, node)


def convergence(site, node):
    sites = node.root / "opt/dynia/sites"
    base = floor(sites, site.folder)
    pages = list(sites.rglob("index.html"))
    assert len(pages) == SERVICES
    times = []
    for i in range(ROUNDS):
        for page in pages:
            page.write_text(f"edited {i}\n", encoding="utf-8")
        times.append(measured(node.argv("--once"))[0])
    wall = statistics.median(times)
    row(f"converge {SERVICES} files that were edited on disk", ms(wall), "1.5 × floor", ms(base), f"{wall / base:.2f}")
    times = []
    for i in range(ROUNDS):
        for page in (site.repository.tree / "clusters").rglob("index.html"):
            page.write_text(page.read_text(encoding="utf-8") + f"<p>{i}\n", encoding="utf-8")
        site.repository.commit(f"all pages, {i}")
        times.append(measured(node.argv("--once"))[0])
    base = floor(sites, site.folder)
    wall = statistics.median(times)
    row(f"converge {SERVICES} files of a commit: fetch to status pushed", ms(wall), "", ms(base), f"{wall / base:.2f}")


def over_https(site, node, more=""):
    """A git http-backend with TLS for the site's repository, which the node pulls from; and its authority."""
    address = site.address(240)
    authority = git_servers.Authority(site.folder / "ca")
    server = git_servers.Https(site.repository, address, authority.sign("bench", address))
    node.write("etc/dynia/agent.yaml", f"version: 1\nrepository: {server.url}\ncluster: big\nnode: node-0\ninterval: 1s\n"
               f"listen: {node.address}:9797\n{more}")
    return server, authority


def idle():
    """As on a node that pulls from a forge: over https, with all the authorities that the machine believes."""
    bundle = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    with harness.Site() as site:
        node = converged(site, 100)
        row("a pass with nothing new over git://, by a worker: processor time", ms(max(0.0, poll(node, 13) - poll(node, 3)) / 10))
        server, authority = over_https(site, node)
        try:
            believed = site.folder / "believed.pem"
            believed.write_text(authority.pem.read_text(encoding="utf-8") + bundle.read_text(encoding="utf-8"), encoding="utf-8")
            node.as_user = ["unshare", "--mount", "sh", "-c", f'mount --bind {believed} {bundle} && exec "$@"', "sh"]
            node.start()
            wait_for(lambda: len(server.requests()) >= 5, 60, "five polls")
            with open(f"/proc/{node.agent.pid}/status", encoding="utf-8") as file:
                memory = {line.split(":")[0]: int(line.split()[1]) for line in file if line.startswith(("VmRSS", "RssAnon"))}
            row("resident memory, idle, 100 services, over https", f"{memory['VmRSS'] / 1024:.1f} MiB", "10 MiB")
            row("  of which not code of libraries", f"{memory['RssAnon'] / 1024:.1f} MiB")
            node.stop_agent()
        finally:
            server.stop()


def poll(node, seconds):
    """Processor seconds of an agent, with its workers, that polls once a second for so long."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    node.start()
    time.sleep(seconds)
    node.stop_agent()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def agent_seconds(pid):
    """Processor seconds of a process alone, without the workers that it has run."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/schedstat", encoding="utf-8") as file:
        exact = int(file.read().split()[0]) / 1e9
    return exact or (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def polls_over_https():
    """Bytes and processor time of a poll, beside git ls-remote of the same two refs, on few refs and on many."""
    with harness.Site() as site:
        node = converged(site, 10)
        server, authority = over_https(site, node, "ca_file: /etc/dynia/ca.pem\n")
        node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
        try:
            head, have = site.repository.git("rev-parse", "HEAD"), 0
            for refs in (10, 10000):
                with open(site.repository.bare / "packed-refs", "a", encoding="utf-8") as file:
                    file.writelines(f"{head} refs/pull/{i}/head\n" for i in range(have, refs))
                have = refs
                poll_row(node, server, refs, authority)
        finally:
            server.stop()


def poll_row(node, server, refs, authority):
    node.start()
    started = len(server.requests())
    wait_for(lambda: len(server.requests()) > started + 4, 60, "a poll")
    first, before = len(server.requests()), agent_seconds(node.agent.pid)
    wait_for(lambda: len(server.requests()) >= first + 10, 60, "ten polls")
    polls, spent = server.requests()[first:], agent_seconds(node.agent.pid) - before
    node.stop_agent()
    mine = sum(p[4] + p[5] for p in polls) / len(polls)
    count = len(server.requests())
    env = {**os.environ, "GIT_SSL_CAINFO": str(authority.pem), "no_proxy": "*"}
    argv = ["git", "ls-remote", server.url, "refs/heads/main", "refs/heads/status/big/node-0"]
    git_cpu = statistics.median(measured(argv, env=env)[1] for _ in range(10))
    theirs = sum(p[4] + p[5] for p in server.requests()[count:]) / 10
    row(f"a pass with nothing new over https, {refs} refs: bytes, beside git ls-remote", f"{mine:.0f}", "", f"{theirs:.0f}", f"{mine / theirs:.2f}")
    row("  processor time of the whole pass", ms(spent / len(polls)), "", ms(git_cpu), f"{spent / len(polls) / git_cpu:.3f}")
    alone = float(harness.run(BENCH / "poll_bench", server.url, authority.pem, *argv[3:], 200).stdout)
    row(f"a poll over https, {refs} refs: processor time", f"{alone * 1000:.3f} ms", "0.5 ms", ms(git_cpu), f"{alone / git_cpu:.4f}")


def table():
    head = ("what", "measured", "budget", "floor", "× floor")
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(5)]
    print(machine())
    for r in [head, tuple("-" * w for w in widths), *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(r, widths)) + " |")


def main():
    docker_host.isolate()
    with harness.Site() as site:
        binary(site.folder)
        rendering(site.folder)
    nothing_to_do()
    idle()
    polls_over_https()
    latency.from_push_to_served(row)
    table()


if __name__ == "__main__":
    main()
