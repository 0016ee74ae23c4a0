"""For any two revisions of generated repositories: applying acts once, every action has a cause that the commit or the node
holds, the files are those that `dynia render` makes, and what Dynia did not make is as it was. DYNIA_SEED repeats a run."""

import json
import os
import random
import re
import shutil
import time

import harness
import pytest
from test_kill import ENV, files

pytestmark = pytest.mark.heavy

CLUSTER = "clusters/demo/cluster.yaml"
SERVICES = "clusters/demo/services"
REVISIONS = int(os.environ.get("DYNIA_REVISIONS", 14))


class Generator:
    """Changes a repository at random, so that it stays a correct one."""

    def __init__(self, repository, rng):
        self.repository, self.rng, self.tree = repository, rng, repository.tree
        self.cluster = repository.read(CLUSTER)
        self.options = {}

    def _name(self, kind):
        return f"{kind}{self.rng.randrange(4)}"

    def _word(self):
        # What cannot be written in a Caddyfile ("}" alone, "{$") is test_quoting's.
        return "w" + "".join(self.rng.choice("abc é'\"{}%#:\\<>|&") for _ in range(self.rng.randrange(1, 12)))

    def respond(self):
        name = self._name("r")
        self.repository.write(f"{SERVICES}/{name}.yaml", f"version: 1\nhosts: [{name}.demo.test]\nrespond: "
                              f"{{status: {self.rng.choice([200, 404, 503])}, body: {json.dumps(self._word())}}}\n")

    def remove(self):
        found = sorted(p for p in (self.tree / SERVICES).iterdir() if p.name != "hello")
        if found:
            path = self.rng.choice(found)
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def site(self):
        """A folder of pages; a page may become a folder, and a folder a page."""
        name = self._name("s")
        folder = self.tree / SERVICES / name
        self.repository.write(f"{SERVICES}/{name}/service.yaml", f"version: 1\nhosts: [{name}.demo.test]\nstatic: ./site\n")
        for _ in range(self.rng.randrange(1, 5)):
            path = folder / "site" / self.rng.choice(["a", "a/b", "a/b/c", "b", "_b+@=.x", "c.html", "d/e/f/g"])
            for part in [*reversed(path.parents), path]:
                if folder / "site" in part.parents and part.is_file():
                    part.unlink()
            if path.is_dir():
                shutil.rmtree(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._word(), encoding="utf-8")

    def drop_page(self):
        pages = sorted(p for p in (self.tree / SERVICES).glob("s*/site/**/*") if p.is_file())
        if len(pages) > 1:
            self.rng.choice(pages).unlink()
            for site in (self.tree / SERVICES).glob("s*/site"):
                if not any(p.is_file() for p in site.rglob("*")):
                    (site / "left").parent.mkdir(exist_ok=True)
                    (site / "left").write_text("left\n", encoding="utf-8")
        for site in (self.tree / SERVICES).glob("s*"):
            if site.is_dir() and not (site / "site").exists():
                shutil.rmtree(site)

    def container(self):
        """It runs on the other node: this one only sends it its requests."""
        name = self._name("c")
        self.repository.write(f"{SERVICES}/{name}.yaml",
                              f"version: 1\nhosts: [{name}.demo.test]\nimage: example.com/app:{self.rng.randrange(5)}\nport: 80\n"
                              f"env: {{A: {json.dumps(self._word())}}}\nnodes: [misty-owl]\n")

    def ingress(self):
        key, values = self.rng.choice([("max_connections", [100, 200, 300]), ("compression", ["true", "false"]),
                                       ("headers", ['{X-Test: "a b"}', "{X-Test: c}", '{X-Frame-Options: ""}'])])
        self.options[key] = self.rng.choice(values)
        if self.rng.random() < 0.3:
            del self.options[key]
        text = "".join(f"{key}: {value}\n  " for key, value in self.options.items())
        self.repository.write(CLUSTER, self.cluster.replace("runtime: process", f"{text}runtime: process"))

    def nothing(self):
        self.repository.write("README.md", self._word())

    def step(self):
        for _ in range(self.rng.randrange(1, 5)):
            self.rng.choice([self.respond, self.remove, self.site, self.site, self.drop_page, self.container, self.ingress,
                             self.nothing])()
        return self.repository.commit("generated")


def rendered(site, node, commit):
    out = site.folder / f"want-{commit[:12]}"
    harness.dynia("render", "--cluster", "demo", "--node", node.name, "--root", node.root, "--out", out,
                  f"{site.repository.bare}@{commit}")
    return files(harness.Node.files(type("Rendered", (), {"root": out})()))


FOREIGN = ["opt/dynia/mine.txt", "opt/dynia/sites/mine.txt", "opt/dynia/sites/hello/mine.txt", "opt/dynia/sites/s0/mine.d/mine",
           "opt/dynia/caddy/mine.caddy", "opt/dynia/haproxy/pages/mine.http", "opt/dynia/compose/mine/compose.yaml",
           "etc/logrotate.d/mine", "var/lib/dynia/mine", "etc/dynia/mine"]


def plant(node):
    """What somebody else keeps in the folders that Dynia manages; and what stat(2) says of it."""
    for path in FOREIGN:
        node.write(path, "mine\n", 0o640)
    return stats(node)


