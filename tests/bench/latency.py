"""From a push to a served page with the webhook on, and its parts: git http-backend behind nginx with TLS, whose post-receive hook
signs and sends what a forge would; HAProxy, Caddy, and dockerd for the container.

What the agent did with the time it says itself: `took` in its log, dynia_commit_found_timestamp_seconds in its metrics."""

import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import docker_host  # noqa: E402
import generate  # noqa: E402
import git_servers  # noqa: E402
import harness  # noqa: E402
from harness import wait_for  # noqa: E402

SERVICES, ROUNDS = 100, 7
SECRET = "bench-0123456789abcdef"
PARTS = ("push", "notice", "fetch", "render", "validate", "apply", "healthy")

# As a forge does it: beside the push, one request for each ref, also for the status that the node pushes.
HOOK = """#!/bin/sh
while read -r old new ref; do
	case $ref in refs/heads/main) date +%s.%N >"{folder}/received" ;; esac
	body="{{\\"ref\\":\\"$ref\\",\\"before\\":\\"$old\\",\\"after\\":\\"$new\\"}}"
	mac=$(printf %s "$body" | openssl dgst -sha256 -hmac "{secret}" | sed 's/.* //')
	curl -s -o /dev/null -H "X-GitHub-Event: push" -H "X-Hub-Signature-256: sha256=$mac" --data-raw "$body" http://{node}:9797/hook &
done >/dev/null 2>&1
"""


class Forge:
    """The server, its hook, and a clone that pushes to it."""

    def __init__(self, site, node):
        self.site, self.repository, self.node = site, site.repository, node
        address = site.address(240)
        authority = git_servers.Authority(site.folder / "ca")
        self.server = git_servers.Https(site.repository, address, authority.sign("bench", address))
        hook = site.repository.bare / "hooks/post-receive"
        hook.write_text(HOOK.format(folder=site.folder, secret=SECRET, node=node.address), encoding="utf-8")
        hook.chmod(0o755)
        site.repository.git("-C", site.repository.bare, "config", "http.receivepack", "true")
        os.environ.update(GIT_SSL_CAINFO=str(authority.pem), no_proxy="*")
        site.repository.git("remote", "set-url", "origin", self.server.url)
        node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
        node.write("etc/dynia/webhook-secret", SECRET + "\n", 0o600)

    def metric(self, name):
        text = harness.fetch(self.node.address, "x", "/metrics", port=9797).body
        found = re.search(rf"^{name} (\S+)$", text, re.M)
        return float(found[1]) if found else 0.0

    def push(self, message, shown):
        """Commits and pushes what is in the work tree: seconds until shown() is true, and the parts in seconds."""
        self.repository.git("add", "-A")
        self.repository.git("commit", "-qm", message)
        commit = self.repository.git("rev-parse", "HEAD")
        began = time.time()
        self.repository.git("push", "-q", "origin", "main")
        wait_for(shown, 120, message)
        total = time.time() - began
        line = wait_for(lambda: re.search(rf"took {commit[:7]} in \d+ ms: (.*)$", self.node.log.read_text(encoding="utf-8"), re.M),
                        120, f"'took' in the log, after {message}")
        wait_for(lambda: self.repository.status(self.node.name, "big")["revision"]["last_good"] == commit, 60, "status")
        found = wait_for(lambda: (t := self.metric("dynia_commit_found_timestamp_seconds")) >= began - 0.001 and t, 60, "metrics")
        received = float((self.site.folder / "received").read_text(encoding="ascii"))
        parts = {name: int(ms) / 1000 for name, ms in (part.split() for part in line[1].split(", "))}
        # A node makes a pass for the asking once in two seconds, and five in a row: two went into this push.
        time.sleep(4.2)
        return total, {"push": received - began, "notice": found - received, **parts}


