"""From nothing to a fleet: one `dynia bootstrap apply`, and three droplets that boot, install dynia, and serve what a repository says.

What is real: the droplets are machines with systemd (droplets.py), which the double of DigitalOcean makes of nothing but what it was
sent. cloud-init asks the metadata service and does what the user-data says; the installer downloads the package that `make deb` built,
and apt installs it; the agents reach the repository by https (git http-backend behind nginx), and Docker pulls from a registry with TLS.
The repository is closed: its password, and the clouds' tokens for the node that holds the address, are in a folder of the operator's,
and `bootstrap apply` brings them by ssh to each droplet that has proved who it is. Nothing else logs in: what the test wants to know,
it reads from the repository's status refs or a machine's disk, or asks as a visitor.

The image is what a cloud's is (images.py): HAProxy, Caddy, keepalived, Docker and the libraries that the package needs are Debian's own
packages, which apt installs at the first boot from the mirror that the image names. That is an archive with just these, served
here and unsigned. The image believes the authority that signed the certificates of the mirror, the download, the registry and the APIs,
as a company's would.

What cannot be here: cloud-init asks no container whether DigitalOcean made it (droplets.py answers in its place), and does not set the
network up, for there is no udev. The reserved IP is DigitalOcean's to route: who has it is asked of the API, and visitors come to the
nodes' own addresses. The machines share this kernel: its modules, its clock, and the sysctls that are not of a network.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import ssl
import stat
import subprocess
import tempfile
import textwrap
import time
import urllib.error
import urllib.request

import pytest

import docker_host
import git_servers
from cloud import GATEWAY, Cloudflare, DigitalOcean, environment
from droplets import Droplets
from harness import DYNIA, Failed, Repository, fetch, processes_below, run, wait_for
from machine_fleet import connects
from registry import Registry

pytestmark = pytest.mark.heavy

NODES = ("brave-panda", "misty-owl", "calm-heron")
BUSY = "misty-owl"  # its image upgrades itself at the first boot
SECONDS = 300

CLUSTER = """version: 1
domain: example.com
nodes:
  brave-panda: {{priority: 110}}
  misty-owl: {{}}
  calm-heron: {{priority: 90}}
vip: {{address: {address}, move: digitalocean, interface: eth1}}
firewall: {{ssh_from: [{operator}/32], internal: [10.108.0.0/20]}}
provider:
  digitalocean:
    region: sgp1
    image: debian-12-x64
    vpc: shop
    ip_range: 10.108.0.0/20
    ssh_keys: [ops-laptop]
    package: {{url: "{package}", sha256: {sha256}}}
    agent:
      repository: "{repository}"
      credentials: {{username: node, password_file: /etc/dynia/token}}
      interval: 5s
      ca_file: /etc/dynia/ca.pem
      files:
        ca: |
{ca}
dns:
  cloudflare: {{zone: example.com}}
"""

WEB = """version: 1
hosts: [web.example.com]
image: {image}
port: 80
health: {{path: /health, interval: 5s}}
"""

PASSWORD = "t0ken-of-the-nodes"

# Beside the repository: Debian's packages and dynia's, which anybody may have, and the clouds' APIs, which take tokens of their own,
# by https only.
SERVED = """
    location /debian/ {{ auth_basic off; alias {archive}/; }}
    location = /dynia.deb {{ auth_basic off; root {folder}; }}
    location /v2/ {{ auth_basic off; proxy_pass {ocean}; }}
    location /client/v4/ {{ auth_basic off; proxy_pass {flare}; }}
