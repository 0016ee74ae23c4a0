"""What a person sees: help, errors with their places, exit codes, output for people and for programs."""

import json
import os
import re
import shutil

import jsonschema
import pytest
import yaml

import harness
from harness import EXAMPLES, INVALID, SOURCE, USAGE, dynia

COMMANDS = ["init", "validate", "render", "plan", "reconcile", "status", "check", "vrrp", "schema", "version"]
TWENTY = SOURCE / "tests/cases/invalid/twenty-mistakes"


@pytest.fixture
def repository(site):
    """The whole of examples/repo, committed."""
    shutil.copytree(EXAMPLES, site.repository.tree, dirs_exist_ok=True)
    site.repository.commit("first")
    return site.repository


def test_the_examples_are_right():
    done = dynia("validate", EXAMPLES)
    assert done.stderr == ""
    assert "demo: 2 nodes, 3 services" in done.stdout and "shop: 2 nodes, 4 services" in done.stdout


def test_validate_lists_twenty_mistakes_in_one_run():
    done = dynia("validate", TWENTY / "repo", check=False)
    assert done.returncode == INVALID
    lines = [line for line in done.stderr.splitlines() if line.startswith("clusters/")]
    assert lines == (TWENTY / "error").read_text(encoding="utf-8").splitlines()
    assert len({line.split(":")[0] for line in lines}) > 3, "in several files"
    assert len([line for line in lines if re.match(r"clusters/[\w./-]+:\d+:\d+: .", line)]) >= 20, "with their places"
    assert any("did you mean" in line for line in lines)


def test_validate_one_revision(repository):
    good = repository.git("rev-parse", "HEAD")
    repository.replace("clusters/shop/cluster.yaml", "router_id: 51", "router_id: 512")
    done = dynia("validate", repository.tree, check=False)
    assert done.returncode == INVALID and "router_id" in done.stderr
    assert dynia("validate", f"{repository.tree}@HEAD").returncode == 0
    repository.commit("out of range")
    assert dynia("validate", f"{repository.tree}@main", check=False).returncode == INVALID
    assert dynia("validate", f"{repository.tree}@{good}").returncode == 0
    assert dynia("validate", f"{repository.bare}@{good[:10]}").returncode == 0
    done = dynia("validate", f"{repository.tree}@no-such-branch", check=False)
    assert done.returncode == 1 and "no-such-branch" in done.stderr


def test_validate_the_current_folder(repository):
    assert dynia("validate", cwd=repository.tree).returncode == 0


def test_validate_what_is_no_repository(tmp_path):
    done = dynia("validate", tmp_path, check=False)
    assert done.returncode in (1, INVALID) and "clusters" in done.stderr
    done = dynia("validate", tmp_path / "nowhere", check=False)
    assert done.returncode == 1 and "nowhere" in done.stderr


def test_validate_json(tmp_path):
    assert json.loads(dynia("validate", "--json", EXAMPLES).stdout)["version"] == 1
    done = dynia("validate", "--json", TWENTY / "repo", check=False)
    assert done.returncode == INVALID
    report = json.loads(done.stdout)
    assert len(report["errors"]) >= 20
    assert {"path", "line", "column", "message"} <= set(report["errors"][0])


def test_render(tmp_path):
    dynia("render", "--cluster", "demo", "--node", "brave-panda", "--out", tmp_path / "out", EXAMPLES)
    found = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert {"opt/dynia/haproxy/haproxy.cfg", "opt/dynia/caddy/Caddyfile"} <= found
    again = tmp_path / "again"
    dynia("render", "--cluster", "demo", "--node", "brave-panda", "--out", again, EXAMPLES)
    for path in found:
        if not path.endswith(".pem"):
            assert (tmp_path / "out" / path).read_bytes() == (again / path).read_bytes(), path


@pytest.mark.parametrize("cluster,node,word", [("nowhere", "brave-panda", "nowhere"), ("demo", "nobody", "nobody")])
def test_render_what_is_not_there(tmp_path, cluster, node, word):
    done = dynia("render", "--cluster", cluster, "--node", node, "--out", tmp_path / "out", EXAMPLES, check=False)
    assert done.returncode in (1, USAGE) and f"'{word}'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_render_refuses_a_repository_with_errors(tmp_path):
    done = dynia("render", "--cluster", "shop", "--node", "brave-panda", "--out", tmp_path / "out", TWENTY / "repo", check=False)
    assert done.returncode == INVALID
    assert not (tmp_path / "out").exists()


