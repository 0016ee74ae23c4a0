"""dynia bootstrap against doubles of DigitalOcean and Cloudflare: plan, apply, destroy, user-data."""

import base64
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest
import yaml

from cloud import Cloud, Fault, MARK, VIP
from harness import DYNIA, EXAMPLES, INVALID, SOURCE, TO_DO, USAGE, dynia, run


@pytest.fixture
def cloud():
    with Cloud() as cloud:
        yield cloud
        cloud.assert_clean()


def records(cloud):
    return {name: (content, proxied) for name, _, content, proxied, comment in cloud.flare.picture() if comment == MARK}


# --- from nothing, and nothing the second time ----------------------------------------------------------------------------


def test_apply_makes_what_the_plan_says(cloud):
    plan = cloud.json("plan")
    assert [(s["action"], s["what"], s["name"]) for s in plan["steps"]] == [
        ("create", "tag", MARK), ("create", "vpc", "shop"), ("create", "firewall", "dynia-shop"),
        ("create", "droplet", "shop-brave-panda"), ("create", "droplet", "shop-misty-owl"), ("create", "reserved IP", "a new one"),
        ("create", "record", "api.example.com"), ("create", "record", "www.example.com"),
        ("create", "record", "brave-panda.example.com"), ("create", "record", "misty-owl.example.com")]
    assert plan["monthly_usd"] == {"now": 0, "after": 12} and plan["version"] == 1
    assert not cloud.ocean.droplets and not cloud.flare.picture(), "a plan changes nothing"

    done = cloud.json("apply")
    assert {s["state"] for s in done["steps"]} == {"done"}
    picture = cloud.ocean.picture()
    assert [d[:6] for d in picture["droplets"]] == [
        ("shop-brave-panda", "active", "s-1vcpu-1gb", "sgp1", (MARK, "dynia-contact:shop:*"), "shop"),
        ("shop-misty-owl", "active", "s-1vcpu-1gb", "sgp1", (MARK, "dynia-contact:shop:*"), "shop")]
    assert picture["reserved"] == [(done["address"], "shop-brave-panda")]
    assert f"reserved IP          {done['address']}\n" in cloud.run("apply").stdout
    assert picture["vpcs"] == [("shop", "sgp1", MARK)] and cloud.ocean.vpcs.popitem()[1]["ip_range"] == "10.108.0.0/20"
    nodes = {node["name"]: node for node in done["nodes"]}
    assert done["steps"][-1]["detail"] == records(cloud)["misty-owl.example.com"][0], "what it leads to, now that it is known"
    assert records(cloud) == {
        "api.example.com": (done["address"], True), "www.example.com": (done["address"], True),
        "brave-panda.example.com": (nodes["brave-panda"]["public_address"], False),
        "misty-owl.example.com": (nodes["misty-owl"]["public_address"], False)}
    assert nodes["misty-owl"]["address"].startswith("10.108.")


def test_a_second_apply_does_nothing(cloud):
    assert cloud.run("plan", "--exit-code", check=False).returncode == TO_DO
    cloud.run("apply")
    before = cloud.picture()
    assert "nothing to do" in cloud.run("plan", "--exit-code").stdout
    calls = len(cloud.ocean.calls)
    cloud.run("apply")
    assert cloud.picture() == before
    assert {call.method for call in cloud.ocean.calls[calls:]} == {"GET"}


