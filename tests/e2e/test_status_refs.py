"""A node's own ref: bounded, signed where that is wanted, and written by nobody else."""

import json
import os
import re
import subprocess
import urllib.request

import pytest

import git_servers
import harness
from harness import wait_for

PAGE = "clusters/demo/services/hello/site/index.html"
CLUSTER = "clusters/demo/cluster.yaml"
HOST = "hello.demo.test"


def change_the_page(repository, text):
    repository.write(PAGE, f"<p>{text}</p>\n")
    return repository.commit(text)


def configure(node, text):
    config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8")
    node.write("etc/dynia/agent.yaml", config + text + "\n")


def git(repository, *argv):
    return harness.run("git", "-C", repository.bare, *argv, env={**os.environ, **harness.GIT_ENV}).stdout.strip()


def ref(repository, node):
    return git(repository, "rev-parse", f"refs/heads/status/demo/{node.name}")


def test_nothing_new_is_no_commit(served):
    node = served.nodes[0]
    before = ref(served.repository, node)
    for _ in range(5):
        node.once()
    assert ref(served.repository, node) == before


def test_keep_bounds_the_history(served):
    node, repository = served.nodes[0], served.repository
    configure(node, "status: {keep: 4}")
    subjects = []
    for i in range(12):
        commit = change_the_page(repository, f"number {i}")
        node.once()
        subjects.append(f"{node.name}: healthy at {commit[:7]}, 2 services")
        log = repository.log(node.name)
        assert len(log) <= 5 and log[:4] == subjects[::-1][:4] + log[len(subjects[:4]):4]
    parents = git(repository, "rev-list", "--max-parents=0", f"status/demo/{node.name}")
    assert len(parents.splitlines()) == 1, "an orphan history, with its own root"


def test_what_happened_while_the_server_was_away_is_told_later(served):
    node, repository = served.nodes[0], served.repository
    before = repository.log(node.name)
    served.daemon.stop()
    served.daemon = None
    for file in ("style.css", "index.html"):
        (node.root / "opt/dynia/sites/hello" / file).unlink()
        assert node.once(check=False).returncode == 1
    assert repository.log(node.name) == before
    served.serve()
    node.once()
    new = repository.log(node.name)[:-len(before)]
    assert len(new) >= 2, "each transition is a commit of its own"
    drift = [d["what"] for d in repository.status(node.name)["drift"]]
    assert [what.rsplit("/", 1)[1] for what in drift] == ["style.css", "index.html"]


def test_another_nodes_ref_is_not_touched(served):
    node, other = served.nodes
    theirs = ref(served.repository, other)
    change_the_page(served.repository, "second")
    node.once()
    assert ref(served.repository, other) == theirs


def test_somebody_elses_commit_on_the_own_ref_is_replaced_and_told(served):
    node, repository = served.nodes[0], served.repository
    tree = git(repository, "rev-parse", f"status/demo/{node.name}^{{tree}}")
    foreign = git(repository, "commit-tree", "-m", "mine now", tree)
    git(repository, "update-ref", f"refs/heads/status/demo/{node.name}", foreign)
    done = node.once()
    assert f"which somebody else set to {foreign[:7]}" in done.stderr
    status = repository.status(node.name)
    assert status["drift"][-1]["what"] == f"refs/heads/status/demo/{node.name}, which somebody else set to {foreign[:7]}"
    assert "mine now" not in repository.log(node.name)
    assert "somebody else" not in node.once().stderr, "once"