def test_plan_names_nodes_files_and_causes(repository):
    repository.replace("clusters/shop/services/api/service.yaml", "api:1.4.2", "api:1.4.3")
    repository.write("clusters/shop/services/api/config/api.toml", "[server]\n")
    repository.git("rm", "-r", "-q", "clusters/shop/services/docs")
    repository.commit("next")
    done = dynia("plan", "--from", "HEAD~1", "--to", "HEAD", repository.tree)
    for word in ("brave-panda", "misty-owl", "/opt/dynia/compose/api/", "1.4.2", "1.4.3", "api/service.yaml:4", "docs"):
        assert word in done.stdout, f"{word}\n{done.stdout}"
    assert "demo" not in done.stdout, "a cluster that does not change is not named"
    assert "\x1b" not in done.stdout
    report = json.loads(dynia("plan", "--from", "HEAD~1", "--to", "HEAD", "--format", "json", repository.tree).stdout)
    assert report["version"] == 1
    markdown = dynia("plan", "--from", "HEAD~1", "--to", "HEAD", "--format", "markdown", repository.tree).stdout
    assert "brave-panda" in markdown and "1.4.3" in markdown


def test_plan_exit_codes(repository):
    args = ["plan", "--from", "HEAD", "--to", "HEAD", repository.tree, "--exit-code"]
    assert dynia(*args).returncode == 0
    repository.replace("clusters/demo/services/motd.yaml", "Served by", "Sent by")
    repository.commit("next")
    args[2] = "HEAD~1"
    assert dynia(*args, check=False).returncode == harness.TO_DO
    assert dynia(*args[:-1]).returncode == 0
    assert dynia(*args, "--cluster", "shop").returncode == 0
    repository.write("clusters/demo/services/motd.yaml", "version: 1\n")
    repository.commit("wrong")
    assert dynia(*args, check=False).returncode == INVALID


def test_plan_never_shows_a_password_that_is_in_git(repository):
    repository.replace("clusters/shop/cluster.yaml", "{secret: stats-password}", "opensesame")
    repository.commit("bad habit")
    done = dynia("plan", "--from", "HEAD~1", "--to", "HEAD", repository.tree)
    assert "opensesame" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind,files", [
    ("cluster", ["clusters/demo/cluster.yaml", "clusters/shop/cluster.yaml"]),
    ("service", ["clusters/demo/services/hello/service.yaml", "clusters/demo/services/motd.yaml",
                 "clusters/demo/services/placeholder.yaml", "clusters/shop/services/api/service.yaml",
                 "clusters/shop/services/web/service.yaml", "clusters/shop/services/docs/service.yaml"])])