def test_droplets_get_the_user_data_keys_and_network(cloud):
    cloud.run("apply")
    for droplet in cloud.ocean.droplets.values():
        node = droplet["name"].removeprefix("shop-")
        there, shown = (yaml.safe_load(text) for text in (droplet["_user_data"], cloud.run("user-data", "--node", node).stdout))
        contact = [f for f in there["write_files"] if f["path"] == "/etc/dynia/contact"]
        assert [f["permissions"] for f in contact] == ["0600"] and contact[0]["content"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        there["write_files"] = [f for f in there["write_files"] if f not in contact]
        script = there["write_files"][-1]
        script["content"] = re.sub(r"(?ms)^key=.*?^fi\n", "", script["content"])
        assert there == shown
        assert droplet["_ssh_keys"] == [key["id"] for key in cloud.ocean.keys.values()]
        assert droplet["features"] == ["monitoring"]


def test_the_cloud_firewall_has_the_rules_of_the_file(cloud):
    cloud.run("apply")
    firewall = next(iter(cloud.ocean.firewalls.values()))
    opened = {(r["protocol"], r["ports"]): r["sources"] for r in firewall["inbound_rules"]}
    anywhere, own = {"addresses": ["0.0.0.0/0", "::/0"]}, {"tags": [MARK]}
    assert opened == {("tcp", "80"): anywhere, ("tcp", "443"): anywhere, ("tcp", "22"): {"addresses": ["198.51.100.0/24"]},
                      ("tcp", "0"): own, ("udp", "0"): own, ("icmp", "0"): own}
    assert firewall["tags"] == [MARK]
    firewall["inbound_rules"].append({"protocol": "tcp", "ports": "3306", "sources": anywhere})
    assert "change firewall" in cloud.run("plan").stdout
    cloud.run("apply")
    assert len(firewall["inbound_rules"]) == 6


def test_no_cloud_firewall_where_vrrp_is_needed(cloud):
    file = cloud.folder / "clusters/shop/cluster.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("    cloud_firewall: always\n", ""), encoding="utf-8")
    assert "would drop VRRP" in cloud.run("plan").stdout
    cloud.run("apply")
    assert not cloud.ocean.firewalls


def test_several_pages():
    """More droplets than a page has, more records than a page has, and a key on the last page."""
    with Cloud(nodes=("a", "b")) as cloud:
        for i in range(450):
            cloud.ocean.firewalls[str(i)] = {"id": str(i), "name": f"other-{i}", "inbound_rules": [], "outbound_rules": [], "tags": []}
        for i in range(210):
            cloud.ocean.add_key(f"key-{i}", fingerprint=f"aa:{i}")
        cloud.ocean.keys[99] = cloud.ocean.keys.pop(next(iter(cloud.ocean.keys)))
        for i in range(2300):
            cloud.flare.add("A", f"h{i}.example.com", "192.0.2.1")
        cloud.run("apply")
        assert "nothing to do" in cloud.run("plan").stdout
        assert len(records(cloud)) == 4 and len(cloud.flare.picture()) == 2304
        pages = [c for c in cloud.ocean.calls if c.path == "/v2/firewalls" and c.query.get("page") == "3"]
        assert pages, "the third page was read"
        cloud.assert_clean()


# --- what changes -----------------------------------------------------------------------------------------------------------


def test_a_node_that_goes_is_asked_for_and_drained(cloud):
    cloud.run("apply")
    cloud.write(("misty-owl",))
    before = cloud.picture()
    refused = cloud.run("apply", check=False)
    assert refused.returncode == USAGE and "--yes" in refused.stderr and cloud.picture() == before
    since = len(cloud.ocean.calls)
    cloud.run("apply", "--yes")
    picture = cloud.ocean.picture()
    assert [d[0] for d in picture["droplets"]] == ["shop-misty-owl"]
    assert picture["reserved"][0][1] == "shop-misty-owl", "the address went to one that stays"
    assert "brave-panda.example.com" not in records(cloud)
    changes = [f"{c.method} {c.path}" for c in cloud.ocean.calls[since:] if c.method != "GET"]
    assert re.match(r"POST /v2/reserved_ips/.*/actions", changes[0])
    assert changes[-2].startswith("DELETE /v2/droplets/") and changes[-1].startswith("DELETE /v2/tags/dynia-contact%3Ashop%3A")


def test_draining_takes_its_time(cloud):
    cloud.run("apply")
    cloud.write(("misty-owl",))
    plan = cloud.json("plan", "--drain", "2s")
    assert "\n1 to assign, 2 to delete\n" in cloud.run("plan").stdout
    assert [s["what"] for s in plan["steps"]] == ["reserved IP", "record", "drain", "droplet"]
    began = time.monotonic()
    cloud.run("apply", "--yes", "--drain", "2s")
    assert time.monotonic() - began >= 2


def test_replace_takes_another_droplet(cloud):
    first = cloud.json("apply")
    done = cloud.json("apply", "--yes", "--replace", "brave-panda")
    old, new = ({n["name"]: n for n in report["nodes"]} for report in (first, done))
    assert old["brave-panda"]["droplet_id"] != new["brave-panda"]["droplet_id"]
    assert old["misty-owl"] == new["misty-owl"] and len(cloud.ocean.droplets) == 2
    assert records(cloud)["brave-panda.example.com"][0] == new["brave-panda"]["public_address"]
    assert cloud.ocean.picture()["reserved"][0][1] == "shop-misty-owl", "the address left before its droplet did"


def test_a_droplet_that_is_gone_is_made_again(cloud):
    cloud.run("apply")
    lost = next(d for d in cloud.ocean.droplets.values() if d["name"] == "shop-misty-owl")
    cloud.ocean.delete_droplet(None, str(lost["id"]))
    assert "create droplet     shop-misty-owl" in cloud.run("plan").stdout
    done = cloud.json("apply")
    nodes = {n["name"]: n for n in done["nodes"]}
    assert records(cloud)["misty-owl.example.com"][0] == nodes["misty-owl"]["public_address"]


def test_destroy_takes_only_what_is_the_clusters(cloud):
    other = cloud.ocean.add_vpc("other", "sgp1")
    cloud.ocean.create_droplet(type("Call", (), {"body": {"name": "shop-brave-panda", "region": "sgp1", "size": "s-1vcpu-1gb",
                                                          "image": "debian-12-x64", "vpc_uuid": other["id"], "tags": ["web"]}}))
    cloud.flare.add("A", "mail.example.com", "192.0.2.7", comment="mine")
    next(iter(cloud.ocean.droplets.values()))["_ready"] = 0
    before = cloud.picture()
    cloud.run("apply")
    assert len(cloud.ocean.droplets) == 3
    refused = cloud.run("destroy", check=False)
    assert refused.returncode == USAGE and len(cloud.ocean.droplets) == 3
    cloud.run("destroy", "--yes", "--release-address")
    after = cloud.picture()
    after["tags"] = before["tags"] = None
    assert after == before


@pytest.mark.parametrize("now", ["    vpc: other\n", ""], ids=["named", "none"])
def test_destroy_takes_the_network_that_the_file_names_no_more(cloud, now):
    cloud.ocean.add_vpc("other", "sgp1", description="dynia-cluster:shop-eu")
    cloud.run("apply")
    edit(cloud, "    vpc: shop\n", now)
    edit(cloud, "    ip_range: 10.108.0.0/20\n", "")
    cloud.run("destroy", "--yes")
    assert [v["name"] for v in cloud.ocean.vpcs.values()] == ["other"]


def test_destroy_takes_also_the_records_that_a_node_makes_meanwhile(cloud, monkeypatch):
    """Its holder keeps them for as long as it runs."""
    cloud.run("apply")
    key = ("DELETE", "/v2/droplets/*")
    delete = cloud.ocean.routes[key]

    def keep(ocean, call, word):
        if not cloud.flare.picture():
            cloud.flare.add("A", "api.example.com", "203.0.113.1", comment=MARK, proxied=True)
        return delete(ocean, call, word)

    monkeypatch.setitem(cloud.ocean.routes, key, keep)
    cloud.run("destroy", "--yes")
    assert not cloud.flare.picture()


def test_an_address_goes_to_no_droplet_that_is_off(cloud):
    cloud.run("apply")
    cloud.ocean.power_off("shop-brave-panda")
    address = next(iter(cloud.ocean.reserved.values()))
    address["_droplet"] = None
    cloud.write(("brave-panda", "misty-owl"), vip=named(address["ip"]))
    assert re.search(r"assign reserved IP \S+  to misty-owl", cloud.run("plan").stdout)


@pytest.mark.parametrize("line,words", [
    ("size: s-2vcpu-4gb", "says s-2vcpu-4gb in sgp1, ubuntu-24-04-x64: --replace brave-panda"),
    ("image: debian-12-x64", "is s-1vcpu-1gb in sgp1, ubuntu-24-04-x64, and cluster.yaml says s-1vcpu-1gb in sgp1, debian-12-x64")])
def test_a_droplet_that_is_not_what_the_file_says_is_told(cloud, line, words):
    cloud.run("apply")
    edit(cloud, "region: sgp1", f"region: sgp1\n    {line}")
    said = cloud.run("plan").stdout
    assert "nothing to do" in said and words in said


def test_what_cannot_be_made_as_the_file_has_it_is_told(cloud):
    cloud.ocean.add_vpc("shop", "sgp1", "10.200.0.0/20")
    assert "has the addresses 10.200.0.0/20" in cloud.run("plan").stdout
    cloud.write(("a" * 32, "b"))
    (cloud.folder / "clusters/shop").rename(cloud.folder / ("clusters/" + "s" * 31))
    said = cloud.run("apply", check=False)
    assert said.returncode == 1 and "longer than 63" in said.stderr and not cloud.ocean.droplets


def test_destroy_keeps_the_address_unless_told(cloud):
    cloud.run("apply")
    assert "--release-address" in cloud.run("destroy", "--yes").stdout
    assert len(cloud.ocean.reserved) == 1
    address = next(iter(cloud.ocean.reserved))
    cloud.ocean.add_reserved("sgp1", "203.0.113.77")  # somebody else's, that nobody uses either
    cloud.write(("brave-panda",))
    cloud.run("apply")
    assert sorted(cloud.ocean.picture()["reserved"]) == sorted([(address, "shop-brave-panda"), ("203.0.113.77", None)])


def test_the_address_outlives_the_droplet_that_had_it(cloud):
    """The file names none: it is known by its tag. Who holds it now is found in the same way by the node that VRRP makes master."""
    cloud.run("apply")
    address, had = cloud.ocean.picture()["reserved"][0]
    assert had == "shop-brave-panda"
    cloud.ocean.lose(had)
    assert cloud.ocean.picture()["reserved"] == [(address, None)]
    cloud.run("hold", "--node", "misty-owl")
    assert cloud.ocean.picture()["reserved"] == [(address, "shop-misty-owl")]
    cloud.ocean.lose("shop-misty-owl")
    cloud.run("apply")
    assert cloud.ocean.picture()["reserved"] == [(address, "shop-brave-panda")]
    # A tag that is missing is made; one of an address that is the cluster's no more goes.
    tag = f"dynia-address:shop:{address.replace('.', '-')}"
    assert tag in cloud.ocean.tags
    cloud.ocean.tags.pop(tag)
    cloud.ocean.tags["dynia-address:shop:192-0-2-1"] = type(cloud.ocean.tags["dynia-cluster:shop"])()
    steps = [(s["action"], s["name"]) for s in cloud.json("apply")["steps"]]
    assert steps == [("create", tag), ("delete", "dynia-address:shop:192-0-2-1")]
    assert "nothing to do" in cloud.run("plan").stdout
    cloud.run("destroy", "--yes", "--release-address")
    assert not cloud.ocean.tags and not cloud.ocean.reserved


def foreign(cloud, name="foreign", tags=()):
    """A droplet of somebody else's."""
    vpc = cloud.ocean.add_vpc(f"of-{name}", "sgp1")
    call = type("Call", (), {"body": {"name": name, "region": "sgp1", "size": "s-1vcpu-1gb", "image": "debian-12-x64", "vpc_uuid": vpc["id"],
                                      "tags": list(tags)}})
    return cloud.ocean.create_droplet(call)[1]["droplet"]


def named(address):
    return VIP.replace("{move", "{address: %s, move" % address)


def test_an_address_on_somebody_elses_droplet_is_not_released(cloud):
    cloud.run("apply")
    cloud.ocean.add_reserved("sgp1", "203.0.113.77", foreign(cloud, tags=("dynia-cluster:shop-eu",))["id"])
    cloud.write(("brave-panda", "misty-owl"), vip=named("203.0.113.77"))
    said = cloud.run("destroy", "--yes", "--release-address").stdout
    assert "203.0.113.77 is kept" in said and "'foreign'" in said
    assert ("203.0.113.77", "foreign") in cloud.ocean.picture()["reserved"] and len(cloud.ocean.droplets) == 1


def test_two_addresses_on_our_droplets_are_named(cloud):
    cloud.run("apply")
    cloud.ocean.add_reserved("sgp1", "203.0.113.77", cloud.ocean.named("shop-misty-owl")["id"])
    said = cloud.run("plan", check=False)
    assert said.returncode == 1 and "203.0.113.77" in said.stderr and "vip.address" in said.stderr
    cloud.write(("brave-panda", "misty-owl"), vip=named("203.0.113.77"))
    cloud.run("plan")


def test_a_list_with_droplets_that_are_not_ours(cloud, monkeypatch):
    """An API, or a proxy before it, that passes over tag_name."""
    cloud.run("apply")
    foreign(cloud, "shop-witty-wren", tags=("dynia-cluster:shop-eu", "web"))
    cloud.ocean.named("shop-misty-owl")["tags"][0] = MARK.title()
    monkeypatch.setitem(cloud.ocean.routes, ("GET", "/v2/droplets"),
                        lambda ocean, call: ocean.page(call, "droplets", [ocean.public(d) for d in ocean.droplets.values()], "tag_name"))
    assert "nothing to do" in cloud.run("plan").stdout
    cloud.run("destroy", "--yes")
    assert [d["name"] for d in cloud.ocean.droplets.values()] == ["shop-witty-wren"]


@pytest.mark.parametrize("answer,words", [
    ({"droplets": [{"id": 7, "name": "shop-brave-panda", "status": "active"}]}, "a droplet without 'tags'"),
    ({"droplets": [1, "x", None]}, "a droplet without 'tags'"), ({"droplets": {}}, "no list 'droplets'"),
    ({"droplets": [{"id": "7", "name": "shop-brave-panda", "status": "active", "tags": [MARK]}]}, "a droplet without 'id'"),
    ({"droplets": [], "links": {"pages": {"next": "https://evil.example/v2/account/keys?page=2"}}}, "is another thing"),
    ({"droplets": [], "links": {"pages": {"next": 2}}}, "is another thing"),
    ({"droplets": [], "links": {"pages": {"next": f"https://evil.example/v2/droplets?tag_name={MARK.replace(':', '%3A')}&per_page=200"}}},
     "is the same page")])
def test_a_list_that_is_none(cloud, monkeypatch, answer, words):
    monkeypatch.setitem(cloud.ocean.routes, ("GET", "/v2/droplets"), lambda ocean, call: (200, answer))
    said = cloud.run("apply", check=False)
    assert said.returncode == 1 and words in said.stderr
    assert {c.method for c in cloud.ocean.calls} == {"GET"}, "nothing is made where it is not known what there is"


def test_a_droplet_that_lost_the_mark_since_the_plan_stays(cloud, monkeypatch):
    cloud.run("apply")
    cloud.write(("misty-owl",))
    key = ("POST", "/zones/*/dns_records/batch")
    batch = cloud.flare.routes[key]

    def take_tags(flare, call, ident):
        cloud.ocean.named("shop-brave-panda")["tags"] = ["somebody-elses"]
        return batch(flare, call, ident)

    monkeypatch.setitem(cloud.flare.routes, key, take_tags)
    said = cloud.run("apply", "--yes").stderr
    assert "does not bear the cluster's tag any more" in said and len(cloud.ocean.droplets) == 2


def test_a_network_that_others_are_in(cloud):
    cloud.run("apply")
    vpc = next(v for v in cloud.ocean.vpcs.values() if v["name"] == "shop")
    cloud.ocean.create_droplet(type("Call", (), {"body": {"name": "foreign", "region": "sgp1", "size": "s-1vcpu-1gb", "image": "debian-12-x64",
                                                          "vpc_uuid": vpc["id"]}}))
    said = cloud.run("destroy", "--yes", check=False)
    assert said.returncode == 1 and "vpc 'shop' is not empty: take away what is in it" in said.stderr
    assert [d["name"] for d in cloud.ocean.droplets.values()] == ["foreign"] and not cloud.flare.picture()


def test_a_key_that_is_named_twice_is_sent_once(cloud):
    edit(cloud, "[ops-laptop]", f"[ops-laptop, '{next(iter(cloud.ocean.keys.values()))['fingerprint']}']")
    cloud.run("apply")
    assert {tuple(d["_ssh_keys"]) for d in cloud.ocean.droplets.values()} == {tuple(cloud.ocean.keys)}


def test_a_key_is_never_one_of_two(cloud):
    cloud.ocean.add_key("ops-laptop", fingerprint="aa:bb:cc")
    said = cloud.run("apply", check=False)
    assert said.returncode == 1 and "two keys 'ops-laptop'" in said.stderr and "fingerprint" in said.stderr
    assert {c.method for c in cloud.ocean.calls} == {"GET"}
    edit(cloud, "[ops-laptop]", "['aa:bb:cc']")
    cloud.run("apply")
    assert {tuple(d["_ssh_keys"]) for d in cloud.ocean.droplets.values()} == {tuple(k["id"] for k in cloud.ocean.keys.values() if k["fingerprint"] == "aa:bb:cc")}


def test_a_firewall_of_our_name_that_is_not_ours(cloud):
    rules = [{"protocol": "tcp", "ports": "5432", "sources": {"addresses": ["192.0.2.1"]}}]
    there = {"id": "f1", "name": "dynia-shop", "inbound_rules": rules, "outbound_rules": [], "tags": ["web"], "droplet_ids": []}
    cloud.ocean.firewalls["f1"] = dict(there)
    said = cloud.run("apply", check=False)
    assert said.returncode == 1 and "firewall 'dynia-shop'" in said.stderr and MARK in said.stderr
    cloud.run("destroy", "--yes")
    assert cloud.ocean.firewalls == {"f1": there} and {c.method for c in cloud.ocean.calls} == {"GET"}
    cloud.ocean.add_tag(None, "web")
    cloud.ocean.firewalls["f1"]["tags"] = ["web", MARK]
    cloud.run("apply")
    assert len(cloud.ocean.firewalls["f1"]["inbound_rules"]) == 6, "marked, it is taken over"


def test_a_firewall_that_is_wanted_no_more_goes(cloud):
    cloud.run("apply")
    edit(cloud, "cloud_firewall: always", "cloud_firewall: never")
    assert cloud.run("apply", check=False).returncode == USAGE, "it asks"
    cloud.run("apply", "--yes")
    assert not cloud.ocean.firewalls and "nothing to do" in cloud.run("plan").stdout


def test_destroy_gets_over_what_stops_an_apply(cloud):
    """Two droplets of one name, another region in the file by now."""
    cloud.run("apply")
    cloud.ocean.droplets[77] = {**cloud.ocean.named("shop-brave-panda"), "id": 77}
    edit(cloud, "region: sgp1", "region: fra1")
    cloud.run("destroy", "--yes", "--release-address")
    assert not cloud.ocean.droplets and not cloud.ocean.reserved and not cloud.ocean.tags
    assert "shop" not in [v["name"] for v in cloud.ocean.vpcs.values()]


def test_a_network_that_was_there_is_used_and_stays(cloud):
    cloud.ocean.add_vpc("shop", "sgp1", "10.108.0.0/20", description="ours since 2019")
    cloud.run("apply")
    cloud.run("destroy", "--yes", "--release-address")
    assert [v["name"] for v in cloud.ocean.vpcs.values()] == ["shop"]


# --- records ----------------------------------------------------------------------------------------------------------------


def test_a_record_of_somebody_else_is_named_and_left(cloud):
    cloud.flare.add("CNAME", "api.example.com", "elsewhere.example.net", comment="marketing")
    cloud.flare.add("A", "www.example.com", "192.0.2.9", comment="dynia-cluster:blog")
    before = cloud.picture()
    for verb in ("plan", "apply"):
        done = cloud.run(verb, check=False)
        assert done.returncode == 1
        for word in ("api.example.com CNAME elsewhere.example.net", "www.example.com A 192.0.2.9 (of cluster 'blog')"):
            assert word in done.stderr
    assert cloud.picture() == before, "a conflict stops it before anything is made"


def test_what_cloudflare_says_is_told(cloud, monkeypatch):
    """Its status alone does not say that it failed."""
    monkeypatch.setitem(cloud.flare.routes, ("GET", "/zones"), lambda flare, call: (
        200, {"success": False, "errors": [{"code": 1049, "message": "this zone is locked"}], "messages": [], "result": None}))
    assert "GET /zones: 200: this zone is locked" in cloud.run("plan", check=False).stderr


def test_many_records_in_the_way(cloud):
    """What to do is told first: a message has an end."""
    hosts = [f"{c * 60}.{'x' * 60}.{'y' * 60}" for c in "abcdef"]
    cloud.write(("brave-panda",), hosts=())
    (cloud.folder / "clusters/shop/services/long.yaml").write_text(
        f"version: 1\nhosts: [{', '.join(h + '.example.com' for h in hosts)}]\nrespond: {{status: 200, body: x}}\n", encoding="utf-8")
    for host in hosts:
        cloud.flare.add("CNAME", f"{host}.example.com", f"{host}.example.net")
    said = cloud.run("plan", check=False).stderr
    assert f"give them the comment '{MARK}'" in said and hosts[0] in said


def test_records_beside_ours_stay(cloud):
    for kind, name, content in (("TXT", "api.example.com", "v=1"), ("MX", "example.com", "mail.example.com"), ("A", "mail.example.com", "192.0.2.5")):
        cloud.flare.add(kind, name, content)
    cloud.run("apply")
    cloud.run("destroy", "--yes", "--release-address")
    assert [r[:3] for r in cloud.flare.picture()] == [("api.example.com", "TXT", "v=1"), ("example.com", "MX", "mail.example.com"),
                                                      ("mail.example.com", "A", "192.0.2.5")]


def test_a_record_that_says_it_already_is_left_to_whom_it_belongs():
    with Cloud(vip=VIP.replace("{move", "{address: 203.0.113.77, move")) as cloud:
        cloud.ocean.add_reserved("sgp1", "203.0.113.77")
        cloud.flare.add("A", "api.example.com", "203.0.113.77", comment="mine", proxied=True)
        cloud.run("apply")
        assert ("api.example.com", "A", "203.0.113.77", True, "mine") in cloud.flare.picture()
        assert "nothing to do" in cloud.run("plan").stdout
        cloud.assert_clean()


def test_what_somebody_changed_on_our_records_is_put_back(cloud):
    cloud.run("apply")
    before = cloud.flare.picture()
    ours = {r["name"]: r for zone in cloud.flare.records.values() for r in zone.values()}
    ours["misty-owl.example.com"]["ttl"] = 86400
    ours["api.example.com"]["proxied"] = False
    ours["brave-panda.example.com"]["content"] = "192.0.2.66"
    ours["www.example.com"].update(type="CNAME", content="elsewhere.example.net")
    plan = cloud.json("plan")["steps"]
    assert sorted((s["action"], s["name"]) for s in plan) == [
        ("change", "api.example.com"), ("change", "brave-panda.example.com"), ("change", "misty-owl.example.com"),
        ("create", "www.example.com"), ("delete", "www.example.com")]
    cloud.run("apply", "--yes")
    assert cloud.flare.picture() == before and ours["misty-owl.example.com"]["ttl"] == 1
    assert "nothing to do" in cloud.run("plan").stdout


def test_a_node_without_a_known_address_is_a_note_and_no_step(cloud):
    """Without a provider of machines nothing will tell it: a record of it would be planned for ever."""
    (cloud.folder / "clusters/shop/cluster.yaml").write_text(
        "version: 1\ndomain: example.com\nnodes:\n  brave-panda: {}\n  misty-owl: {public_address: 192.0.2.9}\n"
        "dns:\n  cloudflare: {zone: example.com, proxied: true}\n", encoding="utf-8")
    done = cloud.json("apply")
    assert done["notes"] == ["no record leads to node 'brave-panda': write its public_address to clusters/shop/cluster.yaml"]
    assert [s["detail"] for s in done["steps"]] == ["192.0.2.9, proxied", "192.0.2.9, proxied", "192.0.2.9"]
    assert sorted(records(cloud)) == ["api.example.com", "misty-owl.example.com", "www.example.com"]
    assert "nothing to do" in cloud.run("apply").stdout
    assert cloud.run("plan", "--exit-code").returncode == 0


def test_pages_of_records_that_are_not_counted(cloud, monkeypatch):
    real = cloud.flare.page

    def page(*args):
        status, answer = real(*args)
        return status, {**answer, "result_info": None}

    monkeypatch.setattr(cloud.flare, "page", page)
    for i in range(1100):
        cloud.flare.add("TXT", f"h{i}.example.com", "x")
    cloud.flare.add("CNAME", "api.example.com", "elsewhere.example.net")
    assert "api.example.com CNAME" in cloud.run("plan", check=False).stderr


def test_more_records_than_a_batch_has():
    hosts = tuple(f"h{i}" for i in range(450))
    with Cloud(hosts=hosts) as cloud:
        cloud.run("apply")
        assert len(records(cloud)) == 452
        batches = [c for c in cloud.flare.calls if c.path.endswith("/batch")]
        assert len(batches) == 3
        cloud.write(("brave-panda", "misty-owl"), hosts=hosts[:225])
        cloud.run("apply")
        assert len(records(cloud)) == 227
        cloud.assert_clean()


def test_without_an_address_that_moves_hosts_lead_to_the_nodes():
    with Cloud(vip="") as cloud:
        done = cloud.json("apply")
        ours = sorted(r[2] for r in cloud.flare.picture() if r[0] == "api.example.com")
        assert ours == sorted(n["public_address"] for n in done["nodes"])
        assert not cloud.ocean.reserved
        cloud.assert_clean()



def test_another_address_is_taken_by_a_droplet_that_has_one(cloud):
    """It has one at a time: the old one is taken off it, and is told of as long as somebody can find it."""
    cloud.run("apply")
    old = next(iter(cloud.ocean.reserved))
    cloud.ocean.add_reserved("sgp1", "203.0.113.77")
    cloud.write(("brave-panda", "misty-owl"), vip=named("203.0.113.77"))
    assert cloud.run("apply", check=False).returncode == USAGE, "it asks"
    done = cloud.json("apply", "--yes")
    assert [(s["action"], s["name"], s["detail"]) for s in done["steps"][:2]] == [
        ("change", old, "off brave-panda"), ("assign", "203.0.113.77", "to brave-panda")]
    assert any(f"the reserved IP {old} is not the cluster's" in note for note in done["notes"])
    assert sorted(cloud.ocean.picture()["reserved"]) == [(old, None), ("203.0.113.77", "shop-brave-panda")]
    assert "nothing to do" in cloud.run("plan").stdout


def test_an_address_that_is_wanted_no_more_is_told(cloud):
    cloud.run("apply")
    address = next(iter(cloud.ocean.reserved))
    cloud.ocean.add_reserved("sgp1", "203.0.113.77", foreign(cloud)["id"])
    cloud.write(("brave-panda", "misty-owl"), vip="")
    for verb in ("apply", "plan", "destroy"):
        notes = cloud.json(verb, *(["--yes"] if verb != "plan" else []))["notes"]
        assert len(notes) == 1 and f"the reserved IP {address} is not the cluster's" in notes[0] and "networking/reserved_ips" in notes[0]


def test_droplets_of_a_provider_that_is_named_no_more_are_told(cloud):
    """They are not taken away: only with what the file says of them is it known how. They cost money."""
    cloud.run("apply")
    file = cloud.folder / "clusters/shop/cluster.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"(?s)provider:.*?dns:", "dns:", text).replace("move: digitalocean", "address: 203.0.113.1, move: vrrp"), encoding="utf-8")
    for verb in ("plan", "destroy"):
        said = cloud.run(verb, *(["--yes"] if verb != "plan" else [])).stdout
        assert f"2 droplets of the cluster's (tag '{MARK}') cost money" in said and "destroy takes them away" in said
    assert "is not known: DigitalOcean" in cloud.run("plan", env={"DIGITALOCEAN_TOKEN": "wrong"}).stdout
    assert "droplets" not in cloud.run("plan", env={"DIGITALOCEAN_TOKEN": ""}).stdout and len(cloud.ocean.droplets) == 2


# --- records of a zone that is named no more --------------------------------------------------------------------------------------


def mark_in(cloud, zone, address="203.0.113.1"):
    """Records in another zone: ours (one leads to the reserved IP), two that are not, and how all of them look."""
    cloud.flare.add_zone(zone)
    for name, comment in (("api", MARK), ("brave-panda", MARK), ("mail", "mine"), ("blog", "dynia-cluster:blog"), ("shop", MARK + "-eu")):
        cloud.flare.add("A", f"{name}.{zone}", address if name == "api" else "192.0.2.1", comment=comment)
    return [r for r in cloud.flare.picture() if r[0].endswith(zone) and r[4] != MARK]


def test_records_of_a_zone_that_was_named_before_go(cloud):
    cloud.run("apply")
    before = cloud.picture()
    others = mark_in(cloud, "example.org")
    plan = cloud.json("plan")
    assert [(s["action"], s["what"], s["name"], s["detail"], s["because"]) for s in plan["steps"]] == [
        ("delete", "record", f"{name}.example.org", f"A {address}", "cluster.yaml does not name zone 'example.org'")
        for name, address in (("api", "203.0.113.1"), ("brave-panda", "192.0.2.1"))]
    assert cloud.run("apply", check=False).returncode == USAGE, "it asks"
    cloud.run("apply", "--yes")
    assert [r for r in cloud.flare.picture() if r[0].endswith("example.org")] == others
    assert [r for r in cloud.flare.picture() if r[0].endswith("example.com")] == before["records"]
    assert "nothing to do" in cloud.run("plan").stdout


def test_records_of_another_cluster_of_this_name_are_told_and_left(cloud):
    """Two repositories may each have a cluster 'prod', and one token for both zones."""
    cloud.run("apply")
    mark_in(cloud, "example.org", "192.0.2.2")
    before = cloud.flare.picture()
    for verb in ("plan", "apply"):
        done = cloud.json(verb)
        assert not done["steps"] and "zone 'example.org'" in done["notes"][0] and f"2 records with the comment '{MARK}'" in done["notes"][0]
    assert cloud.flare.picture() == before
    cloud.run("destroy", "--yes")
    assert [r for r in before if r[0].endswith("example.org")] == cloud.flare.picture()


@pytest.mark.parametrize("of", ["a machine that goes", "an address that is held", "an address that nobody has"])
def test_a_zone_is_the_clusters_that_leads_to_what_it_has(cloud, of):
    """Also where cluster.yaml names it no more."""
    cloud.run("apply")
    (reserved, _), = cloud.ocean.picture()["reserved"]
    machine = next(a["ip_address"] for a in cloud.ocean.named("shop-misty-owl")["networks"]["v4"] if a["type"] == "public")
    if of == "an address that nobody has":
        cloud.run("destroy", "--yes")
    cloud.write(["brave-panda"], vip="")
    mark_in(cloud, "example.org", machine if of == "a machine that goes" else reserved)
    assert "api.example.org" in [s["name"] for s in cloud.json("plan")["steps"]]


def test_another_zone_is_made_before_the_old_one_goes(cloud):
    cloud.run("apply")
    cloud.flare.add_zone("example.org")
    edit(cloud, "example.com", "example.org")
    for service in (cloud.folder / "clusters/shop/services").iterdir():
        service.write_text(service.read_text(encoding="utf-8").replace("example.com", "example.org"), encoding="utf-8")
    verbs = [s["action"] for s in cloud.json("apply", "--yes")["steps"] if s["what"] == "record"]
    assert verbs == ["create"] * 4 + ["delete"] * 4
    assert sorted(records(cloud)) == ["api.example.org", "brave-panda.example.org", "misty-owl.example.org", "www.example.org"]


def test_a_second_zone_of_the_same_name_is_left_alone(cloud):
    """One that moves to another account is there twice, and only one of them is asked for by the world."""
    cloud.run("apply")
    there = {"type": "A", "content": "192.0.2.1", "comment": MARK, "proxied": False, "ttl": 1, "tags": []}
    cloud.flare.put(cloud.flare.add_zone("example.com"), {**there, "name": "api.example.com"})
    assert "nothing to do" in cloud.run("plan").stdout


@pytest.mark.parametrize("verb", ["apply", "destroy"])
@pytest.mark.parametrize("machines", [True, False], ids=["droplets", "nothing"])
def test_records_of_a_dns_that_is_named_no_more_go(cloud, verb, machines):
    """By the token alone: the file says no zone. Without it a line says what is not looked at."""
    others = mark_in(cloud, "example.org")
    cloud.run("apply", "--yes")
    mark_in(cloud, "example.net")
    edit(cloud, "dns:\n  cloudflare: {zone: example.com, proxied: true}\n", "")
    if not machines:
        text = (cloud.folder / "clusters/shop/cluster.yaml").read_text(encoding="utf-8")
        (cloud.folder / "clusters/shop/cluster.yaml").write_text(
            re.sub(r"(?s)provider:.*", "", text).replace("vip: {move: digitalocean", "vip: {address: 203.0.113.1, move: vrrp"), encoding="utf-8")
    blind = cloud.run("plan", check=False, env={"CLOUDFLARE_API_TOKEN": ""})
    assert ("names no dns" in blind.stdout and "CLOUDFLARE_API_TOKEN" in blind.stdout) if machines else "names no provider" in blind.stderr
    assert "record" in cloud.run("plan").stdout
    cloud.run(verb, "--yes")
    assert not records(cloud)
    assert {r[0].split(".", 1)[1] for r in cloud.flare.picture()} == {"example.org", "example.net"} and others[0] in cloud.flare.picture()
    said = cloud.run("plan", check=False)
    assert (said.returncode == USAGE and "names no provider" in said.stderr) if not machines else said.returncode == 0


@pytest.mark.parametrize("named", [True, False])
def test_other_zones_that_cannot_be_looked_at_stop_nothing(cloud, monkeypatch, named):
    if not named:
        edit(cloud, "dns:\n  cloudflare: {zone: example.com, proxied: true}\n", "")
    closed = cloud.flare.add_zone("example.org")
    look = cloud.flare.routes[("GET", "/zones/*/dns_records")]

    def refuse(flare, call, ident):
        if ident == closed:
            raise flare.unauthorized()
        return look(flare, call, ident)

    monkeypatch.setitem(cloud.flare.routes, ("GET", "/zones/*/dns_records"), refuse)
    assert ("whether records of the cluster's are left in other zones is not known: the token may not read those of zone 'example.org'"
            in cloud.json("apply")["notes"])
    for i in range(100):
        cloud.flare.add_zone(f"z{i}.example.net")
    assert "sees more than 100 zones" in cloud.json("plan")["notes"][0]
    if not named:
        cloud.flare.faults = {len(cloud.flare.calls) + n: Fault("500") for n in range(1, 100)}
        assert "tried 2 times" in cloud.json("plan")["notes"][0]


def test_what_turns_text_round_is_not_shown(cloud):
    """Names at the clouds are anybody's who has a token: they are shown as they are, or not at all."""
    cloud.run("apply")
    cloud.ocean.droplets[77] = {**cloud.ocean.named("shop-misty-owl"), "id": 77, "name": "shop-\u202elwo\u202c-\u200fx\u2066\x1b[2J"}
    cloud.flare.add("A", "h.example.com", "192.0.2.1")["name"] = "\u2067h.example.com"
    ours = next(r for zone in cloud.flare.records.values() for r in zone.values() if r["name"] == "www.example.com")
    ours["name"] = "\u202ewww.example.com"
    said = cloud.run("plan").stdout + cloud.run("apply", check=False).stderr
    assert "shop-???lwo???-???x????[2J" in said and "???www.example.com" in said
    assert not set(said) & set("\u202e\u202c\u200f\u2066\u2067\x1b")


# --- errors say what to do ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change,words", [
    ({"DIGITALOCEAN_TOKEN": ""}, ["DIGITALOCEAN_TOKEN is not set"]),
    ({"CLOUDFLARE_API_TOKEN": ""}, ["CLOUDFLARE_API_TOKEN is not set", "DNS:Edit"]),
    ({"DIGITALOCEAN_API_URL": "http://api.digitalocean.com"}, ["DIGITALOCEAN_API_URL", "https://"]),
    ({"DIGITALOCEAN_API_URL": "https://user@evil.example"}, ["DIGITALOCEAN_API_URL"]),
    ({"DYNIA_API_TIMEOUT": "soon"}, ["DYNIA_API_TIMEOUT", "'soon'"]),
    ({"DIGITALOCEAN_TOKEN": "two words"}, ["no space"]),
])
def test_the_environment_is_checked(cloud, change, words):
    done = cloud.run("plan", check=False, env=change)
    assert done.returncode == USAGE and not cloud.ocean.calls
    for word in words:
        assert word in done.stderr
    assert "two words" not in done.stderr


