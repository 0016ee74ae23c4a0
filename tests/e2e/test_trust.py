"""Signers: what is not signed by one of them, on any side of a merge, is refused and named, and the node stays where it is.
On real ssh-keygen, gpg and git."""

import json
import os
import re
import subprocess

import pytest

import harness
from harness import wait_for

PAGE = "clusters/demo/services/hello/site/index.html"
HOST = "hello.demo.test"
LIST = ".dynia/allowed_signers"


def condition(status, kind):
    return next(c for c in status["conditions"] if c["type"] == kind)


def whole_state(node):
    kept = {name: (node.root / "var/lib/dynia" / name).read_bytes() for name in ("index", "high-water")}
    state = json.loads((node.root / "var/lib/dynia/state.json").read_text(encoding="utf-8"))
    generations = sorted(p.name for p in (node.root / "var/lib/dynia/generations").iterdir())
    return node.files(), node.pids(), kept, generations, state["revision"], state["key"]


class Person:
    """Somebody with an SSH key, who commits."""

    def __init__(self, site, name):
        self.repository, self.name = site.repository, name
        self.key = site.folder / f"key-{name}"
        harness.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.key)

    def line(self, options="", principal=None):
        key = self.key.with_suffix(".pub").read_text(encoding="utf-8").strip()
        return f"{principal or self.name + '@example.com'} {options}{' ' if options else ''}{key}\n"

    def git(self, *argv, sign=True, date=None):
        env = {**os.environ, **harness.GIT_ENV, "GIT_AUTHOR_NAME": self.name, "GIT_COMMITTER_NAME": self.name}
        if date:
            env.update(GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.key}", "-c", f"commit.gpgsign={str(sign).lower()}"]
        return harness.run("git", "-C", self.repository.tree, *signing, *argv, env=env).stdout.strip()

    def commit(self, message, push=True, **options):
        self.repository.write(PAGE, f"<p>{message}</p>\n")
        return self.commit_tree(message, push, **options)

    def commit_tree(self, message, push=True, **options):
        self.repository.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", message, **options)
        if push:
            self.push()
        return self.repository.git("rev-parse", "HEAD")

    def push(self):
        self.repository.git("push", "--quiet", "--force", "origin", "main")


@pytest.fixture
def people(site):
    return {name: Person(site, name) for name in ("ada", "bob", "eve")}


def verify_with(node, text="verify: {signers: /etc/dynia/allowed_signers}"):
    config = (node.root / "etc/dynia/agent.yaml").read_text(encoding="utf-8")
    node.write("etc/dynia/agent.yaml", config + text + "\n")


@pytest.fixture
def node(site, people):
    """A node that has applied a first commit, signed by ada, and believes her and bob."""
    site.use_example(commit=False)
    people["ada"].commit("first")
    node = site.node()
    node.write("etc/dynia/allowed_signers", people["ada"].line() + people["bob"].line('namespaces="git"'))
    verify_with(node)
    node.once()
    assert condition(site.repository.status(node.name), "Verified")["reason"] == "Signed"
    return node


def refused(site, node, bad, reason, *told, good=None, named=None):
    """One pass that refuses `bad` for the commit `named`, and leaves the node at `good`."""
    before = whole_state(node)
    page = node.fetch(HOST).body
    done = node.once(check=False)
    assert done.returncode == 1
    for part in ((named or bad)[:7], "must be signed by", "push", *told):
        assert part in done.stderr, (part, done.stderr)
    assert whole_state(node) == before and node.fetch(HOST).body == page
    status = site.repository.status(node.name)
    assert status["revision"]["quarantined"] == bad and status["revision"]["desired"] == bad
    if good:
        assert status["revision"]["applied"] == good and status["high_water"] == good
    for kind in ("Ready", "Verified"):
        assert (condition(status, kind)["status"], condition(status, kind)["reason"]) == ("False", reason)
        assert (named or bad)[:7] in condition(status, kind)["message"]
    assert condition(status, "Synced")["status"] == "True"
    return done


