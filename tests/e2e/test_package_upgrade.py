"""The package where an operator had other plans, or bad luck: what was stopped stays so, and nothing else is touched."""

import deb
import harness
import pytest
from machine import NETWORK
from packaged import Requests, installed

pytestmark = pytest.mark.heavy


def state(agent):
    return agent.show("ActiveState"), agent.show("UnitFileState")


@pytest.fixture(scope="module")
def newer(package, tmp_path_factory):
    return deb.variant(package, tmp_path_factory.mktemp("deb"), "0.1.9-1", harness.another_version)


def test_what_the_kernel_is_told_holds_at_once(agent):
    """Not only after the next boot."""
    assert agent.run("sysctl", "-n", "net.ipv4.tcp_migrate_req").stdout == "1\n"


@pytest.mark.parametrize("command, left", [
    ("stop", ("inactive", "enabled")),
    ("disable --now", ("inactive", "disabled")),
    ("mask --now", ("inactive", "masked")),
    ("disable", ("active", "disabled")),
])
def test_what_the_operator_did_to_the_unit_stays(agent, package, newer, command, left):
    agent.run("systemctl", *command.split(), "dynia")
    try:
        pid = agent.pid
        for other in (newer, package):
            agent.install(other)
            assert state(agent) == left
            assert (agent.pid == pid) == (left[0] == "inactive"), "the one that runs is the new one"
    finally:
        agent.run("systemctl", "unmask", "dynia")
        agent.run("systemctl", "enable", "dynia")
        agent.run("systemctl", "start", "dynia")
    agent.wait_for_pass()


def test_started_by_hand_before_it_is_configured_it_is_the_new_one_in_the_end(agent, newer):
    agent.run("systemctl", "stop", "dynia")
    agent.unpack(newer)
    agent.run("systemctl", "start", "dynia")
    pid = agent.pid
    agent.run("dpkg", "--configure", "dynia", timeout=600)
    assert state(agent) == ("active", "enabled") and agent.pid != pid


def test_stopped_and_removed_it_starts_with_the_next_package(agent, package):
    agent.run("systemctl", "stop", "dynia")
    agent.run("dpkg", "--remove", "dynia")
    agent.install(package)
    assert state(agent) == ("active", "enabled")


def test_a_program_that_does_not_start_is_told(agent, package, tmp_path):
    """What serves goes on, and the next package mends it."""
    programs = agent.programs()
    with Requests(agent.machine.address):
        done = agent.install(deb.variant(package, tmp_path, "0.1.9-2", lambda program: program.write_text("#!/bin/sh\nexit 3\n")))
        assert "dynia: the agent could not be started anew; what it had started serves on" in done.stderr
        assert agent.run("dpkg-query", "-W", "-f", "${Status}", "dynia").stdout == "install ok installed"
        agent.install(package)
        agent.wait_for_pass()
    assert agent.programs() == programs and state(agent) == ("active", "enabled")


def test_dpkg_that_is_killed_goes_on_where_it_was(agent, package, newer):
    """Itself and its scripts, at one moment after another."""
    before = agent.programs(), agent.files()
    with Requests(agent.machine.address):
        for number in range(12):
            agent.copy((newer, package)[number % 2])
            agent.run("timeout", "--signal=KILL", f"{0.02 + number * 0.02}", "dpkg", "--install", "/root/dynia.deb", check=False)
            agent.run("dpkg", "--configure", "--pending", check=False, timeout=600)
            # Where not all of the files were there yet, dpkg wants the package once more.
            agent.run("dpkg", "--install", "/root/dynia.deb", timeout=600)
            assert agent.run("dpkg", "--audit").stdout == "" and state(agent) == ("active", "enabled")
            assert agent.run("readlink", f"/proc/{agent.pid}/exe").stdout == "/usr/bin/dynia\n"
        agent.wait_for_pass()
    assert (agent.programs(), agent.files()) == before


def test_a_disk_that_is_full_leaves_what_there_was(agent, newer):
    folder = "/usr/share/zsh/vendor-completions"
    before, version = agent.programs(), agent.run("dynia", "version").stdout
    agent.run("mount", "-t", "tmpfs", "-o", "size=4k", "full", folder)
    try:
        agent.run("sh", "-c", f"printf x > {folder}/full")
        agent.copy(newer)
        done = agent.run("dpkg", "--install", "/root/dynia.deb", check=False, timeout=600)
        assert done.returncode != 0 and "No space left on device" in done.stderr
        assert agent.run("dynia", "version").stdout == version and state(agent) == ("active", "enabled")
    finally:
        agent.run("umount", folder)
    agent.install(newer)
    agent.wait_for_pass()
    assert agent.programs() == before


def test_another_root_is_another_machine(agent, package):
    """With dpkg --root and scripts that are not in its chroot, this machine's agent and its files are not touched."""
    agent.run("mkdir", "-p", "/srv/root/var/lib/dpkg", "/srv/root/etc")
    agent.run("sh", "-c", "touch /srv/root/var/lib/dpkg/status; cp /etc/passwd /etc/group /srv/root/etc/")
    options = ("--root=/srv/root", "--force-script-chrootless", "--force-depends")
    agent.install(package)  # it is there
    pid = agent.pid
    agent.run("dpkg", *options, "--install", "/root/dynia.deb")
    agent.run("mkdir", "-p", "/srv/root/var/lib/dynia")
    agent.run("dpkg", *options, "--purge", "dynia")
    assert not agent.machine.path("/srv/root/etc/dynia").exists() and not agent.machine.path("/srv/root/var/lib/dynia").exists()
    assert agent.machine.path("/etc/dynia/agent.yaml").exists() and agent.machine.path("/var/lib/dynia/state.json").exists()
    assert agent.pid == pid and state(agent) == ("active", "enabled")


def test_unpacked_and_not_configured(machines, package, newer):
    """dpkg was interrupted, or has a hundred packages to go: the agent's program is not at its place any more, and it goes on. What
    keepalived is told to call is the file that is there now."""
    changes = [("runtime: process", "runtime: system"),
               ("nodes:\n", f"nodes:\n  far-heron: {{address: {NETWORK}.250}}\n"),
               ("ingress:\n", f"vip: {{address: {NETWORK}.200, interface: host0}}\n\ningress:\n")]
    with installed(machines, package, "misty-owl", changes) as agent:
        before, pid = agent.files(), agent.pid
        agent.unpack(newer)
        agent.run("sh", "-c", "rm -rf /opt/dynia/sites/hello")  # a pass that puts it back has looked at all of it
        agent.run("systemctl", "reload", "dynia")
        agent.wait_for(agent.machine.path("/opt/dynia/sites/hello/index.html").exists, "repair")
        agent.wait_for_pass()
        unchanged = {line for line in before.splitlines() if "/sites/hello/" not in line}
        assert unchanged <= set(agent.files().splitlines())
        assert "(deleted)" not in agent.machine.read("/etc/keepalived/keepalived.conf")
        assert agent.pid == pid
        agent.run("dpkg", "--configure", "--pending", timeout=600)
        agent.wait_for_pass()
        assert agent.pid != pid and unchanged <= set(agent.files().splitlines())
