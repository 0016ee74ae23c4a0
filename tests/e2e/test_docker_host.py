"""The tests' own dockerd is a real one, and leaves nothing behind."""

import os
import pathlib
import signal

import pytest

import docker_host
from harness import fetch, wait_for

pytestmark = pytest.mark.heavy


def test_images_run_and_are_published(docker):
    docker.engine.run("dynia.test/web:2", "published",
                      HostConfig={"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.9", "HostPort": "20080"}]}})
    answer = wait_for(lambda: fetch("127.0.0.9", "x", "/", 20080), 60, "answer")
    assert answer.body == "web 2\n"


@pytest.mark.parametrize("name, health", [("well:1", "healthy"), ("slow:1", "healthy"), ("never:1", "unhealthy")])
def test_health_checks(docker, name, health):
    docker.engine.run(f"dynia.test/{name}", "checked")
    wait_for(lambda: docker.engine.inspect("checked")["State"]["Health"]["Status"] == health, 60, health)


def test_images_that_end(docker):
    docker.engine.run("dynia.test/exits:1", "exits")
    wait_for(lambda: docker.engine.inspect("exits")["State"]["Status"] == "exited", 60, "end")
    assert docker.engine.inspect("exits")["State"]["ExitCode"] == 3


def test_daemon_killed_and_started_again(docker):
    docker.engine.run("dynia.test/web:1", "survivor")
    docker.stop_daemon(signal.SIGKILL)
    with pytest.raises(OSError):
        docker.engine.get("/_ping")
    docker.start_daemon()
    assert docker.engine.inspect("survivor")["Name"] == "/survivor"


def test_requests_are_written_down(docker, tmp_path):
    proxy = docker_host.Proxy(tmp_path / "s", docker.socket)
    try:
        docker_host.Engine(tmp_path / "s").containers("dynia.root")
        assert proxy.counts() == {("GET", "/containers/json"): 1}
    finally:
        proxy.close()


def test_nothing_is_left(tmp_path):
    host = docker_host.DockerHost(tmp_path)
    host.start()
    pid = host.daemon_pid()
    host.engine.run("dynia.test/web:1", "left")
    group = host.group
    host.stop()
    assert not pathlib.Path(f"/proc/{pid}").exists()
    assert str(tmp_path) not in pathlib.Path("/proc/mounts").read_text(encoding="utf-8")
    assert not list(pathlib.Path("/sys/fs/cgroup").glob(f"*/{group}"))
    for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        if process.parent.name != str(os.getpid()):
            try:
                assert str(tmp_path).encode() not in process.read_bytes()
            except OSError:
                pass