def test_good_signatures_are_followed(site, node, people):
    for who in ("bob", "ada", "bob"):
        commit = people[who].commit(f"by {who}")
        done = node.once()
        assert f"{commit[:7]} is verified: 1 good signature" in done.stderr
        assert f"by {who}" in node.fetch(HOST).body
    for i in range(5):
        last = people["ada"].commit(f"number {i}", push=False)
    people["ada"].push()
    assert f"{last[:7]} is verified: 5 good signatures" in node.once().stderr
    assert "verified" not in node.once().stderr, "once"


def test_an_unsigned_commit_is_refused(site, node, people):
    good = site.repository.git("rev-parse", "HEAD")
    bad = people["ada"].commit("unsigned", sign=False)
    done = refused(site, node, bad, "UnsignedCommit", "it is not signed", "'unsigned', by ada", good=good)
    assert f"git rebase --force-rebase -S {good[:7]}" in done.stderr
    commits = len(site.repository.log(node.name))
    assert node.once(check=False).returncode == 1
    assert len(site.repository.log(node.name)) == commits, "told once"
    # What is told to be done mends it.
    people["ada"].git("rebase", "--quiet", "--force-rebase", "-S", good[:7])
    people["ada"].push()
    node.once()
    assert "unsigned" in node.fetch(HOST).body
    assert condition(site.repository.status(node.name), "Ready")["status"] == "True"


def test_a_signed_commit_does_not_hide_an_unsigned_one_below(site, node, people):
    good = site.repository.git("rev-parse", "HEAD")
    hidden = people["eve"].commit("hidden", sign=False, push=False)
    bad = people["ada"].commit("on top")
    refused(site, node, bad, "UnsignedCommit", "'hidden'", good=good, named=hidden)


def test_a_strangers_signature_is_refused(site, node, people):
    good = site.repository.git("rev-parse", "HEAD")
    bad = people["eve"].commit("by eve")
    refused(site, node, bad, "UnknownSigner", "No principal matched", good=good)
    # The node's own file decides: with her in it, the same commit is good.
    node.write("etc/dynia/allowed_signers", people["eve"].line())
    node.once()
    assert "by eve" in node.fetch(HOST).body


def test_every_side_of_a_merge_counts(site, node, people):
    repository, good = site.repository, site.repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "-b", "side")
    repository.write("clusters/demo/services/side.yaml", "version: 1\nhosts: [side.demo.test]\nrespond: {body: side}\n")
    hidden = people["eve"].commit_tree("side", push=False)
    repository.git("checkout", "--quiet", "main")
    people["ada"].commit("main", push=False)
    people["ada"].git("merge", "--quiet", "--no-edit", "side")
    people["ada"].push()
    bad = repository.git("rev-parse", "HEAD")
    refused(site, node, bad, "UnknownSigner", "'side'", good=good, named=hidden)
    # With a side of bob's it is good.
    repository.git("reset", "--quiet", "--hard", good)
    repository.git("checkout", "--quiet", "-B", "side")
    repository.write("clusters/demo/services/side.yaml", "version: 1\nhosts: [side.demo.test]\nrespond: {body: side}\n")
    people["bob"].commit_tree("side", push=False)
    repository.git("checkout", "--quiet", "main")
    people["ada"].commit("main", push=False)
    people["ada"].git("merge", "--quiet", "--no-edit", "side")
    people["ada"].push()
    assert "3 good signatures" in node.once().stderr
    assert node.fetch("side.demo.test").body == "side"


def test_an_unsigned_merge_is_refused(site, node, people):
    repository, good = site.repository, site.repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "-b", "side")
    people["bob"].commit_tree("side", push=False)
    repository.git("checkout", "--quiet", "main")
    people["ada"].commit("main", push=False)
    people["ada"].git("merge", "--quiet", "--no-edit", "side", sign=False)
    people["ada"].push()
    refused(site, node, repository.git("rev-parse", "HEAD"), "UnsignedCommit", "it is not signed", good=good)


