"""Completion in bash, zsh and fish: interactive shells on a terminal, and the program's own answers."""

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import time

import harness
import pytest
from harness import SOURCE, dynia

pytestmark = pytest.mark.heavy  # other programs' behaviour

SCRIPTS = SOURCE / "packaging" / "completion"
PROMPT = "ready>"
SECONDS = 60


def candidates(*words, cwd=None):
    """What the program offers: a dictionary of candidate and description."""
    lines = dynia("complete", *words, cwd=cwd).stdout.splitlines()
    return {line.split("\t")[0]: line.partition("\t")[2] for line in lines}


def commands():
    text = dynia("--help").stdout
    return dict(re.findall(r"^  ([a-z]+) +(.*)$", text.split("commands:\n")[1], re.M))


# --- what the program offers ----------------------------------------------------------------------------------------


def test_every_command_with_its_summary():
    assert candidates("") == candidates() == commands()
    assert candidates("re") == {name: text for name, text in commands().items() if name.startswith("re")}


@pytest.mark.parametrize("command", commands())
def test_every_option_of_the_help(command):
    text = dynia(command, "--help").stdout
    assert set(candidates(command, "--")) == set(re.findall(r"^  (--[a-z-]+)", text, re.M))


@pytest.mark.parametrize("words, offered", [
    (("plan", "--format", ""), {"text", "markdown", "json"}),
    (("plan", "--format", "m"), {"markdown"}),
    (("plan", "--format=j"), {"json"}),
    (("plan", "--cluster", "d"), {"demo"}),
    (("plan", "--cluster="), {"demo", "shop"}),
    (("plan", "--exit-code=", ), set()),
    (("plan", "--exit-code", ""), {":dirs"}),
    (("plan", "--from", ""), set()),
    (("plan", "--no-such", "--form"), {"--format"}),
    (("plan", "--", "--form"), {":dirs"}),
    (("plan", ".", ""), {"--from", "--to", "--cluster", "--format", "--exit-code", "--help"}),
    (("render", "--out", ""), {":dirs"}),
    (("render", ""), {":dirs"}),
    (("reconcile", "--config", ""), {":files"}),
    (("schema", "s"), {"service"}),
    (("vrrp", ""), {"master", "backup", "fault"}),
    (("no-such-command", ""), set()),
])
def test_where_the_word_is(words, offered):
    assert set(candidates(*words, cwd=SOURCE / "examples" / "repo")) == offered


def test_completing_runs_nothing(tmp_path):
    """A command that would do something without arguments does not do it."""
    (tmp_path / "clusters").mkdir()
    candidates("init", "x", "", cwd=tmp_path)
    candidates("resume", "", cwd=tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["clusters"]


# --- shells -----------------------------------------------------------------------------------------------------------


class Shell:
    """An interactive shell on a pseudo-terminal, with a copy of its screen as text."""

    def __init__(self, argv, folder, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(argv[0], argv, env)
        self.text = ""

    def read(self, until):
        end = time.monotonic() + SECONDS
        while until not in self.text:
            left = end - time.monotonic()
            assert left > 0, f"no {until!r} in {self.text!r}"
            if select.select([self.fd], [], [], left)[0]:
                raw = os.read(self.fd, 4096).decode("utf-8", "replace")
                self.text += re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[=>])", "", raw)
        self.text = self.text[self.text.index(until) + len(until):]

    def type(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the program on PATH as a user has it, and an example repository to stand in."""
    tmp_path = tmp_path_factory.mktemp("home")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "dynia").symlink_to(harness.DYNIA)
    shutil.copytree(SOURCE / "examples" / "repo", tmp_path / "repo")
    (tmp_path / "repo" / "a folder").mkdir()
    (tmp_path / "repo" / "agent file.yaml").write_text("", encoding="utf-8")
    return tmp_path


def env(home):
    return {"PATH": f"{home}/bin:/usr/bin:/bin", "HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8", "PS1": PROMPT,
            "XDG_DATA_HOME": str(home / "share"), "XDG_CONFIG_HOME": str(home / "config")}


@pytest.fixture(scope="module", params=["bash", "zsh"])
def shell(request, home):
    if request.param == "bash":
        # Where the package puts it, and loaded by bash-completion at the first TAB.
        place = home / "share" / "bash-completion" / "completions"
        place.mkdir(parents=True)
        shutil.copy(SCRIPTS / "dynia.bash", place / "dynia")
        shell = Shell(["bash", "--norc", "-i"], home / "repo", env(home))
        start = "source /usr/share/bash-completion/bash_completion; bind 'set bell-style none'"
    else:
        shell = Shell(["zsh", "-f", "-i"], home / "repo", env(home))
        start = f"fpath=({SCRIPTS} $fpath); autoload -Uz compinit; compinit -u -D; setopt no_beep; PS1='{PROMPT}'"
    try:
        shell.read(PROMPT)
        shell.type(f"{start}; echo com''pletion loaded\r")
        shell.read("completion loaded")
        shell.read(PROMPT)
        yield shell
    finally:
        shell.close()


@pytest.mark.parametrize("typed, completed", [
    ("dynia vali", "dynia validate "),
    ("dynia plan --form", "dynia plan --format"),
    ("dynia plan --format ma", "dynia plan --format markdown"),
    ("dynia plan --format=ma", "dynia plan --format=markdown"),
    ("dynia render --cluster d", "dynia render --cluster demo"),
    ("dynia validate a", "dynia validate a\\ folder/"),
    ("dynia render --out=a", "dynia render --out=a\\ folder/"),
    ("dynia reconcile --config agen", "dynia reconcile --config agent\\ file.yaml"),
    ("dynia vrrp b", "dynia vrrp backup"),
])
def test_tab(shell, typed, completed):
    shell.type("\x15\r")
    shell.read(PROMPT)
    shell.type(f"{typed}\t")
    shell.read(completed)


@pytest.mark.parametrize("typed, offered", [
    ("dynia vali", {"validate"}),
    ("dynia plan --fo", {"--format"}),
    ("dynia plan --format ma", {"markdown"}),
    ("dynia plan --format=ma", {"--format=markdown"}),
    ("dynia render --cluster ", {"demo", "shop"}),
    ("dynia validate a", {"a folder/"}),
    ("dynia render --out=a", {"--out=a folder/"}),
    ("dynia reconcile --config agen", {"agent file.yaml"}),
])
def test_fish(home, typed, offered):
    done = subprocess.run(["fish", "--no-config", "-c", f"source {SCRIPTS}/dynia.fish; complete -C '{typed}'"], cwd=home / "repo",
                          env=env(home), capture_output=True, text=True, timeout=SECONDS, check=True)
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == offered, done.stderr
