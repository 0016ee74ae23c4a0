"""
What `dynia render` writes goes to the programs that read it: their own checkers, with warnings as errors, and live where
a checker does not say enough.
"""

import http.client
import itertools
import json
import re
import shutil
import ssl

import pytest
import yaml
from lib_render import BUILD, free_port, hostile_words, in_namespace, run, running

pytestmark = pytest.mark.heavy
ENV = {"HOME": "/nonexistent", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

SERVICES = {
    "api.yaml": """
version: 1
hosts: [api.example.com]
image: local/web:1
port: 80
env: {LOG: info, KEY: {secret: api-key}}
volumes: ["data:/data"]
health: {path: /health, command: [wget, -q, "http://127.0.0.1/"], interval: 30s, timeout: 5s}
resources: {limits: {memory: 256M, cpus: 0.5, pids: 100}, reservations: {memory: 128M, cpus: 0.25}}
""",
    "front.yaml": """
version: 1
default: true
hosts: [example.com]
respond: {status: 200, body: "the front", content_type: text/plain}
""",
    "only-two.yaml": """
version: 1
hosts: [two.example.com, "*.two.example.com"]
nodes: [two]
respond: {body: two}
""",
    "docs/service.yaml": """
version: 1
hosts: [docs.example.com]
static: ./site
""",
    "docs/site/index.html": "the docs\n",
    "docs/site/.hidden": "not for the public\n",
    "own/service.yaml": """
version: 1
hosts: [own.example.com]
compose: compose.yaml
entry: web
port: 80
resources: {limits: {memory: 64M, cpus: 0.5}, reservations: {memory: 32M}}
""",
    "own/compose.yaml": """
services:
  web:
    image: local/web:1
    volumes: ["./files:/files:ro"]
  db:
    image: local/db:1
""",
    "own/files/a.conf": "a\n",
}

NODES = "{one: {address: 10.108.0.2}, two: {address: 10.108.0.3}}"


class Repository:
    """A work tree with one cluster, and what was rendered of it: the files are below `out`, and say so."""

    def __init__(self, folder):
        self.folder = folder / "repo"
        self.out = folder / "out"
        self.services = dict(SERVICES)

    def render(self, node="one", nodes=NODES, extra="", check=True):
        cluster = self.folder / "clusters" / "shop"
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.out, ignore_errors=True)
        (cluster / "services").mkdir(parents=True)
        (cluster / "cluster.yaml").write_text(
            f"version: 1\ndomain: example.com\nnodes: {nodes}\n{extra}\n"
        )
        for name, text in self.services.items():
            path = cluster / "services" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        argv = [BUILD / "dynia", "render", "--cluster", "shop", "--node", node]
        argv += ["--out", self.out, "--root", self.out, self.folder]
        result = run(argv, check=check)
        for name in ("run/dynia/ingress", "var/log/caddy", "var/lib/dynia/caddy"):
            (self.out / name).mkdir(parents=True, exist_ok=True)
        return result

    def certificate(self, folder):
        """What the agent makes where no certificate is: HAProxy does not start without one."""
        pem = self.out / folder / "zz-dynia-placeholder.pem"
        pem.parent.mkdir(parents=True, exist_ok=True)
        key = self.out / "key.pem"
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        argv += ["-nodes", "-subj", "/CN=placeholder.invalid", "-keyout", key, "-out", pem]
        run(argv)
        pem.write_text(pem.read_text() + key.read_text())


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


def ingress(**options):
    return "ingress: " + json.dumps(options)


FOLDERS = {
    "system": "etc/haproxy",
    "container": "opt/dynia/haproxy",
    "process": "opt/dynia/haproxy",
}
CADDY = {"system": "etc/caddy", "container": "opt/dynia/caddy", "process": "opt/dynia/caddy"}
CLIENTS = {
    "direct": {},
    "cloudflare": {"client_address": "cloudflare"},
    "proxy_protocol": {"client_address": "proxy_protocol", "proxies": ["192.0.2.0/24"]},
}


def haproxy_options():
    for runtime, client in itertools.product(FOLDERS, CLIENTS):
        yield runtime, "files", client
    for mode in ("acme", "off"):
        yield "process", mode, "direct"


