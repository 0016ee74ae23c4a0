"""dynia bootstrap cut off at each call in turn, and each call answered with 429, 500, nothing in time and a lost answer in turn:
run again, the end is the same, nothing is there twice and nothing is left over."""

import concurrent.futures
import os
import signal
import subprocess
import threading

import pytest

from cloud import Cloud, Fault

pytestmark = pytest.mark.heavy

WORKERS = 6
ALL = ("429", "500", "timeout", "lost", "slow", "hold", "held")
SOME = ("500", "lost", "hold", "held")


def nothing(_cloud):
    """From nothing to two nodes."""
    return "apply", ()


def change(cloud):
    """A node goes, another comes; a host goes, another comes; the firewall has other rules."""
    cloud.run("apply")
    cloud.write(("misty-owl", "witty-wren"), hosts=("api", "shop"))
    text = cloud.folder / "clusters/shop/cluster.yaml"
    text.write_text(text.read_text(encoding="utf-8").replace("198.51.100.0/24", "192.0.2.0/24"), encoding="utf-8")
    return "apply", ("--yes",)


def replace(cloud):
    """The node that has the address gets another droplet."""
    cloud.run("apply")
    return "apply", ("--yes", "--replace", "brave-panda")


def destroy(cloud):
    """All of it goes, also the address, which is known by its tag once no droplet has it."""
    cloud.run("apply")
    return "destroy", ("--yes", "--release-address")


SCENARIOS = (nothing, change, replace, destroy)


def undisturbed(scenario):
    """How many calls each API gets, and what is there in the end."""
    with Cloud() as cloud:
        verb, options = scenario(cloud)
        before = [len(double.calls) for double in cloud.doubles]
        cloud.run(verb, *options)
        cloud.assert_clean()
        return [len(d.calls) - b for b, d in zip(before, cloud.doubles)], comparable(cloud, scenario)


def comparable(cloud, scenario):
    """Addresses of droplets are given out in the order in which they come up: only whose they are counts. A --replace that was killed
    before it began is not made up for by a run without it: either node may have the reserved IP."""
    picture = cloud.picture()
    if scenario is replace:
        picture["reserved"] = [(address, whose is not None) for address, whose in picture["reserved"]]
    whose = {a["ip_address"]: d["name"] for d in cloud.ocean.droplets.values() for a in d["networks"]["v4"]}
    picture["records"] = [(name, kind, whose.get(content, content), *more) for name, kind, content, *more in picture["records"]]
    return picture


