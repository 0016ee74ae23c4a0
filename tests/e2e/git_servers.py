"""Real git servers on the loopback: git http-backend behind nginx with TLS, and sshd. Each has a folder of its own, and ends what it
started by its pid."""

import base64
import contextlib
import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

from harness import run, wait_for

HTTPS_PORT, SSH_PORT = 19443, 19022


def stop(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
        return
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(address, port):
    return lambda: socket.create_connection((address, port), 1).close() is None


class Authority:
    """A certificate authority, and what it signs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.pem = self.folder / "ca.pem"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout",
            self.folder / "ca.key", "-out", self.pem)

    def sign(self, name, address, days=2):
        """Key and certificate for an address, in one file. days < 0: it has expired."""
        key, request, cert = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        names = self.folder / f"{name}.ext"
        names.write_text(f"subjectAltName=IP:{address}\n", encoding="utf-8")
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.folder / "ca.key", "-CAcreateserial",
            "-days", str(days), "-extfile", names, "-out", cert)
        both = self.folder / f"{name}.pem"
        both.write_text(cert.read_text(encoding="utf-8") + key.read_text(encoding="utf-8"), encoding="utf-8")
        return both


NGINX = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  log_format short "{format}";
  access_log {folder}/access.log short;
  client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/fastcgi; proxy_temp_path {folder}/proxy;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  server {{
    listen {address}:{port} ssl;
    ssl_certificate {cert}; ssl_certificate_key {cert};
    ssl_protocols {protocols};
    {auth}
    {extra}
    location / {{
      fastcgi_pass unix:{folder}/cgi.sock;
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_PROJECT_ROOT {root};
      fastcgi_param GIT_HTTP_EXPORT_ALL "";
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      fastcgi_param REMOTE_USER {user};
      fastcgi_param GIT_PROTOCOL {protocol};
    }}
  }}
}}
"""


class Https:
    """nginx with TLS before git http-backend. `token` is asked for where it is given; `extra` goes into the server's block."""

    def __init__(self, repository, address, cert, token=None, extra="", protocols="TLSv1.2 TLSv1.3", port=HTTPS_PORT, version2=True):
        self.folder = repository.bare.parent / f"https-{address}-{port}"
        self.folder.mkdir()
        self.base = f"https://{address}:{port}"
        self.url = f"{self.base}/{repository.bare.name}"
        auth = ""
        if token:
            digest = run("openssl", "passwd", "-apr1", token).stdout.strip()
            (self.folder / "users").write_text(f"node:{digest}\n", encoding="utf-8")
            auth = f'auth_basic git; auth_basic_user_file {self.folder}/users;'
        (self.folder / "nginx.conf").write_text(NGINX.format(
            folder=self.folder, address=address, port=port, cert=cert, auth=auth, extra=extra, root=repository.bare.parent,
            protocols=protocols, protocol="$http_git_protocol" if version2 else '""', user="$remote_user" if token else "anybody",
            format="$connection $request_method $uri $status $request_length $bytes_sent $http_authorization"), encoding="utf-8")
        self.processes = []
        try:
            self._start("fcgiwrap", "-s", f"unix:{self.folder}/cgi.sock", "-c", "4")
            self._start("nginx", "-c", self.folder / "nginx.conf", "-e", self.folder / "nginx.log")
            wait_for(answers(address, port), 30, "nginx")
        except BaseException:
            self.stop()
            raise

    def _start(self, *argv):
        path = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        self.processes.append(subprocess.Popen([str(a) for a in argv], env=path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                               stdin=subprocess.DEVNULL, start_new_session=True))

    def requests(self):
        """What was asked so far: (connection, method, uri, status, bytes in, bytes out)."""
        rows = (line.split() for line in (self.folder / "access.log").read_text(encoding="utf-8").splitlines())
        return [(int(r[0]), r[1], r[2], int(r[3]), int(r[4]), int(r[5])) for r in rows]

    def credentials(self):
        """The words that came as a password so far."""
        rows = (line.split()[6:] for line in (self.folder / "access.log").read_text(encoding="utf-8").splitlines())
        return {row[1] for row in rows if row[:1] == ["Basic"]}

    def stop(self):
        for process in self.processes:
            stop(process)


class Ssh:
    """sshd with one account and one deploy key."""

    def __init__(self, repository, address, port=SSH_PORT):
        self.folder = repository.bare.parent / f"ssh-{address}"
        self.folder.mkdir()
        self.address, self.port = address, port
        self.url = f"ssh://{getpass.getuser()}@{address}:{port}{repository.bare}"
        self.key, self.host_key = self.folder / "deploy", self.folder / "host"
        for key in (self.key, self.host_key, self.folder / "other"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        shutil.copy(f"{self.key}.pub", self.folder / "authorized_keys")
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        (self.folder / "sshd_config").write_text(
            f"ListenAddress {address}\nPort {port}\nHostKey {self.host_key}\nPidFile none\nAuthorizedKeysFile "
            f"{self.folder}/authorized_keys\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
            "PermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\nLogLevel ERROR\nPrintMotd no\n", encoding="utf-8")
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")],
                                        stdout=subprocess.DEVNULL, stderr=open(self.folder / "log", "wb"), start_new_session=True)
        try:
            wait_for(answers(address, port), 30, "sshd")
        except BaseException:
            self.stop()
            raise

    def known_hosts(self, key=None):
        public = pathlib.Path(f"{key or self.host_key}.pub").read_text(encoding="utf-8").split()
        return f"[{self.address}]:{self.port} {public[0]} {public[1]}\n"

    def stop(self):
        stop(self.process)


def basic(user, password):
    """The words of a password on the wire, to look for where they must not be."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class Gate:
    """Stands before a git daemon. What asks to push is held while `hold` says so, then closed while `refuse` does; the rest goes through."""

    PORT = 19556

    def __init__(self, address, behind):
        self.behind, self.hold, self.refuse, self.pushes = behind, False, False, []
        self.url = f"git://{address}:{self.PORT}/{behind.url.rsplit('/', 1)[1]}"
        self.listener, self.ends = socket.create_server((address, self.PORT)), []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                self.ends.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        host, port = self.behind.url.split("/")[2].split(":")
        with contextlib.suppress(OSError), contextlib.closing(connection):
            first = connection.recv(4096)
            if b"git-receive-pack" in first:
                self.pushes.append(time.monotonic())
                while self.hold:
                    time.sleep(0.02)
                if self.refuse:
                    return
            server = socket.create_connection((host, int(port)))
            self.ends.append(server)
            server.sendall(first)
            threading.Thread(target=self._copy, args=(connection, server), daemon=True).start()
            self._copy(server, connection)

    @staticmethod
    def _copy(source, to):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    def stop(self):
        self.hold, self.refuse = False, True
        for end in [self.listener, *self.ends]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
