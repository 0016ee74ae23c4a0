"""A cluster's whole life with Stoplight Prism between the program and both doubles: what is sent and what is answered is as the
published descriptions, which are beside the repository, say. What the descriptions leave open (an assignment without a droplet, a key
that is none) is refused by the doubles themselves, in all tests.
"""

import http.server
import json
import re
import shutil
import threading

import pytest
import yaml

from cloud import Fault, MARK
from harness import Failed, SOURCE, Site
from prism import Prism
from ssh_fleet import PAIR, Fleet

pytestmark = [pytest.mark.heavy, pytest.mark.contract]

CONTRACTS = SOURCE.parent / "shared" / "contract"


# --- what the descriptions lack ---------------------------------------------------------------------------------------------


def mend_pattern(document):
    """Prism says nothing and checks nothing where it cannot read a pattern: "\\:" is none of its escapes."""
    for name in (document["components"]["schemas"]["tags"]["properties"]["name"], document["components"]["parameters"]["tag_id"]["schema"]):
        name["pattern"] = name["pattern"].replace("\\:", ":")


def add_batch(document):
    """It is younger than the description that we have: what is in one must be what single changes are."""
    record = {"$ref": "#/components/schemas/dns-records_dns-record"}
    known = {"type": "object", "required": ["id"], "properties": {"id": {"$ref": "#/components/schemas/dns-records_identifier"}}}
    changes = {"deletes": known, "patches": {"allOf": [known, record]}, "puts": {"allOf": [known, record]}, "posts": record}
    path, create = "/zones/{zone_id}/dns_records", document["paths"]["/zones/{zone_id}/dns_records"]["post"]
    sent = {"type": "object", "additionalProperties": False, "properties": {k: {"type": "array", "items": v} for k, v in changes.items()}}
    result = {"type": "object", "required": list(changes), "properties": {k: {"type": "array", "items": record} for k in changes}}
    answer = {"allOf": [{"$ref": "#/components/schemas/dns-records_api-response-single"},
                        {"type": "object", "required": ["result"], "properties": {"result": result}}]}
    document["paths"][f"{path}/batch"] = {"post": {
        **create, "operationId": "batch", "requestBody": {"required": True, "content": {"application/json": {"schema": sent}}},
        "responses": {**create["responses"], "200": {"description": "done", "content": {"application/json": {"schema": answer}}}}}}


def mend_failures(document):
    """Most are described for "4xx", which OpenAPI writes 4XX and Prism does not look at otherwise, and as a success and a failure at
    once, which nothing can be: the failure is what is meant."""
    for item in document["paths"].values():
        for operation in item.values():
            failure = operation["responses"].pop("4xx", None) or operation["responses"].pop("4XX")
            operation["responses"]["4XX"] = failure
            content = failure["content"]["application/json"]
            content["schema"] = content["schema"].get("allOf", [content["schema"]])[-1]
    # null, said twice, makes a list of values with null in it twice, which Prism cannot read: as with a pattern it checks nothing then.
    document["components"]["schemas"]["dns-records_api-response-common-failure"]["properties"]["result"] = {"enum": [None]}


def allow_no_comment(document):
    """A record without a comment has null there: so the API answers, and the description has a text."""
    document["components"]["schemas"]["dns-records_comment"]["nullable"] = True


AMENDED = {"digitalocean.openapi.yaml": (mend_pattern,), "cloudflare.openapi.json": (add_batch, mend_failures, allow_no_comment)}


def described(name):
    text = (CONTRACTS / name).read_text(encoding="utf-8")
    document = json.loads(text) if name.endswith(".json") else yaml.load(text, Loader=yaml.CSafeLoader)
    for amend in AMENDED[name]:
        amend(document)
    return document


def description(name, folder):
    """The file that Prism reads."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(described(name), default=str), encoding="utf-8")
    return file


# --- a cluster's life -------------------------------------------------------------------------------------------------------


class Once:
    """For a double's faults: one, at the first call of a method and a kind of path."""

    def __init__(self, double, *rows):
        self.double, self.rows = double, list(rows)

    def get(self, number):
        call = self.double.calls[number - 1]
        row = next((r for r in self.rows if r[0] == call.method and call.path.endswith(r[1])), None)
        if not row:
            return None
        self.rows.remove(row)
        return row[2]


