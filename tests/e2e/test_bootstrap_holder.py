"""What the holder of the address does at the clouds: dynia bootstrap hold, and the agent with a token among its secrets."""

import pytest

from cloud import Cloud, Cloudflare, Fault, VIP
from harness import USAGE, dynia, run, wait_for


@pytest.fixture
def cloud():
    with Cloud() as cloud:
        cloud.run("apply")
        yield cloud
        cloud.assert_clean()


def holder(cloud):
    return cloud.ocean.picture()["reserved"][0][1]


def test_hold_moves_the_address(cloud):
    assert holder(cloud) == "shop-brave-panda"
    assert "has moved" in cloud.run("hold", "--node", "misty-owl").stdout
    assert holder(cloud) == "shop-misty-owl"
    assert "stays" in cloud.run("hold", "--node", "misty-owl").stdout
    assert "nothing to do" in cloud.run("plan").stdout, "whoever holds it holds it: bootstrap does not take it back"
    assert cloud.run("hold", check=False).returncode == USAGE


def test_hold_keeps_the_records(cloud):
    cloud.write(("brave-panda", "misty-owl"), hosts=("api", "shop"))
    cloud.run("hold", "--node", "brave-panda")
    assert {r[0] for r in cloud.flare.picture()} == {f"{n}.example.com" for n in ("api", "shop", "brave-panda", "misty-owl")}


@pytest.mark.parametrize("kind", ["429", "500", "timeout", "lost", "slow"])
def test_hold_gets_over_a_fault_at_each_call(cloud, kind):
    for i, node in enumerate(("misty-owl", "brave-panda") * 2):
        cloud.ocean.faults = {len(cloud.ocean.calls) + 1 + i: Fault(kind, retry_after=0)}
        cloud.run("hold", "--node", node)
        assert holder(cloud) == f"shop-{node}"


def test_hold_waits_for_what_is_under_way(cloud):
    """Another node's assignment is not over yet: 422, or locked."""
    ip = next(iter(cloud.ocean.reserved))
    cloud.ocean.action_seconds = 0.5
    other = next(d["id"] for d in cloud.ocean.droplets.values() if d["name"] == "shop-misty-owl")
    cloud.ocean.act_on_reserved(type("Call", (), {"body": {"type": "assign", "droplet_id": other}, "number": 0, "method": "", "path": ""}), ip)
    cloud.run("hold", "--node", "brave-panda")
    assert holder(cloud) == "shop-brave-panda"


def test_hold_takes_the_address_from_no_other_cluster(cloud):
    """A cluster's folder that was copied, vip.address and all."""
    ip = next(iter(cloud.ocean.reserved))
    cloud.write(("brave-panda", "misty-owl"), vip=VIP.replace("{move", "{address: %s, move" % ip))
    cloud.ocean.named("shop-brave-panda")["tags"] = ["dynia-cluster:shop-eu"]
    said = cloud.run("hold", "--node", "misty-owl", check=False)
    assert said.returncode == 1 and "'shop-brave-panda', which does not bear the tag 'dynia-cluster:shop'" in said.stderr
    assert holder(cloud) == "shop-brave-panda"


def test_hold_says_what_is_missing(cloud):
    done = cloud.run("hold", "--node", "brave-panda", check=False, env={"DIGITALOCEAN_TOKEN": ""})
    assert done.returncode != 0 and "DIGITALOCEAN_TOKEN" in done.stderr


# --- the agent ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def flare():
    with Cloudflare("demo.test") as flare:
        yield flare
        assert flare.violations == []


@pytest.fixture
def agent(site, flare):
    """The first node of the demo, with a token and with its records at the double; not started."""
    site.use_example(commit=False)
    cluster = "clusters/demo/cluster.yaml"
    for i, name in enumerate(("brave-panda", "misty-owl"), 1):
        site.repository.replace(cluster, f"address: {site.address(i)}", f"address: {site.address(i)}, public_address: 203.0.113.{i}")
    site.repository.write(cluster, site.repository.read(cluster) + "dns:\n  cloudflare: {zone: demo.test}\n")
    site.repository.commit("first")
    node = site.node("brave-panda", 1)
    node.write("etc/dynia/secrets.yaml", f"cloudflare-token: {flare.token}\n", 0o600)
    node.env.update(CLOUDFLARE_API_URL=flare.url, DYNIA_API_WAIT="10ms")
    return node


def hosts(flare, comment="dynia-cluster:demo"):
    return {record[0] for record in flare.picture() if record[4] == comment}


def add_service(site, name):
    site.repository.write(f"clusters/demo/services/{name}.yaml",
                          f"version: 1\nhosts: [{name}.demo.test]\nrespond: {{status: 200, body: x}}\n")
    site.repository.commit(name)


