"""Fixtures of the end-to-end tests. In CI (CI=true) a test that is skipped has failed."""

import os
import pathlib
import shutil
import signal
import tempfile

import pytest

import deb
import docker_host
import harness
from machine import Machines
from packaged import installed


def pytest_configure(config):
    # Fixtures end what they started, also where the run is ended from outside.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Two test processes cannot meet on an address, a port or a bridge. One that only starts the others stays where packages are
    # installed from: that is where they come from.
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        docker_host.isolate()
    config.addinivalue_line("markers", "contract: needs the published descriptions of the clouds' APIs beside the checkout: make contract")
    config.addinivalue_line("markers", "distributions: from other archives than this machine's: make distributions")
    config.addinivalue_line("markers", "heavy: machines, disks, load, or other programs' behaviour: not for the sanitizers")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A file's tests go to one of the workers (make e2e: --dist loadgroup), those of each distribution to any, and those that need
    a dockerd to the same one."""
    for item in items:
        docker = "docker_session" in item.fixturenames
        distribution = item.callspec.params.get("distribution", "") if hasattr(item, "callspec") else ""
        item.add_marker(pytest.mark.xdist_group("docker" if docker else item.path.stem + distribution))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if os.environ.get("CI") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and in CI nothing may be: {report.longrepr}"


def pytest_terminal_summary(terminalreporter):
    """What the tests told, for the log: .ci/run shows these lines."""
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, text in report.user_properties if report.when == "call" else ():
            if name == "told":
                terminalreporter.write_line(f"told: {text}")


@pytest.fixture
def tell(record_property):
    """Prints a line now (pytest -s), and at the end of the run: a time, which nobody asserts."""
    def told(text):
        print(text, flush=True)
        record_property("told", text)
    return told


@pytest.fixture(scope="session", autouse=True)
def program():
    """The program under test."""
    assert os.access(harness.DYNIA, os.X_OK), f"{harness.DYNIA} is not there: run make"
    return harness.DYNIA


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The Debian package, built once for all test processes of a run."""
    base = tmp_path_factory.getbasetemp()
    return deb.build(base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base)


@pytest.fixture(scope="module")
def machines():
    """The network of machines that boot."""
    with Machines() as machines:
        yield machines


@pytest.fixture(scope="module")
def agent(machines, package):
    """One of them, on which the package was installed."""
    with installed(machines, package, "brave-panda") as agent:
        yield agent


@pytest.fixture
def tmp_path():
    """As pytest's, but short: the sockets that are named in it must fit a socket address (107 bytes)."""
    with tempfile.TemporaryDirectory(prefix="dyt", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield pathlib.Path(folder)


@pytest.fixture
def site():
    """An empty repository and its server; nodes are added with site.node()."""
    with harness.Site() as site:
        yield site


@pytest.fixture
def demo(site):
    """The example's demo cluster with both of its nodes, not converged yet."""
    site.use_example()
    site.node("brave-panda", 1)
    site.node("misty-owl", 2)
    return site


@pytest.fixture
def served(demo):
    """The same, after one pass on each node."""
    for node in demo.nodes:
        node.once()
    return demo


@pytest.fixture(scope="session")
def docker_session():
    """A dockerd with the images of docker_host.IMAGES. Where there is no dockerd this fails."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dk", dir="/tmp"))
    host = docker_host.DockerHost(folder)
    try:
        host.start()
        yield host
    finally:
        host.stop()
        shutil.rmtree(folder)


@pytest.fixture
def docker(docker_session):
    """The same, with no container, network or volume in it."""
    docker_session.engine.remove_all()
    return docker_session
