"""With --root nothing else of the machine is touched, and nothing needs root."""

import os
import re
import subprocess

import harness
from harness import wait_for

NOBODY = 65534
CHANGES_FOLDER = ["chdir", "fchdir"]
WRITES = ["creat", "mkdir", "mkdirat", "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat", "rename", "renameat",
          "renameat2", "unlink", "unlinkat", "rmdir", "truncate", "chmod", "fchmodat", "chown", "lchown", "fchownat", "utimensat"]
OPENS = ["open", "openat", "openat2"]
ALLOWED = ("/dev/null", "/proc/")


def test_works_for_an_unprivileged_user(site):
    site.use_example()
    node = site.node()
    if os.geteuid() == 0:
        program = site.folder / "dynia"
        program.write_bytes(harness.DYNIA.read_bytes())
        program.chmod(0o755)
        for folder, folders, names in os.walk(node.root):
            for path in [folder, *(os.path.join(folder, n) for n in [*folders, *names])]:
                os.chown(path, NOBODY, NOBODY)
        node.as_user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
                        "--bounding-set=-all", "--inh-caps=-all"]
        node.argv = lambda *more: [*node.as_user, str(program), "reconcile", "--root", str(node.root), *more]
        node.env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    node.once()
    assert node.fetch("hello.demo.test").status == 200
    for pid in node.pids().values():
        status = open(f"/proc/{pid}/status", encoding="utf-8").read()
        assert re.search(r"^Uid:\t(\d+)", status, re.M)[1] == str(NOBODY if os.geteuid() == 0 else os.geteuid())
        assert os.geteuid() != 0 or re.search(r"^CapEff:\t0+$", status, re.M)
    site.repository.replace("clusters/demo/services/hello/site/index.html", "Hello from Dynia", "Hello, nobody")
    site.repository.commit("greet nobody")
    node.once()
    assert "Hello, nobody" in node.fetch("hello.demo.test").body
    assert site.repository.log(node.name)[0].startswith("brave-panda: healthy")


def unquoted(text):
    return text.encode().decode("unicode_escape") if "\\" in text else text


def paths(line, cwd):
    """The paths that a traced call names, each as the machine sees it. strace -y says which folder a descriptor is."""
    call, rest = line.split("(", 1)
    base = r'(?:AT_FDCWD<([^>]*)>|AT_FDCWD|\d+<([^>]*)>)'
    for match in re.finditer(rf'(?:{base}, )?"((?:[^"\\]|\\.)*)"', rest):
        folder, path = match[1] or match[2] or cwd, unquoted(match[3])
        if call == "openat2" and "RESOLVE_IN_ROOT" in rest or call == "openat2" and "RESOLVE_BENEATH" in rest:
            path = path.lstrip("/")
        yield os.path.normpath(os.path.join(folder, path))


def test_only_what_is_below_the_root_is_touched(site):
    """Every call of every process of a first pass and a second one that makes, changes or removes a name."""
    site.use_example()
    node = site.node()
    seen = 0
    for i, commit in enumerate(["first", "again"]):
        site.repository.replace("clusters/demo/services/hello/site/index.html", "</main>", f"<p>{commit}</p></main>")
        site.repository.replace("clusters/demo/cluster.yaml", "runtime: process", f"max_connections: 10{i}\n  runtime: process")
        site.repository.git("commit", "-aqm", commit)
        site.repository.git("push", "-q", "origin", "main")
        seen += assert_inside(trace_pass(node, site.folder / f"trace{i}"), node)
    assert seen > 200
    assert subprocess.run(["find", node.root, "-name", "haproxy.cfg"], capture_output=True, text=True, check=True).stdout


def trace_pass(node, trace):
    """One pass with all that it starts; the programs are stopped, so that strace comes to an end."""
    argv = ["strace", "-f", "-y", "-qq", "-s", "4096", "-o", str(trace), "-e",
            "trace=" + ",".join("?" + c for c in [*WRITES, *OPENS, *CHANGES_FOLDER, "bind"]), *node.argv("--once")]
    tracer = subprocess.Popen(argv, env={**node.env, "ASAN_OPTIONS": "detect_leaks=0"}, start_new_session=True)
    try:
        wait_for(lambda: tracer.poll() is not None or site_is_up(node), 120, "page")
        wait_for(lambda: tracer.poll() is not None or not agent_runs(tracer), 120, "end of the agent")
    finally:
        node.stop_programs()
        tracer.wait(60)
    return trace.read_text(encoding="utf-8", errors="replace").splitlines()


def site_is_up(node):
    return node.fetch("hello.demo.test").status == 200


def agent_runs(tracer):
    """strace's first child is the agent."""
    with open(f"/proc/{tracer.pid}/task/{tracer.pid}/children", encoding="ascii") as file:
        for pid in file.read().split():
            with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                if b"reconcile" in cmdline.read():
                    return True
    return False


def assert_inside(lines, node):
    """Gives back how many calls were looked at."""
    root, outside, looked_at, cwds = str(node.root), [], 0, {}
    for line in lines:
        call = re.match(r"\d+ +(\w+)\(", line)
        if not call:
            continue
        pid, text = line.split(None, 1)
        cwd = cwds.get(pid, "/")
        if call[1] in CHANGES_FOLDER:
            moved = re.search(r'\d+<([^>]*)>|"([^"]*)"', text)
            cwds[pid] = os.path.normpath(os.path.join(cwd, moved[1] or moved[2]))
            continue
        if call[1] == "bind":
            match = re.search(r'sun_path="([^"]*)"', text)
            named = [os.path.normpath(os.path.join(root, match[1]))] if match else []
        elif call[1] in OPENS:
            named = list(paths(text, cwd)) if re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", text) else []
        else:
            named = list(paths(text, cwd))
            if call[1].startswith("symlink"):
                named = named[-1:]  # what a link says is no path that is touched
        for path in named:
            looked_at += 1
            if path != root and not path.startswith(root + "/") and not path.startswith(ALLOWED):
                outside.append(line)
    assert outside == [], "\n".join(outside[:20])
    return looked_at


def test_the_root_may_not_be_left_through_a_symlink(served):
    """A link on the node that leads out of the root leads to a name below the root instead, and to no other place."""
    node = served.nodes[0]
    outside = served.folder / "outside"
    outside.mkdir()
    harness.run("rm", "-r", node.root / "opt/dynia/caddy")
    (node.root / "opt/dynia/caddy").symlink_to(outside)
    node.once(check=False)
    assert list(outside.iterdir()) == []


def test_the_root_must_be_a_folder(tmp_path):
    done = harness.dynia("reconcile", "--once", "--root", tmp_path / "nowhere", check=False)
    assert done.returncode == 1 and "nowhere" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_the_firewall_is_written_and_not_applied(demo):
    """It is the machine's, and not the folder's; said once, and no reason to act again."""
    demo.repository.replace("clusters/demo/cluster.yaml", "domain: demo.test\n",
                            "domain: demo.test\nfirewall: {ssh_from: [0.0.0.0/0]}\n")
    demo.repository.commit("firewall")
    node = demo.nodes[0]
    done = node.once()
    assert done.stderr.count("the rules of the firewall are written and, below --root, not applied") == 1
    assert "limit from 0.0.0.0/0 to any port 22" in (node.root / "opt/dynia/firewall/ufw.rules").read_text(encoding="utf-8")
    assert not (node.root / "run/dynia/firewall").exists()
    assert node.once().stderr == ""
    assert node.once("--dry-run", check=False).returncode == 0
