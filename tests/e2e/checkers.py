"""Each program's own checker, on the files of one rendered node."""

import os
import shutil
import subprocess
import tempfile

import harness


def haproxy(root, file):
    harness.run("haproxy", "-c", "-dW", "-f", file)


def caddy(root, file):
    """In a home of its own: to validate is to start, and Caddy then makes folders and log files."""
    env = {"PATH": os.environ["PATH"], "HOME": str(root), "XDG_DATA_HOME": str(root / "xdg"), "XDG_CONFIG_HOME": str(root / "xdg")}
    (root / "var/log/caddy").mkdir(parents=True, exist_ok=True)
    harness.run("caddy", "validate", "--adapter", "caddyfile", "--config", file, env=env)
    done = harness.run("caddy", "fmt", file, env=env, check=False)
    assert done.stdout == file.read_text(encoding="utf-8"), "as caddy fmt writes it"


def keepalived(root, file):
    """As PID 1 of a namespace, with the interface that it names, and with the program under test as the one that it calls."""
    (interface,) = {line.split()[1] for line in file.read_text(encoding="utf-8").splitlines()
                    if line.split()[:1] == ["interface"]}
    with tempfile.TemporaryDirectory() as folder:
        # keepalived runs it as nobody, who may not enter the folder that it was built in.
        os.chmod(folder, 0o755)
        program = shutil.copy(harness.DYNIA, folder)
        file.write_text(file.read_text(encoding="utf-8").replace('"/usr/bin/dynia ', f'"{program} '), encoding="utf-8")
        done = subprocess.run(
            ["unshare", "-pfn", "sh", "-c", 'ip link add "$1" type veth peer name peer0 && exec keepalived -t -f "$2"', "sh", interface, str(file)],
            capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def compose(root, file):
    """A folder with compose.yaml, and an override beside it where the first one is the user's."""
    files = [file] + [f for f in sorted(file.parent.glob("*.y*ml")) if f != file and "services:" in f.read_text(encoding="utf-8")]
    harness.run("docker-compose", "--project-directory", file.parent, *(arg for f in files for arg in ("-f", f)), "config", "-q")


def logrotate(root, file):
    harness.run("logrotate", "-d", "-s", root / "logrotate.state", file)


CHECKERS = {"haproxy.cfg": haproxy, "Caddyfile": caddy, "keepalived.conf": keepalived, "compose.yaml": compose,
            "etc/logrotate.d/dynia": logrotate}


def check_all(root):
    """Runs each checker on the files that are its; gives back how many there were."""
    checked = 0
    for file in [f for f in sorted(root.rglob("*")) if f.is_file()]:
        for name, checker in CHECKERS.items():
            if file.name == name or str(file.relative_to(root)) == name:
                checker(root, file)
                checked += 1
    return checked
