"""The whole way, on real programs: a commit is pulled, rendered, applied, served, and reported back to git."""

import os
import re
import shutil
import socket
import signal
import subprocess

import pytest

import harness
from harness import CADDY, HTTP, HTTPS, INVALID, STATS, TO_DO, wait_for

PAGE = "clusters/demo/services/hello/site/index.html"
CLUSTER = "clusters/demo/cluster.yaml"
HOST = "hello.demo.test"


def condition(status, kind):
    return next(c for c in status["conditions"] if c["type"] == kind)


def test_commit_to_served_page_on_two_nodes(demo):
    commit = demo.repository.git("rev-parse", "HEAD")
    for node in demo.nodes:
        node.once()
    for node in demo.nodes:
        page = node.fetch(HOST)
        assert (page.status, page.body) == (200, demo.repository.read(PAGE))
        assert page.headers["Strict-Transport-Security"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert node.fetch(HOST, "/style.css").headers["Content-Type"].startswith("text/css")
        assert node.fetch(HOST, port=CADDY).body == page.body
        to_https = node.fetch(HOST, "/a?b=c", port=HTTP)
        assert to_https.status in (301, 308) and to_https.headers["Location"].startswith("https://" + HOST)
        nobody = node.fetch("nobody.demo.test")
        assert nobody.status == 404 and "nothing at this name" in nobody.body
        assert node.fetch(HOST, "/../../../etc/passwd").status in (400, 404)
        assert demo.repository.log(node.name) == [f"{node.name}: healthy at {commit[:7]}, "
                                                  f"{3 if node.name == 'misty-owl' else 2} services"]


def test_a_service_of_one_node_is_reached_through_the_other(served):
    for node in served.nodes:
        answer = wait_for(lambda n=node: (r := n.fetch("motd.demo.test")).status == 200 and r, what="motd")
        assert answer.body == "Served by misty-owl."


def test_status_says_what_was_seen(served):
    commit = served.repository.git("rev-parse", "HEAD")
    status = served.repository.status("misty-owl")
    assert status["version"] == 1 and (status["cluster"], status["node"]) == ("demo", "misty-owl")
    assert status["revision"] == {"desired": commit, "applied": commit, "last_good": commit, "quarantined": None}
    assert status["generation"] == 1
    for kind in ("Ready", "Synced", "Valid", "Applied", "Healthy"):
        assert condition(status, kind)["status"] == "True", kind
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+", condition(status, kind)["reason"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", condition(status, kind)["since"])
    services = {s["name"]: s["health"] for s in status["services"]}
    assert services == {"hello": "healthy", "motd": "healthy", "placeholder": "healthy"}
    assert status["ingress"]["haproxy"]["health"] == status["ingress"]["caddy"]["health"] == "healthy"
    assert status["drift"] == [] and status["causes"]
    assert status["facts"]["address"] == served.nodes[1].address


def test_agents_take_a_change_by_themselves(demo):
    for node in demo.nodes:
        node.start()
    for node in demo.nodes:
        wait_for(lambda n=node: n.fetch(HOST).status == 200, what="page")
    pids = [node.pids() for node in demo.nodes]
    demo.repository.replace(PAGE, "Hello from Dynia", "Hello again")
    commit = demo.repository.commit("greet again")
    for node in demo.nodes:
        wait_for(lambda n=node: "Hello again" in n.fetch(HOST).body, what="new page")
        wait_for(lambda n=node: demo.repository.log(n.name)[0].startswith(f"{n.name}: healthy at {commit[:7]}"),
                 what="status")
        causes = demo.repository.status(node.name)["causes"]
        assert any("index.html" in c["because"] or "index.html" in c["action"] for c in causes), causes
    assert [node.pids() for node in demo.nodes] == pids, "a page needs no new process"


def test_a_wrong_commit_changes_nothing_and_is_told(served):
    node = served.nodes[0]
    good = served.repository.git("rev-parse", "HEAD")
    before = node.files()
    served.repository.replace(CLUSTER, "https_port: 18443", "https_prot: 18443")
    bad = served.repository.commit("a slip")
    done = node.once(check=False)
    assert done.returncode == INVALID
    assert re.search(rf"{CLUSTER}:\d+:\d+: .*https_prot.*https_port", done.stderr), done.stderr
    assert node.files() == before
    assert node.fetch(HOST).status == 200
    status = served.repository.status(node.name)
    assert (status["revision"]["desired"], status["revision"]["applied"]) == (bad, good)
    assert condition(status, "Valid")["status"] == condition(status, "Ready")["status"] == "False"
    assert "https_prot" in condition(status, "Valid")["message"] and CLUSTER in condition(status, "Valid")["message"]
    assert bad[:7] in served.repository.log(node.name)[0]

    served.repository.git("revert", "--no-edit", "HEAD")
    fixed = served.repository.commit("as it was")
    node.once()
    status = served.repository.status(node.name)
    assert status["revision"]["applied"] == fixed and condition(status, "Ready")["status"] == "True"