"""

CLOUDS = """[Service]
Environment=DIGITALOCEAN_API_URL={base} CLOUDFLARE_API_URL={base}/client/v4
"""

# The distribution's own upgrades, which hold dpkg's lock as the installer comes.
UPGRADES = """[Unit]
After=cloud-config.service
Before=cloud-final.service
[Service]
ExecStart=/usr/bin/python3 -c "import fcntl, time; file = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(file, fcntl.LOCK_EX); time.sleep(10)"
[Install]
WantedBy=multi-user.target
"""

# Of what a cloud's image has not.
INSTALLED = ("haproxy", "caddy", "keepalived", "docker.io", "docker-compose", "ufw", "libgit2-1.5")

PAGE = """version: 1
hosts: [{host}.example.com]
respond: {{status: 200, body: {body}}}
"""


class Fleet:
    """The repository, what serves it and its neighbours, both clouds, and the droplets that come of it."""

    def __init__(self, folder, package):
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o755)
        self.closing = []
        try:
            self._open(package)
        except BaseException:
            self.close()
            raise

    def _open(self, package):
        self.repository = Repository(self.folder)
        self.droplets = self._until_closed(Droplets(self._image).__enter__())
        self.ocean = self._until_closed(DigitalOcean(boot_seconds=2, on_create=self.droplets.create, on_destroy=self.droplets.destroy))
        self.identity = self.folder / "ops-laptop"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.identity)
        self.ocean.add_key("ops-laptop", public_key=pathlib.Path(f"{self.identity}.pub").read_text(encoding="utf-8").strip())
        self.reserved = self.ocean.add_reserved("sgp1")["ip"]
        self.flare = self._until_closed(Cloudflare("example.com"))
        self.secret = self.folder / "secret"
        self._keep_secrets()
        self.authority = git_servers.Authority(self.folder / "ca")
        cert = self.authority.sign("server", GATEWAY)
        shutil.copy(package, self.folder / "dynia.deb")
        self.server = git_servers.Https(self.repository, GATEWAY, cert, token=PASSWORD, extra=SERVED.format(
            folder=self.folder, archive=self.droplets.archive, ocean=self.ocean.base, flare=self.flare.base))
        self.closing.append(self.server.stop)
        self.registry = Registry(self.folder, GATEWAY, self.authority, cert)
        self.closing.append(self.registry.stop)
        self.images = [self._image_of(n) for n in (1, 2)]
        self.write(self.images[0], "hello")

    def _keep_secrets(self):
        """The operator's folder, as docs/operations.md has it."""
        self.secret.mkdir()
        for name, text in (("token", f"{PASSWORD}\n"),
                           ("secrets.yaml", f"digitalocean-token: {self.ocean.token}\ncloudflare-token: {self.flare.token}\n")):
            (self.secret / name).write_text(text, encoding="utf-8")
            (self.secret / name).chmod(0o600)

    def _until_closed(self, thing):
        self.closing.append(thing.close)
        return thing

    def close(self):
        failed = []
        for close in reversed(self.closing):
            try:
                close()
            except Exception as error:  # pylint: disable=broad-except
                failed.append(error)
        assert not failed, failed

    def _image(self, droplet):
        """What the machine's image has: it believes the authority, and knows its mirror, and the doubles for the clouds."""
        droplet.write("/etc/apt/sources.list.d/debian.list", f"deb [trusted=yes] {self.server.base}/debian ./\n")
        droplet.write("/etc/systemd/system/dynia.service.d/clouds.conf", CLOUDS.format(base=self.server.base))
        shutil.copy(self.authority.pem, droplet.path("/usr/local/share/ca-certificates/company.crt"))
        droplet.enter("update-ca-certificates")
        if droplet.droplet["name"] == f"shop-{BUSY}":
            droplet.write("/etc/systemd/system/upgrades.service", UPGRADES)
            run("systemctl", f"--root={droplet.root}", "enable", "upgrades.service")

    def _image_of(self, number):
        tar, _ = docker_host.web(f"web {number}")
        return self.registry.push("web", str(number), tar, ["/start"])

    def package_digest(self):
        return hashlib.sha256((self.folder / "dynia.deb").read_bytes()).hexdigest()

    def write(self, image, body):
        self.repository.write("clusters/shop/cluster.yaml", CLUSTER.format(
            address=self.reserved, operator=GATEWAY, package=f"{self.server.base}/dynia.deb", sha256=self.package_digest(), repository=self.server.url,
            ca=textwrap.indent(self.authority.pem.read_text(encoding="utf-8").strip(), " " * 10)))
        self.repository.write("clusters/shop/services/web.yaml", WEB.format(image=image))
        self.page("hello", body)
        return self.repository.commit(f"{image}, {body}")

    def page(self, name, body):
        self.repository.write(f"clusters/shop/services/{name}.yaml", PAGE.format(host=name, body=body))

    def bootstrap(self, verb, *more):
        """What it says, and what it says meanwhile."""
        done = subprocess.run([str(DYNIA), "bootstrap", verb, "--drain", "0", "--cluster", "shop", *map(str, more), str(self.repository.tree)],
                              capture_output=True, text=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL,
                              env=environment(self.ocean, self.flare, self.folder))
        if done.returncode != 0:
            raise Failed(f"bootstrap {verb}: {done.returncode}\n{done.stdout}{done.stderr}")
        assert not any(secret in done.stdout + done.stderr for secret in self.secrets())
        return done.stdout, done.stderr

    def apply_with_credentials(self):
        return self.bootstrap("apply", "--credentials", self.secret, "--identity", self.identity)

    def secrets(self):
        """What is for the nodes' eyes only."""
        return PASSWORD, self.ocean.token, self.flare.token

    def at_the_door(self, password=None):
        """What a git client with this password is told."""
        request = urllib.request.Request(f"{self.server.url}/info/refs?service=git-upload-pack")
        if password:
            request.add_header("Authorization", f"Basic {git_servers.basic('node', password)}")
        try:
            with urllib.request.urlopen(request, timeout=30, context=ssl.create_default_context(cafile=self.authority.pem)) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code

    def downloads(self, name):
        """How often this package was fetched from the mirror."""
        return sum(uri.startswith(f"/debian/{name}_") and status == 200 for _, _, uri, status, _, _ in self.server.requests())

    def brought(self, node):
        """What the operator's ssh has brought, with the modes: read from the disk."""
        return {name: (path.read_text(encoding="utf-8"), stat.S_IMODE(path.stat().st_mode), path.stat().st_uid)
                for name in ("token", "secrets.yaml") for path in [self.droplet(node).path(f"/etc/dynia/{name}")] if path.exists()}

    def tags(self, node):
        droplet = next(d for d in self.ocean.droplets.values() if d["name"] == f"shop-{node}")
        return sorted(tag.split(":")[0] for tag in droplet["tags"])

    def status(self, node):
        return self.repository.status(node, "shop")

    def wait_for(self, condition, what):
        try:
            return wait_for(condition, SECONDS, what)
        except TimeoutError as error:
            raise Failed("\n".join([str(error), *(m.said() for m in self.droplets.machines)])) from error

    def wait_for_commit(self, commit, nodes=NODES):
        """These nodes say that they are healthy with it."""
        for node in nodes:
            self.wait_for(lambda name=node: self.is_healthy(name, commit), f"health of {node} at {commit[:7]}")

    def is_healthy(self, node, commit):
        status = self.status(node)
        ready = next(c for c in status["conditions"] if c["type"] == "Ready")
        return status["revision"]["applied"] == commit and ready["status"] == "True"

    def is_one(self):
        """The nodes hear one another, and are of one mind about who holds the address: its name."""
        holders = []
        for node in NODES:
            status = self.status(node)
            assert status["facts"]["address"] in (self.droplet(node).private_address, None), status["facts"]
            ingress = status["ingress"]
            if any(ingress[name]["health"] != "healthy" for name in ("haproxy", "caddy", "vrrp")) or \
                    ingress["haproxy"]["servers_up"] != len(NODES) or ingress["vrrp"]["state"] not in ("MASTER", "BACKUP"):
                return None
            if ingress["vrrp"]["state"] == "MASTER":
                holders.append(node)
        return holders[0] if len(holders) == 1 else None

    def droplet(self, node):
        return self.droplets.machine(f"shop-{node}")

    def ask(self, node, host):
        """As a visitor, at this node."""
        return fetch(self.droplet(node).address, f"{host}.example.com", port=443).body

    def has_reserved_ip(self):
        """The node to whose droplet DigitalOcean sends what comes to the reserved IP."""
        return dict(self.ocean.picture()["reserved"])[self.reserved].removeprefix("shop-")

    def records(self):
        return {name: content for name, _, content, _, _ in self.flare.picture()}


