"""From a clean root file system of each distribution: the package is built there from this tree, and goes into a second one.

What is built is the tree as it is, with what is not committed. Debian 12 is part of `make check`, the others are `make distributions`."""

import re
import time

import deb
import harness
import pytest
from roots import DISTRIBUTIONS, Root

pytestmark = pytest.mark.heavy

# Ubuntu 22.04 has no Caddy, and an HAProxy (2.4) that lacks what is rendered for 2.5: it gets those of Debian 12 and what they need.
BORROWED = ("caddy", "haproxy", "libzstd1")


# The oldest libgit2 and the middle one. The first of the list, so that pytest makes each root once.
WITH_UNIT_TESTS = list(DISTRIBUTIONS)[:2]
FOR_UNIT_TESTS = ("ca-certificates", "git", "iproute2", "libcmocka-dev", "openssl")


def marked(names):
    """All but this machine's kind wait for `make distributions`: they need more archives than `make check` does."""
    return [name if name == "debian-12" else pytest.param(name, marks=pytest.mark.distributions) for name in names]


@pytest.fixture(scope="module", params=marked(DISTRIBUTIONS))
def distribution(request):
    return request.param


class Built:
    def __init__(self, name, root):
        began = time.monotonic()
        self.name, self.root = name, root
        self.had = {program for program in ("cc", "dpkg-buildpackage", "lintian", "git", "python3") if root.exists(f"/usr/bin/{program}")}
        deb.copy_source(root.path("/src"))
        self.said = root.run("make", "-C", "/src", "deb", network=True, timeout=1200).stdout
        self.file, = root.path("/src/build/deb").glob("dynia_*.deb")
        self.seconds = time.monotonic() - began
        # All that would be there with what it recommends.
        simulated = root.apt("install", "--simulate", f"/src/build/deb/{self.file.name}").stdout
        self.chosen = set(re.findall(r"^Inst (\S+)", simulated, re.M)) | set(
            root.run("dpkg-query", "-W", "-f", "${Package}\n").stdout.split())

    def field(self, name):
        return self.root.run("dpkg-deb", "--field", f"/src/build/deb/{self.file.name}", name).stdout.strip()


@pytest.fixture(scope="module")
def built(distribution):
    with Root(distribution) as root:
        yield Built(distribution, root)


@pytest.fixture(scope="module")
def clean(built):
    """A second one, in which nothing but the package is installed, and what it depends on."""
    with Root(built.name) as root:
        root.apt("update")
        root.apt("install", "--no-install-recommends", root.copy(built.file, "/root/dynia.deb"))
        yield root


def add_ingress(root):
    """HAProxy and Caddy."""
    root.apt("update")
    names = ["caddy", "haproxy"]
    if root.distribution.suite == "jammy":
        with Root("debian-12") as other:
            other.apt("update")
            other.run("sh", "-c", f"cd /root && apt-get -q download {' '.join(BORROWED)}", network=True)
            names = [root.copy(file, f"/root/{file.name}") for file in other.path("/root").glob("*.deb")]
    root.apt("install", "--no-install-recommends", *names)


def test_make_deb_installs_what_it_needs(built, tell):
    """It ends with lintian, and fails where that has a word to say."""
    tell(f"{built.name}: make deb in a clean root in {built.seconds:.0f} s")
    assert not built.had, "no clean root"
    assert re.search("^lintian .*--fail-on error,warning", built.said, re.M)
    assert f"libgit2-{built.root.distribution.libgit2} (" in built.field("Depends")
    # It never ran before: the compiler is of that distribution.
    assert built.root.run("pkg-config", "--modversion", "libgit2").stdout.startswith(built.root.distribution.libgit2 + ".")


def test_what_is_recommended_is_there(built):
    wanted = {line.split("|")[0].split()[0] for line in built.field("Recommends").split(",")}
    assert wanted - built.chosen == ({"caddy", "haproxy"} if built.name == "ubuntu-22.04" else set())


