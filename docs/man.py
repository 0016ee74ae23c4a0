"""Writes a manual page from what the program says of itself.

man.py dynia.1 PROGRAM                       the commands
man.py dynia-agent.yaml.5 PROGRAM            the keys of a file: agent.yaml, cluster.yaml, service.yaml
"""

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
    yield from (".SH ENVIRONMENT", ".TP", ".B NO_COLOR", "where it is set, no output is coloured",
                ".SH SEE ALSO", roff(SEE_ALSO.removeprefix("dynia(1), ")))


# --- dynia-FILE(5) --------------------------------------------------------------------------------------------------

FILE_SUMMARIES = {"agent.yaml": "how a node finds its repository", "cluster.yaml": "the nodes of a cluster, and what stands before its services",
                  "service.yaml": "a service: what runs, and where it answers"}
SEE_ALSO = "dynia(1), dynia-agent.yaml(5), dynia-cluster.yaml(5), dynia-service.yaml(5)"


def plain(markdown):
    """The reference's Markdown, of which its cells use code and line breaks, as roff."""
    parts = re.split(r"`([^`]+)`", markdown.replace("\\|", "|"))
    return "".join(f"\\fB{roff(part)}\\fR" if i % 2 else roff(part) for i, part in enumerate(parts)).replace("<br>", "\n.br\n")


def file_page(program, name):
    version = say(program, "version").split()[1]
    intro, *sections = say(program, "schema", "--reference").split("\n## ")
    text = next(text for title, _, text in (s.partition("\n") for s in sections) if title.strip(" `") == name)
    yield from (f'.TH DYNIA\\-{name.upper()} 5 "" "dynia {version}" "File Formats"', ".SH NAME",
                f"dynia\\-{name} \\- {FILE_SUMMARIES[name]}", ".SH DESCRIPTION")
    for paragraph in [*text.split("\n|")[0].strip().split("\n\n"), intro.strip().split("\n\n")[-1]]:
        yield from (plain(" ".join(paragraph.split())), ".PP")
    yield ".SH KEYS"
    for row in re.findall(r"^\| `.*\|$", text, re.M):
        key, kind, default, meaning = (cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1])
        says = {"": "", "**required**": ", required"}.get(default, f", by default {default}")
        yield from (".TP", plain(key), f"{plain(kind + says)}.", ".br", plain(meaning))
    yield from (".SH SEE ALSO", roff(SEE_ALSO))


def main(page_name, program):
    name, _, section = page_name.rpartition(".")
    lines = page(program) if section == "1" else file_page(program, name.removeprefix("dynia-"))
    print("\n".join(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
