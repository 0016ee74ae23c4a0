"""A commit that does not become healthy takes itself back, and is not tried again until the branch moves."""

import contextlib
import json
import shutil
import signal
import socket

import harness
import pytest
from harness import wait_for

CLUSTER = "clusters/demo/cluster.yaml"
SERVICE = "clusters/demo/services/hello/service.yaml"
PAGE = "clusters/demo/services/hello/site/index.html"
HOST = "hello.demo.test"


def condition(status, kind):
    return next(c for c in status["conditions"] if c["type"] == kind)


@pytest.fixture
def node(demo):
    """A healthy node whose service is asked for its page, and which waits 3 s for a new commit's health."""
    demo.repository.write(SERVICE, "version: 1\nhosts: [hello.demo.test]\nstatic: ./site\n"
                                   "health: {path: /index.html, interval: 1s, timeout: 1s}\n")
    demo.repository.write(CLUSTER, demo.repository.read(CLUSTER) + "rollout: {health_timeout: 3s}\n")
    demo.repository.commit("asked for its page")
    node = demo.nodes[0]
    node.once()
    return node


def lose_the_page(repository):
    repository.git("mv", PAGE, PAGE.replace("index", "start"))
    return repository.commit("lose the page")


def test_an_ill_commit_is_taken_back(demo, node):
    good = demo.repository.git("rev-parse", "HEAD")
    before = node.files()
    bad = lose_the_page(demo.repository)
    done = node.once(check=False)
    assert done.returncode == 1 and "service hello is failed: /index.html answers 404" in done.stderr
    assert node.fetch(HOST).status == 200
    assert node.files().keys() == before.keys()
    status = demo.repository.status(node.name)
    assert status["revision"] == {"desired": bad, "applied": good, "last_good": good, "quarantined": bad}
    assert condition(status, "Stalled")["status"] == "True"
    assert condition(status, "Applied")["reason"] == "HealthError"
    assert demo.repository.log(node.name)[0].startswith(f"{node.name}: stays at {good[:7]}, refuses {bad[:7]}")

    commits = len(demo.repository.log(node.name))
    again = node.once(check=False)
    assert again.returncode == 1 and "info" not in again.stderr, "it must not be tried again"
    assert len(demo.repository.log(node.name)) == commits

    demo.repository.git("revert", "--no-edit", "HEAD")
    mended = demo.repository.commit("mended")
    node.once()
    assert demo.repository.status(node.name)["revision"]["last_good"] == mended


def test_an_upgrade_does_not_try_it_again(demo, node, tmp_path):
    """It would break what serves, on each node that is upgraded."""
    bad = lose_the_page(demo.repository)
    node.once(check=False)
    node.program = tmp_path / "dynia"
    shutil.copy(harness.DYNIA, node.program)
    harness.another_version(node.program)
    again = node.once(check=False)
    assert again.returncode == 1 and f"{bad[:7]} did not become healthy in time" in again.stderr
    assert "start.html" not in again.stderr, "not for a moment"
    # What is the node's own may have been what was wrong.
    node.write("etc/dynia/secrets.yaml", "some: other\n", 0o600)
    assert "start.html" in node.once(check=False).stderr


def test_a_newer_commit_ends_the_wait(demo, node):
    demo.repository.write(CLUSTER, demo.repository.read(CLUSTER).replace("health_timeout: 3s", "health_timeout: 10m"))
    demo.repository.commit("more patience")
    node.once()
    node.start()
    bad = lose_the_page(demo.repository)
    wait_for(lambda: demo.repository.log(node.name)[0].startswith(f"{node.name}: tries {bad[:7]}"), what="trial")
    assert condition(demo.repository.status(node.name), "Reconciling")["reason"] == "WaitsForHealth"
    demo.repository.git("revert", "--no-edit", "HEAD")
    good = demo.repository.commit("mended")
    wait_for(lambda: demo.repository.log(node.name)[0].startswith(f"{node.name}: healthy at {good[:7]}"), what="health")
    assert node.fetch(HOST).status == 200


