"""Golden cases: tests/cases/valid/CASE/repo renders to CASE/want, byte for byte, and the real checkers take it.

`make golden` (GOLDEN=1) writes want anew; the diff is read. want/CLUSTER/NODE holds the files of a node, and
want/CLUSTER/NODE.modes their modes, which git does not keep. A placeholder certificate is another one each time: only
its name counts."""

import os
import pathlib
import shutil
import tempfile

import pytest
import yaml

import checkers
import harness

CASES = harness.SOURCE / "tests/cases/valid"


def nodes():
    for case in sorted(CASES.iterdir()):
        for cluster in sorted((case / "repo/clusters").iterdir()):
            for node in yaml.safe_load((cluster / "cluster.yaml").read_text(encoding="utf-8"))["nodes"]:
                yield pytest.param(case, cluster.name, node, id=f"{case.name}-{node}")


def render(case, cluster, node, out, *more):
    done = harness.dynia("render", "--cluster", cluster, "--node", node, "--out", out, *more, case / "repo")
    assert done.stderr == ""


def tree(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*"))
            if file.is_file() and file.suffix != ".pem"}


def modes(folder):
    return "".join(f"{file.stat().st_mode & 0o7777:04o} {file.relative_to(folder)}\n"
                   for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.mark.parametrize("case,cluster,node", nodes())
def test_rendered_as_wanted(case, cluster, node, tmp_path):
    out, want = tmp_path / "out", case / "want" / cluster / node
    listing = want.with_name(f"{node}.modes")
    render(case, cluster, node, out)
    if os.environ.get("GOLDEN"):
        shutil.rmtree(want, ignore_errors=True)
        for path, data in tree(out).items():
            (want / path).parent.mkdir(parents=True, exist_ok=True)
            (want / path).write_bytes(data)
        listing.write_text(modes(out), encoding="utf-8")
    assert modes(out) == listing.read_text(encoding="utf-8")
    found, wanted = tree(out), tree(want)
    assert sorted(found) == sorted(wanted)
    for path, data in wanted.items():
        assert found[path].decode() == data.decode(), path


@pytest.fixture
def short_path():
    """tmp_path has no room for a socket's name of at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="dy", dir="/tmp") as folder:
        yield pathlib.Path(folder)


@pytest.mark.heavy
@pytest.mark.parametrize("case,cluster,node", nodes())
def test_the_checkers_take_it(case, cluster, node, short_path):
    """Rendered for the folder that it is in, so that the programs find what the files name."""
    render(case, cluster, node, short_path, "--root", short_path)
    assert checkers.check_all(short_path) > 0


@pytest.mark.heavy
@pytest.mark.parametrize("cluster,node", [(c, n) for c in ("demo", "shop") for n in ("brave-panda", "misty-owl")])
def test_the_checkers_take_the_examples(cluster, node, short_path):
    harness.dynia("render", "--cluster", cluster, "--node", node, "--out", short_path, "--root", short_path, harness.EXAMPLES)
    assert checkers.check_all(short_path) > 0