def test_it_is_installed(clean):
    assert re.fullmatch(r"dynia [0-9.]+\n.*", clean.run("dynia", "version").stdout, re.S)
    assert clean.run("getent", "passwd", "dynia").stdout.strip().endswith(":/nonexistent:/usr/sbin/nologin")
    assert clean.run("stat", "-c", "%a %U:%G", "/etc/dynia", "/usr/bin/dynia").stdout == "755 root:root\n755 root:root\n"
    files = clean.run("dpkg", "-L", "dynia").stdout.splitlines()
    unit, = [path for path in files if path.endswith("/systemd/system/dynia.service")]
    assert "ExecStart=/usr/bin/dynia reconcile" in clean.path(unit).read_text(encoding="utf-8")
    assert clean.run("systemctl", "is-enabled", "dynia").stdout == "enabled\n"
    said = clean.run("systemd-analyze", "verify", "--man=no", "dynia.service", check=False).stderr
    assert not [line for line in said.splitlines() if "dynia" in line]
    for path in ("/usr/share/bash-completion/completions/dynia", "/usr/share/zsh/vendor-completions/_dynia",
                 "/usr/share/fish/vendor_completions.d/dynia.fish", "/usr/share/man/man1/dynia.1.gz",
                 "/usr/share/man/man5/dynia-agent.yaml.5.gz"):
        assert path in files and clean.run("stat", "-c", "%a %U:%G", path).stdout == "644 root:root\n"
    assert clean.run("dpkg", "--verify", "dynia").stdout == ""


def test_it_pulls_and_serves(clean):
    """A repository is checked, rendered, pulled by git:// and file://, served, and told of."""
    add_ingress(clean)
    with harness.Site() as site:
        site.use_example()
        nodes = [site.node("brave-panda", 1),
                 harness.Node(site.folder / "n1", "misty-owl", site.address(2), f"file://{site.repository.bare}")]
        clean.bind(site.folder)
        clean.run("dynia", "validate", site.repository.tree)
        for node in nodes:
            clean.run("dynia", "render", "--cluster", "demo", "--node", node.name, "--out", site.folder / f"out-{node.name}",
                      site.repository.tree)
            assert "hello.demo.test" in (site.folder / f"out-{node.name}/opt/dynia/caddy/Caddyfile").read_text(encoding="utf-8")
            clean.run("dynia", "reconcile", "--root", node.root, "--once")
            assert node.fetch("hello.demo.test").status == 200
            assert " healthy at " in site.repository.log(node.name)[0]
        site.repository.replace("clusters/demo/services/hello/site/index.html", "Hello from Dynia", "Hello, world")
        site.repository.commit()
        for node in nodes:
            clean.run("dynia", "reconcile", "--root", node.root, "--once")
            assert "Hello, world" in node.fetch("hello.demo.test").body


@pytest.mark.parametrize("distribution", marked(WITH_UNIT_TESTS), indirect=True)
def test_the_unit_tests(built, tell):
    """`make unit` runs them on this machine."""
    began = time.monotonic()
    add_ingress(built.root)
    built.root.apt("install", "--no-install-recommends", *FOR_UNIT_TESTS)
    # They are linked with what went into the package, which Ubuntu would optimize anew for each of them. (`make unit` alone would
    # install what all tests need.)
    tree, = built.root.path("/src/build/deb").glob("dynia-*/")
    built.root.run("cp", "-a", "/src/tests", f"/src/build/deb/{tree.name}")
    done = built.root.run("make", "-C", f"/src/build/deb/{tree.name}", "-j2", "--old-file=tools", "unit",
                          "CFLAGS=-O0 -U_FORTIFY_SOURCE", "LDFLAGS=-fno-lto", timeout=1200)
    said = done.stdout + done.stderr
    assert "CC    base/" not in said
    passed = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", said, re.M)))
    tell(f"{built.name}: {passed} unit tests built and run in {time.monotonic() - began:.0f} s")
    assert passed > 300 and "FAILED" not in said


def test_nothing_is_left_of_it(clean):
    """Purged: but the user, who may own files, and what serves. The last of this root."""
    for file in ("/etc/dynia/agent.yaml", "/var/lib/dynia/state.json", "/var/log/dynia/haproxy.log", "/opt/dynia/site"):
        clean.path(file).parent.mkdir(parents=True, exist_ok=True)
        clean.path(file).write_text("x\n", encoding="utf-8")
    clean.apt("purge", "dynia")
    clean.run("rm", "/root/dynia.deb")
    found = clean.run("find", "/", "-xdev", "-name", "*dynia*", "-not", "-path", "/tmp/*").stdout.split()
    assert found == ["/opt/dynia"]
    assert clean.run("getent", "passwd", "dynia").stdout
