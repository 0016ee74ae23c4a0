"""Services in containers on a real dockerd, behind real HAProxy and Caddy."""

import pytest

from docker_site import Client, DockerSite
from harness import wait_for


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
