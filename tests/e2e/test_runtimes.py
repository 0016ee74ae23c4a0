"""One scenario for every ingress.runtime: the same commits, the same trouble, the same outcome."""

import pytest

import hosts
from harness import HTTP, wait_for

pytestmark = pytest.mark.heavy  # machines, which have no sanitizer


@pytest.fixture(params=hosts.RUNTIMES, scope="module")
def host(request):
    """A node that serves one page, converged once for the tests of one runtime."""
    with hosts.make(request.param, request) as made:
        made.cluster()
        made.page("hello", "first")
        made.repository.commit("first")
        made.once()
        yield made


@pytest.fixture(autouse=True)
def whole(host):
    """Each test begins and ends with a node that is as the repository says."""
    yield
    host.cluster()
    host.page("hello", "first")
    host.repository.commit("as it was")
    host.once()


def answers(host, body, name="hello"):
    # Probes of HAProxy's and a reload may overlap: what counts is what it comes to.
    wait_for(lambda: host.fetch(name).body == body, 60, f"{body!r} from {name}")


def pids(host):
    return {program: host.pid(program) for program in ("haproxy", "caddy")}


def test_it_serves(host):
    answers(host, "first")
    assert host.condition("Ready")["status"] == "True"
    assert host.status()["ingress"]["haproxy"]["health"] == "healthy"
    assert host.status()["ingress"]["caddy"]["health"] == "healthy"


def test_a_second_pass_does_nothing(host):
    host.once()
    before = pids(host)
    again = host.once()
    assert again.stderr == ""
    assert pids(host) == before
    assert host.once("--dry-run", check=False).returncode == 0


def test_routes_change_with_a_reload(host):
    before = pids(host)
    host.page("hello", "second")
    host.page("other", "another")
    host.repository.commit("change")
    done = host.once()
    answers(host, "second")
    answers(host, "another", "other")
    assert pids(host) == before, "reloaded, and not restarted"
    assert "reload caddy because clusters/demo/services" in done.stderr
    (host.repository.tree / "clusters/demo/services/other.yaml").unlink()


def test_a_removed_service_is_gone(host):
    host.page("other", "another")
    host.repository.commit("add")
    host.once()
    answers(host, "another", "other")
    (host.repository.tree / "clusters/demo/services/other.yaml").unlink()
    host.repository.commit("remove")
    host.once()
    wait_for(lambda: host.fetch("other").status == 421, 60, "421 from a host that is gone")


@pytest.mark.parametrize("program", ["haproxy", "caddy"])
def test_a_killed_program_is_back(host, program):
    was = host.pid(program)
    host.kill(program)
    host.once()
    answers(host, "first")
    assert host.pid(program) not in (None, was)


@pytest.mark.parametrize("program", ["haproxy", "caddy"])
def test_an_edited_file_is_restored(host, program):
    file = host.path(host.files[program])
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "# by hand\n", encoding="utf-8")
    done = host.once()
    assert file.read_text(encoding="utf-8") == text
    assert "drift: it was edited on the node" in done.stderr
    assert host.files[program] in [drift["what"] for drift in host.status()["drift"]]
    answers(host, "first")


def test_a_reload_that_fails_is_noticed(host):
    """HAProxy cannot have the port that a commit wants: the old one serves on, and the commit is refused."""
    with host.port_taken(HTTP + 7):
        host.cluster(http=HTTP + 7)
        bad = host.repository.commit("a port that is taken")
        done = host.once(check=False)
        assert done.returncode != 0
        answers(host, "first")
        applied = host.condition("Applied")
        assert applied["status"] == "False"
        assert str(HTTP + 7) in applied["message"], applied
        assert host.status()["revision"]["quarantined"] == bad
    assert host.once(check=False).returncode != 0, "not tried again until the branch moves"
    host.repository.git("revert", "--no-edit", "HEAD")
    host.repository.git("push", "--quiet", "origin", "main")
    host.once()
    assert host.condition("Ready")["status"] == "True"
    answers(host, "first")