@pytest.mark.parametrize("name,variable", [("ocean", "DIGITALOCEAN_TOKEN"), ("flare", "CLOUDFLARE_API_TOKEN")])
def test_a_wrong_token_is_named_and_not_shown(cloud, name, variable):
    done = cloud.run("plan", check=False, env={variable: "hunter2-hunter2"})
    assert done.returncode == 1 and variable in done.stderr and "hunter2" not in done.stdout + done.stderr
    assert len(getattr(cloud, name).calls) == 1, "it is not tried again"


def edit(cloud, old, new):
    file = cloud.folder / "clusters/shop/cluster.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("old,new,words", [
    ("region: sgp1", "region: sgp1\n    size: s-1vcpu-2bg", ["brave-panda", "s-1vcpu-2bg", "did you mean 's-1vcpu-1gb'"]),
    ("region: sgp1", "region: nyc9", ["no size", "nyc9"]),
    ("[ops-laptop]", "[ops-laptop, ci]", ["no key 'ci'", "it has: ops-laptop"]),
    ("zone: example.com, proxied", "zone: com, proxied", ["no zone 'com'"]),
    ("    agent: {repository: https://git.example.com/infra.git}\n", "", ["provider.digitalocean.agent"]),
    ("{move", "{address: 203.0.113.9, move", ["203.0.113.9 is no reserved IP"]),
])
def test_what_the_api_does_not_have_is_an_error_before_anything_is_made(cloud, old, new, words):
    edit(cloud, old, new)
    done = cloud.run("apply", check=False)
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr
    assert {c.method for double in cloud.doubles for c in double.calls} <= {"GET"}


