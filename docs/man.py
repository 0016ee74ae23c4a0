"""Writes dynia(1) from what the program says of itself:  man.py PROGRAM > dynia.1"""

import re
import subprocess
import sys

FILES = [
    ("/etc/dynia/agent.yaml", "how this node finds its repository"),
    ("/etc/dynia/secrets.yaml", "the values behind {secret: NAME}; its mode is 0600"),
    ("/var/lib/dynia", "the mirror of the repository, and what the agent remembers"),
    ("/run/dynia", "lock, sockets and pid files"),
    ("/opt/dynia", "what is rendered for this node"),
]
STATUSES = [
    (0, "done, or nothing to do"),
    (1, "it failed; the last line says what and where"),
    (2, "the command was used wrongly"),
    (3, "the repository has errors"),
    (4, "with plan --exit-code and reconcile --dry-run: there is something to do"),
]


def say(program, *argv):
    return subprocess.run([program, *argv], capture_output=True, text=True, check=True).stdout


def roff(text):
    """Text in which nothing is a request or an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def command(program, name, summary):
    """One command's section, from the parts of its help: usage, text, options, example."""
    usage, *parts = say(program, name, "--help").rstrip().split("\n\n")
    yield f".SS {roff(usage.removeprefix('usage: '))}"
    for part in parts:
        head, _, rest = part.partition("\n")
        if head == "options:":
            for option, text in re.findall(r"^  (--\S+(?: (?:[A-Z]+|\S+\|\S+))?) +(.*(?:\n {6,}.*)*)", rest, re.M):
                yield from (".TP", f".B {roff(option)}", roff(" ".join(text.split())))
        elif head == "example:":
            yield from (".PP", ".EX", roff(rest), ".EE")
        elif part != f"{summary}.":
            yield from (".PP", roff(part))
        else:
            yield roff(part[0].upper() + part[1:])


def page(program):
    version = say(program, "version").split()[1]
    overview = say(program, "--help")
    commands = re.findall(r"^  ([a-z]+) +(.*)$", overview.split("commands:\n")[1], re.M)
    about = overview.split("\n\n")[1]
    yield from (f'.TH DYNIA 1 "" "dynia {version}" "User Commands"', ".SH NAME",
                "dynia \\- keep plain machines at what a git repository says",
                ".SH SYNOPSIS", ".B dynia", roff("COMMAND [OPTIONS] [ARGUMENTS]"), ".SH DESCRIPTION", roff(about), ".PP",
                "Each node runs one agent that pulls the repository, renders the files of its HAProxy, Caddy, keepalived and "
                "compose, applies them, looks whether they work, and commits what it saw back to git.", ".SH COMMANDS")
    for name, summary in commands:
        yield from command(program, name, summary)
    yield ".SH EXIT STATUS"
    for status, meaning in STATUSES:
        yield from (".TP", f".B {status}", roff(meaning))
    yield ".SH FILES"
    for path, meaning in FILES:
        yield from (".TP", f".I {path}", roff(meaning))
    yield from (".SH ENVIRONMENT", ".TP", ".B NO_COLOR", "where it is set, no output is coloured")


if __name__ == "__main__":
    print("\n".join(page(sys.argv[1])))
