"""A node's own ref: bounded, signed where that is wanted, and written by nobody else."""

import contextlib
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


def set_status(repository, node, text):
    """Somebody writes a node's ref."""
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


# --- status.repository: a second repository, for the status refs alone --------------------------------------------------


def condition(status, kind):
    return next(c for c in status["conditions"] if c["type"] == kind)


@pytest.fixture
def apart(demo):
    """Both nodes have their status refs in a second repository, which git daemon serves beside the first."""
    demo.second = demo.repository.second()
    demo.second_url = demo.serve().replace(demo.repository.bare.name, demo.second.bare.name)
    for node in demo.nodes:
        configure(node, f"status: {{repository: '{demo.second_url}'}}")
    return demo


def test_a_second_repository_has_the_status_refs_and_the_first_none(apart):
    for node in apart.nodes:
        node.once()
    assert apart.repository.refs() == ["refs/heads/main"]
    assert apart.second.refs() == ["refs/heads/status/demo/brave-panda", "refs/heads/status/demo/misty-owl"]
    node = apart.nodes[0]
    before = ref(apart.second, node)
    node.once()
    assert ref(apart.second, node) == before, "nothing new is no commit"
    commit = change_the_page(apart.repository, "second")
    node.once()
    status = apart.second.status(node.name)
    assert status["revision"]["applied"] == commit
    assert (condition(status, "Reported")["status"], condition(status, "Reported")["reason"]) == ("True", "Pushed")


@contextlib.contextmanager
def needing_peers(demo, more=""):
    """A node that needs the other's address, which comes from its status ref. It has a network of its own, and its repositories by
    path; the other one is a ref alone."""
    node, space = demo.nodes[0], f"dyna-{os.getpid()}"
    demo.repository.replace(CLUSTER, demo.address(1), "10.1.2.1")
    demo.repository.replace(CLUSTER, f"misty-owl: {{address: {demo.address(2)}}}", "misty-owl: {}")
    demo.repository.commit("its address comes from its status")
    config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8").replace(demo.serve(), str(demo.repository.bare))
    node.write("etc/dynia/agent.yaml", config.replace(f"listen: {node.address}", "listen: 127.0.0.1") + more)
    harness.run("ip", "netns", "add", space)
    try:
        harness.run("ip", "-n", space, "link", "set", "lo", "up")
        harness.run("ip", "-n", space, "addr", "add", "10.1.2.1/24", "dev", "lo")
        node.as_user = ["ip", "netns", "exec", space]
        node.once()
        yield demo
        node.stop()
    finally:
        harness.end_processes_below(node.root)
        harness.run("ip", "netns", "del", space)


@pytest.fixture
def with_peers(demo):
    demo.second = demo.repository.second()
    with needing_peers(demo, f"status: {{repository: '{demo.second.bare}'}}\n"):
        yield demo


def test_facts_of_others_are_checked_as_a_strangers(demo):
    """What another node's ref says reaches no configuration unless it is an address, and no oversized or odd status harms."""
    with needing_peers(demo):
        node, repository = demo.nodes[0], demo.repository
        haproxy, status = node.root / "opt/dynia/haproxy/haproxy.cfg", repository.status(node.name)
        set_address(repository, status, "10.1.2.3")
        node.once()
        assert "10.1.2.3" in haproxy.read_text(encoding="utf-8"), "an address is taken"
        for address in ("10.66.6.6\n  server evil 10.9.9.9:80", "10.66.6.6:80", "10.66.6", "0.0.0.0", "255.255.255.255", ["10.66.6.6"],
                        "6" * 5000, "evil.example.com", None):
            set_address(repository, status, address)
            node.once()
            written = haproxy.read_text(encoding="utf-8")
            for word in ("evil", "10.66.6", "6666", "0.0.0.0:", "255.255"):
                assert word not in written, address
        for text in ("x" * (2 << 20), "[" * 100000, "{}", "", json.dumps({**status, "services": [[]] * 1000, "facts": [1]})):
            set_status(repository, "misty-owl", text)
            node.once()
            assert repository.status(node.name)["revision"]["applied"] == repository.git("rev-parse", "HEAD")


