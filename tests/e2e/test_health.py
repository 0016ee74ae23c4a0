"""Health in four levels: what is ill is told with its reason, in status.json and by `dynia status`; every reason is explained."""

import datetime
import os
import signal
import subprocess

import harness
import pytest
from harness import wait_for

SERVICE = "version: 1\nhosts: [turn.demo.test]\nrespond: {status: %d, body: turn}\n" \
          "health: {path: /, interval: 1s, timeout: 1s, retries: 2, start_period: %s}\n"


def condition(status, kind):
    return next(c for c in status["conditions"] if c["type"] == kind)


def levels(status):
    return {name: level["health"] for name, level in status["health"].items()}


def test_every_reason_is_explained():
    """In docs/operations.md, and with the meaning that the program gives."""
    page = (harness.SOURCE / "docs/operations.md").read_text(encoding="utf-8")
    rows = dict(line.split("\t") for line in harness.dynia("schema", "--reasons").stdout.splitlines())
    assert len(rows) > 30
    explained = {line.split("`")[1]: line for line in page.split("## Reasons")[1].split("\n## ")[0].splitlines()
                 if line.startswith("| `")}
    assert set(explained) == set(rows)
    for name, meaning in rows.items():
        assert meaning[1:] in explained[name], name


def test_all_is_well(served):
    status = served.repository.status("brave-panda")
    assert list(status["health"]) == ["container", "service", "infrastructure", "application"]
    assert {c["type"] for c in status["conditions"]} >= {"Synced", "Valid", "Applied", "Healthy", "MachineHealthy", "Ready"}
    assert [status["health"][k]["health"] for k in ("container", "service", "application")] == ["healthy"] * 3
    assert status["health"]["container"]["reason"] == "NoContainers"


def put_certificate(node, days):
    folder = node.root / "opt/dynia/haproxy/certs"
    end = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
    key, request, pem = (folder / name for name in ("x.key", "x.csr", "x.tmp"))
    harness.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                "-subj", "/CN=demo.test")
    database = folder.parent / "ca"
    database.mkdir(exist_ok=True)
    (database / "index.txt").write_text("")
    (database / "config").write_text(f"[ca]\ndefault_ca=a\n[a]\ndatabase={database}/index.txt\nnew_certs_dir={database}\nrand_serial=yes\n"
                                     "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    harness.run("openssl", "ca", "-batch", "-selfsign", "-config", database / "config", "-keyfile", key, "-in", request, "-out", pem,
                "-startdate", "20200101000000Z", "-enddate", end, "-notext")
    (folder / "real.pem").write_text(pem.read_text() + key.read_text())
    for file in (key, request, pem):
        file.unlink()
    for file in database.iterdir():
        file.unlink()
    database.rmdir()


@pytest.mark.parametrize("days,health,reason", [(100, None, None), (10, "degraded", "CertificateExpires"),
                                                (-10, "failed", "CertificateExpired")])
def test_a_certificate_ends(site, days, health, reason):
    site.use_example()
    node = site.node()
    node.once()
    put_certificate(node, days)
    node.once()
    status = site.repository.status(node.name)
    level = status["health"]["infrastructure"]
    # Whatever else this machine may suffer from.
    assert ("real.pem" in level["message"]) == (reason is not None), level
    if reason:
        assert (level["reason"], level["health"]) == (reason, health) or level["health"] == "failed"
        assert condition(status, "MachineHealthy")["status"] == "False"
        assert condition(status, "Ready")["status"] == "True", "no fault of the commit"
        assert status["revision"]["last_good"] == status["revision"]["applied"]
        shown = harness.dynia("status", site.repository.bare).stdout
        assert "infrastructure" in shown and reason in shown