def test_the_agent_keeps_the_records_in_step(site, flare, agent):
    agent.start()
    wait_for(lambda: {"hello.demo.test", "brave-panda.demo.test", "misty-owl.demo.test"} <= hosts(flare), 60, "records")
    add_service(site, "shop")
    wait_for(lambda: "shop.demo.test" in hosts(flare), 60, "the record of a merged service")
    run("git", "-C", site.repository.tree, "rm", "-q", "clusters/demo/services/shop.yaml")
    site.repository.commit("gone")
    wait_for(lambda: "shop.demo.test" not in hosts(flare), 60, "end of the record")


def test_one_pass_keeps_them_too_and_a_second_asks_nothing(flare, agent):
    agent.once()
    assert "hello.demo.test" in hosts(flare)
    assert flare.token not in agent.once().stderr


def test_a_node_that_is_not_the_holder_asks_nothing(site, flare, agent):
    other = site.node("misty-owl", 2)
    other.write("etc/dynia/secrets.yaml", f"cloudflare-token: {flare.token}\n", 0o600)
    other.env.update(agent.env)
    other.once()
    assert not flare.calls


def test_a_node_that_is_named_no_more_keeps_nothing(site, flare, agent):
    """It was the holder: its commit's services are another one's to keep now."""
    agent.once()
    cluster = "clusters/demo/cluster.yaml"
    lines = site.repository.read(cluster).splitlines(keepends=True)
    site.repository.write(cluster, "".join(line for line in lines if "brave-panda:" not in line))
    site.repository.commit("one less")
    calls = len(flare.calls)
    # At once, not when a minute has passed: the secrets are other ones.
    agent.write("etc/dynia/secrets.yaml", f"cloudflare-token: {flare.token}\nmore: x\n", 0o600)
    done = agent.once(check=False)
    assert done.returncode == 3 and "has no node 'brave-panda'" in done.stderr
    assert len(flare.calls) == calls


def test_a_record_of_somebody_else_is_told_and_the_node_serves(site, flare, agent):
    flare.add("A", "hello.demo.test", "192.0.2.9", comment="marketing")
    done = agent.once()
    assert "hello.demo.test A 192.0.2.9" in done.stderr
    assert hosts(flare) == set() and hosts(flare, "marketing") == {"hello.demo.test"}
    assert agent.fetch("hello.demo.test").status == 200


def holding(site):
    status = site.repository.status("brave-panda")
    return next(((c["status"], c["reason"], c["message"]) for c in status["conditions"] if c["type"] == "Holding"), None)


def test_an_api_that_is_down_stops_nothing_and_is_told(site, flare, agent):
    flare.faults = {n: Fault("500") for n in range(1, 1000)}
    assert agent.once().returncode == 0
    assert agent.fetch("hello.demo.test").status == 200
    state, _, message = holding(site)
    assert state == "False" and "500" in message
    shown = dynia("status", site.repository.bare).stdout
    assert "degraded" in shown and message[:60] in shown and site.repository.log("brave-panda")[0].startswith("brave-panda: degraded at")
    flare.faults = {}
    agent.once()
    assert holding(site) == ("True", "Held", "") and "degraded" not in dynia("status", site.repository.bare).stdout
    # A node that has nothing to keep says nothing of it.
    agent.write("etc/dynia/secrets.yaml", "none: x\n", 0o600)
    agent.once()
    assert holding(site) is None


def test_a_token_that_comes_later_is_used_at_once(flare, agent):
    """Not only when the one before, which was wrong, would be tried again: in minutes."""
    agent.write("etc/dynia/secrets.yaml", "cloudflare-token: wrong\n", 0o600)
    agent.start()
    wait_for(lambda: "keep the address and the records" in agent.log.read_text(encoding="utf-8"), 60, "the refusal")
    agent.write("etc/dynia/secrets.yaml", f"cloudflare-token: {flare.token}\n", 0o600)
    wait_for(lambda: "hello.demo.test" in hosts(flare), 60, "records")


def test_vrrp_wakes_the_agent(site, agent):
    """An agent that looks once a day makes a pass at once."""
    agent.write("etc/dynia/agent.yaml", (agent.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8").replace("interval: 1s", "interval: 24h"))
    agent.start()
    wait_for(lambda: site.repository.has_status("brave-panda"), 60, "the first pass")
    add_service(site, "late")
    dynia("vrrp", "master", "--root", agent.root)
    assert (agent.root / "run/dynia/vrrp").read_text(encoding="utf-8").startswith("master ")
    wait_for(lambda: agent.fetch("late.demo.test").body == "x", 60, "a pass")