def set_address(repository, status, address):
    set_status(repository, "misty-owl", json.dumps({**status, "node": "misty-owl", "facts": {**status["facts"], "address": address}}))


def test_addresses_of_others_come_from_the_second_repository(with_peers):
    node, second = with_peers.nodes[0], with_peers.second
    haproxy, status = node.root / "opt/dynia/haproxy/haproxy.cfg", second.status(node.name)
    set_address(with_peers.repository, status, "10.9.9.9")
    set_address(second, status, "10.1.2.3")
    node.once()
    written = haproxy.read_text(encoding="utf-8")
    assert "10.1.2.3" in written and "10.9.9.9" not in written, "and not from the first"
    node.start()
    set_address(second, status, "10.1.2.4")
    wait_for(lambda: "10.1.2.4" in haproxy.read_text(encoding="utf-8"), 90, "the new address, with no commit to the definitions")
    node.stop_agent()
    git(second, "update-ref", "-d", "refs/heads/status/demo/misty-owl")
    node.once()
    assert "10.1.2.4" not in haproxy.read_text(encoding="utf-8"), "a node that is gone"


def test_bad_refs_in_the_second_repository_do_no_harm(with_peers):
    repository, second, node = with_peers.repository, with_peers.second, with_peers.nodes[0]
    mirror = type("Mirror", (), {"bare": node.root / "var/lib/dynia/repo.git"})
    status, own = second.status(node.name), ref(second, node)
    git(second, "tag", "-a", "-m", "a tag", "annotated", own)
    targets = {"a-blob": git(second, "hash-object", "-w", "/etc/hostname"), "a-tree": git(second, "rev-parse", f"{own}^{{tree}}"),
               "a-tag": git(second, "rev-parse", "annotated"), "a-void": "1" * 40, "a-mess": "no id"}
    for name, target in targets.items():
        (second.bare / "refs/heads/status/demo" / name).write_text(f"{target}\n", encoding="ascii")
    git(second, "symbolic-ref", "refs/heads/status/demo/a-link", f"refs/heads/status/demo/{node.name}")
    git(second, "update-ref", "refs/heads/status/demo/-x", own)
    git(second, "update-ref", "refs/heads/main", own)
    set_status(second, "misty-owl", "x" * (2 << 20))
    commit = change_the_page(repository, "all the same")
    node.once(check=False)
    for name in ("a-mess", "a-void"):
        (second.bare / "refs/heads/status/demo" / name).unlink()
    set_address(second, status, "10.1.2.3")
    node.once()
    assert "10.1.2.3" in (node.root / "opt/dynia/haproxy/haproxy.cfg").read_text(encoding="utf-8")
    assert second.status(node.name)["revision"]["applied"] == commit
    there = git(mirror, "for-each-ref", "--format=%(refname)", "refs/heads").splitlines()
    assert there == ["refs/heads/main", "refs/heads/status/demo/brave-panda", "refs/heads/status/demo/misty-owl"], there
    assert git(mirror, "rev-parse", "main") == commit, "its branch is none of ours"
    git(second, "symbolic-ref", f"refs/heads/status/demo/{node.name}", "refs/heads/main")
    commit = change_the_page(repository, "and again")
    node.once(check=False)
    assert "and again" in (node.root / "opt/dynia/sites/hello/index.html").read_text(encoding="utf-8")


@pytest.fixture(params=["one", "two"])
def told(request, demo):
    """A node that has reported, and the repository of its status: the definitions' own, and a second one."""
    node = demo.nodes[0]
    where = demo.repository
    if request.param == "two":
        where = demo.repository.second()
        configure(node, f"status: {{repository: '{demo.serve().replace(demo.repository.bare.name, where.bare.name)}'}}")
    for text in ("second", "third"):
        change_the_page(demo.repository, text)
        node.once()
    return node, where


