"""The Debian package of the program under test."""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import tempfile

from harness import SOURCE, run


@contextlib.contextmanager
def _alone(file):
    with open(file, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def copy_source(tree):
    """This tree as it is, with what is not committed, and nothing that was built: into a folder that is not there yet."""
    tree.mkdir()
    for part in ("Makefile", "README.md", *(p.name for p in SOURCE.iterdir() if p.is_dir() and p.name not in ("build", ".git"))):
        if (SOURCE / part).is_dir():
            shutil.copytree(SOURCE / part, tree / part, symlinks=True)
        else:
            shutil.copy(SOURCE / part, tree / part)


def build(folder):
    """The package, built below a folder from this tree and seen by lintian: `make deb` fails where that says a word. Test processes
    that name the same folder share it. DEB=FILE: that one."""
    if os.environ.get("DEB"):
        return pathlib.Path(os.environ["DEB"])
    tree = folder / "package"
    with _alone(folder / "package.lock"):
        if not list(tree.glob("build/deb/dynia_*.deb")):
            shutil.rmtree(tree, ignore_errors=True)
            # In a folder of its own: another test process may build at the same time.
            copy_source(tree)
            run("make", "-C", tree, "deb", timeout=1200)
        return next(tree.glob("build/deb/dynia_*.deb"))


def variant(package, folder, version, change=None):
    """The same package with another version, and with its program changed in its place."""
    file = folder / f"dynia_{version}.deb"
    with tempfile.TemporaryDirectory(prefix="dyv") as place:
        unpacked = pathlib.Path(place) / "unpacked"
        run("dpkg-deb", "--raw-extract", package, unpacked)
        control = unpacked / "DEBIAN" / "control"
        control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(encoding="utf-8"), flags=re.M),
                           encoding="utf-8")
        if change:
            change(unpacked / "usr/bin/dynia")
        run("dpkg-deb", "--root-owner-group", "-Znone", "--build", unpacked, file)
    return file