def test_an_address_that_somebody_else_uses_is_not_taken():
    with Cloud(vip=VIP.replace("{move", "{address: 203.0.113.77, move")) as cloud:
        vpc = cloud.ocean.add_vpc("other", "sgp1")
        call = type("Call", (), {"body": {"name": "foreign", "region": "sgp1", "size": "s-1vcpu-1gb", "image": "debian-12-x64", "vpc_uuid": vpc["id"]}})
        droplet = cloud.ocean.create_droplet(call)[1]["droplet"]
        cloud.ocean.add_reserved("sgp1", "203.0.113.77", droplet["id"])
        done = cloud.run("apply", check=False)
        assert done.returncode == 1 and "'foreign'" in done.stderr
        assert cloud.ocean.picture()["reserved"] == [("203.0.113.77", "foreign")]


def twin(cloud, name, ident=9999999, **fields):
    """Another droplet of a node's, as one of two who applied at the same moment leaves it where it is killed before it takes it back."""
    there = cloud.ocean.named(name)
    cloud.ocean.droplets[ident] = {**there, "id": ident, "tags": [MARK], "networks": {"v4": [], "v6": []}, **fields}
    return there["id"]


@pytest.mark.parametrize("name,ident,change,goes", [
    ("shop-misty-owl", 9999999, {}, "the twin"), ("shop-misty-owl", 9999999, {"status": "off"}, "the twin"), ("shop-misty-owl", 7, {}, "the first"),
    ("shop-misty-owl", 9999999, {"tags": [MARK, f"dynia-host-key:shop:{'ab' * 32}"]}, "the first"),
    ("shop-brave-panda", 7, {}, "the twin")],
    ids=["younger", "off", "older", "has-credentials", "has-no-address"])