def test_a_broken_certificate_is_passed_over(site):
    """Neither a deploy nor a start of HAProxy fails over it; mended, it is served."""
    site.use_example()
    node = site.node()
    node.once()
    put_certificate(node, 100)
    good = node.root / "opt/dynia/haproxy/certs/real.pem"
    text = good.read_text(encoding="utf-8")
    good.write_text(text[:len(text) // 2], encoding="utf-8")
    site.repository.replace("clusters/demo/cluster.yaml", "stats: {port: 18404}", "stats: {port: 18404}\n  max_connections: 100")
    head = site.repository.commit("fewer connections")
    node.once()
    status = site.repository.status(node.name)
    level = status["health"]["infrastructure"]
    assert status["revision"]["last_good"] == head
    assert "certificate real.pem is not used: " in level["message"]
    assert level["reason"] == "CertificateBroken" or level["health"] == "failed", "or whatever else this machine suffers from"
    assert status["ingress"]["certificates"] == []
    assert condition(status, "Ready")["status"] == "True", "no fault of the commit"
    os.kill(node.pid("haproxy"), signal.SIGKILL)
    wait_for(lambda: node.pid("haproxy") is None, 60, "end of haproxy")
    node.once()
    assert node.pid("haproxy"), "it starts beside a broken file"
    good.write_text(text, encoding="utf-8")
    node.once()
    listed = (node.root / "opt/dynia/haproxy/certs.list").read_text(encoding="utf-8").split()
    assert [path.rsplit("/", 1)[1] for path in listed] == ["real.pem", "zz-dynia-placeholder.pem"]
    assert "real.pem" not in site.repository.status(node.name)["health"]["infrastructure"]["message"]


def test_a_program_that_died_on_a_node_that_is_suspended(site):
    """Elsewhere the next pass starts it before anybody can see that it was gone."""
    site.use_example()
    node = site.node()
    node.once()
    harness.dynia("suspend", "--reason", "looking", "--root", node.root)
    os.kill(node.pid("caddy"), signal.SIGKILL)
    wait_for(lambda: node.pid("caddy") is None, 60, "end of caddy")
    node.once()
    status = site.repository.status(node.name)
    assert levels(status)["service"] == levels(status)["application"] == "failed"
    assert status["health"]["service"]["reason"] == "ProgramFailed"
    assert status["health"]["service"]["message"] == "caddy does not run"
    assert (condition(status, "Ready")["reason"], condition(status, "Healthy")["reason"]) == ("HeldByHand", "ProgramFailed")
    harness.dynia("resume", "--root", node.root)
    node.start()
    # HAProxy looks a few times before it believes that Caddy is back.
    wait_for(lambda: levels(site.repository.status(node.name))["application"] == "healthy", 60, "health")
    status = site.repository.status(node.name)
    assert levels(status)["service"] == "healthy"
    assert [d["what"] for d in status["drift"]] == ["caddy"]


def test_start_period_and_retries(site):
    site.use_example()
    file = "clusters/demo/services/turn.yaml"
    site.repository.write(file, SERVICE % (500, "1h"))
    site.repository.commit("turn")
    node = site.node()
    node.start()
    wait_for(lambda: site.repository.status(node.name)["health"]["application"]["reason"] == "ServiceStarting", 60, "starting")
    assert levels(site.repository.status(node.name))["application"] == "unknown"
    site.repository.write(file, SERVICE % (500, "0s"))
    site.repository.commit("no start period")
    wait_for(lambda: site.repository.status(node.name)["health"]["application"]["reason"] == "ServiceFailed", 60, "failed")
    log = [site.repository.status(node.name, rev=f"~{i}")["health"]["application"]["reason"]
           for i in range(len(site.repository.log(node.name)) - 1)]
    assert "ServiceFailing" in log, "once is not twice"
    assert subprocess.run([harness.DYNIA, "status", site.repository.bare], capture_output=True, text=True,
                          check=True).stdout.count("ServiceFailed") == 1
    site.repository.write(file, SERVICE % (200, "0s"))
    site.repository.commit("mended")
    wait_for(lambda: levels(site.repository.status(node.name))["application"] == "healthy", 60, "healthy")
