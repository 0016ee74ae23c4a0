"""A machine with the Debian package, and requests while something happens to it."""

import contextlib
import http.client
import itertools
import shutil
import tempfile
import threading

import harness
from harness import wait_for

PORTS = itertools.count(harness.Daemon.PORT)  # of the git servers: one for each repository, at one address
HOST = "hello.demo.test"
SECONDS = 180


class Requests:
    """Requests without a pause while a block runs: new connections, and one that is kept. None may fail."""

    def __init__(self, address):
        self.address, self.answered, self.failed = address, 0, []
        self.end = threading.Event()
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.new_connections, self.kept_connection)]

    def judge(self, status):
        if status == 200:
            self.answered += 1
        else:
            self.failed.append(status)

    def new_connections(self):
        while not self.end.is_set():
            try:
                self.judge(harness.fetch(self.address, HOST).status)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))

    def kept_connection(self):
        connection = None
        while not self.end.is_set():
            try:
                connection = connection or http.client.HTTPConnection(self.address, harness.CADDY, timeout=10)
                connection.request("GET", "/", headers={"Host": HOST})
                answer = connection.getresponse()
                answer.read()
                self.judge(answer.status)
                if answer.will_close:
                    connection = connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                connection = None

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_for(lambda: self.answered > 20 or self.failed, SECONDS, "first answers")
        return self

    def __exit__(self, *exception):
        before = self.answered
        if not any(exception):
            wait_for(lambda: self.answered > before + 20 or self.failed, SECONDS, "last answers")
        self.end.set()
        for thread in self.threads:
            thread.join(SECONDS)
        if not any(exception):
            assert not self.failed, f"{len(self.failed)} lost, {self.answered} answered: {self.failed[:3]}"


class Agent:
    """A machine on which the package is, and what can be asked of it."""

    def __init__(self, machine, repository):
        self.machine, self.repository = machine, repository
        self.run = machine.run

    def copy(self, package):
        shutil.copy(package, self.machine.path("/root/dynia.deb"))

    def install(self, package):
        self.copy(package)
        return self.run("dpkg", "--install", "/root/dynia.deb", timeout=600)

    def unpack(self, package):
        self.copy(package)
        return self.run("dpkg", "--unpack", "/root/dynia.deb", timeout=600)

    def wait_for(self, condition, what):
        try:
            return wait_for(condition, SECONDS, what)
        except TimeoutError as error:
            raise harness.Failed(f"{error}\n{self.journal()}") from error

    def journal(self):
        return self.run("journalctl", "--no-pager", "--lines=60", check=False).stdout

    def show(self, name):
        return self.run("systemctl", "show", "dynia", f"--property={name}", "--value").stdout.strip()

    @property
    def pid(self):
        return int(self.show("MainPID"))

    def programs(self):
        """Each of HAProxy and Caddy with its pid and start time, as the agent wrote them down."""
        return {name: self.run("cat", f"/run/dynia/{name}.pid").stdout.split() for name in ("haproxy", "caddy")}

    def alive(self):
        return {name: self.run("ps", "-o", "comm=", "-p", pid).stdout.strip() for name, (pid, _) in self.programs().items()}

    def files(self):
        """Inode, size and time of all that the agent manages."""
        return self.run("find", "/opt/dynia", "/etc/logrotate.d/dynia", "-type", "f", "-printf", "%p %i %s %T@\\n").stdout

    def serves(self):
        return harness.fetch(self.machine.address, HOST).status == 200

    def status(self):
        return self.repository.status(self.machine.name)

    def wait_for_pass(self):
        """The agent that runs now has ended a pass: it says so in its unit's status."""
        return self.wait_for(lambda: "healthy at" in self.show("StatusText"), "pass")


@contextlib.contextmanager
def installed(machines, package, name, cluster=()):
    """The package on a machine where agent.yaml came after it, and that serves the demo cluster, with these changes to its file."""
    with tempfile.TemporaryDirectory(prefix="dyp") as folder:
        repository = harness.Repository(folder)
        machine = machines.add(name)
        machine.with_program = False
        shutil.copytree(harness.EXAMPLES / "clusters/demo", repository.tree / "clusters/demo")
        (repository.tree / "clusters/demo/services/motd.yaml").unlink()
        for old, new in (("  brave-panda: {address: 127.0.10.1}\n", ""), ("misty-owl: {address: 127.0.10.2}",
                         f"{name}: {{address: {machine.address}}}"), *cluster):
            repository.replace("clusters/demo/cluster.yaml", old, new)
        repository.commit("first")
        daemon = harness.Daemon(repository, machines.HOST, next(PORTS))
        try:
            machine.boot()
            agent = Agent(machine, repository)
            agent.install(package)
            # Installed and enabled; with nothing to do, it is not started and has not failed.
            assert agent.show("UnitFileState") == "enabled"
            assert (agent.show("ActiveState"), agent.show("ConditionResult")) == ("inactive", "no")
            machine.write("/etc/dynia/agent.yaml",
                          f"version: 1\nrepository: {daemon.url}\ncluster: demo\nnode: {name}\ninterval: 1s\n")
            agent.run("systemctl", "start", "dynia")
            agent.wait_for(agent.serves, "page")
            agent.wait_for_pass()
            yield agent
        finally:
            daemon.stop()