class Checked(Fleet):
    """Both doubles are reached through Prism only."""

    def __init__(self):
        super().__init__()
        self.prisms = ()
        try:
            self.prisms += (Prism(description("digitalocean.openapi.yaml", self.folder), self.ocean.url, self.folder / "prism-ocean"),)
            self.prisms += (Prism(description("cloudflare.openapi.json", self.folder), self.flare.url, self.folder / "prism-flare"),)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *more):
        for prism in self.prisms:
            prism.close()
        super().__exit__(*more)

    @property
    def env(self):
        ocean, flare = self.prisms
        return {**super().env, "DIGITALOCEAN_API_URL": ocean.url, "CLOUDFLARE_API_URL": flare.url, "DYNIA_API_TIMEOUT": "60s"}

    def run(self, *argv, **options):
        try:
            return super().run(*argv, **options)
        except Failed as error:
            raise Failed("\n".join([str(error), *self.problems[:5]])) from None

    @property
    def problems(self):
        return [text for prism in self.prisms for text in prism.problems]

    def change(self, old, new):
        file = self.folder / "clusters/shop/cluster.yaml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")


def fill(cloud):
    """What others have in the account: more than a page of tags and of records. And a record with our mark in another zone."""
    cloud.flare.add_zone("example.org")
    cloud.flare.add("A", "old.example.org", "192.0.2.1", comment=MARK)
    for i in range(250):
        cloud.ocean.tags[f"team-{i}"] = {"name": f"team-{i}"}
    cloud.ocean.tags[f"dynia-host-key:shop:{'ab' * 32}"] = {"name": f"dynia-host-key:shop:{'ab' * 32}"}
    for i in range(1000):
        cloud.flare.add("A", f"other-{i}.example.com", "192.0.2.1", comment=None if i % 2 else "theirs")
    cloud.flare.add("TXT", "example.com", "v=spf1 -all")
    cloud.flare.add("MX", "example.com", "mail.example.com")
    cloud.flare.add("CNAME", "docs.example.com", "docs.example.net", proxied=True)


def let_an_agent_keep(cloud, site):
    """The records, from the cluster's repository. The address, which an agent below a folder has not, is kept by what
    `dynia bootstrap hold` calls, too."""
    cluster = "clusters/shop/cluster.yaml"
    shutil.copytree(cloud.folder / "clusters", site.repository.tree / "clusters")
    text = re.sub("(?m)^vip: .*", "ingress: {runtime: process}", site.repository.read(cluster))
    for i, name in enumerate(PAIR, 1):
        text = text.replace(f"  {name}: {{", f"  {name}: {{address: {site.address(i)}, ")
    site.repository.write(cluster, text)
    site.repository.write("clusters/shop/services/new.yaml", "version: 1\nhosts: [new.example.com]\nrespond: {status: 200, body: x}\n")
    site.repository.commit("first")
    node = site.node("brave-panda", 1, cluster="shop")
    node.write("etc/dynia/secrets.yaml", f"cloudflare-token: {cloud.flare.token}\n", 0o600)
    node.env.update(cloud.env)
    node.once()
    assert "new.example.com" in {record[0] for record in cloud.flare.picture()}


