"""Credentials reach a new node over ssh: real ssh and sshd, the double of the API, and user-data that is carried out below a folder."""

import json
import os
import shutil
import signal
import stat
import subprocess

import pytest
import yaml

from harness import DYNIA, USAGE, run, wait_for
from ssh_fleet import AGENT, PAIR, TOKEN, Fleet, address

OTHER, SECRET = "an0ther-t0ken", "postgres://dynia:hunter2@db"


@pytest.fixture
def fleet():
    with Fleet() as fleet:
        yield fleet
        fleet.assert_clean()


PINNED, NEW = ["dynia-cluster", "dynia-host-key"], ["dynia-cluster", "dynia-contact"]


# --- it works, and shows nothing ------------------------------------------------------------------------------------------


def test_new_nodes_get_their_credentials(fleet):
    fleet.bring("secrets.yaml", f'database: "{SECRET}"\n')
    fleet.bring("misty-owl/token", OTHER + "\n")
    plan = fleet.run("plan", "--credentials", fleet.secret)
    assert "send   credentials brave-panda" in plan.stdout and not fleet.ocean.droplets
    done = fleet.run("apply", *fleet.options())
    assert "send credentials brave-panda: done" in done.stderr and "2 files" in done.stderr
    for name, token in (("brave-panda", TOKEN), ("misty-owl", OTHER)):
        host = fleet.hosts[name]
        assert host.read("token") == token + "\n" and SECRET in host.read("secrets.yaml")
        assert fleet.kinds(name) == PINNED and not list(host.root.glob("etc/dynia/.*"))
    # Nobody but the one who was to be told.
    argv = fleet.ssh_log.read_text(encoding="utf-8")
    assert "dynia credentials install" in argv and "StrictHostKeyChecking=yes" in argv
    calls = json.dumps([d for d in fleet.ocean.droplets.values()]) + repr([vars(c) for c in fleet.ocean.calls])
    for text in (plan.stdout, plan.stderr, done.stdout, done.stderr, argv, calls, fleet.json("plan")["notes"].__repr__(),
                 *((h.root / "log").read_text(encoding="utf-8") for h in fleet.hosts.values())):
        for secret in (TOKEN, OTHER, SECRET, "hunter2"):
            assert secret not in text
    assert len(fleet.keys()) == 2 and all("host-key" in tag for tag in fleet.keys())
    assert "nothing to do" in fleet.run("plan", *fleet.options()).stdout


def test_the_user_data_is_one_for_cloud_init(fleet, tmp_path):
    fleet.boots = False
    fleet.run("apply")
    text = next(iter(fleet.ocean.droplets.values()))["_user_data"]
    (tmp_path / "user-data").write_text(text, encoding="utf-8")
    assert "Valid" in run("cloud-init", "schema", "--config-file", tmp_path / "user-data").stdout
    script = tmp_path / "script"
    script.write_text({f["path"]: f for f in yaml.safe_load(text)["write_files"]}["/usr/local/sbin/dynia-first-boot"]["content"], encoding="utf-8")
    run("shellcheck", script)


def test_without_credentials_it_says_what_is_to_be_done(fleet):
    said = fleet.run("apply").stdout
    assert "no credentials were brought to brave-panda, misty-owl: dynia bootstrap credentials" in said
    assert fleet.kinds("brave-panda") == NEW and not fleet.ssh_log.exists()
    fleet.run("credentials", *fleet.options(), env={"CLOUDFLARE_API_TOKEN": ""})
    assert fleet.kinds("brave-panda") == PINNED and "no credentials" not in fleet.run("plan").stdout


def test_where_nobody_may_log_in_there_is_no_way_for_credentials(fleet):
    """Told before anything is made; without them, it is only noted."""
    file = fleet.folder / "clusters/shop/cluster.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("    ssh_keys: [ops-laptop]\n", ""), encoding="utf-8")
    said = fleet.run("apply", *fleet.options(), check=False)
    assert said.returncode == 1 and "nobody can bring them to 'brave-panda': provider.digitalocean.ssh_keys names no key" in said.stderr
    assert not fleet.ocean.droplets
    fleet.boots = False
    said = fleet.run("apply").stdout
    assert "nobody will be able to log in" in said and "no credentials were brought" not in said


