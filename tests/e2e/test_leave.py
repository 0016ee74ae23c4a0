"""A node that a commit names no more goes out of the traffic, once another one is healthy with that commit; and comes back."""

import re

import pytest

from harness import CADDY, DYNIA, HEALTH, run, wait_for

CLUSTER = "clusters/demo/cluster.yaml"
HOST = "hello.demo.test"


@pytest.fixture
def nodes(site):
    """The demo's two, whose agents run and which are well."""
    commit = site.use_example()
    nodes = [site.node("brave-panda", 1), site.node("misty-owl", 2)]
    for node in nodes:
        node.start()
    for node in nodes:
        wait_for_commit(site, node, commit)
    return nodes


def ready(site, node):
    status = site.repository.status(node.name)
    return status, next(c for c in status["conditions"] if c["type"] == "Ready")


def wait_for_commit(site, node, commit):
    def is_there():
        status, condition = ready(site, node)
        return status["revision"]["applied"] == commit and condition["status"] == "True"
    wait_for(is_there, 40, f"{node.name} at {commit[:7]}")


def name(site, *names):
    """The commit that names these, by the demo's addresses."""
    text = site.repository.read(CLUSTER)
    lines = "".join(f"  {name}: {{address: {site.address(i)}}}\n" for i, name in enumerate(names, 1) if name)
    site.repository.write(CLUSTER, re.sub(r"nodes:\n(  .*\n)+", f"nodes:\n{lines}", text))
    return site.repository.commit(f"nodes: {names}")


def health(node):
    """What the other nodes' HAProxy are told by this node's Caddy."""
    done = run("curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", f"http://{node.address}:{CADDY}/dynia-health")
    return int(done.stdout)


def track_script(node):
    return run(DYNIA, "check", "ingress", "--root", node.root, "--address", node.address, "--port", str(HEALTH), check=False)


def test_the_others_no_longer_send_to_it_and_it_gives_the_address_up(site, nodes):
    leaving, staying = nodes
    assert health(leaving) == 200 and track_script(leaving).returncode == 0
    commit = name(site, None, "misty-owl")
    wait_for_commit(site, staying, commit)
    wait_for(lambda: health(leaving) == 503, 20, "health path that answers 503")
    told = track_script(leaving)
    assert told.returncode == 1 and "leaves" in told.stderr
    status, condition = ready(site, leaving)
    assert (condition["status"], condition["reason"]) == ("False", "NotNamed") and "dynia bootstrap apply" in condition["message"]
    assert status["revision"]["quarantined"] == commit
    # Who still comes is served, by the program that runs on.
    assert leaving.fetch(HOST).status == 200
    assert health(staying) == 200 and track_script(staying).returncode == 0
    assert site.repository.status(staying.name)["ingress"]["haproxy"]["nodes"] == [staying.name]


def test_it_comes_back_with_a_commit_that_names_it_again(site, nodes):
    leaving, staying = nodes
    wait_for_commit(site, staying, name(site, None, "misty-owl"))
    wait_for(lambda: health(leaving) == 503, 20, "health path that answers 503")
    commit = name(site, "brave-panda", "misty-owl")
    wait_for_commit(site, leaving, commit)
    wait_for(lambda: health(leaving) == 200 and track_script(leaving).returncode == 0, 20, "node that is back")
    wait_for_commit(site, staying, commit)
    assert sorted(site.repository.status(staying.name)["ingress"]["haproxy"]["nodes"]) == ["brave-panda", "misty-owl"]


def test_a_commit_that_names_none_of_them_takes_nobody_out(site, nodes):
    """All of them renamed by mistake: no node can be healthy with it, so all serve on."""
    (site.repository.tree / "clusters/demo/services/motd.yaml").unlink()  # which is for one of them
    commit = name(site, "calm-heron", "late-newt")
    for node in nodes:
        wait_for(lambda node=node: ready(site, node)[1]["reason"] == "NotNamed", 20, "refusal")
        assert site.repository.status(node.name)["revision"]["quarantined"] == commit
    for node in nodes:
        # A whole pass more, in which the other one's status has been seen.
        node.stop_agent()
        node.once(check=False)
        assert health(node) == 200 and node.fetch(HOST).status == 200 and track_script(node).returncode == 0