def live(cloud, site):
    """All that the program asks of the APIs, and each of the ways that an error makes it go."""
    fill(cloud)
    cloud.ocean.faults = Once(cloud.ocean, ("GET", "/v2/sizes", Fault("429", retry_after=0)), ("POST", "/v2/vpcs", Fault("500")),
                              ("POST", "/v2/droplets", Fault("500")), ("POST", "/resources", Fault("500")))
    cloud.flare.faults = Once(cloud.flare, ("GET", "/dns_records", Fault("429", retry_after=0)))
    cloud.run("plan")
    cloud.run("apply", *cloud.options(), "--yes")
    address = next(iter(cloud.ocean.reserved))
    cloud.change("vip: {move", f"vip: {{address: {address}, move")
    cloud.run("hold", "--node", "misty-owl")
    assert "nothing to do" in cloud.run("plan").stdout
    let_an_agent_keep(cloud, site)
    cloud.flare.add("A", "api.example.org", address, comment=MARK)
    cloud.bring("token", "another\n")
    cloud.run("credentials", *cloud.options())
    cloud.ocean.errored_droplets = {"shop-misty-owl"}
    replaced = cloud.run("apply", *cloud.options(), "--yes", "--replace", "misty-owl", check=False)
    assert "DigitalOcean could not create it" in replaced.stderr
    cloud.ocean.errored_droplets = set()
    cloud.run("apply", *cloud.options(), "--yes", "--replace", "misty-owl")
    cloud.change("proxied: true", "proxied: false")
    cloud.change("198.51.100.0/24", "192.0.2.0/24")
    service = cloud.folder / "clusters/shop/services/api.yaml"
    service.write_text(service.read_text(encoding="utf-8").replace("api.example.com", "shop.example.com"), encoding="utf-8")
    cloud.change("  misty-owl: {public_address: 127.0.91.2}\n", "")
    cloud.run("apply", "--yes")
    cloud.run("plan", check=False, env={"DIGITALOCEAN_TOKEN": "wrong"})
    cloud.run("plan", check=False, env={"CLOUDFLARE_API_TOKEN": "wrong"})
    cloud.run("destroy", "--yes", "--release-address")
    assert not cloud.ocean.reserved


@pytest.fixture(scope="module")
def lived():
    with Checked() as cloud, Site() as site:
        live(cloud, site)
        cloud.assert_clean()
        yield cloud


def test_all_that_is_said_is_as_described(lived):
    assert not lived.problems, "\n".join(lived.problems[:20])
    # Prism takes no notice of the path that the description's server has.
    assert [described(name)["servers"][0]["url"].partition(".com")[2] for name in AMENDED] == [double.prefix for double in lived.doubles]


def test_all_that_the_doubles_can_do_is_in_it(lived):
    for double, prism in zip(lived.doubles, lived.prisms):
        assert {double.route_of(call) for call in double.calls} == set(double.routes)
        assert len(prism.passed) == len(double.calls), "a call went past Prism"
        assert any("page=2" in passed.path for passed in prism.passed)
    ocean, flare = lived.doubles
    assert {call.status for call in ocean.calls} == {200, 201, 202, 204, 401, 404, 422, 429, 500}
    assert {call.status for call in flare.calls} == {200, 403, 429}
    assert {call.body["type"] for call in ocean.calls if call.path.endswith("/actions")} == {"assign", "unassign"}
    assert {key for call in flare.calls if call.path.endswith("/batch") for key in call.body} == {"deletes", "patches", "posts"}


def query_names(document, method, pattern):
    """The parameters that an operation has in its query; `pattern`: as in a double's table of routes."""
    template = next(t for t in document["paths"] if re.sub(r"\{[^}]+\}", "*", t) == pattern)
    item = document["paths"][template]
    rows = [*item.get("parameters", []), *item[method.lower()].get("parameters", [])]
    resolved = [document["components"]["parameters"][r["$ref"].rsplit("/", 1)[1]] if "$ref" in r else r for r in rows]
    return {row["name"] for row in resolved if row["in"] == "query"}


def test_no_parameter_is_unknown(lived):
    """Which Prism lets pass."""
    for name, double in zip(AMENDED, lived.doubles):
        document = described(name)
        for route in double.routes:
            known = query_names(document, *route)
            assert [call for call in double.calls if double.route_of(call) == route and not known.issuperset(call.query)] == []


# --- that it finds what is wrong --------------------------------------------------------------------------------------------


