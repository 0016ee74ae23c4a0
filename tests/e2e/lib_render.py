"""What the tests of rendering share: hostile words, the quote tool, free ports, programs for a while."""

import contextlib
import os
import random
import re
import socket
import subprocess
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("DYNIA_BUILD_DIR", TOP / "build"))

FRAGMENTS = [
    "'", '"', "`", "\\", "{", "}", "$", "{$HOME}", "{env.HOME}", "{http.request.host}",
    "%[env(HOME)]", "%[src]", "%", "%%", "#", "@", "~", "*", "/", " ", "  ", ";", "|", "&", "<<EOF",
    "import", "-", "--", "=", ",", ":", "!", "[", "]", "(", ")", "0", "on", "null", "${HOME}", "$HOME",
    "$(id)", "\\n", "\\\\", "\\{", "\\}", '\\"', "'\\''", "é", "日本", "\u0085", "\u00a0", "\u2028",
    "\ufeff", "a", "b c", "x:y", "# c", "{args.0}", "?", "\\x41", "word",
]  # fmt: skip
CONTROLS = ["\n", "\t", "\r", "\x01", "\x1b", "\x7f"]


def seed():
    """The seed of this run, from DYNIA_SEED to repeat another one."""
    value = int(os.environ.get("DYNIA_SEED", time.time_ns() % 2**32))
    print(f"DYNIA_SEED={value}")
    return value


def hostile_words(count, controls=True):
    """The fragments, all their pairs with a few, and random strings of them; the same for a seed."""
    rng = random.Random(seed())
    words = dict.fromkeys(FRAGMENTS)
    fragments = FRAGMENTS + (CONTROLS if controls else [])
    while len(words) < count:
        words["".join(rng.choices(fragments, k=rng.randint(1, 8)))] = None
    return list(words)


def quoted(dialect, words):
    """Each word as the dialect writes it, None where it is refused."""
    tool = BUILD / "tools" / "quote"
    data = b"".join(word.encode() + b"\0" for word in words)
    out = subprocess.run([tool, dialect], input=data, capture_output=True, check=True).stdout
    answers = out.decode().split("\0")[:-1]
    assert len(answers) == len(words)
    return [answer or None for answer in answers]


def has_control(word):
    return re.search(r"[\x00-\x1f\x7f]", word) is not None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, process, timeout=15):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, process.stderr.read().decode()[-2000:]
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on port {port}")


@contextlib.contextmanager
def running(argv, port=None, **kwargs):
    """A program that is ended, by its own pid, when the block is left."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **kwargs)
    try:
        if port:
            wait_port(port, process)
        yield process
    finally:
        process.kill()
        process.communicate()


def run(argv, check=True, **kwargs):
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60, **kwargs)
    if check:
        assert result.returncode == 0, f"{argv}: {result.stdout}{result.stderr}"
    return result


def in_namespace(script, **kwargs):
    """A shell script as the first process of new pid, network and mount namespaces, with an eth1 of its own."""
    setup = (
        "mount -t tmpfs none /run && ip link set lo up && "
        "ip link add eth1 type veth peer name eth1peer && ip addr add 10.108.0.2/20 dev eth1 && "
        "ip link set eth1 up && ip link set eth1peer up && "
    )
    return subprocess.run(
        ["unshare", "-p", "-f", "-n", "-m", "sh", "-c", setup + script],
        capture_output=True, text=True, timeout=60, **kwargs,
    )  # fmt: skip
