"""What a person orders on a node: suspend, resume, rollback; and the history that shows it."""

import harness
from harness import USAGE

PAGE = "clusters/demo/services/hello/site/index.html"
HOST = "hello.demo.test"


def ready(repository, node):
    return next(c for c in repository.status(node.name)["conditions"] if c["type"] == "Ready")


def order(node, *argv, check=True):
    return harness.dynia(*argv, "--root", node.root, check=check)


def change_the_page(repository, text):
    repository.write(PAGE, f"<p>{text}</p>\n")
    return repository.commit(text)


def test_a_suspended_node_stays_as_it_is(served):
    node, repository = served.nodes[0], served.repository
    before = repository.git("rev-parse", "HEAD")
    assert order(node, "suspend", check=False).returncode == USAGE
    order(node, "suspend", "--reason", "moving the disk")
    change_the_page(repository, "new page")
    page = node.root / "opt/dynia/sites/hello/style.css"
    page.write_text("edited", encoding="utf-8")
    node.once()
    assert "Hello from Dynia" in node.fetch(HOST).body and page.read_text(encoding="utf-8") == "edited"
    assert ready(repository, node)["message"] == "suspended: moving the disk"
    assert repository.log(node.name)[0] == f"{node.name}: at {before[:7]}, suspended: moving the disk"
    assert "suspended: moving the disk" in harness.dynia("status", repository.bare).stdout
    order(node, "resume")
    node.once()
    assert "new page" in node.fetch(HOST).body and page.read_text(encoding="utf-8") != "edited"
    assert ready(repository, node)["status"] == "True"
    order(node, "resume")


def test_a_rollback_holds_until_the_branch_moves(served):
    node, repository = served.nodes[0], served.repository
    first = repository.git("rev-parse", "HEAD")
    second = change_the_page(repository, "second")
    node.once()
    third = change_the_page(repository, "third")
    node.once()
    assert second[:7] in order(node, "rollback").stdout
    for _ in range(2):
        node.once()
        assert "second" in node.fetch(HOST).body
    revision = repository.status(node.name)["revision"]
    assert (revision["desired"], revision["applied"]) == (third, second)
    assert "rolled back" in ready(repository, node)["message"]
    assert first[:7] in order(node, "rollback", "1").stdout
    node.once()
    assert "Hello from Dynia" in node.fetch(HOST).body
    wrong = order(node, "rollback", "99", check=False)
    assert wrong.returncode == USAGE and "no generation 99" in wrong.stderr
    change_the_page(repository, "fourth")
    node.once()
    assert "fourth" in node.fetch(HOST).body and ready(repository, node)["status"] == "True"
    assert not (node.root / "var/lib/dynia/rollback").exists()


def test_nothing_to_roll_back_to(served):
    node = served.nodes[0]
    done = order(node, "rollback", check=False)
    assert done.returncode == USAGE and "no earlier generation" in done.stderr


def test_history_says_what_was_done_and_why(served):
    node, repository = served.nodes[0], served.repository
    commit = change_the_page(repository, "second")
    node.once()
    told = harness.dynia("history", repository.bare, "--node", node.name).stdout
    assert told.splitlines()[0] == f"demo/{node.name}" and "misty-owl" not in told
    assert f"{node.name}: healthy at {commit[:7]}" in told.splitlines()[1]
    assert f"update /opt/dynia/sites/hello/index.html because {PAGE} changed" in told
    assert "because clusters/demo/cluster.yaml is applied for the first time" in told
    one = harness.dynia("history", repository.bare, "--most", "1").stdout
    assert one.count("healthy at") == 2, "one entry of each node"
    nobody = harness.dynia("history", repository.bare, "--node", "nobody", check=False)
    assert nobody.returncode == 1 and "no node 'nobody'" in nobody.stderr
