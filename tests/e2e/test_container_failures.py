"""What Docker and images may do to a node: end in a loop, fade, stop, hang; and how little is asked of Docker when all is well."""

import contextlib
import re
import signal

import pytest

import docker_host
from docker_site import DockerSite
from harness import processes_below, wait_for

pytestmark = pytest.mark.heavy

SERVICE = "clusters/demo/services/web/service.yaml"
HEALTH = "health: {path: /health, interval: 1s, timeout: 1s}"


@pytest.fixture
def proxy(docker, tmp_path):
    proxy = docker_host.Proxy(tmp_path / "docker.sock", docker.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def shop(site, docker):
    return DockerSite(site, docker)


@contextlib.contextmanager
def agent(shop):
    """The agent as a loop: what happens in it, happens by itself."""
    shop.node.start()
    try:
        yield
    finally:
        shop.node.stop_agent()


def restarts(shop):
    """0 while it is being made."""
    with contextlib.suppress(AssertionError):
        return shop.container("web")["RestartCount"]
    return 0


def told_as(shop, reason):
    return shop.condition("Ready")["reason"] == reason


def assert_told_once(shop, proxy):
    """While Docker starts it three times more there are passes, no commit of a status, and nothing is sent to Docker but questions."""
    told, before, container = shop.repository.log("brave-panda"), restarts(shop), shop.container("web")["Id"]
    proxy.take()
    wait_for(lambda: restarts(shop) >= before + 3, 300, "restarts")
    asked = proxy.take()
    assert len([path for _, path in asked if path.startswith("/containers/json")]) >= 3, "passes were made"
    assert {method for method, _ in asked} == {"GET"}
    assert shop.repository.log("brave-panda") == told
    assert shop.container("web")["Id"] == container
    assert told_as(shop, "ContainerRestarts") and "ends again and again" in shop.condition("Ready")["message"]


@pytest.mark.parametrize("path", ["", HEALTH])
def test_an_image_that_becomes_healthy_and_dies(site, docker, proxy, path):
    """Again and again: it answers in between, and that is not told each time."""
    shop = DockerSite(site, docker, socket=proxy.path)
    shop.repository.replace("clusters/demo/cluster.yaml", "health_timeout: 30s", "health_timeout: 2s")
    shop.image("web", "fades:1", "env: {AFTER: '6'}", path)
    shop.commit()
    with agent(shop):
        wait_for(lambda: restarts(shop) >= 1 and told_as(shop, "ContainerRestarts"), 300, "condition")
        # The trial of the first commit comes to its end.
        wait_for(lambda: shop.condition("Reconciling")["status"] == "False", 60, "end of the trial")
        wait_for(lambda: restarts(shop) >= 2, 120, "restarts")
        assert_told_once(shop, proxy)
        assert {s["name"]: s["health"] for s in shop.status()["services"]} == {"web": "failed"}
        shop.repository.replace(SERVICE, "fades:1", "web:1")
        shop.commit()
        wait_for(lambda: shop.text("web") == "web 1\n" and told_as(shop, "Healthy"), 300, "the next good commit")


def test_an_image_that_exits_at_once(site, docker, proxy):
    """There is no earlier commit to go back to."""
    shop = DockerSite(site, docker, socket=proxy.path)
    shop.repository.replace("clusters/demo/cluster.yaml", "health_timeout: 30s", "health_timeout: 2s")
    shop.image("web", "exits:1")
    shop.service("text", "respond: {body: one}\n")
    tip = shop.commit()
    with agent(shop):
        wait_for(lambda: told_as(shop, "ContainerRestarts"), 300, "condition")
        wait_for(lambda: shop.condition("Reconciling")["status"] == "False", 60, "end of the trial")
        assert_told_once(shop, proxy)
        assert shop.status()["revision"]["applied"] == tip and shop.text("text") == "one"
        shop.repository.replace(SERVICE, "exits:1", "web:1")
        shop.commit()
        wait_for(lambda: shop.text("web") == "web 1\n" and told_as(shop, "Healthy"), 300, "the next good commit")


def composes(shop):
    """Does compose work for this node just now?"""
    for pid in processes_below(shop.node.root):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"docker-compose\0" in file.read():
                return True
    return False


def at(shop, tip):
    status = shop.status()
    return status["revision"]["applied"] == tip and status["revision"]["quarantined"] is None and told_as(shop, "Healthy")


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_docker_is_started_again_in_the_middle_of_an_apply(shop, order):
    shop.image("web", "web:1", HEALTH, f"update: {{order: {order}}}")
    shop.service("text", "respond: {body: one}\n")
    shop.commit()
    shop.settle()
    shop.repository.replace(SERVICE, "web:1", "web:2")
    shop.repository.replace("clusters/demo/services/text/service.yaml", "one", "two")
    tip = shop.commit()
    with agent(shop):
        wait_for(lambda: composes(shop), 120, "compose at work")
        shop.host.stop_daemon(signal.SIGTERM)
        try:
            wait_for(lambda: told_as(shop, "DockerUnavailable"), 120, "condition")
            assert shop.status()["revision"]["quarantined"] is None, "that is not the commit's fault"
        finally:
            shop.host.start_daemon()
        wait_for(lambda: at(shop, tip), 300, "the wanted revision")
    assert shop.text("web") == "web 2\n" and shop.text("text") == "two"
    assert len(shop.containers()) == 1
    assert not (shop.node.root / "var/lib/dynia/journal").exists()


def passes(shop):
    """How many the agent has made."""
    text = shop.node.fetch("localhost", "/metrics", 9797).body
    found = re.search(r"^dynia_passes_total (\d+)$", text, re.MULTILINE)
    return int(found.group(1)) if found else 0


def test_docker_hangs(shop):
    """Passes go on, say so once, do what needs no container, and what was wanted meanwhile is done when it answers."""
    shop.image("web", "web:1", HEALTH)
    shop.service("text", "respond: {body: one}\n")
    shop.commit()
    shop.settle()
    with agent(shop):
        with shop.host.hanging():
            wait_for(lambda: told_as(shop, "DockerUnavailable"), 120, "condition")
            told = shop.repository.log("brave-panda")
            made = passes(shop)
            wait_for(lambda: passes(shop) >= made + 4, 120, "passes")
            assert shop.repository.log("brave-panda") == told
            shop.repository.replace("clusters/demo/services/text/service.yaml", "one", "two")
            shop.commit()
            wait_for(lambda: shop.text("text") == "two", 120, "what needs no container")
            shop.repository.replace(SERVICE, "web:1", "web:2")
            tip = shop.commit()
            wait_for(lambda: shop.status()["revision"]["desired"] == tip, 120, "look at the commit")
            assert shop.status()["revision"]["quarantined"] is None and shop.text("web") == "web 1\n"
        wait_for(lambda: at(shop, tip), 300, "the wanted revision")
    assert shop.text("web") == "web 2\n" and len(shop.containers()) == 1


def many(n):
    return "services:\n" + "".join(f"  p{i}:\n    image: dynia.test/web:1\n" for i in range(n))


def idle(shop, proxy):
    """The requests of a few passes in which there is nothing to do, and how many passes those were."""
    with agent(shop):
        # What has just been started is asked once how often it was started again.
        wait_for(lambda: passes(shop) >= 3, 120, "passes")
        while True:
            proxy.take()
            before = passes(shop)
            wait_for(lambda: passes(shop) >= before + 4, 120, "passes")
            asked = proxy.counts()
            if set(asked) == {("GET", "/containers/json")}:
                return asked.total(), passes(shop) - before
            assert {method for method, _ in asked} == {"GET"}


def test_an_idle_pass_asks_once_however_many_containers_there_are(site, docker, proxy):
    shop = DockerSite(site, docker, socket=proxy.path)
    shop.service("many", "compose: compose.yaml\nentry: p0\nport: 80\n", **{"compose.yaml": many(1)})
    for n in (1, 20):
        shop.write("clusters/demo/services/many/compose.yaml", many(n))
        shop.commit()
        shop.settle()
        assert len(shop.containers()) == n
        requests, made = idle(shop, proxy)
        # A pass may begin or end between the two counts.
        assert abs(requests - made) <= 1 and made >= 4, (n, requests, made)
