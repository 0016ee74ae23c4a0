"""A node by each ingress.runtime, with one face: what a test of all runtimes needs of it.

    process    below a folder, in the test's own network namespace
    container  the same, with a dockerd
    system     a machine of its own, with systemd (machine.py)
"""

import contextlib
import os
import pathlib
import signal
import socket

from docker_host import Root
from harness import CADDY, HEALTH, HTTP, HTTPS, STATS, Daemon, Site, fetch, start_time, wait_for
from machine import Machines

CLUSTER = """version: 1
domain: demo.test
nodes:
  brave-panda: {{address: {address}}}
ingress:
  runtime: {runtime}
  http_port: {http}
  https_port: {https}
  caddy_port: {caddy}
  health_port: {health}
  stats: {{port: {stats}}}
  tls: {{mode: files}}
{more}"""

PAGE = """version: 1
hosts: [{name}.demo.test]
respond: {{status: 200, body: {body}}}
"""


class Host:
    """A repository with one cluster, its server, and one node of the runtime."""

    runtime = None
    def __init__(self):
        self.site = Site()
        self.repository = self.site.repository
        self.daemon = None
        self.more = ""

    # what differs: self.address, self.root (where its files are seen from here), self.once(), self.namespace()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            if self.daemon:
                self.daemon.stop()
        finally:
            self.site.close()

    def serve(self, address):
        self.daemon = Daemon(self.repository, address)
        return self.daemon.url

    def cluster(self, runtime=None, http=HTTP, more=None):
        """Writes cluster.yaml; what is not said is as it was."""
        self.runtime = runtime or self.runtime
        self.more = self.more if more is None else more
        self.repository.write("clusters/demo/cluster.yaml", CLUSTER.format(
            address=self.address, runtime=self.runtime, http=http, https=HTTPS, caddy=CADDY, health=HEALTH, stats=STATS,
            more=self.more))

    def page(self, name, body):
        self.repository.write(f"clusters/demo/services/{name}.yaml", PAGE.format(name=name, body=body))

    def fetch(self, name, path="/", **options):
        return fetch(self.address, f"{name}.demo.test", path, **options)

    def status(self):
        return self.repository.status("brave-panda")

    def condition(self, kind):
        return next(c for c in self.status()["conditions"] if c["type"] == kind)

    def path(self, path):
        return self.root / path.lstrip("/")

    def kill(self, program, sig=signal.SIGKILL):
        pid = self.pid(program)
        os.kill(pid, sig)
        wait_for(lambda: start_time(pid) is None, 30, f"end of {program}")

    def agent_yaml(self, url):
        return f"version: 1\nrepository: {url}\ncluster: demo\nnode: brave-panda\ninterval: 1s\ndeadline: 10s\n"


class ProcessHost(Host):
    """Below a folder."""

    runtime = "process"
    files = {"caddy": "/opt/dynia/caddy/Caddyfile", "haproxy": "/opt/dynia/haproxy/haproxy.cfg", "certs": "/opt/dynia/haproxy/certs"}

    def __init__(self):
        super().__init__()
        self.node = self.site.node("brave-panda", 1)
        self.address, self.root = self.node.address, self.node.root

    def once(self, *more, check=True):
        return self.node.once(*more, check=check)

    def start_agent(self):
        self.node.start()

    def stop_agent(self):
        self.node.stop_agent()

    def pid(self, program):
        return self.node.pid(program)

    @contextlib.contextmanager
    def port_taken(self, port):
        with socket.socket() as taken:
            taken.bind((self.address, port))
            taken.listen()
            yield

    def ended(self):
        """Nothing of it runs any more."""
        return not any(self.pid(program) for program in ("haproxy", "caddy"))