def stats(node):
    return {path: (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
            for path, s in ((path, os.lstat(node.root / path)) for path in FOREIGN)}


def causes_of_plan(site, node, old, new):
    """What `dynia plan` says of this node: (action, what) and its causes."""
    text = harness.dynia("plan", "--from", old, "--to", new, "--format", "json", site.repository.bare).stdout
    plans = [n for n in json.loads(text)["nodes"] if n["node"] == node.name]
    return {(c["action"], c["what"]): c["because"] for p in plans for c in p["changes"]}


def assert_causes(causes, changed):
    """Each names a file that the two revisions differ in."""
    for action, because in causes.items():
        assert because, f"{action} has no cause"
        for cause in because:
            path = re.match(r"(clusters/demo/.*?)(:\d+ | changed$| is new$| is gone$| is removed$| |$)", cause)
            assert path and any(c == path[1] or c.startswith(f"{path[1]}/") or path[1].startswith(c) for c in changed), (action, cause, changed)


def logged(text):
    """(action, what) and the cause, of each line of the log that says what is done."""
    lines = [re.match(r"\S+ info (create|update|restore|remove|start|reload|stop) (.*?)(?: because (.*))?$", line)
             for line in text.splitlines()]
    return {(m[1], m[2]): m[3] for m in lines if m}


def assert_quiet(site, node):
    """Another pass writes nothing, starts nothing, and says nothing."""
    before, commits = node.stamps(), site.repository.log(node.name)
    trace = site.folder / "quiet"
    done = harness.run("strace", "-f", "-qq", "-o", trace, "-e", "trace=execve,execveat,rename,renameat,renameat2,unlink,unlinkat,"
                       "mkdir,mkdirat,link,linkat,symlink,symlinkat,fchmod,fchmodat,kill", *node.argv("--once"), env=ENV)
    assert done.stderr == ""
    calls = [line.split("(")[0].split()[-1] for line in trace.read_text(encoding="utf-8", errors="replace").splitlines() if "(" in line]
    # The program itself, and the worker that asks the server what it has.
    assert calls.count("execve") == 1 and calls.count("execveat") <= 1 and set(calls) <= {"execve", "execveat", "kill"}, calls
    after = node.stamps()
    assert {p for p in {*before, *after} if before.get(p) != after.get(p)} == set()
    assert site.repository.log(node.name) == commits


@pytest.fixture
def generated(site):
    seed = int(os.environ.get("DYNIA_SEED", time.time_ns() % 2**32))
    print(f"DYNIA_SEED={seed}")
    site.use_example()
    node = site.node()
    node.once()
    return site, node, Generator(site.repository, random.Random(seed))


def test_any_two_revisions(generated):
    site, node, generator = generated
    old, mine = site.repository.git("rev-parse", "HEAD"), plant(node)
    for _ in range(REVISIONS):
        new = generator.step()
        changed = site.repository.git("diff", "--name-only", "--no-renames", "-z", old, new).split("\0")
        planned = causes_of_plan(site, node, old, new)
        assert_causes({k: v for k, v in planned.items() if k[0] in ("create", "update", "remove")}, changed)
        dry = node.once("--dry-run", check=False)
        assert dry.returncode == (harness.TO_DO if planned else 0), dry.stdout
        assert dry.stdout.count("because") > 0 or not planned
        said = logged(node.once().stderr)
        assert all(said.values()), said
        assert set(said) == set(planned), "what a merge would do is what it does"
        assert {k: v for k, v in files(node.files()).items() if k not in FOREIGN} == rendered(site, node, new)
        status = site.repository.status(node.name)
        assert status["revision"]["applied"] == new
        if planned:
            assert all(c["because"] for c in status["causes"])
            assert {c["action"] for c in status["causes"]} <= {f"{a} {w}" for a, w in planned}
        assert_quiet(site, node)
        assert stats(node) == mine, "somebody else's file was touched"
        old = new
    history = harness.dynia("history", "--node", node.name, "--most", "200", site.repository.bare).stdout
    assert history.count(" because ") >= 5


DAMAGES = {
    "edited": lambda path: path.write_text("edited", encoding="utf-8"),
    "emptied": lambda path: path.write_text("", encoding="utf-8"),
    "deleted": lambda path: path.unlink(),
    "mode": lambda path: path.chmod(0o666),
}


def test_any_drift(generated):
    """Whatever is done to managed files and programs, the next pass mends it, says what it was, and touches nothing else."""
    site, node, generator = generated
    for _ in range(4):
        generator.step()
    node.once()
    want, mine = files(node.files()), plant(node)
    rng = generator.rng
    for _ in range(6):
        paths = rng.sample(sorted(p for p in want if not p.endswith(".pem")), rng.randrange(1, 4))
        how = {path: rng.choice(sorted(DAMAGES)) for path in paths}
        for path, damage in how.items():
            DAMAGES[damage](node.root / path)
        dead = rng.choice([None, None, "caddy", "haproxy"])
        if dead:
            os.kill(node.pid(dead), 9)
            harness.wait_for(lambda: node.pid(dead) is None, what="end of a program")  # pylint: disable=cell-var-from-loop
        said = logged(node.once().stderr)
        assert {what for action, what in said if action == "restore"} == {f"/{p}" for p in how}
        assert all(cause.startswith("drift: ") for cause in said.values()), said
        assert not dead or ("start", dead) in said
        assert {k: v for k, v in files(node.files()).items() if k not in FOREIGN} == want
        drift = [d["what"] for d in site.repository.status(node.name)["drift"]][-len(said):]
        assert {f"/{p}" for p in how} <= set(drift)
        assert not dead or dead in drift or any(a == "start" for a, _ in said)
        assert_quiet(site, node)
        assert stats(node) == mine
