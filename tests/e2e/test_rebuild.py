"""A node that lost its disk is made anew from git: its number goes on, and what did not work is not tried again."""

import json
import os
import subprocess

import harness
from harness import wait_for

PAGE = "clusters/demo/services/hello/site/index.html"
SERVICE = "clusters/demo/services/hello/service.yaml"
CLUSTER = "clusters/demo/cluster.yaml"
HOST = "hello.demo.test"


def condition(status, kind):
    return next(c for c in status["conditions"] if c["type"] == kind)


def lose_the_disk(node):
    """All but what the machine is set up with."""
    node.stop_programs()
    for folder in ("opt", "var", "run"):
        harness.run("rm", "-r", node.root / folder)


def change_the_page(repository, text):
    repository.write(PAGE, f"<p>{text}</p>\n")
    return repository.commit(text)


def test_the_number_and_the_history_go_on(served):
    node, repository = served.nodes[0], served.repository
    for text in ("second", "third"):
        change_the_page(repository, text)
        node.once()
    before, history = repository.status(node.name), repository.log(node.name)
    assert before["generation"] == 3
    lose_the_disk(node)
    done = node.once()
    assert "the state was lost: the status ref says generation 3" in done.stderr
    after = repository.status(node.name)
    assert "third" in node.fetch(HOST).body
    assert after["generation"] == 4 and after["high_water"] == before["high_water"]
    assert after["revision"] == before["revision"]
    assert repository.log(node.name)[-len(history):] == history
    told = harness.dynia("history", repository.bare, "--node", node.name).stdout
    assert told.count("healthy at") >= 3
    assert [p.name for p in (node.root / "var/lib/dynia/generations").iterdir()] == ["4.json"]
    node.once()
    assert repository.status(node.name)["generation"] == 4


def take_back_a_bad_commit(site):
    """A commit whose page is lost was tried by the first node, and taken back."""
    repository, node = site.repository, site.nodes[0]
    repository.write(SERVICE, "version: 1\nhosts: [hello.demo.test]\nstatic: ./site\n"
                              "health: {path: /index.html, interval: 1s, timeout: 1s}\n")
    repository.write(CLUSTER, repository.read(CLUSTER) + "rollout: {health_timeout: 3s}\n")
    good = repository.commit("asked for its page")
    node.once()
    repository.git("mv", PAGE, PAGE.replace("index", "start"))
    bad = repository.commit("lose the page")
    assert node.once(check=False).returncode == 1
    assert repository.status(node.name)["revision"]["quarantined"] == bad
    return node, good, bad


def test_a_bad_commit_is_not_tried_again(demo):
    node, good, bad = take_back_a_bad_commit(demo)
    lose_the_disk(node)
    done = node.once(check=False)
    assert done.returncode == 1 and f"{bad[:7]} did not become healthy in time" in done.stderr
    assert "start.html" not in done.stderr, "not for a moment"
    assert node.fetch(HOST).status == 200
    status = demo.repository.status(node.name)
    assert (status["revision"]["applied"], status["revision"]["quarantined"]) == (good, bad)
    # Nor by the next agent, nor after it.
    again = node.once(check=False)
    assert again.returncode == 1 and "start.html" not in again.stderr
    demo.repository.git("revert", "--no-edit", "HEAD")
    mended = demo.repository.commit("mended")
    node.once()
    assert demo.repository.status(node.name)["revision"]["last_good"] == mended


def test_a_commit_that_was_only_refused_is_looked_at_again(served):
    """What the old disk lacked, the new one may have."""
    node, repository = served.nodes[0], served.repository
    repository.replace(CLUSTER, "stats: {port: 18404}", f"stats: {{port: 18404, from: [{served.network}.0/24], user: admin, "
                                                        "password: {secret: stats-password}}")
    commit = repository.commit("a password")
    assert node.once(check=False).returncode != 0
    lose_the_disk(node)
    node.write("etc/dynia/secrets.yaml", "stats-password: tiger-one\n", 0o600)
    node.once()
    assert repository.status(node.name)["revision"]["applied"] == commit


def write_status(repository, node, text):
    """Somebody else sets the node's status ref."""
    def git(*argv, stdin=None):
        return subprocess.run(["git", "-C", str(repository.bare), *argv], input=stdin, capture_output=True, check=True,
                              env={**os.environ, **harness.GIT_ENV}).stdout.decode().strip()

    blob = git("hash-object", "-w", "--stdin", stdin=text.encode())
    tree = git("mktree", stdin=f"100644 blob {blob}\tstatus.json\n".encode())
    commit = git("commit-tree", "-m", "mine", tree)
    git("update-ref", f"refs/heads/status/demo/{node.name}", commit)
    return commit


