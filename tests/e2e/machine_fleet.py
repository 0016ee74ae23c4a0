"""Machines (machine.py) whose agents follow one repository, each as its unit, with the limits that this sets.

Machines of two fleets in one test process would meet on its bridge: one fleet a file.
"""

import contextlib
import http.client
import shutil
import socket
import ssl

import harness
from harness import SOURCE, wait_for
from machine import NETWORK, Machines

SECONDS = 180

CLUSTER = """version: 1
domain: demo.test
nodes:
{nodes}ingress:
  runtime: system
  tls: {{mode: files}}
{more}"""

PAGE = """version: 1
hosts: [hello.demo.test]
respond: {status: 200, body: hello}
"""

FIREWALL = "firewall: {{ssh_from: [{ssh_from}], internal: [{network}.0/24]}}\n"


class Fleet:
    """Machines whose agents follow one repository."""

    def __init__(self, folder, names):
        self.repository = harness.Repository(folder)
        self.machines = Machines()
        self.daemon = None
        self.names = names
        self.nodes = []

    def __enter__(self):
        self.machines.__enter__()
        try:
            self.daemon = harness.Daemon(self.repository, self.machines.HOST)
            self.nodes = [self.add(name) for name in self.names]
            self.repository.write("clusters/demo/services/hello.yaml", PAGE)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.machines.close()
        finally:
            if self.daemon:
                self.daemon.stop()

    def add(self, name):
        machine = self.machines.add(name)
        shutil.copy(SOURCE / "packaging/debian/dynia.service", machine.path("/etc/systemd/system/dynia.service"))
        machine.write("/etc/sysusers.d/dynia.conf", (SOURCE / "packaging/debian/dynia.sysusers").read_text(encoding="utf-8"))
        machine.write("/etc/dynia/agent.yaml",
                      f"version: 1\nrepository: {self.daemon.url}\ncluster: demo\nnode: {name}\ninterval: 1s\n")
        return machine

    def write(self, more=""):
        nodes = "".join(f"  {m.name}: {{address: {m.address}}}\n" for m in self.nodes)
        self.repository.write("clusters/demo/cluster.yaml", CLUSTER.format(nodes=nodes, more=more))
        return self.repository.commit("change")

    def boot(self):
        for machine in self.nodes:
            machine.boot()
            # As apt leaves a machine where a person installs them: Caddy shows its welcome page at port 80.
            machine.run("systemctl", "start", "haproxy", "caddy")
            assert "Caddy works" in harness.run("curl", "--silent", "--max-time", "10", f"http://{machine.address}/").stdout
            machine.run("systemd-sysusers")
            machine.run("systemctl", "start", "dynia")

    def status(self, machine):
        return self.repository.status(machine.name)

    def wait_for(self, condition, what):
        try:
            return wait_for(condition, SECONDS, what)
        except TimeoutError as error:
            said = [m.run("journalctl", "--no-pager", "--lines=40", "--unit=dynia", "--unit=keepalived", check=False).stdout
                    for m in self.nodes if m.init]
            raise harness.Failed("\n".join([str(error), *said])) from error

    def wait_for_commit(self, commit):
        for machine in self.nodes:
            def is_there(node=machine):
                status = self.status(node)
                ready = next(c for c in status["conditions"] if c["type"] == "Ready")
                return status["revision"]["applied"] == commit and ready["status"] == "True"
            self.wait_for(is_there, f"{commit[:7]} on {machine.name}")


def connects(address, port, limit=1.0):
    with contextlib.suppress(OSError), socket.create_connection((address, port), limit):
        return True
    return False


def serves(address):
    """The page, by HTTPS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, 443, timeout=10, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/", headers={"Host": "hello.demo.test"})
        return connection.getresponse().status == 200


def firewall(ssh_from="0.0.0.0/0"):
    return FIREWALL.format(ssh_from=ssh_from, network=NETWORK)
