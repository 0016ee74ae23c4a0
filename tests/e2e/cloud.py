"""A cluster at the doubles of DigitalOcean and Cloudflare, for the tests of dynia bootstrap."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from harness import DYNIA, Failed, SOURCE

sys.path.insert(0, str(SOURCE / "tests"))

from doubles import metadata  # noqa: E402,F401
from doubles.api import Fault  # noqa: E402,F401
from doubles.cloudflare import Cloudflare  # noqa: E402
from doubles.digitalocean import GATEWAY, DigitalOcean  # noqa: E402,F401
from doubles.metadata import Metadata  # noqa: E402,F401

ZONE = "example.com"
MARK = "dynia-cluster:shop"
PACKAGE = ("package: {url: https://downloads.example.com/dynia_0.1.0_amd64.deb, "
           "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}")

CLUSTER = """\
version: 1
domain: example.com
nodes:
{nodes}
{vip}
firewall: {{ssh_from: [198.51.100.0/24], internal: [10.108.0.0/20]}}
provider:
  digitalocean:
    region: sgp1
    vpc: shop
    ip_range: 10.108.0.0/20
    ssh_keys: [ops-laptop]
    cloud_firewall: always
    {package}
    agent: {{repository: https://git.example.com/infra.git}}
dns:
  cloudflare: {{zone: example.com, proxied: true}}
"""
VIP = "vip: {move: digitalocean, interface: eth1}"


def environment(ocean, flare, home):
    """For dynia bootstrap at both doubles."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "DIGITALOCEAN_TOKEN": ocean.token,
            "DIGITALOCEAN_API_URL": ocean.url, "CLOUDFLARE_API_TOKEN": flare.token, "CLOUDFLARE_API_URL": flare.url,
            "DYNIA_API_TIMEOUT": "1s", "DYNIA_API_WAIT": "10ms"}


class Cloud:
    """Both doubles, a repository with one cluster `shop`, and dynia bootstrap run against them."""

    def __init__(self, nodes=("brave-panda", "misty-owl"), hosts=("api", "www"), vip=VIP):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dyc", dir="/tmp"))
        self.ocean, self.flare = DigitalOcean(), Cloudflare(ZONE)
        self.ocean.add_key("ops-laptop")
        self.write(nodes, hosts, vip)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ocean.close()
        self.flare.close()
        shutil.rmtree(self.folder)

    def write(self, nodes, hosts=("api", "www"), vip=VIP):
        lines = "\n".join(f"  {n}: {{}}" if isinstance(n, str) else f"  {n[0]}: {n[1]}" for n in nodes)
        services = self.folder / "clusters/shop/services"
        shutil.rmtree(services, ignore_errors=True)
        services.mkdir(parents=True)
        (self.folder / "clusters/shop/cluster.yaml").write_text(CLUSTER.format(nodes=lines, vip=vip, package=PACKAGE), encoding="utf-8")
        for host in hosts:
            (services / f"{host}.yaml").write_text(
                f"version: 1\nhosts: [{host}.example.com]\nrespond: {{status: 200, body: x}}\n", encoding="utf-8")

    @property
    def env(self):
        return environment(self.ocean, self.flare, self.folder)

    def argv(self, verb, *more):
        return [str(DYNIA), "bootstrap", verb, "--drain", "0", *map(str, more), str(self.folder)]

    def run(self, verb, *more, check=True, env=None, timeout=120):
        done = subprocess.run(self.argv(verb, *more), capture_output=True, text=True, check=False, timeout=timeout,
                              env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise Failed(f"bootstrap {verb}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def json(self, verb, *more, **options):
        return json.loads(self.run(verb, "--json", *more, **options).stdout)

    def picture(self):
        return {**self.ocean.picture(), "records": self.flare.picture()}

    def assert_clean(self):
        """Neither API was sent what it would not take."""
        assert self.ocean.violations == [] and self.flare.violations == []

    @property
    def doubles(self):
        return (self.ocean, self.flare)