@pytest.mark.parametrize("options,date,is_good", [
    ('valid-before="20250101"', "2024-12-31T12:00:00Z", True), ('valid-before="20250101"', "2025-01-01T12:00:00Z", False),
    ('valid-after="20250101"', "2024-12-31T12:00:00Z", False), ('valid-after="20250101"', "2025-01-01T12:00:00Z", True),
    ('namespaces="file"', None, False), ('namespaces="file,git"', None, True)])
def test_what_a_signer_may_is_limited(site, node, people, options, date, is_good):
    good = site.repository.git("rev-parse", "HEAD")
    node.write("etc/dynia/allowed_signers", people["ada"].line() + people["bob"].line(options))
    commit = people["bob"].commit("limited", date=date)
    if is_good:
        node.once()
        assert "limited" in node.fetch(HOST).body
    else:
        refused(site, node, commit, "UnknownSigner", good=good)


def test_the_first_commit_needs_a_signer_of_the_nodes_file(site, people):
    site.use_example(commit=False)
    people["eve"].commit("unsigned", sign=False, push=False)
    site.repository.write(LIST, people["eve"].line())
    bad = people["eve"].commit("eve's own list")
    node = site.node()
    node.write("etc/dynia/allowed_signers", people["ada"].line())
    verify_with(node)
    done = node.once(check=False)
    assert done.returncode == 1 and bad[:7] in done.stderr and "a signer of its own file" in done.stderr
    assert node.files() == {} and node.pids() == {"haproxy": None, "caddy": None}
    site.repository.write(LIST, people["ada"].line())
    people["ada"].commit("ada's word for all of it")
    node.once()
    assert node.fetch(HOST).status == 200


def test_signers_that_are_set_up_later_count_from_then_on(served, people):
    """An unsigned commit that is there already stays; it is not left, and nothing unsigned follows it."""
    node, site = served.nodes[0], served
    good = site.repository.git("rev-parse", "HEAD")
    node.write("etc/dynia/allowed_signers", people["ada"].line())
    verify_with(node)
    refused(site, node, good, "UnsignedCommit", good=good)
    (node.root / "opt/dynia/sites/hello/style.css").unlink()
    node.once(check=False)
    assert node.fetch(HOST, "/style.css").status == 200, "it is repaired meanwhile"
    people["ada"].commit("signed")
    node.once()
    assert "signed" in node.fetch(HOST).body


# --- the list in the repository


def with_list(site, node, people, *who):
    """ada puts a list into the repository."""
    site.repository.write(LIST, "".join(people[name].line() for name in who))
    commit = people["ada"].commit("a list of " + " ".join(who))
    node.once()
    return commit


def test_a_list_in_the_repository_is_in_force(site, node, people):
    good = with_list(site, node, people, "ada", "eve")
    good = people["eve"].commit("by eve")
    node.once()
    bad = people["bob"].commit("by bob")
    refused(site, node, bad, "UnknownSigner", "'by bob'", good=good)


def test_nobody_adds_himself_to_the_list(site, node, people):
    good = with_list(site, node, people, "ada", "bob")
    site.repository.write(LIST, people["ada"].line() + people["eve"].line())
    bad = people["eve"].commit("I am in it")
    refused(site, node, bad, "UnknownSigner", "'I am in it'", good=good)
    people["eve"].commit("and again", push=True)
    assert node.once(check=False).returncode == 1


def test_a_removed_signer_is_refused_from_the_next_commit_on(site, node, people):
    with_list(site, node, people, "ada", "bob", "eve")
    site.repository.write(LIST, people["ada"].line() + people["bob"].line())
    good = people["eve"].commit("eve takes herself out")
    node.once()
    bad = people["eve"].commit("by eve")
    refused(site, node, bad, "UnknownSigner", "'by eve'", good=good)


