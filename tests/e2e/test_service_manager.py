"""What the agent tells the service manager, as a unit with Type=notify and WatchdogSec= hears it."""

import os
import shutil
import signal
import socket

import pytest
from harness import wait_for


class Manager:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, folder, node, watchdog_s=0.3):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(60)
        node.env |= {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}
        self.heard = []

    def next(self):
        self.heard.append(self.socket.recv(4096).decode())
        return self.heard[-1]

    def until(self, what):
        """All that is said up to this; the wait for each word is limited."""
        start = len(self.heard)
        while what not in self.next():
            pass
        return self.heard[start:]


@pytest.fixture
def watched(demo):
    node = demo.nodes[0]
    manager = Manager(demo.folder, node)
    yield node, manager
    manager.socket.close()


def make_slow(node, program, seconds):
    """That program takes so long each time that it is asked to check a file."""
    folder = node.root.parent / "slow"
    folder.mkdir()
    script = folder / program
    script.write_text(f'#!/bin/sh\ncase "$1" in -c | validate) sleep {seconds};; esac\nexec {shutil.which(program)} "$@"\n')
    script.chmod(0o755)
    node.env["PATH"] = f"{folder}:{os.environ['PATH']}"


def test_ready_status_and_stopping(watched, demo):
    node, manager = watched
    node.start()
    assert manager.until("READY=1")[-1] == "READY=1"
    manager.until(f"STATUS={node.name}: healthy at ")
    assert "WATCHDOG=1" in manager.until("WATCHDOG=1")
    demo.repository.write("clusters/demo/cluster.yaml", "version: 2\n")
    demo.repository.commit("wrong")
    manager.until(f"STATUS={node.name}: stays at ")
    node.agent.send_signal(signal.SIGTERM)
    manager.until("STOPPING=1")
    assert node.agent.wait(60) == 0


def test_a_long_pass_is_alive(watched):
    node, manager = watched
    make_slow(node, "caddy", 3)
    node.start()
    manager.until("READY=1")
    # The first pass ends with this line, and the watchdog's patience is a tenth of what the check takes.
    said = manager.until("STATUS=")
    assert said.count("WATCHDOG=1") >= 8


def test_programs_do_not_inherit_the_socket(watched):
    node, _ = watched
    node.start()
    pid = wait_for(lambda: node.pid("caddy"), 60, "caddy")
    with open(f"/proc/{pid}/environ", "rb") as file:
        assert b"NOTIFY" not in file.read()


def test_an_agent_that_cannot_start_says_why(watched):
    node, manager = watched
    node.write("etc/dynia/agent.yaml", "version: 1\nrepositori: x\n")
    node.start()
    assert "unknown key 'repositori'" in manager.until("STATUS=")[-1]
    assert node.agent.wait(60) != 0
    node.agent = None


def test_a_socket_that_is_not_there(demo):
    node = demo.nodes[0]
    node.env["NOTIFY_SOCKET"] = "/nonexistent/notify"
    done = node.once(check=False)
    assert done.returncode == 1 and "service manager at '/nonexistent/notify'" in done.stderr
