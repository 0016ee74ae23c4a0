"""A droplet goes when no other node sends to it any more: `dynia bootstrap apply` reads that in the status refs of agents that run."""

import json
import os
import re
import subprocess

import pytest

from cloud import PACKAGE, Cloudflare, DigitalOcean, environment
from harness import DYNIA, GIT_ENV, run, wait_for

CLUSTER = "clusters/demo/cluster.yaml"
PROVIDER = """provider:
  digitalocean:
    region: sgp1
    ssh_keys: [ops-laptop]
    %s
    agent: {repository: "https://git.example.com/infra.git"}
""" % PACKAGE
WAITS = "misty-owl, at {:.7}, still sends to brave-panda"


class Droplets:
    """The demo's two nodes, whose agents run and are well, and droplets of their names at the double."""

    def __init__(self, site, ocean, flare):
        self.site, self.ocean, self.flare = site, ocean, flare
        site.use_example(commit=False)
        site.repository.write(CLUSTER, site.repository.read(CLUSTER) + PROVIDER)
        self.first = site.repository.commit("first")
        self.nodes = [site.node(name, i) for i, name in enumerate(("brave-panda", "misty-owl"), 1)]
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            self.wait_for_health(node, self.first)
        self.run("apply")

    def wait_for_health(self, node, commit):
        def is_there():
            status = self.site.repository.status(node.name)
            ready = next(c for c in status["conditions"] if c["type"] == "Ready")
            return status["revision"]["applied"] == commit and ready["status"] == "True"
        wait_for(is_there, 40, f"{node.name} at {commit[:7]}")

    def argv(self, verb, *more):
        return [str(DYNIA), "bootstrap", verb, *more, str(self.site.repository.tree)]

    @property
    def env(self):
        return environment(self.ocean, self.flare, self.site.folder)

    def run(self, verb, *more, check=True):
        return run(*self.argv(verb, *more), check=check, env=self.env)

    def names(self):
        return sorted(d["name"] for d in self.ocean.droplets.values())

    def take_out(self):
        """In the work tree alone: cluster.yaml names brave-panda no more."""
        text = self.site.repository.read(CLUSTER)
        self.site.repository.write(CLUSTER, re.sub(r"  brave-panda:.*\n", "", text))


@pytest.fixture
def droplets(site):
    with DigitalOcean() as ocean, Cloudflare("demo.test") as flare:
        ocean.add_key("ops-laptop")
        yield Droplets(site, ocean, flare)
        assert ocean.violations == []


def test_it_waits_until_the_others_have_taken_the_commit(droplets):
    droplets.take_out()
    assert WAITS.format(droplets.first) + ": merge the commit" in droplets.run("plan", "--drain", "1s").stdout
    argv = droplets.argv("apply", "--yes", "--drain", "1s")
    with subprocess.Popen(argv, env=droplets.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True) as apply:
        seen = ""
        for line in apply.stdout:
            seen += line
            if WAITS.format(droplets.first) in line:
                break
        assert apply.poll() is None and droplets.names() == ["demo-brave-panda", "demo-misty-owl"], seen
        commit = droplets.site.repository.commit("one less")
        seen += apply.stdout.read()
    assert apply.returncode == 0, seen
    assert droplets.names() == ["demo-misty-owl"]
    status = droplets.site.repository.status("misty-owl")
    assert status["revision"]["applied"] == commit and status["ingress"]["haproxy"]["nodes"] == ["misty-owl"]


def test_nothing_goes_where_the_commit_is_not_merged(droplets):
    droplets.take_out()
    done = droplets.run("apply", "--yes", "--drain", "1s", "--timeout", "2s", check=False)
    assert done.returncode == 1 and droplets.names() == ["demo-brave-panda", "demo-misty-owl"]
    last = done.stderr.strip().splitlines()[-1]
    assert WAITS.format(droplets.first) in last and "merge the commit" in last and "--drain 0" in last
    # By force, and a node that nobody hears any more is not waited for.
    droplets.run("apply", "--yes", "--drain", "0")
    assert droplets.names() == ["demo-misty-owl"]


@pytest.mark.parametrize("text, said", [("no status", "the status of misty-owl cannot be read"), (None, "misty-owl does not say to whom it sends")])
def test_what_is_not_known_of_a_node_is_waited_for(droplets, text, said):
    """A status that somebody has spoilt, and one that an older agent wrote."""
    repository = droplets.site.repository
    for node in droplets.nodes:
        node.stop_agent()
    status = repository.status("misty-owl")
    del status["ingress"]["haproxy"]["nodes"]
    bare = ("git", "-C", repository.bare)
    blob = run(*bare, "hash-object", "-w", "--stdin", input=text or json.dumps(status)).stdout.strip()
    tree = run(*bare, "mktree", input=f"100644 blob {blob}\tstatus.json\n").stdout.strip()
    commit = run(*bare, "commit-tree", "-m", "status", tree, env={**os.environ, **GIT_ENV}).stdout.strip()
    run(*bare, "update-ref", "refs/heads/status/demo/misty-owl", commit)
    droplets.take_out()
    done = droplets.run("apply", "--yes", "--drain", "1s", "--timeout", "1s", check=False)
    assert done.returncode == 1 and said in done.stderr.strip().splitlines()[-1], done.stderr
    assert droplets.names() == ["demo-brave-panda", "demo-misty-owl"]


def test_a_repository_that_cannot_be_asked_is_told(droplets):
    droplets.take_out()
    droplets.site.repository.git("remote", "set-url", "origin", str(droplets.site.folder / "nowhere"))
    done = droplets.run("apply", "--yes", "--drain", "1s")
    assert re.search("still send to what goes is not known, and not waited for: git: .*/nowhere.*no", done.stdout)
    assert droplets.names() == ["demo-misty-owl"]
