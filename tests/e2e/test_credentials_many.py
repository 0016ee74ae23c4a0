"""Credentials go to many nodes at the same time: one that hangs holds up no other, and no ssh outlives the run."""

import contextlib
import re
import signal
import subprocess

import pytest

from harness import DYNIA, wait_for
from ssh_fleet import PAIR, TOKEN, Dragging, Fleet, address

AT_ONCE, MANY = 8, 20


@contextlib.contextmanager
def delivery(fleet, timeout="60s"):
    """A delivery that runs; gives the process and a function for the lines that it has said."""
    out = fleet.folder / "said"
    # A shell has what it starts in the background ignore INT, and that is inherited.
    with open(out, "wb") as file, subprocess.Popen(fleet.argv("credentials", *fleet.options(timeout)), env=fleet.env,
                                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file,
                                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
        try:
            yield process, lambda: out.read_text(encoding="utf-8").splitlines()
        finally:
            process.kill()


@pytest.fixture
def booted():
    """Fleets whose droplets are there, and hosts that a test puts there."""
    with contextlib.ExitStack() as stack:
        def make(names=PAIR):
            fleet = stack.enter_context(Fleet(names))
            stack.callback(fleet.assert_clean)
            fleet.boots = False
            fleet.run("apply")
            fleet.boots = True
            return fleet
        yield make


def boot(fleet, names):
    for droplet in list(fleet.ocean.droplets.values()):
        if droplet["name"].removeprefix("shop-") in names:
            fleet.boot(droplet)


def test_one_that_leads_nowhere_holds_up_no_other(booted):
    """The first of them takes the connection and never lets anybody in: the second is done before that is the first one's failure."""
    fleet = booted()
    boot(fleet, ["misty-owl"])
    with Dragging(address(0)) as dragging, delivery(fleet, "1s") as (process, said):
        wait_for(lambda: dragging.open, 30, "a look at the first")
        wait_for(lambda: any(line.startswith("send credentials misty-owl: done") for line in said()), 60, "the second")
        assert fleet.hosts["misty-owl"].read("token") == TOKEN + "\n"
        assert len(said()) == 1 and len(fleet.ssh_processes()) == 1, said()
        dragging.close()
        assert process.wait(60) == 1
        *waits, failed, last = said()[1:]
        assert all(re.match("send credentials brave-panda: waits: ssh: .", line) for line in waits), said()
        assert re.match("send credentials brave-panda: failed: not in time: ssh: .", failed), said()
        assert last.startswith("dynia: credentials 'brave-panda': not in time: ssh: ")
    assert not fleet.ssh_processes()


def test_as_many_as_there_are_places_hold_up_no_other(booted):
    """Each takes a place and never lets anybody in: it gives it up to the one that waits, and has failed when its time is over."""
    names = [f"node-{i}" for i in range(AT_ONCE + 1)]
    fleet = booted(names)
    boot(fleet, names[-1:])
    with contextlib.ExitStack() as stack:
        for i in range(AT_ONCE):
            stack.enter_context(Dragging(address(i)))
        process, said = stack.enter_context(delivery(fleet, "1s"))
        assert process.wait(60) == 1
        lines = said()
        assert [line for line in lines if "failed" in line] == [
            f"send credentials {name}: failed: not in time: ssh did not finish in time" for name in names[:-1]]
        assert [line for line in lines if re.match(f"send credentials {names[-1]}: done", line)] and fleet.hosts[names[-1]].read("token") == TOKEN + "\n"
    assert not fleet.ssh_processes()


def test_many_are_served_so_many_at_a_time(booted):
    """Each host answers when the test lets it: the last that came first. The lines come in that order, whole, one a node; a place that
    is free is taken by the next at once, and there are no more than so many. Where the test fails, they end with their folders."""
    names = [f"node-{i:02}" for i in range(MANY)]
    fleet = booted(names)
    boot(fleet, names)
    for host in fleet.hosts.values():
        host.answer_with(f"cat >{host.root}/message; : >{host.root}/came; while [ ! -e {host.root}/go ]; do [ -d {host.root} ] || exit 1; sleep 0.05; done; "
                         f"exec {DYNIA} credentials install --root {host.root} <{host.root}/message")
    gone = []
    with delivery(fleet) as (process, said):
        while len(gone) < MANY:
            wanted = min(AT_ONCE, MANY - len(gone))
            waiting = wait_for(lambda n=wanted: (came := [name for name in names if name not in gone and (fleet.hosts[name].root / "came").exists()])
                               and len(came) >= n and came, 60, "those who are served")
            assert len(waiting) == wanted == len(fleet.ssh_processes())
            (fleet.hosts[waiting[-1]].root / "go").touch()
            gone.append(waiting[-1])
            wait_for(lambda: len(said()) == len(gone), 60, "its line")
        assert process.wait(60) == 0, said()
        lines = said()
    for name, line in zip(gone, lines, strict=True):
        assert re.fullmatch(rf"send credentials {name}: done, \d+\.\d s, 1 file", line), lines
        assert fleet.hosts[name].read("token") == TOKEN + "\n" and fleet.kinds(name) == ["dynia-cluster", "dynia-host-key"]


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda sig: sig.name)
def test_no_ssh_outlives_the_run(booted, sig):
    fleet = booted()
    with Dragging(address(0)), Dragging(address(1)), delivery(fleet) as (process, said):
        wait_for(lambda: len(fleet.ssh_processes()) == 2, 30, "two looks")
        process.send_signal(sig)
        assert process.wait(30) == -sig
        wait_for(lambda: not fleet.ssh_processes(), 30, "end of every ssh")
        assert said() == []
