"""The ways to a repository, on real servers: https through nginx and git http-backend, ssh through sshd, git daemon, a path."""

import contextlib
import os
import pathlib
import socket
import subprocess
import threading

import pytest

import git_servers
from harness import DYNIA, Failed, run, wait_for

TOKEN = "s3cr3t-t0ken-of-the-node"
PAGE = "version: 1\nhosts: [page.demo.test]\nrespond: {status: 200, body: \"%s\"}\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return git_servers.Authority(tmp_path_factory.mktemp("pki") / "ca")


@pytest.fixture
def servers(site):
    """Started servers are added, and ended."""
    started = []
    yield started
    for server in started:
        server.stop()


@pytest.fixture
def node(site):
    site.use_example()
    return site.node("brave-panda", 1)


def reach_by(node, url, more=""):
    node.write("etc/dynia/agent.yaml", f"version: 1\nrepository: {url}\ncluster: demo\nnode: brave-panda\ndeadline: 60s\n"
               f"listen: {node.address}:9797\n{more}")


def fails(node, *words):
    """A look at the repository that must not work; returns what was said, which holds no secret."""
    done = node.once("--dry-run", check=False)
    said = done.stdout + done.stderr
    assert done.returncode in (1, 3), said
    for word in words:
        assert word in said, said
    assert TOKEN not in said and git_servers.basic("node", TOKEN) not in said
    return said


def goes_round(site, node):
    """Fetch, apply and push; then a commit that is fetched on top, thin; then nothing to do."""
    first = site.repository.git("rev-parse", "HEAD")
    node.once()
    assert site.repository.status("brave-panda")["revision"]["applied"] == first
    site.repository.write("clusters/demo/services/page.yaml", PAGE % "two")
    second = site.repository.commit("second")
    node.once()
    assert site.repository.status("brave-panda")["revision"]["applied"] == second
    run("git", "-C", node.root / "var/lib/dynia/repo.git", "fsck", "--full", "--strict")
    assert not (node.root / "var/lib/dynia/repo.git.incoming").exists()


def test_https_with_token_and_own_authority(site, node, servers, authority):
    address = site.address(240)
    server = git_servers.Https(site.repository, address, authority.sign("good", address), token=TOKEN)
    servers.append(server)
    node.write("etc/dynia/token", TOKEN + "\n", 0o600)
    node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
    who = "credentials: {username: node, password_file: /etc/dynia/token}\n"
    reach_by(node, server.url, who)
    fails(node, "certificate is not believed", "ca_file")
    assert not server.requests()
    reach_by(node, server.url, "ca_file: /etc/dynia/ca.pem\n")
    fails(node, "set credentials.username")
    reach_by(node, server.url, who + "ca_file: /etc/dynia/ca.pem\n")
    (node.root / "etc/dynia/token").chmod(0o644)
    fails(node, "can be read by others", "chmod 600")
    node.write("etc/dynia/token", "wrong\n", 0o600)
    fails(node, "does not take the credentials (status 401)")
    node.write("etc/dynia/token", TOKEN + "\n", 0o600)
    goes_round(site, node)
    # Nowhere on the node but in the one file.
    found = run("grep", "-rl", TOKEN, node.root, check=False).stdout.split()
    assert found == [str(node.root / "etc/dynia/token")]


def test_https_that_is_not_to_be_believed(site, node, servers, authority):
    """A wrong name, an expired certificate, TLS that is too old: not one request is made."""
    node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
    for i, (address_of_cert, days, protocols, words) in enumerate((
            ("127.0.0.9", 2, "TLSv1.2", "certificate is not believed"),
            (None, -1, "TLSv1.2", "certificate is not believed"),
            (None, 2, "TLSv1.1", ""))):
        address = site.address(230 + i)
        cert = authority.sign(f"bad{i}", address_of_cert or address, days)
        server = git_servers.Https(site.repository, address, cert, protocols=protocols)
        servers.append(server)
        reach_by(node, server.url, "ca_file: /etc/dynia/ca.pem\n")
        fails(node, server.url, words)
        assert not server.requests()


def test_https_redirects(site, node, servers, authority):
    """On the same host one is followed; to another it is not, and the token does not get there."""
    here, there = site.address(240), site.address(241)
    node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
    node.write("etc/dynia/token", TOKEN + "\n", 0o600)
    other = git_servers.Https(site.repository, there, authority.sign("other", there))
    servers.append(other)
    extra = (f"location /away/ {{ rewrite ^/away/(.*) {other.base}/$1 redirect; }} "
             "location /old/ { rewrite ^/old/(.*) /$1 permanent; } location /loop/ { rewrite ^ $uri permanent; }")
    server = git_servers.Https(site.repository, here, authority.sign("here", here), token=TOKEN, extra=extra)
    servers.append(server)
    more = "credentials: {username: node, password_file: /etc/dynia/token}\nca_file: /etc/dynia/ca.pem\n"
    reach_by(node, f"{server.base}/away/infra.git", more)
    fails(node, "redirects to", "not followed to another host")
    assert not other.requests()
    reach_by(node, f"{server.base}/loop/infra.git", more)
    fails(node, "redirects more than")
    reach_by(node, f"{server.base}/nope.git", more)
    fails(node, "no such repository", "404")
    reach_by(node, f"{server.base}/old/infra.git", more)
    assert node.once("--dry-run", check=False).returncode == 4


def test_https_server_without_version_2(site, node, servers, authority):
    """The kept connection finds that it cannot ask there; the worker can."""
    address = site.address(240)
    server = git_servers.Https(site.repository, address, authority.sign("old", address), version2=False)
    servers.append(server)
    node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
    reach_by(node, server.url, "ca_file: /etc/dynia/ca.pem\n")
    goes_round(site, node)


