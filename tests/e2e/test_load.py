"""Changes under load: no request may fail, on kept connections or on new ones, whether it may be repeated or not."""

import contextlib
import csv
import http.client
import pathlib
import re
import signal
import ssl
import subprocess
import threading

import pytest

import hosts
from harness import HTTPS, SOURCE, STATS, _Connection, fetch, run, wait_for

pytestmark = pytest.mark.heavy

CHANGES = 20
STEADY = "steady.demo.test"


class Posts(threading.Thread):
    """Sends one POST after the other on new connections: nobody between may repeat one that failed."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.ended = address, threading.Event()
        self.answered, self.failed = 0, []

    def run(self):
        while not self.ended.is_set():
            try:
                with contextlib.closing(_Connection(self.address, HTTPS, STEADY)) as connection:
                    connection.request("POST", "/", b"x", {"Host": STEADY})
                    status = connection.getresponse().status
                if status != 200:
                    raise http.client.HTTPException(status)
                self.answered += 1
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))

    def stop(self):
        self.ended.set()
        self.join(60)
        assert not self.is_alive(), "a POST had no answer"


class Wrk:
    """wrk, until it is told to end. What it reports: how many were answered, and what went wrong."""

    def __init__(self, address, kept):
        headers = ["-H", f"Host: {STEADY}"] + ([] if kept else ["-H", "Connection: close"])
        # It asks as fast as it is answered: what it loads must come before it.
        self.process = subprocess.Popen(
            ["nice", "-n", "10", "wrk", "-t1", "-c8", "-d600s", "--timeout", "30s", *headers, f"https://{address}:{HTTPS}/"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[0]

    def kill(self):
        self.process.kill()
        self.process.wait(30)


def errors_of(report):
    """(answered, what went wrong) of a report of wrk."""
    answered = int(re.search(r"(\d+) requests in", report).group(1))
    return answered, re.findall(r"Socket errors: .*|Non-2xx or 3xx responses: .*", report)


@pytest.fixture(scope="module")
def host():
    """A node whose agent runs, with a service that stays and others that come and go."""
    # As the package sets it; this is a network namespace of the tests' own.
    for key, value in re.findall(r"^(net\.\S+) = (\d+)$", (SOURCE / "packaging/sysctl.conf").read_text(encoding="utf-8"), re.M):
        pathlib.Path("/proc/sys", key.replace(".", "/")).write_text(value, encoding="ascii")
    with hosts.ProcessHost() as made:
        made.cluster()
        made.page("steady", "steady")
        made.page("hello", "0")
        made.repository.commit("first")
        made.once()
        made.start_agent()
        try:
            yield made
        finally:
            made.stop_agent()


def under_load(host, change):
    """Does change(i) for each i; meanwhile every request of three kinds has to be answered."""
    posts = Posts(host.address)
    load = {}
    try:
        for kind, kept in (("kept connections", True), ("new connections", False)):
            load[kind] = Wrk(host.address, kept)
        posts.start()
        wait_for(lambda: posts.answered > 10, 60, "load")
        for i in range(1, CHANGES + 1):
            change(i)
        posts.stop()
        seen = {kind: errors_of(wrk.stop()) for kind, wrk in load.items()}
    finally:
        posts.ended.set()
        for wrk in load.values():
            wrk.kill()
    seen["POST"] = (posts.answered, posts.failed)
    print({kind: (answered, len(errors)) for kind, (answered, errors) in seen.items()})
    assert {kind: errors for kind, (_, errors) in seen.items() if errors} == {}, seen
    assert min(answered for answered, _ in seen.values()) > 2 * CHANGES, seen


def test_a_connection_to_caddy_carries_one_request(host):
    """A kept one is closed under a request when Caddy reloads: seldom, so that the load below may not meet it."""
    def sums():
        text = fetch(host.address, STEADY, "/stats;csv", port=STATS).body
        rows = [row for row in csv.DictReader(text.removeprefix("# ").splitlines())
                if (row["pxname"], row["svname"]) == ("be_caddy", "brave-panda")]
        return [sum(int(row[column]) for row in rows) for column in ("connect", "reuse")]

    connects = sums()[0]
    with contextlib.closing(_Connection(host.address, HTTPS, STEADY)) as connection:
        for _ in range(10):
            connection.request("GET", "/", headers={"Host": STEADY})
            assert connection.getresponse().read() == b"steady"
    after = sums()
    assert after[0] >= connects + 10 and after[1] == 0, after


def test_twenty_changes_of_routes(host):
    """A service is changed, another one added, and removed again."""
    def change(i):
        host.page("hello", f"'{i}'")
        if i % 3 == 1:
            host.page("guest", f"'guest {i}'")
        elif i % 3 == 0:
            (host.repository.tree / "clusters/demo/services/guest.yaml").unlink()
        host.repository.commit(f"change {i}")
        wait_for(lambda: host.fetch("hello").body == str(i), 60, f"change {i}")
        guest = host.fetch("guest")
        if i % 3:
            assert (guest.status, guest.body) == (200, f"guest {i - (i - 1) % 3}")
        else:
            assert guest.status == 421, guest

    under_load(host, change)


def test_twenty_changes_of_a_certificate(host):
    folder = host.path(host.files["certs"])

    def served():
        with contextlib.closing(_Connection(host.address, HTTPS, STEADY)) as connection:
            connection.connect()
            return connection.sock.getpeercert(binary_form=True)

    def change(i):
        key, cert = host.site.folder / "key", host.site.folder / "cert"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
            cert, "-days", "30", "-subj", f"/CN={STEADY}", "-addext", f"subjectAltName=DNS:{STEADY}", "-set_serial", str(1000 + i))
        new = folder / ".new"
        new.write_text(cert.read_text(encoding="utf-8") + key.read_text(encoding="utf-8"), encoding="utf-8")
        new.chmod(0o600)
        new.rename(folder / "steady.pem")
        wait_for(lambda: served() == ssl.PEM_cert_to_DER_cert(cert.read_text(encoding="utf-8")), 60, f"certificate {i}")

    under_load(host, change)
