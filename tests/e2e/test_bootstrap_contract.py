"""The program and the doubles of both APIs against the published descriptions, which are beside the repository."""

import pytest

from cloud import Cloud, Fault
from harness import SOURCE

from doubles.contract import Contract  # cloud has put tests/ on the path

CONTRACTS = SOURCE.parent / "shared" / "contract"


@pytest.fixture(scope="module")
def ocean():
    return Contract(CONTRACTS / "digitalocean.openapi.yaml")


@pytest.fixture(scope="module")
def flare():
    return Contract(CONTRACTS / "cloudflare.openapi.json", base="/client/v4")


@pytest.fixture(scope="module")
def lived():
    """Both doubles after a cluster's whole life, with errors in between."""
    with Cloud() as cloud:
        cloud.ocean.faults = {3: Fault("429", retry_after=0), 5: Fault("500")}
        cloud.flare.faults = {2: Fault("429", retry_after=0)}
        cloud.run("apply")
        cloud.run("apply", "--yes", "--replace", "brave-panda")
        cloud.write(("misty-owl", "witty-wren"), hosts=("api",))
        cloud.run("apply", "--yes")
        text = cloud.folder / "clusters/shop/cluster.yaml"
        text.write_text(text.read_text(encoding="utf-8").replace("198.51.100.0/24", "192.0.2.0/24"), encoding="utf-8")
        cloud.run("apply")
        cloud.run("plan", check=False, env={"DIGITALOCEAN_TOKEN": "wrong"})
        cloud.run("plan", check=False, env={"CLOUDFLARE_API_TOKEN": "wrong"})
        cloud.run("destroy", "--yes", "--release-address")
        cloud.assert_clean()
        yield cloud


def test_digitalocean(lived, ocean):
    problems = [text for call in lived.ocean.calls for text in ocean.problems(call)]
    assert not problems, "\n".join(sorted(set(problems))[:10])
    seen = {(call.method, ocean.operation(call.method, call.path)[0]) for call in lived.ocean.calls}
    assert seen >= {
        ("GET", "/v2/droplets"), ("POST", "/v2/droplets"), ("DELETE", "/v2/droplets/{droplet_id}"), ("GET", "/v2/sizes"),
        ("GET", "/v2/account/keys"), ("GET", "/v2/vpcs"), ("POST", "/v2/vpcs"), ("DELETE", "/v2/vpcs/{vpc_id}"),
        ("GET", "/v2/reserved_ips"), ("POST", "/v2/reserved_ips"), ("GET", "/v2/reserved_ips/{reserved_ip}"),
        ("POST", "/v2/reserved_ips/{reserved_ip}/actions"), ("DELETE", "/v2/reserved_ips/{reserved_ip}"),
        ("GET", "/v2/firewalls"), ("POST", "/v2/firewalls"), ("PUT", "/v2/firewalls/{firewall_id}"),
        ("DELETE", "/v2/firewalls/{firewall_id}"), ("GET", "/v2/tags/{tag_id}"), ("POST", "/v2/tags"), ("DELETE", "/v2/tags/{tag_id}")}
    assert {call.status for call in lived.ocean.calls} >= {200, 201, 202, 204, 401, 404, 429, 500}


def test_cloudflare(lived, flare):
    """The batch is not in the description that we have: what is in it must be what single changes are."""
    batches = [call for call in lived.flare.calls if call.path.endswith("/batch")]
    problems = [text for call in lived.flare.calls if call not in batches for text in flare.problems(call)]
    create = flare.body_schema("/zones/{zone_id}/dns_records", "POST")
    patch = flare.body_schema("/zones/{zone_id}/dns_records/{dns_record_id}", "PATCH")
    for call in batches:
        for record in call.body.get("posts", []):
            problems += flare.schema_problems(create, record)
        for record in call.body.get("patches", []):
            problems += flare.schema_problems(patch, record)
    assert not problems, "\n".join(sorted(set(problems))[:10])
    assert {key for call in batches for key in call.body} == {"posts", "patches", "deletes"}
    assert {call.status for call in lived.flare.calls} >= {200, 403, 429}


def test_the_checker_checks(lived, ocean, flare):
    """Each of these is wrong, and is found."""
    def changed(call, **fields):
        return type(call)(**{**vars(call), **fields})

    droplet = next(c for c in lived.ocean.calls if c.method == "POST" and c.path == "/v2/droplets")
    listed = next(c for c in lived.ocean.calls if c.path == "/v2/droplets" and c.method == "GET" and c.status == 200 and c.answer["droplets"])
    for wrong in (
            changed(droplet, body={k: v for k, v in droplet.body.items() if k != "size"}),
            changed(droplet, body={**droplet.body, "monitoring": "yes"}),
            changed(droplet, path="/v2/dropletz"),
            changed(droplet, status=302),
            changed(listed, query={"per_page": "500"}),
            changed(listed, query={"pagesize": "5"}),
            changed(listed, answer={"droplets": [{**listed.answer["droplets"][0], "status": "sleeping"}], "meta": {"total": 1}})):
        assert ocean.problems(wrong), wrong
    zones = next(c for c in lived.flare.calls if c.path.endswith("/zones") and c.status == 200)
    assert flare.problems(changed(zones, answer={**zones.answer, "success": "yes"}))
