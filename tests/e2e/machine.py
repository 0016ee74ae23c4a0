"""Whole Debian machines with systemd, in systemd-nspawn: for what is only true where there is an init, units and a firewall.

Each machine is an overlay on a root file system that is made once (images.py), and is gone with the machine. Machines hang on one
bridge in the network namespace of the test process (docker_host.isolate()), so that those of two test processes cannot meet, and the
test itself has the bridge's first address.

    with Machines() as machines:
        machine = machines.boot("brave-panda")
        machine.run("systemctl", "is-active", "haproxy")
        machine.power_cut()
"""

import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import cgroups
import images
from harness import DYNIA, Failed, run, start_time, wait_for

BRIDGE = "dynia0"
NETWORK = "10.77.0"

# systemd-networkd would wait for a udev that is not there.
ADDRESS = """[Unit]
DefaultDependencies=no
Wants=network.target
Before=network.target network-online.target cloud-init-local.service
[Service]
Type=oneshot
RemainAfterExit=yes
{lines}
[Install]
WantedBy=multi-user.target
"""


class Machine:
    """One machine: boot() starts it, and it can be cut off or lose its power."""

    def __init__(self, machines, name, number):
        self.machines, self.name = machines, name
        self.address = f"{NETWORK}.{number}"
        self.folder = machines.folder / name
        self.root = self.folder / "root"
        # Two machines in one would end one another's services.
        self.group = cgroups.Group(f"{machines.folder.name}-{name}")
        self.with_program = True  # the one under test; False where a package brings it
        self.nspawn = None
        self.init = None

    # --- before it boots -------------------------------------------------------------------------------------------------

    def prepare(self):
        """The overlay. What is put below self.root before boot() is there when it boots."""
        for part in ("root", "upper", "work", "docker"):
            (self.folder / part).mkdir(parents=True)
        self._mount()
        self.write("/etc/hostname", self.name + "\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        self.addresses(f"address add {self.address}/24 dev host0", "link set host0 up", f"route replace default via {NETWORK}.1")

    def addresses(self, *commands):
        """What ip is to do when it boots, before anything needs the network."""
        self.write("/etc/systemd/system/test-address.service",
                   ADDRESS.format(lines="\n".join(f"ExecStart=/sbin/ip {command}" for command in commands)))
        run("systemctl", f"--root={self.root}", "enable", "test-address.service")

    def _mount(self):
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={self.machines.base},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}", self.root)

    def path(self, path):
        return self.root / str(path).lstrip("/")

    def write(self, path, text, mode=0o644):
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_symlink():
            file.unlink()
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)

    def read(self, path):
        return self.path(path).read_text(encoding="utf-8")

    def enter(self, *argv):
        """Runs a program of its own on its files."""
        return run("chroot", self.root, *argv, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})

    # --- its life --------------------------------------------------------------------------------------------------------

    network = (f"--network-bridge={BRIDGE}",)

    def boot(self):
        self.start()
        try:
            wait_for(self._has_booted, 120, f"boot of {self.name}")
        except TimeoutError as error:
            raise Failed(f"{error}\n{self.console()[-3000:]}") from error
        return self

    def start(self):
        """Until it has an init; what that starts may take its time."""
        env = {**os.environ, "SYSTEMD_SECCOMP": "0", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1"}
        with open(self.folder / "console", "ab") as console:
            self.nspawn = subprocess.Popen(self.group.argv(
                "systemd-nspawn", "--quiet", "-D", str(self.root), "--register=no", "--keep-unit", "-M", self.name,
                *self.network, "--capability=all", "--resolv-conf=off", "--timezone=off", "--console=pipe",
                f"--bind={self.folder / 'docker'}:/var/lib/docker",
                *([f"--bind-ro={DYNIA}:/usr/bin/dynia"] if self.with_program else []), "-b"),
                env=env, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
        try:
            self.init = wait_for(self._find_init, 60, f"init of {self.name}")
        except TimeoutError as error:
            raise Failed(f"{error}\n{self.console()[-3000:]}") from error

    def console(self):
        return (self.folder / "console").read_text(encoding="utf-8", errors="replace")

    def _find_init(self):
        if self.nspawn.poll() is not None:
            raise Failed(f"systemd-nspawn: {self.nspawn.returncode}\n{self.console()[-3000:]}")
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text(encoding="utf-8").split()
        for pid in children:
            if pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "systemd":
                return int(pid)
        return None

    def _has_booted(self):
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def argv(self, *argv):
        """For a program inside, started from here."""
        return ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-C", "--", *map(str, argv)]

    def run(self, *argv, check=True, **options):
        return run(*self.argv(*argv), check=check, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"},
                   **options)

    def power_cut(self):
        """At once, with nothing written that was not; boot() starts it again with the disk that it had."""
        if self.init and start_time(self.init):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.init, signal.SIGKILL)
        if self.nspawn:
            try:
                self.nspawn.wait(30)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait(30)
        self.nspawn = self.init = None
        self.group.remove()

    def link(self, up):
        """Its cable: down is a partition."""
        run("ip", "link", "set", f"vb-{self.name}"[:15], "up" if up else "down")

    def remove(self):
        self.power_cut()
        # The mounts of what ran inside go a moment after it.
        end = time.monotonic() + 30
        while os.path.ismount(self.root) and time.monotonic() < end:
            if run("umount", self.root, check=False).returncode != 0:
                time.sleep(0.1)
        if os.path.ismount(self.root):
            run("umount", "--lazy", self.root)
        shutil.rmtree(self.folder, ignore_errors=True)


class Machines:
    """The bridge, the cache, and the machines of one test: `with Machines() as machines:` leaves nothing behind."""

    HOST = f"{NETWORK}.1"  # this side of the bridge

    def __init__(self, base=None):
        self.base = base or images.full()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dym", dir="/var/tmp"))
        self.machines, self.numbers = [], itertools.count(10)

    def __enter__(self):
        try:
            self.bridge(BRIDGE, f"{self.HOST}/24")
        except BaseException:
            self.close()
            raise
        return self

    @staticmethod
    def bridge(name, *addresses):
        # One with no address of its own takes that of a machine, and another one when that goes: nobody would find it for a minute.
        run("ip", "link", "add", name, "address", "02:00:00:00:00:01", "type", "bridge")
        for address in addresses:
            run("ip", "address", "add", address, "dev", name)
        run("ip", "link", "set", name, "up")
        # A dockerd that ran in this network forwards nothing but its own, and what crosses a bridge counts as forwarded.
        run("iptables", "-w", "-I", "FORWARD", "-i", name, "-j", "ACCEPT")

    @staticmethod
    def remove_bridge(name):
        run("iptables", "-w", "-D", "FORWARD", "-i", name, "-j", "ACCEPT", check=False)
        run("ip", "link", "delete", name, check=False)

    def __exit__(self, *_):
        self.close()

    def add(self, name, kind=Machine):
        """A machine that has not booted yet."""
        machine = kind(self, name, next(self.numbers))
        self.machines.append(machine)
        machine.prepare()
        return machine

    def boot(self, name):
        return self.add(name).boot()

    def close(self):
        try:
            for machine in self.machines:
                machine.remove()
        finally:
            self.remove_bridge(BRIDGE)
            shutil.rmtree(self.folder, ignore_errors=True)