class SystemHost(Host):
    """A machine with systemd."""

    runtime = "system"
    files = {"caddy": "/etc/caddy/Caddyfile", "haproxy": "/etc/haproxy/haproxy.cfg", "certs": "/etc/haproxy/certs"}

    def __init__(self):
        super().__init__()
        self.machines = Machines()
        self.agent = None
        try:
            self.machines.__enter__()
            self.machine = self.machines.add("brave-panda")
            self.address, self.root = self.machine.address, self.machine.root
            self.machine.write("/etc/dynia/agent.yaml", self.agent_yaml(self.serve(self.machines.HOST)))
            self.machine.boot()
        except BaseException:
            self.close()
            raise

    def close(self):
        try:
            self.machines.close()
        finally:
            super().close()

    def path(self, path):
        # /run is not on the disk: it is seen through the machine's init.
        return pathlib.Path(f"/proc/{self.machine.init}/root") / path.lstrip("/")

    def once(self, *more, check=True):
        return self.machine.run("dynia", "reconcile", "--once", *more, check=check)

    def systemctl(self, *argv, check=True):
        return self.machine.run("systemctl", *argv, check=check).stdout.strip()

    def pid(self, program):
        """The unit's main process, as it is numbered here; None where it does not run."""
        inside = int(self.systemctl("show", "--property=MainPID", "--value", f"{program}.service"))
        return self.outside(inside) if inside else None

    def outside(self, inside):
        """The same process's number here."""
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                numbers = next(line for line in (entry / "status").read_text(encoding="utf-8").splitlines()
                               if line.startswith("NSpid:")).split()[1:]
                if numbers[-1] == str(inside) and len(numbers) > 1 and \
                        os.readlink(entry / "ns/pid") == os.readlink(f"/proc/{self.machine.init}/ns/pid"):
                    return int(entry.name)
        return None

    @contextlib.contextmanager
    def port_taken(self, port):
        unit = f"taken-{port}"
        self.machine.run("systemd-run", f"--unit={unit}", "python3", "-c",
                         f"import socket, time; s = socket.create_server(('', {port})); time.sleep(3600)")
        try:
            wait_for(lambda: f":{port} " in self.machine.run("ss", "-Hltn").stdout, 60, "taken port")
            yield
        finally:
            self.machine.run("systemctl", "stop", f"{unit}.service", check=False)


class ContainerHost(ProcessHost):
    """Below a folder, with HAProxy and Caddy in containers around this machine's own programs."""

    runtime = "container"
    IMAGES = {"haproxy": "/usr/sbin/haproxy", "caddy": "/usr/bin/caddy"}

    def __init__(self, docker):
        super().__init__()
        self.docker = docker
        for name, program in self.IMAGES.items():
            root = Root()
            root.busybox()
            root.program(program)
            docker.image(f"dynia.test/{name}:1", root.finish(), [f'CMD ["{program}"]'])
        agent = self.path("/etc/dynia/agent.yaml")
        agent.write_text(agent.read_text(encoding="utf-8") + f"docker: {docker.socket}\n", encoding="utf-8")

    def cluster(self, runtime=None, http=HTTP, more=None):
        images = ", ".join(f"{name}: 'dynia.test/{name}:1'" for name in self.IMAGES)
        super().cluster(runtime, http, f"  images: {{{images}}}\n{more or ''}")

    def containers(self, program):
        return self.docker.engine.containers(f"dynia.ingress={self.root} {program}")

    def pid(self, program):
        """As it is numbered here: the daemon has a pid namespace of its own."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                inside = int(pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").split("NSpid:")[1].split("\n")[0].split()[-1])
                if os.path.basename(command.split(b"\0")[0]) == program.encode() and inside == 1 and \
                        os.fsencode(f"{self.root}/") in command:
                    return int(pid)
        return None

    def close(self):
        try:
            for program in self.IMAGES:
                for container in self.containers(program):
                    self.docker.engine.delete(f"/containers/{container['Id']}", force=True)
        finally:
            super().close()


def make(runtime, request):
    """The host of a runtime; a dockerd only where it is asked for."""
    if runtime == "container":
        return ContainerHost(request.getfixturevalue("docker_session"))
    return {"process": ProcessHost, "system": SystemHost}[runtime]()


RUNTIMES = ("container", "process", "system")