def are_installed(root, *names):
    """Debian's packages, in the machine whose root this is."""
    return all(any((root / "var/lib/dpkg/info").glob(f"{name}*.list")) for name in names)


def brought(said):
    """The nodes to which bootstrap says that it has brought both files."""
    return set(re.findall(r"(?m)^send credentials (\S+): done, .*, 2 files$", said))


def assert_nothing_is_left(folders):
    for folder in map(str, folders):
        assert not os.path.exists(folder)
        assert not processes_below(folder)
        assert f" {folder}/" not in pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8")
        assert not list(pathlib.Path("/sys/fs/cgroup").glob(f"**/{os.path.basename(folder)}*"))
    assert [link for link in run("ip", "-brief", "link").stdout.splitlines() if link.startswith("dyn")] == []


@pytest.fixture(scope="module")
def fleet(package):
    with tempfile.TemporaryDirectory(prefix="dyl", dir="/tmp") as folder, contextlib.closing(Fleet(folder, package)) as fleet:
        yield fleet
        assert fleet.ocean.violations == [] and fleet.flare.violations == []
    assert_nothing_is_left([folder, fleet.droplets.folder])


@pytest.fixture
def clock(tell):
    """Tells what happened, and how many seconds after the last time."""
    last = time.monotonic()

    def happened(what):
        nonlocal last
        now = time.monotonic()
        tell(f"fleet: {what}: {now - last:.1f} s")
        last = now
    return happened