def test_of_two_droplets_of_one_name_the_one_that_is_not_in_use_goes(cloud, name, ident, change, goes):
    cloud.run("apply")
    first = twin(cloud, name, ident, **change)
    stays, gone = (first, ident) if goes == "the twin" else (ident, first)
    before = cloud.picture()
    step = next(s for s in cloud.json("plan")["steps"] if s["what"] == "droplet")
    assert (step["action"], step["name"], step["because"]) == ("delete", name, f"it is {gone}, and {stays} of the same name is the node's")
    asked = cloud.run("apply", check=False)
    assert asked.returncode == USAGE and "--yes" in asked.stderr and cloud.picture() == before
    cloud.run("apply", "--yes")
    assert stays in cloud.ocean.droplets and gone not in cloud.ocean.droplets and len(cloud.ocean.droplets) == 2
    assert [r[1] for r in cloud.ocean.picture()["reserved"]] == ["shop-brave-panda"]
    assert "nothing to do" in cloud.run("plan").stdout


def test_a_replacement_is_not_one_of_two_that_are_there(cloud):
    cloud.run("apply")
    first = twin(cloud, "shop-misty-owl")
    cloud.run("apply", "--yes", "--replace", "misty-owl")
    assert not {first, 9999999} & set(cloud.ocean.droplets) and len(cloud.ocean.droplets) == 2
    assert "nothing to do" in cloud.run("plan").stdout


