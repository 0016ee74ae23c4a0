"""Health, metrics and the webhook: a good request makes a pass at once, on every node, and no bad one costs anything."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import time

import pytest

import harness
from harness import wait_for

PAGE = "clusters/demo/services/hello/site/index.html"
HOST = "hello.demo.test"
PORT = 9797
SECRET = "wh-0123456789abcdef"
TOKEN = "whsec_" + base64.b64encode(b"k" * 32).decode()


def mac(secret, body):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def ask(node, method="POST", path="/hook", body=None, headers=None, timeout=20):
    """One request to a node's listener: status and body."""
    connection = http.client.HTTPConnection(node.address, PORT, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def github(node, body=b'{"ref":"refs/heads/main"}', secret=SECRET):
    return ask(node, body=body, headers={"X-Hub-Signature-256": "sha256=" + mac(secret, body), "X-GitHub-Event": "push"})


def metric(node, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", ask(node, "GET", "/metrics")[1], re.M)
    return float(found[1]) if found else 0.0


def hooks(node, result):
    return metric(node, f'dynia_webhooks_total{{result="{result}"}}')


def passes(node):
    return metric(node, "dynia_passes_total")


def with_webhook(node, secret=SECRET):
    config = node.root / "etc/dynia/agent.yaml"
    node.write("etc/dynia/agent.yaml", config.read_text(encoding="utf-8").replace("interval: 1s", "interval: 1h") +
               "webhook: {secret_file: /etc/dynia/webhook-secret}\n")
    node.write("etc/dynia/webhook-secret", secret + "\n", 0o600)


@pytest.fixture
def listening(demo):
    """Both nodes, which look once an hour, or when a webhook asks them to."""
    for node in demo.nodes:
        with_webhook(node)
        node.once()
        node.start()
    for node in demo.nodes:
        wait_for(lambda n=node: passes(n) >= 1, 60, "first pass")
    return demo


def change_the_page(site, text):
    site.repository.write(PAGE, f"<p>{text}</p>\n")
    return site.repository.commit(text)


def served(node, text):
    return wait_for(lambda: text in node.fetch(HOST).body, 60, f"page '{text}'")


def signed_token(body, at=None, key=b"k" * 32, version="v1"):
    at = str(int(time.time()) if at is None else at)
    digest = base64.b64encode(hmac.new(key, b"msg_1." + at.encode() + b"." + body, hashlib.sha256).digest()).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": f"v1,{'A' * 43}= {version},{digest}"}


def test_each_forge_makes_a_pass_on_every_node(listening):
    node, other = listening.nodes
    senders = {
        "github": lambda body: {"X-Hub-Signature-256": "sha256=" + mac(SECRET, body)},
        "gitea": lambda body: {"X-Gitea-Signature": mac(SECRET, body)},
        "gitlab": lambda body: {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": "Push Hook"},
    }
    for name, headers in senders.items():
        change_the_page(listening, f"by {name}")
        body = json.dumps({"by": name}).encode()
        assert ask(node, body=body, headers=headers(body))[0] == 202
        served(node, f"by {name}")
        served(other, f"by {name}")
    assert hooks(node, "accepted") == 3 and hooks(node, "relayed") == 0
    assert hooks(other, "accepted") == 0 and hooks(other, "relayed") == 3
    wait_for(lambda: metric(node, "dynia_passes_asked_total") == 3, 60, "count")


def test_gitlabs_signing_token(demo):
    node = demo.nodes[0]
    with_webhook(node, TOKEN)
    node.once()
    node.start()
    wait_for(lambda: passes(node) >= 1, 60, "first pass")
    body = b'{"object_kind":"push"}'
    now = int(time.time())
    for headers, want in (
            (signed_token(body), 202), (signed_token(body, now - 10), 202), (signed_token(body, now - 4000), 401),
            (signed_token(body, now + 4000), 401), (signed_token(b"other"), 401), (signed_token(body, key=b"x" * 32), 401),
            (signed_token(body, version="v2"), 401), ({**signed_token(body, now - 20), "webhook-id": "msg_2"}, 401),
            ({**signed_token(body, now - 30), "webhook-timestamp": "soon"}, 401),
            # The stronger header decides: a leaked token does not help.
            ({**signed_token(body, now - 40, key=b"x" * 32), "X-Gitlab-Token": TOKEN}, 401)):
        assert ask(node, body=body, headers=headers)[0] == want, headers
    assert hooks(node, "accepted") == 2


def test_a_replay_makes_no_pass(listening):
    node, other = listening.nodes
    body = b'{"once":true}'
    before = passes(node)
    assert github(node, body)[0] == 202
    wait_for(lambda: passes(node) == before + 1, 60, "pass")
    wait_for(lambda: hooks(other, "relayed") == 1, 60, "relay")
    for _ in range(20):
        assert github(node, body) == (200, "known already\n")
        assert github(other, body) == (200, "known already\n"), "a request that was passed on is known there, too"
    assert hooks(node, "known") == 20 and passes(node) == before + 1
    assert hooks(other, "relayed") == 1 and hooks(other, "accepted") == 0, "nothing goes round"


BAD = [
    {}, {"X-Hub-Signature-256": ""}, {"X-Hub-Signature-256": "sha256="}, {"X-Hub-Signature-256": "sha1=" + "0" * 40},
    {"X-Hub-Signature-256": "sha256=" + "0" * 64}, {"X-Hub-Signature-256": "sha256=" + "0" * 63},
    {"X-Hub-Signature-256": "sha256=" + "0" * 65}, {"X-Hub-Signature-256": "sha256=" + "G" * 64},
    {"X-Gitea-Signature": "0" * 64}, {"X-Gitlab-Token": ""}, {"X-Gitlab-Token": SECRET[:-1]}, {"X-Gitlab-Token": SECRET + "0"},
    {"webhook-signature": "v1,AAAA"}, {"X-Dynia-Signature": "0" * 64},
    {"X-Dynia-Signature": "0" * 64, "X-Dynia-Hook": f"{int(time.time())}.{'0' * 64}.demo"},
]


def test_ten_thousand_bad_requests_cost_nothing(listening):
    node = listening.nodes[0]
    before, commits, stamps = passes(node), listening.repository.log(node.name), node.stamps()
    pid = node.agent.pid
    ticks = agent_ticks(pid)
    body = b"x" * 100
    for i in range(10000):
        status, _ = ask(node, body=body, headers=BAD[i % len(BAD)])
        assert status == 401, BAD[i % len(BAD)]
    assert hooks(node, "refused") == 10000
    assert passes(node) == before and listening.repository.log(node.name) == commits
    assert agent_ticks(pid) - ticks <= 5, "the agent itself does not notice"
    after = node.stamps()
    assert {p for p in {*stamps, *after} if stamps.get(p) != after.get(p)} == set()
    log = node.log.read_text(encoding="utf-8")
    assert 1 <= log.count("was refused") <= 10, "told, and not ten thousand times"
    assert SECRET not in log and SECRET not in ask(node, "GET", "/metrics")[1]
    assert github(node)[0] == 202
    wait_for(lambda: passes(node) == before + 1, 60, "pass")


def agent_ticks(pid):
    """Processor time of the agent's own process, in ticks."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_flood_of_good_requests_makes_few_passes(listening):
    node = listening.nodes[0]
    before, began = passes(node), time.monotonic()
    for i in range(300):
        assert github(node, f'{{"n":{i}}}'.encode())[0] == 202
    change_the_page(listening, "after the flood")
    assert github(node, b'{"last":true}')[0] == 202
    served(node, "after the flood")
    made, seconds = passes(node) - before, time.monotonic() - began
    assert made <= 6 + seconds * 0.5, (made, seconds)


def test_what_is_too_large_is_not_read(listening):
    node = listening.nodes[0]
    before = passes(node)
    with socket.create_connection((node.address, PORT), 20) as raw:
        raw.sendall(f"POST /hook HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={'0' * 64}\r\n"
                    "Content-Length: 99999999999\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection((node.address, PORT), 20) as raw:
        raw.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"a" * 100000 + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert raw.recv(100).split(b" ")[1] in (b"431", b"400", b"413")
    # Without a length: cut off when it has gone too far.
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection((node.address, PORT), 20) as raw, pytest.raises(ConnectionError):
        raw.sendall(f"POST /hook HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={'0' * 64}\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(2000):
            raw.sendall(chunk)
    assert hooks(node, "too_large") == 2 and passes(node) == before
    large = b"y" * (7 << 20)
    assert github(node, large)[0] == 202, "one of seven MiB is a forge's"


def test_slow_requests_keep_nobody_out(listening):
    """Slowloris: 300 connections that say a byte now and then; a good request comes through at once."""
    node = listening.nodes[0]
    slow = []
    try:
        for i in range(300):
            raw = socket.create_connection((node.address, PORT), 20)
            raw.sendall(b"POST /hook HTTP/1.1\r\nHost: x\r\nX-A: ")
            slow.append(raw)
            if i % 100 == 99:
                assert github(node, f"during {i}".encode())[0] == 202
        for raw in slow:
            with contextlib.suppress(OSError):
                raw.sendall(b"a")
        assert github(node, b"still")[0] == 202
        # None of them is kept for ever, though each goes on talking.
        def all_closed():
            for raw in list(slow):
                try:
                    raw.sendall(b"a")
                except OSError:
                    raw.close()
                    slow.remove(raw)
            return not slow
        wait_for(all_closed, 60, "end of the slow ones")
        assert hooks(node, "dropped") >= 100
    finally:
        for raw in slow:
            raw.close()


def test_garbage_is_survived(listening):
    node = listening.nodes[0]
    for garbage in (b"\x00" * 1000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200), b"GET\r\n\r\n",
                    b"POST /hook HTTP/1.1\r\nContent-Length: -1\r\nHost: x\r\n\r\n", b"\r\n" * 500,
                    b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                    b"POST /hook HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        with contextlib.suppress(OSError), socket.create_connection((node.address, PORT), 20) as raw:
            raw.sendall(garbage)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
    assert ask(node, "GET", "/nothing")[0] == 404 and ask(node, "PUT", "/metrics")[0] == 405
    assert ask(node, "GET", "/hook")[0] == 405
    assert "started again" not in node.log.read_text(encoding="utf-8")
    assert github(node)[0] == 202


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {key: value.split() for key, value in (line.split(":", 1) for line in lines)}


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


def listener_of(node):
    """The keeper and the server: a child of the agent that has its name, and the child of that one."""
    def look():
        for pid in children(node.agent.pid):
            with contextlib.suppress(OSError):
                if status_of(pid)["Name"] == ["dynia"] and children(pid):
                    return pid, children(pid)[0]
        return None
    return wait_for(look, 60, "listener")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which make check asks for")
def test_the_listener_has_no_rights(listening):
    node = listening.nodes[0]
    for pid in listener_of(node):
        status = status_of(pid)
        assert set(status["Uid"]) == set(status["Gid"]) == {"65534"} and status["Groups"] == []
        assert all(int(status[f"Cap{kind}"][0], 16) == 0 for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
        assert status["NoNewPrivs"] == ["1"]
        assert os.readlink(f"/proc/{pid}/root") == str(node.root / "run/dynia/empty")
        assert os.listdir(f"/proc/{pid}/root") == []
        for link in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{link}")
            assert target.startswith(("socket:", "pipe:", "anon_inode:", "/dev/null")) or target == str(node.log), target
        assert limit(pid, "Max core file size") == ["0", "0"] and limit(pid, "Max open files") == ["1024", "1024"]
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0, "nobody else's process may look into it: it is not dumpable"
    assert limit(listener_of(node)[1], "Max processes") == ["1", "1"], "and there are two of that user: it starts none"


@pytest.mark.heavy  # the sanitizers take more address space than it may
def test_the_listener_has_limits(listening):
    server = listener_of(listening.nodes[0])[1]
    assert limit(server, "Max file size") == limit(server, "Max address space") == [str(256 << 20)] * 2


def limit(pid, name):
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="utf-8").splitlines()
    return next(line[len(name):].split()[:2] for line in lines if line.startswith(name))


def test_a_listener_that_dies_comes_back_and_ends_with_the_agent(listening):
    node = listening.nodes[0]
    for which in (1, 0):
        before = listener_of(node)
        os.kill(before[which], signal.SIGKILL)
        wait_for(lambda b=before: listener_of(node)[1] not in b, 60, "new server")
        assert wait_for(lambda: github(node, os.urandom(8)), 60, "answer")[0] == 202
        assert ask(node, "GET", "/healthz")[0] == 200, "what the agent showed is still there"
    last = listener_of(node)
    node.stop_agent(signal.SIGKILL)
    wait_for(lambda: not any(harness.start_time(p) for p in last), 60, "end of the listener")
    node.start()
    wait_for(lambda: passes(node) >= 1, 60, "a new agent on the same address")
    last = listener_of(node)
    node.stop_agent()
    wait_for(lambda: not any(harness.start_time(p) for p in last), 60, "end of the listener")


def test_health_and_metrics(listening):
    node = listening.nodes[0]
    applied = listening.repository.git("rev-parse", "HEAD")
    assert ask(node, "GET", "/healthz") == (200, f"healthy at {applied[:7]}\n")
    text = ask(node, "GET", "/metrics")[1]
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) dynia_\w+ .+|dynia_\w+(\{(\w+="([^"\\]|\\.)*",?)+\})? -?[0-9.]+', line), line
    assert f'dynia_info{{version="0.1.0",cluster="demo",node="{node.name}",applied="{applied}",desired="{applied}"}} 1' in text
    assert 'dynia_condition{type="Ready",reason="Healthy"} 1' in text
    assert 'dynia_service_healthy{service="hello"} 1' in text
    assert "dynia_commit_seconds" not in text, "this agent has taken none"
    os.kill(node.pid("caddy"), signal.SIGKILL)
    listening.repository.write("clusters/demo/cluster.yaml", "version: 2\n")
    listening.repository.commit("wrong")
    assert github(node, b"wrong")[0] == 202
    status, text = wait_for(lambda: (a := ask(node, "GET", "/healthz"))[0] == 503 and a, 60, "bad health")
    assert text == f"degraded at {applied[:7]}: ConfigError\n"


PARTS = ("fetch", "render", "validate", "apply", "healthy")


def test_how_long_a_commit_took(listening):
    """The same numbers in the log, the metrics and the status."""
    node = listening.nodes[0]
    began = time.time()
    commit = change_the_page(listening, "timed")
    assert github(node)[0] == 202
    served(node, "timed")
    line = wait_for(lambda: re.search(rf"took {commit[:7]} in (\d+) ms:(( \w+ \d+,?)+)$", node.log.read_text(encoding="utf-8"), re.M),
                    60, "line in the log")
    parts = dict(zip(line[2].split()[::2], (int(n.rstrip(",")) for n in line[2].split()[1::2])))
    assert tuple(parts) == PARTS and int(line[1]) == sum(parts.values())
    assert parts["fetch"] > 0, "a worker was run for it"
    took = wait_for(lambda: (s := listening.repository.status(node.name)["took"])["revision"] == commit and s, 60, "status")
    assert took == {"revision": commit, "total_ms": int(line[1]), "parts_ms": parts}
    wait_for(lambda: metric(node, 'dynia_commit_seconds{part="fetch"}'), 60, "metrics")
    assert {part: round(metric(node, f'dynia_commit_seconds{{part="{part}"}}') * 1000) for part in PARTS} == parts
    found = metric(node, "dynia_commit_found_timestamp_seconds")
    assert began - 0.001 <= found and found + int(line[1]) / 1000 <= time.time()
    shown = json.loads(harness.dynia("status", "--json", listening.repository.bare).stdout)
    assert took in [n["took"] for n in shown["nodes"]]


def test_a_secret_that_others_may_read_is_refused(demo):
    node = demo.nodes[0]
    with_webhook(node)
    for mode, secret, told in ((0o644, SECRET, "chmod 600"), (0o600, "short", "openssl rand -hex 32"),
                               (0o600, "whsec_" + "?" * 40, "no signing token")):
        node.write("etc/dynia/webhook-secret", secret, mode)
        done = harness.run(*node.argv(), check=False)
        assert done.returncode != 0 and told in done.stderr and secret not in done.stderr


def test_a_secret_that_comes_later_and_then_another(demo):
    """The agent goes on without, and takes it up when it is told that something is new."""
    node = demo.nodes[0]
    with_webhook(node)
    (node.root / "etc/dynia/webhook-secret").unlink()
    node.start()
    wait_for(lambda: "webhook-secret' is not there yet: the agent goes on without" in node.log.read_text(encoding="utf-8"), 60, "the agent's word")
    wait_for(lambda: github(node, b"{}")[0] in (401, 404), 60, "no webhook")
    for secret in (SECRET, SECRET[::-1]):
        node.write("etc/dynia/webhook-secret", secret + "\n", 0o600)
        os.kill(node.agent.pid, signal.SIGHUP)
        wait_for(lambda word=secret: github(node, b"{}", word)[0] == 202, 60, "a good webhook")
    assert github(node, b"{}", SECRET)[0] == 401


def test_a_secret_by_name(demo):
    node = demo.nodes[0]
    with_webhook(node)
    node.write("etc/dynia/agent.yaml", (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8").replace(
        "secret_file: /etc/dynia/webhook-secret", "secret: hook"))
    node.write("etc/dynia/secrets.yaml", f"hook: {SECRET}\n", 0o600)
    node.start()
    wait_for(lambda: github(node)[0] == 202, 60, "answer")


def test_an_address_that_is_taken_keeps_no_agent_from_its_work(demo):
    node = demo.nodes[0]
    with_webhook(node)
    with socket.create_server((node.address, PORT)):
        node.start()
        wait_for(lambda: node.fetch(HOST).status == 200, 60, "page")
        wait_for(lambda: f"listen on {node.address}:{PORT}" in node.log.read_text(encoding="utf-8"), 60, "warning")
    wait_for(lambda: github(node)[0] == 202, 60, "answer, once the address is free")