def disturbed(scenario, which, at, kind, want):
    """One run with a fault at one of its calls, then another without; a text where something is not as it should be."""
    with Cloud() as cloud:
        verb, options = scenario(cloud)
        double = cloud.doubles[which]
        number = len(double.calls) + 1 + at
        killed = kind in ("hold", "held")
        process, started = [], threading.Event()

        def on_hold():
            """Its first call may come before Popen has returned."""
            if killed and started.wait(30):
                os.kill(process[0].pid, signal.SIGKILL)

        fault = Fault(kind, retry_after=0 if kind == "429" else None, on_hold=on_hold)
        double.faults[number] = fault
        process.append(subprocess.Popen(cloud.argv(verb, *options), env={**cloud.env, "DYNIA_API_TIMEOUT": "1500ms"}, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        started.set()
        said, _ = process[0].communicate(timeout=120)
        if len(double.calls) < number:
            return None  # one look less at what was already there: the call was never made
        where = f"{kind} at call {number} of {type(double).__name__} ({double.calls[number - 1].method} {double.calls[number - 1].path})"
        if process[0].returncode != (-signal.SIGKILL if killed else 0):
            return f"{where}: {process[0].returncode}: {said}"
        # --replace asks for another droplet each time: what was begun is ended without it.
        again = ("--yes",) if scenario is replace else options
        done = cloud.run(verb, *again, check=False)
        if done.returncode:
            return f"{where}: the next run: {done.returncode}: {done.stdout}{done.stderr}"
        if cloud.ocean.violations or cloud.flare.violations:
            return f"{where}: {cloud.ocean.violations} {cloud.flare.violations}"
        if comparable(cloud, scenario) != want:
            return f"{where}: another end:\n{comparable(cloud, scenario)}\ninstead of\n{want}"
        return None


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_every_call_may_fail(scenario):
    calls, want = undisturbed(scenario)
    cases = [(which, at, kind) for which, n in enumerate(calls) for at in range(n)
             for kind in (ALL if scenario is nothing else SOME)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        wrong = [text for text in pool.map(lambda case: disturbed(scenario, *case, want), cases) if text]
    print(f"{scenario.__name__}: {len(cases)} runs with a fault")
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.parametrize("held", ["tags", "vpcs", "firewalls", "droplets", "reserved_ips"])
def test_two_who_apply_at_the_same_moment(held):
    """The second stops before it makes the first thing of a kind, knows of none, and goes on when the other has made it."""
    with Cloud() as cloud:
        first, arrived, created = threading.Lock(), threading.Event(), threading.Event()
        double, key = cloud.ocean, ("POST", f"/v2/{held}")
        real, turn = double.routes[key], []

        def create(ocean, call, *parts):
            """Called with the double's lock held."""
            with first:
                turn.append(call)
                mine = len(turn)
            if mine == 1:
                ocean.lock.release()
                arrived.set()
                created.wait(30)
                ocean.lock.acquire()
            answer = real(ocean, call, *parts)
            created.set()
            return answer

        double.routes = {**double.routes, key: create}
        runs = [subprocess.Popen(cloud.argv("apply"), env={**cloud.env, "DYNIA_API_TIMEOUT": "30s"}, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)]
        assert arrived.wait(30)
        runs.append(subprocess.Popen(cloud.argv("apply"), env=cloud.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True))
        said = [run.communicate(timeout=60)[0] for run in runs]
        assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
        assert comparable(cloud, nothing) == undisturbed(nothing)[1]
        assert "nothing to do" in cloud.run("plan").stdout
        if held == "droplets":
            assert "another run made it: this one's is taken back" in "".join(said)


def test_some_who_destroy_at_the_same_moment():
    with Cloud() as cloud:
        for _ in range(3):
            cloud.run("apply")
            runs = [subprocess.Popen(cloud.argv("destroy", "--yes", "--release-address"), env=cloud.env, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)]
            said = [run.communicate(timeout=60)[0] for run in runs]
            assert [run.returncode for run in runs] == [0, 0, 0], "\n".join(said)
            assert not any(cloud.picture().values())
            cloud.ocean.minute.times.clear()


def test_an_answer_that_names_another_droplet():
    """What does not bear the mark is not taken back, whatever an answer says, and is not passed over."""
    with Cloud() as cloud:
        key = ("POST", "/v2/droplets")
        create = cloud.ocean.routes[key]

        def lie(ocean, call):
            status, answer = create(ocean, call)
            return status, {**answer, "droplet": {**answer["droplet"], "id": answer["droplet"]["id"] + 1000}}

        cloud.ocean.routes = {**cloud.ocean.routes, key: lie}
        said = cloud.run("apply", "--timeout", "1s", check=False)
        assert said.returncode == 1 and "is not up in time" in said.stderr and not [c for c in cloud.ocean.calls if c.method == "DELETE"]
        assert cloud.run("apply").returncode == 0 and len(cloud.ocean.droplets) == 2


def test_many_who_apply_at_the_same_moment():
    """Wherever they meet."""
    with Cloud() as cloud:
        cloud.ocean.minute.limit = 1000
        runs = [subprocess.Popen(cloud.argv("apply"), env=cloud.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True) for _ in range(4)]
        said = [run.communicate(timeout=60)[0] for run in runs]
        assert cloud.run("apply").returncode == 0, "\n".join(said)
        assert "nothing to do" in cloud.run("plan").stdout
        assert comparable(cloud, nothing) == undisturbed(nothing)[1], "\n".join(said)


def test_every_call_fails_once():
    """All of them in one run: each fails at its first try."""
    with Cloud() as cloud:
        cloud.ocean.minute.limit = 1000
        for double in cloud.doubles:
            double.faults = {n: Fault(("500", "lost", "429")[n % 3], retry_after=0) for n in range(1, 100, 2)}
        cloud.run("apply")
        got = comparable(cloud, nothing)
        for double in cloud.doubles:
            double.faults = {}
        assert "nothing to do" in cloud.run("plan").stdout
    assert got == undisturbed(nothing)[1]