def test_an_own_ref_that_was_deleted_is_told_and_put_back(told):
    node, where = told
    name, before = f"refs/heads/status/demo/{node.name}", where.log(node.name)
    git(where, "update-ref", "-d", name)
    done = node.once()
    assert f"{name}, which somebody else deleted: it is pushed again" in done.stderr
    status = where.status(node.name)
    assert where.log(node.name)[-len(before):] == before, "with all of its history"
    assert status["drift"][-1]["what"] == f"{name}, which somebody else deleted"
    reported = condition(status, "Reported")
    assert (reported["reason"], reported["message"]) == ("StatusRefReplaced", f"{name}, which somebody else deleted: it was put right")
    assert "somebody else" not in node.once().stderr, "once"
    assert condition(where.status(node.name), "Reported")["reason"] == "Pushed"


def test_an_own_ref_that_was_overwritten_is_told_and_put_right(told):
    node, where = told
    name, before = f"refs/heads/status/demo/{node.name}", where.log(node.name)
    set_status(where, node.name, json.dumps({**where.status(node.name), "generation": 77}))
    foreign = ref(where, node)
    done = node.once()
    assert f"{name}, which somebody else set to {foreign[:7]}: it is replaced" in done.stderr
    status = where.status(node.name)
    assert where.log(node.name)[-len(before):] == before and status["generation"] != 77
    assert condition(status, "Reported")["reason"] == "StatusRefReplaced"
    assert status["drift"][-1]["what"] == f"{name}, which somebody else set to {foreign[:7]}"


def test_a_second_repository_that_is_down_stops_nothing_and_hides_nothing(apart):
    node, repository = apart.nodes[0], apart.repository
    node.once()
    apart.second.bare.rename(apart.second.bare.with_name("gone"))
    commit = change_the_page(repository, "without it")
    done = node.once(check=False)
    assert done.returncode == 1 and "the status repository: 'git://" in done.stderr and "without it" in node.fetch(HOST).body
    node.start()
    wait_for(lambda: "the status repository" in node.log.read_text(encoding="utf-8"), 60, "the trouble in the log")
    commit = change_the_page(repository, "still without it")
    wait_for(lambda: "still without it" in node.fetch(HOST).body, 60, "page")
    apart.daemon.stop()
    wait_for(lambda: any("Connection refused; and " in line and "status repository" in line
                         for line in node.log.read_text(encoding="utf-8").splitlines()), 60, "both, in one line")
    apart.daemon = None
    apart.serve()
    apart.second.bare.with_name("gone").rename(apart.second.bare)
    wait_for(lambda: f"healthy at {commit[:7]}" in "".join(apart.second.log(node.name)[:2]), 90, "status")
    wait_for(lambda: condition(apart.second.status(node.name), "Reported")["status"] == "True", 60, "Reported")
    history = [condition(apart.second.status(node.name, rev=f"~{i}"), "Reported") for i in range(len(apart.second.log(node.name)))]
    assert any(c["status"] == "False" and "the status repository" in c["message"] for c in history), "it says so afterwards"
    node.stop_agent()


def test_credentials_of_one_repository_go_to_no_other_host(demo):
    """Two servers, each with a token of its own."""
    node, repository = demo.nodes[0], demo.repository
    second = repository.second()
    authority = git_servers.Authority(demo.folder / "authority")
    first_server = git_servers.Https(repository, demo.address(240), authority.sign("one", demo.address(240)), token="token-one")
    try:
        second_server = git_servers.Https(second, demo.address(241), authority.sign("two", demo.address(241)), token="token-two")
    except BaseException:
        first_server.stop()
        raise
    try:
        node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
        for name in ("one", "two"):
            node.write(f"etc/dynia/{name}", f"token-{name}\n", 0o600)
        config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8").replace(demo.serve(), first_server.url)
        config += "ca_file: /etc/dynia/ca.pem\ncredentials: {username: node, password_file: /etc/dynia/one}\n"
        node.write("etc/dynia/agent.yaml", f"{config}status: {{repository: '{second_server.url}'}}\n")
        done = node.once(check=False)
        assert done.returncode == 1 and "the status repository" in done.stderr and "status 401" in done.stderr, done.stderr
        assert second_server.credentials() == set(), "the first one's token is not for it"
        node.write("etc/dynia/agent.yaml", f"{config}status:\n  repository: '{second_server.url}'\n"
                                           "  credentials: {username: node, password_file: /etc/dynia/two}\n")
        node.once()
        assert second.refs() == [f"refs/heads/status/demo/{node.name}"]
        assert second_server.credentials() == {git_servers.basic("node", "token-two")}
        assert first_server.credentials() == {git_servers.basic("node", "token-one")}
        assert len({row[2] for row in first_server.requests()}) > 0 and not [
            row for row in first_server.requests() if "receive-pack" in row[2]], "nothing is pushed to the first"
    finally:
        first_server.stop()
        second_server.stop()


