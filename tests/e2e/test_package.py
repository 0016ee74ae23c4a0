"""The Debian package: what is in it, and what dpkg and systemd make of it."""

import re
import subprocess

import deb
import harness
import pytest
from harness import SOURCE, run
from machine import NETWORK
from packaged import Requests, installed

pytestmark = pytest.mark.heavy

UNIT = SOURCE / "packaging" / "debian" / "dynia.service"
MOST_EXPOSED = 30  # tenths, of 100


def test_what_is_in_it(package):
    listed = run("dpkg-deb", "--contents", package).stdout
    files = {path: mode for mode, path in re.findall(r"^(\S+ \S+) .* \./(\S*[^/\s])$", listed, re.M)}
    assert files["usr/bin/dynia"] == "-rwxr-xr-x root/root"
    for path in ("lib/systemd/system/dynia.service", "usr/lib/sysusers.d/dynia.conf", "usr/lib/sysctl.d/60-dynia.conf",
                 "usr/share/man/man1/dynia.1.gz",
                 "usr/share/man/man5/dynia-agent.yaml.5.gz", "usr/share/man/man5/dynia-cluster.yaml.5.gz",
                 "usr/share/man/man5/dynia-service.yaml.5.gz", "usr/share/bash-completion/completions/dynia",
                 "usr/share/zsh/vendor-completions/_dynia", "usr/share/fish/vendor_completions.d/dynia.fish",
                 "usr/share/doc/dynia/operations.md.gz"):
        assert files[path] == "-rw-r--r-- root/root", path
    # Nothing in /etc that an upgrade could ask about.
    assert not [path for path in files if path.startswith("etc/")]


def test_the_unit_is_closed_as_far_as_it_says():
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", UNIT],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    # Each capability that is left has its reason beside it.
    text = UNIT.read_text(encoding="utf-8")
    reasons = " ".join(re.findall(r"^# ((?:CAP_\w+ ?)+):", text, re.M)).split()
    assert sorted(reasons) == sorted(re.search(r"^CapabilityBoundingSet=(.*)$", text, re.M)[1].split())


