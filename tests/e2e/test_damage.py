"""What somebody, or something, does to a node behind the agent's back: the next pass finds it and mends it."""

import os
import pathlib
import shutil
import signal
import time

import pytest
from harness import wait_for

CLUSTER = "clusters/demo/cluster.yaml"
PAGE = "clusters/demo/services/hello/site/index.html"
HOST = "hello.demo.test"


def running(node, name):
    """The pids of this node's own processes of that name that no other of them started."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state, parent = (entry / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[:2]
            except OSError:
                continue
            if state != "Z" and words[0] == name.encode() and any(w.startswith(bytes(node.root) + b"/") for w in words):
                found[int(entry.name)] = int(parent)
    return [pid for pid, parent in found.items() if parent not in found]


@pytest.fixture
def node(served):
    return served.nodes[0]


def change_a_host(repository, name):
    """A commit that both programs have to load."""
    repository.write("clusters/demo/services/extra.yaml",
                     f"version: 1\nhosts: [{name}.demo.test]\nrespond: {{body: {name}}}\nnodes: [brave-panda]\n")
    return repository.commit(name)


@pytest.mark.parametrize("socket", ["caddy.sock", "haproxy.sock", "haproxy-master.sock"])
def test_a_lost_socket_is_drift(served, node, socket):
    (node.root / "run/dynia" / socket).unlink()
    node.once()
    assert (node.root / "run/dynia" / socket).is_socket()
    change_a_host(served.repository, "one")
    node.once()
    assert wait_for(lambda: node.fetch("one.demo.test").body == "one", what="new service")


@pytest.mark.parametrize("damage", ["lost", "garbage", "another", "run"])
def test_a_pid_file_that_is_wrong_starts_nothing_twice(served, node, damage):
    before = {name: running(node, name) for name in ("caddy", "haproxy")}
    assert all(len(pids) == 1 for pids in before.values()), before
    run = node.root / "run/dynia"
    for name in before:
        file = run / f"{name}.pid"
        if damage == "garbage":
            file.write_text("what is this\n", encoding="utf-8")
        elif damage == "another":
            start = pathlib.Path("/proc/self/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[19]
            file.write_text(f"{os.getpid()} {start}\n", encoding="utf-8")
        else:
            file.unlink()
    if damage == "run":
        for file in run.iterdir():
            if file.is_socket():
                file.unlink()
    change_a_host(served.repository, "one")
    node.once()
    assert wait_for(lambda: node.fetch("one.demo.test").body == "one", what="new service")
    for name, pids in before.items():
        now = running(node, name)
        assert len(now) == 1, (name, now)
        assert damage == "run" or now == pids, "it was found, and reloaded"


def test_the_agents_own_questions_are_not_rate_limited(served, node):
    served.repository.replace(CLUSTER, "ingress:\n", "ingress:\n  rate_limit: {requests: 1, window: 1h}\n")
    served.repository.write("clusters/demo/services/hello/service.yaml",
                            "version: 1\nhosts: [hello.demo.test]\nstatic: ./site\nhealth: {path: /}\n")
    served.repository.commit("limit")
    for _ in range(4):
        node.once()
    services = {s["name"]: s["health"] for s in served.repository.status(node.name)["services"]}
    assert services["hello"] == "healthy"
    assert [node.fetch(HOST).status for _ in range(3)] == [200, 429, 429], "a visitor still is"


def test_health_is_asked_with_a_proxy_header_where_one_is_expected(served, node):
    served.repository.replace(CLUSTER, "ingress:\n",
                              "ingress:\n  client_address: proxy_protocol\n  proxies: [127.0.0.0/8]\n")
    served.repository.write("clusters/demo/services/hello/service.yaml",
                            "version: 1\nhosts: [hello.demo.test]\nstatic: ./site\nhealth: {path: /}\n")
    served.repository.commit("behind a tunnel")
    node.once()
    services = {s["name"]: s["health"] for s in served.repository.status(node.name)["services"]}
    assert services["hello"] == "healthy"


def test_a_folder_in_the_way_of_a_new_file_is_left_alone(served, node):
    good = served.repository.git("rev-parse", "HEAD")
    folder = node.root / "opt/dynia/sites/hello/new"
    folder.mkdir()
    (folder / "mine").write_text("mine", encoding="utf-8")
    served.repository.write(PAGE.replace("index.html", "new"), "new\n")
    bad = served.repository.commit("new")
    done = node.once(check=False)
    assert done.returncode == 1 and "is a folder that dynia did not make" in done.stderr
    again = node.once(check=False)
    assert again.returncode == 1 and " reload " not in again.stderr, "it is refused once, not tried for ever"
    assert (folder / "mine").read_text(encoding="utf-8") == "mine"
    revision = served.repository.status(node.name)["revision"]
    assert (revision["applied"], revision["quarantined"]) == (good, bad)
    assert node.fetch(HOST).status == 200


def test_a_killed_worker_comes_back(served, node):
    for name in ("haproxy", "caddy"):
        for pid in running(node, name):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    node.once()
    assert node.fetch(HOST).status == 200
    assert all(len(running(node, name)) == 1 for name in ("haproxy", "caddy"))


def test_a_program_starts_without_a_log_where_it_cannot_have_one(served, node):
    shutil.rmtree(node.root / "var/log/dynia")
    (node.root / "var/log/dynia").write_text("in the way", encoding="utf-8")
    for pid in running(node, "haproxy"):
        os.kill(pid, signal.SIGKILL)
    done = node.once()
    assert "haproxy starts without a log" in done.stderr
    assert node.fetch(HOST).status == 200
