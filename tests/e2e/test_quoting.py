"""
Thousands of hostile words go through the quote functions of render/quote.c and through the real parsers, and have to
come back as they were. A word may be refused only where a rule of shared/design/rendering.md says so. DYNIA_SEED
repeats a run.
"""

import http.client
import json
import re
import subprocess

import pytest
import yaml
from lib_render import (
    free_port,
    has_control,
    hostile_words,
    in_namespace,
    quoted,
    run,
    running,
)

pytestmark = pytest.mark.heavy  # other programs' behaviour

N_WORDS = 3000


def refused_by_caddy(word, text):
    """The rules of Caddyfile words, said once more and otherwise than in C."""
    if has_control(word) or "{$" in word or word == "}":
        return True
    if not text and re.search(r"(?<!\\)\{", word):
        return True
    # a backslash that is no half of a pair, before a quote or at the end, where backticks cannot quote
    return "`" in word and re.search(r'(?<!\\)(\\\\)*\\("|$)', word) is not None


def check_refusals(words, answers, rule):
    """The words that were written, with how; and that exactly those were refused that the rule names."""
    for word, answer in zip(words, answers):
        assert (answer is None) == rule(word), f"{word!r} gives {answer!r}"
    kept = [(word, answer) for word, answer in zip(words, answers) if answer is not None]
    print(f"{len(kept)} written, {len(words) - len(kept)} refused")
    assert len(kept) > len(words) // 20
    return kept