@pytest.mark.parametrize("seen", [True, False], ids=["removal-seen", "all-at-once"])
@pytest.mark.parametrize("first", [True, False], ids=["removal-first", "removal-second"])
def test_a_removed_signer_does_not_merge_himself_back_in(site, node, people, seen, first):
    """eve branches off where she was in, and merges that with the commit that removed her."""
    repository = site.repository
    good = with_list(site, node, people, "ada", "bob", "eve")
    repository.git("checkout", "--quiet", "-b", "old")
    side = people["eve"].commit_tree("still in", push=False)
    repository.git("checkout", "--quiet", "main")
    repository.write(LIST, people["ada"].line() + people["bob"].line())
    removal = people["ada"].commit("eve is out", push=seen)
    if seen:
        node.once()
        good = removal
    ours, theirs = ("main", "old") if first else ("old", "main")
    repository.git("checkout", "--quiet", "-B", "merged", ours)
    people["eve"].git("merge", "--quiet", "--no-edit", "--strategy=ours", theirs)
    repository.git("checkout", "--quiet", "merged", "--", ".")
    repository.git("push", "--quiet", "--force", "origin", "merged:main")
    bad = repository.git("rev-parse", "merged")
    refused(site, node, bad, "UnknownSigner", good=good, named=side if seen else bad)


@pytest.mark.parametrize("kind", ["folder", "symlink", "binary", "large"])
def test_a_list_that_is_none_is_refused(site, node, people, kind):
    good = with_list(site, node, people, "ada")
    file = site.repository.tree / LIST
    file.unlink()
    if kind == "folder":
        site.repository.write(LIST + "/x", "y")
    elif kind == "symlink":
        file.symlink_to("/etc/dynia/allowed_signers")
    else:
        file.write_bytes(people["ada"].line().encode() + (b"\0" if kind == "binary" else b"# \n" * 100000))
    bad = people["ada"].commit(kind)
    refused(site, node, bad, "BadCommit", "is no file with a list of signers", good=good)


# --- OpenPGP


class Gpg:
    def __init__(self, site):
        self.site, self.home = site, site.folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.env = {**os.environ, **harness.GIT_ENV, "GNUPGHOME": str(self.home)}

    def gpg(self, *argv, stdin=None):
        return harness.run("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *argv,
                           env=self.env, input=stdin).stdout

    def key(self, name, expires="never", at=None):
        self.gpg(*(["--faked-system-time", at] if at else []), "--quick-generate-key", f"{name} <{name}@example.com>",
                 "ed25519", "sign", expires)
        return re.search(r"fp[r]:+(\w+):", self.gpg("--with-colons", "--list-keys", name)).group(1)

    def export(self, *keys):
        return subprocess.run(["gpg", "--batch", "--export", *keys], env=self.env, check=True, capture_output=True).stdout

    def commit(self, key, message, program="gpg"):
        repository = self.site.repository
        repository.write(PAGE, f"<p>{message}</p>\n")
        repository.git("add", "-A")
        harness.run("git", "-C", repository.tree, "-c", f"gpg.program={program}", "commit", "--quiet", f"-S{key}", "-m",
                    message, env=self.env)
        repository.git("push", "--quiet", "--force", "origin", "main")
        return repository.git("rev-parse", "HEAD")

    def stop(self):
        subprocess.run(["gpgconf", "--kill", "all"], env=self.env, check=False)


@pytest.fixture
def gpg(site):
    gpg = Gpg(site)
    yield gpg
    gpg.stop()


def with_keyring(site, gpg, *keys):
    node = site.node()
    (node.root / "etc/dynia/keyring.gpg").write_bytes(gpg.export(*keys))
    verify_with(node, "verify: {keyring: /etc/dynia/keyring.gpg}")
    node.once()
    return node


def test_openpgp(site, people, gpg):
    site.use_example(commit=False)
    good, stranger = gpg.key("grace"), gpg.key("mallory")
    first = gpg.commit(good, "by grace")
    node = with_keyring(site, gpg, good)
    assert "by grace" in node.fetch(HOST).body
    bad = gpg.commit(stranger, "by mallory")
    refused(site, node, bad, "UnknownSigner", "the key is not in the keyring", good=first)
    site.repository.git("reset", "--quiet", "--hard", first)
    bad = people["ada"].commit("by SSH")
    refused(site, node, bad, "UnknownSigner", "there is no list of signers", good=first)
    site.repository.git("reset", "--quiet", "--hard", first)
    gpg.commit(good, "by grace again")
    node.once()
    assert "by grace again" in node.fetch(HOST).body