def test_one_command_makes_a_fleet(fleet, clock):
    done, said = fleet.apply_with_credentials()
    assert all(any(node in line and "active" in line for line in done.splitlines()) for node in NODES), done
    assert brought(said) == {*NODES}, said
    clock("bootstrap apply: three droplets booted, installed dynia, and were brought their credentials")
    commit = fleet.repository.git("rev-parse", "HEAD")
    fleet.wait_for_commit(commit)
    clock("they say that they are healthy")
    fleet.wait_for(fleet.is_one, "fleet whose nodes hear one another")
    clock("all nodes know one another, one holds the address")
    for node in NODES:
        assert fleet.ask(node, "web") == "web 1\n" and fleet.ask(node, "hello") == "hello"
        # From the packages, by cloud-init, with what the metadata service said.
        droplet = fleet.droplet(node)
        assert are_installed(droplet.root, "dynia", *INSTALLED)
        assert (droplet.address, "/metadata/v1.json") in fleet.droplets.metadata.asked
        assert fleet.records()[f"{node}.example.com"] == droplet.address
    said = fleet.droplet(BUSY).read("/var/log/cloud-init-output.log")
    assert "Waiting for cache lock" in said and "E: Could not get lock" not in said, said
    for name in INSTALLED:
        assert not are_installed(fleet.droplets.base, name) and fleet.downloads(name) == len(NODES), name
    assert "nothing to do" in fleet.bootstrap("plan")[0]


def test_the_repository_is_closed(fleet):
    """What opens it came by ssh alone, to hosts that were known by then."""
    assert [fleet.at_the_door(password) for password in (None, "guess", PASSWORD)] == [401, 401, 200]
    assert fleet.server.credentials() == {git_servers.basic("node", password) for password in ("guess", PASSWORD)}
    for node in NODES:
        assert not any(secret in fleet.droplet(node).droplet["_user_data"] for secret in fleet.secrets())
        assert fleet.brought(node) == {file.name: (file.read_text(encoding="utf-8"), 0o600, 0) for file in fleet.secret.iterdir()}
        # Known by the host key of its own from now on; what signed it is worth nothing any more.
        assert fleet.tags(node) == ["dynia-cluster", "dynia-host-key"] and not fleet.droplet(node).path("/etc/dynia/contact").exists()
    assert len({fleet.droplet(node).read("/etc/ssh/ssh_host_ed25519_key.pub") for node in NODES}) == len(NODES)


def test_who_holds_the_address_has_the_reserved_ip(fleet, clock):
    # The node that VRRP made the holder need not be the one that bootstrap gave it.
    fleet.wait_for(lambda: fleet.is_one() == fleet.has_reserved_ip(), "reserved IP at the holder")
    clock("the reserved IP is the holder's")


def test_a_merged_commit_reaches_all(fleet, clock):
    fleet.page("new", "new")
    commit = fleet.write(fleet.images[1], "again")
    for node in NODES:
        fleet.wait_for_commit(commit, [node])
        clock(f"the commit is at {node}")
    for node in NODES:
        assert [fleet.ask(node, name) for name in ("web", "hello", "new")] == ["web 2\n", "again", "new"]
    fleet.wait_for(lambda: fleet.records()["new.example.com"] == fleet.reserved, "record of the new host")
    clock("the holder has made the new host's record")