@pytest.mark.parametrize(("runtime", "mode", "client"), haproxy_options())
def test_haproxy_takes_it(repository, runtime, mode, client):
    options = {
        "runtime": runtime,
        "tls": {"mode": mode},
        "rate_limit": {"requests": 300, "window": "10s"},
        "stats": {"from": ["10.108.0.0/20"], "user": "admin", "password": "a 'b' \"c\" \\ $d %e"},
        "headers": {"X-Word": "%[env(HOME)] 'x'"},
        **CLIENTS[client],
    }
    if mode == "acme":
        del repository.services["only-two.yaml"]  # a wildcard, which is not for HTTP challenges
    repository.render(extra=ingress(**options))
    repository.certificate(FOLDERS[runtime] + "/certs")
    run(["haproxy", "-c", "-dW", "-f", repository.out / FOLDERS[runtime] / "haproxy.cfg"])


@pytest.mark.parametrize("mode", ["files", "caddy"])
@pytest.mark.parametrize("runtime", CADDY)
def test_caddy_takes_it(repository, runtime, mode):
    options = {"runtime": runtime, "tls": {"mode": mode, "email": "ops@example.com"}}
    if mode == "files":
        del options["tls"]["email"]
    else:
        del repository.services["only-two.yaml"]  # a wildcard, for which Caddy would need DNS
    repository.render(extra=ingress(**options))
    path = repository.out / CADDY[runtime] / "Caddyfile"
    result = run(["caddy", "validate", "--config", path, "--adapter", "caddyfile"], env=ENV)
    assert "Unnecessary" not in result.stderr


@pytest.mark.parametrize("version", [None, "2.4", "3", "3.4", "3.8"])
def test_compose_takes_it(repository, version):
    if version:
        text = repository.services["own/compose.yaml"]
        repository.services["own/compose.yaml"] = f'version: "{version}"\n{text}'
    repository.render(extra=ingress(runtime="container"))
    compose = repository.out / "opt/dynia/compose"
    own = ["-f", compose / "own/compose.yaml", "-f", compose / "own/compose.dynia.yaml"]
    run(["docker-compose", *own, "config", "-q"], env=ENV)
    run(["docker-compose", "-f", repository.out / "opt/dynia/ingress/compose.yaml", "config", "-q"])
    result = run(["docker-compose", "-f", compose / "api/compose.yaml", "config"], env=ENV)
    api = yaml.safe_load(result.stdout)["services"]["api"]
    assert api["mem_limit"] in (268435456, "268435456", "256m")
    assert api["environment"]["KEY"] == "(secret api-key)"
    assert re.fullmatch(r"127\.0\.0\.1:\d+:80(/tcp)?", api["ports"][0])


@pytest.mark.parametrize("move", ["vrrp", "digitalocean"])
def test_keepalived_takes_it(repository, move):
    vip = f"vip: {{address: 10.108.0.9, move: {move}, interface: eth1, advert_interval: 250ms}}\n"
    provider = "provider: {digitalocean: {region: sgp1}}\n" if move == "digitalocean" else ""
    repository.render(extra=vip + provider)
    path = repository.out / "etc/keepalived/keepalived.conf"
    # the program that it names has to be there for its check
    path.write_text(re.sub(r'"/\S*dynia ', '"/usr/bin/true ', path.read_text()))
    result = in_namespace(f"exec keepalived -t -l -f {path}")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_logrotate_takes_it(repository):
    repository.render(extra=ingress(runtime="process"))
    logs = repository.out / "var/log/dynia"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "haproxy.log").write_text("a line\n")
    path = repository.out / "etc/logrotate.d/dynia"
    run(["logrotate", "-f", "-s", repository.out / "state", path])
    assert (logs / "haproxy.log").read_text() == ""
    assert (logs / "haproxy.log.1").read_text() == "a line\n"


def test_firewall_takes_it(repository):
    extra = (
        "vip: {address: 10.108.0.9, interface: eth1}\n"
        "firewall: {ssh_from: [0.0.0.0/0, 192.0.2.0/24], internal: [10.108.0.0/20]}\n"
    )
    stats = {"from": ["10.108.0.0/20"], "user": "admin", "password": "secret"}
    repository.render(extra=extra + ingress(stats=stats))
    rules = repository.out / "opt/dynia/firewall"
    commands = [
        line for line in (rules / "ufw.rules").read_text().splitlines() if not line.startswith("#")
    ]
    assert commands[-1] == "--force enable"
    for line in commands:
        run(["ufw", "--dry-run", *line.split()])
    script = f"iptables-restore -n {rules}/docker-user.rules && iptables -S DOCKER-USER"
    first = in_namespace(script)
    assert first.returncode == 0, first.stderr
    again = in_namespace(f"iptables-restore -n {rules}/docker-user.rules && {script}")
    assert again.stdout == first.stdout
    assert "-d 169.254.169.254/32 -j DROP" in first.stdout


