"""A site of one node whose services run in containers of the tests' own dockerd."""

import contextlib
import json
import threading
import time

import harness

CLUSTER = "clusters/demo/cluster.yaml"


class DockerSite:
    """A repository with one cluster, and its node; `host` is a docker_host.DockerHost."""

    def __init__(self, site, host, interval="1s", socket=None):
        self.site, self.host, self.repository = site, host, site.repository
        self.network = f"edge-{site.address(1).replace('.', '-')}"
        subnet = ".".join(["10", *site.network.split(".")[1:3], "0"])
        self.write(CLUSTER, f"""version: 1
nodes: {{brave-panda: {{address: {site.address(1)}}}}}
ingress:
  runtime: process
  http_port: {harness.HTTP}
  https_port: {harness.HTTPS}
  caddy_port: {harness.CADDY}
  health_port: {harness.HEALTH}
  stats: {{port: {harness.STATS}}}
  tls: {{mode: files}}
network: {{name: {self.network}, subnet: {subnet}/24}}
rollout: {{health_timeout: 30s}}
""")
        self.node = site.node("brave-panda", 1, interval=interval)
        config = self.node.root / "etc/dynia/agent.yaml"
        config.write_text(config.read_text(encoding="utf-8") + f"docker: {socket or host.socket}\n", encoding="utf-8")

    def write(self, path, text):
        self.repository.write(path, text)

    def service(self, name, text, **files):
        """The definition of a service, with files of its folder."""
        self.write(f"clusters/demo/services/{name}/service.yaml",
                   f"version: 1\nhosts: [{name}.test]\n" + text)
        for path, content in files.items():
            self.write(f"clusters/demo/services/{name}/{path}", content)

    def image(self, name, image, *more):
        lines = [f"image: dynia.test/{image}", "port: 80", *more]
        self.service(name, "\n".join(lines) + "\n")

    def commit(self, message="change"):
        return self.repository.commit(message)

    def once(self, check=True):
        return self.node.once(check=check, timeout=600)

    def passes(self, condition, seconds=300, what="state"):
        """Makes passes until the condition holds."""
        def attempt():
            self.once(check=False)
            return condition()
        return harness.wait_for(attempt, seconds, what)

    def settle(self):
        """Makes passes until the node is healthy at the branch's tip."""
        tip = self.repository.git("rev-parse", "HEAD")

        def healthy():
            status = self.status()
            ready = next(c for c in status["conditions"] if c["type"] == "Ready")
            return status["revision"]["applied"] == tip and ready["status"] == "True" and status
        return self.passes(healthy, 300, f"health at {tip[:7]}: {self.condition('Ready') if self.has_status() else ''}")

    def has_status(self):
        return self.repository.has_status("brave-panda")

    def status(self):
        return self.repository.status("brave-panda")

    def condition(self, kind):
        return next(c for c in self.status()["conditions"] if c["type"] == kind)

    def text(self, name, path="/"):
        answer = self.node.fetch(f"{name}.test", path)
        return answer.body if answer.status == 200 else answer.status

    def containers(self, *labels):
        return self.host.engine.containers(f"dynia.root={self.node.root}", *labels)

    def container(self, service, part=None):
        """Inspected; the one in its own place."""
        found = [c for c in self.containers(f"dynia.service={service}", f"com.docker.compose.service={part or service}")
                 if "dynia.surge" not in c["Labels"]]
        assert len(found) == 1, [c["Names"] for c in found]
        return self.host.engine.inspect(found[0]["Id"])

    def plan(self):
        """What a dry run would do: lines."""
        return self.node.once("--dry-run", check=False).stdout

    def causes(self):
        return {c["action"]: c["because"] for c in self.status()["causes"]}

    def state(self):
        return json.loads((self.node.root / "var/lib/dynia/state.json").read_text(encoding="utf-8"))


class Client:
    """Asks a service again and again, and counts what it gets."""

    def __init__(self, docker_site, name):
        self.site, self.name = docker_site, name
        self.answers, self.failures, self.stopped = {}, [], threading.Event()

    def _run(self):
        while not self.stopped.is_set():
            try:
                answer = self.site.node.fetch(f"{self.name}.test")
                if answer.status == 200:
                    self.answers[answer.body] = self.answers.get(answer.body, 0) + 1
                else:
                    self.failures.append(answer.status)
            except OSError as error:
                self.failures.append(repr(error))
            time.sleep(0.005)

    @contextlib.contextmanager
    def asking(self):
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self.stopped.set()
            thread.join()