def test_an_expired_or_revoked_openpgp_key_is_refused(site, gpg):
    site.use_example(commit=False)
    good = gpg.key("grace")
    first = gpg.commit(good, "by grace")
    old = gpg.key("heidi", "20200201T000000", at="20200101T000000!")
    fake = site.folder / "gpg-then"
    fake.write_text('#!/bin/sh\nexec gpg --batch --faked-system-time 20200115T000000! "$@"\n', encoding="utf-8")
    fake.chmod(0o755)
    node = with_keyring(site, gpg, good, old)
    bad = gpg.commit(old, "by heidi, when her key was valid", program=str(fake))
    refused(site, node, bad, "UnknownSigner", "has expired", good=first)
    site.repository.git("reset", "--quiet", "--hard", first)
    revoked = gpg.key("ivan")
    bad = gpg.commit(revoked, "by ivan")
    certificate = (gpg.home / "openpgp-revocs.d" / f"{revoked}.rev").read_text(encoding="utf-8")
    gpg.gpg("--import", stdin=certificate.replace(":-----BEGIN", "-----BEGIN"))
    (node.root / "etc/dynia/keyring.gpg").write_bytes(gpg.export(good, revoked))
    refused(site, node, bad, "UnknownSigner", "was revoked", good=first)


# --- commits that are made by hand