def test_new_credentials_for_nodes_that_are_there(fleet):
    fleet.run("apply", *fleet.options())
    said = fleet.run("credentials", *fleet.options())
    assert "nothing new" in said.stderr
    fleet.bring("token", OTHER + "\n")
    fleet.run("credentials", *fleet.options(), "--node", "misty-owl")
    assert [fleet.hosts[n].read("token").strip() for n in PAIR] == [TOKEN, OTHER]
    fleet.run("credentials", *fleet.options())
    assert [fleet.hosts[n].read("token").strip() for n in PAIR] == [OTHER, OTHER]


def test_a_repository_for_the_status_has_credentials_of_its_own(fleet):
    file = fleet.folder / "clusters/shop/cluster.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(AGENT, AGENT[:-1] + ", status: {repository: https://git.example.com/status.git, "
                    "credentials: {username: x-access-token, password_file: /etc/dynia/status-token}}}"), encoding="utf-8")
    missing = fleet.run("apply", *fleet.options(), check=False)
    assert missing.returncode == 1 and "agent.status.credentials.password_file" in missing.stderr and not fleet.ocean.droplets
    fleet.bring("status-token", OTHER + "\n")
    fleet.run("apply", *fleet.options())
    assert fleet.hosts["misty-owl"].read("status-token") == OTHER + "\n" and fleet.hosts["misty-owl"].read("token") == TOKEN + "\n"


def test_the_tags_go_with_the_droplet(fleet):
    fleet.run("apply", *fleet.options())
    fleet.run("apply", "--replace", "misty-owl", "--yes", *fleet.options())
    assert fleet.hosts["misty-owl"].read("token") == TOKEN + "\n" and len(fleet.keys()) == 2
    fleet.run("destroy", "--yes")
    assert not fleet.keys()


def test_tags_that_a_run_left_behind_go_with_the_next(fleet):
    """Those of the cluster's own keys, wherever in the list of tags, and none that is somebody's."""
    key = "0123456789abcdef" * 4
    mine = {f"dynia-contact:shop:{key}", f"dynia-host-key:shop:{key}"}
    others = {*(f"team-{i}" for i in range(450)), f"dynia-contact:blog:{key}", f"dynia-host-key:shop-two:{key}", f"dynia-contact:{key}",
              f"dynia-contact:shop:{key}0", f"dynia-contact:shop:x:{key}", f"other:shop:{key}"}
    fleet.run("apply", *fleet.options())
    used = set(fleet.ocean.tags)
    fleet.boots = False
    for verb in ("apply", "destroy"):
        for tag in [*sorted(others), *sorted(mine)]:
            fleet.ocean.tags[tag] = {"name": tag}
        if verb == "apply":
            plan = fleet.json("plan")
            assert {s["name"] for s in plan["steps"]} == mine and {s["action"] for s in plan["steps"]} == {"delete"}
        fleet.run(verb, "--yes")
        assert set(fleet.ocean.tags) == others | (used if verb == "apply" else {tag for tag in used if tag.startswith("dynia-address:")})
        if verb == "apply":
            assert "nothing to do" in fleet.run("plan").stdout


def test_a_tag_that_a_droplet_has_is_kept(fleet):
    """The key of a machine of the cluster's that bears the cluster's mark no more."""
    fleet.run("apply", *fleet.options())
    tag = f"dynia-host-key:shop:{'ab' * 32}"
    fleet.ocean.tags[tag] = {"name": tag}
    droplet = next(iter(fleet.ocean.droplets.values()))
    fleet.ocean.droplets[1] = {**droplet, "id": 1, "name": "elsewhere", "tags": [tag]}
    assert "nothing to do" in fleet.run("plan").stdout


def sweep(fleet, hook, times):
    """What another run's sweep of tags that are on nothing does to a new one, so many times. Gives back the names."""
    swept = []

    def on_tag(name):
        if name.startswith("dynia-host-key:") and len(swept) < times:
            swept.append(name)
            fleet.ocean.delete_tag(None, name)
    setattr(fleet.ocean, hook, on_tag)
    return swept


@pytest.mark.parametrize("hook", ["on_tag", "on_tagged"])
def test_a_tag_that_another_run_sweeps_away_is_made_again(fleet, hook):
    """Until the droplet gets it it is on nothing: who finds it so deletes it before that, or just after."""
    fleet.run("apply")
    swept = sweep(fleet, hook, 3)
    fleet.run("credentials", *fleet.options(), "--node", "misty-owl")
    assert len(swept) == 3 and len(set(swept)) == 1
    assert fleet.kinds("misty-owl") == PINNED and swept[0] in fleet.tags("misty-owl")


