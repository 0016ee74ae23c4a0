"""Root file systems of Debian machines: made once with mmdebstrap, and kept in a cache by their recipe.

full() has everything installed that a node needs. bare() is what a cloud's image is, and archive() holds what becomes of it a node:
.deb files with an index, as apt wants them ("deb [trusted=yes] URL ./").
"""

import fcntl
import hashlib
import inspect
import pathlib
import shutil

import docker_host
from harness import run

CLOUD = sorted("""
    systemd systemd-sysv dbus libpam-systemd iproute2 procps kmod curl ca-certificates openssl openssh-client openssh-server
    logrotate rsyslog cron cloud-init apparmor less libglib2.0-0 netbase pciutils xz-utils
""".split())

NODE = sorted("""
    haproxy caddy keepalived ufw iptables git busybox-static docker.io docker-compose
    libgit2-1.5 libcurl4 libjansson4 libyaml-0-2 libmicrohttpd12 libssl3
""".split())

CACHE = pathlib.Path("/var/cache/dynia-tests")

# The v1 cgroup controllers are read-only inside, and then no container starts.
CGROUPS = """[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for c in /sys/fs/cgroup/*; do mount -o remount,bind,rw $c || true; done'
[Install]
WantedBy=sysinit.target
"""

# What a test machine has no use for, or what waits for something that is not there.
MASKED = ("systemd-networkd.service systemd-networkd-wait-online.service systemd-networkd.socket systemd-resolved.service "
          "systemd-udevd.service systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer "
          "getty@tty1.service console-getty.service man-db.timer dpkg-db-backup.timer").split()

# The packages' own services do not start by themselves: a test says what runs.
STOPPED = ("haproxy.service caddy.service keepalived.service docker.service docker.socket containerd.service ssh.service "
           "cloud-init-local.service cloud-init.service cloud-config.service cloud-final.service").split()


def full():
    return _made(sorted(CLOUD + NODE), []) / "root"


def bare():
    return _made(CLOUD, NODE) / "root"


def archive():
    return _made(CLOUD, NODE) / "archive"


def stopped(root):
    """The services that its packages would have enabled."""
    return [unit for unit in STOPPED if (root / "usr/lib/systemd/system" / unit).exists()]


def _made(packages, served):
    """A folder with `root`, which has these packages, and `archive` with those that can be installed on it."""
    recipe = [packages, served, CGROUPS, MASKED, STOPPED, *map(inspect.getsource, (_make, _make_root, _make_archive))]
    return cached(recipe, lambda folder: _make(folder, packages, served))


def cached(recipe, make):
    """The folder of this recipe (anything with a repr), which make(folder) makes where it is not in the cache yet."""
    key = hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / key
    with open(CACHE / f"{key}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test processes make one
        if not folder.exists():
            unfinished = CACHE / f"{key}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


def _make(folder, packages, served):
    (folder / "archive").mkdir(parents=True)
    _make_root(folder / "root", packages, _make_archive(folder / "archive", served) if served else [])
    if served:
        run("sh", "-c", "dpkg-scanpackages --multiversion . >Packages", cwd=folder / "archive")


def _make_archive(folder, served):
    """What mmdebstrap is to do for it: bring the packages with all that they need and recommend, as apt does on a machine."""
    install = "apt-get --yes --download-only -o APT::Install-Recommends=true install"
    return [f'--customize-hook=chroot "$1" apt-get clean && chroot "$1" {install} {" ".join(served)}',
            f"--customize-hook=sync-out /var/cache/apt/archives {folder}"]


def _make_root(root, packages, more):
    """About a minute: a Debian that was installed, and never booted."""
    docker_host.run_outside("mmdebstrap", "--variant=minbase", "--quiet", f"--include={','.join(packages)}",
                            "--aptopt=Acquire::Retries \"5\"", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
                            *more, "bookworm", root, *sources("bookworm"), timeout=1200)
    system = root / "etc/systemd/system"
    for unit in MASKED:
        (system / unit).unlink(missing_ok=True)
        (system / unit).symlink_to("/dev/null")
    run("systemctl", f"--root={root}", "disable", *stopped(root))
    (system / "test-cgroups.service").write_text(CGROUPS, encoding="utf-8")
    run("systemctl", f"--root={root}", "enable", "test-cgroups.service")
    (root / "etc/machine-id").write_text("", encoding="utf-8")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/hostname").unlink(missing_ok=True)


def sources(suite):
    """The lists that this machine installs from, where they have that suite of Debian. With none, mmdebstrap knows whence a suite
    comes, and its updates."""
    lists = [*pathlib.Path("/etc/apt/sources.list.d").glob("*.sources"), *pathlib.Path("/etc/apt/sources.list.d").glob("*.list"),
             pathlib.Path("/etc/apt/sources.list")]
    return [str(file) for file in lists if file.exists() and all(word in file.read_text(encoding="utf-8") for word in ("debian", suite))]
