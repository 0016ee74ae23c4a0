"""The Debian package: what is in it, and what dpkg and systemd make of it."""

import re
import shutil
import subprocess

import pytest
from harness import SOURCE, run

UNIT = SOURCE / "packaging" / "debian" / "dynia.service"
MOST_EXPOSED = 30  # tenths, of 100


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The package, built from this tree and seen by lintian: `make deb` fails where that says a word."""
    folder = tmp_path_factory.mktemp("package")
    # The source as it is, in a folder of its own: another test process may build at the same time.
    for part in ("Makefile", "README.md", *(p.name for p in SOURCE.iterdir() if p.is_dir() and p.name not in ("build", ".git"))):
        (shutil.copytree if (SOURCE / part).is_dir() else shutil.copy)(SOURCE / part, folder / part)
    run("make", "-C", folder, "deb", timeout=1200)
    return next((folder / "build" / "deb").glob("dynia_*.deb"))


def test_what_is_in_it(package):
    listed = run("dpkg-deb", "--contents", package).stdout
    files = {path: mode for mode, path in re.findall(r"^(\S+ \S+) .* \./(\S*[^/\s])$", listed, re.M)}
    assert files["usr/bin/dynia"] == "-rwxr-xr-x root/root"
    for path in ("lib/systemd/system/dynia.service", "usr/lib/sysusers.d/dynia.conf", "usr/share/man/man1/dynia.1.gz",
                 "usr/share/man/man5/dynia-agent.yaml.5.gz", "usr/share/man/man5/dynia-cluster.yaml.5.gz",
                 "usr/share/man/man5/dynia-service.yaml.5.gz", "usr/share/bash-completion/completions/dynia",
                 "usr/share/zsh/vendor-completions/_dynia", "usr/share/fish/vendor_completions.d/dynia.fish",
                 "usr/share/doc/dynia/operations.md.gz"):
        assert files[path] == "-rw-r--r-- root/root", path
    # Nothing in /etc that an upgrade could ask about.
    assert not [path for path in files if path.startswith("etc/")]


def test_the_unit_is_closed_as_far_as_it_says():
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", UNIT],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    # Each capability that is left has its reason beside it.
    text = UNIT.read_text(encoding="utf-8")
    reasons = " ".join(re.findall(r"^# ((?:CAP_\w+ ?)+):", text, re.M)).split()
    assert sorted(reasons) == sorted(re.search(r"^CapabilityBoundingSet=(.*)$", text, re.M)[1].split())


def test_make_install(tmp_path):
    run("make", "-C", SOURCE, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr/local", timeout=600)
    found = {str(p.relative_to(tmp_path / "usr/local")) for p in tmp_path.rglob("*") if p.is_file()}
    assert {"bin/dynia", "share/man/man1/dynia.1", "share/man/man5/dynia-agent.yaml.5", "share/zsh/vendor-completions/_dynia",
            "lib/systemd/system/dynia.service", "lib/sysusers.d/dynia.conf"} <= found
    assert run(tmp_path / "usr/local/bin/dynia", "version").stdout.startswith("dynia ")
