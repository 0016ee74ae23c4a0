"""History only moves forward: what does not contain the applied commit is refused until a person on the node accepts it."""

import json
import shutil

import pytest

import harness
from harness import USAGE, Repository, wait_for

PAGE = "clusters/demo/services/hello/site/index.html"
HOST = "hello.demo.test"


def condition(status, kind):
    return next(c for c in status["conditions"] if c["type"] == kind)


def whole_state(node):
    """All that must be as it was: files, programs, and the agent's memory of what is applied."""
    kept = {name: (node.root / "var/lib/dynia" / name).read_bytes() for name in ("index", "high-water")}
    generations = sorted(p.name for p in (node.root / "var/lib/dynia/generations").iterdir())
    state = json.loads((node.root / "var/lib/dynia/state.json").read_text(encoding="utf-8"))
    return node.files(), node.pids(), kept, generations, state["revision"], state["key"]


def change_the_page(repository, text):
    repository.write(PAGE, f"<p>{text}</p>\n")
    return repository.commit(text)


def refused(node, repository, good, bad, reason, rule):
    """One pass that refuses, with all that it must say."""
    before = whole_state(node)
    done = node.once(check=False)
    assert done.returncode == 1
    for part in (bad[:7], good[:7], rule, "history only moves forward", f"dynia reconcile --accept-history {bad[:7]}"):
        assert part in done.stderr, (part, done.stderr)
    assert whole_state(node) == before
    status = repository.status(node.name)
    assert status["revision"]["applied"] == good and status["revision"]["quarantined"] == bad
    assert status["high_water"] == good
    for kind in ("Ready", "Synced"):
        assert (condition(status, kind)["status"], condition(status, kind)["reason"]) == ("False", reason)
    assert condition(status, "Applied")["status"] == "True" and condition(status, "Stalled")["status"] == "True"
    assert repository.log(node.name)[0].startswith(f"{node.name}: stays at {good[:7]}, refuses {bad[:7]}: ")
    assert node.fetch(HOST).status == 200
    return done


def accept(node, revision, *more, check=True):
    return harness.dynia("reconcile", "--accept-history", revision, "--root", node.root, *more, check=check)


@pytest.fixture
def node(served):
    """A node that has applied two commits."""
    change_the_page(served.repository, "second")
    served.nodes[0].once()
    return served.nodes[0]


def rewrite(repository):
    """The last commit is another one now."""
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    return change_the_page(repository, "rewritten")


def test_a_rewritten_history_is_refused_until_it_is_accepted(served, node):
    repository = served.repository
    good = repository.git("rev-parse", "HEAD")
    bad = rewrite(repository)
    refused(node, repository, good, bad, "HistoryRewritten", "does not descend from")
    commits = len(repository.log(node.name))
    refused(node, repository, good, bad, "HistoryRewritten", "does not descend from")
    assert len(repository.log(node.name)) == commits, "told once"
    # What is applied is repaired all the same.
    (node.root / "opt/dynia/sites/hello/index.html").write_text("edited", encoding="utf-8")
    node.once(check=False)
    assert "second" in node.fetch(HOST).body
    done = accept(node, bad[:7])
    assert bad in done.stdout
    node.once()
    assert "rewritten" in node.fetch(HOST).body
    status = repository.status(node.name)
    assert status["high_water"] == bad and condition(status, "Synced")["status"] == "True"
    assert condition(status, "Ready")["status"] == "True"
    # The history that was left is now the wrong one.
    repository.git("reset", "--quiet", "--hard", good)
    again = change_the_page(repository, "back on the old one")
    refused(node, repository, bad, again, "HistoryRewritten", "does not descend from")


def test_the_branch_set_back_is_refused(served, node):
    repository = served.repository
    good = repository.git("rev-parse", "HEAD")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.git("push", "--quiet", "--force", "origin", "main")
    older = repository.git("rev-parse", "HEAD")
    refused(node, repository, good, older, "OlderHistory", "is older than")
    done = accept(node, older, "--once")
    assert older in done.stdout
    assert "Hello from Dynia" in node.fetch(HOST).body
    assert repository.status(node.name)["high_water"] == older


def test_a_history_with_another_root_is_refused(served, node):
    repository = served.repository
    good = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "--orphan", "fresh")
    bad = repository.git("commit-tree", "-m", "all new", repository.git("write-tree"))
    repository.git("push", "--quiet", "--force", "origin", f"{bad}:refs/heads/main")
    refused(node, repository, good, bad, "HistoryRewritten", "does not descend from")