def test_signed_status_commits(served):
    node, repository = served.nodes[0], served.repository
    key = node.root / "etc/dynia/id_ed25519"
    harness.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
    allowed = served.folder / "nodes"
    allowed.write_text(f"{node.name} namespaces=\"git\" {key.with_suffix('.pub').read_text(encoding='utf-8')}", encoding="utf-8")
    configure(node, "status: {signing_key: /etc/dynia/id_ed25519, keep: 2}")
    for text in ("second", "third", "fourth"):
        change_the_page(repository, text)
        node.once()
    for commit in git(repository, "rev-list", f"status/demo/{node.name}").splitlines():
        done = harness.run("git", "-C", repository.bare, "-c", f"gpg.ssh.allowedSignersFile={allowed}", "-c", "gpg.format=ssh",
                           "verify-commit", commit)
        assert f'Good "git" signature for {node.name}' in done.stderr, "also those that were written anew"
    key.unlink()
    change_the_page(repository, "fifth")
    done = node.once(check=False)
    assert done.returncode == 1 and "sign the status" in done.stderr
    assert "fifth" in node.fetch(HOST).body, "it is applied all the same"


def test_facts_of_others_are_checked_as_a_strangers(served):
    """What another node's ref says reaches no configuration unless it is an address, and no oversized or odd status harms."""
    node, repository = served.nodes[0], served.repository
    repository.write(CLUSTER, repository.read(CLUSTER).replace(f"misty-owl: {{address: {served.address(2)}}}", "misty-owl: {}"))
    repository.write("clusters/demo/services/motd.yaml", "version: 1\nhosts: [motd.demo.test]\nrespond: {body: motd}\n")
    if "misty-owl: {}" not in repository.read(CLUSTER):
        pytest.fail("the example's cluster.yaml is written in another way than this test thinks")
    repository.commit("its address comes from its status")
    status = repository.status("misty-owl")
    for address in ("10.1.2.3\n  server evil 10.9.9.9:80", "::1", "127.0.0.1", "0.0.0.0", ["10.1.2.3"], "a" * 5000, None):
        lie = json.dumps({**status, "facts": {**status["facts"], "address": address}, "services": [[]] * 1000})
        set_status(repository, "misty-owl", lie)
        node.once(check=False)
        written = (node.root / "opt/dynia/haproxy/haproxy.cfg").read_text(encoding="utf-8")
        assert "evil" not in written and "aaaa" not in written
        assert node.fetch(HOST).status == 200
    set_status(repository, "misty-owl", "x" * (2 << 20))
    node.once(check=False)
    assert node.fetch(HOST).status == 200


def set_status(repository, node, text):
    def plumb(*argv, stdin=None):
        return subprocess.run(["git", "-C", str(repository.bare), *argv], input=stdin, capture_output=True, check=True,
                              env={**os.environ, **harness.GIT_ENV}).stdout.decode().strip()

    blob = plumb("hash-object", "-w", "--stdin", stdin=text.encode())
    tree = plumb("mktree", stdin=f"100644 blob {blob}\tstatus.json\n".encode())
    plumb("update-ref", f"refs/heads/status/demo/{node}", plumb("commit-tree", "-m", "status", tree))


def passes(node):
    """How many the agent has made, by its metrics."""
    with urllib.request.urlopen(f"http://{node.address}:9797/metrics", timeout=20) as answer:
        found = re.search(r"^dynia_passes_total (\d+)$", answer.read().decode(), re.M)
    return int(found[1]) if found else 0


@pytest.fixture
def gated(served):
    """The first node's repository is behind a gate, and each pass has a status to push."""
    gate = git_servers.Gate(served.address(247), served.daemon)
    node = served.nodes[0]
    config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8")
    node.write("etc/dynia/agent.yaml", config.replace(served.daemon.url, gate.url).replace("deadline: 10s", "deadline: 600s") +
               "status: {heartbeat: 1s}\n")
    served.gate = gate
    yield served
    gate.stop()


def more_passes(node, n):
    before = passes(node)
    wait_for(lambda: passes(node) >= before + n, 60, f"{n} passes")


