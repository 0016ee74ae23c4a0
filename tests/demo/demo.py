"""make demo: two nodes on this machine, from a commit to a served page and back to git.

Everything happens below one folder in /tmp and on loopback addresses, and is gone at the end. KEEP=1 leaves it running."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import harness  # noqa: E402
from harness import CADDY, HTTPS, wait_for  # noqa: E402

PAGE = "clusters/demo/services/hello/site/index.html"
CLUSTER = "clusters/demo/cluster.yaml"
HOST = "hello.demo.test"
BOLD, DIM, OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "", "")


def heading(text):
    print(f"\n{BOLD}== {text}{OFF}", flush=True)


def show(command, output):
    print(f"{DIM}${OFF} {command}")
    for line in output.rstrip().splitlines():
        print(f"  {line}")
    sys.stdout.flush()


def curl(node, path="", port=HTTPS):
    """A page as a visitor gets it; gives back its heading."""
    scheme = "https" if port == HTTPS else "http"
    url = f"{scheme}://{HOST}:{port}/{path}"
    command = ["curl", "-sk", "--max-time", "5", "--resolve", f"{HOST}:{port}:{node.address}", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(command), re.search("<h1>.*</h1>", done.stdout)[0]


def served_by(node, text):
    """When the node shows a page with this text; None while it does not."""
    page = harness.fetch(node.address, HOST)
    return time.monotonic() if page.status == 200 and text in page.body else None


def start(site):
    heading("A git repository, and a server for it")
    site.use_example()
    url = site.serve()
    show(f"git -C {site.repository.tree} log --oneline", site.repository.git("log", "--oneline"))
    show(f"git -C {site.repository.tree} ls-files clusters", site.repository.git("ls-files", "clusters"))
    print(f"served at {url}")

    heading("Two nodes, one agent each")
    began = time.monotonic()
    for i, name in enumerate(["brave-panda", "misty-owl"], 1):
        node = site.node(name, i)
        print(f"{DIM}${OFF} dynia reconcile --root {node.root} &")
        node.start()
    show(f"cat {node.root}/etc/dynia/agent.yaml", (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8"))
    for node in site.nodes:
        wait_for(lambda n=node: served_by(n, "Hello from Dynia"), 30, f"page from {node.name}: see {node.log}")
        wait_for(lambda n=node: "healthy" in site.repository.log(n.name)[0], 30, f"status of {node.name}")
    print(f"both serve after {time.monotonic() - began:.1f} s")


def show_pages(site):
    heading("The page, from both nodes: through HAProxy with TLS, and straight from Caddy")
    for node in site.nodes:
        show(*curl(node))
    show(*curl(site.nodes[0], port=CADDY))


def change(site):
    heading("A commit changes the page")
    repository = site.repository
    repository.replace(PAGE, "<h1>Hello from Dynia</h1>", "<h1>Hello, world</h1>")
    repository.git("commit", "-qam", "Greet the world")
    show("git show --format=%s --unified=0", "\n".join(
        line for line in repository.git("show", "--format=%s", "--unified=0").splitlines() if not line.startswith("index")))
    print(f"{DIM}${OFF} git push")
    began = time.monotonic()
    repository.git("push", "-q", "origin", "main")
    for node in site.nodes:
        took = wait_for(lambda n=node: served_by(n, "Hello, world"), 20, f"new page from {node.name}") - began
        print(f"  {node.name} serves it {took:.2f} s after the push began (it looks every second)")
    show(*curl(site.nodes[1]))


def mistake(site):
    heading("A commit that is wrong stops itself")
    repository = site.repository
    repository.replace(CLUSTER, "https_port: 18443", "https_prot: 18443")
    bad = repository.commit("A slip of the fingers")
    show("git show --format=%s --unified=0", "\n".join(
        line for line in repository.git("show", "--format=%s", "--unified=0").splitlines() if line.startswith(("A", "-  ", "+  "))))
    for node in site.nodes:
        wait_for(lambda n=node: site.repository.status(n.name)["revision"]["desired"] == bad, 20, "status")
    node = site.nodes[0]
    told = wait_for(lambda: [line for line in node.log.read_text(encoding="utf-8").splitlines() if f"{CLUSTER}:" in line],
                    20, "error with its place")
    show(f"grep cluster.yaml {node.log}", "\n".join(dict.fromkeys(told)))
    if not re.search(rf"{CLUSTER}:\d+:\d+: ", "\n".join(told)):
        raise AssertionError("the error has no place")
    for node in site.nodes:
        if not served_by(node, "Hello, world"):
            raise AssertionError(f"{node.name} does not serve any more")
    print("and both nodes serve what they had:")
    show(*curl(site.nodes[0]))


def report(site):
    heading("What the nodes say of themselves, from git")
    bare = site.repository.bare
    show(f"dynia status {bare}", harness.dynia("status", bare).stdout)
    show(f"git -C {bare} log --format='%h %s' status/demo/brave-panda",
         harness.run("git", "-C", bare, "log", "--format=%h %s", "status/demo/brave-panda").stdout)


def keep(site):
    """Leaves it running, with all that is needed to end it."""
    end = site.folder / "end"
    agents = " ".join(str(node.agent.pid) for node in site.nodes)
    end.write_text(f"""#!/bin/sh
kill {agents}
kill -- -{site.daemon.process.pid}
sleep 1
for file in {site.folder}/n*/run/dynia/*.pid; do
	read -r pid _ <"$file" && kill "$pid"
done
rm -rf {site.folder}
""", encoding="utf-8")
    end.chmod(0o755)
    heading("Left running")
    print(f"""The repository's last commit is wrong. Mend it, and watch:

  cd {site.repository.tree}
  git revert --no-edit HEAD && git push origin main
  {harness.DYNIA} status --watch {site.repository.bare}

Break something: edit or delete a file below {site.nodes[0].root}/opt, or kill a haproxy or a caddy.
End it all, and remove the folder:

  {end}
""")


def free_network():
    """The example's own addresses, or others where another demo has them."""
    for network in (f"127.0.{i}" for i in range(10, 30)):
        try:
            socket.create_server((f"{network}.1", HTTPS)).close()
            return network
        except OSError:
            continue
    sys.exit("the demo's ports are taken on 127.0.10.1 to 127.0.29.1")


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    began = time.monotonic()
    site = harness.Site(network=free_network())
    kept = False
    try:
        for step in (start, show_pages, change, mistake, report):
            step(site)
        if os.environ.get("KEEP"):
            keep(site)
            kept = True
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (TimeoutError, AssertionError, subprocess.CalledProcessError) as error:
        print(f"\nthe demo failed: {error}", file=sys.stderr)
        for node in site.nodes:
            if node.log.exists():
                tail = node.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
                print(f"--- the last lines of {node.name}'s agent", *tail, sep="\n", file=sys.stderr)
        return 1
    finally:
        if not kept:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave something behind
            site.close()
    if not kept:
        print(f"\nEverything is stopped and removed. It took {time.monotonic() - began:.0f} s. "
              "To play with it: make demo KEEP=1")
    return 0


if __name__ == "__main__":
    sys.exit(main())