def test_a_tag_that_is_swept_away_again_and_again(fleet):
    """It ends, says why, and nothing is lost: the next run finds the node as it was."""
    fleet.run("apply")
    swept = sweep(fleet, "on_tag", 100)
    said = fleet.run("credentials", *fleet.options(), "--node", "misty-owl", check=False)
    assert said.returncode == 1 and f"tag '{swept[0]}' was gone 5 times as soon as it was made" in said.stderr and len(swept) == 5, said.stderr
    assert fleet.kinds("misty-owl") == NEW
    fleet.ocean.on_tag = None
    assert "nothing new" in fleet.run("credentials", *fleet.options(), "--node", "misty-owl").stderr and fleet.kinds("misty-owl") == PINNED


def test_a_droplet_that_is_gone_meanwhile_is_no_tag_that_was_swept(fleet):
    fleet.run("apply")

    def gone(_name):
        for key in [k for k, d in fleet.ocean.droplets.items() if d["name"] == "shop-misty-owl"]:
            del fleet.ocean.droplets[key]
    fleet.ocean.on_tag = gone
    said = fleet.run("credentials", *fleet.options(), "--node", "misty-owl", check=False)
    assert said.returncode == 1 and "GET /v2/droplets/" in said.stderr and ": 404" in said.stderr and "was gone" not in said.stderr, said.stderr


# --- who it is not ---------------------------------------------------------------------------------------------------------


def test_a_host_that_cannot_prove_itself_gets_nothing(fleet):
    """A plain host key; a certificate by another authority; one by the right authority for another name, as another droplet has it."""
    fleet.boots = False
    fleet.run("apply")
    user_data = {d["name"].removeprefix("shop-"): d["_user_data"] for d in fleet.ocean.droplets.values()}
    impostor = fleet.add("brave-panda")
    impostor.swallow()
    impostor.start()
    for certificate, told in (
            (None, "shows no certificate for its host key"),
            (user_data["misty-owl"], "is not this node: its host key is another one"),
            (user_data["brave-panda"].replace("-n 'shop-brave-panda'", "-n 'shop-misty-owl'"), "is not this node")):
        if certificate:
            impostor = fleet.add("brave-panda")
            impostor.swallow()
            impostor.first_boot(certificate)
            impostor.start()
        said = fleet.run("credentials", *fleet.options("1s"), "--node", "brave-panda", check=False)
        assert said.returncode == 1 and told in said.stderr, said.stderr
        assert impostor.logins == 0 and not impostor.received.exists() and fleet.kinds("brave-panda") == NEW
    node = fleet.add("brave-panda")
    node.first_boot(user_data["brave-panda"])
    node.start()
    fleet.run("credentials", *fleet.options(), "--node", "brave-panda")
    assert node.read("token") == TOKEN + "\n"


def test_afterwards_the_contact_key_is_worth_nothing(fleet):
    """Whoever read user-data on the droplet can sign a host key as it did. Nobody believes it any more."""
    fleet.run("apply", *fleet.options())
    user_data = next(d["_user_data"] for d in fleet.ocean.droplets.values() if d["name"] == "shop-brave-panda")
    impostor = fleet.add("brave-panda")
    impostor.first_boot(user_data)
    impostor.swallow()
    impostor.start()
    said = fleet.run("credentials", *fleet.options(), check=False)
    assert said.returncode == 1 and "is not this node: its host key is another one than the tag dynia-host-key:" in said.stderr
    assert impostor.logins == 0 and not impostor.received.exists()
    assert "send credentials misty-owl: done" in said.stderr, "the others go on"


def test_a_persons_own_configuration_of_ssh_makes_nobody_believed(fleet, tmp_path):
    """known_hosts of the person's, and a connection that stands already, do not count."""
    fleet.boots = False
    fleet.run("apply")
    impostor = fleet.add("brave-panda")
    impostor.swallow()
    impostor.start()
    config = tmp_path / "config"
    (tmp_path / "known").write_text(f"shop-brave-panda {(impostor.root / 'etc/ssh/ssh_host_ed25519_key.pub').read_text(encoding='utf-8')}", encoding="utf-8")
    config.write_text(f"Host *\nStrictHostKeyChecking no\nGlobalKnownHostsFile {tmp_path}/known\nHostKeyAlgorithms ssh-ed25519\n"
                      f"KnownHostsCommand /bin/cat {tmp_path}/known\nControlMaster auto\nControlPath {tmp_path}/c\n", encoding="utf-8")
    wrapper = fleet.folder / "bin/ssh"
    wrapper.write_text(wrapper.read_text(encoding="utf-8").replace('/usr/bin/ssh "$@"', f'/usr/bin/ssh -F {config} "$@"'), encoding="utf-8")
    said = fleet.run("credentials", *fleet.options("1s"), "--node", "brave-panda", check=False)
    assert said.returncode == 1 and impostor.logins == 0 and not impostor.received.exists(), said.stderr


