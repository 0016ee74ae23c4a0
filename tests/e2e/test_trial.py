"""A commit that does not become healthy takes itself back, and is not tried again until the branch moves."""

import signal

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