def test_an_agent_that_was_killed_in_the_wait_still_takes_it_back(demo, node):
    good = demo.repository.git("rev-parse", "HEAD")
    node.start()
    bad = lose_the_page(demo.repository)
    wait_for(lambda: demo.repository.log(node.name)[0].startswith(f"{node.name}: tries {bad[:7]}"), what="trial")
    node.stop_agent(signal.SIGKILL)
    node.once(check=False)
    status = demo.repository.status(node.name)
    assert (status["revision"]["applied"], status["revision"]["quarantined"]) == (good, bad)
    assert node.fetch(HOST).status == 200


def test_what_was_ill_before_is_no_fault_of_the_commit(demo, node):
    demo.repository.write("clusters/demo/services/lame.yaml",
                          "version: 1\nhosts: [lame.demo.test]\nrespond: {status: 500}\n"
                          "health: {path: /, interval: 1s, timeout: 1s, retries: 1}\n")
    first = demo.repository.commit("lame")
    assert node.once(check=False).returncode == 1
    assert demo.repository.status(node.name)["revision"]["quarantined"] == first
    # Let it in: the first commit that a node sees has nothing to go back to.
    fresh = demo.nodes[1]
    assert fresh.once(check=False).returncode == 1
    assert demo.repository.status(fresh.name)["revision"]["applied"] == first
    demo.repository.replace(PAGE, "Hello from Dynia", "Hello beside the lame")
    second = demo.repository.commit("another page")
    fresh.once()
    status = demo.repository.status(fresh.name)
    assert (status["revision"]["applied"], status["revision"]["last_good"]) == (second, second)
    assert condition(status, "Healthy")["status"] == "False", "the lame one is still told"


def test_a_server_that_hangs_does_not_keep_a_commit_on_trial(demo, node):
    """It is asked once an interval, and not before each of the looks."""
    cluster = demo.repository.read(CLUSTER)
    demo.repository.write(CLUSTER, cluster.replace("health_timeout: 3s", "health_timeout: 6s"))
    good = demo.repository.commit("more patience")
    node.once()
    config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8")
    node.write("etc/dynia/agent.yaml", config.replace("interval: 1s", "interval: 1h").replace("deadline: 10s", "deadline: 1s"))
    bad = lose_the_page(demo.repository)
    node.start()
    wait_for(lambda: demo.repository.log(node.name)[0].startswith(f"{node.name}: tries {bad[:7]}"), 60, "trial")
    demo.daemon.stop()
    asked = []
    with socket.create_server((demo.address(250), harness.Daemon.PORT)) as hanging:
        hanging.settimeout(0.05)

        def fetched():
            with contextlib.suppress(socket.timeout):
                asked.append(hanging.accept()[0])
            return node.fetch(HOST).status == 200

        wait_for(fetched, 60, "the page of the commit before")
    for connection in asked:
        connection.close()
    assert len(asked) <= 1, "a server that does not answer was asked again and again"
    node.stop_agent()
    assert good != bad


def test_the_wall_clock_goes_back_in_a_trial(demo, node):
    """The agent that is killed in a trial had a clock that was a day ahead: the next one still takes the commit back in time."""
    good = demo.repository.git("rev-parse", "HEAD")
    node.start()
    bad = lose_the_page(demo.repository)
    wait_for(lambda: demo.repository.log(node.name)[0].startswith(f"{node.name}: tries {bad[:7]}"), 60, "trial")
    node.stop_agent(signal.SIGKILL)
    file = node.root / "var/lib/dynia/state.json"
    state = json.loads(file.read_text(encoding="utf-8"))
    state["trial"]["until"] += 86400
    state["published_at"] += 86400
    state["status"]["changed_at"] = "2099-01-01T00:00:00Z"
    file.write_text(json.dumps(state), encoding="utf-8")
    node.once(check=False)
    revision = demo.repository.status(node.name)["revision"]
    assert (revision["applied"], revision["quarantined"]) == (good, bad)