def test_a_merge_and_a_revert_are_forward(served, node):
    repository = served.repository
    repository.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    repository.write("clusters/demo/services/side.yaml", "version: 1\nhosts: [side.demo.test]\nrespond: {body: side}\n")
    repository.git("add", "-A")
    repository.git("commit", "--quiet", "-m", "side")
    repository.git("checkout", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-edit", "side")
    repository.commit("after the merge")
    node.once()
    assert node.fetch("side.demo.test").body == "side"
    repository.git("revert", "--no-edit", "-m", "1", "HEAD~1")
    repository.commit("after the revert")
    node.once()
    assert node.fetch("side.demo.test").status == 404


def test_a_running_agent_refuses_and_takes_the_order(served, node):
    repository = served.repository
    node.start()
    good = repository.git("rev-parse", "HEAD")
    bad = rewrite(repository)
    wait_for(lambda: repository.log(node.name)[0].startswith(f"{node.name}: stays at {good[:7]}, refuses {bad[:7]}"),
             60, "refusal")
    assert "second" in node.fetch(HOST).body
    accept(node, bad)
    wait_for(lambda: "rewritten" in node.fetch(HOST).body, 60, "accepted page")
    wait_for(lambda: repository.log(node.name)[0].startswith(f"{node.name}: healthy at {bad[:7]}"), 60, "status")


def test_a_wrong_order_is_refused(served, node):
    wrong = accept(node, "1234567890", check=False)
    assert wrong.returncode == 1 and "1234567890" in wrong.stderr
    assert accept(node, "main", "--dry-run", check=False).returncode == USAGE
    assert not (node.root / "var/lib/dynia/accept-history").exists()


def older_mirror(site, revision):
    """A second repository, whose branch stays behind."""
    folder = site.folder / "behind"
    folder.mkdir()
    mirror = Repository(folder)
    site.repository.git("push", "--quiet", mirror.bare, f"{revision}:refs/heads/main")
    return mirror


def use_repositories(node, site, *urls):
    config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8")
    before = next(line for line in config.splitlines() if line.startswith("repository:"))
    node.write("etc/dynia/agent.yaml", config.replace(before, f"repository: [{', '.join(map(str, urls))}]"))


def test_a_mirror_that_is_behind_is_passed_over(served, node):
    repository = served.repository
    behind = older_mirror(served, "HEAD~1")
    use_repositories(node, served, behind.bare, served.daemon.url)
    third = change_the_page(repository, "third")
    done = node.once()
    assert "repository 1 of 2 is behind" in done.stderr
    assert "third" in node.fetch(HOST).body
    status = repository.status(node.name)
    assert status["high_water"] == third
    assert condition(status, "Synced")["status"] == "True" and "is behind" in condition(status, "Synced")["message"]


def test_a_mirror_that_is_behind_and_alone_is_refused(served, node):
    repository = served.repository
    good = repository.git("rev-parse", "HEAD")
    behind = older_mirror(served, "HEAD~1")
    older = repository.git("rev-parse", "HEAD~1")
    use_repositories(node, served, behind.bare, f"git://{served.address(249)}:1/infra.git")
    refused(node, behind, good, older, "OlderHistory", "is older than")


def lose(node, *names):
    for name in names:
        path = node.root / "var/lib/dynia" / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.mark.parametrize("lost", [["high-water"], ["high-water", "state.json"], ["high-water", "state.json", "repo.git", "index"]],
                         ids=["mark", "mark-and-state", "disk"])
def test_the_second_place_remembers(served, node, lost):
    """A lost mark is known from the state, and from the status ref on the server."""
    repository = served.repository
    good = repository.git("rev-parse", "HEAD")
    lose(node, *lost)
    bad = rewrite(repository)
    page = node.fetch(HOST).body
    done = node.once(check=False)
    assert done.returncode == 1 and bad[:7] in done.stderr and good[:7] in done.stderr
    assert "history only moves forward" in done.stderr
    assert node.fetch(HOST).body == page
    assert repository.status(node.name)["high_water"] == good


def test_a_damaged_mark_is_told_and_the_second_place_counts(served, node):
    repository = served.repository
    good = repository.git("rev-parse", "HEAD")
    node.write("var/lib/dynia/high-water", "{ not json", 0o600)
    bad = rewrite(repository)
    done = node.once(check=False)
    assert done.returncode == 1 and "'/var/lib/dynia/high-water' is damaged" in done.stderr
    assert f"{bad[:7]} does not descend from {good[:7]}" in done.stderr


def test_a_disk_restored_from_a_backup_does_not_go_back(served, node):
    """All of /var/lib/dynia is as it was two commits ago; the server set its branch back to just that."""
    repository = served.repository
    backup = served.folder / "backup"
    shutil.copytree(node.root / "var/lib/dynia", backup, symlinks=True)
    then = repository.git("rev-parse", "HEAD")
    third = change_the_page(repository, "third")
    node.once()
    history = repository.log(node.name)
    shutil.rmtree(node.root / "var/lib/dynia")
    shutil.copytree(backup, node.root / "var/lib/dynia", symlinks=True)
    repository.git("reset", "--quiet", "--hard", then)
    bad = change_the_page(repository, "another third")
    done = node.once(check=False)
    assert done.returncode == 1 and f"{bad[:7]} does not descend from {third[:7]}" in done.stderr
    assert "its status ref says" in done.stderr
    assert repository.log(node.name)[-len(history):] == history, "the history that the server had is kept"
    repository.git("reset", "--quiet", "--hard", third)
    change_the_page(repository, "fourth")
    node.once()
    assert "fourth" in node.fetch(HOST).body


def test_a_rollback_order_outlives_a_refused_tip(served, node):
    repository = served.repository
    good = repository.git("rev-parse", "HEAD")
    harness.dynia("rollback", "--root", node.root)
    node.once()
    assert "Hello from Dynia" in node.fetch(HOST).body
    rewrite(repository)
    assert node.once(check=False).returncode == 1
    assert "Hello from Dynia" in node.fetch(HOST).body
    repository.git("push", "--quiet", "--force", "origin", f"{good}:refs/heads/main")
    node.once()
    assert "Hello from Dynia" in node.fetch(HOST).body, "the order holds for this tip"