def test_what_the_programs_own_checker_refuses_is_not_applied(served):
    """Right by the schema, and still nothing that HAProxy can run: a stapled answer that is none, beside a good certificate."""
    node = served.nodes[0]
    before = node.files()
    page = node.fetch(HOST).body
    certs = node.root / "opt/dynia/haproxy/certs"
    shutil.copy(certs / "zz-dynia-placeholder.pem", certs / "site.pem")
    (certs / "site.pem.ocsp").write_text("no answer\n", encoding="utf-8")
    served.repository.replace(CLUSTER, "stats: {port: 18404}", "stats: {port: 18404}\n  max_connections: 100")
    served.repository.commit("fewer connections")
    done = node.once(check=False)
    assert done.returncode == 1 and "site.pem" in done.stderr
    for name in ("site.pem", "site.pem.ocsp"):
        (certs / name).unlink()
    assert node.files() == before
    assert node.fetch(HOST).body == page
    node.once()
    assert "maxconn 100" in (node.root / "opt/dynia/haproxy/haproxy.cfg").read_text(encoding="utf-8")


def test_a_damaged_placeholder_is_made_anew(served):
    """Without it HAProxy would not start after a reboot; and one that is another one, and whole, stays."""
    node = served.nodes[0]
    placeholder = node.root / "opt/dynia/haproxy/certs/zz-dynia-placeholder.pem"
    good = placeholder.read_bytes()
    for damage in (b"garbage\n", good[:len(good) // 2], good.replace(b"PRIVATE KEY", b"PUBLIC KEY")):
        placeholder.write_bytes(damage)
        assert "drift: it was edited on the node" in node.once().stderr
        now = placeholder.read_bytes()
        assert now not in (damage, good) and now.count(b"-----END") == 2 and placeholder.stat().st_mode & 0o777 == 0o600
        assert node.fetch(HOST).status == 200
    placeholder.write_bytes(good)
    assert "drift" not in node.once().stderr and placeholder.read_bytes() == good


def test_a_second_pass_changes_and_starts_nothing(served, tmp_path):
    node = served.nodes[0]
    before, commits = node.stamps(), served.repository.log(node.name)
    trace = tmp_path / "trace"
    env = {**node.env, "ASAN_OPTIONS": "detect_leaks=0"}
    harness.run("strace", "-f", "-qq", "-o", trace, "-e", "trace=execve,execveat,renameat,renameat2,rename,unlinkat",
                *node.argv("--once"), env=env)
    text = trace.read_text(encoding="utf-8")
    assert text.count("execve(") == 1, text
    assert "rename" not in text
    after = node.stamps()
    assert {p: (before.get(p), after.get(p)) for p in {*before, *after} if before.get(p) != after.get(p)} == {}
    assert served.repository.log(node.name) == commits


@pytest.mark.parametrize("damage", ["edited", "deleted", "mode", "symlink", "folder"])
def test_a_managed_file_comes_back(served, damage):
    node = served.nodes[0]
    file = node.root / "opt/dynia/caddy/Caddyfile"
    want = node.files()
    if damage == "edited":
        file.write_text("# mine\n", encoding="utf-8")
    elif damage == "deleted":
        file.unlink()
    elif damage == "mode":
        file.chmod(0o666)
    elif damage == "symlink":
        elsewhere = served.folder / "elsewhere"
        elsewhere.write_text("keep\n", encoding="utf-8")
        file.unlink()
        file.symlink_to(elsewhere)
    else:
        file.unlink()
        file.mkdir()
    node.once()
    assert node.files() == want and not file.is_symlink()
    if damage == "symlink":
        assert elsewhere.read_text(encoding="utf-8") == "keep\n"
    drift = served.repository.status(node.name)["drift"]
    assert [(d["what"], d["repaired"]) for d in drift] == [("/opt/dynia/caddy/Caddyfile", True)]
    assert node.fetch(HOST).status == 200


def test_a_deleted_site_folder_comes_back(served):
    node = served.nodes[0]
    want = node.files()
    harness.run("rm", "-r", node.root / "opt/dynia/caddy")
    node.once()
    assert node.files() == want
    assert node.fetch(HOST).status == 200


@pytest.mark.parametrize("program", ["haproxy", "caddy"])
def test_a_killed_program_comes_back(served, program):
    node = served.nodes[0]
    other = "caddy" if program == "haproxy" else "haproxy"
    before = node.pids()
    os.kill(before[program], signal.SIGKILL)
    wait_for(lambda: node.pid(program) is None, what="death")
    node.once()
    after = node.pids()
    assert after[program] not in (None, before[program]) and after[other] == before[other]
    wait_for(lambda: node.fetch(HOST).status == 200, what="page")
    assert any(program in d["what"] for d in served.repository.status(node.name)["drift"])


def test_the_agent_repairs_while_it_runs(demo):
    node = demo.nodes[0]
    node.start()
    wait_for(lambda: node.fetch(HOST).status == 200, what="page")
    file = node.root / "opt/dynia/caddy/Caddyfile"
    wait_for(lambda: demo.repository.has_status(node.name), what="status")
    want = file.read_bytes()
    file.write_text("# mine\n", encoding="utf-8")
    wait_for(lambda: file.read_bytes() == want, what="repair")
    os.kill(node.pid("caddy"), signal.SIGKILL)
    wait_for(lambda: node.fetch(HOST).status == 200, what="page")
    pids = node.pids()
    node.stop_agent()
    assert node.pids() == pids, "the programs outlive the agent"
    assert node.fetch(HOST).status == 200


def test_a_removed_service_goes(served):
    node = served.nodes[0]
    node.write("opt/dynia/caddy/mine.txt", "not Dynia's\n")
    served.repository.git("rm", "-r", "--quiet", "clusters/demo/services/hello")
    served.repository.commit("no more hello")
    node.once()
    assert not [path for path in node.files() if "hello" in path]
    assert not [p for p in node.root.rglob("*") if "hello" in p.name], "and its folder"
    assert (node.root / "opt/dynia/caddy/mine.txt").read_text(encoding="utf-8") == "not Dynia's\n"
    assert node.fetch(HOST).status == 404
    assert any("hello" in c["action"] or "hello" in c["because"] for c in served.repository.status(node.name)["causes"])


def with_secret(site):
    site.use_example()
    site.repository.replace(CLUSTER, "stats: {port: 18404}",
                            f"stats: {{port: 18404, from: [{site.network}.0/24], user: admin, "
                            "password: {secret: stats-password}}")
    site.repository.commit("a password")
    return site.node()


def stats(node, password):
    import base64
    token = base64.b64encode(f"admin:{password}".encode()).decode()
    return node.fetch("stats", "/stats", port=STATS, headers={"Authorization": f"Basic {token}"}).status


def test_secrets(site):
    node = with_secret(site)
    done = node.once(check=False)
    assert done.returncode in (1, INVALID)
    assert "stats-password" in done.stderr and "ingress.stats.password" in done.stderr, "names the secret and the field that asks"
    assert node.files() == {} and node.pids() == {"haproxy": None, "caddy": None}

    node.write("etc/dynia/secrets.yaml", "stats-password: tiger-one\n", 0o644)
    done = node.once(check=False)
    assert done.returncode in (1, INVALID) and "0644" in done.stderr and "chmod 600" in done.stderr
    assert node.files() == {}

    node.write("etc/dynia/secrets.yaml", "stats-password: tiger-one\n", 0o600)
    node.once()
    assert (stats(node, "tiger-one"), stats(node, "wrong")) == (200, 401)
    holding = [path for path, (mode, data) in node.files().items() if b"tiger-one" in data]
    assert holding and all(node.files()[path][0] == 0o600 for path in holding)

    node.write("etc/dynia/secrets.yaml", "stats-password: tiger-two\n", 0o600)
    done = node.once()
    assert (stats(node, "tiger-two"), stats(node, "tiger-one")) == (200, 401)
    told = done.stdout + done.stderr + str(site.repository.status(node.name)) + "".join(site.repository.log(node.name))
    assert "tiger" not in told, "a secret is never told"
    assert "tiger" not in (node.root / "var/lib/dynia/state.json").read_text(encoding="utf-8")


def test_a_broken_secrets_file_does_not_tell_what_is_in_it(site):
    node = with_secret(site)
    node.write("etc/dynia/secrets.yaml", "stats-password: [tiger, three]\n", 0o600)
    done = node.once(check=False)
    assert done.returncode != 0 and "secrets.yaml" in done.stderr and "tiger" not in done.stderr


def test_dry_run_writes_nothing_but_the_mirror(demo):
    node = demo.nodes[0]
    done = node.once("--dry-run", check=False)
    assert done.returncode == TO_DO
    assert "haproxy.cfg" in done.stdout and "start" in done.stdout
    assert node.files() == {} and node.pids() == {"haproxy": None, "caddy": None}
    assert not demo.repository.has_status(node.name)
    node.once()
    assert node.once("--dry-run").returncode == 0
    demo.repository.replace(PAGE, "Hello from Dynia", "Hello again")
    demo.repository.commit("greet again")
    before = node.files()
    done = node.once("--dry-run", check=False)
    assert done.returncode == TO_DO and "index.html" in done.stdout
    assert node.files() == before


def test_a_dry_run_that_reaches_no_repository_says_by_what_it_planned(demo):
    node = demo.nodes[0]
    with socket.create_server((node.address, 0)) as nobody:
        config = node.root / "etc/dynia/agent.yaml"
        right = config.read_text(encoding="utf-8")
        wrong = right.replace(demo.serve(), f"git://{node.address}:{nobody.getsockname()[1]}/infra.git")
    # Nothing is known at all.
    node.write("etc/dynia/agent.yaml", wrong)
    done = node.once("--dry-run", check=False)
    assert done.returncode == 1 and "nothing to do" not in done.stdout and "the plan is made" not in done.stderr
    node.write("etc/dynia/agent.yaml", right)
    node.once()
    mirror = demo.repository.git("rev-parse", "HEAD")
    # What the mirror does not have.
    demo.repository.replace(PAGE, "Hello from Dynia", "Hello again")
    newer = demo.repository.commit("greet again")
    node.write("etc/dynia/agent.yaml", wrong)
    done = node.once("--dry-run", check=False)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "nothing to do" in done.stdout
    assert f"the plan is made against {mirror[:7]}, which the mirror has, and no repository was reached: " in last
    assert node.address in last and newer[:7] not in done.stdout + done.stderr
    # There is something to do.
    (node.root / "opt/dynia/sites/hello/index.html").write_text("edited", encoding="utf-8")
    done = node.once("--dry-run", check=False)
    assert done.returncode == 1 and "restore" in done.stdout and "1 change on 1 node" in done.stdout
    assert f"the plan is made against {mirror[:7]}" in done.stderr.splitlines()[-1]
    node.write("etc/dynia/agent.yaml", right)
    assert node.once("--dry-run", check=False).returncode == TO_DO


def test_two_agents_of_one_node_exclude_each_other(served):
    node = served.nodes[0]
    node.start()
    wait_for(lambda: node.log.read_text(encoding="utf-8") or node.agent.poll() is not None, what="log")
    done = wait_for(lambda: (d := node.once(check=False)).returncode == 1 and d, what="refusal")
    assert "another" in done.stderr


def test_the_server_is_down_and_comes_back(served):
    node = served.nodes[0]
    url = served.daemon.url
    served.daemon.stop()
    served.daemon = None
    done = node.once(check=False)
    assert done.returncode == 1 and "git" in done.stderr
    assert node.fetch(HOST).status == 200
    (node.root / "opt/dynia/caddy/Caddyfile").unlink()
    node.once(check=False)
    assert (node.root / "opt/dynia/caddy/Caddyfile").exists(), "drift is repaired without the server"
    served.repository.replace(PAGE, "Hello from Dynia", "Hello again")
    served.repository.commit("greet again")
    assert served.serve() == url
    node.once()
    assert "Hello again" in node.fetch(HOST).body
    assert served.repository.status(node.name)["drift"], "what happened meanwhile is told afterwards"


def test_a_second_repository_takes_over(served):
    """repository: is a list, tried in order."""
    node = served.nodes[0]
    node.write("etc/dynia/agent.yaml", (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8").replace(
        f"repository: {served.daemon.url}",
        f"repository: [git://{served.address(249)}:1/infra.git, {served.daemon.url}]"))
    served.repository.replace(PAGE, "Hello from Dynia", "Hello again")
    served.repository.commit("greet again")
    node.once()
    assert "Hello again" in node.fetch(HOST).body


def test_a_plain_path_is_a_repository(site):
    site.use_example()
    node = site.node()
    config = node.root / "etc/dynia/agent.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace(site.daemon.url, str(site.repository.bare)),
                      encoding="utf-8")
    node.once()
    assert node.fetch(HOST).status == 200
    assert site.repository.has_status(node.name)


def without_placeholder(node):
    """A certificate that is made anew is another one."""
    return {path: file for path, file in node.files().items() if "placeholder.pem" not in path}


def test_a_node_that_lost_its_disk_comes_back(served):
    node = served.nodes[0]
    want = without_placeholder(node)
    first = served.repository.log(node.name)
    node.stop_programs()
    for folder in ("opt", "var", "run"):
        harness.run("rm", "-r", node.root / folder)
    node.once()
    assert without_placeholder(node) == want
    assert served.repository.log(node.name)[-len(first):] == first, "the history goes on"


@pytest.mark.parametrize("file", ["state.json", "index"])
def test_damaged_state_is_made_anew(served, file):
    node = served.nodes[0]
    (node.root / "var/lib/dynia" / file).write_text("{ not json", encoding="utf-8")
    want = without_placeholder(node)
    node.once()
    assert without_placeholder(node) == want
    assert node.fetch(HOST).status == 200


@pytest.mark.parametrize("file, there, newer", [
    ("state.json", '{"version":1,"revision":', '{"version":2,"revision":'),
    ("high-water", '"version":1', '"version":2'),
    ("index", "dynia-index 1", "dynia-index 2"),
])
def test_what_a_newer_version_left_is_found_out_anew(served, file, there, newer):
    """A downgrade: what is served stays, and the log does not only speak of damage."""
    node = served.nodes[0]
    path = node.root / "var/lib/dynia" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(there) == 1
    path.write_text(text.replace(there, newer), encoding="utf-8")
    want, programs = without_placeholder(node), {name: node.pid(name) for name in ("haproxy", "caddy")}
    done = node.once()
    assert "version" in done.stderr
    assert without_placeholder(node) == want and {name: node.pid(name) for name in programs} == programs
    assert node.fetch(HOST).status == 200


def test_caddy_in_public_leaves_no_haproxy_to_check(served):
    served.repository.replace(CLUSTER, "{mode: files}", "{mode: caddy}")
    served.repository.commit("Caddy answers itself")
    done = served.nodes[0].once("--dry-run", check=False)
    assert done.returncode == TO_DO, done.stderr
    assert "stop" in done.stdout and "haproxy" in done.stdout


def test_hang_up_makes_a_pass_at_once(site):
    site.use_example()
    node = site.node(interval="1h")
    node.start()
    wait_for(lambda: node.fetch(HOST).status == 200, what="page")
    wait_for(lambda: site.repository.has_status(node.name), what="status")
    site.repository.replace(PAGE, "Hello from Dynia", "Hello again")
    site.repository.commit("greet again")
    node.agent.send_signal(signal.SIGHUP)
    wait_for(lambda: "Hello again" in node.fetch(HOST).body, what="new page")
    node.agent.send_signal(signal.SIGTERM)
    assert node.agent.wait(10) == 0
    node.agent = None


def test_no_request_is_lost_while_a_node_changes(served):
    """Ten changes of the configuration under requests: each one is answered."""
    node = served.nodes[0]
    load = subprocess.Popen(
        ["/usr/bin/python3", "-c", LOAD, str(harness.SOURCE / "tests/e2e"), node.address], text=True,
        stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    for i in range(10):
        served.repository.write("clusters/demo/services/extra.yaml",
                                f"version: 1\nhosts: [extra{i}.demo.test]\nrespond: {{body: extra}}\n")
        served.repository.commit(f"extra {i}")
        node.once()
    out, _ = load.communicate("stop\n", 30)
    answered, failed = map(int, out.split())
    assert answered >= 10 and failed == 0, out  # at least one a change, however busy the machine


LOAD = f"""
import select, sys
sys.path.insert(0, sys.argv[1])
import harness
answered = failed = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        ok = harness.fetch(sys.argv[2], "{HOST}", port={HTTPS}).status == 200
    except Exception:
        ok = False
    answered, failed = answered + ok, failed + (not ok)
print(answered, failed)
"""
