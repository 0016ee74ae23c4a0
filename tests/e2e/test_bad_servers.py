"""Servers that hang, drip, lie, and send without end: each costs one worker, is told in the status, leaves nothing behind in the mirror,
and the node goes on serving."""

import hashlib
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib

import pytest

import git_servers
from harness import processes_below, run

pytestmark = pytest.mark.heavy  # the sanitizers take more address space than a worker may

PORT = 19555
LIMIT = 512 << 20  # of a worker: memory, and any one file
SMALL = 4 << 20
OID = "12" * 20


class BadServer:
    """Every connection goes to `handler(connection)` in a thread of its own; it ends where it likes."""

    def __init__(self, address, handler, cert=None):
        self.handler, self.cert, self.connections, self.ended = handler, cert, [], False
        self.listener = socket.create_server((address, PORT))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.ended:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.cert:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.cert)
                connection = context.wrap_socket(connection, server_side=True)
                self.connections.append(connection)
            self.handler(connection)
        except OSError:
            pass

    def stop(self):
        self.ended = True
        for end in [self.listener, *self.connections]:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


def pkt(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"%04x" % (len(data) + 4) + data


def advertisement(caps="side-band-64k ofs-delta", oid=OID):
    return pkt(f"{oid} refs/heads/main\0 {caps}\n") + b"0000"


def until_done(connection):
    """Reads a fetch's request to its end."""
    got = b""
    while not got.endswith(b"0009done\n"):
        more = connection.recv(65536)
        if not more:
            raise OSError("gone")
        got += more


def keep(connection):
    """Reads, and says nothing more."""
    while connection.recv(65536):
        pass


def silent(connection):
    keep(connection)


def half_a_line(connection):
    connection.sendall(advertisement()[:30])
    keep(connection)


def drips(connection):
    for byte in advertisement() * 100:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def garbage(connection):
    connection.sendall(hashlib.sha256(b"x").digest() * 500)


def closes(connection):
    connection.recv(100)
    connection.shutdown(socket.SHUT_RDWR)


def endless_refs(connection):
    connection.sendall(pkt(f"{OID} refs/heads/main\0 side-band-64k\n"))
    many = b"".join(pkt(f"{OID} refs/heads/status/demo/n{i}\n") for i in range(10000))
    while True:
        connection.sendall(many)


def endless_line(connection):
    while True:
        connection.sendall(b"fff0" + b"x" * 65516)


def hangs_in_the_pack(connection):
    connection.sendall(advertisement())
    until_done(connection)
    connection.sendall(pkt("NAK\n") + pkt(b"\x01PACK" + struct.pack(">II", 2, 3)))
    keep(connection)


def endless_pack(connection):
    connection.sendall(advertisement())
    until_done(connection)
    connection.sendall(pkt("NAK\n") + pkt(b"\x01PACK" + struct.pack(">II", 2, 3)))
    chunk = pkt(b"\x01" + b"\0" * 65515) * 16
    while True:
        connection.sendall(chunk)


def size_header(kind, size):
    out, size, byte = b"", size >> 4, kind << 4 | size & 15
    while size:
        out += bytes([byte | 128])
        byte, size = size & 127, size >> 7
    return out + bytes([byte])


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def sends(*objects):
    """A whole pack of these (type, size, bytes before the zlib stream, content)."""
    def handler(connection):
        connection.sendall(advertisement())
        until_done(connection)
        pack = b"PACK" + struct.pack(">II", 2, len(objects))
        for kind, size, before, content in objects:
            pack += size_header(kind, size) + before + zlib.compress(content)
        pack += hashlib.sha1(pack).digest()
        out = pkt("NAK\n")
        for i in range(0, len(pack), 60000):
            out += pkt(b"\x01" + pack[i:i + 60000])
        connection.sendall(out + b"0000")
        keep(connection)
    return handler


BASE = b"x" * 1000
BASE_OID = hashlib.sha1(b"blob 1000\0" + BASE).digest()
# A few bytes that say: copy the base again and again, to two gigabytes.
DELTA = varint(1000) + varint(2 << 30) + b"\xb0\xe8\x03" * 100000

CASES = {
    "accepts, and says nothing": (silent, "did not answer within"),
    "stops within a line": (half_a_line, "did not answer within"),
    "drips a byte a second": (drips, "did not answer within"),
    "sends garbage": (garbage, "does not talk as a git server"),
    "closes at once": (closes, "closed the connection"),
    "sends refs without end": (endless_refs, "longer than 64 MiB"),
    "sends packets without end": (endless_line, "cannot be read"),
    "stops within the pack": (hangs_in_the_pack, "did not answer within"),
    "sends a pack without end": (endless_pack, "sends more than 512 MiB"),
    "sends a pack that is none": (sends((7, 5, b"\0" * 20, b"hello")), "pack"),
    "sends a folder that is a bomb": (sends((2, 64 << 20, b"", b"\0" * (64 << 20))), "more than 16 MiB"),
    "sends a delta that is a bomb": (sends((3, 1000, b"", BASE), (7, len(DELTA), BASE_OID, DELTA)), ""),
    "leaves out what it promised": (sends((1, 0, b"", b"")), ""),
    "leaves out the files of its commit": (
        sends((1, len(f"tree {OID}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nx"), b"",
               f"tree {OID}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nx".encode())), "left out"),
}


@pytest.fixture(scope="module")
def place():
    """One node that serves, for all of these."""
    import harness
    with harness.Site() as site:
        site.use_example()
        node = site.node("brave-panda", 1)
        node.once()
        yield site, node


def reach_by(node, url, deadline, more=""):
    node.write("etc/dynia/agent.yaml", f"version: 1\nrepository: {url}\ncluster: demo\nnode: brave-panda\ndeadline: {deadline}\n"
               f"listen: {node.address}:9797\n{more}")


def size_of(folder):
    total = 0
    for path in pathlib.Path(folder).rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except OSError:
            pass
    return total


def one_pass(node):
    """A pass to its end; gives its status, output, most memory of it and its workers, and most disk below its state."""
    state, most = node.root / "var/lib/dynia", 0
    process = subprocess.Popen(node.argv("--once"), env=node.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    status, usage = None, None
    while status is None:
        pid, waited, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            status, usage = os.waitstatus_to_exitcode(waited), used
        most = max(most, size_of(state))
        time.sleep(0.02)
    process.returncode = status
    said = process.stdout.read().decode()
    process.stdout.close()
    return status, said, usage.ru_maxrss * 1024, most


def bears(site, node, words):
    """A pass that finds such a server."""
    repo = node.root / "var/lib/dynia/repo.git"
    before, packs = size_of(repo.parent), sorted(os.listdir(repo / "objects/pack"))
    status, said, memory, disk = one_pass(node)
    assert status == 1 and words in said, said
    assert memory < LIMIT + (64 << 20) and disk < before + LIMIT + SMALL, (memory, disk)
    condition = {c["type"]: c for c in json.loads(run(
        "git", "-C", repo, "show", "status/demo/brave-panda:status.json").stdout)["conditions"]}["Synced"]
    assert condition["status"] == "False" and condition["reason"] and words in condition["message"], condition
    assert sorted(os.listdir(repo / "objects/pack")) == packs and not repo.with_name("repo.git.incoming").exists()
    assert not [path for path in repo.rglob("*") if "_git2_" in path.name or path.name.endswith(".lock")]
    assert size_of(repo.parent) < before + SMALL
    assert not [pid for pid in processes_below(node.root) if b"worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert node.fetch("hello.demo.test").status == 200


@pytest.mark.parametrize("what", CASES)
def test_git_server_that(place, what):
    site, node = place
    handler, words = CASES[what]
    server = BadServer(site.address(245), handler)
    try:
        reach_by(node, f"git://{site.address(245)}:{PORT}/infra.git", "3s" if "did not" in words else "120s")
        bears(site, node, words)
    finally:
        server.stop()


def answer(status, head="", body=b""):
    def handler(connection):
        while connection.recv(65536):
            connection.sendall(f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return handler


def hangs_after_headers(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\nContent-Length: 1000\r\n\r\n00")
    keep(connection)


def endless_body(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    while True:
        connection.sendall(b"<p>log in</p>" * 5000)


HTTPS_CASES = {
    "401": (answer(401), "status 401"),
    "403": (answer(403), "status 403"),
    "404": (answer(404, body=b"no"), "status 404"),
    "500": (answer(500), "status 500"),
    "302 to itself": (answer(302, "Location: /infra.git/info/refs?service=git-upload-pack\r\n"), "redirects more than"),
    "a log-in page without end": (endless_body, "nothing that a git server says"),
    "headers, and then nothing": (hangs_after_headers, ""),
    "nothing": (silent, ""),
    "plain HTTP": (None, ""),
}


@pytest.mark.parametrize("what", HTTPS_CASES)
def test_https_server_that_answers(place, tmp_path, what):
    site, node = place
    handler, words = HTTPS_CASES[what]
    address = site.address(246)
    authority = git_servers.Authority(tmp_path / "ca")
    node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
    server = BadServer(address, handler or garbage, authority.sign("bad", address) if handler else None)
    try:
        reach_by(node, f"https://{address}:{PORT}/infra.git", "60s" if words else "3s", "ca_file: /etc/dynia/ca.pem\n")
        bears(site, node, words)
    finally:
        server.stop()