def test_a_second_repository_on_the_same_host_takes_the_same_credentials(demo):
    node, repository = demo.nodes[0], demo.repository
    second = repository.second()
    server = git_servers.Ssh(repository, demo.address(242))
    try:
        node.write("etc/dynia/id", server.key.read_text(encoding="utf-8"), 0o600)
        node.write("etc/dynia/known_hosts", server.known_hosts())
        config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8").replace(demo.serve(), server.url)
        node.write("etc/dynia/agent.yaml", f"{config}credentials: {{ssh_key: /etc/dynia/id, known_hosts: /etc/dynia/known_hosts}}\n"
                                           f"status: {{repository: '{server.url.replace('infra.git', second.bare.name)}'}}\n")
        node.once()
        assert second.refs() == [f"refs/heads/status/demo/{node.name}"]
    finally:
        server.stop()


def test_an_idle_pass_asks_the_first_repository_alone(demo):
    """One request a pass on the kept connection; the second one is asked with the heartbeat."""
    node, repository = demo.nodes[0], demo.repository
    second = repository.second()
    authority = git_servers.Authority(demo.folder / "authority")
    server = git_servers.Https(repository, demo.address(240), authority.sign("one", demo.address(240)))
    try:
        node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
        config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8").replace(demo.serve(), server.url)
        node.write("etc/dynia/agent.yaml", f"{config}ca_file: /etc/dynia/ca.pem\n"
                                           f"status: {{repository: '{server.base}/{second.bare.name}'}}\n")
        node.start()
        wait_for(lambda: second.has_status(node.name) and "healthy" in second.log(node.name)[0], 90, "status")
        more_passes(node, 4)
        before = len(server.requests())
        more_passes(node, 5)
        new = server.requests()[before:]
        assert len(new) >= 5 and {row[2] for row in new} == {f"/{repository.bare.name}/git-upload-pack"}, new
        assert len({row[0] for row in new}) == 1
        node.stop_agent()
    finally:
        server.stop()


def clutter(node):
    """More than a thousand loose objects, as a month of heartbeats leaves them."""
    mirror = node.root / "var/lib/dynia/repo.git"
    for i in range(1500):
        (node.root / f"blob{i}").write_text(f"{i}\n", encoding="utf-8")
    paths = "".join(f"{node.root}/blob{i}\n" for i in range(1500))
    harness.run("git", "-C", mirror, "hash-object", "-w", "--stdin-paths", input=paths)
    return mirror


def files_of_objects(mirror):
    return sum(path.is_file() for path in (mirror / "objects").rglob("*"))


@pytest.mark.parametrize("loop", [False, True])
def test_the_mirror_does_not_grow_by_files_for_ever(served, loop):
    node, repository = served.nodes[0], served.repository
    mirror = clutter(node)
    if loop:
        node.start()
        wait_for(lambda: "one pack now" in node.log.read_text(encoding="utf-8"), 60, "upkeep")
    else:
        assert "one pack now" in node.once().stderr
    assert files_of_objects(mirror) < 20
    harness.run("git", "-C", mirror, "fsck", "--full")
    harness.run("git", "-C", mirror, "cat-file", "-e", harness.run("git", "hash-object", node.root / "blob7").stdout.strip())
    repository.replace("clusters/demo/cluster.yaml", "stats: {port: 18404}", "stats: {port: 18404}\n  max_connections: 100")
    head = repository.commit("after the upkeep")
    if loop:
        wait_for(lambda: repository.status(node.name)["revision"]["last_good"] == head, 60, "the commit")
    else:
        node.once()
    assert repository.status(node.name)["revision"]["last_good"] == head