def measure(forge, row, what, change, shown, floor=None):
    rounds = []
    for i in range(ROUNDS + 1):
        change(i)
        rounds.append(forge.push(f"{what}, {i}", lambda i=i: shown(i)))
    rounds = rounds[1:]  # the first one finds no connection and nothing in memory
    totals = [total for total, _ in rounds]
    row(f"push with the webhook on to served: {what}", f"{statistics.median(totals):.2f} s, at most {max(totals):.2f} s", "2 s",
        f"{floor:.2f} s" if floor else "", f"{statistics.median(totals) / floor:.2f}" if floor else "")
    row("  " + ", ".join(PARTS), ", ".join(f"{statistics.median(p[name] for _, p in rounds) * 1000:.0f}" for name in PARTS) + " ms")


def pages(forge, row):
    tree, body = forge.repository.tree / "clusters/big/services", forge.node.fetch

    measure(forge, row, "a page",
            lambda i: (tree / "service-0001/site/index.html").write_text(f"<p>round {i}.</p>\n", encoding="utf-8"),
            lambda i: f"round {i}." in body("service-0001.example.com").body)
    measure(forge, row, "a route (caddy reloads)",
            lambda i: (tree / "route.yaml").write_text(f'version: 1\nhosts: [route.example.com]\nrespond: {{body: "route {i}."}}\n',
                                                       encoding="utf-8"),
            lambda i: f"route {i}." in body("route.example.com").body)
    measure(forge, row, "a header (haproxy reloads)",
            lambda i: forge.repository.write("clusters/big/cluster.yaml", re.sub(
                "ingress: {(headers: {[^}]*}, )?", f'ingress: {{headers: {{X-Round: "r{i}"}}, ',
                forge.repository.read("clusters/big/cluster.yaml"))),
            lambda i: body("service-0001.example.com").headers.get("X-Round") == f"r{i}")


def compose_floor(folder, host):
    """Seconds that compose alone takes to replace such a container, which then has a gap."""
    file, times = folder / "floor.yaml", []
    argv = ["docker", "compose"] if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0 else [
        "docker-compose"]
    argv += ["-p", "floor", "-f", file]
    for i in range(5):
        file.write_text(f"version: '3'\nservices: {{web: {{image: 'dynia.test/web:{1 + i % 2}', ports: ['127.0.0.1:29999:80']}}}}\n",
                        encoding="utf-8")
        began = time.monotonic()
        harness.run(*argv, "up", "-d", env={**os.environ, **host.env})
        times.append(time.monotonic() - began)
    harness.run(*argv, "down", env={**os.environ, **host.env})
    return statistics.median(times[1:])


def container(forge, row, host):
    file = forge.repository.tree / "clusters/big/services/web.yaml"

    measure(forge, row, "a container's image, which is there",
            lambda i: file.write_text(f"version: 1\nhosts: [web.example.com]\nimage: dynia.test/web:{1 + i % 2}\nport: 80\n"
                                      "health: {path: /health}\n", encoding="utf-8"),
            lambda i: forge.node.fetch("web.example.com").body == f"web {1 + i % 2}\n",
            compose_floor(forge.site.folder, host))


def from_push_to_served(row):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dk", dir="/tmp"))
    host = docker_host.DockerHost(folder)
    try:
        host.start()
        with harness.Site() as site:
            generate.generate(site.repository.tree, SERVICES, 1, "static", site.network)
            site.repository.commit("first")
            node = site.node("node-0", 1, "big")
            forge = Forge(site, node)
            try:
                node.write("etc/dynia/agent.yaml", f"version: 1\nrepository: {forge.server.url}\ncluster: big\nnode: node-0\ninterval: 1h\n"
                           f"listen: {node.address}:9797\nca_file: /etc/dynia/ca.pem\ndocker: {host.socket}\n"
                           "webhook: {secret_file: /etc/dynia/webhook-secret}\n")
                node.start()
                wait_for(lambda: node.fetch("service-0001.example.com").status == 200, 60, "first page")
                wait_for(lambda: site.repository.has_status("node-0", "big"), 60, "first status")
                pages(forge, row)
                container(forge, row, host)
            finally:
                node.stop_agent()
                forge.server.stop()
    finally:
        host.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    docker_host.isolate()
    from_push_to_served(lambda *columns: print(*columns, sep=" | ", flush=True))
