"""Services in containers on a real dockerd, behind real HAProxy and Caddy."""

import base64
import crypt
import json
import shutil
import signal
import socket
import subprocess
import time

import pytest

import docker_host
from docker_site import Client, DockerSite
from harness import DYNIA, another_version, wait_for

pytestmark = pytest.mark.heavy


@pytest.fixture
def shop(site, docker):
    return DockerSite(site, docker)


def test_an_image_is_deployed_changed_and_removed(shop):
    shop.image("web", "web:1", "resources: {limits: {memory: 64M, cpus: 0.5, pids: 50}, reservations: {memory: 16M}}")
    shop.image("other", "well:1", "health: {path: /health}")
    shop.commit()
    status = shop.settle()
    assert shop.text("web") == "web 1\n"
    host = shop.container("web")["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 50)
    assert host["MemoryReservation"] == 16 << 20
    assert {s["name"]: s["health"] for s in status["services"]} == {"web": "healthy", "other": "healthy"}
    running = next(s for s in status["services"] if s["name"] == "other")["containers"][0]
    assert (running["state"], running["health"], running["image"], running["restarts"]) == (
        "running", "healthy", "dynia.test/well:1", 0)
    assert running["image_id"] == shop.container("other")["Image"]

    before = shop.container("other")["Id"]
    shop.repository.replace("clusters/demo/services/web/service.yaml", "web:1", "web:2")
    shop.commit()
    with Client(shop, "web").asking() as client:
        shop.settle()
    assert not client.failures and set(client.answers) == {"web 1\n", "web 2\n"}
    assert shop.container("other")["Id"] == before
    assert "service.yaml:3 image dynia.test/web:1 → dynia.test/web:2" in shop.causes()["recreate web"]
    assert len(shop.containers()) == 2

    shop.repository.git("rm", "-rq", "clusters/demo/services/web")
    shop.commit()
    shop.settle()
    assert [c["Labels"]["dynia.service"] for c in shop.containers()] == ["other"]
    assert shop.causes()["remove web"] == "clusters/demo/services/web/service.yaml removed"
    assert shop.node.fetch("web.test").status == 421


def test_another_version_of_the_program_touches_no_container(shop, tmp_path):
    shop.image("web", "web:1")
    shop.image("other", "well:1", "health: {path: /health}")
    shop.commit()
    before = shop.settle()
    started = {c["Id"]: c["Created"] for c in shop.containers()}
    shop.node.stop_agent()
    shop.node.program = tmp_path / "dynia"
    shutil.copy(DYNIA, shop.node.program)
    another_version(shop.node.program)
    with Client(shop, "web").asking() as client:
        shop.node.start()
        wait_for(lambda: shop.status()["agent"]["version"] != before["agent"]["version"], 60, "status of the other version")
        wait_for(lambda: shop.state()["inputs"]["dynia"] == shop.status()["agent"]["version"], 60, "pass")
    assert not client.failures and {c["Id"]: c["Created"] for c in shop.containers()} == started
    assert shop.status()["generation"] == before["generation"]


def test_a_static_site_is_deployed_changed_broken_repaired_and_removed(shop):
    page = "clusters/demo/services/docs/site/index.html"
    shop.service("docs", "static: ./site\nhealth: {path: /}\n", **{"site/index.html": "one", "site/old.html": "old"})
    shop.service("other", "respond: {body: other}\n")
    shop.commit()
    shop.settle()
    assert shop.text("docs") == "one" and shop.text("docs", "/old.html") == "old"
    with Client(shop, "docs").asking() as client:
        shop.write(page, "two")
        shop.repository.git("rm", "-q", "clusters/demo/services/docs/site/old.html")
        good = shop.commit()
        shop.settle()
        assert shop.text("docs") == "two" and shop.text("docs", "/old.html") == 404
        # Invalid: nothing is touched. Unhealthy: there is no page where its health is looked for.
        shop.service("docs", "static: ./elsewhere\nhealth: {path: /}\n")
        bad = shop.commit()
        shop.once(check=False)
        assert shop.status()["revision"]["quarantined"] == bad and shop.status()["revision"]["applied"] == good
        assert shop.condition("Valid")["status"] == "False" and "docs/service.yaml:3" in shop.condition("Valid")["message"]
        shop.repository.replace("clusters/demo/cluster.yaml", "health_timeout: 30s", "health_timeout: 2s")
        shop.service("docs", "static: ./site\nhealth: {path: /nowhere, interval: 1s, timeout: 1s}\n")
        bad = shop.commit()
        shop.passes(lambda: shop.status()["revision"]["quarantined"] == bad, 120, "quarantine")
        assert shop.status()["revision"]["applied"] == good and "docs" in shop.condition("Applied")["message"]
        shop.service("docs", "static: ./site\nhealth: {path: /}\n")
        shop.write(page, "three")
        shop.commit()
        shop.settle()
    assert not client.failures and set(client.answers) == {"one", "two", "three"}
    shop.repository.git("rm", "-rq", "clusters/demo/services/docs")
    shop.commit()
    shop.settle()
    assert shop.node.fetch("docs.test").status == 421 and shop.text("other") == "other"
    assert not (shop.node.root / "opt/dynia/sites/docs").exists() and not shop.containers()


COMPOSE = """# a comment
services:
  front:
    image: dynia.test/web:1
    volumes: ["./conf:/www/conf:ro", "kept:/kept"]
    depends_on: [store]
  store:
    image: dynia.test/web:1
    restart: unless-stopped
volumes:
  kept:
"""


def ids(shop, *parts):
    return {part: shop.container("pair", part)["Id"] for part in parts}


def names(shop, kind):
    found = shop.host.engine.get(f"/{kind}")
    return {row["Name"] for row in (found["Volumes"] or [] if kind == "volumes" else found)}


def test_a_compose_file_is_used_as_it_is(shop):
    shop.service("pair", "compose: compose.yaml\nentry: front\nport: 80\nresources: {limits: {memory: 32M}}\n",
                 **{"compose.yaml": COMPOSE, "conf/a": "one\n"})
    shop.commit()
    shop.settle()
    assert shop.text("pair", "/conf/a") == "one\n"
    file = shop.node.root / "opt/dynia/compose/pair/compose.yaml"
    assert file.read_text(encoding="utf-8") == COMPOSE
    assert shop.container("pair", "front")["HostConfig"]["Memory"] == 32 << 20
    first = ids(shop, "front", "store")

    # A comment restarts nothing.
    shop.write("clusters/demo/services/pair/compose.yaml", COMPOSE.replace("a comment", "another comment"))
    shop.commit()
    shop.settle()
    assert ids(shop, "front", "store") == first

    # A changed file restarts what mounts it.
    shop.write("clusters/demo/services/pair/conf/a", "two\n")
    shop.commit()
    plan = shop.plan()
    assert "recreate pair/front" in plan and "pair/store" not in plan and "conf/a changed" in plan
    shop.settle()
    assert shop.text("pair", "/conf/a") == "two\n"
    second = ids(shop, "front", "store")
    assert second["store"] == first["store"] and second["front"] != first["front"]
    assert shop.causes()["recreate pair/front"] == "clusters/demo/services/pair/conf/a changed"

    # A version that does not work is taken back, with its files; what the other part has is not touched.
    shop.repository.replace("clusters/demo/cluster.yaml", "health_timeout: 30s", "health_timeout: 8s")
    shop.write("clusters/demo/services/pair/compose.yaml", COMPOSE.replace("dynia.test/web:1", "dynia.test/exits:1", 1))
    shop.write("clusters/demo/services/pair/conf/a", "three\n")
    bad = shop.commit()
    shop.passes(lambda: shop.status()["revision"]["quarantined"] == bad, 300, "quarantine")
    shop.passes(lambda: shop.text("pair", "/conf/a") == "two\n", 300, "the version before")
    assert "another comment" in file.read_text(encoding="utf-8") and "exits" not in file.read_text(encoding="utf-8")
    assert shop.condition("Ready")["reason"] == "HealthError" and bad[:7] in shop.condition("Ready")["message"]
    # One that compose itself refuses touches nothing.
    before = ids(shop, "front", "store")
    shop.write("clusters/demo/services/pair/compose.yaml", COMPOSE.replace("depends_on: [store]", "depends_on: [nobody]"))
    bad = shop.commit()
    shop.passes(lambda: shop.status()["revision"]["quarantined"] == bad, 300, "quarantine")
    assert ids(shop, "front", "store") == before and shop.text("pair", "/conf/a") == "two\n"
    # The next good commit repairs it.
    shop.write("clusters/demo/services/pair/compose.yaml", COMPOSE.replace("dynia.test/web:1", "dynia.test/web:2", 1))
    shop.commit()
    shop.settle()
    assert shop.text("pair") == "web 2\n" and shop.text("pair", "/conf/a") == "three\n"
    assert ids(shop, "store")["store"] == first["store"]

    project = shop.container("pair", "front")["Config"]["Labels"]["com.docker.compose.project"]
    assert f"{project}_kept" in names(shop, "volumes") and f"{project}_default" in names(shop, "networks")
    shop.repository.git("rm", "-rq", "clusters/demo/services/pair")
    shop.image("web", "web:1")
    shop.commit()
    shop.settle()
    assert f"{project}_kept" in names(shop, "volumes") and f"{project}_default" not in names(shop, "networks")
    assert [c["Labels"]["dynia.service"] for c in shop.containers()] == ["web"]
    assert not file.exists()


def test_volumes_of_removed_services_go_where_that_is_asked_for(shop):
    shop.repository.replace("clusters/demo/cluster.yaml", "rollout:", "removed_services: {volumes: remove}\nrollout:")
    shop.image("web", "web:1", 'volumes: ["data:/data"]')
    shop.commit()
    shop.settle()
    assert any(name.endswith("-web_data") for name in names(shop, "volumes"))
    shop.repository.git("rm", "-rq", "clusters/demo/services/web")
    shop.service("text", "respond: {body: hello}\n")
    shop.commit()
    shop.settle()
    assert not any(name.endswith("-web_data") for name in names(shop, "volumes"))
    assert shop.network not in names(shop, "networks")


@pytest.mark.parametrize("image, word", [("never:1", "its health check"), ("exits:1", "it ends at once"),
                                         ("deaf:1", "/health")])
def test_a_commit_that_does_not_become_healthy_touches_nothing(shop, image, word):
    shop.repository.replace("clusters/demo/cluster.yaml", "health_timeout: 30s", "health_timeout: 8s")
    shop.image("web", "web:1", "health: {path: /health, interval: 1s, timeout: 1s}")
    good = shop.commit()
    shop.passes(lambda: shop.text("web") == "web 1\n", 300)
    shop.settle()
    before = shop.container("web")["Id"]
    shop.repository.replace("clusters/demo/services/web/service.yaml", "web:1", image)
    bad = shop.commit()
    with Client(shop, "web").asking() as client:
        shop.passes(lambda: shop.status()["revision"]["quarantined"] == bad, 300, "quarantine")
    assert not client.failures and set(client.answers) == {"web 1\n"}
    assert shop.container("web")["Id"] == before and len(shop.containers()) == 1
    status = shop.status()
    assert status["revision"]["applied"] == good
    applied = shop.condition("Applied")
    assert applied["reason"] == "HealthError" and word in applied["message"] and bad[:7] in applied["message"]
    # It is not tried again until the branch moves.
    shop.once(check=False)
    assert len(shop.containers()) == 1
    shop.repository.replace("clusters/demo/services/web/service.yaml", image, "web:2")
    shop.commit()
    with Client(shop, "web").asking() as client:
        shop.settle()
    assert not client.failures and set(client.answers) <= {"web 1\n", "web 2\n"} and shop.text("web") == "web 2\n"


def test_what_drifts_is_repaired_and_told(shop):
    shop.image("web", "web:1")
    shop.image("well", "well:1")
    shop.commit()
    shop.settle()
    engine = shop.host.engine
    stranger = engine.run("dynia.test/web:2", "stranger", Labels={"dynia.service": "web"})
    web, well = shop.container("web"), shop.container("well")

    def repaired(action, because):
        shop.settle()
        assert shop.causes() == {action: because}
        assert action.split()[1] in [d["what"] for d in shop.status()["drift"]]

    engine.post(f"/containers/{web['Id']}/stop?t=1")
    assert "start    web" in shop.plan()
    repaired("start web", "drift: its container was stopped")
    assert shop.container("web")["Id"] == web["Id"]
    engine.post(f"/containers/{web['Id']}/pause")
    repaired("start web", "drift: its container was paused")
    engine.delete(f"/containers/{web['Id']}", force=True)
    repaired("create web", "drift: its container was removed")
    # Somebody runs another image in its place, with the same name and labels.
    config = shop.container("well")
    engine.delete(f"/containers/{well['Id']}", force=True)
    engine.run("dynia.test/well:2", config["Name"].strip("/"), Labels=config["Config"]["Labels"])
    repaired("recreate well", "drift: its container runs from another image")
    assert shop.text("well") == "well 1\n" and shop.text("web") == "web 1\n"
    assert engine.inspect(stranger)["State"]["Running"]
    assert len(shop.containers()) == 2


def test_a_second_pass_changes_nothing(site, docker, tmp_path):
    proxy = docker_host.Proxy(tmp_path / "docker.sock", docker.socket)
    try:
        shop = DockerSite(site, docker, socket=tmp_path / "docker.sock")
        shop.image("web", "web:1")
        shop.image("well", "well:1", "health: {path: /health}")
        shop.service("pair", "compose: compose.yaml\nentry: front\nport: 80\n",
                     **{"compose.yaml": COMPOSE, "conf/a": "one\n"})
        shop.commit()
        shop.settle()
        # What has just been started is looked at for itself, until it has run for longer than that is ago.
        shop.once()
        proxy.take()
        stamps = shop.node.stamps()
        trace = tmp_path / "trace"
        shop.node.as_user = ["strace", "-f", "-qq", "-e", "trace=execve", "-o", str(trace)]
        shop.once()
        asked = proxy.counts()
        assert asked.pop(("GET", "/containers/json")) == 1
        # Each agent asks each container once how often it was started again.
        assert len(asked) == len(shop.containers()) and all(
            method == "GET" and path.endswith("/json") and n == 1 for (method, path), n in asked.items()), asked
        programs = {line.split('"')[1] for line in trace.read_text(encoding="utf-8").splitlines() if "execve(" in line}
        assert not any("compose" in program or "docker" in program for program in programs), programs
        changed = {k for k, v in shop.node.stamps().items() if stamps.get(k) != v}
        assert not {k for k in changed if k.startswith(("opt/", "etc/", "var/lib/dynia/index", "var/lib/dynia/generations"))}
    finally:
        proxy.close()


def test_an_image_that_cannot_be_had(site, docker, tmp_path):
    proxy = docker_host.Proxy(tmp_path / "docker.sock", docker.socket)
    try:
        shop = DockerSite(site, docker, socket=tmp_path / "docker.sock")
        shop.image("web", "web:1")
        shop.commit()
        shop.settle()
        shop.repository.replace("clusters/demo/services/web/service.yaml", "dynia.test/web:1", "127.0.0.1:9/none:1")
        shop.commit()
        shop.node.start()  # an agent that goes on remembers how often it tried
        try:
            wait_for(lambda: shop.condition("Ready")["reason"] == "ImageUnavailable", 200, "condition")
            assert "127.0.0.1:9/none:1" in shop.condition("Ready")["message"]
            assert shop.text("web") == "web 1\n"
            pulls = [r for r in proxy.take() if "/images/create" in r[1]]
            assert len(pulls) == 1
            shop.repository.replace("clusters/demo/services/web/service.yaml", "127.0.0.1:9/none:1", "dynia.test/web:2")
            shop.commit()
            wait_for(lambda: shop.text("web") == "web 2\n", 300, "new version")
        finally:
            shop.node.stop_agent()
    finally:
        proxy.close()


def test_docker_is_away_for_a_while(shop):
    shop.image("web", "web:1")
    shop.service("text", "respond: {body: one}\n")
    shop.commit()
    shop.settle()
    shop.host.stop_daemon(signal.SIGKILL)
    try:
        shop.once(check=False)
        assert shop.condition("Ready")["reason"] == "DockerUnavailable"
        # What needs no container is served, and changed.
        shop.repository.replace("clusters/demo/services/text/service.yaml", "one", "two")
        shop.commit()
        shop.once(check=False)
        assert shop.text("text") == "two"
    finally:
        shop.host.start_daemon()
    shop.settle()
    assert shop.text("web") == "web 1\n"
    with shop.host.hanging():
        began = time.monotonic()
        shop.once(check=False)
        assert time.monotonic() - began < 60
        assert shop.condition("Ready")["reason"] == "DockerUnavailable"
        assert shop.text("text") == "two"
    shop.settle()


def test_an_agent_that_is_killed_while_a_new_container_proves_itself(shop):
    shop.image("web", "web:1")
    shop.commit()
    shop.settle()
    shop.repository.replace("clusters/demo/services/web/service.yaml", "web:1", "never:1")
    shop.commit()
    shop.node.start()
    try:
        wait_for(lambda: len(shop.containers("dynia.surge=1")) == 1, 300, "a container beside the old one")
    finally:
        shop.node.stop_agent(signal.SIGKILL)
    shop.repository.git("revert", "--no-edit", "HEAD")
    shop.commit()
    shop.settle()
    assert not shop.containers("dynia.surge=1") and len(shop.containers()) == 1
    assert shop.text("web") == "web 1\n"


PASSWORD = "pass-word-of-the-registry"


@pytest.fixture
def registry(tmp_path, docker):
    """A registry that wants a login, with one image that is nowhere else: HOST:PORT."""
    address = "127.0.0.1:5055"
    (tmp_path / "htpasswd").write_text(f"acme:{crypt.crypt(PASSWORD, '$2b$05$' + 'a' * 21 + 'e')}\n", encoding="ascii")
    (tmp_path / "registry.yml").write_text(f"""version: 0.1
storage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}
http: {{addr: {address}}}
auth: {{htpasswd: {{realm: test, path: {tmp_path}/htpasswd}}}}
""", encoding="ascii")
    process = subprocess.Popen(["docker-registry", "serve", tmp_path / "registry.yml"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: socket.create_connection(tuple(address.split(":")), 1).close() is None, 30, "registry")
        engine = docker.engine
        engine.post("/images/dynia.test/web:2/tag", repo=f"{address}/acme/web", tag="2")
        login = base64.urlsafe_b64encode(json.dumps({"username": "acme", "password": PASSWORD}).encode()).decode()
        said = engine.call("POST", f"/images/{address}/acme/web/push?tag=2", headers={"X-Registry-Auth": login})
        assert "error" not in str(said), said
        engine.delete(f"/images/{address}/acme/web:2")
        yield address
    finally:
        process.terminate()
        process.wait()


def test_a_private_registry(shop, registry):
    image = f"{registry}/acme/web:2"
    shop.image("web", "web:1")
    shop.commit()
    shop.settle()
    shop.repository.replace("clusters/demo/services/web/service.yaml", "dynia.test/web:1", image)
    shop.commit()
    shop.once(check=False)
    assert shop.condition("Ready")["reason"] == "ImageUnavailable" and shop.text("web") == "web 1\n"
    shop.repository.replace("clusters/demo/cluster.yaml", "rollout:",
                            f"registries: {{\"{registry}\": {{username: acme, password: {{secret: token}}}}}}\nrollout:")
    shop.commit()
    done = shop.once(check=False)
    assert "secret 'token', which clusters/demo/cluster.yaml" in done.stderr
    shop.node.write("etc/dynia/secrets.yaml", f"token: {PASSWORD}\n", 0o600)
    trace = shop.node.root.parent / "trace"
    shop.node.as_user = ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=execve,openat", "-o", str(trace)]
    shop.settle()
    shop.node.as_user = []
    assert shop.text("web") == "web 2\n"
    # The password is in no argument, no file that it made, and nowhere in what it says.
    assert PASSWORD not in trace.read_text(encoding="utf-8", errors="replace")
    for folder in ("opt", "run", "var"):
        for file in (shop.node.root / folder).rglob("*"):
            if file.is_file():
                assert PASSWORD.encode() not in file.read_bytes(), file
    shop.host.engine.delete(f"/images/{image}", force=True)


def test_a_service_takes_the_port_of_another(shop):
    shop.image("first", "web:1", "publish: 21001")
    shop.image("second", "web:1", "publish: 21002")
    shop.commit()
    shop.settle()
    shop.image("first", "web:2", "publish: 21002")
    shop.image("second", "web:2", "publish: 21003")
    shop.repository.git("mv", "clusters/demo/services/second", "clusters/demo/services/third")
    shop.repository.replace("clusters/demo/services/third/service.yaml", "second.test", "third.test")
    shop.commit()
    shop.settle()
    assert shop.text("first") == "web 2\n" and shop.text("third") == "web 2\n"
    assert len(shop.containers()) == 2
