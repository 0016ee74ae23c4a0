"""Containers, and an agent that is killed between two steps of compose."""

import contextlib
import re
import signal

import harness
import pytest
from docker_site import DockerSite
from test_kill import ENV

pytestmark = pytest.mark.heavy

SERVICE = "clusters/demo/services/web/service.yaml"


@pytest.fixture
def shop(site, docker):
    """An image service in its second version's place, and a page that needs no Docker."""
    shop = DockerSite(site, docker)
    shop.image("web", "web:1")
    shop.service("page", "respond: {body: page}\n")
    shop.commit()
    shop.settle()
    return shop


def turn(shop):
    """To the other version; which."""
    old, new = ("1", "2") if "web:1" in shop.repository.read(SERVICE) else ("2", "1")
    shop.repository.replace(SERVICE, f"web:{old}", f"web:{new}")
    shop.commit(f"version {new}")
    return new


def assert_at(shop, version):
    """One container, of this version, in its own place, and nothing beside it."""
    assert shop.text("web") == f"web {version}\n" and shop.text("page") == "page"
    assert shop.container("web")["Config"]["Image"] == f"dynia.test/web:{version}"
    assert len(shop.containers()) == 1
    assert not (shop.node.root / "var/lib/dynia/journal").exists()


def programs_started(shop):
    """How many children a pass makes."""
    trace = shop.site.folder / "children"
    turn(shop)
    harness.run("strace", "-qq", "-o", trace, "-e", "trace=?clone,?clone3,?vfork", *shop.node.argv("--once"), env=ENV, check=False)
    shop.settle()
    return len(re.findall(r"^(?:clone|clone3|vfork)\(", trace.read_text(encoding="utf-8"), re.MULTILINE))


def test_killed_between_the_steps_of_compose(shop):
    n, killed = programs_started(shop), 0
    assert n > 4
    for moment in range(2, n + 1, max(1, n // 5)):
        version = turn(shop)
        done = harness.run("strace", "-qq", "-o", "/dev/null", "-e", "trace=?clone,?clone3,?vfork", "-e",
                           f"inject=?clone,?clone3,?vfork:signal=KILL:when={moment}", *shop.node.argv("--once"), env=ENV, check=False)
        killed += done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        assert shop.text("page") == "page"
        assert shop.text("web") in ("web 1\n", "web 2\n"), "one version or the other serves"
        shop.settle()
        assert_at(shop, version)
    assert killed >= 3


# Every way in which an apply changes the node, or has another process do it.
CALLS = "?rename,?renameat,?renameat2,?unlink,?unlinkat,?clone,?clone3,?vfork,?kill,?connect"


@pytest.fixture
def replaced(site, docker):
    """An image service that is replaced in its place, so that one pass does all of an apply; and a page."""
    shop = DockerSite(site, docker)
    shop.image("web", "web:1", "health: {path: /health, interval: 1s, timeout: 1s}", "update: {order: stop-first}")
    shop.service("page", "respond: {body: page}\n")
    shop.commit()
    shop.settle()
    return shop


def turn_everything(shop):
    """The other version, and another configuration of both programs."""
    path = "clusters/demo/cluster.yaml"
    text = re.sub(r"max_connections: \d+\n  ", "", shop.repository.read(path))
    turn_everything.number += 1
    shop.write(path, text.replace("runtime: process", f"max_connections: {100 + turn_everything.number}\n  runtime: process"))
    shop.service(f"s{turn_everything.number}", "respond: {body: new}\n")
    with contextlib.suppress(FileNotFoundError):
        (shop.repository.tree / f"clusters/demo/services/s{turn_everything.number - 1}/service.yaml").unlink()
    return turn(shop)


turn_everything.number = 0


def steps_of_an_apply(shop):
    """From the journal's rename to the call behind its removal: (name of the call, its number in the pass, the step's name)."""
    trace = shop.site.folder / "steps"
    version = turn_everything(shop)
    harness.run("strace", "-qq", "-o", trace, "-e", f"trace={CALLS}", *shop.node.argv("--once"), env=ENV)
    assert_at(shop, version)
    names = ((r'rename.*"journal"', "journal"), (r'rename.*"compose.yaml"', "file of the service"),
             (r'rename.*"(Caddyfile|haproxy.cfg)"', "file of a program"), (r"clone|vfork", "compose"), (r"connect.*/caddy", "caddy"),
             (r"connect.*/haproxy", "haproxy"), (r"kill.*USR2", "reload of haproxy"), (r'rename.*"index"', "index"),
             (r'unlink.*"journal"', "end of the journal"))
    counts, found, last = {}, [], None
    for line in trace.read_text(encoding="utf-8").splitlines():
        call = line.split("(")[0]
        counts[call] = counts.get(call, 0) + 1
        name = next((name for pattern, name in names if re.match(pattern, line)), None)
        if name == "journal" or found:
            if last == "end of the journal":
                return [*found, (call, counts[call], "after the end")]
            # Of a conversation with a program, the beginning.
            if name and (call != "connect" or name not in (n for *_, n in found)):
                found.append((call, counts[call], name))
                last = name
    raise AssertionError(f"no end of the apply: {found}")


def test_killed_at_each_step_of_the_journal(replaced):
    shop = replaced
    steps = steps_of_an_apply(shop)
    assert {"journal", "file of the service", "compose", "caddy", "haproxy", "reload of haproxy", "index",
            "end of the journal", "after the end"} <= {n for *_, n in steps}, steps
    for call, number, name in steps:
        version = turn_everything(shop)
        done = harness.run("strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                           f"inject={call}:signal=KILL:when={number}", *shop.node.argv("--once"), env=ENV, check=False)
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), f"{name}: the pass was not killed"
        assert shop.text("page") == "page"
        try:
            shop.settle()
            assert_at(shop, version)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"after a kill before {name} ({call} {number})") from error
