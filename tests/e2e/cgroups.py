"""A control group for what a test starts: a machine's systemd and its Docker make their own below it, and it is removed with all of them."""

import os
import pathlib
import time

ROOT = pathlib.Path("/sys/fs/cgroup")
# Enters the folders before "--", then becomes the program behind it.
ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"'


def remove(folder):
    """A group, and those below it; their processes may take a moment to be gone."""
    for below, _, _ in os.walk(folder, topdown=False):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                os.rmdir(below)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)


class Group:
    """One in every hierarchy, below the one that this process is in."""

    def __init__(self, name):
        self.folders = []
        for line in pathlib.Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
            _, controllers, path = line.split(":", 2)
            hierarchy = ROOT / (controllers.removeprefix("name=") or "unified")
            if not controllers and not hierarchy.exists():
                hierarchy = ROOT  # there is version 2 alone
            if hierarchy.exists():
                self.folders.append(hierarchy / path.strip("/") / name)

    def argv(self, *argv):
        """What starts a program in it."""
        for folder in self.folders:
            folder.mkdir(exist_ok=True)
            for file in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group of version 1, and then nobody may enter
                if (folder / file).exists() and not (folder / file).read_text(encoding="ascii").strip():
                    (folder / file).write_text((folder.parent / file).read_text(encoding="ascii"), encoding="ascii")
        return ["sh", "-c", ENTER, "sh", *map(str, self.folders), "--", *argv]

    def remove(self):
        for folder in self.folders:
            remove(folder)