@pytest.mark.parametrize("host", ["system"], indirect=True)
def test_a_unit_that_is_disabled_is_enabled_again(host):
    assert host.systemctl("is-enabled", "haproxy.service") == "enabled"
    before = pids(host)
    host.systemctl("disable", "haproxy.service")
    done = host.once()
    assert "drift: it is not started at boot" in done.stderr
    assert host.systemctl("is-enabled", "haproxy.service") == "enabled"
    assert pids(host) == before, "nothing was restarted for it"


@pytest.mark.parametrize("host", ["system"], indirect=True)
def test_a_unit_that_is_masked_is_unmasked(host):
    host.systemctl("mask", "--now", "caddy.service")
    host.once()
    answers(host, "first")
    assert host.systemctl("is-enabled", "caddy.service") == "enabled"


@pytest.mark.parametrize("host", ["system"], indirect=True)
def test_limits_reach_the_unit_without_a_restart(host):
    before = pids(host)
    host.cluster(more="  resources: {caddy: {limits: {memory: 200M}}}\n")
    host.repository.commit("limits")
    done = host.once()
    assert "reload systemd because clusters/demo/cluster.yaml" in done.stderr
    assert host.systemctl("show", "--property=MemoryMax", "--value", "caddy.service") == str(200 << 20)
    assert host.systemctl("show", "--property=NeedDaemonReload", "--value", "caddy.service") == "no"
    assert pids(host) == before
    host.more = ""


@pytest.mark.parametrize("host", ["system"], indirect=True)
def test_another_runtime_takes_over_and_back(host):
    """The old one does not run on beside the new one, nor at the next boot."""
    host.cluster(runtime="process")
    host.repository.commit("process")
    done = host.once()
    answers(host, "first")
    assert host.systemctl("is-active", "haproxy.service", "caddy.service", check=False).split() == ["inactive", "inactive"]
    assert host.systemctl("is-enabled", "haproxy.service", "caddy.service", check=False).split() == ["disabled", "disabled"]
    assert "stop caddy because clusters/demo/cluster.yaml" in done.stderr
    assert not host.path("/etc/systemd/system/caddy.service.d/dynia.conf").exists()
    assert host.once().stderr == ""
    host.cluster(runtime="system")
    host.repository.commit("system")
    host.once()
    answers(host, "first")
    assert all(pids(host).values())
    assert not any(host.path(f"/run/dynia/{program}.pid").exists() for program in ("haproxy", "caddy"))
    assert host.once().stderr == ""


@pytest.mark.parametrize("host", ["system"], indirect=True)
def test_after_a_boot_it_serves_without_the_agent(host):
    host.machine.power_cut()
    host.machine.boot()
    answers(host, "first")
    assert host.once().stderr == ""


@pytest.mark.parametrize("host", ["process"], indirect=True)
def test_the_machines_units_are_not_a_folders(host):
    host.cluster(runtime="system")
    host.repository.commit("system")
    done = host.once(check=False)
    assert "which do not live below --root" in done.stderr
    answers(host, "first")
    host.runtime = "process"


@pytest.mark.parametrize("host", ["container"], indirect=True)
def test_containers_have_their_limits_and_nothing_is_left(host):
    before = pids(host)
    host.cluster(more="  resources: {caddy: {limits: {memory: 96M, cpus: 0.5}}}\n")
    host.repository.commit("limits")
    host.once()
    answers(host, "first")
    config = host.docker.engine.inspect(host.containers("caddy")[0]["Id"])["HostConfig"]
    assert config["Memory"] == 96 << 20 and config["NanoCpus"] == 500_000_000, config
    assert config["NetworkMode"] == "host" and config["CapDrop"] == ["ALL"]
    assert host.pid("caddy") != before["caddy"]
    host.cluster(runtime="process")
    host.repository.commit("process")
    host.once()
    answers(host, "first")
    assert not host.containers("haproxy") + host.containers("caddy")
    assert host.once().stderr == ""
    host.runtime = "container"