def test_https_poll_keeps_its_connection(site, node, servers, authority):
    """One request a poll, on one connection, of the same size with 3 refs and with 1,000 more."""
    address = site.address(240)
    server = git_servers.Https(site.repository, address, authority.sign("good", address))
    servers.append(server)
    node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
    reach_by(node, server.url, "interval: 1s\nca_file: /etc/dynia/ca.pem\n")
    node.once()
    node.start()
    wait_for(lambda: len(server.requests()) > 15, 120, "a few polls")
    before = len(server.requests())
    head = site.repository.git("rev-parse", "HEAD")
    packed = "".join(f"{head} refs/pull/{i}/head\n" for i in range(1000))
    with open(site.repository.bare / "packed-refs", "a", encoding="utf-8") as file:
        file.write(packed)
    wait_for(lambda: len(server.requests()) > before + 5, 120, "more polls")
    node.stop_agent()
    polls = server.requests()[before - 5:]
    assert {(p[0], p[1], p[2], p[3]) for p in polls} == {(polls[0][0], "POST", f"/{site.repository.bare.name}/git-upload-pack", 200)}
    assert len({p[4] for p in polls}) == 1 and len({p[5] for p in polls}) == 1, polls
    assert polls[0][4] < 1000 and polls[0][5] < 1000, polls


def test_ssh(site, node, servers):
    server = git_servers.Ssh(site.repository, site.address(240))
    servers.append(server)
    who = "credentials: {ssh_key: /etc/dynia/id_ed25519, known_hosts: /etc/dynia/known_hosts}\n"
    reach_by(node, server.url, who)
    node.write("etc/dynia/id_ed25519", server.key.read_text(encoding="utf-8"), 0o600)
    node.write("etc/dynia/known_hosts", "")
    fails(node, f"the host key of '[{server.address}]:{server.port}' is not in '/etc/dynia/known_hosts'", "ssh-keyscan -p", "fingerprint")
    node.write("etc/dynia/known_hosts", server.known_hosts(server.folder / "other"))
    fails(node, "is another one than in '/etc/dynia/known_hosts'", "ssh-keygen -R")
    node.write("etc/dynia/known_hosts", server.known_hosts())
    (node.root / "etc/dynia/id_ed25519").chmod(0o640)
    fails(node, "can be read by others")
    node.write("etc/dynia/id_ed25519", (server.folder / "other").read_text(encoding="utf-8"), 0o600)
    fails(node, "does not take this node's key", "deploy key")
    node.write("etc/dynia/id_ed25519", server.key.read_text(encoding="utf-8"), 0o600)
    goes_round(site, node)


def test_a_path(site, node):
    reach_by(node, site.repository.bare)
    goes_round(site, node)
    owner = site.repository.bare.stat().st_uid
    assert {path.stat().st_uid for path in site.repository.bare.rglob("*")} == {owner}


def test_git_daemon(site, node):
    goes_round(site, node)


def test_a_submodule_is_no_missing_object(site, node):
    site.repository.git("update-index", "--add", "--cacheinfo", f"160000,{'12' * 20},sub")
    site.repository.git("commit", "-qm", "a submodule")
    site.repository.git("push", "-q", "origin", "main")
    assert node.once("--dry-run", check=False).returncode == 4


def test_the_worker_is_not_for_people():
    done = subprocess.run([DYNIA, "worker"], input="hello", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "the agent's own" in done.stdout
    assert "worker" not in run(DYNIA, "--help").stdout
    with pytest.raises(Failed, match="did you mean|unknown command"):
        run(DYNIA, "workr")
    assert os.access(pathlib.Path(DYNIA), os.X_OK)


class Proxy:
    """HTTP CONNECT, and nothing else. `asked` is what clients wanted to be connected to."""

    PORT = 19558

    def __init__(self, address):
        self.url, self.asked, self.ends = f"http://{address}:{self.PORT}", [], []
        self.listener = socket.create_server((address, self.PORT))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                self.ends.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), contextlib.closing(client):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            method, target = head.decode().split()[:2]
            self.asked.append((method, target))
            host, port = target.rsplit(":", 1)
            server = socket.create_connection((host, int(port)))
            self.ends.append(server)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=self._copy, args=(client, server), daemon=True).start()
            self._copy(server, client)

    @staticmethod
    def _copy(source, to):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_RDWR)

    def stop(self):
        for end in [self.listener, *self.ends]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_https_through_a_proxy(site, node, servers, authority):
    """Poll, fetch and push all go through it, and the server's certificate is looked at all the same."""
    address = site.address(243)
    server = git_servers.Https(site.repository, address, authority.sign("proxied", address))
    proxy = Proxy(site.address(248))
    servers += [server, proxy]
    node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
    reach_by(node, server.url, f"proxy: {proxy.url}\n")
    fails(node, "certificate is not believed", "ca_file")
    assert proxy.asked and not server.requests()
    reach_by(node, server.url, f"ca_file: /etc/dynia/ca.pem\nproxy: {proxy.url}\n")
    goes_round(site, node)
    assert set(proxy.asked) == {("CONNECT", f"{address}:{git_servers.HTTPS_PORT}")}
    services = {request[2].rsplit("/", 1)[1] for request in server.requests()}
    assert {"git-upload-pack", "git-receive-pack"} <= services
    proxy.stop()
    count = len(server.requests())
    done = node.once(check=False)
    assert done.returncode == 1 and server.url in done.stderr, done.stderr
    assert len(server.requests()) == count, "there is no way around it"
