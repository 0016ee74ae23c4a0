"""Golden cases: `dynia validate` says of tests/cases/invalid/CASE/repo what is in CASE/error, and exits 3.

`make golden` (GOLDEN=1) writes error anew; the diff is read."""

import os

import pytest

import harness

CASES = sorted((harness.SOURCE / "tests/cases/invalid").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_says_what_is_wrong(case):
    done = harness.dynia("validate", case / "repo", check=False)
    assert done.returncode == harness.INVALID
    found = [line for line in done.stderr.splitlines() if not line.startswith("dynia: ")]
    if os.environ.get("GOLDEN"):
        (case / "error").write_text("".join(f"{line}\n" for line in found), encoding="utf-8")
    assert found == (case / "error").read_text(encoding="utf-8").splitlines()