def test_a_status_that_lies_does_no_harm(served):
    node, repository = served.nodes[0], served.repository
    first = repository.git("rev-parse", "HEAD")
    second = change_the_page(repository, "second")
    node.once()
    status = repository.status(node.name)
    for lie in ("not json", json.dumps({**status, "generation": 2**63 - 1}), json.dumps({**status, "node": "another"}),
                json.dumps({**status, "generation": -5}), json.dumps({**status, "high_water": "x" * 40}),
                json.dumps({**status, "revision": {**status["revision"], "last_good": "../../etc", "quarantined": first}})):
        write_status(repository, node, lie)
        lose_the_disk(node)
        node.once()
        assert "second" in node.fetch(HOST).body
        now = repository.status(node.name)
        assert now["revision"]["applied"] == second and 1 <= now["generation"] < 100


def test_a_running_agents_disk_is_lost(demo):
    """Under the agent's feet: what it manages comes back, with the next agent also the rest."""
    node = demo.nodes[0]
    node.start()
    wait_for(lambda: node.fetch(HOST).status == 200, 60, "page")
    wait_for(lambda: demo.repository.has_status(node.name), 60, "status")
    node.stop_agent()
    lose_the_disk(node)
    node.start()
    wait_for(lambda: node.fetch(HOST).status == 200, 60, "page")
    wait_for(lambda: demo.repository.status(node.name)["generation"] == 2, 60, "generation")


def in_a_second_repository(site):
    """The first node's status goes to a second repository."""
    second, node = site.repository.second(), site.nodes[0]
    config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8")
    url = site.serve().replace(site.repository.bare.name, second.bare.name)
    node.write("etc/dynia/agent.yaml", f"{config}status: {{repository: '{url}'}}\n")
    return second, node


def test_the_history_comes_from_the_second_repository(demo):
    second, node = in_a_second_repository(demo)
    for text in ("second", "third"):
        change_the_page(demo.repository, text)
        node.once()
    before, history = second.status(node.name), second.log(node.name)
    lose_the_disk(node)
    done = node.once()
    assert "the state was lost: the status ref says generation 2" in done.stderr
    after = second.status(node.name)
    assert after["generation"] == 3 and after["high_water"] == before["high_water"]
    assert second.log(node.name)[-len(history):] == history
    assert not demo.repository.has_status(node.name)
    # The same with a loop, which waits for what it should know first.
    lose_the_disk(node)
    history = second.log(node.name)
    node.start()
    wait_for(lambda: second.log(node.name) != history, 60, "status")
    wait_for(lambda: second.status(node.name)["generation"] == 4, 60, "the next number")
    assert second.log(node.name)[-len(history):] == history
    assert "the state was lost: the status ref says generation 3" in node.log.read_text(encoding="utf-8")


def test_a_history_that_is_found_late_is_not_lost(demo):
    """The second repository is away when the node comes back: it serves, and goes on from its history once that is there."""
    second, node = in_a_second_repository(demo)
    for text in ("second", "third", "fourth"):
        change_the_page(demo.repository, text)
        node.once()
    history, away = second.log(node.name), second.bare.with_name("away")
    second.bare.rename(away)
    lose_the_disk(node)
    node.start()
    wait_for(lambda: "fourth" in node.fetch(HOST).body, 60, "page")
    wait_for(lambda: "the status repository" in node.log.read_text(encoding="utf-8"), 60, "the trouble in the log")
    away.rename(second.bare)
    wait_for(lambda: len(second.log(node.name)) > len(history), 90, "status")
    node.stop_agent()
    assert second.log(node.name)[-len(history):] == history
    assert "which this node wrote before its disk was lost" in node.log.read_text(encoding="utf-8")
    assert "somebody else" not in node.log.read_text(encoding="utf-8")
    node.once()
    assert second.status(node.name)["generation"] >= 3
    assert second.log(node.name)[-len(history):] == history


def test_a_bad_commit_is_not_tried_again_by_the_word_of_the_second_repository(demo):
    second, _ = in_a_second_repository(demo)
    repository, node = demo.repository, demo.nodes[0]
    repository.write(SERVICE, "version: 1\nhosts: [hello.demo.test]\nstatic: ./site\n"
                              "health: {path: /index.html, interval: 1s, timeout: 1s}\n")
    repository.write(CLUSTER, repository.read(CLUSTER) + "rollout: {health_timeout: 3s}\n")
    repository.commit("asked for its page")
    node.once()
    repository.git("mv", PAGE, PAGE.replace("index", "start"))
    bad = repository.commit("lose the page")
    assert node.once(check=False).returncode == 1
    assert second.status(node.name)["revision"]["quarantined"] == bad
    lose_the_disk(node)
    done = node.once(check=False)
    assert done.returncode == 1 and "start.html" not in done.stderr, "not for a moment"
    assert node.fetch(HOST).status == 200
