"""The worker has no rights: seen from outside, on one that a server keeps waiting."""

import contextlib
import os
import pathlib
import socket
import subprocess

import pytest

from harness import wait_for

TOKEN = "tok-3f9a0c77d1"


class Silent:
    """Takes connections and says nothing."""

    PORT = 19557

    def __init__(self, address):
        self.listener = socket.create_server((address, self.PORT))
        self.url = f"git://{address}:{self.PORT}/infra.git"

    def stop(self):
        self.listener.close()


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text(encoding="utf-8").split()]
    return found


def worker_of(pid):
    for child in children(pid):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{child}/cmdline").read_bytes() == b"dynia\0worker\0":
                return child
    return None


@pytest.fixture
def waiting(site):
    """A node whose worker waits for a server. There are a token in a file, and one in the agent's environment."""
    site.use_example()
    node = site.node("brave-panda", 1)
    node.once()
    server = Silent(site.address(244))

    def start(deadline):
        node.write("etc/dynia/token", TOKEN + "\n", 0o600)
        node.write("etc/dynia/agent.yaml", f"version: 1\nrepository: {server.url}\ncluster: demo\nnode: {node.name}\n"
                   f"deadline: {deadline}\nlisten: {node.address}:9797\nbranch: other\n"
                   "credentials: {username: node, password_file: /etc/dynia/token}\n")
        return subprocess.Popen(node.argv("--once"), env={**node.env, "SECRET_OF_THE_AGENT": TOKEN}, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
    yield site, node, start
    server.stop()


def fields(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}


def limits(pid):
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="utf-8").splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[:2] for line in lines}


@pytest.mark.heavy  # the sanitizers take more address space than a worker may
def test_the_worker_has_no_rights(waiting):
    _, node, start = waiting
    agent = start("600s")
    try:
        wait_for(lambda: worker_of(agent.pid), 60, "worker")
        worker = worker_of(agent.pid)
        # Its rights are given up before it is executed; it waits for the server when it has a socket.
        wait_for(lambda: any("socket:" in os.readlink(fd) for fd in pathlib.Path(f"/proc/{worker}/fd").iterdir()), 60, "connection")
        status = fields(worker)
        assert os.geteuid() == 0 and set(status["Uid"]) == {status["Uid"][0]} != {"0"} and set(status["Gid"]) != {"0"}, status["Uid"]
        assert status["Groups"] == [] and status["NoNewPrivs"] == ["1"]
        assert all(int(status[caps][0], 16) == 0 for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), status
        assert len(status["NSpid"]) > 1 and status["NSpid"][-1] == "1", "the first process of a pid namespace"
        most = limits(worker)
        assert most["Max file size"] == most["Max address space"] == [str(512 << 20)] * 2
        assert most["Max open files"] == ["64", "64"] and most["Max processes"] == ["512", "512"]
        assert int(most["Max cpu time"][0]) <= 606 and most["Max core file size"][0] == "0", most
        environment = pathlib.Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
        assert sorted(e.split(b"=")[0] for e in environment if e) == [b"HOME", b"LANG", b"PATH"], environment
        assert TOKEN.encode() not in pathlib.Path(f"/proc/{worker}/cmdline").read_bytes() + b"".join(environment)
        opened = [os.readlink(fd) for fd in pathlib.Path(f"/proc/{worker}/fd").iterdir()]
        assert not [path for path in opened if path.startswith(str(node.root)) and not path.endswith("repo.git/objects")], opened
        cannot_write(node, int(status["Uid"][0]), int(status["Gid"][0]))
    finally:
        agent.kill()
        agent.wait()
    wait_for(lambda: not pathlib.Path(f"/proc/{worker}").exists(), 60, "its end with the agent's")


def cannot_write(node, uid, gid):
    """As the worker's user: nothing of the node's can be written, and no secret read."""
    script = ("import os, sys\n"
              "for folder, folders, files in os.walk(sys.argv[1]):\n"
              "    for name in [folder] + [os.path.join(folder, n) for n in files]:\n"
              "        if not os.path.islink(name) and os.access(name, os.W_OK):\n"
              "            print('can write', name)\n"
              "for name in sys.argv[2:]:\n"
              "    if os.access(name, os.R_OK):\n"
              "        print('can read', name)\n")
    said = subprocess.run(["/usr/bin/python3", "-c", script, node.root, node.root / "etc/dynia/token"], user=uid, group=gid,
                          extra_groups=[], capture_output=True, text=True, check=True).stdout
    assert said == ""
    assert (node.root / "var/lib/dynia/repo.git/HEAD").exists(), "there is something to write to"


def test_it_is_killed_at_its_deadline(waiting):
    _, node, start = waiting
    agent = start("2s")
    wait_for(lambda: worker_of(agent.pid), 60, "worker")
    worker = worker_of(agent.pid)
    said = agent.communicate(timeout=120)[0].decode()
    assert agent.returncode == 1 and "did not answer within 2 s" in said and TOKEN not in said
    assert not pathlib.Path(f"/proc/{worker}").exists()
    assert node.fetch("hello.demo.test").status == 200