def test_a_machine_that_is_lost_is_replaced(fleet, clock):
    """The one that holds the address: it stops at once, and is nowhere to be found. The repository stays as it is."""
    commit = fleet.repository.git("rev-parse", "HEAD")
    gone = fleet.wait_for(fleet.is_one, "holder")
    others = [node for node in NODES if node != gone]
    before, generation = fleet.droplet(gone), fleet.status(gone)["generation"]
    clock("all are well")
    before.power_cut()
    fleet.ocean.power_off(f"shop-{gone}")
    # DigitalOcean shows it as switched off: whether its disk is worth something, a person knows.
    said, _ = fleet.bootstrap("plan")
    assert "nothing to do" in said and f"take another with --replace {gone}" in said
    fleet.wait_for(lambda: any(fleet.status(node)["ingress"]["vrrp"]["state"] == "MASTER" for node in others), "new holder")
    assert all(fleet.ask(node, "web") == "web 2\n" for node in others)
    clock(f"{gone} was killed, another node holds the address")
    fleet.wait_for(lambda: fleet.has_reserved_ip() in others, "reserved IP at the new holder")
    clock("it has taken the reserved IP")
    fleet.ocean.lose(f"shop-{gone}")
    fleet.wait_for(lambda: not before.folder.exists(), "end of the machine")
    said, _ = fleet.bootstrap("apply")
    assert f"no credentials were brought to {gone}: dynia bootstrap credentials --credentials DIR does that" in said
    clock("bootstrap apply, by somebody who forgets the credentials")
    now = fleet.droplet(gone)
    assert (now.address, now.private_address) != (before.address, before.private_address)
    fleet.wait_for(lambda: "WaitsForCredentials" in now.read("/var/lib/dynia/state.json"), "agent that waits for its credentials")
    assert fleet.brought(gone) == {} and fleet.status(gone)["facts"]["address"] == before.private_address
    # HAProxy and Caddy are there; what they serve as Debian has them, nobody is shown.
    assert are_installed(now.root, *INSTALLED)
    assert not any(connects(now.address, port) for port in (80, 443)) and connects(now.address, 22)
    clock("the new machine has booted and installed dynia, and waits for them")
    _, said = fleet.apply_with_credentials()
    assert brought(said) == {gone}, said
    fleet.wait_for(lambda: fleet.status(gone)["facts"]["address"] == now.private_address, "status of the new machine")
    fleet.wait_for_commit(commit)
    fleet.wait_for(fleet.is_one, "fleet whose nodes hear one another")
    clock("the new machine is one of three")
    assert fleet.repository.git("ls-remote", "origin", "refs/heads/main").split()[0] == commit
    for node in NODES:
        assert fleet.ask(node, "web") == "web 2\n" and fleet.ask(node, "hello") == "again"
    assert fleet.records()[f"{gone}.example.com"] == now.address
    # It knows from its status ref how far the one before had come.
    assert fleet.status(gone)["generation"] >= generation
    assert "nothing to do" in fleet.bootstrap("plan")[0]


def test_another_package_is_not_installed_and_a_node_that_is_named_no_more_goes(fleet, clock):
    """Nothing of it is committed: the three go on as they are."""
    cluster, digest = "clusters/shop/cluster.yaml", fleet.package_digest()
    fleet.repository.replace(cluster, "  misty-owl: {}\n", "  misty-owl: {}\n  late-newt: {}\n")
    fleet.repository.replace(cluster, digest, digest[::-1])
    fleet.bootstrap("apply")
    droplet = fleet.droplet("late-newt")
    fleet.wait_for(lambda: list(droplet.path("/var/lib/cloud/instances").glob("*/boot-finished")), "end of the first boot")
    assert "sha256sum: WARNING" in droplet.read("/var/log/cloud-init-output.log")
    assert droplet.path("/etc/dynia/agent.yaml").exists() and not droplet.path("/usr/bin/dynia").exists()
    clock("a droplet whose package is another one")
    fleet.repository.git("checkout", "--", ".")
    fleet.bootstrap("apply", "--yes")
    fleet.wait_for(lambda: not droplet.folder.exists(), "end of the machine")
    assert "late-newt.example.com" not in fleet.records()
    assert fleet.is_one() and not fleet.repository.has_status("late-newt", "shop")
    clock("it is gone again")