def test_make_install(tmp_path):
    run("make", "-C", SOURCE, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr/local", timeout=600)
    found = {str(p.relative_to(tmp_path / "usr/local")) for p in tmp_path.rglob("*") if p.is_file()}
    assert {"bin/dynia", "share/man/man1/dynia.1", "share/man/man5/dynia-agent.yaml.5", "share/zsh/vendor-completions/_dynia",
            "lib/systemd/system/dynia.service", "lib/sysusers.d/dynia.conf", "lib/sysctl.d/60-dynia.conf"} <= found
    assert run(tmp_path / "usr/local/bin/dynia", "version").stdout.startswith("dynia ")


# --- on a machine -----------------------------------------------------------------------------------------------------

def test_installed(agent):
    assert agent.show("ActiveState") == "active"
    assert agent.run("id", "-un", "dynia").stdout == "dynia\n"
    assert agent.run("getent", "passwd", "dynia").stdout.strip().endswith(":/nonexistent:/usr/sbin/nologin")
    modes = agent.run("stat", "-c", "%a %U %n", "/etc/dynia", "/var/lib/dynia", "/run/dynia", "/var/log/dynia").stdout
    assert all(line.startswith("755 root ") for line in modes.splitlines()), modes
    # The unit's limits are those of the process.
    status = agent.run("cat", f"/proc/{agent.pid}/status").stdout
    assert re.search(r"^NoNewPrivs:\s1$", status, re.M) and re.search(r"^Seccomp:\s2$", status, re.M)
    assert not int(re.search(r"^CapBnd:\s(\w+)$", status, re.M)[1], 16) & (1 << 21), "CAP_SYS_ADMIN"
    assert agent.alive() == {"haproxy": "haproxy", "caddy": "caddy"}
    assert agent.show("NRestarts") == "0"
    # Nothing that it does is stopped by what the unit allows; the listener has given up its rights, and answers.
    assert agent.run("journalctl", "--unit=dynia", "--priority=err", "--quiet", "--no-pager").stdout == ""
    assert agent.run("curl", "--silent", "--fail", "http://127.0.0.1:9797/metrics").stdout
    # A reload is a pass, of the same process.
    pid = agent.pid
    agent.run("systemctl", "reload", "dynia")
    agent.wait_for_pass()
    assert agent.pid == pid


def test_an_upgrade_changes_nothing_and_loses_nothing(agent, package, tmp_path):
    before = agent.pid, agent.programs(), agent.files(), agent.status()
    with Requests(agent.machine.address):
        agent.install(deb.variant(package, tmp_path, "0.1.9-1", harness.another_version))
        assert agent.run("dynia", "version").stdout == "dynia 0.1.9\n"
        agent.wait_for_pass()
    pid, programs, files, status = before
    assert agent.pid != pid and agent.show("ActiveState") == "active"
    assert agent.programs() == programs and agent.alive() == {"haproxy": "haproxy", "caddy": "caddy"}
    assert agent.files() == files
    now = agent.status()
    assert (now["generation"], now["revision"], now["drift"]) == (status["generation"], status["revision"], status["drift"])


def test_a_killed_agent_comes_back(agent):
    programs, pid = agent.programs(), agent.pid
    with Requests(agent.machine.address):
        agent.run("kill", "-KILL", pid)
        agent.wait_for(lambda: agent.pid not in (0, pid), "agent")
        agent.wait_for_pass()
    assert agent.programs() == programs


def test_a_hanging_agent_is_started_anew(agent):
    """The watchdog: a process that is stopped says nothing, as one that hangs in the kernel or in an endless loop."""
    programs = agent.programs()
    agent.machine.write("/etc/systemd/system/dynia.service.d/test.conf", "[Service]\nWatchdogSec=2s\n")
    agent.run("systemctl", "daemon-reload")
    agent.run("systemctl", "restart", "dynia")
    agent.wait_for_pass()
    pid = agent.pid
    with Requests(agent.machine.address):
        agent.run("kill", "-STOP", pid)
        agent.wait_for(lambda: agent.pid not in (0, pid), "agent")
        agent.wait_for_pass()
    assert agent.programs() == programs
    agent.run("rm", "/etc/systemd/system/dynia.service.d/test.conf")
    agent.run("systemctl", "daemon-reload")
    agent.run("systemctl", "restart", "dynia")


def test_removed_and_purged(agent, package):
    """The last of this machine."""
    programs = agent.programs()
    with Requests(agent.machine.address):
        agent.run("dpkg", "--remove", "dynia", timeout=600)
        assert agent.show("ActiveState") == "inactive" and not agent.machine.path("/usr/bin/dynia").exists()
        assert agent.machine.path("/etc/dynia/agent.yaml").exists() and agent.machine.path("/var/lib/dynia/state.json").exists()
        assert agent.alive() == {"haproxy": "haproxy", "caddy": "caddy"}
        # Installed again, it takes up what it had.
        agent.install(package)
        agent.wait_for_pass()
        assert agent.programs() == programs
        agent.run("dpkg", "--purge", "dynia", timeout=600)
    assert not any(agent.machine.path(path).exists() for path in ("/etc/dynia", "/var/lib/dynia", "/var/log/dynia", "/usr/bin/dynia"))
    assert agent.run("systemctl", "list-unit-files", "dynia.service", check=False).stdout.count("dynia") == 0
    assert agent.serves()


def test_the_distributions_units_below_the_units_limits(machines, package):
    """With `runtime: system` and an address that moves, the agent does all that it has to within what its unit allows."""
    changes = [("runtime: process", "runtime: system"),
               ("nodes:\n", f"nodes:\n  far-heron: {{address: {NETWORK}.250}}\n"),
               ("ingress:\n", f"vip: {{address: {NETWORK}.200, interface: host0}}\n\ningress:\n")]
    with installed(machines, package, "misty-owl", changes) as agent:
        wait = ("haproxy", "caddy", "keepalived")
        assert agent.run("systemctl", "is-active", *wait).stdout.split() == ["active"] * 3
        pids = agent.run("systemctl", "show", "--property=MainPID", "--value", *wait).stdout
        with Requests(agent.machine.address):
            agent.install(package)
            agent.run("systemctl", "restart", "dynia")
            agent.wait_for_pass()
            agent.run("dpkg", "--purge", "dynia", timeout=600)
        assert agent.run("systemctl", "show", "--property=MainPID", "--value", *wait).stdout == pids