def test_systemd_takes_it(repository):
    resources = {"haproxy": {"limits": {"memory": "128M", "cpus": 0.5}}}
    repository.render(extra=ingress(resources=resources))
    text = (repository.out / "etc/systemd/system/haproxy.service.d/dynia.conf").read_text()
    assert "MemoryMax=134217728\n" in text and "CPUQuota=50%\n" in text
    unit = repository.out / "etc/systemd/system/haproxy.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    result = run(["systemd-analyze", "verify", unit])
    assert "dynia.conf" not in result.stderr


class Live:
    """A node's HAProxy and Caddy, running from what was rendered."""

    def __init__(self, repository, ports):
        self.repository = repository
        self.ports = ports

    def get(self, host, path="/", port="https", headers=None):
        context = ssl._create_unverified_context()
        address = ("127.0.0.1", self.ports[port])
        # The node itself, 127.0.0.1, is not limited.
        source = ("127.0.0.2", 0)
        if port == "https":
            connection = http.client.HTTPSConnection(*address, timeout=10, context=context, source_address=source)
        else:
            connection = http.client.HTTPConnection(*address, timeout=10, source_address=source)
        connection.request("GET", path, headers={"Host": host, **(headers or {})})
        response = connection.getresponse()
        response.text = response.read().decode()
        connection.close()
        return response


@pytest.fixture
def live(repository):
    ports = {name: free_port() for name in ("http", "https", "caddy", "health", "stats")}
    options = {
        "runtime": "process",
        "http_port": ports["http"],
        "https_port": ports["https"],
        "caddy_port": ports["caddy"],
        "health_port": ports["health"],
        "stats": {"port": ports["stats"]},
        "rate_limit": {"requests": 40, "window": "10s"},
        "headers": {"X-Word": "%[env(HOME)] {env.HOME} 'x'"},
    }
    del repository.services["api.yaml"], repository.services["own/service.yaml"]
    for name in [name for name in repository.services if name.startswith("own/")]:
        del repository.services[name]
    del repository.services["only-two.yaml"]
    repository.render(nodes="{one: {address: 127.0.0.1}}", extra=ingress(**options))
    repository.certificate("opt/dynia/haproxy/certs")
    out = repository.out
    env = {**ENV, "XDG_CONFIG_HOME": str(out), "XDG_DATA_HOME": str(out)}
    caddy = ["caddy", "run", "--config", out / "opt/dynia/caddy/Caddyfile"]
    haproxy = ["haproxy", "-W", "-db", "-f", out / "opt/dynia/haproxy/haproxy.cfg"]
    with (
        running([*caddy, "--adapter", "caddyfile"], ports["caddy"], env=env),
        running(haproxy, ports["https"], env=env),
    ):
        yield Live(repository, ports)


def test_live_routes(live):
    assert live.get("example.com").text == "the front"
    assert live.get("EXAMPLE.com:443").text == "the front"
    assert live.get("unknown.example.net").text == "the front"
    assert live.get("docs.example.com").text == "the docs\n"
    assert live.get("docs.example.com", "/.hidden").status == 404


def test_live_headers(live):
    response = live.get("example.com")
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Word"] == "%[env(HOME)] {env.HOME} 'x'"
    redirect = live.get("example.com", "/a?b=c", port="http")
    assert redirect.status == 301
    assert redirect.headers["Location"] == f"https://example.com:{live.ports['https']}/a?b=c"
    assert redirect.headers["X-Frame-Options"] == "DENY"
    assert redirect.headers["Strict-Transport-Security"] is None