@pytest.mark.parametrize("change,words", [
    ({"tags": [MARK, f"dynia-host-key:shop:{'ab' * 32}"]}, "both are in use"), ({"status": "active"}, "one is off")])
def test_two_droplets_of_one_name_that_only_a_person_can_tell_apart(cloud, change, words):
    """What is to be done, and where, without another tool."""
    cloud.run("apply")
    first = twin(cloud, "shop-brave-panda", **change)
    if words == "one is off":
        cloud.ocean.power_off("shop-brave-panda")
        cloud.ocean.droplets[9999999]["status"] = "active"
    before = cloud.picture()
    said = cloud.run("apply", "--yes", check=False)
    assert said.returncode == 1 and words in said.stderr and cloud.picture() == before
    for word in (f"{first} (", ", in use)", "9999999 (", f"take the tag '{MARK}' off it", "https://cloud.digitalocean.com/droplets/ID"):
        assert word in said.stderr
    cloud.ocean.droplets[9999999]["tags"] = []
    cloud.run("plan")


def test_a_size_that_is_sold_out(cloud, monkeypatch):
    real = cloud.ocean.size
    monkeypatch.setattr(cloud.ocean, "size", lambda slug: {**real(slug), "available": slug != "s-1vcpu-1gb"})
    said = cloud.run("apply", check=False)
    assert said.returncode == 1 and "no size 's-1vcpu-1gb' in region 'sgp1' now" in said.stderr
    assert {c.method for c in cloud.ocean.calls} == {"GET"}


def test_a_droplet_that_cannot_be_made_is_told_and_the_others_are_there(cloud):
    cloud.ocean.errored_droplets.add("shop-brave-panda")
    done = cloud.run("apply", check=False)
    assert done.returncode == 1 and "--replace brave-panda" in done.stderr
    assert {d[0]: d[1] for d in cloud.ocean.picture()["droplets"]} == {"shop-brave-panda": "new", "shop-misty-owl": "active"}
    cloud.ocean.errored_droplets.clear()
    cloud.run("apply", "--yes", "--replace", "brave-panda")
    assert "nothing to do" in cloud.run("plan").stdout


def test_a_limit_that_holds_for_long_is_an_error_that_says_until_when(cloud):
    cloud.ocean.faults[1] = Fault("429", reset=1800)
    done = cloud.run("plan", check=False)
    assert done.returncode == 1 and re.search(r"run it again after \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", done.stderr)
    assert len(cloud.ocean.calls) == 1


def test_a_short_limit_is_waited_for(cloud):
    cloud.ocean.faults[1] = Fault("429", retry_after=1)
    began = time.monotonic()
    cloud.run("plan")
    assert time.monotonic() - began >= 1


def test_whoever_waits_is_told_why_and_until_when(cloud):
    """Also before the plan is there, and on a screen that is drawn on."""
    waits = r"waits 1 s, until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: DigitalOcean: GET /v2/tags: too many requests"
    cloud.ocean.faults[1] = Fault("429", retry_after=1)
    assert re.match(waits, cloud.run("plan").stderr)
    cloud.ocean.faults = {len(cloud.ocean.calls) + n: Fault("429", retry_after=1) for n in (1, 10)}
    status, seen = on_a_terminal(cloud.argv("apply"), cloud.env)
    assert status == 0 and re.match(waits, seen), "the first, in a plain line"
    drawn = seen.split("steps done", 1)[1]
    assert re.search(r"\033\[Kwaits 1 s, until .*: DigitalOcean: [A-Z]+ /v2/\w+", drawn)
    assert "waits" not in drawn.rsplit("\033[K", 12)[-1] and "10 of 10 steps done" in drawn


def test_an_api_that_stays_down_is_given_up(cloud):
    cloud.ocean.faults = {n: Fault("500") for n in range(1, 100)}
    done = cloud.run("plan", check=False)
    assert done.returncode == 1 and "tried 6 times" in done.stderr and "trouble on its side" in done.stderr


def test_usage():
    for argv in (["bootstrap"], ["bootstrap", "create"], ["bootstrap", "plan", "--drain", "soon"], ["bootstrap", "user-data", EXAMPLES],
                 ["bootstrap", "plan", "--cluster", "nowhere", EXAMPLES], ["bootstrap", "plan", EXAMPLES],
                 ["bootstrap", "plan", "--cluster", "demo", EXAMPLES]):
        assert dynia(*argv, check=False).returncode == USAGE, argv