def test_a_push_that_hangs_holds_up_no_pass(gated):
    node, gate, repository = gated.nodes[0], gated.gate, gated.repository
    before = ref(repository, node)
    gate.hold = True
    node.start()
    wait_for(lambda: gate.pushes, 60, "a push")
    more_passes(node, 3)
    commit = change_the_page(repository, "while it hangs")
    wait_for(lambda: "while it hangs" in node.fetch(HOST).body, 60, "page")
    (node.root / "opt/dynia/sites/hello/style.css").unlink()
    wait_for(lambda: (node.root / "opt/dynia/sites/hello/style.css").exists(), 60, "repair")
    more_passes(node, 2)
    assert len(gate.pushes) == 1 and ref(repository, node) == before, "the first one goes on hanging, and there is no second one"
    gate.hold = False
    mirror = node.root / "var/lib/dynia/repo.git"
    wait_for(lambda: f"{node.name}: healthy at {commit[:7]}, 2 services" in repository.log(node.name), 60, "status")
    wait_for(lambda: repository.status(node.name)["drift"], 60, "what was repaired")
    assert repository.status(node.name)["drift"][-1]["what"].endswith("style.css")
    node.stop_agent()
    harness.run("git", "-C", mirror, "merge-base", "--is-ancestor", before, ref(repository, node))
    assert "somebody else" not in node.log.read_text(encoding="utf-8")
    assert not [pid for pid in harness.processes_below(node.root) if b"reconcile" in open(f"/proc/{pid}/cmdline", "rb").read()]


def test_a_push_that_fails_comes_back_later_each_time(gated):
    """The waits are at least half of 1, 2, 4, 8 intervals; how long a pass takes comes on top."""
    node, gate, repository = gated.nodes[0], gated.gate, gated.repository
    gate.refuse = True
    node.start()
    wait_for(lambda: len(gate.pushes) >= 5, 120, "five pushes")
    waits = [b - a for a, b in zip(gate.pushes, gate.pushes[1:])]
    assert all(wait >= 0.5 * 2**i for i, wait in enumerate(waits)), waits
    assert node.log.read_text(encoding="utf-8").count("push the status") == 1, "the same trouble is said once"
    commit = change_the_page(repository, "meanwhile")
    wait_for(lambda: "meanwhile" in node.fetch(HOST).body, 60, "page")
    gate.refuse = False
    wait_for(lambda: f"{node.name}: healthy at {commit[:7]}, 2 services" in repository.log(node.name), 120, "status")
    wait_for(lambda: "all is well again" in node.log.read_text(encoding="utf-8"), 60, "the end of the trouble")


def test_one_pass_waits_for_its_push(gated):
    node, gate = gated.nodes[0], gated.gate
    before = ref(gated.repository, node)
    gate.refuse = True
    done = node.once(check=False)
    assert done.returncode == 1 and "push the status" in done.stderr, done.stderr
    assert ref(gated.repository, node) == before
    gate.refuse = False
    node.once()
    assert ref(gated.repository, node) != before


def test_a_second_repository_that_hangs_holds_up_no_pass(served):
    node, repository = served.nodes[0], served.repository
    second = repository.bare.with_name("status.git")
    harness.run("git", "init", "-q", "--bare", second)
    before, url = ref(repository, node), served.daemon.url
    gate = git_servers.Gate(served.address(247), served.daemon)
    try:
        configure(node, f"status: {{repository: '{gate.url.replace(url.rsplit('/', 1)[1], second.name)}', heartbeat: 1s}}")
        gate.hold = True
        node.start()
        wait_for(lambda: gate.pushes, 60, "a push")
        commit = change_the_page(repository, "while it hangs")
        wait_for(lambda: "while it hangs" in node.fetch(HOST).body, 60, "page")
        gate.hold = False
        wait_for(lambda: f"healthy at {commit[:7]}" in harness.run("git", "-C", second, "log", "--format=%s",
                                                                   f"status/demo/{node.name}").stdout, 60, "status")
        assert ref(repository, node) == before, "it goes to the second one alone"
    finally:
        gate.stop()