def raw_commit(site, data):
    done = subprocess.run(["git", "-C", str(site.repository.tree), "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
                          input=data, capture_output=True, check=True)
    oid = done.stdout.decode().strip()
    site.repository.git("push", "--quiet", "--force", "origin", f"{oid}:refs/heads/main")
    return oid


def forge(site, people, change):
    """ada's own signed commit, changed by hand."""
    commit = people["ada"].commit("forged", push=False)
    data = subprocess.run(["git", "-C", str(site.repository.tree), "cat-file", "commit", commit], capture_output=True,
                          check=True).stdout
    return raw_commit(site, change(data))


def second_signature(data):
    head, body = data.split(b"\n\n", 1)
    signature = head[head.index(b"gpgsig "):]
    return head + b"\n" + signature + b"\n\n" + body


@pytest.mark.parametrize("change,reason,told", [
    (lambda d: d.replace(b"\n\nforged", b"\n\nforgery"), "UnknownSigner", "incorrect signature"),
    (lambda d: d.replace(b"author Ada" if b"author Ada" in d else b"author ada", b"author Bob", 1), "UnknownSigner", ""),
    (second_signature, "BadCommit", "it has several signatures"),
    (lambda d: d.replace(b"gpgsig ", b"gpgsig-sha256 ", 1), "BadCommit", "gpgsig-sha256"),
    (lambda d: d.replace(b"gpgsig ", b"gpgsix ", 1), "UnsignedCommit", "it is not signed"),
    (lambda d: d.replace(b"SSH SIGNATURE", b"SIGNED MESSAGE"), "UnknownSigner", "neither SSH's nor OpenPGP's"),
    (lambda d: d.replace(b"\ngpgsig ", b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n -----END PGP SIGNATURE-----\ngpgsig ", 1), "BadCommit",
     "it has several signatures"),
], ids=["message", "author", "two", "sha256", "misspelt", "x509", "pgp-and-ssh"])
def test_a_forged_commit_is_refused(site, node, people, change, reason, told):
    good = site.repository.git("rev-parse", "HEAD")
    bad = forge(site, people, change)
    refused(site, node, bad, reason, told, good=good)


def test_a_signature_of_another_namespace_is_refused(site, node, people):
    """Something that ada signed as a file is no commit of hers."""
    good = site.repository.git("rev-parse", "HEAD")

    def sign_as_file(data):
        head, body = data.split(b"\n\n", 1)
        unsigned = head[:head.index(b"gpgsig ")].rstrip(b"\n") + b"\n\n" + body
        file = site.folder / "payload"
        file.write_bytes(unsigned)
        harness.run("ssh-keygen", "-Y", "sign", "-q", "-n", "file", "-f", people["ada"].key, file)
        signature = (site.folder / "payload.sig").read_bytes().rstrip(b"\n").replace(b"\n", b"\n ")
        return unsigned.replace(b"\n\n", b"\ngpgsig " + signature + b"\n\n", 1)

    bad = forge(site, people, sign_as_file)
    refused(site, node, bad, "UnknownSigner", good=good)


def test_a_nul_byte_hides_nothing(site, node, people):
    good = site.repository.git("rev-parse", "HEAD")
    before = whole_state(node)
    bad = forge(site, people, lambda d: d.replace(b"\n\nforged", b"\n\nforged\0and more"))
    done = node.once(check=False)
    assert done.returncode == 1 and whole_state(node) == before
    assert bad[:7] in done.stderr or "NUL" in done.stderr or "fsck" in done.stderr or "nul" in done.stderr.lower()
    assert site.repository.status(node.name)["revision"]["applied"] == good


def test_too_many_commits_are_told(site, node, people):
    repository, good = site.repository, site.repository.git("rev-parse", "HEAD")
    stream = "".join(f"commit refs/heads/main\ncommitter Eve <eve@example.com> {1700000000 + i} +0000\ndata 1\nx\n"
                     + (f"from {good}\n" if i == 0 else "") for i in range(2100))
    harness.run("git", "-C", repository.tree, "fast-import", "--quiet", "--force", input=stream)
    repository.git("push", "--quiet", "--force", "origin", "main")
    bad = repository.git("rev-parse", "main")
    before = whole_state(node)
    done = node.once(check=False)
    assert done.returncode == 1 and whole_state(node) == before
    assert f"{bad[:7]} has more than 2000 commits since {good[:7]}" in done.stderr
    assert condition(repository.status(node.name), "Verified")["reason"] == "TooManyCommits"


def test_an_accepted_history_still_needs_a_signature(site, node, people):
    repository = site.repository
    people["ada"].commit("second")
    node.once()
    good = repository.git("rev-parse", "HEAD")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    bad = people["eve"].commit("rewritten")
    assert node.once(check=False).returncode == 1
    harness.dynia("reconcile", "--accept-history", bad, "--root", node.root)
    done = node.once(check=False)
    assert done.returncode == 1 and "No principal matched" in done.stderr
    assert repository.status(node.name)["revision"]["applied"] == good
    people["ada"].commit("ada's word for it")
    node.once()
    assert "word for it" in node.fetch(HOST).body


def test_a_signers_file_that_is_lost_stops_the_node_and_is_told(site, node, people):
    good = site.repository.git("rev-parse", "HEAD")
    (node.root / "etc/dynia/allowed_signers").unlink()
    people["ada"].commit("next")
    done = node.once(check=False)
    assert done.returncode == 1 and "allowed_signers" in done.stderr
    status = site.repository.status(node.name)
    assert status["revision"]["applied"] == good and condition(status, "Verified")["reason"] == "VerifyError"
    (node.root / "opt/dynia/sites/hello/style.css").unlink()
    node.once(check=False)
    assert node.fetch(HOST, "/style.css").status == 200


def test_a_running_agent_refuses_and_goes_on(site, node, people):
    good = site.repository.git("rev-parse", "HEAD")
    node.start()
    bad = people["eve"].commit("by eve")
    wait_for(lambda: site.repository.log(node.name)[0].startswith(f"{node.name}: stays at {good[:7]}, refuses {bad[:7]}"),
             60, "refusal")
    site.repository.git("reset", "--quiet", "--hard", good)
    people["bob"].commit("by bob")
    wait_for(lambda: "by bob" in node.fetch(HOST).body, 60, "page")


def test_verify_without_anybody_is_an_error(site):
    site.use_example()
    node = site.node()
    verify_with(node, "verify: {}")
    done = node.once(check=False)
    assert done.returncode != 0 and "'verify' needs 'signers' or 'keyring'" in done.stderr
