"""What only a machine of its own can show: its firewall, and the address that moves between two of them.

The agent runs as its unit, with the limits that this sets: ufw, iptables and keepalived have to do with them, too.
"""

import contextlib
import http.client
import shutil
import socket
import ssl
import tempfile
import threading
import time

import pytest

import harness
from harness import SOURCE, wait_for
from machine import NETWORK, Machines

pytestmark = pytest.mark.heavy

SECONDS = 180
CLOSED = 9999

CLUSTER = """version: 1
domain: demo.test
nodes:
{nodes}ingress:
  runtime: system
  tls: {{mode: files}}
{more}"""

PAGE = """version: 1
hosts: [hello.demo.test]
respond: {status: 200, body: hello}
"""

FIREWALL = "firewall: {{ssh_from: [{ssh_from}], internal: [{network}.0/24]}}\n"


class Fleet:
    """Machines whose agents follow one repository."""

    def __init__(self, folder, names):
        self.repository = harness.Repository(folder)
        self.machines = Machines()
        self.daemon = None
        self.names = names
        self.nodes = []

    def __enter__(self):
        self.machines.__enter__()
        try:
            self.daemon = harness.Daemon(self.repository, self.machines.HOST)
            self.nodes = [self.add(name) for name in self.names]
            self.repository.write("clusters/demo/services/hello.yaml", PAGE)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.machines.close()
        finally:
            if self.daemon:
                self.daemon.stop()

    def add(self, name):
        machine = self.machines.add(name)
        shutil.copy(SOURCE / "packaging/debian/dynia.service", machine.path("/etc/systemd/system/dynia.service"))
        machine.write("/etc/sysusers.d/dynia.conf", (SOURCE / "packaging/debian/dynia.sysusers").read_text(encoding="utf-8"))
        machine.write("/etc/dynia/agent.yaml",
                      f"version: 1\nrepository: {self.daemon.url}\ncluster: demo\nnode: {name}\ninterval: 1s\n")
        return machine

    def write(self, more=""):
        nodes = "".join(f"  {m.name}: {{address: {m.address}}}\n" for m in self.nodes)
        self.repository.write("clusters/demo/cluster.yaml", CLUSTER.format(nodes=nodes, more=more))
        return self.repository.commit("change")

    def boot(self):
        for machine in self.nodes:
            machine.boot()
            machine.run("systemd-sysusers")
            machine.run("systemctl", "start", "dynia")

    def status(self, machine):
        return self.repository.status(machine.name)

    def wait_for(self, condition, what):
        try:
            return wait_for(condition, SECONDS, what)
        except TimeoutError as error:
            said = [m.run("journalctl", "--no-pager", "--lines=40", "--unit=dynia", "--unit=keepalived", check=False).stdout
                    for m in self.nodes if m.init]
            raise harness.Failed("\n".join([str(error), *said])) from error

    def wait_for_commit(self, commit):
        for machine in self.nodes:
            def is_there(node=machine):
                status = self.status(node)
                ready = next(c for c in status["conditions"] if c["type"] == "Ready")
                return status["revision"]["applied"] == commit and ready["status"] == "True"
            self.wait_for(is_there, f"{commit[:7]} on {machine.name}")


def connects(address, port, limit=1.0):
    with contextlib.suppress(OSError), socket.create_connection((address, port), limit):
        return True
    return False


def serves(address):
    """The page, by HTTPS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, 443, timeout=10, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/", headers={"Host": "hello.demo.test"})
        return connection.getresponse().status == 200


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


# --- the firewall -----------------------------------------------------------------------------------------------------


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


def firewall(ssh_from="0.0.0.0/0"):
    return FIREWALL.format(ssh_from=ssh_from, network=NETWORK)


def rules(machine):
    return [line for file in ("user.rules", "user6.rules") for line in machine.read(f"/etc/ufw/{file}").splitlines()
            if line.startswith("### tuple")]


def stamps(machine):
    """ufw writes its files anew whenever it is run with a rule."""
    return machine.run("stat", "-c", "%n %i %Y %Z", "/etc/ufw/user.rules", "/etc/ufw/user6.rules", "/etc/ufw/ufw.conf", "/etc/default/ufw",
                       "/run/dynia/firewall").stdout


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


# --- the address that moves -------------------------------------------------------------------------------------------

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