def test_live_health_is_not_for_the_public(live):
    """Whatever the Host, Caddy's health path names what it runs; through HAProxy it is not there."""
    text = (live.repository.out / "opt/dynia/caddy/Caddyfile").read_text()
    digest = re.search(r"X-Dynia-Config ([0-9a-f]{64})", text)[1]
    for host in ("health.internal", "example.com", "docs.example.com", "unknown"):
        response = live.get(host, "/dynia-health", port="caddy")
        assert (response.status, response.text) == (200, "OK")
        assert response.headers["X-Dynia-Config"] == digest
        assert response.headers["Cache-Control"] == "no-store"
    for path in ("/dynia-health", "/%64ynia-health", "//dynia-health", "/x/../dynia-health"):
        for port in ("http", "https"):
            response = live.get("example.com", path, port=port)
            assert response.headers["X-Dynia-Config"] is None
    assert live.get("example.com", "/dynia-health").status == 404


def test_live_local_pages(live):
    assert live.get("x", "/healthz", port="health").status == 200
    assert "HAProxy version" not in live.get("x", "/stats", port="stats").text
    assert "haproxy_process" in live.get("x", "/metrics", port="stats").text


def test_live_drain(live):
    flag = live.repository.out / "run/dynia/ingress/drain"
    flag.write_text("")
    assert live.get("x", "/dynia-health", port="caddy").status == 503
    flag.unlink()
    assert live.get("x", "/dynia-health", port="caddy").status == 200


def test_live_rate_limit(live):
    answers = [live.get("example.com") for _ in range(60)]
    assert [answer.status for answer in answers[:40]] == [200] * 40
    assert answers[-1].status == 429
    assert answers[-1].headers["X-Frame-Options"] == "DENY"
    assert "Too Many Requests" in answers[-1].text and "HAProxy" not in answers[-1].text


def check_same(want, got, words):
    """Two trees that differ only in that one has a word where the other has the harmless one."""
    if isinstance(want, dict):
        assert want.keys() == got.keys()
        for key in want:
            check_same(want[key], got[key], words)
    elif isinstance(want, list):
        assert len(want) == len(got)
        for pair in zip(want, got):
            check_same(*pair, words)
    elif want == "harmless":
        assert got in words
    else:
        assert got == want


def put_word(repository, word):
    quoted = json.dumps(word, ensure_ascii=False)
    repository.services = {
        "front.yaml": "version: 1\nhosts: [example.com]\n"
        f"respond: {{body: {quoted}, content_type: text/plain}}\n",
        "api.yaml": "version: 1\nhosts: [api.example.com]\nimage: local/web:1\nport: 80\n"
        f"env: {{WORD: {quoted}}}\nhealth: {{command: [{quoted}]}}\n",
    }
    return ingress(
        runtime="process",
        headers={"X-Word": word},
        stats={"user": "admin", "password": word},
    )


def outlines(repository):
    """What the programs make of the files: Caddy's and compose's own trees, and HAProxy's lines."""
    out = repository.out
    config = out / "opt/dynia/caddy/Caddyfile"
    adapted = run(["caddy", "adapt", "--config", config, "--adapter", "caddyfile"], env=ENV)
    caddy = re.sub(r"[0-9a-f]{64}", "DIGEST", adapted.stdout)
    compose = yaml.safe_load(re.sub(r'"[0-9a-f]{64}"', '"DIGEST"', (out / "opt/dynia/compose/api/compose.yaml").read_text()))
    lines = (out / "opt/dynia/haproxy/haproxy.cfg").read_text().split("\n")
    return [json.loads(caddy), compose, [line.split()[:2] for line in lines]]


def test_no_word_adds_anything(repository):
    """Whatever every free string of the YAML holds, the programs see the same structure."""
    repository.render(extra=put_word(repository, "harmless"))
    want = outlines(repository)
    written = 0
    for word in [word for word in hostile_words(150) if word.strip()]:
        result = repository.render(extra=put_word(repository, word), check=False)
        if result.returncode:
            # refused with a reason, as a diagnostic or by the language's quote function
            assert re.search(r"must not|must be|cannot be written|is no |control", result.stderr), result
            continue
        repository.certificate("opt/dynia/haproxy/certs")
        run(["haproxy", "-c", "-dW", "-f", repository.out / "opt/dynia/haproxy/haproxy.cfg"])
        escaped = word.replace("{", "\\{").replace("}", "\\}") if "{" in word else word
        print(repr(word))
        check_same(want, outlines(repository), {word, escaped, word.replace("$", "$$")})
        written += 1
    assert written > 30