class Liar:
    """An upstream that gives the answer that it is told to."""

    def __init__(self):
        self.asked, self.status, self.body = [], 200, None
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self):
                liar.asked.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(liar.status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(liar.body).encode())

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.mark.parametrize("which", [0, 1], ids=["digitalocean", "cloudflare"])
def test_a_wrong_answer_and_a_wrong_request_are_found_for_each_operation(lived, which, tmp_path):
    double = lived.doubles[which]
    calls = {double.route_of(call): (call, passed.path, passed.body or None)
             for call, passed in zip(double.calls, lived.prisms[which].passed) if call.status < 300}
    assert set(calls) == set(double.routes)
    with Liar() as liar, Prism(description(list(AMENDED)[which], tmp_path), liar.url, tmp_path / "log") as prism:
        for call, path, body in calls.values():
            del liar.asked[:]
            # Each part of the answer is a number, which none is; and an answer where none is due is no error's.
            liar.status, liar.body = (call.status, {key: 7 for key in call.answer}) if call.answer else (200, "yes")
            assert "esponse body" in (prism.ask(call.method, path, body, double.token) or ""), call
            assert len(liar.asked) == 1
            if body:
                assert "equest body" in (prism.ask(call.method, path, b"[]", double.token) or ""), call
            if "per_page" in path:
                many = path.replace("per_page=", "per_page=many")
                assert "per_page must be" in (prism.ask(call.method, many, None, double.token) or ""), call
            assert len(liar.asked) == 1, "what is not as described goes no further"


@pytest.mark.parametrize("which, status", [(0, 401), (1, 403)], ids=["digitalocean", "cloudflare"])
def test_a_wrong_refusal_is_found(lived, which, status, tmp_path):
    calls = {p.path.split("?")[0]: p for p in lived.prisms[which].passed if p.method == "GET"}.values()
    with Liar() as liar, Prism(description(list(AMENDED)[which], tmp_path), liar.url, tmp_path / "log") as prism:
        liar.status, liar.body = status, {"success": True, "id": 7, "result": None}
        for call in calls:
            assert "esponse body" in (prism.ask(call.method, call.path, None, "wrong") or ""), call
        assert len(liar.asked) == len(calls)


def test_a_small_fault_of_a_double_is_found(lived, monkeypatch):
    """And the program sees it as the API's."""
    monkeypatch.setattr(lived.ocean, "size", lambda slug: {**type(lived.ocean).size(slug), "memory": "much"})
    done = lived.run("plan", check=False, env={"DYNIA_API_WAIT": "1ms"})
    assert done.returncode == 1 and "trouble on its side (500)" in done.stderr
    assert "memory must be integer" in lived.problems[-1]
    next(iter(lived.flare.records[zone(lived)].values()))["content"] = "192.0.2.300"
    assert 'content must match format "ipv4"' in lived.prisms[1].ask("GET", f"/zones/{zone(lived)}/dns_records", None, lived.flare.token)


def zone(cloud):
    return next(iter(cloud.flare.zones))


def test_a_small_fault_of_a_request_is_found(lived):
    ocean, flare = lived.prisms
    droplet = json.loads(next(p.body for p in ocean.passed if (p.method, p.path) == ("POST", "/v2/droplets")))
    batch = json.loads(next(p.body for p in flare.passed if b'"posts"' in p.body))
    record = batch["posts"][0]
    calls = [(ocean, "/v2/droplets", {k: v for k, v in droplet.items() if k != "size"}, "required property 'size'"),
             (ocean, "/v2/droplets", {**droplet, "monitoring": "yes"}, "monitoring must be boolean"),
             (ocean, "/v2/dropletz", droplet, "no path matched"),
             (flare, f"/zones/{zone(lived)}/dns_records/batch", {"posts": [{**record, "ttl": "soon"}]}, "ttl must be"),
             (flare, f"/zones/{zone(lived)}/dns_records/batch", {"deletes": [{"name": record["name"]}]}, "required property 'id'"),
             (flare, "/client/v4/zones", {}, "no path matched")]
    before = [len(double.calls) for double in lived.doubles]
    for prism, path, body, told in calls:
        assert told in (prism.ask("POST", path, json.dumps(body), lived.ocean.token) or ""), (path, body, prism.problems[-1:])
    assert [len(double.calls) for double in lived.doubles] == before
