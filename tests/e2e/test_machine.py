"""The firewall of a machine of its own. The agent runs as its unit: ufw and iptables have to do with its limits, too."""

import contextlib
import socket
import tempfile
import threading

import pytest

from machine_fleet import SECONDS, Fleet, connects, firewall, serves
from harness import wait_for
from machine import NETWORK

pytestmark = pytest.mark.heavy

CLOSED = 9999


class Probe:
    """Connects to an address and port for as long as the block runs."""

    def __init__(self, address, port):
        self.address, self.port = address, port
        self.open = self.closed = 0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.end.is_set():
            if connects(self.address, self.port, 0.1):
                self.open += 1
            else:
                self.closed += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        before = self.open + self.closed
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: self.open + self.closed > before + 1, 30, "last probe")
        self.end.set()
        self.thread.join(30)


@pytest.fixture(scope="module")
def fleet():
    with tempfile.TemporaryDirectory(prefix="dyf") as folder, Fleet(folder, ["brave-panda"]) as fleet:
        fleet.write()
        fleet.boot()
        machine = fleet.nodes[0]
        for port in (22, CLOSED):
            machine.run("systemd-run", f"--unit=listens-{port}", "python3", "-m", "http.server", str(port))
        # A rule of the user's own, from before there was a `firewall:`.
        machine.run("ufw", "allow", "7777/tcp", "comment", "mine")
        yield fleet


def rules(machine):
    return [line for file in ("user.rules", "user6.rules") for line in machine.read(f"/etc/ufw/{file}").splitlines()
            if line.startswith("### tuple")]


def stamps(machine):
    """ufw writes its files anew whenever it is run with a rule."""
    return machine.run("stat", "-c", "%n %i %Y %Z", "/etc/ufw/user.rules", "/etc/ufw/user6.rules", "/etc/ufw/ufw.conf", "/etc/default/ufw",
                       "/run/dynia/firewall").stdout


def test_what_debian_has_started_serves_the_repository(fleet):
    """Caddy had HAProxy's port when the agent came (machine_fleet.py)."""
    machine = fleet.nodes[0]
    fleet.wait_for_commit(fleet.repository.git("rev-parse", "HEAD"))
    assert serves(machine.address)
    assert "\"haproxy\"" in machine.run("ss", "-Hltnp", "sport", "=", "80").stdout


def test_the_firewall_is_applied(fleet):
    machine = fleet.nodes[0]
    wait_for(lambda: connects(machine.address, CLOSED) and connects(machine.address, 22), SECONDS, "listeners")
    with socket.create_connection((machine.address, 22), 10) as kept:
        fleet.wait_for_commit(fleet.write(firewall()))
        assert not connects(machine.address, CLOSED)
        # Who was there stays, the agent's own traffic does, and what is let in is.
        kept.sendall(b"GET / HTTP/1.0\r\n\r\n")
        kept.settimeout(30)
        assert kept.recv(100).startswith(b"HTTP/1.0 200")
    assert all(connects(machine.address, port, 10) for port in (22, 80, 443))
    assert serves(machine.address)
    assert "Status: active" in machine.run("ufw", "status").stdout
    # Containers of Docker: closed from outside, and what is the cloud's is not theirs.
    chain = machine.run("iptables", "-S", "DOCKER-USER").stdout
    assert "-d 169.254.169.254/32 -j DROP" in chain and "--ctstate DNAT -j DROP" in chain
    assert any("tcp 7777" in rule for rule in rules(machine))


def test_a_pass_with_nothing_to_do_runs_no_ufw(fleet):
    machine = fleet.nodes[0]
    fleet.wait_for_commit(fleet.write(firewall()))
    before = stamps(machine)
    # By an agent that was started anew, too: what was done is noted on the node.
    machine.run("systemctl", "stop", "dynia")
    assert machine.run("dynia", "reconcile", "--once").stderr == ""
    assert machine.run("dynia", "reconcile", "--dry-run", check=False).returncode == 0
    assert stamps(machine) == before
    machine.run("systemctl", "start", "dynia")


def test_what_was_changed_by_hand_is_mended_and_told(fleet):
    machine = fleet.nodes[0]
    wanted = sorted(rules(machine))
    with Probe(machine.address, CLOSED) as probe:
        machine.run("ufw", "delete", "allow", "443/tcp")
        fleet.wait_for(lambda: sorted(rules(machine)) == wanted, "rule")
        fleet.wait_for(lambda: any(d["what"] == "firewall" for d in fleet.status(machine)["drift"]), "drift in the status")
        assert "reload firewall because drift: its rules were changed by hand" in \
            machine.run("journalctl", "--no-pager", "--unit=dynia").stdout
    assert probe.closed and not probe.open
    assert connects(machine.address, 443, 10)
    machine.run("ufw", "disable")
    fleet.wait_for(lambda: "Status: active" in machine.run("ufw", "status").stdout, "firewall")
    fleet.wait_for(lambda: not connects(machine.address, CLOSED), "closed port")


def test_a_changed_rule_replaces_the_old_one(fleet):
    machine = fleet.nodes[0]
    with Probe(machine.address, CLOSED) as closed, Probe(machine.address, 443) as https:
        fleet.wait_for_commit(fleet.write(firewall(f"{NETWORK}.0/24, '2001:db8::1/128'")))
    assert closed.closed and not closed.open
    assert https.open and not https.closed
    ssh = [rule for rule in rules(machine) if " tcp 22 " in rule]
    assert len(ssh) == 2 and f" {NETWORK}.0/24 in" in ssh[0] and " 2001:db8::1 in" in ssh[1], ssh
    fleet.wait_for_commit(fleet.write(firewall()))
    ssh = [rule for rule in rules(machine) if " tcp 22 " in rule]
    assert len(ssh) == 1 and " 0.0.0.0/0 in" in ssh[0], ssh
    assert any("tcp 7777" in rule for rule in rules(machine))


def test_without_firewall_the_rules_stay(fleet):
    machine = fleet.nodes[0]
    before = rules(machine)
    with Probe(machine.address, CLOSED) as probe:
        fleet.wait_for_commit(fleet.write())
    assert rules(machine) == before and probe.closed and not probe.open
    assert not machine.path("/opt/dynia/firewall/ufw.rules").exists()
