"""Containers, and an agent that is killed between two steps of compose."""

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