def fetch_all(port, count):
    """The bodies of /0, /1, ... over one kept connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    bodies = []
    for i in range(count):
        connection.request("GET", f"/{i}")
        response = connection.getresponse()
        assert response.status == 200
        bodies.append(response.read().decode())
    connection.close()
    return bodies


def compare(kept, got):
    assert len(got) == len(kept)
    for (word, answer), back in zip(kept, got):
        assert back == word, f"{word!r}, written {answer}, came back as {back!r}"


def caddyfile(kept, port, tmp_path):
    lines = ["{", "\tauto_https off", "\tadmin off", f"\tstorage file_system {tmp_path}", "}"]
    lines += [f"http://:{port} {{", "\tbind 127.0.0.1"]
    lines += [f"\trespond /{i} {answer} 200" for i, (_, answer) in enumerate(kept)]
    path = tmp_path / "Caddyfile"
    path.write_text("\n".join(lines + ["}", ""]))
    return path


def adapted_bodies(path):
    """The body of each `respond` in what Caddy makes of the file, by its path."""
    result = run(["caddy", "adapt", "--config", path, "--adapter", "caddyfile"])
    bodies = {}

    def walk(node):
        if isinstance(node, list):
            for item in node:
                walk(item)
        elif isinstance(node, dict):
            for match in node.get("match", []):
                for handler in node.get("handle", []):
                    if handler.get("handler") == "static_response":
                        bodies[int(match["path"][0][1:])] = handler.get("body", "")
            for item in node.values():
                walk(item)

    walk(json.loads(result.stdout))
    return [bodies[i] for i in sorted(bodies)]


def test_caddyfile_words(tmp_path):
    """As they stand in the configuration that Caddy makes of its file."""
    words = hostile_words(N_WORDS)
    kept = check_refusals(
        words, quoted("caddyfile", words), lambda word: refused_by_caddy(word, text=False)
    )
    compare(kept, adapted_bodies(caddyfile(kept, 1, tmp_path)))


def test_caddyfile_text(tmp_path):
    """Where Caddy replaces placeholders: what a client gets from a running Caddy."""
    words = hostile_words(N_WORDS)
    kept = check_refusals(
        words, quoted("caddyfile-text", words), lambda word: refused_by_caddy(word, text=True)
    )
    port = free_port()
    path = caddyfile(kept, port, tmp_path)
    env = {"HOME": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    argv = ["caddy", "run", "--config", path, "--adapter", "caddyfile"]
    with running(argv, port, env=env):
        compare(kept, fetch_all(port, len(kept)))


def haproxy_answers(kept, kind, tmp_path):
    port = free_port()
    lines = ["defaults", "    mode http", "    timeout client 30s", "    timeout server 30s"]
    lines += ["    timeout connect 5s", "frontend f", f"    bind 127.0.0.1:{port}"]
    lines += [
        f"    http-request return status 200 content-type text/plain {kind} {answer} if {{ path /{i} }}"
        for i, (_, answer) in enumerate(kept)
    ]
    path = tmp_path / "haproxy.cfg"
    path.write_text("\n".join(lines + [""]))
    run(["haproxy", "-c", "-dW", "-f", path])
    with running(["haproxy", "-db", "-f", path], port):
        return fetch_all(port, len(kept))


@pytest.mark.parametrize(
    ("dialect", "kind"), [("haproxy", "string"), ("haproxy-text", "lf-string")]
)
def test_haproxy_words(dialect, kind, tmp_path):
    """As they stand, and where HAProxy evaluates a log-format string: what a client gets."""
    words = hostile_words(N_WORDS)
    kept = check_refusals(words, quoted(dialect, words), has_control)
    compare(kept, haproxy_answers(kept, kind, tmp_path))


def test_compose_words(tmp_path):
    """Values of a compose file: what YAML says that they are, and what docker-compose makes of them."""
    words = hostile_words(N_WORDS)
    kept = check_refusals(words, quoted("yaml", words), lambda word: False)
    lines = ["services:", "  s:", "    image: x", "    environment:"]
    lines += [f"      V{i}: {answer}" for i, (_, answer) in enumerate(kept)]
    path = tmp_path / "compose.yaml"
    path.write_text("\n".join(lines + [""]))
    variables = yaml.safe_load(path.read_bytes())["services"]["s"]["environment"]
    compare(kept, [variables[f"V{i}"].replace("$$", "$") for i in range(len(kept))])

    env = {"HOME": "/hostile", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    result = run(["docker-compose", "-f", path, "config"], env=env)
    variables = yaml.safe_load(result.stdout)["services"]["s"]["environment"]
    # what `config` prints cannot be read back where it holds a line break of YAML 1.1
    same = [i for i, (word, _) in enumerate(kept) if not re.search(r"[\x85\u2028]", word)]
    assert len(same) > len(kept) // 2
    got = [variables[f"V{i}"].replace("$$", "$") for i in same]
    compare([kept[i] for i in same], got)


def test_logrotate_words(tmp_path):
    """Names of log files: what logrotate says that it looks for."""
    words = [f"/nowhere/{i}/{word}.log" for i, word in enumerate(hostile_words(N_WORDS))]

    def rule(word):
        return has_control(word) or re.search(r"[\"'\\\[\]?{}#]", word) is not None

    kept = check_refusals(words, quoted("logrotate", words), rule)
    path = tmp_path / "logrotate"
    path.write_text("".join(f"{answer} {{\n    missingok\n    daily\n}}\n" for _, answer in kept))
    path.chmod(0o644)
    result = subprocess.run(
        ["logrotate", "-d", "-s", tmp_path / "state", path], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    patterns = re.findall(r"^rotating pattern: (.*)  after 1 days", result.stderr, re.M)
    compare(kept, [re.sub(r'^"?(.*?)"? *$', r"\1", pattern) for pattern in patterns])


def keepalived_words(count):
    """Words of the characters that are safe for keepalived, without the space, and any others."""
    alphabet = ["_", "-", ".", "/", ":", ",", "=", "+", "%", "a", "Z", "9", "word"]
    words = [word for word in hostile_words(count) if not set(word) & {" "}]
    return words + [a + b + c for a in alphabet for b in alphabet for c in ("", "x")]


def test_keepalived_words(tmp_path):
    """Arguments of a script: what a running keepalived says that it would call."""
    words = keepalived_words(N_WORDS)

    def rule(word):
        return re.fullmatch(r"[A-Za-z0-9_./:,=+% -]+", word) is None

    kept = check_refusals(words, quoted("keepalived", words), rule)
    scripts = [
        f'vrrp_script s{i} {{\n    script "/bin/true x {answer}"\n    interval 3600\n}}\n'
        for i, (_, answer) in enumerate(kept)
    ]
    instance = "".join(f"        s{i}\n" for i in range(len(kept)))
    path = tmp_path / "keepalived.conf"
    path.write_text(
        "global_defs {\n    enable_script_security\n    script_user root root\n}\n"
        + "".join(scripts)
        + "vrrp_instance I {\n    interface eth1\n    virtual_router_id 3\n    priority 100\n"
        + "    virtual_ipaddress {\n        192.0.2.3/32 dev lo\n    }\n"
        + f"    track_script {{\n{instance}    }}\n}}\n"
    )
    result = in_namespace(f"timeout 10 keepalived -n -l -d -P -f {path}")
    said = re.findall(r"Command = '\S*true' 'x' '(.*)'$", result.stdout + result.stderr, re.M)
    compare(kept, said)