@pytest.mark.parametrize("argv,words", [
    (("destroy", "--yes", "--node", "misty-owl"), ["destroy takes no --node", "credentials"]), (("apply", "--node", "misty-owl"), ["apply takes no --node"]),
    (("destroy", "--yes", "--replace", "misty-owl"), ["--replace"]), (("apply", "--release-address"), ["for destroy"]),
    (("apply", "--exit-code"), ["for plan"]), (("user-data", "--node", "misty-owl", "--json"), ["takes no --json"]),
    (("apply", "--timeout", "0"), ["--timeout", "write 10m"]), (("apply", "--identity", "/dev/null"), ["--identity is for ssh", "--credentials DIR"]),
    (("apply", "--credentials", ".", "--identity", "/dev/null/none"), ["'/dev/null/none' cannot be read"]),
    (("plan", "--add", "0"), ["--add: 0 is not between 1 and 100"]), (("plan", "--add", "many"), ["--add"])])
def test_an_option_that_says_nothing_to_the_verb_is_refused(cloud, argv, words):
    done = cloud.run(*argv, check=False)
    assert done.returncode == USAGE and all(word in done.stderr for word in words) and not done.stdout
    assert not cloud.ocean.calls and not cloud.flare.calls


# --- on a terminal --------------------------------------------------------------------------------------------------------------


