"""Droplets: what the double of DigitalOcean is asked to create boots as a machine (machine.py), and is gone when it is deleted.

A droplet's network is as DigitalOcean's: eth0 with the public address and the anchor address, eth1 with the one in the VPC. It asks
the metadata service who it is, and cloud-init does what the user-data says.

    with Droplets() as droplets, DigitalOcean(on_create=droplets.create, on_destroy=droplets.destroy) as ocean:
        ...
        droplets.machine("shop-brave-panda").run("systemctl", "status")
"""

import threading

import images
from cloud import GATEWAY, Metadata, metadata
from harness import run, wait_for
from machine import BRIDGE, Machine, Machines

VPC_BRIDGE = "dynia1"
SOURCE = "DataSourceDroplet"

# cloud-init asks no container for its maker's name, which for a droplet is DigitalOcean. All but that answer is its own.
DATA_SOURCE = """from cloudinit.sources import DEP_FILESYSTEM, DataSourceDigitalOcean, list_from_depends

class DataSourceDroplet(DataSourceDigitalOcean.DataSourceDigitalOcean):
    def _get_sysinfo(self):
        return (True, None)

def get_datasource_list(depends):
    return list_from_depends(depends, [(DataSourceDroplet, (DEP_FILESYSTEM,))])
"""

# The network is there already, and its interfaces are no hardware; a minimal root has no locales. As DigitalOcean's images have it,
# the account's keys are root's.
CONFIG = """datasource_list: [Droplet]
datasource: {DigitalOcean: {use_ip4LL: false}}
network: {config: disabled}
locale: false
disable_root: false
"""


class Droplet(Machine):
    """One of them; `droplet` is what the double knows of it."""

    def __init__(self, machines, number, droplet):
        super().__init__(machines, f"{droplet['name']}-{droplet['id']}", number)
        self.with_program = False  # the package brings it
        self.droplet = droplet
        self.links = {f"dyn{number}p": BRIDGE, f"dyn{number}v": VPC_BRIDGE}
        public, private = self.links
        self.network = (f"--network-veth-extra={public}:eth0", f"--network-veth-extra={private}:eth1")
        self.address = metadata.public_address(droplet)
        self.private_address = metadata.private_address(droplet)

    def prepare(self):
        super().prepare()
        self.path("/etc/hostname").unlink()
        self.write("/etc/hosts", "127.0.0.1 localhost\n")
        self.addresses(*(f"link set {name} address {metadata.mac(self.droplet, kind)}" for name, kind in (("eth0", "public"), ("eth1", "private"))),
                       f"address add {self.address}/16 dev eth0", f"address add {metadata.anchor(self.droplet)}/16 dev eth0",
                       f"address add {self.private_address}/20 dev eth1", "link set eth0 up", "link set eth1 up",
                       f"route replace default via {GATEWAY}")
        self.write(f"/usr/lib/python3/dist-packages/{SOURCE}.py", DATA_SOURCE)
        self.write("/etc/cloud/cloud.cfg.d/99-test.cfg", CONFIG)
        # As Debian has it where these packages are installed.
        run("systemctl", f"--root={self.root}", "enable", *images.stopped(self.root))
        # Debian's own mirrors cannot be reached: self.machines.image() names another one.
        self.path("/etc/apt/sources.list.d/0000debian.sources").unlink()
        self.machines.image(self)

    def start(self):
        super().start()
        for link, bridge in self.links.items():
            run("ip", "link", "set", link, "master", bridge, "up")

    def said(self):
        """What it has to say where it does not do what it should."""
        shown = [f"--- {self.name}", self.console()[-500:]]
        for argv in (("tail", "-n", "30", "/var/log/cloud-init-output.log"), ("journalctl", "--no-pager", "--lines=40", "--unit=dynia")):
            if self.init:
                shown.append(self.run(*argv, check=False).stdout)
        return "\n".join(shown)


class Droplets(Machines):
    """All of them, and what is around them: the networks and the metadata service. `image` is called with each before it boots: what
    the image has that they are made of."""

    HOST = GATEWAY  # this side of the public network

    def __init__(self, image=lambda droplet: None):
        super().__init__(images.bare())
        self.archive = images.archive()
        self.image = image
        self.lock = threading.Lock()
        self.threads, self.failed = [], []
        self.metadata = None

    def __enter__(self):
        try:
            self.bridge(BRIDGE, f"{GATEWAY}/16", f"{metadata.ADDRESS}/32")
            self.bridge(VPC_BRIDGE)
            self.metadata = Metadata(lambda: [m.droplet for m in self.machines])
        except BaseException:
            self.close()
            raise
        return self

    def create(self, droplet):
        """The API answers at once; it boots meanwhile."""
        self._meanwhile(self._boot, droplet)

    def _boot(self, droplet):
        with self.lock:
            machine = self.add(droplet["name"], lambda machines, _, number: Droplet(machines, number, droplet))
        machine.start()

    def destroy(self, droplet):
        """Likewise its power and its disk go meanwhile: a wait for them is a wait until its folder is gone."""
        for machine in [m for m in self.machines if m.droplet["id"] == droplet["id"]]:
            self.machines.remove(machine)
            self._meanwhile(machine.remove)

    def _meanwhile(self, work, *argv):
        def run_it():
            try:
                work(*argv)
            except Exception as error:  # pylint: disable=broad-except
                self.failed.append(error)
        thread = threading.Thread(target=run_it, daemon=True)
        self.threads.append(thread)
        thread.start()

    def machine(self, name):
        """The one with this name, once it runs."""
        def found():
            if self.failed:
                raise self.failed[0]
            return next((m for m in self.machines if m.droplet["name"] == name and m.init), None)
        return wait_for(found, 120, name)

    def close(self):
        for thread in self.threads:
            thread.join()
        try:
            if self.metadata:
                self.metadata.close()
        finally:
            super().close()
            self.remove_bridge(VPC_BRIDGE)
