"""dynia(1) knows what the program knows: each command, and each of its options."""

import re

import pytest
from harness import DYNIA, SOURCE, dynia, run


def options(text):
    """Of a command's help, as it is shown: the option with its argument, and what is said of it."""
    return {tuple(part.split()) for part in re.findall(r"^  (--\S.*(?:\n {6,}.*)*)", text.split("\noptions:\n")[1].split("\n\n")[0], re.M)}


@pytest.fixture(scope="module")
def sections():
    """The page's sections of commands, without what roff wants."""
    page = run("/usr/bin/python3", SOURCE / "docs/man.py", "dynia.1", DYNIA).stdout.replace("\\-", "-").replace("\\e", "\\")
    parts = page.split("\n.SH COMMANDS\n")[1].split("\n.SH ")[0].split(".SS dynia ")[1:]
    return {part.split()[0]: part for part in parts}


def commands():
    return re.findall(r"^  ([a-z]+) ", dynia("--help").stdout.split("commands:\n")[1], re.M)


def test_every_command(sections):
    assert list(sections) == commands()


@pytest.mark.parametrize("command", commands())
def test_every_option(sections, command):
    shown = {tuple(f"{option} {text}".split()) for option, text in
             re.findall(r"^\.TP\n\.B (--.*)\n(.*)$", sections[command], re.M)}
    assert shown == options(dynia(command, "--help").stdout)