def on_a_terminal(argv, env, typed=""):
    """What a person sees, and the exit status."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(argv, env={"TERM": "xterm", **env}, stdin=secondary, stdout=secondary, stderr=secondary)
    os.close(secondary)
    os.write(primary, typed.encode())
    seen = b""
    while True:
        try:
            part = os.read(primary, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(primary)
    return process.wait(60), seen.decode()


def test_progress_on_a_terminal(cloud):
    status, seen = on_a_terminal(cloud.argv("apply"), cloud.env)
    assert status == 0
    assert "\033[" in seen and re.search(r"create droplet +shop-misty-owl +[\d.]+ s  (done|198)", seen) and "10 of 10 steps done" in seen


def test_the_screen_goes_on_while_an_answer_is_waited_for(cloud, monkeypatch):
    key = ("POST", "/v2/vpcs")
    create = cloud.ocean.routes[key]

    def slowly(ocean, call):
        time.sleep(2.5)
        return create(ocean, call)

    monkeypatch.setitem(cloud.ocean.routes, key, slowly)
    status, seen = on_a_terminal(cloud.argv("apply"), {**cloud.env, "DYNIA_API_TIMEOUT": "30s"})
    assert status == 0 and len(set(re.findall(r"create vpc +shop +([\d.]+) s  running", seen))) > 1


def test_a_terminal_that_becomes_narrower(cloud):
    """Lines are as long as it is by then, and those that it has broken are not drawn over."""
    cloud.ocean.boot_seconds = 1
    primary, secondary = pty.openpty()
    process = subprocess.Popen(cloud.argv("apply"), env={**cloud.env, "TERM": "xterm"}, stdin=secondary, stdout=secondary, stderr=secondary)
    os.close(secondary)
    seen = b""
    try:
        while b"misty-owl             0.0 s  starts" not in seen:
            seen += os.read(primary, 65536)
        fcntl.ioctl(primary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 44, 0, 0))
        while part := os.read(primary, 65536):
            seen += part
    except OSError:
        pass
    finally:
        os.close(primary)
        assert process.wait(60) == 0
    frames = re.findall(r"(\033\[\d+A)?\033\[K(\+ create tag +dynia-cluster:shop.*)\r\n", seen.decode())
    narrow = [up for up, line in frames if len(line) == 43]
    assert narrow[0] == "" and all(narrow[1:]) and len(narrow) > 1


def test_a_failure_on_a_terminal(cloud):
    cloud.ocean.errored_droplets.add("shop-brave-panda")
    status, seen = on_a_terminal(cloud.argv("apply"), cloud.env)
    assert status == 1 and re.search(r"create droplet +shop-brave-panda +[\d.]+ s  failed: ", seen)


def test_no_escape_codes_elsewhere(cloud):
    status, seen = on_a_terminal(cloud.argv("plan"), {**cloud.env, "NO_COLOR": "1"})
    assert status == 0 and "\033" not in seen
    done = cloud.run("apply")
    assert "\033" not in done.stdout + done.stderr
    assert re.search(r"create droplet shop-misty-owl: done, [\d.]+ s", done.stderr)
    status, seen = on_a_terminal(cloud.argv("destroy", "--yes"), {**cloud.env, "TERM": "dumb"})
    assert status == 0 and "delete droplet shop-misty-owl: done" in seen and "\033" not in seen


@pytest.mark.parametrize("typed,status", [("yes\n", 0), ("no\n", 1)])
def test_a_person_is_asked(cloud, typed, status):
    cloud.run("apply")
    cloud.write(("misty-owl",))
    got, seen = on_a_terminal(cloud.argv("apply"), cloud.env, typed)
    assert got == status and "- delete droplet     shop-brave-panda" in seen
    assert len(cloud.ocean.droplets) == (1 if status == 0 else 2)


# --- whoever reads it goes away -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["text", "json"])
def test_an_apply_goes_on_where_its_reader_goes_away(cloud, more):
    """As with `2>&1 | head -1`, which reads a line and ends. What it says of the clouds afterwards counts."""
    with subprocess.Popen(cloud.argv("apply", *more), env=cloud.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as process:
        assert process.stdout.readline().startswith("create tag")
        process.stdout.close()
        assert process.wait(60) == 0
    assert len(cloud.ocean.droplets) == 2 and len(records(cloud)) == 4
    assert "nothing to do" in cloud.run("plan").stdout
    cloud.write(("misty-owl",))
    cloud.ocean.faults = {len(cloud.ocean.calls) + n: Fault("500") for n in range(11, 100)}
    with subprocess.Popen(cloud.argv("apply", "--yes", *more), env=cloud.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        process.stdout.close()
        assert process.wait(60) == 1, "what failed has failed"


@pytest.mark.parametrize("closed,status", [(">&-", 1), ("2>&-", 0), ("<&- >&- 2>&-", 1)])
def test_what_is_meant_for_a_person_goes_into_no_connection(cloud, closed, status):
    """Where a standard descriptor is closed, what is opened first would have its number. What cannot say what it was asked for fails."""
    seen, started = [], threading.Event()

    def look():
        started.wait(30)
        seen.extend(os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3))

    cloud.ocean.faults[9] = Fault("hold", on_hold=look)
    with subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", *cloud.argv("apply")], env=cloud.env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        started.set()
        assert process.wait(60) == status
    assert set(seen) == {"/dev/null"}
    assert len(cloud.ocean.droplets) == 2 and len(records(cloud)) == 4


def test_what_only_shows_something_ends_with_its_reader():
    with subprocess.Popen([str(DYNIA), "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait(60) in (-signal.SIGPIPE, 0) and process.stderr.read() == b""


# --- user-data ----------------------------------------------------------------------------------------------------------------------


def user_data(node="brave-panda", cluster="shop"):
    return dynia("bootstrap", "user-data", "--cluster", cluster, "--node", node, EXAMPLES).stdout


def test_user_data_is_the_one_in_cloud_init():
    golden = SOURCE / "cloud-init/user-data.yaml"
    if os.environ.get("GOLDEN"):
        golden.write_text(user_data(), encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == user_data()


@pytest.mark.parametrize("source", [False, True], ids=["url", "apt"])
def test_cloud_init_takes_the_user_data(tmp_path, cloud, source):
    if source:
        edit(cloud, "package: {url: https://downloads.example.com/dynia_0.1.0_amd64.deb, sha256: "
             "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}",
             "package:\n      source: deb https://apt.example.com stable main\n      key: |\n"
             "        -----BEGIN PGP PUBLIC KEY BLOCK-----\n\n        mDMEAA==\n        -----END PGP PUBLIC KEY BLOCK-----\n")
    text = cloud.run("user-data", "--node", "brave-panda").stdout
    file = tmp_path / "user-data"
    file.write_text(text, encoding="utf-8")
    said = run("cloud-init", "schema", "--config-file", file)
    assert "Valid" in said.stdout
    file.write_text(text.replace("write_files:", "write_files: scalar\nx:"), encoding="utf-8")
    assert run("cloud-init", "schema", "--config-file", file, check=False).returncode != 0, "the checker checks"
    assert len(text.encode()) < 65536 and text.startswith("#cloud-config\n")
    files = {f["path"]: f for f in yaml.safe_load(text)["write_files"]}
    agent = yaml.safe_load(files["/etc/dynia/agent.yaml"]["content"])
    assert agent == {"version": 1, "repository": "https://git.example.com/infra.git", "cluster": "shop", "node": "brave-panda"}
    script = tmp_path / "script"
    script.write_text(files["/usr/local/sbin/dynia-first-boot"]["content"], encoding="utf-8")
    run("sh", "-n", script)
    run("shellcheck", script)


def test_user_data_of_a_private_repository(tmp_path, cloud):
    """All that agent.yaml may say, and the files that are no secret: as cloud-init writes them."""
    texts = public_files(tmp_path)
    agent = {"repository": ["https://git.example.com/infra.git", "ssh://git@git.example.com/infra.git"], "branch": "live", "interval": "10s",
             "deadline": "20s", "proxy": "http://proxy.internal:3128", "ca_file": "/etc/dynia/ca.pem", "listen": "0.0.0.0:9797",
             "credentials": {"username": "x-access-token", "password_file": "/etc/dynia/token", "ssh_key": "/etc/dynia/id_ed25519",
                             "known_hosts": "/etc/dynia/known_hosts"},
             "verify": {"signers": "/etc/dynia/allowed_signers", "keyring": "/etc/dynia/keyring.gpg"},
             "status": {"repository": "https://git.example.com/status.git", "heartbeat": "5m", "keep": 50, "signing_key": "/etc/dynia/id_ed25519"},
             "webhook": {"secret_file": "/etc/dynia/webhook-secret"}, "docker": "/run/docker.sock"}
    edit(cloud, "agent: {repository: https://git.example.com/infra.git}", "agent: " + json.dumps({**agent, "files": texts}))
    text = cloud.run("user-data", "--node", "misty-owl").stdout
    assert len(text.encode()) < 65536
    file = tmp_path / "user-data"
    file.write_text(text, encoding="utf-8")
    assert "Valid" in run("cloud-init", "schema", "--config-file", file).stdout
    files = {f["path"]: f for f in yaml.safe_load(text)["write_files"]}
    assert yaml.safe_load(files["/etc/dynia/agent.yaml"]["content"]) == {"version": 1, "cluster": "shop", "node": "misty-owl", **agent}
    for path, name in (("ca.pem", "ca"), ("known_hosts", "known_hosts"), ("allowed_signers", "signers")):
        assert files[f"/etc/dynia/{path}"] == {"path": f"/etc/dynia/{path}", "permissions": "0644", "content": texts[name]}
    keyring = files["/etc/dynia/keyring.gpg"]
    assert keyring["encoding"] == "b64"
    (tmp_path / "decoded").write_bytes(base64.b64decode(keyring["content"]))
    assert "acme@example.com" in run("gpg", "--homedir", tmp_path / "gnupg", "--show-keys", tmp_path / "decoded").stdout
    assert "/etc/dynia/token" not in files and "/etc/dynia/id_ed25519" not in files
    cloud.run("plan")


def public_files(folder):
    """As large as they may be, nearly: half of 64 KiB and more."""
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "ca.pem", "-subj", "/CN=An authority")
    (folder / "gnupg").mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", folder / "gnupg", "--batch", "--passphrase", ""]
    run(*gpg, "--quick-generate-key", "acme@example.com", "rsa4096", "sign", "never")
    exported = subprocess.run([*map(str, gpg), "--export", "acme@example.com"], capture_output=True, check=True).stdout
    run("gpgconf", "--homedir", folder / "gnupg", "--kill", "all")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "ssh")
    key = " ".join((folder / "ssh.pub").read_text(encoding="utf-8").split()[:2])
    return {"ca": (folder / "ca.pem").read_text(encoding="utf-8") * 8,
            "known_hosts": "# who answers\n" + "".join(f"git{i}.example.com {key}\n" for i in range(75)),
            "signers": "".join(f'u{i}@example.com namespaces="git" {key}\n' for i in range(60)),
            "keyring": base64.encodebytes(exported).decode()}


def test_a_repository_of_this_machine_is_none_for_a_droplet(cloud):
    edit(cloud, "agent: {repository: https://git.example.com/infra.git}", "agent: {repository: [https://git.example.com/infra.git, file:///srv/x.git]}")
    said = cloud.run("plan", check=False)
    assert said.returncode == 1 and "file:///srv/x.git' is a path of this machine" in said.stderr


def test_user_data_names_credentials_and_holds_none(cloud):
    edit(cloud, "agent: {repository: https://git.example.com/infra.git}",
         "agent: {repository: https://git.example.com/infra.git, credentials: {username: x-access-token, password_file: /etc/dynia/token}}")
    text = cloud.run("user-data", "--node", "misty-owl").stdout
    assert "/etc/dynia/token" in text
    for secret in (cloud.ocean.token, cloud.flare.token):
        assert secret not in text


def test_the_package_key_is_checked(cloud):
    edit(cloud, "sha256: 9f86d", "sha256: 0f86")
    assert cloud.run("plan", check=False).returncode == INVALID


# --- names ---------------------------------------------------------------------------------------------------------------------------


def test_names_are_proposed_for_nodes_to_add(cloud):
    said = cloud.run("plan", "--add", "3").stdout
    names = re.findall(r"^  ([a-z]+-[a-z]+): \{\}$", said, re.M)
    assert len(set(names)) == 3 and said == cloud.run("plan", "--add", "3").stdout
    cloud.write(("brave-panda", "misty-owl", names[0]))
    assert re.findall(r"^  ([a-z]+-[a-z]+): \{\}$", cloud.run("plan", "--add", "2").stdout, re.M) == names[1:]
    assert cloud.json("plan", "--add", "2")["proposed"] == names[1:] and cloud.json("plan")["proposed"] == []


def test_a_misspelt_node(cloud):
    for argv in (("user-data", "--node", "brave-pand"), ("plan", "--replace", "brave-pand"), ("hold", "--node", "brave-pand"),
                 ("credentials", "--credentials", cloud.folder, "--node", "brave-pand")):
        said = cloud.run(*argv, check=False)
        assert said.returncode == USAGE and "has no node 'brave-pand': did you mean 'brave-panda'?" in said.stderr
    assert not cloud.ocean.calls


def test_init_proposes_a_name_of_two_words(tmp_path):
    names = set()
    for cluster in ("one", "two", "three"):
        dynia("init", tmp_path / cluster, "--cluster", cluster)
        text = (tmp_path / cluster / "clusters" / cluster / "cluster.yaml").read_text(encoding="utf-8")
        names.update(re.findall(r"^  ([a-z]+-[a-z]+): \{\}$", text, re.M))
        assert dynia("validate", tmp_path / cluster).returncode == 0
    assert len(names) == 3


# --- a hundred nodes -------------------------------------------------------------------------------------------------------------------


def test_a_hundred_nodes(tell):
    """Within the rate limits that the doubles keep: 250 a minute and 5,000 an hour, 1,200 in five minutes."""
    nodes = [f"n{i}" for i in range(100)]
    with Cloud(nodes=nodes, hosts=[f"h{i}" for i in range(50)]) as cloud:
        cloud.ocean.boot_seconds = 2  # twenty looks at what comes up
        began = time.monotonic()
        plan = cloud.json("plan")
        planned = time.monotonic()
        done = cloud.json("apply", timeout=300, env={"DYNIA_API_WAIT": "100ms"})
        applied = time.monotonic()
        assert {s["state"] for s in done["steps"]} == {"done"} and len(cloud.ocean.droplets) == 100
        assert "nothing to do" in cloud.run("plan").stdout
        refused = [c for double in cloud.doubles for c in double.calls if c.status == 429]
        for verb, report, seconds in (("plan", plan, planned - began), ("apply", done, applied - planned)):
            calls = ", ".join(f"{n} calls to {api}" for api, n in report["calls"].items())
            tell(f"bootstrap {verb} of 100 nodes and 50 hosts: {calls}, {seconds:.1f} s")
        counts = cloud.ocean.counts()
        assert not refused and done["calls"]["digitalocean"] < 250
        assert counts["GET /v2/actions/*"] <= counts["GET /v2/droplets"], "not all of them at each look"
        cloud.assert_clean()