def test_schema_takes_the_examples_and_refuses_a_slip(kind, files):
    schema = json.loads(dynia("schema", kind).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for file in files:
        document = yaml.safe_load((EXAMPLES / file).read_text(encoding="utf-8"))
        validator.validate(document)
        document["hosst"] = ["x"]
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(document)


def test_schema_agent_takes_the_documented_file():
    schema = json.loads(dynia("schema", "agent").stdout)
    document = {"version": 1, "repository": "https://example.com/infra.git", "cluster": "shop", "interval": "30s",
                "status": {"heartbeat": "15m", "keep": 1000}, "listen": "127.0.0.1:9797"}
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    done = dynia(command, "--help")
    assert done.stderr == "" and f"dynia {command}" in done.stdout
    assert re.search(r"^Examples?:?$", done.stdout, re.M | re.I), done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_help_lists_the_commands():
    for argv in (["--help"], ["help"], ["-h"]):
        done = dynia(*argv)
        for command in COMMANDS:
            assert re.search(rf"^\s+{command}\b", done.stdout, re.M), argv


@pytest.mark.parametrize("argv", [
    [], ["frobnicate"], ["validate", "--frobnicate"], ["validate", "a", "b"], ["render"], ["render", "--cluster"],
    ["reconcile", "--interval"], ["schema", "nothing"], ["init"], ["status", "--frobnicate"],
    ["plan", "--from", "HEAD", "--to", "HEAD", "--format", "xml"]])
def test_wrong_use(argv):
    done = dynia(*argv, check=False)
    assert done.returncode == USAGE and done.stdout == "" and done.stderr, done


def test_a_misspelt_command_is_guessed():
    assert "validate" in dynia("valdate", check=False).stderr


def test_version():
    assert re.fullmatch(r"dynia \d+\.\d+\.\d+\b.*\n", dynia("version").stdout)
    assert dynia("--version").stdout == dynia("version").stdout


def test_status_for_people_and_for_programs(served):
    done = dynia("status", served.repository.bare)
    for word in ("brave-panda", "misty-owl", "healthy", served.repository.git("rev-parse", "HEAD")[:7]):
        assert word in done.stdout, done.stdout
    assert "\x1b" not in done.stdout
    report = json.loads(dynia("status", "--json", served.repository.bare).stdout)
    assert report["version"] == 1
    assert [node["node"] for node in report["nodes"]] == ["brave-panda", "misty-owl"]
    assert "misty-owl" in dynia("status", "--cluster", "demo", served.repository.bare).stdout
    assert "misty-owl" not in dynia("status", "--cluster", "shop", served.repository.bare, check=False).stdout


def test_status_of_a_clone(served):
    clone = served.folder / "clone"
    harness.run("git", "clone", "-q", served.repository.bare, clone)
    assert "brave-panda" in dynia("status", cwd=clone).stdout


def test_status_where_nobody_has_reported(site):
    site.use_example()
    done = dynia("status", site.repository.bare)
    assert "brave-panda" not in done.stdout or "unknown" in done.stdout


def test_a_hostile_status_does_not_drive_the_terminal(served):
    repository = served.repository
    evil = {"version": 1, "cluster": "demo", "node": "misty-owl", "revision": {"applied": "\x1b]0;owned\x07", "desired": None},
            "conditions": [{"type": "Ready", "status": "True", "reason": "\x1b[31mHealthy", "message": "a\nb\x1b[2J", "since": "x"}],
            "services": "none", "generation": "many"}
    repository.git("fetch", "-q", "origin", "refs/heads/status/demo/misty-owl")
    (repository.tree / "status.json").write_text(json.dumps(evil), encoding="utf-8")
    blob = repository.git("hash-object", "-w", "status.json")
    (repository.tree / "tree").write_text(f"100644 blob {blob}\tstatus.json\n", encoding="utf-8")
    with open(repository.tree / "tree", encoding="utf-8") as file:
        tree = repository._git("-C", repository.tree, "mktree", stdin=file).stdout.strip()
    commit = repository.git("commit-tree", tree, "-m", "\x1b[31mevil")
    repository.git("push", "-qf", "origin", f"{commit}:refs/heads/status/demo/misty-owl")
    done = dynia("status", repository.bare, check=False)
    assert "\x1b" not in done.stdout + done.stderr and "\x07" not in done.stdout
    assert "brave-panda" in done.stdout


def terminal(*argv, env=None):
    """What the program writes to a terminal."""
    import pty
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(str(harness.DYNIA), [str(harness.DYNIA), *map(str, argv)], {**os.environ, "TERM": "xterm", **(env or {})})
    out = b""
    try:
        while chunk := os.read(fd, 4096):
            out += chunk
    except OSError:
        pass
    os.waitpid(pid, 0)
    return out.decode()


def test_colour_only_on_a_terminal_and_not_with_no_color(served):
    os.environ.pop("NO_COLOR", None)
    assert "\x1b[" in terminal("status", served.repository.bare)
    assert "\x1b[" not in terminal("status", served.repository.bare, env={"NO_COLOR": "1"})


def test_init_makes_a_repository_that_is_right(tmp_path):
    new = tmp_path / "infra"
    done = dynia("init", new)
    assert "validate" in done.stdout + done.stderr, "says what to do next"
    assert dynia("validate", new).returncode == 0
    clusters = [p.parent.name for p in new.glob("clusters/*/cluster.yaml")]
    assert len(clusters) == 1
    nodes = yaml.safe_load((new / "clusters" / clusters[0] / "cluster.yaml").read_text(encoding="utf-8"))["nodes"]
    for node in nodes:
        dynia("render", "--cluster", clusters[0], "--node", node, "--out", tmp_path / node, new)
    again = dynia("init", new, check=False)
    assert again.returncode == USAGE and str(new) in again.stderr, "what is there is never overwritten"


def test_output_to_a_closed_pipe_is_an_error():
    done = harness.run("sh", "-c", f"'{harness.DYNIA}' schema cluster > /dev/full", check=False)
    assert done.returncode == 1 and done.stderr


def test_validate_finds_what_can_be_read_and_not_be_written(site):
    site.use_example()
    site.repository.write("clusters/demo/services/odd.yaml",
                          "version: 1\nhosts: [odd.demo.test]\nrespond: {body: \"`\\\\\"}\n")
    done = harness.dynia("validate", site.repository.tree, check=False)
    assert done.returncode == harness.INVALID and "cannot be written" in done.stderr, done.stderr