# --- what goes wrong -------------------------------------------------------------------------------------------------------


def test_a_node_that_cannot_be_reached_stops_no_other(fleet):
    fleet.boots = False
    fleet.run("apply")
    for droplet in list(fleet.ocean.droplets.values()):
        if droplet["name"] == "shop-misty-owl":
            fleet.boots = True
            fleet.boot(droplet)
    said = fleet.run("apply", *fleet.options("1s"), check=False)
    assert said.returncode == 1 and said.stderr.splitlines()[-1].startswith("dynia: credentials 'brave-panda': not in time: ssh: connect to host"), said.stderr
    assert "ssh: ssh:" not in said.stderr
    assert fleet.hosts["misty-owl"].read("token") == TOKEN + "\n" and fleet.kinds("misty-owl") == PINNED


def test_it_waits_for_what_is_not_ready(fleet):
    """No sshd; no certificate; no dynia: all of it comes in time."""
    fleet.boots = False
    fleet.run("apply")
    user_data = next(d["_user_data"] for d in fleet.ocean.droplets.values() if d["name"] == "shop-brave-panda")
    out = fleet.folder / "said"
    with open(out, "wb") as file:
        process = subprocess.Popen(fleet.argv("credentials", *fleet.options("60s"), "--node", "brave-panda"), env=fleet.env,
                                   stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        def told(word):
            wait_for(lambda: word in out.read_text(encoding="utf-8"), 30, word)
        told("waits: ssh: ")
        host = fleet.add("brave-panda")
        host.start()
        told("shows no certificate")
        host.stop()
        host.first_boot(user_data)
        host.answer_with("cat >/dev/null; exit 127")
        host.start()
        told("dynia is not installed there yet")
        host.answer_with(f"exec {DYNIA} credentials install --root {host.root}")
        assert process.wait(60) == 0, out.read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait()
    assert host.read("token") == TOKEN + "\n"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_cut_off_and_run_again_from_another_machine(fleet, after):
    """Before the node has written its files, and after, when the API does not know it yet."""
    fleet.boots = False
    fleet.run("apply")
    fleet.boots = True
    install = f"{DYNIA} credentials install --root"
    for droplet in list(fleet.ocean.droplets.values()):
        fleet.boot(droplet)
    host = fleet.hosts["brave-panda"]
    came = host.root / "came"
    hang = f"echo $$ >{came}; exec sleep 300"
    host.answer_with(f"{install} {host.root}; {hang}" if after else f"cat >/dev/null; {hang}")
    fleet.kill_when(lambda: came.read_text(encoding="utf-8").endswith("\n"))
    os.kill(int(came.read_text(encoding="utf-8")), signal.SIGKILL)
    assert host.has("token") == after and fleet.kinds("brave-panda") == NEW
    host.answer_with(f"exec {install} {host.root}")
    shutil.copytree(fleet.secret, fleet.folder / "elsewhere")
    said = fleet.run("apply", "--credentials", fleet.folder / "elsewhere", "--identity", fleet.identity, "--timeout", "30s")
    assert host.read("token") == TOKEN + "\n" and fleet.kinds("brave-panda") == PINNED
    assert any("brave-panda: done" in line and "nothing new" in line for line in said.stderr.splitlines()) == after


def test_a_person_who_may_not_log_in(fleet):
    fleet.run("apply")
    other = fleet.folder / "other"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", other)
    said = fleet.run("credentials", "--credentials", fleet.secret, "--identity", other, check=False)
    assert said.returncode == 1 and "Permission denied (publickey)" in said.stderr and not fleet.hosts["misty-owl"].has("token")


def test_a_folder_that_is_not_as_it_should_be(fleet):
    """Each is told before anything is made."""
    fleet.bring("token", TOKEN + "\n", 0o644)
    cases = [("can be read by others (mode 644): chmod 600 it", lambda: fleet.bring("tokn", TOKEN)),
             ("nobody asks for '", lambda: (os.remove(fleet.secret / "tokn"), fleet.bring("token", f"{TOKEN}\nmore\n"))),
             ("must hold one line of text", lambda: os.remove(fleet.secret / "token")),
             ("token' is not there, which provider.digitalocean.agent.credentials.password_file names", lambda: (
                 fleet.bring("token", TOKEN), fleet.bring("secrets.yaml", f"database: [{SECRET}]\n"))),
             ("secrets.yaml:1:11: secret 'database' must be a text", lambda: None)]
    for told, then in cases:
        said = fleet.run("apply", *fleet.options(), check=False)
        assert said.returncode == 1 and told in said.stderr and TOKEN not in said.stderr and SECRET not in said.stderr, said.stderr
        then()
        (fleet.secret / "token").exists() and (fleet.secret / "token").chmod(0o600)
    assert not fleet.ocean.droplets
    assert fleet.run("credentials", check=False).returncode == USAGE


# --- the node's end --------------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc/dynia").mkdir(parents=True)
    (tmp_path / "etc/dynia/agent.yaml").write_text("version: 1\nrepository: /srv/x.git\ncluster: shop\nnode: elk\n", encoding="utf-8")
    return tmp_path


def install(root, message):
    return run(DYNIA, "credentials", "install", "--root", root, check=False, input=message if isinstance(message, str) else json.dumps(message))


def test_the_node_takes_what_is_for_it_only(root):
    good = {"version": 1, "cluster": "shop", "node": "elk", "files": {"token": TOKEN}}
    before = sorted(p.name for p in (root / "etc/dynia").iterdir())
    for change, told in (({"node": "yak"}, "for another node: this is 'elk' of cluster 'shop'"), ({"cluster": "blog"}, "for another node"),
                         ({"version": 2}, "upgrade it"), ({"files": {}}, "no credentials"), ({"files": {"token": 7}}, "is no text"),
                         ({"files": {"token": ""}}, "is no text"), ({"files": {"../token": TOKEN}}, "is no name"),
                         ({"files": {"a/b": TOKEN}}, "is no name"), ({"files": {"agent.yaml": TOKEN}}, "is no name"),
                         ({"files": {"good": TOKEN, ".token.dynia-tmp": TOKEN}}, "is no name")):
        said = install(root, {**good, **change})
        assert said.returncode == 1 and told in said.stderr and TOKEN not in said.stderr + said.stdout, said.stderr
    for text in ("", "{", "[]", "{" + " " * (5 << 20) + "}"):
        assert install(root, text).returncode == 1
    assert sorted(p.name for p in (root / "etc/dynia").iterdir()) == before
    assert json.loads(install(root, good).stdout) == {"version": 1, "changed": ["token"]}
    assert json.loads(install(root, good).stdout) == {"version": 1, "changed": []}
    (root / "etc/dynia/token").chmod(0o644)
    assert json.loads(install(root, good).stdout)["changed"] == ["token"]
    assert stat.S_IMODE((root / "etc/dynia/token").stat().st_mode) == 0o600


def test_the_agent_waits_for_its_credentials(site):
    """It says so, and goes on as soon as they come, however long its interval."""
    import git_servers  # pylint: disable=import-outside-toplevel
    authority = git_servers.Authority(site.folder / "ca")
    site.use_example()
    node = site.node("brave-panda", 1)
    server = git_servers.Https(site.repository, site.address(240), authority.sign("good", site.address(240)), token=TOKEN)
    try:
        node.write("etc/dynia/ca.pem", authority.pem.read_text(encoding="utf-8"))
        node.write("etc/dynia/agent.yaml", f"version: 1\nrepository: {server.url}\ncluster: demo\nnode: brave-panda\ninterval: 1h\n"
                   f"listen: {node.address}:9797\nca_file: /etc/dynia/ca.pem\n"
                   "credentials: {username: node, password_file: /etc/dynia/token}\n")
        node.start()
        log = node.log
        wait_for(lambda: "waits for its credentials: credentials.password_file '/etc/dynia/token' is not there yet" in log.read_text(encoding="utf-8"),
                 60, "the agent's word")
        state = json.loads((node.root / "var/lib/dynia/state.json").read_text(encoding="utf-8"))
        assert "WaitsForCredentials" in json.dumps(state)
        assert node.agent.poll() is None and not server.requests()
        said = install(node.root, {"version": 1, "cluster": "demo", "node": "brave-panda", "files": {"token": TOKEN + "\n"}})
        assert json.loads(said.stdout)["changed"] == ["token"]
        wait_for(lambda: site.repository.status("brave-panda")["revision"]["applied"] == site.repository.git("rev-parse", "HEAD"), 60, "a status")
    finally:
        server.stop()
