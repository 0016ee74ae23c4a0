"""The address that moves between two machines by VRRP: HAProxy killed, a machine cut off, one left alone."""

import contextlib
import http.client
import tempfile
import threading
import time

import pytest

from machine_fleet import SECONDS, Fleet, connects, firewall, serves
from harness import wait_for
from machine import NETWORK

pytestmark = pytest.mark.heavy

ADDRESS = f"{NETWORK}.200"


class Visitor:
    """Asks at the address without a pause; how long it had no answer is told, and asserted by nobody."""

    def __init__(self, what):
        self.what, self.answered, self.last, self.gap = what, 0, time.monotonic(), 0.0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.end.is_set():
            if connects(ADDRESS, 443, 0.2) and self._answers():
                now = time.monotonic()
                self.gap, self.last = max(self.gap, now - self.last), now
                self.answered += 1

    @staticmethod
    def _answers():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return serves(ADDRESS)
        return False

    def __enter__(self):
        self.thread.start()
        wait_for(lambda: self.answered, SECONDS, "first answer")
        return self

    def __exit__(self, *_):
        before = self.answered
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: self.answered > before + 2, SECONDS, "last answers")
        self.end.set()
        self.thread.join(30)
        assert self.answered > before, f"{self.what}: no answer afterwards"
        print(f"{self.what}: {self.answered} answers, none for {self.gap:.2f} s at most")


@pytest.fixture(scope="module")
def pair():
    with tempfile.TemporaryDirectory(prefix="dyv") as folder, Fleet(folder, ["brave-panda", "misty-owl"]) as fleet:
        commit = fleet.write(f"vip: {{address: {ADDRESS}, interface: host0}}\n" + firewall())
        fleet.boot()
        fleet.wait_for_commit(commit)
        yield fleet


def has_address(machine):
    return f" {ADDRESS}/" in machine.run("ip", "-4", "address", "show", "dev", "host0").stdout


def holder(fleet):
    """Who has the address, where it is one; the other one behind it."""
    having = [m for m in fleet.nodes if has_address(m)]
    return having + [m for m in fleet.nodes if m not in having] if len(having) == 1 else None


def vrrp(fleet, machine):
    return fleet.status(machine)["ingress"]["vrrp"]


def wait_for_states(fleet, master, backup):
    fleet.wait_for(lambda: (vrrp(fleet, master)["state"], vrrp(fleet, backup)["state"]) == ("MASTER", "BACKUP"), "states")


def test_one_holds_the_address(pair):
    master, backup = pair.wait_for(lambda: holder(pair), "holder")
    wait_for_states(pair, master, backup)
    for machine in pair.nodes:
        told = vrrp(pair, machine)
        assert told["health"] == "healthy" and told["since"].endswith("Z")
    assert serves(ADDRESS)


def test_the_address_leaves_a_node_without_haproxy(pair):
    master, backup = pair.wait_for(lambda: holder(pair), "holder")
    wait_for_states(pair, master, backup)
    # Neither systemd nor the agent is to start it anew before this was seen.
    master.write("/etc/systemd/system/haproxy.service.d/test.conf", "[Service]\nRestart=no\n")
    master.run("systemctl", "daemon-reload")
    master.run("systemctl", "stop", "dynia")
    with Visitor("haproxy killed"):
        master.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "haproxy")
        pair.wait_for(lambda: has_address(backup) and not has_address(master), "move")
    assert master.run("cat", "/run/dynia/vrrp").stdout.startswith("fault ")
    master.run("rm", "/etc/systemd/system/haproxy.service.d/test.conf")
    master.run("systemctl", "start", "dynia")
    # It comes back, and does not take the address back.
    wait_for_states(pair, backup, master)
    assert holder(pair) == [backup, master]


def test_the_address_leaves_a_node_that_is_cut_off(pair):
    master, backup = pair.wait_for(lambda: holder(pair), "holder")
    with Visitor("cut off"):
        master.link(up=False)
        pair.wait_for(lambda: has_address(backup), "move")
    master.link(up=True)
    wait_for_states(pair, *pair.wait_for(lambda: holder(pair), "holder"))


def test_the_address_leaves_a_node_that_is_named_no_more(pair):
    """It would else have it as well, beside the node that is alone by the new commit; and it takes part again once it is named."""
    vip = f"vip: {{address: {ADDRESS}, interface: host0}}\n" + firewall()
    master, backup = both = pair.wait_for(lambda: holder(pair), "holder")
    pair.nodes.remove(master)
    with Visitor("named no more"):
        pair.wait_for_commit(pair.write(vip))
        pair.wait_for(lambda: has_address(backup) and not has_address(master), "move")
    assert master.run("cat", "/run/dynia/vrrp").stdout.startswith("fault ")
    assert serves(master.address)
    pair.nodes.append(master)
    pair.wait_for_commit(pair.write(vip))
    wait_for_states(pair, backup, master)
    assert holder(pair) == both[::-1]


def test_keepalived_that_died_is_started_anew(pair):
    _, backup = pair.wait_for(lambda: holder(pair), "holder")
    backup.run("systemctl", "stop", "keepalived")
    pair.wait_for(lambda: backup.run("systemctl", "is-active", "keepalived", check=False).stdout.strip() == "active", "keepalived")
    pair.wait_for(lambda: vrrp(pair, backup)["health"] == "healthy" and
                  any(d["what"] == "keepalived" for d in pair.status(backup)["drift"]), "status")


def test_a_node_alone_takes_the_address(pair):
    """The other one leaves the cluster: keepalived takes a configuration without peers, by a reload."""
    left = pair.nodes.pop()
    left.power_cut()
    pair.wait_for_commit(pair.write(f"vip: {{address: {ADDRESS}, interface: host0}}\n" + firewall()))
    machine = pair.nodes[0]
    pair.wait_for(lambda: has_address(machine), "address")
    assert "unicast_peer" not in machine.read("/etc/keepalived/keepalived.conf")
    pair.wait_for(lambda: vrrp(pair, machine)["state"] == "MASTER", "state")
