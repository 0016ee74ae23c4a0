"""Droplets of the double that run sshd, for what dynia brings to a new node over ssh, and the operator's folder with credentials."""

import os
import pathlib
import re
import signal
import socket
import stat
import struct
import subprocess
import threading

import yaml

from cloud import Cloud
from harness import DYNIA, run, wait_for

TOKEN = "t0ken-that-nobody-sees"
AGENT = ("agent: {repository: https://git.example.com/infra.git, "
         "credentials: {username: x-access-token, password_file: /etc/dynia/token}}")
PAIR = ("brave-panda", "misty-owl")


def address(i):
    return f"127.0.91.{i + 1}"


class Host:
    """A machine at an address: its first boot from user-data, and sshd, whose one command is the node's end of the delivery."""

    def __init__(self, folder, where, identity):
        self.root, self.where, self.identity = folder, where, identity
        self.process = None
        for path in ("etc/ssh", "etc/dynia", "bin"):
            (self.root / path).mkdir(parents=True)
        self.key = self.root / "etc/ssh/ssh_host_ed25519_key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.key)
        self.received = self.root / "received"
        self.answer_with(f"exec {DYNIA} credentials install --root {self.root}")

    def answer_with(self, command):
        """What is run instead of what the client asks for, which is looked at."""
        shell = self.root / "bin/answer"
        shell.write_text(f'#!/bin/sh\n[ "$SSH_ORIGINAL_COMMAND" = "dynia credentials install" ] || exit 99\n{command}\n', encoding="utf-8")
        shell.chmod(0o755)

    def swallow(self):
        """As an impostor: takes down what it is sent."""
        self.answer_with(f"cat >{self.received}; echo '{{}}'")

    def first_boot(self, user_data):
        """cloud-init's part: files, and the script up to where it installs packages."""
        files = {f["path"]: f for f in yaml.safe_load(user_data)["write_files"]}
        for path, file in files.items():
            target = self.root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file["content"], encoding="utf-8")
            target.chmod(int(file["permissions"], 8))
        script = re.search(r"(?ms)^key=.*?^fi\n", files["/usr/local/sbin/dynia-first-boot"]["content"])[0]
        (self.root / "bin/systemctl").write_text(f'#!/bin/sh\n[ "$*" = "try-reload-or-restart ssh.service" ] && : >{self.root}/reloaded\n', encoding="utf-8")
        (self.root / "bin/systemctl").chmod(0o755)
        run("sh", "-euc", re.sub(r"/etc/(ssh|dynia)\b", rf"{self.root}/etc/\1", script),
            env={"PATH": f"{self.root}/bin:{os.environ['PATH']}"})
        assert (self.root / "reloaded").exists() and not (self.root / "etc/dynia/contact").exists()

    def start(self):
        more = [p.read_text(encoding="utf-8") for p in sorted(self.root.glob("etc/ssh/sshd_config.d/*.conf"))]
        (self.root / "authorized_keys").write_text(f'restrict,command="{self.root}/bin/answer" {pathlib.Path(f"{self.identity}.pub").read_text(encoding="utf-8")}',
                                                   encoding="utf-8")
        (self.root / "sshd_config").write_text(
            f"ListenAddress {self.where}\nPort 22\nHostKey {self.key}\nPidFile none\nAuthorizedKeysFile {self.root}/authorized_keys\n"
            "StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPermitRootLogin prohibit-password\n"
            "LogLevel VERBOSE\nPrintMotd no\n" + "".join(more), encoding="utf-8")
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        with open(self.root / "log", "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(self.root / "sshd_config")], stdout=subprocess.DEVNULL,
                                            stderr=log, start_new_session=True)
        wait_for(lambda: socket.create_connection((self.where, 22), 5).close() is None, 30, "sshd")
        return self

    def stop(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def read(self, name):
        path = self.root / "etc/dynia" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return path.read_text(encoding="utf-8")

    def has(self, name):
        return (self.root / "etc/dynia" / name).exists()

    @property
    def logins(self):
        return (self.root / "log").read_text(encoding="utf-8").count("Accepted publickey")


class Dragging:
    """What answers as an ssh server does, and then says nothing that leads on, for as long as it is open: no deadline of ssh's own is met."""

    IGNORE = struct.pack(">IBBI6x", 12, 6, 2, 0)

    def __init__(self, where):
        self.closing = threading.Event()
        self.listener = socket.create_server((where, 22))
        self.listener.settimeout(0.05)
        self.open = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.closing.wait(0.05):
            try:
                connection, _ = self.listener.accept()
                connection.sendall(b"SSH-2.0-dragging\r\n")
                self.open.append(connection)
            except OSError:
                pass
            for connection in self.open:
                try:
                    connection.sendall(self.IGNORE)
                except OSError:
                    pass

    def close(self):
        self.closing.set()
        self.thread.join(10)
        for end in (self.listener, *self.open):
            end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Fleet(Cloud):
    """Droplets that boot as Hosts, and the operator's folder with credentials."""

    def __init__(self, names=PAIR):
        self.hosts, self.boots, self.ssh_log = {}, True, None
        super().__init__(nodes=[(name, f"{{public_address: {address(i)}}}") for i, name in enumerate(names)], hosts=("api",))
        self.names = names
        self.ocean.on_create = self.boot
        self.identity = self.folder / "ops"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.identity)
        file = self.folder / "clusters/shop/cluster.yaml"
        file.write_text(file.read_text(encoding="utf-8").replace("agent: {repository: https://git.example.com/infra.git}", AGENT), encoding="utf-8")
        self.secret = self.folder / "secret"
        self.secret.mkdir()
        self.bring("token", TOKEN + "\n")
        # What ssh is started with.
        self.ssh_log = self.folder / "ssh-log"
        wrapper = self.folder / "bin/ssh"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\n{{ tr "\\0" " " </proc/$$/cmdline; tr "\\0" " " </proc/$$/environ; echo; }} >>{self.ssh_log}\nexec /usr/bin/ssh "$@"\n',
                           encoding="utf-8")
        wrapper.chmod(0o755)

    def __exit__(self, *more):
        for host in self.hosts.values():
            host.stop()
        super().__exit__(*more)

    def keys(self):
        """The tags by which ssh knows the droplets."""
        return {tag for tag in self.ocean.tags if tag.startswith(("dynia-contact:", "dynia-host-key:"))}

    @property
    def env(self):
        return {**super().env, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def bring(self, name, text, mode=0o600):
        file = self.secret / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)

    def add(self, name, identity=None):
        index = self.names.index(name)
        host = Host(self.folder / f"host-{name}-{len(list(self.folder.glob('host-*')))}", address(index), identity or self.identity)
        if name in self.hosts:
            self.hosts[name].stop()
        self.hosts[name] = host
        return host

    def boot(self, droplet):
        name = droplet["name"].removeprefix("shop-")
        if self.boots:
            host = self.add(name)
            host.first_boot(droplet["_user_data"])
            host.start()

    def options(self, timeout="30s"):
        return ["--credentials", self.secret, "--identity", self.identity, "--timeout", timeout]

    def tags(self, name):
        return sorted(next(d for d in self.ocean.droplets.values() if d["name"] == f"shop-{name}")["tags"])

    def kinds(self, name):
        return [tag.split(":", 1)[0] for tag in self.tags(name)]

    def ssh_processes(self):
        """The pids of every ssh with the fleet's key."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if str(self.identity) in (path / "cmdline").read_text(encoding="utf-8").split("\0")[1:] and (path / "comm").read_text(encoding="utf-8") == "ssh\n":
                    found.append(int(path.name))
            except OSError:
                pass
        return found

    def kill_when(self, happened, verb="apply"):
        """An apply that is killed once something has happened."""
        with open(self.folder / "killed", "wb") as out:
            process = subprocess.Popen(self.argv(verb, *self.options()), env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_for(happened, 60, "the moment to be killed")
        finally:
            process.kill()
            process.wait()
